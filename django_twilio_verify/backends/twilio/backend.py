"""The backend for production: Twilio Verify through the official SDK.

The one file that knows the SDK. It and ``requests`` are imported by the first call, not by Django's
start-up.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables

from ... import __version__
from ...choices import VERIFICATION_CHANNELS, Channel, Feature
from ...core.recipients import Recipient
from ..base import BaseBackend
from ..options import NO_OPTIONS, SendOptions
from ..results import AttemptsPage, ProviderAttempt, ProviderCheck, ProviderSend, ProviderStatus
from .errors import Unanswered, VerifyError, called, check_of, in_some_language, judged, status_of
from .factors import TwilioFactors
from .service import TwilioAdministration
from .signature import is_signed, secrets_and_algorithm

if TYPE_CHECKING:
    from twilio.http.response import Response
    from twilio.rest import Client
    from twilio.rest.verify.v2 import V2
    from twilio.rest.verify.v2.verification_attempt import VerificationAttemptInstance

logger = logging.getLogger("django_twilio_verify")

T = TypeVar("T")

TIMEOUT = 10.0
POOL_SIZE = 32
"""Connections to Twilio that one process keeps: so many sends at once need no new TLS handshake."""
PAGE_SIZE = 200
"""Attempts asked for in one request; the API allows 1000."""

_SID = {prefix: re.compile(prefix + "[0-9a-fA-F]{32}") for prefix in ("AC", "SK", "VA", "VE")}
_NEVER = datetime.min.replace(tzinfo=UTC)
_HERE = frozenset({"127.0.0.1", "::1", "localhost"})
# The SDK reads os.environ when it is handed nothing or an empty mapping. Ours is neither.
_NO_ENVIRONMENT = {"-": "-"}


class TwilioBackend(TwilioFactors, BaseBackend):
    """One Verify Service.

    ``account_sid``: ``AC…``. ``username`` and ``password``: the Account SID (the default) with the
    Auth Token, or the SID of an API key (``SK…``) with its secret, which Twilio recommends: a key
    can be revoked by itself. ``service_sid``: ``VA…``; only ``manage.py twilio_service create`` does
    without. ``timeout``: seconds for one request, from
    connecting to the answer's first byte. ``region`` and ``edge``: as in Twilio's host names,
    ``ie1`` and ``dublin``. ``base_url``: another address of the API, for ``testing.VerifyServer``
    or a gateway; region and edge do not apply to it. ``auth_token``: the account's primary Auth Token, with which
    Twilio signs what it sends to this site; needed for that beside an API key, else ``password`` is it.
    ``password`` and ``auth_token`` may be lists while a secret is replaced: calls use the first of ``password``, and a
    signature by any Auth Token is accepted. ``shared_keys``: id to secret of the keys that Twilio signs with instead,
    if the account has such.

    There are no retries: a send has no idempotency key, and a person waits for the answer. One
    exception: an unknown ``locale`` is a 404, which sent nothing, and is asked again without it, in
    a request of its own. The environment variables of the SDK (``TWILIO_…``) are not read; those of
    proxies and certificates are.
    """

    channels = frozenset(VERIFICATION_CHANNELS)
    features = frozenset(Feature)
    supports_attempts = True

    def __init__(
        self,
        alias: str,
        *,
        account_sid: str,
        username: str = "",
        password: str | Sequence[str],
        service_sid: str = "",
        timeout: float = 10.0,
        region: str = "",
        edge: str = "",
        base_url: str = "",
        auth_token: str | Sequence[str] = "",
        shared_keys: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(alias, timeout=timeout)
        # `or ""`: what is missing in os.environ arrives as None, and is for system_checks to
        # report.
        self._account_sid = account_sid or ""
        self._username = username or self._account_sid
        passwords, auth_tokens = _secrets(password), _secrets(auth_token)
        self._password = next(iter(passwords or ()), "")
        self._service_sid = service_sid or ""
        self._region = region or ""
        self._edge = edge or ""
        self._base_url = _safe_url(alias, base_url or "")
        # SECURITY: an API key's secret signs nothing, so it is never taken for the token.
        self._auth_tokens = auth_tokens or ((passwords or ()) if _is_sid("AC", self._username) else ())
        self._unreadable = [
            name for name, given in (("password", passwords), ("auth_token", auth_tokens)) if given is None
        ]
        self._shared_keys = {**(shared_keys or {})}
        self._lock = Lock()
        self._line: _Line | None = None

    def __repr__(self) -> str:
        return f"<TwilioBackend {self.alias}>"

    @property
    def service_sid(self) -> str:
        return self._service_sid

    @property
    def can_authenticate(self) -> bool:
        return bool(self._auth_tokens or self._shared_keys)

    @sensitive_variables()
    def start(
        self,
        recipient: Recipient,
        channel: Channel,
        options: SendOptions = NO_OPTIONS,
    ) -> ProviderSend:
        to, way = recipient.value, channel.value

        @sensitive_variables()
        def send(options: SendOptions) -> ProviderSend:
            parameters = {"to": to, "channel": way, **parameters_of(options)}
            return self._request(lambda verify: _sent(self._service(verify).verifications.create(**parameters)))

        return called(lambda: in_some_language(send, options), way)

    @sensitive_variables()
    def check(
        self,
        recipient: Recipient,
        code: str,
        *,
        sid: str = "",
        amount: str = "",
        payee: str = "",
        sna_client_token: str = "",
    ) -> ProviderCheck:
        # By SID if there is one: it names the very verification that was started here.
        which = {"verification_sid": sid} if sid else {"to": recipient.value}
        given = {"code": code, "amount": amount, "payee": payee, "sna_client_token": sna_client_token}
        which |= {name: value for name, value in given.items() if value}  # no Code at all asks about the link
        return self._judged(sid, lambda verify: self._checks(verify).create(**which))

    def approve(self, sid: str) -> ProviderCheck:
        return self._judged(sid, lambda verify: self._service(verify).verifications(sid).update("approved"))

    def cancel(self, sid: str) -> ProviderCheck:
        return self._judged(sid, lambda verify: self._service(verify).verifications(sid).update("canceled"))

    def fetch(self, sid: str) -> ProviderCheck:
        return self._judged(sid, lambda verify: self._service(verify).verifications(sid).fetch())

    def attempts(self, *, after: datetime, before: datetime | None = None) -> Iterable[ProviderAttempt]:
        found: list[ProviderAttempt] = []
        page, seen = "", set[str]()
        while page not in seen:  # a list that leads in a circle ends, too
            seen.add(page)
            here = self._page(after, before, page, PAGE_SIZE)
            found += here.attempts
            if not (page := here.next_page):
                break
        # The API does not promise an order.
        return sorted(found, key=lambda one: one.at or _NEVER, reverse=True)

    def attempts_page(self, *, after: datetime, before: datetime, page: str = "", size: int = 200) -> AttemptsPage:
        return self._page(after, before, page, size)

    @sensitive_variables()
    def is_authentic(self, *, url: str, body: bytes, headers: Mapping[str, str]) -> bool:
        from twilio.request_validator import RequestValidator

        secrets, algorithm = secrets_and_algorithm(headers, self._auth_tokens, self._shared_keys)
        # SECURITY: a list: every secret is tried, so that time does not tell which of them fits. The SDK compares in
        # constant time.
        fits = [
            is_signed(RequestValidator(secret), algorithm, url=url, body=body, headers=headers) for secret in secrets
        ]
        return any(fits)

    def administration(self) -> TwilioAdministration:
        return TwilioAdministration(self._ask, self._account_sid, self._service_sid)

    def close(self) -> None:
        """Close the connections to Twilio. The next call opens new ones."""
        with self._lock:
            line, self._line = self._line, None
        if line is not None:
            line.http.close()

    def system_checks(self) -> list[CheckMessage]:
        where = f"TWILIO_VERIFY_BACKENDS[{self.alias!r}]: OPTIONS: "
        return [
            Error(where + sentence, hint=hint, id=f"twilio_verify.{check_id}")
            for wrong, check_id, sentence, hint in self._problems()
            if wrong
        ]

    def _problems(self) -> Iterator[tuple[bool, str, str, str]]:
        """Whether it is so, id, sentence, hint. SECURITY: options are named, their values never
        shown.
        """
        yield (
            not _is_sid("AC", self._account_sid),
            "E010",
            "account_sid must be the SID of the account, AC and 32 hexadecimal digits.",
            "Copy it from the Twilio Console. It is needed beside an API key, too.",
        )
        yield (
            not _is_sid("VA", self._service_sid),
            "E011",
            "service_sid must be the SID of a Verify Service, VA and 32 hexadecimal digits.",
            "Make a Service in the Twilio Console, under Verify, or by manage.py twilio_service create.",
        )
        yield (
            # Without a username the Account SID serves, and E010 has spoken of that.
            self._username != self._account_sid
            and not (_is_sid("SK", self._username) or _is_sid("AC", self._username)),
            "E012",
            "username must be account_sid, or the SID of an API key: SK and 32 hexadecimal digits.",
            "Leave it out to use account_sid, with the Auth Token as password.",
        )
        yield (
            not self._password and "password" not in self._unreadable,
            "E013",
            "password is missing.",
            "Give the secret of the API key that username names, or else the account's Auth Token.",
        )
        yield (
            bool(self._unreadable),
            "E051",
            f"{' and '.join(self._unreadable)} must be text, or a list of texts, the one in use first.",
            "No entry may be empty. With a list, calls to Twilio use the first password.",
        )
        yield (
            not _is_timeout(self.timeout),
            "E014",
            "timeout must be a number of seconds greater than 0.",
            "A person waits for the answer: 10 is plenty.",
        )

    def _judged(self, sid: str, question: Callable[[V2], Any]) -> ProviderCheck:
        if sid and not _is_sid("VE", sid):
            # SECURITY: never part of a URL. Twilio has nothing by such a name anyway.
            return ProviderCheck(ProviderStatus.GONE, sid)
        return judged(lambda: self._request(lambda verify: _judgement(question(verify), sid)), sid)

    def _service(self, verify: V2) -> Any:
        return verify.services(self._service_sid)

    def _checks(self, verify: V2) -> Any:
        return self._service(verify).verification_checks

    def _page(self, after: datetime, before: datetime | None, page: str, size: int) -> AttemptsPage:
        # The SDK writes "Z" behind whatever time it is given, so other zones are converted here.
        query: dict[str, Any] = {"verify_service_sid": self._service_sid, "page_size": size}
        query["date_created_after"] = after.astimezone(UTC)
        if before is not None:
            query["date_created_before"] = before.astimezone(UTC)
        if page:
            query["page_token"] = page
        return called(lambda: self._request(lambda verify: _listed(verify.verification_attempts.page(**query))))

    def _request(self, action: Callable[[V2], T]) -> T:
        """As ``_ask``, for what is asked of the Service: not without its SID."""
        if not self._service_sid:
            raise VerifyError(401, 20003)
        return self._ask(action)

    def _ask(self, action: Callable[[V2], T]) -> T:
        """What ``action`` returns. Raises ``VerifyError`` or ``Unanswered`` for whatever goes wrong
        in it.
        """
        from twilio.base.exceptions import TwilioException

        try:
            return action(self._verify())
        except TwilioException as error:
            raise _refusal(error) from None

    def _verify(self) -> V2:
        """The SDK, ready: one client for each process. A child of ``fork`` never shares its
        parent's sockets.
        """
        with self._lock:
            if self._line is None or self._line.pid != os.getpid():
                self._line = self._connected()
            return self._line.client.verify.v2

    def _connected(self) -> _Line:
        from twilio.rest import Client

        if not (self._account_sid and self._password):
            # Without credentials, requests would look into the operator's ~/.netrc for some.
            raise VerifyError(401, 20003)
        http: Any = _Http(self.timeout if _is_timeout(self.timeout) else TIMEOUT)
        client = Client(
            self._username,
            self._password,
            self._account_sid,
            region="" if self._base_url else self._region,
            edge="" if self._base_url else self._edge,
            http_client=http,
            environment=_NO_ENVIRONMENT,
            user_agent_extensions=[f"django-twilio-verify/{__version__}"],
        )
        if self._base_url:
            client.verify.base_url = self._base_url
        return _Line(os.getpid(), client, http)


def parameters_of(options: SendOptions) -> dict[str, Any]:
    """``options`` as keywords of the SDK's ``verifications.create``; what is empty is left out.

    Whatever is an object or a list goes as JSON text: the SDK would make it of ``rate_limits`` and
    ``channel_configuration`` by itself, and sends ``tags``, ``template_custom_substitutions`` and ``templates`` as the
    Python objects that it was given.
    """
    return {name: _parameter(value) for name, value in options.given().items()}


def _parameter(value: Any) -> str | bool:
    if isinstance(value, bool):
        return value
    return json.dumps(value, default=_plain) if isinstance(value, (Mapping, list, tuple)) else str(value)


def _plain(value: Any) -> Any:
    """For JSON: mappings of any kind, and sentences that are translated late."""
    return dict(value) if isinstance(value, Mapping) else str(value)


@sensitive_variables()
def _secrets(given: object) -> tuple[str, ...] | None:
    """``given`` as a tuple, empty for nothing at all; ``None`` for what is neither text nor a list of texts.

    SECURITY: an empty text inside a list is refused too: nothing may be signed by nothing.
    """
    if given is None or given == "":  # what is missing in os.environ
        return ()
    several = [given] if isinstance(given, str) else given
    if not isinstance(several, list | tuple) or not several:
        return None
    return tuple(several) if all(isinstance(one, str) and one.strip() for one in several) else None


class _Http:
    """The SDK's way to the network, in place of its ``TwilioHttpClient``.

    SECURITY: that one is not made for several threads. Each answer passes through an attribute of
    the client, and nothing but the places at which CPython happens to switch threads keeps one
    person from being handed another person's "approved"; a build without the GIL has no such places.
    It also keeps the last request, code and all, logs URLs with the numbers in them, and waits for
    ever unless told otherwise. Of an HTTP client the SDK asks no more than ``request`` and
    ``is_async``.
    """

    is_async = False

    def __init__(self, timeout: float) -> None:
        from requests import Session
        from requests.adapters import HTTPAdapter
        from urllib3.util import Timeout

        # Connecting and waiting share the time; `requests` by itself would grant it to each.
        self._timeout: Any = Timeout(total=timeout, connect=timeout, read=timeout)
        self._session = Session()
        # A Session may serve several threads as long as nobody changes it. Cookies would.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=POOL_SIZE, max_retries=0))

    def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Called by the SDK. Raises ``Unanswered`` where there is no answer, or none that can be
        read.
        """
        from requests import Request
        from twilio.http.response import Response
        from urllib3.exceptions import HTTPError

        encoded = _encoded(data or {}, headers)
        body = _Body(encoded) if encoded else None
        request = Request(method, url, params=params, data=body, headers=headers, auth=auth)
        try:
            status, text, answered = self._exchange(request)
        except (OSError, HTTPError, ValueError) as error:  # OSError: all that `requests` raises
            reason, written = type(error).__name__, body is not None and body.written
        else:
            return Response(status, text, answered)
        # SECURITY: the error itself holds the URL; of it, only the name of its class is told.
        logger.warning("Twilio did not answer (%s); request written: %s", reason, written)
        raise Unanswered(may_have_been_done=written)

    def close(self) -> None:
        self._session.close()

    def _exchange(self, request: Any) -> tuple[int, str, Any]:
        session = self._session
        prepared = session.prepare_request(request)
        # The proxies and certificates of the environment, as an operator expects of any client.
        url = prepared.url or ""
        settings = session.merge_environment_settings(url, {}, None, None, None)
        answer = session.send(prepared, allow_redirects=False, timeout=self._timeout, **settings)
        text = answer.content.decode(errors="replace")
        # 204 answers a DELETE, with nothing.
        if answer.status_code < 400 and answer.status_code != 204 and not isinstance(json.loads(text), dict):
            raise ValueError("not an object")
        return answer.status_code, text, answer.headers


