"""The settings of the app: typed, read when asked for, never kept.

Every name is ``TWILIO_VERIFY_`` and the property's name in capitals; ``None`` is as good as unset, except for
``TWILIO_VERIFY_REQUIRED_FOR``. What is wrong with a value is reported by the system checks (``checks.py``); reading a
hopeless one raises ``ImproperlyConfigured``.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from . import derived_keys
from .choices import DEVICE_KINDS, VERIFICATION_CHANNELS, Channel, FactorKind, Purpose
from .recipients import FingerprintKey, Recipient
from .signing import HMAC_SHA256, SigningKey

CONSOLE_BACKENDS: Mapping[str, Mapping[str, Any]] = {
    "default": {"BACKEND": "django_twilio_verify.backends.console.ConsoleBackend"}
}


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One rule of ``TWILIO_VERIFY_LIMITS``.

    ``default``: events allowed within ``window`` seconds. ``exact``: never more than that in any window, whatever its
    edges; the price is a wait of up to two windows. Without it the events of the window before fade out evenly.
    """

    default: int
    window: int
    exact: bool = False


_TEN_MINUTES, _HOUR, _DAY = 600, 3600, 86400

LIMIT_RULES: Mapping[str, LimitRule] = {
    # Sends: of an account or a visitor's session, and of an address. Owners and claimants have counters of their own.
    "person_hour": LimitRule(10, _HOUR),
    "ip_hour": LimitRule(60, _HOUR),
    # Sends to a number or inbox for the account that has confirmed it.
    "owner_hour": LimitRule(10, _HOUR),
    "owner_day": LimitRule(20, _DAY),
    # Everybody else's sends to a number or inbox, and their answers, all claimants together.
    "claim_ten_minutes": LimitRule(2, _TEN_MINUTES, exact=True),
    "claim_hour": LimitRule(4, _HOUR),
    "claim_day": LimitRule(8, _DAY),
    "claim_check_ten_minutes": LimitRule(3, _TEN_MINUTES, exact=True),
    "claim_check_hour": LimitRule(6, _HOUR),
    "claim_check_day": LimitRule(12, _DAY),
    # Sign-ins with the right password from networks where the account has never passed a second factor.
    "login_network_hour": LimitRule(5, _HOUR),
    "login_new_hour": LimitRule(6, _HOUR),
    "login_new_day": LimitRule(12, _DAY),
    "login_app_hour": LimitRule(10, _HOUR),
    "recovery_hour": LimitRule(10, _HOUR),
    "recovery_network_hour": LimitRule(100, _HOUR),
    "push_unanswered": LimitRule(3, _TEN_MINUTES, exact=True),
    "push_unanswered_day": LimitRule(10, _DAY, exact=True),
    "passkey_ip_hour": LimitRule(300, _HOUR),
    # Consents recorded, whether anything is sent or not.
    "consent_person_day": LimitRule(30, _DAY),
    "consent_ip_day": LimitRule(300, _DAY),
    "consent_recipient_day": LimitRule(30, _DAY),
    # Codes to a number that opted out, counted for all its users together: it may have a new holder.
    "reopen_day": LimitRule(2, _DAY, exact=True),
}
DEFAULT_LIMITS: Mapping[str, int] = {name: rule.default for name, rule in LIMIT_RULES.items()}
RESEND_SPACING = (30, 40, 60, 90, 120)
"""Seconds to wait after the first, second … send: what Twilio's own retry sample uses."""
MAX_SENDS = 5
MAX_CHECKS = 5
"""Verify's own bounds for one verification (errors 60203 and 60202)."""


RETIRED = "retired"
"""Instead of a fingerprint key's secret: it is gone, and ``FingerprintAlias`` finds what was written with it. A word
and not ``None``, which is what an environment variable that nobody set reads as."""

ASSURANCE: Mapping[str, int] = {
    "email": 1,
    "sms": 2,
    "call": 2,
    "whatsapp": 2,
    "auto": 2,
    "sna": 3,
    "silent": 3,
    "totp": 4,
    "push": 4,
    "passkey": 5,
    "recovery": 5,
}
"""How strong each channel is, the words of ``TWILIO_VERIFY_MINIMUM_ASSURANCE``. A recovery code is as good as any:
there is nothing behind it.
"""

