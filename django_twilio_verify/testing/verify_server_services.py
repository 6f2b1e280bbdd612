"""The Services of the pretended account, and what belongs to them: part of every ``VerifyServer``.

What is done to the server's own Service takes effect in its simulator: codes get their length from it, and sends may
name its rate limits.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from urllib.parse import unquote, urlencode

from ..backends.simulator.rules import invalid, not_found
from ..backends.twilio.errors import VerifyError
from ..core.countries import NAMES
from .verify_server import DEFAULT_PAGE_SIZE, Request, VerifyServer

Form = Sequence[tuple[str, str]]
Body = dict[str, Any]

MAX_RATE_LIMITS = 10
MAX_BUCKETS = 10
"""Twilio has such bounds (60207, 60210) and does not tell the numbers: these are ours."""

_EVENTS = ("*", "factor.created", "factor.verified", "factor.deleted", "challenge.approved", "challenge.denied")
_WANTS = ("", "required", "preferred", "discouraged")


class AccountServices:
    """``psd2_allowed``: whether Twilio Support has opened PSD2 for the account (60204 if not)."""

    def __init__(self, server: VerifyServer) -> None:
        self.psd2_allowed = True
        self._server = server
        self._lock = Lock()
        self._there: dict[str, dict[str, Body]] = {"Services": {}}
        length = str(server.simulator.code_length)
        self._put_service(server.service_sid, [("FriendlyName", "Test"), ("CodeLength", length)])

    def bodies(self, path: str) -> list[Body]:
        """What is there, as Twilio's JSON. ``path``: as ``f"Services/{sid}/RateLimits"``."""
        with self._lock:
            return [dict(one) for one in self._there.get(path, {}).values()]

    def answer(self, request: Request) -> tuple[int, Any] | None:
        """As ``server.Extension`` has it. Raises ``VerifyError`` to refuse."""
        path = unquote(request.path).removeprefix("/v2/")
        parent, _, key = path.rpartition("/")
        with self._lock:
            if _shape(path):
                answered = self._answer_collection(request, path)
            elif _shape(parent):
                answered = self._answer_one(request, parent, key)
            else:
                return None
            if request.method != "GET":
                self._take_effect()
        return answered

    def _answer_collection(self, request: Request, path: str) -> tuple[int, Any] | None:
        self._find_owner(path)
        if request.method == "GET":
            return 200, self._page(path, dict(request.query))
        return (201, self._create(path, request.form)) if request.method == "POST" else None

    def _answer_one(self, request: Request, parent: str, key: str) -> tuple[int, Any] | None:
        self._find_owner(parent)
        found = self._there.get(parent, {}).get(key)
        if found is None:
            raise not_found(request.path)
        if request.method == "DELETE":
            self._remove(parent, key)
            return 204, None
        if request.method == "POST":
            self._update(parent, key, request.form)
        return 200, found

    def _update(self, parent: str, key: str, form: Form) -> None:
        here = self._there[parent]
        fields = self._fields(parent, form, here[key])
        _shape_of(parent).admit({**here[key], **fields}, [one for other, one in here.items() if other != key])
        here[key].update(fields, date_updated=_now())

    def _find_owner(self, path: str) -> None:
        """Raise 404 unless everything above ``path`` is there."""
        owner, _, key = path.rpartition("/")[0].rpartition("/")
        if owner and key not in self._there.get(owner, {}):
            raise not_found(f"/v2/{owner}/{key}")

    def _create(self, path: str, form: Form) -> Body:
        if path == "Services":
            return self._put_service("VA" + secrets.token_hex(16), form)
        shape = _shape_of(path)
        here = self._there.setdefault(path, {})
        fields = self._fields(path, form, {})
        if missing := [name for name in shape.required if not dict(form).get(name)]:
            raise invalid(missing[0])
        shape.admit(fields, list(here.values()))
        named = {"sid": shape.prefix + secrets.token_hex(16)} if shape.prefix else {}
        key = named.get("sid") or fields["country"]
        here[key] = {**self._owners(path), **named, **fields, **self._common(path, key)}
        if path.endswith("RateLimits"):
            here[key]["links"] = {"buckets": f"{self._server.url}/v2/{path}/{key}/Buckets"}
        return here[key]

    def _put_service(self, sid: str, form: Form) -> Body:
        if not dict(form).get("FriendlyName"):
            raise invalid("FriendlyName")
        body: Body = {"sid": sid, "account_sid": self._server.account_sid, **_new_service()}
        body.update(self._fields("Services", form, body))
        body.update(self._common("Services", sid))
        body["links"] = {_LINK_NAMES.get(one, _snake(one)): f"{body['url']}/{one}" for one in _LINKS}
        self._there["Services"][sid] = body
        return body

    def _fields(self, path: str, form: Form, current: Body) -> Body:
        """What ``form`` sets, in the words of the answer. Raises ``VerifyError``."""
        shape = _shape_of(path)
        fields = {**shape.defaults} if not current else {}
        for name in dict(form):
            given = [value for other, value in form if other == name]
            if name in shape.parameters:
                place, read = shape.parameters[name]
                _set(fields, place, read(name, given), current)
        if fields.get("psd2_enabled") and not self.psd2_allowed:
            raise VerifyError(403, 60204, "PSD2 is not enabled for the account")
        return fields

    def _owners(self, path: str) -> Body:
        parts = path.split("/")
        limit = {"rate_limit_sid": parts[3]} if len(parts) > 4 else {}
        return {"account_sid": self._server.account_sid, "service_sid": parts[1], **limit}

    def _common(self, path: str, key: str) -> Body:
        url = f"{self._server.url}/v2/{path}/{key}"
        return {"date_created": _now(), "date_updated": _now(), "url": url}

    def _remove(self, parent: str, key: str) -> None:
        del self._there[parent][key]
        below = f"{parent}/{key}/"
        self._there = {path: found for path, found in self._there.items() if not path.startswith(below)}

    def _page(self, path: str, query: Mapping[str, str]) -> Body:
        size, page = int(query.get("PageSize", DEFAULT_PAGE_SIZE)), int(query.get("Page", 0))
        found = list(self._there.get(path, {}).values())
        here = found[page * size : (page + 1) * size]

        def at(number: int) -> str:
            return f"{self._server.url}/v2/{path}?{urlencode({'PageSize': size, 'Page': number})}"

        shape = _shape_of(path)
        meta = {
            "key": shape.key,
            "page": page,
            "page_size": size,
            "first_page_url": at(0),
            "previous_page_url": at(page - 1) if page else None,
            "url": at(page),
            "next_page_url": at(page + 1) if len(found) > (page + 1) * size else None,
        }
        return {shape.key: here, "meta": meta}

    def _take_effect(self) -> None:
        """Have the simulator behave as the server's own Service is set."""
        own = self._server.service_sid
        service = self._there["Services"].get(own)
        if service is None:
            return
        simulator = self._server.simulator
        simulator.code_length = service["code_length"]
        simulator.lookup_enabled = service["lookup_enabled"]
        simulator.psd2_required = service["psd2_enabled"]
        limits = self._there.get(f"Services/{own}/RateLimits")
        if limits is not None:
            simulator.rate_limits = {one["unique_name"]: self._buckets(own, sid) for sid, one in limits.items()}

    def _buckets(self, service: str, limit: str) -> list[tuple[int, float]]:
        buckets = self._there.get(f"Services/{service}/RateLimits/{limit}/Buckets", {})
        return [(one["max"], one["interval"]) for one in buckets.values()]


