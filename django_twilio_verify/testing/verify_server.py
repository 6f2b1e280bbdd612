"""Twilio Verify on the loopback interface, for a site's own tests of the real SDK.

    from django_twilio_verify.testing import VerifyServer

    with VerifyServer() as server, override_settings(TWILIO_VERIFY_BACKENDS=server.setting()):
        client.post("/verify/", {"recipient": "+12025550143"})
        client.post("/verify/code/", {"code": server.sent[-1].code})
        server.fail_next(status=503)  # and see what the site says

Everything between the site and Twilio's own code is real: SDK, HTTP, sockets, time-outs. Behind it
is the same simulator as behind ``LocMemBackend``.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self, TypeVar, runtime_checkable
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from ..backends.options import SendOptions
from ..backends.simulator.rules import invalid, not_found
from ..backends.simulator.verifications import PRICE, Attempt, Message, Snapshot, VerifySimulator
from ..backends.twilio.errors import VerifyError

Pairs = tuple[tuple[str, str], ...]

MAX_BODY = 64 * 1024
DEFAULT_PAGE_SIZE = 50
"""Twilio's, for lists (https://www.twilio.com/docs/usage/twilios-response#pagination)."""

_ROUTES = {
    ("POST", "Verifications"): re.compile(r"/v2/Services/(?P<service>[^/]+)/Verifications"),
    ("GET", "Verification"): re.compile(r"/v2/Services/(?P<service>[^/]+)/Verifications/(?P<key>[^/]+)"),
    ("POST", "Verification"): re.compile(r"/v2/Services/(?P<service>[^/]+)/Verifications/(?P<key>[^/]+)"),
    ("POST", "VerificationCheck"): re.compile(r"/v2/Services/(?P<service>[^/]+)/VerificationCheck"),
    ("GET", "Attempts"): re.compile(r"/v2/Attempts"),
}


_LINKS = "/sna/"
_TEXTS = {
    "locale": "Locale",
    "custom_friendly_name": "CustomFriendlyName",
    "custom_message": "CustomMessage",
    "send_digits": "SendDigits",
    "custom_code": "CustomCode",
    "amount": "Amount",
    "payee": "Payee",
    "app_hash": "AppHash",
    "template_sid": "TemplateSid",
    "device_ip": "DeviceIp",
    "risk_check": "RiskCheck",
}
_JSON: Mapping[str, tuple[str, type]] = {
    "rate_limits": ("RateLimits", dict),
    "channel_configuration": ("ChannelConfiguration", dict),
    "template_custom_substitutions": ("TemplateCustomSubstitutions", dict),
    "templates": ("Templates", list),
    "tags": ("Tags", dict),
}


@dataclass(frozen=True, slots=True)
class Request:
    """What came in. ``endpoint``: ``Verifications``, ``Verification``, ``VerificationCheck``,
    ``Attempts`` or ``""``.

    ``path``: still percent-encoded, without query; ``query`` and ``form``: pairs, in order;
    ``headers``: lower-case. ``form``: of a body that is a form; ``body``: of any.
    """

    method: str
    path: str
    endpoint: str
    query: Pairs
    form: Pairs
    headers: Mapping[str, str]
    body: bytes = b""

    def __repr__(self) -> str:
        # SECURITY: path and form hold numbers and codes.
        return f"<Request {self.method} {self.endpoint}>"


@dataclass(frozen=True, slots=True)
class Response:
    """What went out: HTTP ``status``, ``body`` as JSON text (or anything, after ``garble_next``).

    ``fault``: a failure that a test asked for, so that the body need not be what Twilio would send;
    ``"lost"`` if nothing went out at all.
    """

    status: int
    body: str
    fault: str = ""
    content_type: str = "application/json; charset=utf-8"

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.fault}>"


Observer = Callable[[Request, Response], None]


class Extension(Protocol):
    """More of Twilio than the simulator knows, in ``VerifyServer.extensions``."""

    def answer(self, request: Request) -> tuple[int, Any] | None:
        """HTTP status and body (JSON, ``None`` for none) for a request with good credentials; ``None`` if it is for
        somebody else. Raises ``VerifyError`` to refuse.
        """