POLICY_WORDS = ("enrolled", "staff", "superuser", "everyone")
POLICY_PREFIXES = ("group:", "perm:")
"""The words of ``TWILIO_VERIFY_REQUIRED_FOR``, and what the ones with a name after them begin with."""

REQUIRED_FACTS = ("name", "terms_url", "privacy_url", "support", "message_frequency")
"""The facts of ``TWILIO_VERIFY_PROGRAM`` that a page which asks for a number must show."""


@dataclass(frozen=True, slots=True)
class Program:
    """The messaging programme that disclosures name (CTIA: who, what, how often, help, terms, privacy)."""

    name: str = ""
    terms_url: str = ""
    privacy_url: str = ""
    support: str = ""
    message_frequency: str = ""
    terms_digest: str = ""
    privacy_digest: str = ""
    """SHA-256 in hex of the two pages as they stand, where the site keeps them: optional."""


@dataclass(frozen=True, slots=True)
class PlanRule:
    """One rule of ``TWILIO_VERIFY_CHANNEL_PLAN``: which ways, and in which order, for sends that it fits.

    ``countries`` (ISO 3166 alpha-2), ``purposes`` and ``line_types`` (lower case, as ``mobile``, ``landline``,
    ``voip``): a send has to be one of each; an empty one fits every send.
    """

    channels: tuple[Channel, ...]
    countries: frozenset[str] = frozenset()
    purposes: frozenset[Purpose] = frozenset()
    line_types: frozenset[str] = frozenset()

    def fits(self, country: str, purpose: Purpose, line_type: str) -> bool:
        """Whether it is for a send to ``country``, for ``purpose``, to a number with such a line."""
        asked = ((self.countries, country), (self.purposes, purpose), (self.line_types, line_type))
        return all(not wanted or given in wanted for wanted, given in asked)


EVENT_RETRIES = 14_400
"""Seconds for which Event Streams delivers an event again and again (docs/events/event-delivery-and-duplication)."""
EVENT_MAX_AGE = 6 * EVENT_RETRIES


@dataclass(frozen=True, slots=True)
class Webhook:
    """How events come in. ``url`` and ``factors_url``: the public addresses of ``webhooks/verify/`` and
    ``webhooks/factors/`` as the provider calls them, ``""`` where the request tells it; ``username``
    and ``password``: of the sink's address, both or neither, each several while one replaces another; ``max_age``:
    seconds after which an event is kept and not applied.
    """

    url: str = ""
    factors_url: str = ""
    username: tuple[str, ...] = ()
    password: tuple[str, ...] = field(default=(), repr=False)
    max_age: int = EVENT_MAX_AGE

    @property
    def has_credentials(self) -> bool:
        """SECURITY: half a pair opens nothing."""
        return bool(self.username and self.password)