class _Body:
    """A request's body that knows whether anybody has begun to write it.

    The body is written after the connection is made, the TLS handshake over and the headers sent.
    So a failure with an unwritten body cannot have reached Twilio's code, whatever it is called;
    and any other may have. The alternative, to judge by the exceptions of ``urllib3``, is a guess:
    one class stands for a reset before and after the request, and an end of file in TLS looks like
    a failed handshake.
    """

    def __init__(self, form: str) -> None:
        self._form = form.encode()
        self.written = False

    def __len__(self) -> int:
        return len(self._form)

    def __iter__(self) -> Iterator[bytes]:
        # A generator: this runs when the first piece is taken, not when iter() is called.
        self.written = True
        yield self._form


def _encoded(data: Mapping[str, Any], headers: Mapping[str, str] | None) -> str:
    """``data`` in the encoding that the SDK announces: JSON for the Passkeys resource, where nothing is ``{}``, a form
    for all others.
    """
    if (headers or {}).get("Content-Type") == "application/json":
        return json.dumps(_present(data))
    return urlencode(data, doseq=True)  # a list is a parameter given again


def _present(value: Any) -> Any:
    """``value`` without what is ``None``: the SDK sends ``null`` for whatever was not given, and no parameter of Verify
    takes that.
    """
    if isinstance(value, Mapping):
        return {name: _present(one) for name, one in value.items() if one is not None}
    return value


