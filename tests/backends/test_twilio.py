"""The backend for production: the real SDK, over real sockets."""

from __future__ import annotations

import json
import logging
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from threading import Event
from typing import Any

import pytest
import twilio.rest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured

from django_twilio_verify.backends.options import SendOptions
from django_twilio_verify.backends.results import ProviderAttempt, ProviderStatus
from django_twilio_verify.backends.twilio import backend as module
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.choices import Channel, RecipientKind
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import BackendError, BackendRejected, BackendUnavailable
from django_twilio_verify.testing import VerifyServer
from tests.support.tracebacks import everything_shown

CODE = "918273"
TOKEN = "a-token-of-the-phone"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SID = "VE" + "a" * 32
GOOD: dict[str, Any] = {
    "account_sid": "AC" + "1" * 32,
    "username": "SK" + "2" * 32,
    "password": "a-secret-of-some-length",
    "service_sid": "VA" + "3" * 32,
}
Make = Callable[..., TwilioBackend]
Plan = Callable[[VerifyServer], None]


@pytest.fixture
def make(server: VerifyServer) -> Iterator[Make]:
    """Makes backends that talk to ``server`` unless told otherwise, and closes them."""
    made: list[TwilioBackend] = []

    def build(**options: Any) -> TwilioBackend:
        made.append(TwilioBackend("default", **server.options(**{"timeout": 5, **options})))
        return made[-1]

    yield build
    for one in made:
        one.close()


def form(server: VerifyServer) -> dict[str, str]:
    return dict(server.requests[-1].form)


# ------------------------------------------------------------------------------------- what is
# asked


def test_a_send_is_one_request(backend: TwilioBackend, server: VerifyServer, recipient: Recipient) -> None:
    sent = backend.start(recipient, Channel.SMS)
    assert form(server) == {"To": "+12025550143", "Channel": "sms"}
    assert len(server.requests) == 1
    assert sent.status is ProviderStatus.PENDING
    assert sent.channel == "sms"
    assert sent.attempt_sid == server.simulator.attempts()[0].sid


def test_a_resend_names_its_own_attempt(backend: TwilioBackend, server: VerifyServer, recipient: Recipient) -> None:
    first, second = backend.start(recipient, Channel.SMS), backend.start(recipient, Channel.CALL)
    assert first.attempt_sid != second.attempt_sid
    assert second.attempt_sid == server.simulator.attempts()[0].sid


def test_tags_travel_as_json(backend: TwilioBackend, server: VerifyServer, recipient: Recipient) -> None:
    backend.start(recipient, Channel.SMS, SendOptions(tags={"attempt": "7", "brand": "é"}))
    assert json.loads(form(server)["Tags"]) == {"attempt": "7", "brand": "é"}


def test_an_answer_goes_by_sid_if_there_is_one(
    backend: TwilioBackend, server: VerifyServer, recipient: Recipient
) -> None:
    sid = backend.start(recipient, Channel.SMS).sid
    backend.check(recipient, CODE, sid=sid)
    assert form(server) == {"Code": CODE, "VerificationSid": sid}
    backend.check(recipient, CODE)
    assert form(server) == {"Code": CODE, "To": "+12025550143"}


def test_a_known_locale_is_one_request(make: Make, recipient: Recipient) -> None:
    with VerifyServer(locales=["de"]) as server:
        make(**server.options()).start(recipient, Channel.SMS, SendOptions(locale="de"))
        assert len(server.requests) == 1
        assert [one.locale for one in server.sent] == ["de"]


def test_an_unknown_locale_is_asked_again_without(make: Make, recipient: Recipient) -> None:
    with VerifyServer(locales=["de"]) as server:
        sent = make(**server.options()).start(recipient, Channel.SMS, SendOptions(locale="tlh", tags={"a": "b"}))
        assert sent.status is ProviderStatus.PENDING
        assert [dict(one.form).get("Locale") for one in server.requests] == ["tlh", None]
        assert form(server)["Tags"] == '{"a": "b"}'
        assert [one.locale for one in server.sent] == [""]