class Settings:
    """Read-only view of the site's settings."""

    @property
    def backends(self) -> Mapping[str, Mapping[str, Any]]:
        """Alias to ``{"BACKEND": dotted path, "OPTIONS": {...}}``. Empty when unset outside ``DEBUG``."""
        return _mapping("BACKENDS", CONSOLE_BACKENDS if django_settings.DEBUG else {})

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The ways offered, each once, in that order. Unknown words are left out here and reported by a check."""
        offered: dict[Channel, None] = {}
        for word in self.raw_channels:
            try:
                offered[Channel.parse(word)] = None
            except ValueError:
                continue
        return tuple(channel for channel in offered if channel in VERIFICATION_CHANNELS)

    @property
    def raw_channels(self) -> Sequence[str]:
        """``TWILIO_VERIFY_CHANNELS`` as written."""
        return _several("CHANNELS", ("sms", "call", "email"))

    @property
    def channel_plan(self) -> tuple[PlanRule, ...]:
        """Which ways come first for whom: the first rule that fits a send holds, without one ``channels`` does.

        Raises ``ImproperlyConfigured`` for a rule that is none, naming its place (from 1).
        """
        return tuple(_plan_rule(number, rule) for number, rule in enumerate(_several("CHANNEL_PLAN", ()), 1))

    @property
    def send_options(self) -> Mapping[str, Any] | Callable[..., object]:
        """What every send is told: option names of ``SendOptions`` to values or callables ``(SendRequest) -> value``;
        or one callable that gives all of it. A dotted path is imported. Raises ``ImproperlyConfigured`` for anything
        else.
        """
        value: Mapping[str, Any] | Callable[..., object] | str = _get("SEND_OPTIONS", {})
        if isinstance(value, str):
            value = _imported(value, "SEND_OPTIONS")
        if isinstance(value, Mapping) or callable(value):
            return value
        raise ImproperlyConfigured("TWILIO_VERIFY_SEND_OPTIONS must be a dict, a callable or the dotted path of one.")

    @property
    def psd2(self) -> tuple[str, ...]:
        """The aliases of Services that are set to PSD2: amount and payee of a payment are told to them too."""
        return tuple(str(alias) for alias in _several("PSD2", ()))

    @property
    def required_for(self) -> tuple[str | Callable[..., object], ...]:
        """Who must have a factor, any of which suffices: words of ``POLICY_WORDS``, ``"group:<name>"``,
        ``"perm:<app.codename>"`` and callables ``(user, request) -> bool``.

        The setting is one of them or a list. A dotted path is imported. Raises ``ImproperlyConfigured`` for anything
        else, and for an empty list.
        """
        return tuple(_policy_rule(one) for one in _written_policy())

    @property
    def minimum_assurance(self) -> str | Callable[..., object]:
        """The weakest channel that is good enough to sign in by, ``""`` for no minimum; or a callable
        ``(AssuranceRequest) -> word or None``.

        A dotted path is imported. Raises ``ImproperlyConfigured`` for anything else.
        """
        value = _get("MINIMUM_ASSURANCE", "")
        if isinstance(value, str) and (not value or value in ASSURANCE):
            return value
        if isinstance(value, str) and "." in value:
            value = _imported(value, "MINIMUM_ASSURANCE")
        if callable(value):
            return value  # type: ignore[no-any-return]
        words = ", ".join(ASSURANCE)
        raise ImproperlyConfigured(f"TWILIO_VERIFY_MINIMUM_ASSURANCE must be one of {words}, or a callable.")

    @property
    def router(self) -> Callable[..., object] | None:
        """What names the backend of a proof: a callable ``(RouteRequest) -> alias or None``, or ``None`` if unset.

        A dotted path is imported. Raises ``ImproperlyConfigured`` for anything else.
        """
        return _callable("ROUTER")

    @property
    def claimant_backend(self) -> str:
        """Alias of the backend for verifications that nobody owns yet, ``""`` where they share ``default``.

        SECURITY: a Service of their own is what keeps strangers' sends and guesses apart from the owner's at the
        provider, which has one pending verification for a number and Service.
        """
        return str(_get("CLAIMANT_BACKEND", ""))

    @property
    def tenant(self) -> Callable[..., object] | None:
        """What names the tenant of a request: a callable ``(request) -> str``, or ``None`` if unset.

        A dotted path is imported. Raises ``ImproperlyConfigured`` for anything else.
        """
        return _callable("TENANT")

    @property
    def program(self) -> Program:
        """The programme's facts. Raises ``ImproperlyConfigured`` on a key that is not one."""
        given = _mapping("PROGRAM", {})
        if unknown := [name for name in given if name not in Program.__dataclass_fields__]:
            known = ", ".join(Program.__dataclass_fields__)
            raise ImproperlyConfigured(f"TWILIO_VERIFY_PROGRAM has no fact {unknown[0]!r}. Facts: {known}.")
        return Program(**{name: fact for name, fact in given.items() if fact is not None})

    @property
    def fingerprint_keys(self) -> tuple[FingerprintKey, ...]:
        """Keys for fingerprints, newest first: all are tried when looking up, the first one writes.

        The setting is a list of ``(id, secret)``; ``(id, "retired")`` is a key whose secret is gone, which is not among
        these (``retired_key_ids``). Without it, one is derived from ``SECRET_KEY``, and one from each of
        ``SECRET_KEY_FALLBACKS``. Raises ``ImproperlyConfigured`` for anything that is not such a list, for one that
        begins with a retired key, and for an id or a secret that must not be used.
        """
        given = _several("FINGERPRINT_KEYS", ())
        if not given:
            return tuple(FingerprintKey(*pair) for pair in _derived(derived_keys.fingerprint_key))
        if _is_retired(given[0]):
            raise ImproperlyConfigured(
                "TWILIO_VERIFY_FINGERPRINT_KEYS begins with a retired key: the newest must have its secret."
            )
        keys = tuple(_fingerprint_key(pair) for pair in given if not _is_retired(pair))
        # SECURITY: at run time too, not by a check alone: an empty or mistyped secret writes fingerprints that nobody
        # finds again, and with them opt-outs.
        retired = tuple(str(pair[0]) for pair in given if _is_retired(pair))
        pairs = tuple((key.id, key.secret) for key in keys)
        if problem := _problem_of_keys(pairs, retired, _other_secrets("SIGNING_KEYS")):
            raise ImproperlyConfigured(f"TWILIO_VERIFY_FINGERPRINT_KEYS {problem}.")
        return keys

    @property
    def signing_keys(self) -> tuple[SigningKey, ...]:
        """Keys for the seals over the consent ledger, newest first: the first one signs, all check.

        The setting is a list of ``(id, secret)``. Without it, HMAC keys are derived from ``SECRET_KEY`` and each of
        ``SECRET_KEY_FALLBACKS``. Raises ``ImproperlyConfigured`` for anything that is not such a list, and for an
        HMAC secret that must not be used.
        """
        given = _several("SIGNING_KEYS", ())
        if not given:
            return tuple(SigningKey(*pair) for pair in _derived(derived_keys.signing_key))
        keys = tuple(SigningKey(*_pair(pair, "SIGNING_KEYS")) for pair in given)
        hmac_keys = tuple((key.id, key.secret) for key in keys if key.algorithm == HMAC_SHA256)
        if problem := _problem_of_secrets(hmac_keys, _other_secrets("FINGERPRINT_KEYS")):
            raise ImproperlyConfigured(f"TWILIO_VERIFY_SIGNING_KEYS {problem}.")
        return keys

    @property
    def timestamp_url(self) -> str:
        """Address of an RFC 3161 time-stamping authority that stamps each seal, or ``""`` for none."""
        return str(_get("TIMESTAMP_URL", ""))

    @property
    def limits(self) -> Mapping[str, int]:
        """How often, by rule: the defaults of ``LIMIT_RULES``, which says in what time, under the site's numbers."""
        return {**DEFAULT_LIMITS, **_mapping("LIMITS", {})}

    @property
    def code_length(self) -> int:
        """Digits in a code: the Verify Service's ``CodeLength``, 4 to 10."""
        return _whole("CODE_LENGTH", 6)

    @property
    def code_lifetime(self) -> int:
        """Seconds that a code lives: 600 unless Twilio Support changed it for the Service."""
        return _whole("CODE_LIFETIME", 600)

    @property
    def pending_lifetime(self) -> int:
        """Seconds that a sign-in may wait for its second factor."""
        return _whole("PENDING_LIFETIME", 1800)

    @property
    def step_up_age(self) -> int:
        """Seconds for which a proof counts where the person is about to change what protects the account."""
        return _whole("STEP_UP_AGE", 600)

    @property
    def grace_days(self) -> int:
        """Days for which people who must enrol may put it off, from when they were first asked. 0: not at all."""
        return _whole("GRACE_DAYS", 0)

    @property
    def trust_days(self) -> int | Callable[..., object]:
        """Days for which a browser may be excused from the second factor, 0 for never, and then it is not offered; or
        a callable ``(user, request) -> days``.

        A dotted path is imported. Raises ``ImproperlyConfigured`` for anything else.
        """
        value = _get("TRUST_DAYS", 0)
        if callable(value) or (isinstance(value, str) and "." in value):
            return _callable("TRUST_DAYS") or 0
        return _whole("TRUST_DAYS", 0)

    @property
    def reprove_days(self) -> int:
        """Days after which a number or address that was not used has to be proved anew before it opens anything: it
        may be somebody else's by now. 0: never.
        """
        return _whole("REPROVE_DAYS", 0)

    @property
    def reset_delay_hours(self) -> int:
        """Hours between a member of staff asking for a reset of factors and the reset."""
        return _whole("RESET_DELAY_HOURS", 24)

    @property
    def reset_link_hours(self) -> int:
        """Hours that the enrolment link of a reset is good for."""
        return _whole("RESET_LINK_HOURS", 72)

    @property
    def may_reset(self) -> Callable[..., object] | None:
        """Who may reset whom, beyond the built-in rule: a callable ``(staff, user) -> bool``, or ``None`` if unset.

        A dotted path is imported. Raises ``ImproperlyConfigured`` for anything else.
        """
        return _callable("MAY_RESET")

    @property
    def factors(self) -> tuple[FactorKind, ...]:
        """The factors kept by the provider that people are offered to enrol, as far as the backend keeps them. Raises
        ``ImproperlyConfigured`` for what is no list of their words.
        """
        value = _get("FACTORS", None)
        if value is None:
            return DEVICE_KINDS
        words = _words("TWILIO_VERIFY_FACTORS", value)
        if unknown := [word for word in words if word not in DEVICE_KINDS]:
            known = ", ".join(DEVICE_KINDS)
            raise ImproperlyConfigured(f"TWILIO_VERIFY_FACTORS names {unknown[0]!r}, which is none of {known}.")
        return tuple(dict.fromkeys(FactorKind(word) for word in words))

    @property
    def push_app(self) -> str:
        """The name of the site's app on phones, by which people approve a sign-in; ``""``: there is none, and the
        pages and the access tokens for it are not there. Raises ``ImproperlyConfigured`` for what is no text.
        """
        value = _get("PUSH_APP", "")
        if not isinstance(value, str):
            raise ImproperlyConfigured("TWILIO_VERIFY_PUSH_APP must be the name of an app.")
        return value

    @property
    def offer_stronger(self) -> bool:
        """Whether a person who has just signed in by a code is offered a stronger factor. Raises
        ``ImproperlyConfigured`` for what is neither true nor false.
        """
        value = _get("OFFER_STRONGER", True)
        if not isinstance(value, bool):  # "0", as it comes from the environment, would be true
            raise ImproperlyConfigured("TWILIO_VERIFY_OFFER_STRONGER must be True or False.")
        return value

    @property
    def defer_login_signal(self) -> bool:
        """Whether ``user_logged_in`` is sent when the second factor has passed, instead of with the password."""
        return bool(_get("DEFER_LOGIN_SIGNAL", False))

    @property
    def decision_age(self) -> int:
        """Seconds after which it is decided anew, in an open session, that somebody owes no factor."""
        return _whole("DECISION_AGE", 300)

    @property
    def retention_days(self) -> int:
        """Days that the personal half of evidence is kept after the consent ended: five years.

        16 CFR 310.5 asks for five years, 28 USC 1658 allows suits for four.
        """
        return _whole("RETENTION_DAYS", 1826)

    @property
    def default_region(self) -> str:
        """ISO 3166 alpha-2 country of numbers written without ``+``, or ``""`` to ask every time."""
        return str(_get("DEFAULT_REGION", "")).upper()

    @property
    def countries(self) -> tuple[str, ...]:
        """ISO 3166 alpha-2 codes of the countries that may be sent to; empty for all."""
        return tuple(str(code).upper() for code in _several("COUNTRIES", ()))

    @property
    def webhook(self) -> Webhook:
        """How events come in. Raises ``ImproperlyConfigured`` on an unknown key, a ``max_age`` that is no number, and
        credentials that are neither text nor a list of texts.
        """
        given = {name: value for name, value in _mapping("WEBHOOK", {}).items() if value is not None}
        if unknown := [name for name in given if name not in Webhook.__dataclass_fields__]:
            known = ", ".join(Webhook.__dataclass_fields__)
            raise ImproperlyConfigured(f"TWILIO_VERIFY_WEBHOOK has no {unknown[0]!r}. It takes {known}.")
        max_age = _as_whole("WEBHOOK['max_age']", given.pop("max_age", EVENT_MAX_AGE))
        return Webhook(
            url=str(given.get("url", "")),
            factors_url=str(given.get("factors_url", "")),
            username=_credentials("username", given.get("username", "")),
            password=_credentials("password", given.get("password", "")),
            max_age=max_age,
        )

    @property
    def trusted_proxies(self) -> int:
        """How many proxies of the site's own append to ``X-Forwarded-For``. 0 ignores the header."""
        return _whole("TRUSTED_PROXIES", 0)

    @property
    def exempt_url_names(self) -> tuple[str, ...]:
        """What a pending sign-in may open: URL names, ``"namespace:name"`` and ``"/prefix/"`` of routes. Logging out
        must always be possible.
        """
        return ("logout", *_several("EXEMPT_URL_NAMES", ()))

    @property
    def success_url(self) -> str:
        """Where a person goes without a ``next``: a path, URL or URL name."""
        return str(_get("SUCCESS_URL", django_settings.LOGIN_REDIRECT_URL))