class _Line(NamedTuple):
    """A client and the process that it belongs to."""

    pid: int
    client: Client
    http: _Http


def _sent(verification: Any) -> ProviderSend:
    if not _is_sid("VE", verification.sid):
        raise Unanswered(may_have_been_done=True)  # 2xx, and not a verification
    attempts = verification.send_code_attempts or [{}]  # oldest first; one is added by each send
    link = _field(verification.sna, "url")
    channel = str(verification.channel or "").lower()
    return ProviderSend(
        verification.sid,
        status_of(verification.status),
        # In Twilio's examples `auto` stands in some answers; what it came to is told by the link alone.
        "sna" if link and channel == "auto" else channel,
        _field(attempts[-1], "attempt_sid"),
        link,
        _line_type(verification.lookup),
    )


def _field(value: object, *names: str) -> str:
    """The text at ``names`` in nested objects, ``""`` if any of them is not there."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return str(value or "")


def _line_type(lookup: object) -> str:
    """``mobile``, ``landline``, ``voip`` …: in ``carrier`` as documented, or in Lookup's newer field."""
    return _field(lookup, "carrier", "type") or _field(lookup, "line_type_intelligence", "type")


def _judgement(answer: Any, sid: str) -> ProviderCheck:
    if sid and answer.sid != sid:
        # SECURITY: what is said of another verification is never proof for this one.
        return ProviderCheck(ProviderStatus.UNKNOWN, sid)
    return check_of(answer.status, answer.sid or "", _link_errors(answer))