def test_any_other_refusal_is_not_asked_again(
    backend: TwilioBackend, server: VerifyServer, recipient: Recipient
) -> None:
    server.fail_next(status=403, code=60410)
    with pytest.raises(BackendRejected):
        backend.start(recipient, Channel.SMS, SendOptions(locale="de"))
    assert len(server.requests) == 1


def test_a_service_that_is_not_there(make: Make, recipient: Recipient, caplog: pytest.LogCaptureFixture) -> None:
    backend = make(service_sid="VA" + "0" * 32)
    with pytest.raises(BackendRejected) as caught:
        backend.start(recipient, Channel.SMS)
    assert (caught.value.code, caught.value.provider_code) == ("misconfigured", 20404)
    assert [one.levelno for one in caplog.records] == [logging.ERROR]
    assert "service_sid" in caplog.text


def test_an_api_key_will_do(make: Make, server: VerifyServer, recipient: Recipient) -> None:
    backend = make(username=server.key_sid)
    assert backend.start(recipient, Channel.SMS).status is ProviderStatus.PENDING


def test_a_wrong_password(make: Make, recipient: Recipient) -> None:
    with pytest.raises(BackendRejected) as caught:
        make(password="wrong").start(recipient, Channel.SMS)
    assert (caught.value.code, caught.value.provider_code) == ("misconfigured", 20003)


@pytest.mark.parametrize("option", ["account_sid", "password", "service_sid"])
@pytest.mark.parametrize("nothing", ["", None])
def test_without_credentials_nothing_is_asked(
    make: Make, server: VerifyServer, recipient: Recipient, option: str, nothing: str | None
) -> None:
    with pytest.raises(BackendRejected) as caught:
        make(**{option: nothing}).start(recipient, Channel.SMS)
    assert caught.value.code == "misconfigured"
    assert server.requests == []