settings = Settings()


def policy_digest() -> str:
    """Changes with ``TWILIO_VERIFY_REQUIRED_FOR`` as written, and with the days of grace.

    Of a callable it knows the name. Read in every request of somebody without a factor: imports nothing.
    """
    # Sorted: a set has another order in each process, and a list means the same in any.
    written = sorted(one if isinstance(one, str) else _name_of(one) for one in _written_policy())
    return _digest_of(*written, _get("GRACE_DAYS", 0))


@lru_cache
def _digest_of(*written: Any) -> str:
    return hashlib.blake2s(repr(written).encode(), digest_size=6).hexdigest()


def retired_key_ids() -> tuple[str, ...]:
    """The ids of the fingerprint keys whose secret is gone. Errors as ``Settings.fingerprint_keys``."""
    given = _several("FINGERPRINT_KEYS", ())
    return tuple(_fingerprint_key(pair).id for pair in given if _is_retired(pair))


def fingerprint(recipient: Recipient) -> str:
    """The recipient's fingerprint under the newest key: what is written."""
    return recipient.fingerprint(settings.fingerprint_keys[0])


def fingerprints(recipient: Recipient) -> list[str]:
    """The recipient's fingerprints under every key, newest first. The ledger is asked by those of ``flows.aliases``."""
    return [recipient.fingerprint(key) for key in settings.fingerprint_keys]


