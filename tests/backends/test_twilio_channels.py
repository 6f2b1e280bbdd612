"""The six channels of the Verifications resource, by the real SDK over real sockets."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
import requests
from django.utils.translation import gettext_lazy

from django_twilio_verify.backends.options import SendOptions
from django_twilio_verify.backends.results import ProviderCheck, ProviderStatus
from django_twilio_verify.backends.twilio import backend as module
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.choices import Channel
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable, Retry
from django_twilio_verify.testing import VerifyServer

SID, ATTEMPT = "VE" + "a" * 32, "VL" + "b" * 32
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BOUNDS = {"after": NOON, "before": NOON + timedelta(hours=1)}


def answer(**more: Any) -> str:
    return json.dumps({"sid": SID, "status": "pending", "channel": "sms", **more})


# --------------------------------------------------------------------------------- what comes back


def test_a_link_comes_back_and_is_opened_over_http(
    backend: TwilioBackend, server: VerifyServer, recipient: Recipient
) -> None:
    sent = backend.start(recipient, Channel.SNA)
    assert sent.link.startswith(f"{server.url}/sna/")
    assert (sent.channel, sent.status) == ("sna", ProviderStatus.PENDING)
    assert sent.link not in f"{sent!r} {backend!r}"
    waiting = backend.check(recipient, "", sid=sent.sid)
    assert (waiting.status, waiting.link_errors) == (ProviderStatus.PENDING, (60519,))
    assert not waiting.link_failed
    assert requests.get(sent.link, timeout=5).text == "ErrorCode=0&ErrorDescription=Success&Carrier=VZW"
    assert dict(server.requests[1].form) == {"VerificationSid": sent.sid}, "no Code at all"
    approved = backend.check(recipient, "", sid=sent.sid)
    assert approved == ProviderCheck(ProviderStatus.APPROVED, sent.sid)


def test_an_approval_may_tell_of_older_failures(
    backend: TwilioBackend, server: VerifyServer, recipient: Recipient
) -> None:
    server.simulator.sna_failures[recipient.value] = 60533
    requests.post(backend.start(recipient, Channel.SNA).link, timeout=5)
    server.simulator.sna_failures.clear()
    sent = backend.start(recipient, Channel.SNA)
    requests.get(sent.link, timeout=5)
    checked = backend.check(recipient, "", sid=sent.sid)
    assert (checked.status, checked.link_errors) == (ProviderStatus.APPROVED, (60533,))


def test_the_automatic_choice_says_what_it_came_to(
    backend: TwilioBackend, server: VerifyServer, recipient: Recipient
) -> None:
    by_text = backend.start(recipient, Channel.AUTO, SendOptions(device_ip="2001:db8::1"))
    assert (by_text.channel, by_text.link) == ("sms", "")
    server.simulator.sna_numbers.add(recipient.value)
    by_link = backend.start(recipient, Channel.AUTO)
    assert by_link.channel == "sna"
    assert by_link.link


@pytest.mark.parametrize(
    ("told", "channel", "link", "attempt", "line_type"),
    [
        ({"channel": "auto", "sna": {"url": "https://x.example/1"}}, "sna", "https://x.example/1", "", ""),
        ({"channel": "auto", "sna": None}, "auto", "", "", ""),
        ({"channel": "SMS", "send_code_attempts": [{"attempt_sid": ATTEMPT}]}, "sms", "", ATTEMPT, ""),
        ({"channel": "rcs", "send_code_attempts": ["odd"], "sna": "odd"}, "rcs", "", "", ""),
        ({"channel": None, "lookup": {"carrier": {"type": "landline"}}}, "", "", "", "landline"),
        ({"lookup": {"line_type_intelligence": {"type": "fixedVoip"}}}, "sms", "", "", "fixedVoip"),
        ({"lookup": {"carrier": None}}, "sms", "", "", ""),
        ({"lookup": {"carrier": {"type": None, "error_code": 60600}}}, "sms", "", "", ""),
    ],
)
def test_what_an_answer_tells(
    backend: TwilioBackend,
    server: VerifyServer,
    recipient: Recipient,
    told: dict[str, Any],
    channel: str,
    link: str,
    attempt: str,
    line_type: str,
) -> None:
    server.fail_next(status=201, body=answer(**told))
    sent = backend.start(recipient, Channel.AUTO)
    assert (sent.channel, sent.link, sent.attempt_sid, sent.line_type) == (channel, link, attempt, line_type)


def test_a_look_up_over_http(backend: TwilioBackend, server: VerifyServer, recipient: Recipient) -> None:
    server.simulator.lookup_enabled = True
    server.simulator.line_types[recipient.value] = "nonFixedVoip"
    assert backend.start(recipient, Channel.CALL).line_type == "nonFixedVoip"


@pytest.mark.parametrize("word", ["failed", "deleted", "expired", "verified", "APPROVED", "approved ", None, True, {}])
def test_a_status_that_nobody_has_heard_of_is_no_proof(
    backend: TwilioBackend, server: VerifyServer, recipient: Recipient, word: object
) -> None:
    server.fail_next(status=200, body=answer(status=word, valid=True), times=4)
    judged = [
        backend.check(recipient, "123456", sid=SID),
        backend.check(recipient, "", sid=SID),
        backend.approve(SID),
        backend.fetch(SID),
    ]
    assert ProviderStatus.APPROVED not in [one.status for one in judged]


@pytest.mark.parametrize("told", ["odd", [None], [{}], [{"code": "x"}], [{"code": None}], {"code": 1}])
def test_odd_errors_of_a_link_are_no_errors(
    backend: TwilioBackend, server: VerifyServer, recipient: Recipient, told: object
) -> None:
    server.fail_next(status=200, body=answer(sna_attempts_error_codes=told))
    assert backend.check(recipient, "", sid=SID).link_errors == ()


# ------------------------------------------------------------------------------- languages and codes


def test_objects_of_any_kind_travel_as_json(backend: TwilioBackend, server: VerifyServer, recipient: Recipient) -> None:
    """Settings are often frozen, and their sentences translated late."""
    values = MappingProxyType({"name": gettext_lazy("phone")})
    options = SendOptions(
        templates=(MappingProxyType({"sid": "HJ" + "1" * 32, "substitutions": values}),),
        rate_limits=MappingProxyType({"end_user": "7f3a"}),
        enable_sna_client_token=True,
        tags=values,
    )
    backend.start(recipient, Channel.AUTO, options)
    form = dict(server.requests[0].form)
    assert json.loads(form["Templates"]) == [{"sid": "HJ" + "1" * 32, "substitutions": {"name": "phone"}}]
    assert json.loads(form["RateLimits"]) == {"end_user": "7f3a"}
    assert json.loads(form["Tags"]) == {"name": "phone"}
    assert form["EnableSnaClientToken"] == "true"


@pytest.mark.parametrize(("status", "code"), [(404, 20404), (400, 60242), (400, 60331), (400, 60229)])
def test_a_language_that_is_not_there_is_left_out(
    backend: TwilioBackend, server: VerifyServer, recipient: Recipient, status: int, code: int
) -> None:
    server.fail_next(status=status, code=code)
    options = SendOptions(locale="tlh", tags={"a": "b"}, custom_code="4711")
    assert backend.start(recipient, Channel.WHATSAPP, options).status is ProviderStatus.PENDING
    first, second = (dict(one.form) for one in server.requests)
    assert first.pop("Locale") == "tlh"
    assert first == second
    assert len(server.sent) == 1


def test_without_a_language_it_is_not_asked_twice(
    backend: TwilioBackend, server: VerifyServer, recipient: Recipient
) -> None:
    server.fail_next(status=400, code=60242)
    with pytest.raises(BackendRejected) as caught:
        backend.start(recipient, Channel.WHATSAPP)
    assert caught.value.try_another_channel and not caught.value.channel_off
    assert len(server.requests) == 1


def test_a_service_of_another_account(
    server: VerifyServer, recipient: Recipient, caplog: pytest.LogCaptureFixture
) -> None:
    backend = TwilioBackend("default", **server.options(service_sid="VA" + "9" * 32))
    with pytest.raises(BackendRejected) as caught:
        backend.start(recipient, Channel.SNA, SendOptions(locale="de"))
    backend.close()
    assert (caught.value.code, caught.value.provider_code) == ("misconfigured", 20404)
    assert not caught.value.try_another_channel
    assert [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR] == [
        "Twilio error 20404 (HTTP status 404): Twilio did not find it: look at service_sid, which has to be a Service "
        "of account_sid, and at region."
    ]


@pytest.mark.parametrize(
    ("channel", "off"),
    [(Channel.SMS, 60223), (Channel.CALL, 60223), (Channel.WHATSAPP, 68008), (Channel.SNA, 60204)],
)
def test_a_channel_that_is_off_is_off_for_everybody(
    backend: TwilioBackend, server: VerifyServer, recipient: Recipient, channel: Channel, off: int
) -> None:
    server.simulator.channels.discard(channel.value)
    with pytest.raises(BackendRejected) as caught:
        backend.start(recipient, channel)
    error = caught.value
    assert (error.provider_code, error.channel_off, error.try_another_channel) == (off, True, True)
    assert error.retry is Retry.NEVER


def test_an_option_that_is_off_is_no_channel_that_is_off(
    backend: TwilioBackend, server: VerifyServer, recipient: Recipient
) -> None:
    server.simulator.features.clear()
    with pytest.raises(BackendRejected) as caught:
        backend.start(recipient, Channel.SMS, SendOptions(custom_code="4711"))
    assert (caught.value.provider_code, caught.value.channel_off) == (60204, False)


# ------------------------------------------------------------------------------------- pages of attempts


def page_of(*attempts: dict[str, Any], following: str | None = None) -> str:
    return json.dumps({"attempts": attempts, "meta": {"key": "attempts", "next_page_url": following}})


def test_a_page_is_asked_for_by_its_token(backend: TwilioBackend, server: VerifyServer) -> None:
    for number in range(100, 103):
        server.simulator.create(f"+12025550{number}", "sms")
    now = datetime.now(UTC)
    bounds = {"after": now - timedelta(hours=1), "before": now + timedelta(hours=1)}
    first = backend.attempts_page(**bounds, size=2)
    second = backend.attempts_page(**bounds, page=first.next_page, size=2)
    assert (len(first.attempts), len(second.attempts), second.next_page) == (2, 1, "")
    queries = [dict(one.query) for one in server.requests]
    assert queries[1].pop("PageToken") == first.next_page
    assert queries[0] == queries[1], "a page is of the same list"
    assert queries[0]["PageSize"] == "2"


def test_an_address_that_leads_elsewhere_is_not_followed(backend: TwilioBackend, server: VerifyServer) -> None:
    with VerifyServer() as stranger:
        there = f"{stranger.url}/v2/Attempts?Page=1&PageToken=PAVL1"
        server.fail_next(status=200, body=page_of(following=there))
        server.fail_next(status=200, body=page_of())
        assert [*backend.attempts(after=NOON)] == []
        assert stranger.requests == [], "the credentials went to a stranger"
    assert dict(server.requests[1].query)["PageToken"] == "PAVL1"


def test_a_list_that_leads_in_a_circle_ends(backend: TwilioBackend, server: VerifyServer) -> None:
    for token in ("A", "B", "A"):
        server.fail_next(
            status=200, body=page_of({"sid": token}, following=f"{server.url}/v2/Attempts?PageToken={token}")
        )
    assert [one.sid for one in backend.attempts(after=NOON)] == ["A", "B", "A"]
    assert len(server.requests) == 3


def test_a_list_whose_end_cannot_be_told_is_no_list(backend: TwilioBackend, server: VerifyServer) -> None:
    server.fail_next(status=200, body=page_of(following="https://verify.twilio.com/v2/Attempts?Page=1"))
    with pytest.raises(BackendUnavailable):
        backend.attempts_page(**BOUNDS)


def test_a_token_that_twilio_does_not_know(backend: TwilioBackend, server: VerifyServer) -> None:
    with pytest.raises(BackendRejected):
        backend.attempts_page(**BOUNDS, page="PAVL0")


@pytest.mark.parametrize(
    ("created", "updated", "at"),
    [
        ("2026-11-20T12:00:00Z", None, NOON),
        ("2026-11-20T11:00:00Z", "2026-11-20T12:00:00Z", NOON),
        (None, "2026-11-20T12:00:00.250000Z", NOON + timedelta(milliseconds=250)),
        (None, "2026-11-20T13:00:00.000+01:00", NOON),
        ("yesterday", None, None),
        (None, None, None),
    ],
)
def test_when_an_attempt_was_last_changed(
    backend: TwilioBackend, server: VerifyServer, created: str | None, updated: str | None, at: datetime | None
) -> None:
    server.fail_next(status=200, body=page_of({"sid": ATTEMPT, "date_created": created, "date_updated": updated}))
    (attempt,) = backend.attempts_page(**BOUNDS).attempts
    assert attempt.at == at
    assert attempt.at is None or attempt.at.tzinfo is not None


def test_all_that_an_attempt_tells(backend: TwilioBackend, server: VerifyServer) -> None:
    told = {
        "sid": ATTEMPT,
        "verification_sid": SID,
        "channel": "WhatsApp",
        "conversion_status": "UNCONVERTED",
        "price": {"value": "0.0450", "currency": "eur"},
        "channel_data": {
            "message_status": "Undelivered",
            "error_code": 63024,
            "country": "AT",
            "carrier": "A1",
        },
        "date_updated": "2026-11-20T12:00:00Z",
    }
    server.fail_next(status=200, body=page_of(told))
    (one,) = backend.attempts_page(**BOUNDS).attempts
    assert (one.channel, one.converted, one.price, one.currency) == ("whatsapp", False, "0.0450", "EUR")
    assert (one.message_status, one.error_code, one.country, one.carrier) == ("undelivered", 63024, "AT", "A1")


def test_pages_are_of_the_size_that_is_asked_for(
    backend: TwilioBackend, server: VerifyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_SIZE", 7)
    [*backend.attempts(after=NOON)]
    assert dict(server.requests[0].query)["PageSize"] == "7"
