"""System checks. Every id is stable and can be silenced by ``SILENCED_SYSTEM_CHECKS``; the reference lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections
from django.utils.module_loading import import_string

from .backends.handler import backends
from .choices import CODE_CHANNELS, VERIFICATION_CHANNELS, Channel, FactorKind, Feature
from .codes import MAX_LENGTH, MIN_LENGTH
from .conf import DEFAULT_LIMITS, EVENT_RETRIES, REQUIRED_FACTS, settings
from .countries import NAMES
from .flows import declaration, keyregister, ledgerkeys, linter, routing, sealbook
from .options import IncompatibleOptions, SendOptions, features_of

MIDDLEWARE = "django_twilio_verify.middleware.TwoFactorMiddleware"
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
_DELIVERS = "TWILIO_VERIFY_BACKENDS"
_OFFERABLE = f"Use {', '.join(channel.value for channel in VERIFICATION_CHANNELS)}."


def register_all() -> None:
    """Register every check of this file under the tags that ``manage.py check --tag`` knows."""
    for check in (check_middleware, check_policy, check_limits, check_signing, check_webhook):
        register(check, Tags.security)
    register(check_ledger_keys, Tags.database)
    register(check_key_register, "twilio_verify_keys")
    for check in (check_plan, check_send_options, check_claimants):
        register(check, "twilio_verify")
    for check in (check_backends, check_routing, check_channels, check_program, check_disclosures, check_countries):
        register(check, "twilio_verify")
    for check in (check_code, check_services, check_enrolment):
        register(check, "twilio_verify")


def check_middleware(**kwargs: Any) -> list[CheckMessage]:
    """E001: the middleware is missing. E002: it stands before ``AuthenticationMiddleware``."""
    order = [_resolved(path) for path in django_settings.MIDDLEWARE]
    ours, theirs = _position(order, MIDDLEWARE), _position(order, _AUTHENTICATION)
    if ours is None:
        return [
            Error(
                f"{MIDDLEWARE} is not in MIDDLEWARE.",
                hint=f"Add it after {_AUTHENTICATION}.",
                id="twilio_verify.E001",
            )
        ]
    if theirs is None or ours < theirs:
        return [
            Error(
                f"{MIDDLEWARE} must stand after {_AUTHENTICATION} in MIDDLEWARE.",
                hint="Before it there is no request.user to guard.",
                id="twilio_verify.E002",
            )
        ]
    return []


def check_policy(**kwargs: Any) -> list[CheckMessage]:
    """E003: ``TWILIO_VERIFY_REQUIRED_FOR`` is none of its words, no callable and no list of such. E019:
    ``TWILIO_VERIFY_EXEMPT_URL_NAMES`` is not a list of URL names and prefixes. E072: ``TWILIO_VERIFY_MAY_RESET`` is no
    callable.
    """
    messages = _error_of(lambda: settings.required_for, "twilio_verify.E003")
    messages += _error_of(lambda: settings.may_reset, "twilio_verify.E072")
    messages += _error_of(lambda: settings.exempt_url_names, "twilio_verify.E019")
    if not messages and not all(is_exemption(name) for name in settings.exempt_url_names):
        messages.append(
            Error(
                "TWILIO_VERIFY_EXEMPT_URL_NAMES must be a list of URL names.",
                hint='As in "status", "shop:status" or "/status/"; not "/", which is every page.',
                id="twilio_verify.E019",
            ),
        )
    return messages


def is_exemption(name: object) -> bool:
    """Whether ``name`` can stand in ``TWILIO_VERIFY_EXEMPT_URL_NAMES``."""
    if not isinstance(name, str) or not name:
        return False
    # SECURITY: "/help" would open "/helpdesk/" too.
    return not name.startswith("/") or (name.endswith("/") and len(name) > 1)


def check_limits(**kwargs: Any) -> list[CheckMessage]:
    """E004: ``TWILIO_VERIFY_LIMITS`` names an unknown rule or is not a whole number. E005: a bad fingerprint key."""
    messages = _error_of(lambda: settings.limits, "twilio_verify.E004")
    for rule, limit in ({} if messages else settings.limits).items():
        if rule not in DEFAULT_LIMITS:
            known = ", ".join(sorted(DEFAULT_LIMITS))
            messages.append(
                Error(
                    f"TWILIO_VERIFY_LIMITS: unknown rule {rule!r}.",
                    hint=f"Rules: {known}.",
                    id="twilio_verify.E004",
                )
            )
        elif not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
            messages.append(
                Error(
                    f"TWILIO_VERIFY_LIMITS[{rule!r}] must be a whole number, 0 or more.",
                    id="twilio_verify.E004",
                )
            )
    return messages + _check_keys()


def check_signing(**kwargs: Any) -> list[CheckMessage]:
    """E020: an unusable key in ``TWILIO_VERIFY_SIGNING_KEYS``. W004: outside ``DEBUG``, fingerprints or seals lean on
    ``SECRET_KEY``.
    """
    if unreadable := _error_of(lambda: settings.signing_keys, "twilio_verify.E020"):
        return unreadable
    messages: list[CheckMessage] = [
        Error(f"TWILIO_VERIFY_SIGNING_KEYS {problem}.", id="twilio_verify.E020") for problem in _signing_problems()
    ]
    unset = [
        name
        for name in ("TWILIO_VERIFY_FINGERPRINT_KEYS", "TWILIO_VERIFY_SIGNING_KEYS")
        if not getattr(django_settings, name, None)
    ]
    if unset and not django_settings.DEBUG:
        messages.append(
            Warning(
                f"{' and '.join(unset)} unset: the evidence of consent leans on SECRET_KEY.",
                hint="Once SECRET_KEY changes, opt-outs are not found and seals not confirmed. Give them own keys.",
                id="twilio_verify.W004",
            )
        )
    return messages


def check_webhook(**kwargs: Any) -> list[CheckMessage]:
    """E050: ``TWILIO_VERIFY_WEBHOOK`` cannot be read, or is half set. W050: it is set, and every request is refused."""
    if unreadable := _error_of(lambda: settings.webhook, "twilio_verify.E050"):
        return unreadable
    webhook = settings.webhook
    messages: list[CheckMessage] = [
        Error(f"TWILIO_VERIFY_WEBHOOK: {problem}", id="twilio_verify.E050")
        for wrong, problem in (
            (bool(webhook.username) != bool(webhook.password), "username and password are given together."),
            (":" in "".join(webhook.username), "a username cannot hold a colon (RFC 7617)."),
            *(
                (bool(url) and not _is_webhook_url(url), f"{name} must be absolute, https://, without query.")
                for name, url in (("url", webhook.url), ("factors_url", webhook.factors_url))
            ),
            (webhook.max_age < EVENT_RETRIES, f"max_age must be {EVENT_RETRIES} or more: retries come so late."),
        )
        if wrong
    ]
    if getattr(django_settings, "TWILIO_VERIFY_WEBHOOK", None) and not (messages or _can_authenticate()):
        hint = "Give username and password as in the sink's address, or a TwilioBackend the Auth Token of its account."
        message = "TWILIO_VERIFY_WEBHOOK is set, but every request to the webhook is refused."
        messages.append(Warning(message, hint=hint, id="twilio_verify.W050"))
    return messages


def _is_webhook_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and not (parts.query or parts.fragment)


def _can_authenticate() -> bool:
    if settings.webhook.has_credentials:
        return True
    if any(message.is_serious() for message in check_backends()):
        return True  # that check speaks of backends that cannot be made
    return any(backends[alias].can_authenticate for alias in backends)


def _signing_problems() -> list[str]:
    if not getattr(django_settings, "TWILIO_VERIFY_SIGNING_KEYS", None):
        return []
    keys = settings.signing_keys
    problems = [f"{key.problem} ({key.id!r})" for key in keys if key.problem]
    if any(not (key.id.isascii() and key.id.isalnum()) or len(key.id) > 12 for key in keys):
        problems.append("has an id that is not 1 to 12 letters and digits")
    if len({key.id for key in keys}) < len(keys):
        problems.append("has an id twice")
    if not problems and not keys[0].can_sign:
        problems.append("begins with a public key: the newest must be able to sign")
    return problems


def _check_keys() -> list[CheckMessage]:
    return _error_of(lambda: settings.fingerprint_keys, "twilio_verify.E005")


def check_ledger_keys(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E021: a key that the ledger was written with is not listed, or was retired before its fingerprints were rotated.
    E022: it is listed with another secret. A few statements, each by an index; only where databases are checked.
    """
    # SECURITY: an error and no warning: opt-outs that are not found let messages go to people who opted out.
    if _check_keys() or sealbook.database() not in (databases or ()) or not ledgerkeys.is_there():
        return []
    return [
        Error(
            f"The consent ledger {problem.text} (TWILIO_VERIFY_FINGERPRINT_KEYS).",
            hint="Opt-outs under it are not found. List the key with the secret it had, then run rotate_verify_keys.",
            id="twilio_verify.E021" if problem.is_lost else "twilio_verify.E022",
        )
        for problem in ledgerkeys.problems()
    ]