def person_fingerprint(kind: str, ref: str) -> str:
    """The fingerprint of a person (``kind`` a ``PersonKind``, ``ref`` primary key or session secret)."""
    return settings.fingerprint_keys[0].fingerprint(f"person:{kind}", ref)


def person_fingerprints(kind: str, ref: str) -> list[str]:
    """The fingerprints of a person under every key."""
    return [key.fingerprint(f"person:{kind}", ref) for key in settings.fingerprint_keys]


def _get(name: str, default: Any) -> Any:
    value = getattr(django_settings, f"TWILIO_VERIFY_{name}", None)
    return default if value is None else value


def _mapping(name: str, default: Mapping[str, Any]) -> Mapping[str, Any]:
    value = _get(name, default)
    if not isinstance(value, Mapping):
        raise ImproperlyConfigured(f"TWILIO_VERIFY_{name} must be a dict.")
    return value


def _several(name: str, default: Sequence[Any]) -> tuple[Any, ...]:
    value = _get(name, default)
    # A string is a sequence of letters, and a dict one of its keys: neither is ever meant.
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ImproperlyConfigured(f"TWILIO_VERIFY_{name} must be a list.")
    return tuple(value)


def _whole(name: str, default: int) -> int:
    return _as_whole(name, _get(name, default))