def test_the_environment_of_the_sdk_does_not_interfere(
    make: Make, server: VerifyServer, recipient: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACCOUNT_SID", "AUTH_TOKEN", "REGION", "EDGE"):
        monkeypatch.setenv(f"TWILIO_{name}", "elsewhere")
    assert make().start(recipient, Channel.SMS).status is ProviderStatus.PENDING
    with pytest.raises(BackendRejected):
        make(password="").start(recipient, Channel.SMS)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("place", "host"),
    [
        ({}, "verify.twilio.com"),
        ({"region": "ie1"}, "verify.ie1.twilio.com"),
        ({"region": "ie1", "edge": "dublin"}, "verify.dublin.ie1.twilio.com"),
        ({"edge": "ashburn"}, "verify.ashburn.us1.twilio.com"),
    ],
)
def test_region_and_edge_choose_the_host(
    place: dict[str, Any],
    host: str,
    recipient: Recipient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def nobody(name: str, *args: object, **more: object) -> None:
        asked.append(name)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    backend = TwilioBackend("default", **GOOD, **place)
    with pytest.raises(BackendUnavailable) as caught:
        backend.start(recipient, Channel.SMS)
    assert asked == [host]
    assert not caught.value.may_have_been_done


def test_region_and_edge_do_not_apply_to_another_address(make: Make, recipient: Recipient) -> None:
    backend = make(region="ie1", edge="dublin")
    assert backend.start(recipient, Channel.SMS).status is ProviderStatus.PENDING


@pytest.mark.parametrize("url", ["http://api.example", "ftp://127.0.0.1", "127.0.0.1:80", "//x"])
def test_credentials_are_not_sent_in_the_clear(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"BACKENDS\['shop'\].*https"):
        TwilioBackend("shop", **GOOD, base_url=url)


@pytest.mark.parametrize("url", ["", "https://gateway.example/twilio", "http://localhost:1", "http://[::1]:1"])
def test_safe_addresses(url: str) -> None:
    assert TwilioBackend("shop", **GOOD, base_url=url).system_checks() == []


# ---------------------------------------------------------------------------------- what is
# answered


@pytest.mark.parametrize(
    ("word", "valid", "status"),
    [
        ("approved", False, ProviderStatus.APPROVED),  # Twilio's own example; `valid` is not read
        ("pending", True, ProviderStatus.PENDING),
        ("max_attempts_reached", True, ProviderStatus.EXHAUSTED),
        ("expired", True, ProviderStatus.GONE),
        ("Approved", True, ProviderStatus.UNKNOWN),
        ("sublime", True, ProviderStatus.UNKNOWN),
        (None, True, ProviderStatus.UNKNOWN),
        (True, True, ProviderStatus.UNKNOWN),
    ],
)
def test_only_the_very_word_counts(
    backend: TwilioBackend,
    server: VerifyServer,
    recipient: Recipient,
    word: object,
    valid: bool,
    status: ProviderStatus,
) -> None:
    body = json.dumps({"sid": SID, "status": word, "valid": valid})
    server.fail_next(status=200, body=body, times=2)
    assert backend.check(recipient, CODE, sid=SID).status is status
    assert backend.fetch(SID).status is status


def test_an_answer_for_another_verification_is_no_proof(
    backend: TwilioBackend, server: VerifyServer, recipient: Recipient
) -> None:
    body = json.dumps({"sid": "VE" + "b" * 32, "status": "approved"})
    server.fail_next(status=200, body=body)
    assert backend.check(recipient, CODE, sid=SID).status is ProviderStatus.UNKNOWN


@pytest.mark.parametrize("sid", ["", "VE", "../Services", "VE" + "g" * 32, SID + "\n"])
def test_a_sid_that_is_none_never_reaches_a_url(
    backend: TwilioBackend, server: VerifyServer, recipient: Recipient, sid: str
) -> None:
    assert backend.fetch(sid or "x").status is ProviderStatus.GONE
    assert backend.cancel(sid or "x").status is ProviderStatus.GONE
    assert backend.check(recipient, CODE, sid=sid or "x").status is ProviderStatus.GONE
    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "code", "key"),
    [
        (400, 60200, "cannot_send"),
        (400, 21211, "recipient"),
        (403, 60205, "landline"),
        (400, 21610, "opted_out"),
        (429, 60203, "wait"),
        (429, 60202, "wait"),
        (429, 60212, "wait"),
        (429, 20429, "wait"),
        (403, 60410, "cannot_send"),
        (403, 60605, "cannot_send"),
        (401, 20003, "misconfigured"),
        (400, 60223, "misconfigured"),
        (400, 99999, "cannot_send"),
    ],
)
def test_refusals(
    backend: TwilioBackend,
    server: VerifyServer,
    recipient: Recipient,
    status: int,
    code: int,
    key: str,
) -> None:
    server.fail_next(status=status, code=code)
    with pytest.raises(BackendRejected) as caught:
        backend.start(recipient, Channel.SMS)
    assert (caught.value.code, caught.value.provider_code) == (key, code)
    assert server.sent == []


def test_the_other_family_of_exceptions(backend: TwilioBackend, server: VerifyServer, recipient: Recipient) -> None:
    problem = {"type": "https://x/y", "title": "No", "status": 400, "code": 60200}
    bodies = {
        "recipient": {**problem, "errors": [{"detail": "is bad", "pointer": "#/To"}]},
        "code": {**problem, "detail": "Invalid parameter `Code`"},
        "wait": {**problem, "status": 429, "code": 60203},
    }
    for key, body in bodies.items():
        server.fail_next(status=int(str(body["status"])), body=json.dumps(body))
        with pytest.raises(BackendRejected) as caught:
            backend.start(recipient, Channel.SMS)
        assert caught.value.code == key