def check_claimants(**kwargs: Any) -> list[CheckMessage]:
    """E035: ``TWILIO_VERIFY_CLAIMANT_BACKEND`` is no alias, or ``default``. W035: it is the same Service as it."""
    alias = settings.claimant_backend
    if not alias or _error_of(lambda: settings.backends, "twilio_verify.E006"):
        return []
    if alias == routing.DEFAULT or alias not in settings.backends:
        return [
            Error(
                "TWILIO_VERIFY_CLAIMANT_BACKEND must be an alias of TWILIO_VERIFY_BACKENDS other than 'default'.",
                hint=f"Aliases: {', '.join(settings.backends)}.",
                id="twilio_verify.E035",
            )
        ]
    try:
        services = {backends[one].service_sid for one in (alias, routing.DEFAULT)}
    except ImproperlyConfigured:  # reported by check_backends
        return []
    if len(services) > 1 or services == {""}:
        return []
    return [
        Warning(
            f"TWILIO_VERIFY_CLAIMANT_BACKEND: {alias!r} has the same Verify Service as 'default'.",
            hint="A number has one pending verification in a Service: make another Service for claimants.",
            id="twilio_verify.W035",
        )
    ]


def check_key_register(**kwargs: Any) -> list[CheckMessage]:
    """E023: the fingerprint keys do not fit the register beside the ledger, so that nothing is sent.

    Unlike the checks of the database this one always runs: two statements. Where there is no database yet, or it was
    not migrated, there is nothing to compare.
    """
    if _check_keys():
        return []
    connection = connections[keyregister.database()]
    was_open = connection.connection is not None
    try:
        misfits = keyregister.problems() if keyregister.is_there() else []
    except (DatabaseError, ImproperlyConfigured):  # no server, or the dummy database of a site that has none
        return []
    finally:
        if not was_open:
            connection.close()
    return [Error(str(misfit.error), id="twilio_verify.E023") for misfit in misfits]