def _as_whole(name: str, value: Any) -> int:
    try:
        # Text too, as it comes from the environment; not 6.5, and not True.
        if isinstance(value, int | str) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass
    raise ImproperlyConfigured(f"TWILIO_VERIFY_{name} must be a whole number.")


def _credentials(name: str, value: Any) -> tuple[str, ...]:
    """One text, or several while one replaces another."""
    several = value if isinstance(value, list | tuple) else [value] if value != "" else []
    if any(not isinstance(one, str) or not one for one in several):
        # SECURITY: what was given is not shown: it holds the secret.
        raise ImproperlyConfigured(f"TWILIO_VERIFY_WEBHOOK[{name!r}] must be text, or a list of texts, none empty.")
    return tuple(several)


def _written_policy() -> tuple[Any, ...]:
    # Not by _get(): None, as of an environment variable that nobody set, must not silently mean the mildest policy.
    value = getattr(django_settings, "TWILIO_VERIFY_REQUIRED_FOR", "enrolled")
    written = tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)
    if not written:
        raise ImproperlyConfigured(_BAD_POLICY)
    return written


_BAD_POLICY = (
    'TWILIO_VERIFY_REQUIRED_FOR must be "enrolled", "staff", "superuser", "everyone", "group:<name>", '
    '"perm:<app.codename>", a plain (not async) callable, the dotted path of one, or a list of these.'
)


