"""The Verify Service as settings declare it: ``TWILIO_VERIFY_BACKENDS[alias]["SERVICE"]``.

What is wrong with a declaration is found here without asking anybody, by the bounds that Twilio documents; the system
checks and ``manage.py twilio_service`` say it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from ..backends.options import MAX_FRIENDLY_DIGITS, MAX_FRIENDLY_NAME
from ..backends.service import SERVICE_PARAMETERS, Kind, Resource, Value
from ..choices import Channel
from ..conf import settings
from ..core.countries import NAMES

EVENT_TYPES = ("*", "factor.created", "factor.verified", "factor.deleted", "challenge.approved", "challenge.denied")
"""What a webhook can be told of (https://www.twilio.com/docs/verify/api/webhooks). Verifications are not among it."""
RELATED = ("rate_limits", "messaging_configurations", "webhooks")

NO_PARAMETERS: Mapping[str, str] = {
    "ttl": "only Twilio Support sets how long a code lives; CODE_LIFETIME_SECONDS of the alias follows.",
    "do_force_check_once": "there is no such parameter, whatever some guides say.",
    "mailer_sid": "the email integration is attached to the Service in the Twilio Console.",
    "channels": "channels are switched on and off in the Twilio Console; TWILIO_VERIFY_CHANNELS offers them.",
    "fraud_guard": "Fraud Guard is set in the Twilio Console.",
    "geo_permissions": "Geo permissions are set in the Twilio Console; TWILIO_VERIFY_COUNTRIES is the list here.",
}
"""What people look for, and the API does not have."""

UNKNOWN, VALUE, TOGETHER, SAID_TWICE = "E031", "E032", "E033", "E034"
"""The system checks that the problems are reported as."""


@dataclass(frozen=True, slots=True)
class Problem:
    """``where``: as ``rate_limits['ip']['buckets'][0]['max']``. ``what``: the rest of the sentence, with no value of
    the declaration in it. ``check``: the id of the system check, as ``E032``.
    """

    where: str
    what: str
    check: str = VALUE


def of(alias: str) -> Mapping[str, Any] | None:
    """What settings declare for the backend ``alias``; ``None`` if nothing. Raises ``ImproperlyConfigured`` for what is
    no dict.
    """
    declared = settings.backends[alias].get("SERVICE")
    if declared is not None and not isinstance(declared, Mapping):
        raise ImproperlyConfigured(f"{place(alias)} must be a dict.")
    return declared


def place(alias: str) -> str:
    """Where in the settings it stands."""
    return f"TWILIO_VERIFY_BACKENDS[{alias!r}]['SERVICE']"


def problems(alias: str, declared: Mapping[str, Any]) -> list[Problem]:
    """All that is wrong with what is declared for ``alias``."""
    found = [
        *_service_problems(declared),
        *_rate_limit_problems(declared.get("rate_limits")),
        *_messaging_problems(declared.get("messaging_configurations")),
        *_webhook_problems(declared.get("webhooks")),
    ]
    # What does not go together is looked for among values that make sense by themselves.
    return found or [*_disagreements(declared), *_said_twice(alias, declared)]


def resources(alias: str, declared: Mapping[str, Any]) -> list[Resource]:
    """What should be there, the Service first and buckets after their rate limit. Of a declaration without problems.

    ``code_length`` is always among it, and ``psd2_enabled`` where the alias has ``PSD2``: what the declaration leaves
    out is taken from the alias.
    """
    return [
        _service(alias, declared),
        *_rate_limits(declared.get("rate_limits") or {}),
        *(
            Resource(Kind.MESSAGING_CONFIGURATION, country, {"messaging_service_sid": sid})
            for country, sid in (declared.get("messaging_configurations") or {}).items()
        ),
        *(_webhook(one) for one in declared.get("webhooks") or ()),
    ]


def warnings(alias: str, service: Mapping[str, Value]) -> Iterator[str]:
    """Where the Service of ``alias`` and other settings get in each other's way: a sentence each, with the error that
    Twilio would answer a send with.
    """
    offered = set(settings.channels)
    if service.get("psd2_enabled") and alias == "default" and settings.router is None:
        yield "psd2_enabled: codes for signing in are refused. Route payments to a Service of their own."
    if service.get("skip_sms_to_landlines") and not service.get("lookup_enabled"):
        yield "skip_sms_to_landlines skips nothing without lookup_enabled."
    if Channel.WHATSAPP in offered and not service.get("whatsapp_from", "of which nothing is said"):
        yield "TWILIO_VERIFY_CHANNELS offers whatsapp, and the Service has no whatsapp_from."


def _service(alias: str, declared: Mapping[str, Any]) -> Resource:
    values: dict[str, Value] = {
        name: _canonical(name, declared[name]) for name in SERVICE_PARAMETERS if declared.get(name) is not None
    }
    said = settings.service(alias)
    values.setdefault("code_length", said.code_length)
    if said.psd2 is not None:
        values.setdefault("psd2_enabled", said.psd2)
    return Resource(Kind.SERVICE, "", values)


def _canonical(name: str, value: Any) -> Value:
    return _origins(value) if name == "passkeys_relying_party_origins" else value


def _rate_limits(declared: Mapping[str, Any]) -> Iterator[Resource]:
    for name, limit in declared.items():
        described = {} if limit.get("description") is None else {"description": str(limit["description"])}
        yield Resource(Kind.RATE_LIMIT, name, described)
        for bucket in limit.get("buckets") or ():
            yield Resource(Kind.BUCKET, str(bucket["interval"]), {"max": bucket["max"]}, parent=name)


def _webhook(one: Mapping[str, Any]) -> Resource:
    values: dict[str, Value] = {
        "event_types": tuple(one["event_types"]),
        "webhook_url": str(one["webhook_url"]),
        "status": one.get("status") or "enabled",
        "version": one.get("version") or "v2",
    }
    return Resource(Kind.WEBHOOK, str(one["friendly_name"]), values)


# The rules. Each answers with the rest of a sentence, or "" if there is nothing to say.

Rule = Callable[[Any], str]


def _friendly_name(value: object) -> str:
    text = value if isinstance(value, str) else ""
    if not 1 <= len(text.strip()) <= len(text) <= MAX_FRIENDLY_NAME:
        return f"must be a text of 1 to {MAX_FRIENDLY_NAME} characters."
    if sum(letter.isdigit() for letter in text) > MAX_FRIENDLY_DIGITS:
        return f"may have {MAX_FRIENDLY_DIGITS} digits at most, wherever they stand."
    if not all(letter.isalnum() or letter in " -_" for letter in text):
        return "may have letters, digits, spaces, dashes and underscores: no links, no other signs."
    return ""


def _flag(value: object) -> str:
    return "" if isinstance(value, bool) else "must be True or False."


def _text(value: object) -> str:
    return "" if isinstance(value, str) and len(value) <= 255 and value.isprintable() else "must be a text of one line."


def _whole(low: int, high: int | None = None) -> Rule:
    bounds = f"from {low} to {high}" if high is not None else f"of {low} or more"

    def rule(value: object) -> str:
        number = value if isinstance(value, int) and not isinstance(value, bool) else None
        fits = number is not None and low <= number and (high is None or number <= high)
        return "" if fits else f"must be a whole number {bounds}."

    return rule


def _sid(prefix: str) -> Rule:
    pattern = re.compile(rf"{prefix}[0-9a-fA-F]{{32}}|")

    def rule(value: object) -> str:
        fits = isinstance(value, str) and pattern.fullmatch(value)
        return "" if fits else f'must be {prefix} and 32 hexadecimal digits, or "" for none.'

    return rule


def _one_of(*words: str) -> Rule:
    def rule(value: object) -> str:
        return "" if isinstance(value, str) and value in words else f"must be one of {', '.join(map(repr, words))}."

    return rule


def _sender(value: object) -> str:
    fits = isinstance(value, str) and re.fullmatch(r"(whatsapp:\+[1-9][0-9]{6,14})?", value)
    return "" if fits else 'must be "whatsapp:" and the number of the sender, as whatsapp:+12025550143.'


_HOST = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


def _domain(value: object) -> str:
    fits = value == "" or (isinstance(value, str) and re.fullmatch(_HOST, value))
    return "" if fits else "must be a domain in small letters, without scheme, port or path, as example.com."


def _origins(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() for part in parts if part.strip())


def _origin_list(value: object) -> str:
    if not isinstance(value, str | list | tuple) or not all(isinstance(one, str) for one in value):
        return "must be a list of origins."
    if not all(_is_origin(one) for one in _origins(value)):
        return "must hold full origins, as https://login.example.com or android:apk-key-hash:…"
    return ""


def _is_origin(text: str) -> bool:
    if text.startswith("android:apk-key-hash:"):
        return re.fullmatch(r"[A-Za-z0-9_-]+=*", text.removeprefix("android:apk-key-hash:")) is not None
    return re.fullmatch(rf"https://{_HOST}(:[0-9]{{1,5}})?", text) is not None


_RULES: Mapping[str, Rule] = {
    "friendly_name": _friendly_name,
    "code_length": _whole(4, 10),
    "lookup_enabled": _flag,
    "skip_sms_to_landlines": _flag,
    "dtmf_input_required": _flag,
    "tts_name": _text,
    "psd2_enabled": _flag,
    "do_not_share_warning_enabled": _flag,
    "custom_code_enabled": _flag,
    "push_include_date": _flag,
    "push_apn_credential_sid": _sid("CR"),
    "push_fcm_credential_sid": _sid("CR"),
    "totp_issuer": _text,
    "totp_time_step": _whole(20, 60),
    "totp_code_length": _whole(3, 8),
    "totp_skew": _whole(0, 2),
    "default_template_sid": _sid("HJ"),
    "whatsapp_msg_service_sid": _sid("MG"),
    "whatsapp_from": _sender,
    "passkeys_relying_party_id": _domain,
    "passkeys_relying_party_name": _text,
    "passkeys_relying_party_origins": _origin_list,
    "passkeys_authenticator_attachment": _one_of("", "platform", "cross-platform", "any"),
    "passkeys_discoverable_credentials": _one_of("", "required", "preferred", "discouraged"),
    "passkeys_user_verification": _one_of("", "required", "preferred", "discouraged"),
    "verify_event_subscription_enabled": _flag,
}
_BUCKET: Mapping[str, Rule] = {"max": _whole(1), "interval": _whole(1)}


def _service_problems(declared: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in declared.items():
        where = f"{name!r}"
        if name in NO_PARAMETERS:
            yield Problem(where, NO_PARAMETERS[name], UNKNOWN)
        elif name not in _RULES and name not in RELATED:
            yield Problem(where, "is no parameter of a Service.", UNKNOWN)
        elif name in _RULES and value is not None and (what := _RULES[name](value)):
            yield Problem(where, what)


def _disagreements(declared: Mapping[str, Any]) -> Iterator[Problem]:
    if declared.get("skip_sms_to_landlines") and not declared.get("lookup_enabled"):
        yield Problem("'skip_sms_to_landlines'", "needs lookup_enabled, which looks up what is a landline.", TOGETHER)
    if bool(declared.get("whatsapp_from")) != bool(declared.get("whatsapp_msg_service_sid")):
        what = "needs whatsapp_msg_service_sid, and the other way round: the sender belongs to a Messaging Service."
        yield Problem("'whatsapp_from'", what, TOGETHER)
    domain, hosts = declared.get("passkeys_relying_party_id"), _hosts(declared.get("passkeys_relying_party_origins"))
    if domain and any(host != domain and not host.endswith(f".{domain}") for host in hosts):
        what = "must be on the domain of passkeys_relying_party_id, or below it."
        yield Problem("'passkeys_relying_party_origins'", what, TOGETHER)


def _said_twice(alias: str, declared: Mapping[str, Any]) -> Iterator[Problem]:
    """Where the declaration and the keys of the alias name different values."""
    said = settings.service(alias)
    for name, key, ours, why in (
        ("code_length", "CODE_LENGTH", said.code_length, "codes of another length are refused unasked"),
        ("psd2_enabled", "PSD2", bool(said.psd2), "it says whether sends carry amount and payee"),
    ):
        if declared.get(name) is not None and declared[name] != ours:
            what = f"must equal TWILIO_VERIFY_BACKENDS[{alias!r}][{key!r}], which is {ours}: {why}."
            yield Problem(f"{name!r}", what, SAID_TWICE)


def _hosts(origins: Any) -> list[str]:
    named = (urlsplit(one).hostname for one in _origins(origins or ()) if one.startswith("https://"))
    return [host for host in named if host]


def _rate_limit_problems(declared: Any) -> Iterator[Problem]:
    if declared is None:
        return
    if not isinstance(declared, Mapping):
        yield Problem("'rate_limits'", "must be a dict, unique name to description and buckets.")
        return
    for name, limit in declared.items():
        where = f"'rate_limits'[{name!r}]"
        if what := _unique_name(name):
            # SECURITY: a name that may be somebody's address is not shown.
            yield Problem("'rate_limits'", f"has a name that {what}")
        elif not isinstance(limit, Mapping):
            yield Problem(where, "must be a dict of description and buckets.")
        else:
            yield from _limit_problems(where, limit)


def _unique_name(name: object) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
        return "is not 1 to 64 letters, digits, dashes, underscores and dots."
    if re.search(r"[0-9]{7}", name) or _is_address(name):
        return "looks like a number or an address: it names what is counted, and holds no personal data."
    return ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _limit_problems(where: str, limit: Mapping[str, Any]) -> Iterator[Problem]:
    for key in limit:
        if key not in ("description", "buckets"):
            yield Problem(f"{where}[{key!r}]", "is no parameter of a rate limit.", UNKNOWN)
    if limit.get("description") is not None and (what := _text(limit["description"])):
        yield Problem(f"{where}['description']", what)
    buckets = limit.get("buckets")
    if not _is_list(buckets) or not buckets:
        yield Problem(f"{where}['buckets']", "must be a list of at least one bucket: without any, nothing is limited.")
        return
    found = [
        problem
        for index, one in enumerate(buckets)
        for problem in _fields(f"{where}['buckets'][{index}]", one, _BUCKET)
    ]
    yield from found
    if not found and len({one["interval"] for one in buckets}) < len(buckets):
        yield Problem(f"{where}['buckets']", "has an interval twice.")


def _messaging_problems(declared: Any) -> Iterator[Problem]:
    if declared is None:
        return
    if not isinstance(declared, Mapping):
        yield Problem("'messaging_configurations'", "must be a dict, country to Messaging Service.")
        return
    for country, sid in declared.items():
        where = f"'messaging_configurations'[{country!r}]"
        if country != "all" and country not in NAMES:
            yield Problem(where, "must be for an ISO 3166 country, as 'US', or for 'all'.")
        if not sid or _sid("MG")(sid):
            yield Problem(where, "must be the SID of a Messaging Service: MG and 32 hexadecimal digits.")


def _event_list(value: object) -> str:
    if not _is_list(value) or not value:
        return "must be a list of event types."
    assert isinstance(value, Sequence)
    if any(one not in EVENT_TYPES for one in value) or len(set(value)) < len(value):
        return f"may have each of {', '.join(map(repr, EVENT_TYPES))} once."
    return ""


def _hook_url(value: object) -> str:
    fits = isinstance(value, str) and value.isprintable() and " " not in value and _is_https(value)
    return "" if fits else "must be an address that begins with https://."


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket that is not closed
        return False
    return parts.scheme == "https" and bool(parts.hostname)


def _given(rule: Rule) -> Rule:
    return lambda value: "" if value is None else rule(value)


_WEBHOOK: Mapping[str, Rule] = {
    "friendly_name": lambda value: _text(value) or ("" if value else "must be a text of one line."),
    "event_types": _event_list,
    "webhook_url": _hook_url,
    "status": _given(_one_of("enabled", "disabled")),
    "version": _given(_one_of("v1", "v2")),
}


def _webhook_problems(declared: Any) -> Iterator[Problem]:
    if declared is None:
        return
    if not _is_list(declared):
        yield Problem("'webhooks'", "must be a list of dicts.")
        return
    found = [
        problem for index, one in enumerate(declared) for problem in _fields(f"'webhooks'[{index}]", one, _WEBHOOK)
    ]
    yield from found
    if not found and len({one["friendly_name"] for one in declared}) < len(declared):
        yield Problem("'webhooks'", "has a friendly_name twice, by which a webhook is found again.")


def _fields(where: str, given: object, rules: Mapping[str, Rule]) -> Iterator[Problem]:
    """What is wrong with a dict whose keys have ``rules``; one that is missing is ruled as ``None``."""
    if not isinstance(given, Mapping):
        yield Problem(where, f"must be a dict of {', '.join(rules)}.")
        return
    for key in given:
        if key not in rules:
            yield Problem(f"{where}[{key!r}]", "is no parameter of it.", UNKNOWN)
    for name, rule in rules.items():
        if what := rule(given.get(name)):
            yield Problem(f"{where}[{name!r}]", what)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)