def check_backends(**kwargs: Any) -> list[CheckMessage]:
    """E006: no default backend. E007: a backend cannot be made. W001: outside ``DEBUG`` one that delivers nothing."""
    if unreadable := _error_of(lambda: settings.backends, "twilio_verify.E006"):
        return unreadable
    if "default" not in settings.backends:
        return [
            Error(
                f"{_DELIVERS} has no 'default' backend.",
                hint="Without the setting, the console backend serves only while DEBUG is on.",
                id="twilio_verify.E006",
            )
        ]
    messages: list[CheckMessage] = []
    for alias in backends:
        messages += _check_backend(alias)
    return messages


def check_services(**kwargs: Any) -> list[CheckMessage]:
    """E031 to E034: what is wrong with a declared Verify Service. W030: it gets in the way of other settings."""
    if _error_of(lambda: settings.backends, "E006") or _error_of(lambda: settings.code_length, "E018"):
        return []  # other checks speak of them
    aliases = [alias for alias, config in settings.backends.items() if isinstance(config, Mapping)]
    return [message for alias in aliases for message in _check_service(alias)]


def _check_service(alias: str) -> list[CheckMessage]:
    try:
        declared = declaration.of(alias)
    except ImproperlyConfigured as error:
        return [Error(str(error), id="twilio_verify.E032")]
    place = declaration.place(alias)
    messages: list[CheckMessage] = [
        Error(f"{place}: {one.where}: {one.what}", id=f"twilio_verify.{one.check}")
        for one in declaration.problems(declared or {})
    ]
    unreadable = _error_of(lambda: (settings.channels, settings.router, settings.psd2), "E030")
    if messages or unreadable or declared is None:
        return messages
    return [
        Warning(f"{place}: {sentence}", id="twilio_verify.W030")
        for sentence in declaration.warnings(alias, declaration.resources(declared)[0].values)
    ]


