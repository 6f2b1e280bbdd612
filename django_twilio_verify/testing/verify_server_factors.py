"""Verify's Entities, Factors, Challenges, AccessTokens and Passkeys over HTTP: part of every ``VerifyServer``.

    routes = server.extension(FactorRoutes)
    routes.simulator.passkeys = PasskeyOptions(...)  # what the Service has for its relying party
    routes.webhook(routes.simulator.events[-1], url)  # what Twilio would post of what happened

A phone comes with its own credentials, as Twilio's libraries for phones do: user ``token``, and as password an access
token or a token that its key signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlencode

from ..backends.simulator.factor_records import Place
from ..backends.simulator.factor_rules import invalid
from ..backends.simulator.factors import FactorSimulator
from ..backends.twilio.errors import VerifyError
from .verify_server import DEFAULT_PAGE_SIZE, Request, VerifyServer
from .verify_server_services import AccountServices

Body = dict[str, Any]
Answer = tuple[int, Any]

_PERSON = r"Entities/(?P<identity>[^/]+)"
_CONFIG = {
    "time_step": "Config.TimeStep",
    "skew": "Config.Skew",
    "code_length": "Config.CodeLength",
    "alg": "Config.Alg",
    "app_id": "Config.AppId",
    "notification_platform": "Config.NotificationPlatform",
    "notification_token": "Config.NotificationToken",
    "sdk_version": "Config.SdkVersion",
}


@dataclass(frozen=True, slots=True)
class SignedWebhook:
    """A request of Twilio's to a site: a POST of ``body`` to ``url``, with these two headers.

    ``url`` is the one that was asked for; as JSON, with ``bodySHA256`` in its query.
    """

    url: str
    body: bytes
    content_type: str
    signature: str

    @property
    def headers(self) -> dict[str, str]:
        """``Content-Type`` and ``X-Twilio-Signature``."""
        return {"Content-Type": self.content_type, "X-Twilio-Signature": self.signature}


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request, read: parts of its path, its parameters (the last of each name), and all values of each."""

    request: Request
    parts: Mapping[str, str]
    given: Mapping[str, str]
    several: Mapping[str, Sequence[str]]

    def json(self, name: str) -> Any:
        """A parameter that is JSON, ``None`` if it was not given. Raises ``VerifyError`` 60306."""
        return _object(self.given[name], name) if self.given.get(name) else None

    def number(self, name: str) -> int | None:
        text = self.given.get(name, "")
        if text and not re.fullmatch(r"\d{1,9}", text):
            raise invalid(name)
        return int(text) if text else None

    def body(self) -> Body:
        """The JSON that was posted."""
        return _object(self.request.body.decode(errors="replace"), "body")

    def config(self) -> Body:
        return {ours: self.given[theirs] for ours, theirs in _CONFIG.items() if theirs in self.given}