_LINKS = (
    "VerificationCheck",
    "Verifications",
    "RateLimits",
    "MessagingConfigurations",
    "Entities",
    "Webhooks",
    "AccessTokens",
)
_LINK_NAMES = {"VerificationCheck": "verification_checks"}

Reader = Callable[[str, list[str]], Any]
Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    """A collection: its ``key`` in answers, the ``prefix`` of its SIDs (none: its country names it), its parameters
    (where each stands in the answer, and what reads it), and what keeps it in order.
    """

    key: str
    prefix: str
    parameters: Mapping[str, tuple[Place, Reader]]
    required: tuple[str, ...]
    defaults: Mapping[str, Any]
    admit: Callable[[Body, list[Body]], None] = lambda fields, there: None


def _shape(path: str) -> _Shape | None:
    return next((shape for pattern, shape in _SHAPES if pattern.fullmatch(path)), None)


def _shape_of(path: str) -> _Shape:
    shape = _shape(path)
    assert shape is not None, path
    return shape


def _set(fields: Body, place: Place, value: Any, current: Body) -> None:
    """Put ``value`` at ``place``; a part of an object leaves its other parts as they are."""
    first, *rest = place
    if not rest:
        fields[first] = value
        return
    inner = fields.setdefault(first, deepcopy(current.get(first, {})))
    _set(inner, tuple(rest), value, inner)