def _check_backend(alias: str) -> list[CheckMessage]:
    where = f"{_DELIVERS}[{alias!r}]"
    config: object = settings.backends[alias]
    if not isinstance(config, Mapping) or not isinstance(config.get("BACKEND", ""), str):
        message = f"{where} must be a dict whose BACKEND is a dotted path."
        return [Error(message, hint='As in {"BACKEND": "…", "OPTIONS": {…}}.', id="twilio_verify.E007")]
    try:
        backend = backends[alias]
        messages = list(backend.system_checks())
    except ImproperlyConfigured as error:
        return [Error(str(error), id="twilio_verify.E007")]
    except Exception as error:  # somebody else's constructor: a check says what is wrong, and never stops the others
        # SECURITY: the class of the error and not its text, which may quote an option.
        return [Error(f"{where} cannot be made: {type(error).__name__}.", id="twilio_verify.E007")]
    if not backend.delivers and not django_settings.DEBUG:
        hint = "Codes are printed or kept in memory. Use TwilioBackend where people sign in."
        messages = [
            *messages,
            Warning(f"The backend {alias!r} delivers nothing.", hint=hint, id="twilio_verify.W001"),
        ]
    return messages


def check_routing(**kwargs: Any) -> list[CheckMessage]:
    """E030: ``TWILIO_VERIFY_ROUTER`` or ``TWILIO_VERIFY_TENANT`` is no callable. E060:
    ``TWILIO_VERIFY_MINIMUM_ASSURANCE`` is neither one nor a word for a way.
    """
    return [
        *_error_of(lambda: settings.router, "twilio_verify.E030"),
        *_error_of(lambda: settings.tenant, "twilio_verify.E030"),
        *_error_of(lambda: settings.minimum_assurance, "twilio_verify.E060"),
    ]


def check_enrolment(**kwargs: Any) -> list[CheckMessage]:
    """E065: ``TWILIO_VERIFY_PUSH_APP`` is no text, or ``TWILIO_VERIFY_OFFER_STRONGER`` neither true nor false. E066:
    ``TWILIO_VERIFY_FACTORS`` is no list of factors. W065: there is an app, and no backend for its phones.
    """
    if unreadable := [
        *_error_of(lambda: settings.push_app, "twilio_verify.E065"),
        *_error_of(lambda: settings.offer_stronger, "twilio_verify.E065"),
        *_error_of(lambda: settings.factors, "twilio_verify.E066"),
    ]:
        return unreadable
    if not settings.push_app or any(one.id in ("twilio_verify.E006", "twilio_verify.E007") for one in check_backends()):
        return []  # the second: there is none to ask
    if _error_of(lambda: settings.router, "E030") or routing.keeps(routing.possible(), FactorKind.PUSH):
        return []  # the first: another check speaks of it
    hint = "Nobody is offered the app: use TwilioBackend, or take the setting out."
    message = "TWILIO_VERIFY_PUSH_APP is set, and no backend that people are led to keeps phones."
    return [Warning(message, hint=hint, id="twilio_verify.W065")]


def check_channels(**kwargs: Any) -> list[CheckMessage]:
    """E008: an unknown way, or none. E009: a way that cannot be offered. W002: only text messages (Twilio: 30553)."""
    if unreadable := _error_of(lambda: settings.raw_channels, "twilio_verify.E008"):
        return unreadable
    messages: list[CheckMessage] = []
    if not settings.raw_channels:
        messages.append(Error("TWILIO_VERIFY_CHANNELS is empty.", hint=_OFFERABLE, id="twilio_verify.E008"))
    for word in settings.raw_channels:
        messages += _check_channel(word)
    if not messages and {channel.consent_channel for channel in settings.channels} <= {Channel.SMS}:
        messages.append(
            Warning(
                "TWILIO_VERIFY_CHANNELS offers text messages and nothing else.",
                hint="Carriers refuse programmes that force SMS (Twilio error 30553): offer another way too.",
                id="twilio_verify.W002",
            )
        )
    return messages


def check_plan(**kwargs: Any) -> list[CheckMessage]:
    """E040: ``TWILIO_VERIFY_CHANNEL_PLAN`` has a rule that is none. E041: a rule names a way that is not offered. W040:
    nothing to fall back to where the mobile network confirms nothing.
    """
    if unreadable := _error_of(lambda: settings.channel_plan, "twilio_verify.E040"):
        return unreadable
    if _error_of(lambda: settings.channels, "twilio_verify.E008"):
        return []  # that check speaks
    messages: list[CheckMessage] = [
        Error(
            f"TWILIO_VERIFY_CHANNEL_PLAN, rule {number}: {channel.value!r} is not in TWILIO_VERIFY_CHANNELS.",
            hint="A plan orders what is offered: add it there, or take it out here.",
            id="twilio_verify.E041",
        )
        for number, rule in enumerate(settings.channel_plan, 1)
        for channel in rule.channels
        if channel not in settings.channels
    ]
    by_phone = [one for one in settings.channels if one in CODE_CHANNELS and one != Channel.EMAIL]
    if Channel.SNA in settings.channels and not by_phone:
        hint = "On Wi-Fi, and with many networks, it confirms nothing: offer sms or call beside it."
        messages.append(
            Warning("TWILIO_VERIFY_CHANNELS offers sna and no code by phone.", hint=hint, id="twilio_verify.W040")
        )
    return messages