def _link_errors(answer: Any) -> tuple[int, ...]:
    """Only the answer to a check has them; a fetch and an update do not."""
    told = getattr(answer, "sna_attempts_error_codes", None) or []
    return tuple(code for one in told if (code := _number(_field(one, "code"))))


def _listed(page: Any) -> AttemptsPage:
    """A page of the SDK's. Raises ``Unanswered`` for one whose end cannot be told."""
    attempts = tuple(_attempt(one) for one in page)
    following = page.next_page_url
    if not following:
        return AttemptsPage(attempts)
    # SECURITY: the token of the next page is taken, its address is not: the SDK's own lists follow whatever address
    # an answer names, and take the credentials there.
    tokens = parse_qs(urlsplit(str(following)).query).get("PageToken")
    if not tokens:
        raise Unanswered(may_have_been_done=False)
    return AttemptsPage(attempts, tokens[0])


def _attempt(one: VerificationAttemptInstance) -> ProviderAttempt:
    data = one.channel_data
    return ProviderAttempt(
        one.sid or "",
        one.verification_sid or "",
        str(one.channel or "").lower(),
        # In capitals in some of Twilio's texts.
        str(one.conversion_status).lower() == "converted" if one.conversion_status else None,
        _field(one.price, "value"),  # comes late, or never
        _field(one.price, "currency").upper(),
        (_field(data, "message_status") or _field(data, "call_status")).lower(),
        _number(_field(data, "error_code")),
        _field(data, "country"),
        _field(data, "carrier"),
        _moment(one.date_updated) or _moment(one.date_created),
    )