class FactorRoutes:
    """``simulator``: the factors of the Service. ``password``: the account's Auth Token, which webhooks are signed
    with. ``service``: tells the Service as it is set up (Twilio's JSON); what changes there about authenticator apps
    and passkeys takes effect.
    """

    def __init__(
        self,
        simulator: FactorSimulator,
        *,
        password: str = "",
        service: Callable[[], Body] | None = None,
    ) -> None:
        self.simulator = simulator
        self._password = password
        self._service = service
        self._settings: Body = {}

    @classmethod
    def of(cls, server: VerifyServer) -> FactorRoutes:
        """Those of a server: what ``VerifyServer.extensions`` holds."""
        place = Place(server.account_sid, server.service_sid, server.url)

        def service() -> Body:
            several = server.extension(AccountServices).bodies("Services")
            return next(one for one in several if one["sid"] == server.service_sid)

        return cls(FactorSimulator(place=place), password=server.password, service=service)

    def answer(self, request: Request) -> Answer | None:
        """As ``server.Extension`` has it. Raises ``VerifyError`` to refuse."""
        prefix = f"/v2/Services/{self.simulator.place.service_sid}/"
        if not request.path.startswith(prefix):
            return None
        path = request.path.removeprefix(prefix)
        self._set_up()
        for method, pattern, serve in _ROUTES:
            found = re.fullmatch(pattern, path)
            if method == request.method and found:
                return serve(self, _read(request, found.groupdict()))
        return None

    def admits(self, request: Request) -> bool:
        """As ``server.Doorkeeper`` has it. SECURITY: an access token makes one person's push factors and nothing else;
        a factor's own token reaches that factor and its challenges.
        """
        user, secret = _credentials(request)
        if user != "token":
            return False
        identity, factor_sid = self.simulator.bearer_of(secret)
        person = f"/v2/Services/{self.simulator.place.service_sid}/Entities/{identity}/"
        reached = request.path.removeprefix(person) if request.path.startswith(person) else ""
        if not self._may(request, identity, factor_sid, reached):
            raise VerifyError(403, 60313, "Unauthorized factor")
        return True

    def webhook(self, event: Mapping[str, str], url: str, *, as_json: bool = False) -> SignedWebhook:
        """What Twilio would post of ``event`` to ``url``, signed; as a form, or as JSON."""
        if not as_json:
            text = url + "".join(f"{name}{event[name]}" for name in sorted(event))
            kind = "application/x-www-form-urlencoded"
            return SignedWebhook(url, urlencode(event).encode(), kind, self._signature(text))
        body = json.dumps(dict(event)).encode()
        hashed = f"{url}{'&' if '?' in url else '?'}bodySHA256={hashlib.sha256(body).hexdigest()}"
        return SignedWebhook(hashed, body, "application/json", self._signature(hashed))

    def _set_up(self) -> None:
        service = self._service() if self._service else {}
        settings: Body = {name: service[name] for name in ("totp", "passkeys", "friendly_name") if name in service}
        if settings != self._settings:
            # What it was when the server began is no change: a test sets the simulator itself.
            if self._settings:
                self.simulator.configure(settings)
            self._settings = settings

    def _signature(self, text: str) -> str:
        return base64.b64encode(hmac.digest(self._password.encode(), text.encode(), "sha1")).decode()

    def _may(self, request: Request, identity: str, factor_sid: str, reached: str) -> bool:
        if not factor_sid:
            return request.method == "POST" and reached == "Factors" and dict(request.form).get("FactorType") == "push"
        if reached == f"Factors/{factor_sid}":
            return True
        if reached == "Challenges":
            return request.method == "GET" and dict(request.query).get("FactorSid") == factor_sid
        kind, _, sid = reached.partition("/")
        return kind == "Challenges" and self.simulator.challenge(identity, sid)["factor_sid"] == factor_sid

    def _create_entity(self, visit: _Visit) -> Answer:
        return 201, self.simulator.create_entity(visit.given.get("Identity", ""))

    def _entities(self, visit: _Visit) -> Answer:
        return 200, self._page(visit, "entities", self.simulator.entities())

    def _entity(self, visit: _Visit) -> Answer:
        return 200, self.simulator.entity(visit.parts["identity"])

    def _delete_entity(self, visit: _Visit) -> Answer:
        self.simulator.delete_entity(visit.parts["identity"])
        return 204, None

    def _create_factor(self, visit: _Visit) -> Answer:
        names = {"secret": "Binding.Secret", "alg": "Binding.Alg", "public_key": "Binding.PublicKey"}
        return 201, self.simulator.create_factor(
            visit.parts["identity"],
            visit.given.get("FriendlyName", ""),
            visit.given.get("FactorType", ""),
            binding={ours: visit.given[theirs] for ours, theirs in names.items() if theirs in visit.given},
            config=visit.config(),
            metadata=visit.json("Metadata"),
        )

    def _factors(self, visit: _Visit) -> Answer:
        return 200, self._page(visit, "factors", self.simulator.factors(visit.parts["identity"]))

    def _factor(self, visit: _Visit) -> Answer:
        return 200, self.simulator.factor(visit.parts["identity"], visit.parts["sid"])

    def _update_factor(self, visit: _Visit) -> Answer:
        return 200, self.simulator.update_factor(
            visit.parts["identity"],
            visit.parts["sid"],
            auth_payload=visit.given.get("AuthPayload", ""),
            name=visit.given.get("FriendlyName", ""),
            config=visit.config(),
        )

    def _delete_factor(self, visit: _Visit) -> Answer:
        self.simulator.delete_factor(visit.parts["identity"], visit.parts["sid"])
        return 204, None

    def _create_challenge(self, visit: _Visit) -> Answer:
        until = visit.given.get("ExpirationDate")
        return 201, self.simulator.create_challenge(
            visit.parts["identity"],
            visit.given.get("FactorSid", ""),
            auth_payload=visit.given.get("AuthPayload", ""),
            message=visit.given.get("Details.Message", ""),
            fields=[_object(one, "Details.Fields") for one in visit.several.get("Details.Fields", ())],
            hidden=visit.json("HiddenDetails"),
            expires=_moment(until) if until else None,
        )

    def _challenges(self, visit: _Visit) -> Answer:
        found = self.simulator.challenges(
            visit.parts["identity"],
            factor_sid=visit.given.get("FactorSid", ""),
            status=visit.given.get("Status", ""),
        )
        ordered = found[::-1] if visit.given.get("Order") == "desc" else found
        return 200, self._page(visit, "challenges", ordered)

    def _challenge(self, visit: _Visit) -> Answer:
        return 200, self.simulator.challenge(visit.parts["identity"], visit.parts["sid"])

    def _update_challenge(self, visit: _Visit) -> Answer:
        return 200, self.simulator.update_challenge(
            visit.parts["identity"],
            visit.parts["sid"],
            auth_payload=visit.given.get("AuthPayload", ""),
            metadata=visit.json("Metadata"),
        )

    def _notify(self, visit: _Visit) -> Answer:
        return 201, self.simulator.notify(visit.parts["identity"], visit.parts["sid"], ttl=visit.number("Ttl"))

    def _create_token(self, visit: _Visit) -> Answer:
        return 201, self.simulator.create_token(
            visit.given.get("Identity", ""),
            visit.given.get("FactorType", ""),
            name=visit.given.get("FactorFriendlyName", ""),
            ttl=visit.number("Ttl"),
        )

    def _token(self, visit: _Visit) -> Answer:
        return 200, self.simulator.token(visit.parts["sid"])

    def _create_passkey(self, visit: _Visit) -> Answer:
        body = visit.body()
        name, identity = str(body.get("friendly_name") or ""), str(body.get("identity") or "")
        return 201, self.simulator.create_passkey(identity, name, body.get("config"))

    def _verify_passkey(self, visit: _Visit) -> Answer:
        return 200, self.simulator.verify_passkey(visit.body())

    def _create_passkey_challenge(self, visit: _Visit) -> Answer:
        body = visit.body()
        names = (str(body.get(name) or "") for name in ("identity", "factor_sid"))
        return 201, self.simulator.create_passkey_challenge(*names)

    def _approve_passkey(self, visit: _Visit) -> Answer:
        return 200, self.simulator.approve_passkey(visit.body())

    def _page(self, visit: _Visit, key: str, found: list[Body]) -> Body:
        size, number = visit.number("PageSize") or DEFAULT_PAGE_SIZE, visit.number("Page") or 0
        filters = {name: visit.given[name] for name in ("FactorSid", "Status", "Order") if name in visit.given}
        url = self.simulator.place.base_url + visit.request.path

        def at(page: int) -> str:
            return f"{url}?{urlencode({**filters, 'PageSize': size, 'Page': page, 'PageToken': f'P{page}'})}"

        more = len(found) > (number + 1) * size
        return {
            key: found[number * size : (number + 1) * size],
            "meta": {
                "key": key,
                "page": number,
                "page_size": size,
                "first_page_url": at(0),
                "previous_page_url": at(number - 1) if number else None,
                "url": at(number),
                "next_page_url": at(number + 1) if more else None,
            },
        }