def test_an_error_without_a_number_has_none(backend: TwilioBackend, server: VerifyServer, recipient: Recipient) -> None:
    server.fail_next(status=403, body="<h1>Forbidden</h1>")
    with pytest.raises(BackendRejected) as caught:
        backend.start(recipient, Channel.SMS)
    assert (caught.value.code, caught.value.provider_code) == ("misconfigured", 0)


def test_a_redirect_is_not_followed(backend: TwilioBackend, server: VerifyServer, recipient: Recipient) -> None:
    server.fail_next(status=307)
    with pytest.raises(BackendRejected):
        backend.start(recipient, Channel.SMS)
    assert len(server.requests) == 1


# --------------------------------------------------------------------------- what is never answered


def answered_late(server: VerifyServer) -> None:
    server.delay(30)


PATIENCE = 1.5
"""Seconds that what is answered late is waited for. A server of a busy machine may take as long for the others."""
FAULTS: dict[str, tuple[Plan, bool]] = {
    # What the server does, and whether the message went out
    "late": (answered_late, True),
    "reset": (lambda server: server.reset_next(), False),
    "reset after": (lambda server: server.reset_next(carried_out=True), True),
    "dropped": (lambda server: server.drop_next(), False),
    "html": (lambda server: server.garble_next(), True),
    "not an object": (lambda server: server.fail_next(status=201, body="[]"), False),
    "not a verification": (lambda server: server.fail_next(status=201, body="{}"), False),
    "empty": (lambda server: server.fail_next(status=201, body=""), False),
    "500": (lambda server: server.fail_next(status=500, code=20500), False),
    "503": (lambda server: server.fail_next(status=503, body="sorry"), False),
    "502 after": (lambda server: server.fail_next(status=502, carried_out=True), True),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("warm", [False, True], ids=["new connection", "kept connection"])
def test_after_it_was_written_a_send_is_perhaps_done(
    make: Make, server: VerifyServer, recipient: Recipient, fault: str, warm: bool
) -> None:
    plan, sent = FAULTS[fault]
    backend = make(timeout=PATIENCE if fault == "late" else 30)
    if warm:
        backend.fetch(SID)
    plan(server)
    with pytest.raises(BackendUnavailable) as caught:
        backend.start(recipient, Channel.SMS)
    assert caught.value.may_have_been_done
    assert len(server.sent) == sent, "never repeated, and the simulator knows the truth"
    assert server.count("Verifications") <= 1


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "not a verification"])
def test_a_check_without_an_answer_is_no_proof(
    make: Make, server: VerifyServer, recipient: Recipient, fault: str
) -> None:
    backend = make(timeout=PATIENCE if fault == "late" else 30)
    sid = backend.start(recipient, Channel.SMS).sid
    FAULTS[fault][0](server)
    with pytest.raises(BackendUnavailable) as caught:
        backend.check(recipient, server.sent[0].code, sid=sid)
    assert caught.value.may_have_been_done


def test_a_question_changes_nothing_so_it_is_never_perhaps_done(make: Make, server: VerifyServer) -> None:
    server.reset_next()
    with pytest.raises(BackendUnavailable) as caught:
        make().fetch(SID)
    assert not caught.value.may_have_been_done


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that is bound, and listens to nobody yet."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def at(listener: socket.socket, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"


def test_a_refused_connection_is_not_done(make: Make, listener: socket.socket, recipient: Recipient) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        make(base_url=at(listener)).start(recipient, Channel.SMS)
    assert not caught.value.may_have_been_done


def test_a_connection_that_nobody_takes_is_not_done(make: Make, listener: socket.socket, recipient: Recipient) -> None:
    listener.listen(0)
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):  # fill the queue: the kernel lets the next one wait
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        with pytest.raises(BackendUnavailable) as caught:
            make(base_url=at(listener), timeout=0.3).start(recipient, Channel.SMS)
    assert not caught.value.may_have_been_done


def test_a_failed_handshake_is_not_done(make: Make, server: VerifyServer, recipient: Recipient) -> None:
    backend = make(base_url=server.url.replace("http:", "https:"))
    with pytest.raises(BackendUnavailable) as caught:
        backend.start(recipient, Channel.SMS)
    assert not caught.value.may_have_been_done
    assert server.sent == []