def _moment(value: object) -> datetime | None:
    """An aware time. The SDK leaves one with fractions of a second as the text that it was."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _refusal(error: Any) -> VerifyError:
    """What an exception of the SDK says. It has two families, and a third kind for a page that is
    not there.
    """
    status, code = _number(getattr(error, "status", 0)), _number(getattr(error, "code", 0))
    if not status:
        status, code = _page_refusal(error)
    # Where Twilio gave no number, the SDK repeats the status.
    return VerifyError(status, 0 if code == status else code, _message(error))


def _message(error: Any) -> str:
    fields = getattr(error, "errors", None) or ()  # RFC 9457: [{"detail": …, "pointer": "#/To"}]
    pointers = (str(field.get("pointer", "")) for field in fields if isinstance(field, dict))
    said = getattr(error, "msg", "") or getattr(error, "detail", "") or ""
    return " ".join([str(said), *pointers])


def _page_refusal(error: Any) -> tuple[int, int]:
    """Status and code of ``TwilioException("Unable to fetch page", response)``; 502 if there is no
    response.
    """
    response: Any = error.args[1] if len(error.args) > 1 else None
    try:
        return response.status_code, _number(json.loads(response.text)["code"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return getattr(response, "status_code", 502), 0


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0


def _is_sid(prefix: str, value: object) -> bool:
    return isinstance(value, str) and _SID[prefix].fullmatch(value) is not None


def _is_timeout(value: object) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value > 0  # type: ignore[operator, arg-type]


def _safe_url(alias: str, url: str) -> str:
    """``url``, if credentials may be sent there. Raises ``ImproperlyConfigured``, naming the
    alias.
    """
    parts = urlsplit(url)
    if url and parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in _HERE):
        # SECURITY: the password goes with every request.
        raise ImproperlyConfigured(
            f"TWILIO_VERIFY_BACKENDS[{alias!r}]: OPTIONS: base_url must start with https://, or lead to this machine."
        )
    return url