_ROUTES: Sequence[tuple[str, str, Callable[[FactorRoutes, _Visit], Answer]]] = (
    ("POST", "Entities", FactorRoutes._create_entity),
    ("GET", "Entities", FactorRoutes._entities),
    ("GET", _PERSON, FactorRoutes._entity),
    ("DELETE", _PERSON, FactorRoutes._delete_entity),
    ("POST", f"{_PERSON}/Factors", FactorRoutes._create_factor),
    ("GET", f"{_PERSON}/Factors", FactorRoutes._factors),
    ("GET", f"{_PERSON}/Factors/(?P<sid>[^/]+)", FactorRoutes._factor),
    ("POST", f"{_PERSON}/Factors/(?P<sid>[^/]+)", FactorRoutes._update_factor),
    ("DELETE", f"{_PERSON}/Factors/(?P<sid>[^/]+)", FactorRoutes._delete_factor),
    ("POST", f"{_PERSON}/Challenges", FactorRoutes._create_challenge),
    ("GET", f"{_PERSON}/Challenges", FactorRoutes._challenges),
    ("GET", f"{_PERSON}/Challenges/(?P<sid>[^/]+)", FactorRoutes._challenge),
    ("POST", f"{_PERSON}/Challenges/(?P<sid>[^/]+)", FactorRoutes._update_challenge),
    ("POST", f"{_PERSON}/Challenges/(?P<sid>[^/]+)/Notifications", FactorRoutes._notify),
    ("POST", "AccessTokens", FactorRoutes._create_token),
    ("GET", "AccessTokens/(?P<sid>[^/]+)", FactorRoutes._token),
    ("POST", "Passkeys/Factors", FactorRoutes._create_passkey),
    ("POST", "Passkeys/VerifyFactor", FactorRoutes._verify_passkey),
    ("POST", "Passkeys/Challenges", FactorRoutes._create_passkey_challenge),
    ("POST", "Passkeys/ApproveChallenge", FactorRoutes._approve_passkey),
)


def _read(request: Request, parts: Mapping[str, str]) -> _Visit:
    several: dict[str, list[str]] = {}
    for name, value in (*request.query, *request.form):
        several.setdefault(name, []).append(value)
    given = {name: values[-1] for name, values in several.items()}
    return _Visit(request, {name: unquote(value) for name, value in parts.items()}, given, several)


def _object(text: str, name: str) -> Body:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid(name) from None
    if not isinstance(value, dict):
        raise invalid(name)
    return value


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise invalid("ExpirationDate") from None


def _credentials(request: Request) -> tuple[str, str]:
    """User and password of a request, empty if there are none."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    try:
        user, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return (user, secret) if kind == "Basic" else ("", "")