def check_send_options(**kwargs: Any) -> list[CheckMessage]:
    """E042: ``TWILIO_VERIFY_SEND_OPTIONS`` holds no options. E043: a backend does not take one of them. E044:
    ``TWILIO_VERIFY_PSD2`` names no alias, or one whose backend knows no payments.
    """
    if unreadable := _error_of(lambda: (settings.send_options, settings.psd2), "twilio_verify.E042"):
        return unreadable
    given = settings.send_options
    named = given if isinstance(given, Mapping) else {}
    if problem := _options_problem({name: value for name, value in named.items() if not callable(value)}, named):
        return [Error(f"TWILIO_VERIFY_SEND_OPTIONS: {problem}", id="twilio_verify.E042")]
    if any(message.id in ("twilio_verify.E006", "twilio_verify.E007") for message in check_backends()):
        return []  # there is none to ask
    messages: list[CheckMessage] = [
        Error(
            f"TWILIO_VERIFY_SEND_OPTIONS: the backend {alias!r} does not take {feature.label}.",
            hint="Take it out, or give it where you send.",
            id="twilio_verify.E043",
        )
        for alias in backends
        for feature in sorted(features_of(named) - backends[alias].features)
    ]
    return messages + [
        Error(
            f"TWILIO_VERIFY_PSD2: {alias!r} is no alias of a backend that takes amount and payee.",
            id="twilio_verify.E044",
        )
        for alias in settings.psd2
        if alias not in settings.backends or Feature.PSD2 not in backends[alias].features
    ]


