"""The backend for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.test import override_settings

from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.backends.options import SendOptions
from django_twilio_verify.backends.results import ProviderCheck, ProviderStatus
from django_twilio_verify.choices import VERIFICATION_CHANNELS, Channel, Feature
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable
from django_twilio_verify.testing import Message, clear_outbox, outbox


@pytest.fixture
def backend() -> LocMemBackend:
    return LocMemBackend("shop")


def test_the_outbox_holds_what_was_sent(backend: LocMemBackend, recipient: Recipient) -> None:
    options = SendOptions(locale="pt-BR", tags={"a": "b"})
    with time_machine.travel("2026-11-20T12:00:00Z", tick=False):
        sent = backend.start(recipient, Channel.WHATSAPP, options)
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
    code = outbox[0].code
    assert outbox == [Message("shop", "+12025550143", "whatsapp", code, sent.sid, moment, options)]
    assert len(code) == 6


def test_a_message_shows_neither_code_nor_number(backend: LocMemBackend, recipient: Recipient) -> None:
    backend.start(recipient, Channel.SMS)
    (message,) = outbox
    for shown in (repr(message), str(message), repr(outbox), f"{message}"):
        assert message.code not in shown
        assert "2025550143" not in shown
    assert "shop" in repr(message)


def test_it_follows_the_settings_as_they_are(recipient: Recipient) -> None:
    backend = LocMemBackend("shop")
    facts = {"BACKEND": "django_twilio_verify.backends.locmem.LocMemBackend", "CODE_LENGTH": 8}
    changed = override_settings(
        TWILIO_VERIFY_BACKENDS={"shop": {**facts, "CODE_LIFETIME_SECONDS": timedelta(minutes=2)}}
    )
    with changed, time_machine.travel("2026-11-20T12:00:00Z", tick=False) as traveller:
        sid = backend.start(recipient, Channel.SMS).sid
        traveller.shift(119)
        assert backend.fetch(sid).status is ProviderStatus.PENDING
        traveller.shift(1)
        assert backend.fetch(sid).status is ProviderStatus.GONE
    assert len(outbox[-1].code) == 8
    backend.start(Recipient.email("ann@example.com"), Channel.EMAIL)
    assert len(outbox[-1].code) == 6


def test_a_channel_that_is_switched_off_is_refused(recipient: Recipient) -> None:
    backend = LocMemBackend("shop", channels=["sms"])
    with pytest.raises(BackendRejected) as caught:
        backend.start(recipient, Channel.CALL)
    assert (caught.value.code, caught.value.provider_code) == ("misconfigured", 60223)


def test_a_call_that_never_arrives(backend: LocMemBackend, recipient: Recipient) -> None:
    backend.fail_next(BackendUnavailable(may_have_been_done=False))
    with pytest.raises(BackendUnavailable) as caught:
        backend.start(recipient, Channel.SMS)
    assert not caught.value.may_have_been_done
    assert outbox == []
    assert backend.start(recipient, Channel.SMS).status is ProviderStatus.PENDING


def test_an_answer_that_is_lost(backend: LocMemBackend, recipient: Recipient) -> None:
    backend.fail_next(BackendUnavailable(may_have_been_done=True), carried_out=True)
    with pytest.raises(BackendUnavailable) as caught:
        backend.start(recipient, Channel.SMS)
    assert caught.value.may_have_been_done
    answer = backend.check(recipient, outbox[0].code)
    assert answer.status is ProviderStatus.APPROVED


def test_a_lost_answer_to_a_check_has_used_the_code(backend: LocMemBackend, recipient: Recipient) -> None:
    backend.start(recipient, Channel.SMS)
    backend.fail_next(BackendUnavailable(may_have_been_done=True), carried_out=True)
    with pytest.raises(BackendUnavailable):
        backend.check(recipient, outbox[0].code)
    assert backend.check(recipient, outbox[0].code).status is ProviderStatus.GONE


@pytest.mark.parametrize(("code", "key"), [(60410, "cannot_send"), (60205, "landline"), (20404, "misconfigured")])
def test_a_refusal_by_its_number(backend: LocMemBackend, recipient: Recipient, code: int, key: str) -> None:
    backend.fail_next(code=code, times=2)
    for start in (backend.start, async_to_sync(backend.astart)):
        with pytest.raises(BackendRejected) as caught:
            start(recipient, Channel.SMS)
        assert (caught.value.code, caught.value.provider_code) == (key, code)
        assert caught.value.__context__ is None
    assert outbox == []


def test_an_error_of_the_provider(backend: LocMemBackend, recipient: Recipient) -> None:
    backend.fail_next(status=503)
    with pytest.raises(BackendUnavailable):
        backend.start(recipient, Channel.SMS)


def test_a_check_can_find_nothing(backend: LocMemBackend, recipient: Recipient) -> None:
    sid = backend.start(recipient, Channel.SMS).sid
    backend.fail_next(code=20404)
    assert backend.check(recipient, "123456", sid=sid) == ProviderCheck(ProviderStatus.GONE, sid, 20404)


def test_the_simulator_can_be_told_of_landlines(backend: LocMemBackend, recipient: Recipient) -> None:
    backend.simulator.landlines.add(recipient.value)
    with pytest.raises(BackendRejected) as caught:
        backend.start(recipient, Channel.SMS)
    assert caught.value.code == "landline"
    assert backend.start(recipient, Channel.CALL).status is ProviderStatus.PENDING


def test_attempts(backend: LocMemBackend, recipient: Recipient) -> None:
    sent = backend.start(recipient, Channel.SMS)
    backend.check(recipient, outbox[0].code)
    now = datetime.now(UTC)
    (attempt,) = backend.attempts(after=now - timedelta(minutes=1))
    assert (attempt.sid, attempt.verification_sid) == (sent.attempt_sid, sent.sid)
    assert attempt.converted
    assert [*backend.attempts(after=now + timedelta(minutes=1))] == []
    assert [*backend.attempts(after=now - timedelta(hours=2), before=now - timedelta(hours=1))] == []


def test_resetting_one(backend: LocMemBackend, recipient: Recipient) -> None:
    sid = backend.start(recipient, Channel.SMS).sid
    backend.fail_next(status=503)
    backend.reset()
    assert backend.fetch(sid).status is ProviderStatus.GONE
    assert len(outbox) == 1


def test_resetting_all(recipient: Recipient) -> None:
    first, second = LocMemBackend("first"), LocMemBackend("second")
    sids = [one.start(recipient, Channel.SMS).sid for one in (first, second)]
    assert sids[0] != sids[1]  # two Services know nothing of each other
    clear_outbox()
    assert outbox == []
    assert first.fetch(sids[0]).status is ProviderStatus.GONE
    assert second.fetch(sids[1]).status is ProviderStatus.GONE


def test_it_says_what_it_is(backend: LocMemBackend) -> None:
    assert repr(backend) == "<LocMemBackend shop>"
    assert not backend.delivers
    assert backend.supports_attempts
    assert backend.channels == {*VERIFICATION_CHANNELS}
    assert backend.features == {*Feature}
    assert backend.system_checks() == []


def test_attempts_come_in_pages(backend: LocMemBackend) -> None:
    for number in range(100, 103):
        backend.start(Recipient.phone(f"+12025550{number}"), Channel.SMS)
    now = datetime.now(UTC)
    bounds = {"after": now - timedelta(hours=1), "before": now + timedelta(hours=1)}
    first = backend.attempts_page(**bounds, size=2)
    second = backend.attempts_page(**bounds, page=first.next_page, size=2)
    assert [*first.attempts, *second.attempts] == [*backend.attempts(**bounds)]
    assert second.next_page == ""
    assert backend.attempts_page(**bounds, page="PAVL1", size=2) == first, "of another backend"
    backend.fail_next(status=503)
    with pytest.raises(BackendUnavailable):
        backend.attempts_page(**bounds)


def test_news_of_an_attempt(backend: LocMemBackend, recipient: Recipient) -> None:
    backend.simulator.rcs_numbers.add(recipient.value)
    sid = backend.start(recipient, Channel.SMS).attempt_sid
    backend.simulator.report(sid, "undelivered", error_code=30003)
    (told,) = backend.attempts(after=datetime.now(UTC) - timedelta(hours=1))
    assert (told.channel, told.message_status, told.error_code, told.country) == ("rbm", "undelivered", 30003, "US")
    assert told.at is not None


def test_a_language_that_is_not_spoken(backend: LocMemBackend, recipient: Recipient) -> None:
    backend.simulator.locales = frozenset({"de"})
    backend.start(recipient, Channel.SMS, SendOptions(locale="tlh", custom_friendly_name="Acme"))
    assert [(one.locale, one.options.custom_friendly_name) for one in outbox] == [("", "Acme")]
