"""The one table of settings: type, default, system check and the words of the reference, in the reference's order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings as django_settings

from ..choices import DEVICE_KINDS
from . import channel_settings, facts, keys, limit_settings, policy, readers, service_settings
from .setting import Number, Problem, Setting

CONSOLE_BACKENDS: Mapping[str, Mapping[str, Any]] = {
    "default": {"BACKEND": "django_twilio_verify.backends.console.ConsoleBackend"}
}


def _backends() -> Mapping[str, Mapping[str, Any]]:
    return CONSOLE_BACKENDS if django_settings.DEBUG else {}


def _problems_of_backends(name: str, given: Mapping[str, Any]) -> tuple[Problem, ...]:
    hint = "Without the setting, the console backend serves only while DEBUG is on."
    return () if "default" in given else (Problem(f"{name} has no 'default' backend.", hint),)


def _function(kind: str = "callable or dotted path", **rest: Any) -> Setting[Callable[..., object] | None]:
    return Setting(readers.function, None, kind, **rest)


def _text(default: str, kind: str, **rest: Any) -> Setting[str]:
    return Setting(readers.text, default, kind, **rest)


def _number(default: int, unit: str, low: int, high: int, means: str = "") -> Number[int]:
    kind, read = f"{unit}, {low} to {high}", _DURATIONS.get(unit)
    unit = unit if read else ""
    return Number(read or readers.whole, default, kind, low=low, high=high, unit=unit, means=means, check="E018")


_DURATIONS = {"seconds": readers.seconds, "hours": readers.hours, "days": readers.days}


class Settings:
    """Read-only view of the site's settings."""

    __slots__ = ()

    backends: Setting[Mapping[str, Mapping[str, Any]]] = Setting(
        readers.mapping,
        _backends,
        "dict, alias to dict",
        told="the console backend while `DEBUG`; else none, an error",
        check="E006",
        judge=_problems_of_backends,
    )
    """Alias to ``{"BACKEND": dotted path, "OPTIONS": {...}}`` and the facts of its Service (``service``)."""

    claimant_backend = _text("", "alias", means="`default`")
    """Alias of the backend for verifications that nobody owns yet, ``""`` where they share ``default``.

    SECURITY: a Service of their own is what keeps strangers' sends and guesses apart from the owner's at the provider,
    which has one pending verification for a number and Service.
    """

    router = _function(told="none: `default` carries everything", check="E030")
    """What names the backend of a proof: a callable ``(RouteRequest) -> alias or None``."""

    tenant = _function(told="none", check="E030")
    """What names the tenant of a request: a callable ``(request) -> str``."""

    channels = Setting(
        channel_settings.channels,
        channel_settings.OFFERED,
        "list of words",
        told='`["sms", "call", "email"]`',
        check="E008",
    )
    """The ways offered, each once, in that order."""

    channel_rules = Setting(
        channel_settings.channel_rules, (), "list of dicts", means="as `TWILIO_VERIFY_CHANNELS`", check="E040"
    )
    """Which ways come first for whom: the first rule that fits a send holds, without one ``channels`` does."""

    send_options = Setting(channel_settings.send_options, {}, "dict, callable or dotted path", check="E042")
    """What every send is told: option names of ``SendOptions`` to values or callables ``(SendRequest) -> value``; or
    one callable that gives all of it.
    """

    required_for = Setting(
        policy.required_for, "enrolled", "word, callable, dotted path or a list of them", check="E003", security=True
    )
    """Who must have a factor, any of which suffices: words of ``POLICY_WORDS``, ``"group:<name>"``,
    ``"perm:<app.codename>"`` and callables ``(user, request) -> bool``.
    """

    grace_days = _number(0, "days", 0, 365, "no time to enroll")
    """Days for which people who must enroll may put it off, from when they were first asked. 0: not at all."""

    policy_recheck_seconds = _number(300, "seconds", 0, 86_400)
    """Seconds after which it is decided anew, in an open session, that somebody owes no factor."""

    defer_login_signal = Setting(readers.truth, False, "`True` or `False`")
    """Whether ``user_logged_in`` is sent when the second factor has passed, instead of with the password."""

    minimum_assurance = Setting(
        channel_settings.minimum_assurance,
        "",
        "word, callable or dotted path",
        told="none: every way is good enough",
        check="E060",
    )
    """The weakest channel that is good enough to sign in by, ``""`` for no minimum; or a callable
    ``(AssuranceRequest) -> word or None``.
    """

    device_factors = Setting(
        channel_settings.factors,
        DEVICE_KINDS,
        "list of `totp`, `push`, `passkey`",
        told="`None`: all that the backend keeps",
        check="E066",
    )
    """The factors kept by the provider that people are offered to enroll, as far as the backend keeps them."""

    push_app_name = Setting(readers.app_name, "", "text", means="no app", check="E065")
    """The name of the site's app on phones, by which people approve a sign-in; ``""``: there is none, and the pages and
    the access tokens for it are not there.
    """

    suggest_stronger_factor = Setting(readers.flag, True, "bool", check="E065")
    """Whether a person who has just signed in by a code is offered a stronger factor."""

    program = Setting(facts.program, {}, "dict of texts", told="`{}`; outside `DEBUG` an error", check="E015")
    """The programme's facts."""

    limits = Setting(
        limit_settings.limits,
        {},
        "dict, rule to number",
        told="see below",
        check="E004",
        judge=limit_settings.problems_of_limits,
        security=True,
    )
    """How often, by rule: the defaults of ``LIMIT_RULES``, which says in what time, under the site's numbers."""

    resend_cooldown_seconds = Setting(
        limit_settings.spacing,
        limit_settings.RESEND_COOLDOWN_SECONDS,
        "list of seconds, 1 to 600",
        told="`[30, 40, 60, 90, 120]`",
        check="E024",
    )
    """Seconds to wait after the first, second … send of a verification."""

    countries = Setting(
        readers.capitals,
        (),
        "list of ISO 3166 alpha-2 codes",
        means="all",
        check="E017",
        judge=channel_settings.problems_of_countries,
    )
    """ISO 3166 alpha-2 codes of the countries that may be sent to; empty for all."""

    default_region = Setting(
        channel_settings.region, "", "ISO 3166 alpha-2 code", check="E017", judge=channel_settings.problems_of_countries
    )
    """ISO 3166 alpha-2 country of numbers written without ``+``, or ``""`` to ask every time."""

    pending_login_seconds = _number(1800, "seconds", 60, 86_400)
    """Seconds that a sign-in may wait for its second factor."""

    trusted_browser_days = Number(
        policy.trusted_browser_days,
        0,
        "days, 0 to 365; callable or dotted path",
        means="never",
        check="E018",
        low=0,
        high=365,
    )
    """Days for which a browser may be excused from the second factor, 0 for never, and then it is not offered; or a
    callable ``(user, request) -> days``.
    """

    fingerprint_keys = Setting(
        keys.fingerprint_keys,
        (),
        'list of `(id, secret)` or `(id, "retired")`',
        told="derived from `SECRET_KEY`",
        check="E005",
        security=True,
    )
    """Keys for fingerprints, newest first: all are tried when looking up, the first one writes.

    ``(id, "retired")`` is a key whose secret is gone, which is not among these (``retired_key_ids``). Unset, one is
    derived from ``SECRET_KEY``, and one from each of ``SECRET_KEY_FALLBACKS``.
    """

    signing_keys = Setting(
        keys.signing_keys,
        (),
        "list of `(id, secret)`",
        told="derived from `SECRET_KEY`",
        check="E020",
        judge=keys.problems_of_signing_keys,
        security=True,
    )
    """Keys for the seals over the consent ledger, newest first: the first one signs, all check. Unset, HMAC keys are
    derived as those for fingerprints are.
    """

    timestamp_url = _text("", "URL", means="no time-stamps")
    """Address of an RFC 3161 time-stamping authority that stamps each seal, or ``""`` for none."""

    reset_delay_hours = _number(24, "hours", 0, 8760)
    """Hours between a member of staff asking for a reset of factors and the reset."""

    reset_link_hours = _number(72, "hours", 1, 8760)
    """Hours that the enrollment link of a reset is good for."""

    may_reset = _function("callable `(staff, user) -> bool`, or its dotted path", check="E072", security=True)
    """Who may reset whom, beyond the built-in rule."""

    evidence_retention_days = _number(1826, "days", 1, 36_525)
    """Days that the personal half of evidence is kept after the consent ended: five years.

    16 CFR 310.5 asks for five years, 28 USC 1658 allows suits for four.
    """

    step_up_max_age_seconds = _number(600, "seconds", 60, 86_400)
    """Seconds for which a proof counts where the person is about to change what protects the account."""

    reverify_days = _number(0, "days", 0, 3650, "never")
    """Days after which a number or address that was not used has to be proved anew before it opens anything: it may be
    somebody else's by now. 0: never.
    """

    webhook = Setting(facts.webhook, {}, "dict", check="E050", judge=facts.problems_of_webhook, security=True)
    """How events come in."""

    proxy_count = _number(0, "number", 0, 10)
    """How many proxies of the site's own append to ``X-Forwarded-For``. 0 ignores the header."""

    exempt_urls = Setting(
        policy.exemptions,
        (),
        "list of URL names and prefixes",
        told="`()`, and always `logout`",
        check="E019",
        judge=policy.problems_of_exemptions,
        security=True,
    )
    """What a pending sign-in may open: URL names, ``"namespace:name"`` and ``"/prefix/"`` of routes."""

    error_messages: Setting[Mapping[str, Any]] = Setting(
        readers.mapping, {}, "dict, code to text", means="our own sentences", check="E067"
    )
    """Texts for users instead of ours, by the code of an error or of an outcome (``exceptions.site_message``)."""

    redirect_url = Setting(
        readers.text, lambda: django_settings.LOGIN_REDIRECT_URL, "path, URL or URL name", told="`LOGIN_REDIRECT_URL`"
    )
    """Where a person goes without a ``next``: a path, URL or URL name."""

    def service(self, alias: str) -> service_settings.ServiceSettings:
        """Return the facts of the Service behind ``alias`` in ``TWILIO_VERIFY_BACKENDS``."""
        return service_settings.service(alias, self.backends)

    @property
    def raw_channels(self) -> tuple[str, ...]:
        """``TWILIO_VERIFY_CHANNELS`` as written."""
        name = "TWILIO_VERIFY_CHANNELS"
        return readers.several(name, readers.written(name, channel_settings.OFFERED))


settings = Settings()
TABLE: Mapping[str, Setting[Any]] = {name: one for name, one in vars(Settings).items() if isinstance(one, Setting)}
"""By the name of the property."""