def _text(name: str, given: list[str]) -> str | None:
    return given[-1] or None


def _flag(name: str, given: list[str]) -> bool:
    if given[-1] not in ("true", "false"):
        raise invalid(name)
    return given[-1] == "true"


def _whole(low: int, high: int) -> Reader:
    def read(name: str, given: list[str]) -> int:
        if not re.fullmatch("[0-9]{1,9}", given[-1]) or not low <= int(given[-1]) <= high:
            raise invalid(name)
        return int(given[-1])

    return read


def _matching(pattern: str) -> Reader:
    def read(name: str, given: list[str]) -> str | None:
        if not re.fullmatch(pattern, given[-1]):
            raise invalid(name)
        return given[-1] or None

    return read


def _one_of(*words: str) -> Reader:
    return _matching("|".join(map(re.escape, words)))


def _friendly_name(name: str, given: list[str]) -> str:
    text = given[-1]
    fits = 0 < len(text) <= 30 and all(one.isalnum() or one in " -_" for one in text)
    if not fits or sum(one.isdigit() for one in text) > 4:
        raise invalid(name)
    return text


def _events(name: str, given: list[str]) -> list[str]:
    if any(one not in _EVENTS for one in given):
        raise invalid(name)
    return given


def _origins(name: str, given: list[str]) -> list[str] | None:
    return given[-1].split(",") if given[-1] else None


def _country(name: str, given: list[str]) -> str:
    if given[-1] != "all" and given[-1] not in NAMES:
        raise invalid(name)
    return given[-1]


def _admit_limit(fields: Body, there: list[Body]) -> None:
    if len(there) >= MAX_RATE_LIMITS:
        raise VerifyError(400, 60207, "Max number of rate limits reached")
    if not re.fullmatch("[A-Za-z0-9_.-]+", fields["unique_name"] or ""):
        raise VerifyError(400, 60209, "Invalid characters in the unique name of the rate limit")
    if fields["unique_name"] in [one["unique_name"] for one in there]:
        raise VerifyError(400, 60208, "A rate limit with this unique name already exists")


def _admit_bucket(fields: Body, there: list[Body]) -> None:
    if len(there) >= MAX_BUCKETS:
        raise VerifyError(400, 60210, "Max number of buckets for the rate limit reached")
    if fields["interval"] in [one["interval"] for one in there]:
        raise VerifyError(400, 60211, "A bucket with this interval already exists")


def _admit_configuration(fields: Body, there: list[Body]) -> None:
    if fields["country"] in [one["country"] for one in there]:
        raise VerifyError(400, 60213, "A messaging configuration for this country already exists")


def _new_service() -> Body:
    """A Service as it is made when nothing but its name is said."""
    return {
        "friendly_name": "",
        "code_length": 6,
        "lookup_enabled": False,
        "psd2_enabled": False,
        "skip_sms_to_landlines": False,
        "dtmf_input_required": True,
        "tts_name": None,
        "do_not_share_warning_enabled": False,
        "custom_code_enabled": False,
        "push": {"include_date": False, "apn_credential_sid": None, "fcm_credential_sid": None},
        "totp": {"issuer": None, "time_step": 30, "code_length": 6, "skew": 1},
        "default_template_sid": None,
        "whatsapp": {"msg_service_sid": None, "from": None},
        "passkeys": {
            "relying_party": {"id": None, "name": None, "origins": None},
            "authenticator_attachment": None,
            "discoverable_credentials": None,
            "user_verification": None,
        },
        "verify_event_subscription_enabled": False,
    }