def _policy_rule(value: Any) -> str | Callable[..., object]:
    if isinstance(value, str) and (value in POLICY_WORDS or _is_named_rule(value)):
        return value
    if isinstance(value, str) and "." in value and not value.startswith(POLICY_PREFIXES):
        value = _imported(value, "REQUIRED_FOR")
    if callable(value) and not inspect.iscoroutinefunction(value):
        return value  # type: ignore[no-any-return]
    raise ImproperlyConfigured(_BAD_POLICY)


def _is_named_rule(word: str) -> bool:
    kind, _, name = word.partition(":")
    app, _, codename = name.partition(".")
    return bool(name.strip()) if kind == "group" else kind == "perm" and bool(app and codename)


def _name_of(rule: Any) -> str:
    """Of a callable; of what is none, as ``None``, its type: what is wrong is told where the policy is asked."""
    return f"{getattr(rule, '__module__', '')}.{getattr(rule, '__qualname__', type(rule).__qualname__)}"


def _is_retired(pair: Any) -> bool:
    return isinstance(pair, Sequence) and len(pair) == 2 and pair[1] == RETIRED


_RULE = ("channels", "countries", "purposes", "line_types")


def _plan_rule(number: int, rule: Any) -> PlanRule:
    where = f"TWILIO_VERIFY_CHANNEL_PLAN, rule {number}"
    if not isinstance(rule, Mapping):
        raise ImproperlyConfigured(f"{where}: a rule is a dict of {', '.join(_RULE)}.")
    if unknown := [name for name in rule if name not in _RULE]:
        raise ImproperlyConfigured(f"{where}: {unknown[0]!r} is none of {', '.join(_RULE)}.")
    words = {name: _words(f"{where}: {name}", rule.get(name, ())) for name in _RULE}
    try:
        channels = tuple(dict.fromkeys(Channel.parse(word) for word in words["channels"]))
        purposes = frozenset(Purpose(word.lower()) for word in words["purposes"])
    except ValueError as error:
        raise ImproperlyConfigured(f"{where}: {error}.") from None
    if not channels or any(channel not in VERIFICATION_CHANNELS for channel in channels):
        raise ImproperlyConfigured(f"{where}: channels must name some of {', '.join(VERIFICATION_CHANNELS)}.")
    return PlanRule(
        channels=channels,
        countries=frozenset(word.upper() for word in words["countries"]),
        purposes=purposes,
        line_types=frozenset(word.lower() for word in words["line_types"]),
    )


