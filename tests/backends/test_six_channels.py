"""Send, resend, approve, refuse, expire, fall back: each for each channel, by the real SDK over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
import time_machine

from django_twilio_verify.backends.options import SendOptions
from django_twilio_verify.backends.results import ProviderCheck, ProviderSend, ProviderStatus
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.choices import VERIFICATION_CHANNELS, Channel, RecipientKind
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import BackendRejected
from django_twilio_verify.testing import VerifyServer

AUTO_BY_LINK = "auto, by link"
WAYS = [*(channel.value for channel in VERIFICATION_CHANNELS), AUTO_BY_LINK]
PHONE, MAIL = Recipient.phone("+12025550143"), Recipient.email("ann@example.com")


class Trial:
    """One way, one recipient, one backend that talks to a server over a socket."""

    def __init__(self, way: str, backend: TwilioBackend, server: VerifyServer) -> None:
        self.channel = Channel(way.partition(",")[0])
        self.recipient = MAIL if self.channel.recipient_kind == RecipientKind.EMAIL else PHONE
        self.backend, self.server = backend, server
        self.linked = way in ("sna", AUTO_BY_LINK)
        if way == AUTO_BY_LINK:
            server.simulator.sna_numbers.add(PHONE.value)

    def send(self) -> ProviderSend:
        sent = self.backend.start(self.recipient, self.channel, SendOptions(tags={"verification": "1"}))
        assert sent.status is ProviderStatus.PENDING
        assert bool(sent.link) == self.linked
        return sent

    def answer(self, sent: ProviderSend) -> ProviderCheck:
        """The right one."""
        if sent.link:
            assert requests.get(sent.link, timeout=5).ok
            return self.backend.check(self.recipient, "", sid=sent.sid)
        return self.backend.check(self.recipient, self.server.sent[-1].code, sid=sent.sid)

    def wrong_answer(self, sent: ProviderSend) -> ProviderCheck:
        code = "" if sent.link else "000000" if self.server.sent[-1].code != "000000" else "000001"
        return self.backend.check(self.recipient, code, sid=sent.sid)


@pytest.fixture(params=WAYS)
def trial(request: pytest.FixtureRequest, backend: TwilioBackend, server: VerifyServer) -> Trial:
    return Trial(request.param, backend, server)


def test_send(trial: Trial) -> None:
    sent = trial.send()
    (request,) = trial.server.requests
    assert dict(request.form)["Channel"] == trial.channel
    assert dict(request.form)["To"] == trial.recipient.value
    assert sent.channel == ("sna" if trial.linked else "sms" if trial.channel is Channel.AUTO else trial.channel)
    assert sent.attempt_sid.startswith("VL")


def test_resend(trial: Trial) -> None:
    first, second = trial.send(), trial.send()
    assert first.sid == second.sid
    assert first.attempt_sid != second.attempt_sid
    assert (first.link != second.link) is trial.linked
    assert trial.answer(second).status is ProviderStatus.APPROVED


def test_the_sixth_send_is_refused(trial: Trial) -> None:
    for _ in range(5):
        trial.send()
    with pytest.raises(BackendRejected) as caught:
        trial.send()
    assert (caught.value.code, caught.value.provider_code) == ("wait", 60203)
    assert caught.value.sends_used_up


def test_approve(trial: Trial) -> None:
    sent = trial.send()
    assert trial.answer(sent) == ProviderCheck(ProviderStatus.APPROVED, sent.sid)
    again = trial.backend.check(trial.recipient, "123456", sid=sent.sid)
    assert again == ProviderCheck(ProviderStatus.GONE, sent.sid, 20404)


def test_refuse(trial: Trial) -> None:
    sent = trial.send()
    if trial.linked:
        trial.server.simulator.sna_failures[PHONE.value] = 60500
        requests.get(sent.link, timeout=5)
    for _ in range(5):
        refused = trial.wrong_answer(sent)
        assert refused.status is ProviderStatus.PENDING
        assert refused.link_errors == ((60500,) if trial.linked else ())
        assert refused.link_failed is trial.linked
    assert trial.wrong_answer(sent).status is ProviderStatus.EXHAUSTED


def test_expire(trial: Trial) -> None:
    with time_machine.travel("2026-11-20T12:00:00Z", tick=False) as traveller:
        sent = trial.send()
        traveller.shift(600)
        late = trial.answer(sent)
        assert (late.status, late.provider_code) == (ProviderStatus.GONE, 20404)
        assert trial.send().sid != sent.sid


def test_fall_back(trial: Trial) -> None:
    """The way does not work out, and another one ends the same verification."""
    assert FALLING[trial.channel.value if not trial.linked else "sna"](trial).status is ProviderStatus.APPROVED


def _by_call_instead(trial: Trial) -> ProviderCheck:
    trial.server.simulator.landlines.add(PHONE.value)
    with pytest.raises(BackendRejected) as caught:
        trial.send()
    assert (caught.value.code, caught.value.try_another_channel) == ("landline", True)
    return _end_by(trial, Channel.CALL)


def _by_text_instead(trial: Trial) -> ProviderCheck:
    trial.server.simulator.channels.discard(trial.channel.value)
    with pytest.raises(BackendRejected) as caught:
        trial.send()
    assert caught.value.channel_off
    return _end_by(trial, Channel.SMS)


def _by_twilio(trial: Trial) -> ProviderCheck:
    trial.server.simulator.without_whatsapp.add(PHONE.value)
    sent = trial.send()
    assert sent.channel == "sms"
    return trial.answer(sent)


def _to_the_phone(trial: Trial) -> ProviderCheck:
    trial.server.simulator.channels.discard("email")
    with pytest.raises(BackendRejected) as caught:
        trial.send()
    assert (caught.value.provider_code, caught.value.channel_off) == (60217, True)
    trial.recipient = PHONE
    return _end_by(trial, Channel.SMS)


def _by_code_after_the_link(trial: Trial) -> ProviderCheck:
    sent = trial.send()
    trial.server.simulator.sna_failures[PHONE.value] = 60533
    requests.get(sent.link, timeout=5)
    assert trial.backend.check(PHONE, "", sid=sent.sid).link_errors == (60533,)
    by_text = trial.backend.start(PHONE, Channel.SMS)
    assert by_text.sid == sent.sid
    return trial.answer(by_text)


def _end_by(trial: Trial, channel: Channel) -> ProviderCheck:
    return trial.answer(trial.backend.start(trial.recipient, channel))


FALLING: dict[str, Callable[[Trial], ProviderCheck]] = {
    "sms": _by_call_instead,
    "call": _by_text_instead,
    "whatsapp": _by_twilio,
    "email": _to_the_phone,
    "sna": _by_code_after_the_link,
    "auto": _by_call_instead,
}