def _options_problem(values: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    """What is wrong with the options of the settings, ``""`` if nothing. ``named``: also those that are callables."""
    try:
        features_of(named)  # the names, also of those to be called
        options = SendOptions.of(values)
        for channel in VERIFICATION_CHANNELS:
            options.fitting(channel).check(channel)
    except IncompatibleOptions as error:
        return str(error)
    except KeyError as error:
        return f"{error.args[0]!r} is no option of a send."
    taken = sorted({"amount", "payee"} & set(named))
    return f"{taken[0]} is given with each payment." if taken else ""


def _check_channel(word: object) -> list[CheckMessage]:
    try:
        channel = Channel.parse(str(word))
    except ValueError:
        message = f"TWILIO_VERIFY_CHANNELS: {word!r} is not a channel."
        return [Error(message, hint=_OFFERABLE, id="twilio_verify.E008")]
    if channel not in VERIFICATION_CHANNELS:
        message = f"TWILIO_VERIFY_CHANNELS: {channel.value!r} is not among the ways of Verify's Verifications."
        return [Error(message, hint=_OFFERABLE, id="twilio_verify.E009")]
    return []


def check_program(**kwargs: Any) -> list[CheckMessage]:
    """E015: an unknown fact in ``TWILIO_VERIFY_PROGRAM``. E016, while ``DEBUG`` W003: a fact is missing."""
    if unreadable := _error_of(lambda: settings.program, "twilio_verify.E015"):
        return unreadable
    program = settings.program
    missing = [name for name in REQUIRED_FACTS if not getattr(program, name)]
    if not missing:
        return []
    level, check_id = (Warning, "W003") if django_settings.DEBUG else (Error, "E016")
    return [
        level(
            f"TWILIO_VERIFY_PROGRAM lacks {', '.join(missing)}.",
            hint="Pages that ask for a number must show them (Twilio's Verify policy, CTIA).",
            id=f"twilio_verify.{check_id}",
        )
    ]


def check_disclosures(**kwargs: Any) -> list[CheckMessage]:
    """W005: a reviewer of Twilio's or a carrier's would reject the words that ask for consent, or a fact in them.

    Silent where another check speaks already: facts that are missing, and ways that are wrong or the only one.
    """
    if check_program() or check_channels():
        return []
    return [
        Warning(
            f"{_place(finding)}: {finding.problem} (Twilio error {finding.code})",
            hint=finding.remedy,
            id="twilio_verify.W005",
        )
        for finding in linter.findings(languages=linter.chosen_languages())
    ]


def _place(finding: linter.Finding) -> str:
    is_setting = finding.where.startswith("TWILIO_VERIFY")
    return finding.where if is_setting else f"TWILIO_VERIFY_PROGRAM and its pages ({finding.where})"


def check_countries(**kwargs: Any) -> list[CheckMessage]:
    """E017: a country that is not an ISO 3166 alpha-2 code with phone numbers."""
    messages = _error_of(lambda: settings.countries, "twilio_verify.E017")
    named = [] if messages else [("TWILIO_VERIFY_COUNTRIES", code) for code in settings.countries]
    if settings.default_region:
        named.append(("TWILIO_VERIFY_DEFAULT_REGION", settings.default_region))
    return messages + [
        Error(
            f"{name}: {code!r} is not the ISO 3166 code of a country.",
            hint="As in 'AT'.",
            id="twilio_verify.E017",
        )
        for name, code in named
        if code not in NAMES
    ]


SAFE_LENGTH = 6


def check_code(**kwargs: Any) -> list[CheckMessage]:
    """E018: ``TWILIO_VERIFY_CODE_LENGTH``, ``_CODE_LIFETIME``, ``_PENDING_LIFETIME``, ``_GRACE_DAYS``,
    ``_DECISION_AGE``, ``_REPROVE_DAYS``, ``_RESET_DELAY_HOURS``, ``_RESET_LINK_HOURS``, ``_STEP_UP_AGE``,
    ``_TRUST_DAYS``, ``_TRUSTED_PROXIES`` or ``_RETENTION_DAYS`` out of range. W006: codes of fewer than six digits.
    """
    bounds: Iterable[tuple[str, Callable[[], int], int, int]] = (
        ("CODE_LENGTH", lambda: settings.code_length, MIN_LENGTH, MAX_LENGTH),
        ("CODE_LIFETIME", lambda: settings.code_lifetime, 120, 86_400),
        ("PENDING_LIFETIME", lambda: settings.pending_lifetime, 60, 86_400),
        ("GRACE_DAYS", lambda: settings.grace_days, 0, 365),
        ("DECISION_AGE", lambda: settings.decision_age, 0, 86_400),
        ("TRUSTED_PROXIES", lambda: settings.trusted_proxies, 0, 10),
        ("REPROVE_DAYS", lambda: settings.reprove_days, 0, 3650),
        ("STEP_UP_AGE", lambda: settings.step_up_age, 60, 86_400),
        ("RESET_DELAY_HOURS", lambda: settings.reset_delay_hours, 0, 8760),
        ("RESET_LINK_HOURS", lambda: settings.reset_link_hours, 1, 8760),
        ("RETENTION_DAYS", lambda: settings.retention_days, 1, 36_525),
        ("TRUST_DAYS", _trust_days, 0, 365),
    )
    messages: list[CheckMessage] = [
        Error(
            f"TWILIO_VERIFY_{name} must be a whole number from {low} to {high}.",
            id="twilio_verify.E018",
        )
        for name, read, low, high in bounds
        if not _within(read, low, high)
    ]
    if not messages and settings.code_length < SAFE_LENGTH:
        hint = "NIST SP 800-63B-4 asks for at least six digits (section 3.1.3.2)."
        sentence = f"TWILIO_VERIFY_CODE_LENGTH is {settings.code_length}: such codes are easily guessed."
        messages.append(Warning(sentence, hint=hint, id="twilio_verify.W006"))
    return messages


def _trust_days() -> int:
    days = settings.trust_days
    return days if isinstance(days, int) else 0  # what a callable answers is judged when it does


def _within(read: Callable[[], int], low: int, high: int) -> bool:
    try:
        return low <= read() <= high
    except ImproperlyConfigured:
        return False


def _error_of(read: Callable[[], object], check_id: str) -> list[CheckMessage]:
    try:
        read()
    except ImproperlyConfigured as error:
        return [Error(str(error), id=check_id)]
    return []


def _resolved(path: Any) -> Any:
    try:
        return import_string(path)
    except Exception:  # a typo, or a module that cannot be imported: Django itself reports it when it starts
        return path


def _position(order: list[Any], path: str) -> int | None:
    """Where ``path``, or a subclass of what it names, stands."""
    wanted = import_string(path)
    for index, found in enumerate(order):
        if found is wanted or (isinstance(found, type) and issubclass(found, wanted)):
            return index
    return None
