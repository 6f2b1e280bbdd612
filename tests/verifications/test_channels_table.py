"""A row for each channel: send, resend, approve, refuse, expire, fall back, through the real SDK over HTTP."""

from __future__ import annotations

import pytest

from django_twilio_verify.choices import Channel, CheckOutcome, VerificationStatus
from django_twilio_verify.exceptions import BackendRejected
from django_twilio_verify.models import Verification, VerificationAttempt
from django_twilio_verify.verifications import channel_plan
from tests.support.basics import EMAIL, PHONE, agree, make_client, wrong_code

pytestmark = pytest.mark.django_db

# The channel, where to, whether a silent check can be made, the channel it goes on as, and what is tried after it.
ROWS = [
    ("sms", PHONE, False, "sms", "call"),
    ("call", PHONE, False, "call", "whatsapp"),
    ("whatsapp", PHONE, False, "whatsapp", "sna"),
    ("email", EMAIL, False, "email", None),
    ("sna", PHONE, True, "sna", "sms"),
    ("auto", PHONE, True, "auto", "sms"),
    ("auto", PHONE, False, "sms", "call"),
]
IDS = ["sms", "call", "whatsapp", "email", "sna", "auto, silent", "auto, text"]


@pytest.fixture(params=ROWS, ids=IDS)
def row(request, server, settings):
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "call", "whatsapp", "email", "sna", "auto"]
    channel, recipient, silent, becomes, then = request.param
    if silent:
        server.simulator.sna_numbers.add(PHONE)
    agree(recipient, Channel(channel).consent_channel)
    return channel, recipient, silent, becomes, then


def start(verbs, row, **values):
    return verbs.start(recipient=row[1], channel=values.pop("channel", row[0]), client=make_client(), **values)


def answer(verbs, server, row, started, *, right=True):
    """Type a code, or open the link and ask."""
    if not row[2]:
        code = server.last_code if right else wrong_code(server.last_code)
        return verbs.check(started.verification, code=code, client=make_client())
    server.simulator.sna_failures = {} if right else {PHONE: 60500}
    server.open(started.link)
    return verbs.check_link(started.verification, client=make_client())


def test_send(verbs, server, row):
    started = start(verbs, row)
    assert (started.channel, bool(started.link)) == (row[3], row[2])
    assert server.last_form["Channel"] == row[0] and started.verification.sid.startswith("VE")
    attempt = VerificationAttempt.objects.get()
    assert (attempt.channel, attempt.status) == (row[0], "sent")
    assert attempt.channel_used == ("sna" if row[2] else row[3])


def test_resend(verbs, server, row, clock):
    first = start(verbs, row)
    clock.shift(30)
    again = start(verbs, row, channel=first.channel, resend=True)
    assert again.verification == first.verification and again.sends_left == 3
    assert again.verification.sid == first.verification.sid
    assert bool(again.link) is row[2] and (again.link != first.link or not row[2])


def test_approve(verbs, server, row):
    started = start(verbs, row)
    assert answer(verbs, server, row, started).approved
    assert answer_again(verbs, server, row, started) == CheckOutcome.ALREADY_APPROVED


def answer_again(verbs, server, row, started):
    if row[2]:
        return verbs.check_link(started.verification, client=make_client()).outcome
    return verbs.check(started.verification, code=server.last_code, client=make_client()).outcome


def test_refuse(verbs, server, row):
    started = start(verbs, row)
    refused = answer(verbs, server, row, started, right=False)
    assert refused.outcome == (CheckOutcome.LINK_FAILED if row[2] else CheckOutcome.WRONG)
    assert Verification.objects.get().status == VerificationStatus.PENDING


def test_expire(verbs, server, row, clock):
    started = start(verbs, row)
    clock.shift(601)
    assert verbs.status(started.verification, client=make_client()).status == VerificationStatus.EXPIRED
    assert answer_again(verbs, server, row, started) == CheckOutcome.EXPIRED
    assert start(verbs, row).verification != started.verification


def test_fall_back(verbs, server, row, clock):
    started = start(verbs, row)
    then = channel_plan.next_channel(started.verification)
    assert then == row[4]
    if then is None:
        return
    agree(row[1], Channel(then).consent_channel)
    clock.shift(0 if row[2] else 30)  # a link sent nothing, so nothing has to be waited for
    after = start(verbs, row, channel=then)
    assert after.verification == started.verification and after.channel == then
    if after.link:
        server.open(after.link)
        assert verbs.check_link(after.verification, client=make_client()).approved
    else:
        assert verbs.check(after.verification, code=server.last_code, client=make_client()).approved


def test_switched_off(verbs, server, row):
    server.simulator.channels -= {row[0]}
    with pytest.raises(BackendRejected) as refused:
        start(verbs, row)
    assert refused.value.channel_off and Channel(row[0]) not in refused.value.other_channels
    assert Verification.objects.get().status == VerificationStatus.FAILED