def test_a_handshake_that_is_cut_short_is_not_done(make: Make, listener: socket.socket, recipient: Recipient) -> None:
    listener.listen(1)
    with ThreadPoolExecutor(1) as pool:
        cut = pool.submit(lambda: listener.accept()[0].close())
        with pytest.raises(BackendUnavailable) as caught:
            make(base_url=at(listener, "https")).start(recipient, Channel.SMS)
        cut.result()
    assert not caught.value.may_have_been_done


def test_a_dead_proxy_is_not_done(
    listener: socket.socket, recipient: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTPS_PROXY", at(listener))
    with pytest.raises(BackendUnavailable) as caught:
        TwilioBackend("default", **GOOD).start(recipient, Channel.SMS)
    assert not caught.value.may_have_been_done


def test_a_missing_certificate_store_is_not_done(recipient: Recipient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    with pytest.raises(BackendUnavailable) as caught:
        TwilioBackend("default", **GOOD).start(recipient, Channel.SMS)
    assert not caught.value.may_have_been_done


@pytest.mark.parametrize("timeout", [None, 0, -1, "10", float("nan")])
def test_there_is_always_a_time_out(make: Make, recipient: Recipient, timeout: Any) -> None:
    backend = make(timeout=timeout)
    assert backend.start(recipient, Channel.SMS).status is ProviderStatus.PENDING
    assert backend._line is not None
    assert backend._line.http._timeout.total == module.TIMEOUT
    assert [one.id for one in backend.system_checks()] == ["twilio_verify.E014"]


def failure_of(call: Callable[[], object]) -> BackendError | None:
    try:
        call()
    except BackendError as error:
        return error
    return None


REFUSALS: dict[str, Plan] = {
    "60200": lambda server: server.fail_next(
        status=400,
        body=json.dumps({"code": 60200, "message": f"Invalid parameter `To`: +12025550143 {CODE}"}),
    ),
    "rfc9457": lambda server: server.fail_next(
        status=400,
        body=json.dumps(
            {
                "type": "t",
                "title": f"+12025550143 {CODE}",
                "status": 400,
                "code": 60200,
                "detail": f"+12025550143 {CODE}",
            }
        ),
    ),
    "401": lambda server: server.fail_next(status=401, code=20003),
    "429": lambda server: server.fail_next(status=429, code=20429),
    "body with all of it": lambda server: server.fail_next(status=200, body=f"+12025550143 {CODE} and more"),
}


@pytest.mark.parametrize("plan", [*REFUSALS.values(), *(plan for plan, _ in FAULTS.values())], ids=[*REFUSALS, *FAULTS])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_failures_tell_no_secret(
    make: Make,
    server: VerifyServer,
    recipient: Recipient,
    plan: Plan,
    asynchronous: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(0)
    backend = make(timeout=1.5)
    options = SendOptions(custom_code=CODE, locale="de")
    token = {"sid": SID, "sna_client_token": TOKEN}
    calls: list[Callable[[], object]] = [
        lambda: backend.start(recipient, Channel.SMS, options),
        lambda: backend.check(recipient, CODE, sid=SID),
        lambda: backend.check(recipient, "", **token),
    ]
    if asynchronous:
        calls = [
            lambda: async_to_sync(backend.astart)(recipient, Channel.SMS, options),
            lambda: async_to_sync(backend.acheck)(recipient, CODE, sid=SID),
            lambda: async_to_sync(backend.acheck)(recipient, "", **token),
        ]
    shown = repr(backend)
    for call in calls:
        plan(server)
        error = failure_of(call)
        if error is not None:  # a check whose answer names another verification is UNKNOWN instead
            assert error.__cause__ is None
            assert error.__context__ is None or asynchronous
            shown += everything_shown(error)
    shown += caplog.text
    for secret in ("2025550143", CODE, TOKEN, server.password):
        assert secret not in shown


REFUSED = json.dumps({"status": 401, "code": 20003, "message": "Authenticate", "more_info": "https://example.com"})
REFUSED_ANEW = json.dumps({"type": "https://example.com", "title": "No", "status": 401, "code": 20003})


@pytest.mark.parametrize(
    ("fault", "raised", "may_have_been_done"),
    [
        (lambda server: server.fail_next(status=401, body=REFUSED), BackendRejected, None),
        (lambda server: server.fail_next(status=401, body=REFUSED_ANEW), BackendRejected, None),
        (lambda server: server.fail_next(status=502, body="<html>"), BackendUnavailable, True),
        (lambda server: server.fail_next(status=200, body="[]"), BackendUnavailable, None),
        (lambda server: server.garble_next(carried_out=False), BackendUnavailable, None),
        (lambda server: server.reset_next(), BackendUnavailable, None),
        (lambda server: server.drop_next(), BackendUnavailable, None),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda backend, who: backend.start(who, Channel.SNA),
        lambda backend, who: backend.start(who, Channel.AUTO, SendOptions(device_ip="192.0.2.1")),
        lambda backend, who: backend.check(who, "", sid=SID),
        lambda backend, who: backend.check(who, CODE, sid=SID, amount="1", payee="Acme"),
        lambda backend, who: backend.approve(SID),
        lambda backend, who: backend.cancel(SID),
        lambda backend, who: backend.fetch(SID),
        lambda backend, who: backend.attempts_page(after=NOON, before=NOON),
    ],
    ids=["link", "auto", "ask", "pay", "approve", "cancel", "fetch", "attempts"],
)
def test_every_call_turns_every_failure_into_ours(
    backend: TwilioBackend,
    server: VerifyServer,
    recipient: Recipient,
    call: Callable[[TwilioBackend, Recipient], object],
    fault: Plan,
    raised: type[BackendError],
    may_have_been_done: bool | None,
) -> None:
    fault(server)
    with pytest.raises(raised) as caught:
        call(backend, recipient)
    assert caught.value.__cause__ is caught.value.__context__ is None
    if may_have_been_done is not None:
        assert getattr(caught.value, "may_have_been_done", None) is may_have_been_done
    assert len(server.requests) <= 1, "nothing is tried again"


@pytest.mark.parametrize("url", ["https", "http"])
def test_what_is_not_reached_tells_no_secret(
    make: Make,
    listener: socket.socket,
    recipient: Recipient,
    caplog: pytest.LogCaptureFixture,
    url: str,
) -> None:
    caplog.set_level(0)
    backend = make(base_url=at(listener, url))
    for call in (
        lambda: backend.start(recipient, Channel.SMS),
        lambda: backend.check(recipient, CODE),
        lambda: backend.fetch(SID),
    ):
        with pytest.raises(BackendUnavailable) as caught:
            call()
        shown = everything_shown(caught.value) + caplog.text
        for secret in ("2025550143", CODE, backend._password):
            assert secret not in shown
    assert "django_twilio_verify" in {one.name for one in caplog.records}


def test_success_tells_no_secret_either(
    backend: TwilioBackend,
    server: VerifyServer,
    recipient: Recipient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(0)
    sid = backend.start(recipient, Channel.SMS).sid
    backend.check(recipient, server.sent[0].code, sid=sid)
    assert "twilio.http_client" not in {one.name for one in caplog.records}
    for secret in ("2025550143", server.sent[0].code, server.password):
        assert secret not in f"{caplog.text} {backend!r} {backend} {server.requests!r} {server.sent!r}"


def test_the_client_keeps_no_request(backend: TwilioBackend, server: VerifyServer, recipient: Recipient) -> None:
    backend.start(recipient, Channel.SMS)
    assert backend._line is not None
    kept = {**vars(backend._line.client), **vars(backend._line.http)}
    kept = {name: value for name, value in kept.items() if name not in ("password", "auth")}
    assert not [name for name in kept if "last" in name]
    assert "2025550143" not in repr(kept)


# ----------------------------------------------------------------------------- threads and
# processes


def test_threads_share_one_client(make: Make, server: VerifyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(twilio.rest.Client):
        def __init__(self, *args: Any, **more: Any) -> None:
            made.append(self)
            Event().wait(0.05)  # time enough for every other thread to come by
            super().__init__(*args, **more)

    monkeypatch.setattr(twilio.rest, "Client", Counted)
    backend = make()
    recipients = [Recipient.phone(f"+12025550{number}") for number in range(100, 164)]
    with ThreadPoolExecutor(16) as pool:
        sids = [*pool.map(lambda one: backend.start(one, Channel.SMS).sid, recipients)]
    assert len(made) == 1
    for one, sid in zip(recipients, sids, strict=True):
        assert server.simulator.fetch(one.value).sid == sid, "an answer went to another's thread"


def test_a_child_process_makes_its_own_client(
    backend: TwilioBackend, recipient: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.start(recipient, Channel.SMS)
    parents = backend._line
    monkeypatch.setattr("os.getpid", lambda: -1)
    backend.start(recipient, Channel.SMS)
    assert backend._line is not None
    assert parents is not None
    assert backend._line.client is not parents.client
    parents.http.close()


def test_a_closed_backend_opens_again(backend: TwilioBackend, server: VerifyServer, recipient: Recipient) -> None:
    backend.close()
    backend.start(recipient, Channel.SMS)
    backend.close()
    backend.start(recipient, Channel.SMS)
    assert len(server.sent) == 2


def test_the_sdk_is_imported_by_the_first_call() -> None:
    script = f"""
import sys
from django.conf import settings
settings.configure()
from django_twilio_verify.backends.twilio.backend import TwilioBackend
import django_twilio_verify.testing
backend = TwilioBackend("default", **{GOOD!r}, base_url="http://127.0.0.1:9")
assert backend.system_checks() == [] and repr(backend)
loaded = {{"twilio", "requests", "urllib3", "pytest"}} & {{*sys.modules}}
assert not loaded, loaded
backend.fetch("VE")
assert "twilio" not in sys.modules
try:
    backend.fetch("{SID}")
except Exception as error:
    assert type(error).__name__ == "BackendUnavailable", error
assert {{"twilio", "requests"}} <= {{*sys.modules}}
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------------------------------- attempts


def test_attempts_are_listed_over_pages_newest_first(
    backend: TwilioBackend, server: VerifyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_SIZE", 2)
    for number in range(100, 105):
        server.simulator.create(f"+12025550{number}", "sms")
    server.simulator.check(server.sent[0].code, to="+12025550100")
    listed = [*backend.attempts(after=datetime.now(UTC) - timedelta(hours=1))]
    assert {one.sid for one in listed} == {one.sid for one in server.simulator.attempts()}
    assert len(listed) == 5
    assert server.count("Attempts") == 3
    assert [one.converted for one in listed].count(True) == 1
    first = server.simulator.attempts()[0]
    told = ("0.05", "USD", "delivered", 0, "US", "Example Wireless", first.sent_at.replace(microsecond=0))
    assert ProviderAttempt(first.sid, first.verification_sid, "sms", False, *told) in listed


def test_times_are_converted_to_utc(backend: TwilioBackend, server: VerifyServer) -> None:
    vienna = timezone(timedelta(hours=1))
    noon = datetime(2026, 11, 20, 12, tzinfo=vienna)
    assert [*backend.attempts(after=noon, before=noon + timedelta(hours=1))] == []
    query = dict(server.requests[0].query)
    assert query["DateCreatedAfter"] == "2026-11-20T11:00:00Z"
    assert query["DateCreatedBefore"] == "2026-11-20T12:00:00Z"
    assert query["VerifyServiceSid"] == server.service_sid


def test_an_attempt_with_little_known_of_it(backend: TwilioBackend, server: VerifyServer) -> None:
    calls = {"sid": "VL1", "channel": "call", "channel_data": {"call_status": "busy"}}
    failed = {
        "sid": "VL2",
        "verification_sid": SID,
        "channel": "rbm",
        "conversion_status": "CONVERTED",
        "price": {"value": "0.01", "currency": None},
        "channel_data": {"error_code": "30008", "message_status": "undelivered"},
    }
    page = {"attempts": [{}, calls, failed], "meta": {"key": "attempts"}}
    server.fail_next(status=200, body=json.dumps(page))
    listed = {one.sid: one for one in backend.attempts(after=datetime.now(UTC))}
    assert listed[""] == ProviderAttempt("", "", "", None)
    assert listed["VL1"].message_status == "busy"
    assert listed["VL2"] == ProviderAttempt("VL2", SID, "rbm", True, "0.01", "", "undelivered", 30008)


@pytest.mark.parametrize(
    ("fault", "raised", "code"),
    [
        ({"status": 429, "code": 20429}, BackendRejected, 20429),
        ({"status": 401, "code": 20003}, BackendRejected, 20003),
        ({"status": 503, "body": "sorry"}, BackendUnavailable, 0),
        ({"status": 503, "body": "[]"}, BackendUnavailable, 0),
        ({"status": 200, "body": '{"one": [], "two": []}'}, BackendUnavailable, 0),
    ],
)
def test_attempts_that_cannot_be_listed(
    backend: TwilioBackend,
    server: VerifyServer,
    fault: dict[str, Any],
    raised: type[BackendError],
    code: int,
) -> None:
    server.fail_next(**fault)
    with pytest.raises(raised) as caught:
        backend.attempts(after=datetime.now(UTC))
    assert caught.value.provider_code == code


# ----------------------------------------------------------------------------------- system checks


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({}, []),
        ({"username": ""}, []),
        ({"username": None}, []),
        ({"username": "AC" + "4" * 32}, []),
        ({"timeout": 2.5}, []),
        ({"account_sid": ""}, ["E010"]),
        ({"account_sid": "", "username": ""}, ["E010"]),
        ({"account_sid": "AC123"}, ["E010"]),
        ({"account_sid": "AC" + "1" * 32 + "\n"}, ["E010"]),
        ({"account_sid": "SK" + "1" * 32}, ["E010"]),
        ({"service_sid": None}, ["E011"]),
        ({"service_sid": "VA" + "x" * 32}, ["E011"]),
        ({"username": "SK1"}, ["E012"]),
        ({"username": "ann"}, ["E012"]),
        ({"password": ""}, ["E013"]),
        ({"password": None}, ["E013"]),
        ({"timeout": None}, ["E014"]),
        ({"timeout": 0}, ["E014"]),
        ({"timeout": -1}, ["E014"]),
        ({"timeout": True}, ["E014"]),
        ({"timeout": float("inf")}, ["E014"]),
        (
            {"account_sid": "", "username": "", "password": "", "service_sid": "", "timeout": 0},
            ["E010", "E011", "E013", "E014"],
        ),
    ],
)
def test_system_checks(options: dict[str, Any], ids: list[str]) -> None:
    given = {**GOOD, **options}
    found = TwilioBackend("brand", **given).system_checks()
    assert [one.id for one in found] == [f"twilio_verify.{check_id}" for check_id in ids]
    for one in found:
        assert one.msg.startswith("TWILIO_VERIFY_BACKENDS['brand']: OPTIONS: ")
        assert re.fullmatch(r".*\.", one.msg)
        assert one.hint
        for value in filter(None, map(str, given.values())):
            assert len(value) < 5 or value not in f"{one.msg} {one.hint}"


def test_it_says_what_it_can(backend: TwilioBackend) -> None:
    assert backend.delivers
    assert backend.supports_attempts
    assert {channel.recipient_kind for channel in backend.channels} == {*RecipientKind}