def _service_parameters() -> Iterator[tuple[str, tuple[Place, Reader]]]:
    yield "FriendlyName", (("friendly_name",), _friendly_name)
    yield "CodeLength", (("code_length",), _whole(4, 10))
    yield "TtsName", (("tts_name",), _text)
    yield "DefaultTemplateSid", (("default_template_sid",), _matching("(HJ[0-9a-fA-F]{32})?"))
    for name in ("LookupEnabled", "SkipSmsToLandlines", "DtmfInputRequired", "DoNotShareWarningEnabled"):
        yield name, ((_snake(name),), _flag)
    for name in ("Psd2Enabled", "CustomCodeEnabled", "VerifyEventSubscriptionEnabled"):
        yield name, ((_snake(name),), _flag)
    yield "Push.IncludeDate", (("push", "include_date"), _flag)
    for name in ("ApnCredentialSid", "FcmCredentialSid"):
        yield f"Push.{name}", (("push", _snake(name)), _matching("(CR[0-9a-fA-F]{32})?"))
    yield "Totp.Issuer", (("totp", "issuer"), _text)
    yield "Totp.TimeStep", (("totp", "time_step"), _whole(20, 60))
    yield "Totp.CodeLength", (("totp", "code_length"), _whole(3, 8))
    yield "Totp.Skew", (("totp", "skew"), _whole(0, 2))
    yield "Whatsapp.MsgServiceSid", (("whatsapp", "msg_service_sid"), _matching("(MG[0-9a-fA-F]{32})?"))
    yield "Whatsapp.From", (("whatsapp", "from"), _matching(r"(whatsapp:\+[0-9]+)?"))
    yield "Passkeys.RelyingParty.Id", (("passkeys", "relying_party", "id"), _text)
    yield "Passkeys.RelyingParty.Name", (("passkeys", "relying_party", "name"), _text)
    yield "Passkeys.RelyingParty.Origins", (("passkeys", "relying_party", "origins"), _origins)
    attachment = _one_of("", "platform", "cross-platform", "any")
    yield "Passkeys.AuthenticatorAttachment", (("passkeys", "authenticator_attachment"), attachment)
    for name in ("DiscoverableCredentials", "UserVerification"):
        yield f"Passkeys.{name}", (("passkeys", _snake(name)), _one_of(*_WANTS))


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


_LIMIT = {"UniqueName": (("unique_name",), _text), "Description": (("description",), _text)}
_BUCKET = {"Max": (("max",), _whole(1, 10**9)), "Interval": (("interval",), _whole(1, 10**9))}
_CONFIGURATION = {
    "Country": (("country",), _country),
    "MessagingServiceSid": (("messaging_service_sid",), _matching("MG[0-9a-fA-F]{32}")),
}
_WEBHOOK = {
    "FriendlyName": (("friendly_name",), _text),
    "EventTypes": (("event_types",), _events),
    "WebhookUrl": (("webhook_url",), _matching(r"https?://\S+")),
    "Status": (("status",), _one_of("enabled", "disabled")),
    "Version": (("version",), _one_of("v1", "v2")),
}

_SERVICE = r"Services/VA[0-9a-fA-F]{32}"
_SHAPES: Sequence[tuple[re.Pattern[str], _Shape]] = [
    (re.compile("Services"), _Shape("services", "VA", dict(_service_parameters()), ("FriendlyName",), {})),
    (
        re.compile(f"{_SERVICE}/RateLimits"),
        _Shape("rate_limits", "RK", _LIMIT, ("UniqueName",), {"description": None}, _admit_limit),
    ),
    (
        re.compile(f"{_SERVICE}/RateLimits/[^/]+/Buckets"),
        _Shape("buckets", "BL", _BUCKET, ("Max", "Interval"), {}, _admit_bucket),
    ),
    (
        re.compile(f"{_SERVICE}/MessagingConfigurations"),
        _Shape(
            "messaging_configurations",
            "",
            _CONFIGURATION,
            ("Country", "MessagingServiceSid"),
            {},
            _admit_configuration,
        ),
    ),
    (
        re.compile(f"{_SERVICE}/Webhooks"),
        _Shape(
            "webhooks",
            "YW",
            _WEBHOOK,
            ("FriendlyName", "EventTypes", "WebhookUrl"),
            {"status": "enabled", "version": "v2", "webhook_method": "POST"},
        ),
    ),
]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