@runtime_checkable
class Doorkeeper(Protocol):
    """An extension that has visitors of its own."""

    def admits(self, request: Request) -> bool:
        """Whether to let in who shows other credentials than the account's. Raises ``VerifyError`` to turn them away
        with a reason of its own.
        """


E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class _Fault:
    kind: str  # "status", "garble", "reset", "drop", "delay"
    carried_out: bool = True
    status: int = 500
    body: str = ""
    seconds: float = 0


class VerifyServer:
    """A Verify Service with an account of its own, at ``url`` while the ``with`` block runs.

    ``sent``: every ``Message``, oldest first, codes included. ``requests``: every ``Request``,
    oldest first; ``count("Verifications")`` counts those of an endpoint. ``simulator``: the
    Service; its keywords may be given here, as ``VerifyServer(code_length=8)``. ``observer`` is
    called with each request and its response, before that goes out, in the thread that serves it;
    ``observers`` does so for every server of the process. ``extensions``: called with each new server, they make what
    answers the paths that this one does not know. Links of silent network authentication lead here, too: a GET of one
    plays the phone.
    """

    observers: ClassVar[list[Observer]] = []
    extensions: ClassVar[list[Callable[[VerifyServer], Extension]]] = []

    def __init__(self, *, observer: Observer | None = None, **simulator: Any) -> None:
        self.account_sid = "AC" + secrets.token_hex(16)
        self.password = secrets.token_hex(16)
        self.service_sid = "VA" + secrets.token_hex(16)
        self.key_sid = "SK" + secrets.token_hex(16)
        self.sent: list[Message] = []
        self.requests: list[Request] = []
        self.simulator = VerifySimulator(deliver=self.sent.append, **simulator)
        self._observer = observer
        self._faults: deque[_Fault] = deque()
        self._lock = Lock()
        self._closing = Event()
        self._errors: list[BaseException] = []
        self._http = _Server(("127.0.0.1", 0), self)
        self.simulator.link_base = f"{self.url}{_LINKS}"
        self.extended: list[Extension] = [make(self) for make in self.extensions]
        self._thread = Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if error is None and self._errors:
            raise self._errors[0]

    def close(self) -> None:
        """Stop listening, and cut the connections that clients keep open."""
        self._closing.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()
        self._http.cut()

    @property
    def url(self) -> str:
        """The address, as ``http://127.0.0.1:40123``: the ``base_url`` of ``TwilioBackend``."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def options(self, **more: Any) -> dict[str, Any]:
        """``OPTIONS`` with which ``TwilioBackend`` reaches this server; ``more`` adds to them or
        replaces.
        """
        return {
            "account_sid": self.account_sid,
            "password": self.password,
            "service_sid": self.service_sid,
            "base_url": self.url,
            **more,
        }

    def setting(self, **more: Any) -> dict[str, Any]:
        """A value for ``TWILIO_VERIFY_BACKENDS`` whose ``default`` is this server."""
        backend = "django_twilio_verify.backends.twilio.TwilioBackend"
        return {"default": {"BACKEND": backend, "OPTIONS": self.options(**more)}}

    def extension(self, kind: type[E]) -> E:
        """The extension of that ``kind``, as ``server.extension(FactorRoutes)``. Raises ``LookupError``."""
        for one in self.extended:
            if isinstance(one, kind):
                return one
        raise LookupError(kind.__name__)

    def count(self, endpoint: str) -> int:
        """How many requests have come to ``endpoint``, failed ones included."""
        return sum(request.endpoint == endpoint for request in self.requests)

    def fail_next(
        self,
        *,
        status: int = 500,
        code: int = 0,
        body: str = "{}",
        times: int = 1,
        carried_out: bool = False,
    ) -> None:
        """Answer the next ``times`` requests with ``status``, and Twilio's error ``code`` or
        ``body``.

        ``carried_out``: do what was asked first, as when only the answer is lost.
        """
        if code:
            body = _error(status, code, "A failure that a test asked for")
        self._plan(_Fault("status", carried_out, status, body), times)

    def delay(self, seconds: float, *, times: int = 1) -> None:
        """Carry out the next ``times`` requests, and answer ``seconds`` later."""
        self._plan(_Fault("delay", seconds=seconds), times)

    def garble_next(self, *, times: int = 1, carried_out: bool = True) -> None:
        """Answer the next ``times`` requests with success, and a page of HTML where JSON should
        be.
        """
        self._plan(_Fault("garble", carried_out), times)

    def reset_next(self, *, times: int = 1, carried_out: bool = False) -> None:
        """Read the next ``times`` requests, then reset their connections instead of answering."""
        self._plan(_Fault("reset", carried_out), times)

    def drop_next(self, *, times: int = 1) -> None:
        """Close the connections of the next ``times`` requests before reading more than their first
        line.
        """
        self._plan(_Fault("drop", carried_out=False), times)

    def _plan(self, fault: _Fault, times: int) -> None:
        self._faults.extend([fault] * times)

    def _next_fault(self) -> _Fault | None:
        try:
            return self._faults.popleft()
        except IndexError:
            return None

    def _serve(self, request: Request, fault: _Fault | None) -> Response:
        """The answer to ``request``; ``status`` 0 if the connection is to be reset instead."""
        self.requests.append(request)
        if request.path.startswith(_LINKS):
            # No part of the API, which the observers watch: the phone comes here, without credentials.
            return Response(200, self.simulator.open_link(f"{self.url}{request.path}"), "", "text/plain; charset=utf-8")
        response = self._answer(request) if fault is None or fault.carried_out else None
        if fault is not None:
            response = self._spoil(fault, response)
        assert response is not None
        for observer in [*self.observers, *filter(None, [self._observer])]:
            observer(request, response)
        return response

    def _spoil(self, fault: _Fault, response: Response | None) -> Response:
        if fault.kind == "delay":
            assert response is not None
            self._closing.wait(fault.seconds)  # a server that closes keeps nobody waiting
            return response
        if fault.kind == "status":
            return Response(fault.status, fault.body, "status")
        if fault.kind == "garble":
            return Response(response.status if response else 200, "<html>Hello</html>", "garble")
        return Response(0, "", "lost")

    def _answer(self, request: Request) -> Response:
        try:
            if not any(isinstance(one, Doorkeeper) and one.admits(request) for one in self.extended):
                self._admit(request)
            status, body = self._carry_out(request)
        except VerifyError as error:
            return Response(error.status, _error(error.status, error.code, error.message))
        return Response(status, "" if body is None else json.dumps(body))

    def _admit(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        users = (self.account_sid, self.key_sid)
        if not any(given == _basic_auth(user, self.password) for user in users):
            raise VerifyError(401, 20003, "Authenticate")

    def _carry_out(self, request: Request) -> tuple[int, Any]:
        serve = _SERVICES.get((request.method, request.endpoint))
        if serve is None:
            answers = (one.answer(request) for one in self.extended)
            return next(filter(None, answers), None) or _unknown(request)
        found = _ROUTES[request.method, request.endpoint].fullmatch(request.path)
        parts = found.groupdict() if found else {}
        if parts.get("service", self.service_sid) != self.service_sid:
            _unknown(request)
        form = dict(request.query if request.method == "GET" else request.form)
        return serve(self, unquote(parts.get("key", "")), form)

    def _create(self, key: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        snapshot = self.simulator.create(form.get("To", ""), form.get("Channel", ""), _options(form))
        return 201, self._verification(snapshot)

    def _check(self, key: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        snapshot = self.simulator.check(
            form.get("Code", ""),
            to=form.get("To", ""),
            sid=form.get("VerificationSid", ""),
            amount=form.get("Amount", ""),
            payee=form.get("Payee", ""),
            sna_client_token=form.get("SnaClientToken", ""),
        )
        errors = [{"attempt_sid": sid, "code": code} for sid, code in snapshot.link_errors]
        return 201, {**self._common(snapshot), "sna_attempts_error_codes": errors}

    def _fetch(self, key: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        return 200, self._verification(self.simulator.fetch(key))

    def _update(self, key: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        return 200, self._verification(self.simulator.update(key, form.get("Status", "")))

    def _list(self, key: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        size = int(form.get("PageSize", DEFAULT_PAGE_SIZE))
        found = [one for one in self._between(form) if _fits(one, form)]
        if form.get("VerifyServiceSid", self.service_sid) != self.service_sid:
            found = []
        first = _first(found, form.get("PageToken", ""), size)
        here, more = found[first : first + size], len(found) > first + size
        return 200, {
            "attempts": [self._attempt(one) for one in here],
            "meta": self._meta(form, here, size, more),
        }

    def _between(self, form: Mapping[str, str]) -> list[Attempt]:
        after, before = form.get("DateCreatedAfter"), form.get("DateCreatedBefore")
        return self.simulator.attempts(
            after=_read_time(after) if after else None,
            before=_read_time(before) if before else None,
        )

    def _meta(self, form: Mapping[str, str], here: list[Attempt], size: int, more: bool) -> dict[str, Any]:
        page = int(form.get("Page", 0))  # "simply for client state", says the API: the token tells the place

        def at(number: int, token: str) -> str:
            query = {**form, "PageSize": str(size), "Page": str(number), "PageToken": token}
            return f"{self.url}/v2/Attempts?{urlencode({name: value for name, value in query.items() if value})}"

        return {
            "key": "attempts",
            "page": page,
            "page_size": size,
            "first_page_url": at(0, ""),
            "previous_page_url": at(page - 1, f"PB{here[0].sid}") if page and here else None,
            "url": at(page, form.get("PageToken", "")),
            "next_page_url": at(page + 1, f"PA{here[-1].sid}") if more else None,
        }

    def _common(self, snapshot: Snapshot) -> dict[str, Any]:
        return {
            "sid": snapshot.sid,
            "service_sid": self.service_sid,
            "account_sid": self.account_sid,
            "to": snapshot.to,
            "channel": snapshot.channel,
            "status": snapshot.status,
            "valid": snapshot.status == "approved",
            "amount": snapshot.amount or None,
            "payee": snapshot.payee or None,
            "date_created": _time(snapshot.created_at),
            "date_updated": _time(snapshot.updated_at),
        }

    def _verification(self, snapshot: Snapshot) -> dict[str, Any]:
        return {
            **self._common(snapshot),
            "lookup": _lookup(snapshot.line_type),
            "send_code_attempts": [
                # In capitals for some channels, in Twilio's examples. Nobody should compare it.
                {"time": _time(one.sent_at), "channel": one.channel.upper(), "attempt_sid": one.sid}
                for one in snapshot.attempts
            ],
            "sna": {"url": snapshot.link} if snapshot.link else None,
            "url": f"{self.url}/v2/Services/{self.service_sid}/Verifications/{snapshot.sid}",
        }

    def _attempt(self, one: Attempt) -> dict[str, Any]:
        return {
            "sid": one.sid,
            "account_sid": self.account_sid,
            "service_sid": self.service_sid,
            "verification_sid": one.verification_sid,
            "date_created": _time(one.sent_at),
            "date_updated": _time(one.updated_at),
            "conversion_status": "converted" if one.converted else "unconverted",
            "channel": one.carried,
            "price": {"value": PRICE, "currency": "usd"},
            "channel_data": self._channel_data(one),
            "url": f"{self.url}/v2/Attempts/{one.sid}",
        }

    def _channel_data(self, one: Attempt) -> dict[str, Any]:
        state = "call_status" if one.channel == "call" else "message_status"
        return {
            "verification_sid": one.verification_sid,
            "to": one.to,
            "status": "confirmed" if one.converted else "unconfirmed",
            state: one.delivery,
            "error_code": str(one.error_code) if one.error_code else None,
            "country": one.country,
            "code_length": self.simulator.code_length,
            "locale": one.locale or "en",
            "mcc": None,
            "mnc": None,
            "carrier": None if "@" in one.to else "Example Wireless",
        }


Service = Callable[[VerifyServer, str, Mapping[str, str]], tuple[int, dict[str, Any]]]
_SERVICES: Mapping[tuple[str, str], Service] = {
    ("POST", "Verifications"): VerifyServer._create,
    ("GET", "Verification"): VerifyServer._fetch,
    ("POST", "Verification"): VerifyServer._update,
    ("POST", "VerificationCheck"): VerifyServer._check,
    ("GET", "Attempts"): VerifyServer._list,
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], owner: VerifyServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep what is a bug, of ours or an observer's; a client that went away is not worth a
        word.
        """
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.owner._errors.append(error)

    def cut(self) -> None:
        """End the connections that clients keep alive: no thread of ours outlives the test."""
        for connection in [*self._open]:
            with suppress(OSError):  # the client was faster
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: two would wait for each other (Nagle, delayed ACK)
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_DELETE = do_GET

    def _serve(self) -> None:
        owner = self.server.owner
        fault = owner._next_fault()
        if fault is not None and fault.kind == "drop":
            self._reset()
            return
        response = owner._serve(self._read(), fault)
        if response.status:
            self._write(response)
        else:
            self._reset()

    def _read(self) -> Request:
        path = urlsplit(self.path)
        size = min(int(self.headers.get("Content-Length") or 0), MAX_BODY)
        body = self.rfile.read(size)
        is_form = self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
        return Request(
            self.command,
            path.path,
            _endpoint(self.command, path.path),
            tuple(parse_qsl(path.query, keep_blank_values=True)),
            tuple(parse_qsl(body.decode() if is_form else "", keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )

    def _write(self, response: Response) -> None:
        body = response.body.encode()
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        """Close so that the other end gets RST, not the end of a stream (SO_LINGER with no time to
        linger).
        """
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """SECURITY: nothing. The request line may hold a number."""


def _endpoint(method: str, path: str) -> str:
    for (verb, name), pattern in _ROUTES.items():
        if verb == method and pattern.fullmatch(path):
            return name
    return ""


def _fits(one: Attempt, form: Mapping[str, str]) -> bool:
    wanted = {
        "ChannelData.To": one.to,
        "Channel": one.carried,
        "VerificationSid": one.verification_sid,
        "Status": "converted" if one.converted else "unconverted",
        "Country": one.country,
    }
    return all(form.get(name, value) == value for name, value in wanted.items())


def _first(found: list[Attempt], token: str, size: int) -> int:
    """Where the page of ``token`` begins. Raises ``VerifyError`` for one that this server never gave."""
    sids = [one.sid for one in found]
    if token and token[2:] not in sids:
        raise invalid("PageToken")
    if not token:
        return 0
    here = sids.index(token[2:])
    return here + 1 if token.startswith("PA") else max(0, here - size)


def _lookup(line_type: str) -> dict[str, Any]:
    carrier = {"name": "Example Wireless", "type": line_type, "mobile_country_code": None, "mobile_network_code": None}
    return {"carrier": {**carrier, "error_code": None}} if line_type else {}


def _options(form: Mapping[str, str]) -> SendOptions:
    """What a form asks for beside recipient and channel. Raises ``VerifyError`` 60200 for JSON that is none."""
    texts: dict[str, Any] = {name: form[parameter] for name, parameter in _TEXTS.items() if form.get(parameter)}
    values = {name: _json(form, parameter, kind) for name, (parameter, kind) in _JSON.items() if form.get(parameter)}
    return SendOptions(**texts, **values, enable_sna_client_token=form.get("EnableSnaClientToken") == "true")


def _json(form: Mapping[str, str], parameter: str, kind: type) -> Any:
    try:
        value = json.loads(form[parameter])
    except ValueError:
        value = None
    if not isinstance(value, kind):
        raise invalid(parameter)
    return value


def _unknown(request: Request) -> tuple[int, Any]:
    raise not_found(request.path)


def _error(status: int, code: int, message: str) -> str:
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return json.dumps({"code": code, "message": message, "more_info": more_info, "status": status})


def _basic_auth(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