def _words(where: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ImproperlyConfigured(f"{where} must be a list.")
    words = tuple(value)
    if any(not isinstance(word, str) for word in words):
        raise ImproperlyConfigured(f"{where} must be a list of words.")
    return words


def _fingerprint_key(pair: Any) -> FingerprintKey:
    return FingerprintKey(*_pair(pair, "FINGERPRINT_KEYS"))


def _pair(pair: Any, name: str) -> tuple[str, bytes]:
    try:
        key_id, secret = pair
    except (TypeError, ValueError):
        key_id, secret = None, None
    secret = secret.encode() if isinstance(secret, str) else secret
    if isinstance(pair, str) or not isinstance(key_id, str) or not isinstance(secret, bytes):
        # SECURITY: what was given is not shown: it holds the secret.
        raise ImproperlyConfigured(f"TWILIO_VERIFY_{name} must be a list of (id, secret) pairs, newest first.")
    return key_id, secret


def _derived(derive: Callable[[Any], tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
    """The derived keys, each once, the one of ``SECRET_KEY`` first."""
    secrets = (django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS)
    return tuple(dict(derive(secret) for secret in secrets).items())


_FEWEST_BYTES = 32
_FEWEST_SYMBOLS = 8
"""Different bytes in a secret at least: 64 random hex digits have 15 or 16, and one in 10^20 has fewer than this."""


def _other_secrets(keys: str) -> tuple[bytes, ...]:
    """Every secret text that a key must differ from: of ``keys``, another setting of pairs, Django's and ours."""
    others: list[Any] = [django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS]
    given = _get(keys, ())
    if isinstance(given, list | tuple):
        others += [pair[1] for pair in given if isinstance(pair, list | tuple) and len(pair) == 2]
    if isinstance(webhook := _get("WEBHOOK", {}), Mapping):
        others.append(webhook.get("password"))
    if isinstance(configured := _get("BACKENDS", {}), Mapping):
        others += [one.get("OPTIONS") for one in configured.values() if isinstance(one, Mapping)]
    texts = [one.encode() if isinstance(one, str) else one for one in _texts(others)]
    return tuple(one.strip() for one in texts if len(one) >= _FEWEST_BYTES)


def _texts(value: Any) -> Iterator[str | bytes]:
    """Every text in ``value``, in the lists of secrets that replace one another and in dicts too."""
    if isinstance(value, str | bytes):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts([*value.values()])
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


@lru_cache(maxsize=64)
def _problem_of_keys(keys: tuple[tuple[str, bytes], ...], retired: tuple[str, ...], others: tuple[bytes, ...]) -> str:
    """What makes these fingerprint keys unusable, as the end of a sentence; ``""`` if nothing does."""
    ids = [*(key_id for key_id, _ in keys), *retired]
    if any(not (one.isascii() and one.isalnum()) or len(one) > 12 for one in ids):
        return "has an id that is not 1 to 12 letters and digits"
    if len({one.lower() for one in ids}) < len(ids):  # most databases find "K1" where "k1" was asked for
        return "has an id twice"
    return _problem_of_secrets(keys, others)


@lru_cache(maxsize=64)
def _problem_of_secrets(keys: tuple[tuple[str, bytes], ...], others: tuple[bytes, ...]) -> str:
    """What makes a secret unusable, as the end of a sentence that shows none of them; ``""`` if nothing does."""
    for key_id, secret in keys:
        if _has_blank_edges(secret):
            return f"has a secret with blanks or a line break around it ({key_id!r})"
        if len(secret) < _FEWEST_BYTES:
            return f"has a secret of fewer than {_FEWEST_BYTES} bytes ({key_id!r})"
        if len(set(secret)) < _FEWEST_SYMBOLS or secret in (secret + secret)[1:-1]:
            return f"has a secret that repeats itself: take a random one ({key_id!r})"
        if secret in others:
            return f"has a secret that another setting has too: give each its own ({key_id!r})"
    if len({secret for _, secret in keys}) < len(keys):
        return "has one secret under two ids"
    return ""


def _has_blank_edges(secret: bytes) -> bool:
    """Return whether ``secret`` is text that begins or ends with a blank, or with something else that nobody sees: a
    line break, a byte order mark, a no-break space of a web page.
    """
    try:
        text = secret.decode()
    except UnicodeDecodeError:  # 32 random bytes may begin with one that reads as a blank
        return False
    edges = text[:1] + text[-1:]
    return " " in edges or not edges.isprintable()


def _callable(name: str) -> Callable[..., object] | None:
    value = _get(name, None)
    if isinstance(value, str):
        value = _imported(value, name)
    if value is not None and (not callable(value) or inspect.iscoroutinefunction(value)):
        raise ImproperlyConfigured(f"TWILIO_VERIFY_{name} must be a plain (not async) callable, or its dotted path.")
    return value  # type: ignore[no-any-return]


def _imported(path: str, name: str) -> Any:
    try:
        return import_string(path)
    except (ImportError, TypeError, ValueError) as error:  # the last two: a path that begins or ends with a dot
        raise ImproperlyConfigured(f"TWILIO_VERIFY_{name}: {error}") from error
