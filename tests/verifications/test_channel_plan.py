"""Which ways are offered, in which order, and what happens to one that the provider has switched off."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from django_twilio_verify import verifications
from django_twilio_verify.choices import Channel
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import BackendRejected, InvalidRecipient
from django_twilio_verify.factors import own_factors
from django_twilio_verify.models import ChannelOutage, Factor, Verification, VerificationAttempt
from django_twilio_verify.signals import channel_unavailable
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import channel_plan, lifecycle, outages
from tests.support.basics import EMAIL, PHONE, agree, last_code, make_client, make_factor, make_user, race
from tests.support.services import set_service

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("claimants_have_room")]

LANDLINE = "+43158858"
AUSTRIAN = "+436641234567"
ALL = ["sms", "call", "whatsapp", "email", "sna", "auto"]


def ways(recipient: str = PHONE, **values) -> list[str]:
    return [channel.value for channel in channel_plan.plan(recipient=Recipient.parse(recipient), **values)]


PLAN = [
    {"countries": ["at"], "purposes": ["payment"], "channels": ["sms"]},
    {"countries": ["AT", "DE"], "channels": ["whatsapp", "sms", "voice"]},
    {"line_types": ["voip"], "channels": ["call"]},
    {"purposes": ["login", "step_up"], "channels": ["auto", "sms", "call", "email"]},
]

CASES = [
    # Without a plan, as the setting has it.
    (None, PHONE, {}, ["sms", "call", "whatsapp", "sna", "auto"]),
    (None, EMAIL, {}, ["email"]),
    # The person's own way goes first, if it leads there.
    (None, PHONE, {"preferred": "whatsapp"}, ["whatsapp", "sms", "call", "sna", "auto"]),
    (None, PHONE, {"preferred": "email"}, ["sms", "call", "whatsapp", "sna", "auto"]),
    # The first rule that fits holds; without one, the setting does.
    (PLAN, AUSTRIAN, {}, ["whatsapp", "sms", "call"]),
    (PLAN, AUSTRIAN, {"purpose": "payment"}, ["sms"]),
    (PLAN, AUSTRIAN, {"preferred": "call"}, ["call", "whatsapp", "sms"]),
    (PLAN, AUSTRIAN, {"preferred": "sna"}, ["whatsapp", "sms", "call"]),
    (PLAN, PHONE, {"purpose": "login"}, ["auto", "sms", "call"]),
    (PLAN, EMAIL, {"purpose": "login"}, ["email"]),
    (PLAN, PHONE, {}, ["sms", "call", "whatsapp", "sna", "auto"]),
    (PLAN, PHONE, {"line_type": "nonFixedVoip"}, ["call"]),
    (PLAN, PHONE, {"line_type": "mobile"}, ["sms", "call", "whatsapp", "sna", "auto"]),
    # A link shows nobody what is paid.
    (None, PHONE, {"purpose": "payment", "preferred": "auto"}, ["sms", "call", "whatsapp"]),
    # A landline is called, and never sent a text message.
    (None, LANDLINE, {}, ["call", "whatsapp"]),
    (None, LANDLINE, {"preferred": "sms"}, ["call", "whatsapp"]),
    (None, PHONE, {"line_type": "landline"}, ["call", "whatsapp"]),
    (None, PHONE, {"line_type": "LANDLINE", "preferred": "sms"}, ["call", "whatsapp"]),
    (None, PHONE, {"line_type": "unknown"}, ["sms", "call", "whatsapp", "sna", "auto"]),
]


@pytest.mark.parametrize(("setting", "recipient", "values", "expected"), CASES)
def test_the_ways_to_somebody(settings, setting, recipient, values, expected):
    settings.TWILIO_VERIFY_CHANNELS = ALL
    settings.TWILIO_VERIFY_CHANNEL_RULES = setting
    assert ways(recipient, **values) == expected


def test_what_is_not_offered_is_in_no_plan(settings):
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "call"]
    settings.TWILIO_VERIFY_CHANNEL_RULES = PLAN
    assert ways(AUSTRIAN) == ["sms", "call"]


def test_a_backend_offers_what_it_carries(settings):
    settings.TWILIO_VERIFY_CHANNELS = ALL
    settings.TWILIO_VERIFY_ROUTER = lambda request: "plain" if request.channel == Channel.CALL else None
    locmem = "django_twilio_verify.backends.locmem.LocMemBackend"
    settings.TWILIO_VERIFY_BACKENDS = {
        "default": {"BACKEND": locmem},
        "plain": {"BACKEND": f"{__name__}.TextOnly"},
    }
    assert ways() == ["sms", "whatsapp", "sna", "auto"]
    assert ways(backend="plain") == ["sms"]


class TextOnly:
    """A backend that carries text messages."""

    channels = frozenset({Channel.SMS})
    features = frozenset()

    def __init__(self, alias: str) -> None:
        self.alias = alias


def test_a_payment_told_to_a_psd2_service_goes_by_text_message(settings):
    set_service(settings, PSD2=True)
    assert ways(purpose="payment") == ["sms"]
    assert ways() == ["sms", "call", "whatsapp"]


@pytest.mark.parametrize(
    "setting", ["sms", [["sms"]], [{"channels": []}], [{"channels": ["push"]}], [{"kanal": ["sms"]}]]
)
def test_a_malformed_plan_is_told_by_its_rule(settings, setting):
    settings.TWILIO_VERIFY_CHANNEL_RULES = setting
    with pytest.raises(ImproperlyConfigured, match="TWILIO_VERIFY_CHANNEL_RULES"):
        ways()


NEXT = [
    ("sms", ["call", "whatsapp", "sna", "auto"]),
    ("whatsapp", ["sna", "auto", "sms", "call"]),
    ("auto", ["sms", "call", "whatsapp"]),  # the network would say the same again
    ("sna", ["sms", "call", "whatsapp"]),
]


@pytest.mark.parametrize(("here", "expected"), NEXT)
def test_another_way_is_the_one_behind_in_the_plan(settings, here, expected):
    settings.TWILIO_VERIFY_CHANNELS = ALL
    agree(PHONE, Channel(here).consent_channel)
    verification = verifications.start(recipient=PHONE, channel=here, client=make_client()).verification
    verification.channel = here
    assert [way.value for way in channel_plan.other_channels(verification)] == expected
    assert channel_plan.next_channel(verification) == expected[0]


def test_without_another_way_there_is_no_next_one(settings):
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "email"]
    agree()
    verification = verifications.start(recipient=PHONE, channel="sms", client=make_client()).verification
    assert channel_plan.next_channel(verification) is None


def test_the_way_that_was_proved_last_is_remembered(verbs, clock):
    ann = make_user()
    factor = make_factor(ann)
    agree(PHONE, "whatsapp", user=ann)
    assert own_factors.challenge_options([factor])[0].channel == "sms"
    values = {"recipient": PHONE, "client": make_client(), "user": ann, "purpose": "login", "factor": factor}
    started = verbs.start(channel="whatsapp", **values)
    factor.refresh_from_db()
    assert factor.channel == "sms"  # a send proves nothing
    assert verbs.check(started.verification, code=last_code(), client=make_client()).approved
    factor.refresh_from_db()
    assert (factor.channel, factor.last_used_at) == ("whatsapp", timezone.now())
    assert own_factors.challenge_options([factor])[0].channel == "whatsapp"


def test_from_the_third_send_on_a_call_is_offered(verbs, clock):
    agree()
    agree(PHONE, "call")
    offered = []
    for wait in (0, 30, 40):
        clock.shift(wait)
        offered.append(
            verbs.start(recipient=PHONE, channel="sms", client=make_client(), resend=bool(wait)).suggests_call
        )
    assert offered == [False, False, True]
    clock.shift(60)
    called = verbs.start(recipient=PHONE, channel="call", client=make_client())
    assert called.channel == Channel.CALL and not called.suggests_call


def test_no_call_is_offered_where_none_can_be_made(settings):
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "email"]
    agree()
    verification = verifications.start(recipient=PHONE, channel="sms", client=make_client()).verification
    verification.sends = 4
    assert not lifecycle.describe(verification).suggests_call


@pytest.mark.parametrize(
    ("channel", "differs"), [("sms", True), ("whatsapp", True), ("auto", True), ("call", False), ("sna", False)]
)
def test_whether_the_message_may_come_otherwise_than_asked(verbs, channel, differs):
    agree(PHONE, Channel(channel).consent_channel)
    assert verbs.start(recipient=PHONE, channel=channel, client=make_client()).channel_may_differ is differs


USED = [
    ("whatsapp", "without_whatsapp", "sms", "whatsapp"),
    ("whatsapp", "", "whatsapp", "whatsapp"),
    ("auto", "sna_numbers", "sna", "auto"),
    ("auto", "", "sms", "sms"),
]


@pytest.mark.parametrize(("asked", "numbers", "used", "verification_channel"), USED)
def test_the_way_used_stands_beside_the_way_asked_for(verbs, server, asked, numbers, used, verification_channel):
    if numbers:
        getattr(server.simulator, numbers).add(PHONE)
    agree(PHONE, Channel(asked).consent_channel)
    started = verbs.start(recipient=PHONE, channel=asked, client=make_client())
    attempt = VerificationAttempt.objects.get()
    assert (attempt.channel, attempt.channel_used) == (asked, used)
    assert started.channel == verification_channel and bool(started.link) is (used == "sna")


def test_the_kind_of_line_is_kept_as_the_look_up_told_it(verbs, server):
    server.simulator.lookup_enabled = True
    server.simulator.line_types[PHONE] = "nonFixedVoip"
    ann = make_user()
    agree(user=ann)
    values = {"recipient": PHONE, "channel": "sms", "client": make_client(), "user": ann, "purpose": "enroll"}
    verification = verbs.start(**values).verification
    assert Verification.objects.get().line_type == "nonFixedVoip"
    assert verbs.check(verification, code=server.last_code, client=make_client()).approved
    assert own_factors.confirm(verification).factor.line_type == "nonFixedVoip"


def test_a_landline_that_the_provider_knows_is_called_from_then_on(verbs, server):
    server.simulator.landlines.add(PHONE)
    ann = make_user()
    factor = make_factor(ann)
    values = {"recipient": PHONE, "client": make_client(), "user": ann, "purpose": "login", "factor": factor}
    with pytest.raises(BackendRejected) as refused:
        verbs.start(channel="sms", **values)
    assert refused.value.other_channels == (Channel.CALL, Channel.WHATSAPP)
    assert "phone call" in refused.value.user_message
    factor.refresh_from_db()
    assert [way.channel.value for way in own_factors.challenge_options([factor])] == ["call", "whatsapp"]


@pytest.mark.parametrize("channel", ["sms", "sna", "auto"])
def test_a_landline_gets_no_text_and_no_link(verbs, channel):
    with pytest.raises(InvalidRecipient) as refused:
        verbs.start(recipient=LANDLINE, channel=channel, client=make_client())
    assert refused.value.code == "phone_no_text"


# Twilio's error, the channel it is about.
OFF = [(60217, "email"), (60223, "call"), (68008, "whatsapp"), (60204, "sna")]


@pytest.fixture
def told():
    heard = []

    def receiver(sender, outage, **kwargs):
        heard.append((outage.backend, outage.channel, outage.error_code))

    channel_unavailable.connect(receiver)
    yield heard
    channel_unavailable.disconnect(receiver)


@pytest.mark.parametrize(("code", "channel"), OFF)
def test_a_channel_that_is_off_disappears_and_is_told_once(verbs, server, clock, settings, caplog, told, code, channel):
    settings.TWILIO_VERIFY_CHANNELS = ALL
    server.simulator.channels.discard(channel)
    recipient = EMAIL if channel == "email" else PHONE
    agree(recipient, channel)
    caplog.set_level(logging.ERROR, logger="django_twilio_verify")
    for _ in range(2):
        with pytest.raises(BackendRejected) as refused:
            verbs.start(recipient=recipient, channel=channel, client=make_client())
        assert refused.value.channel_off and refused.value.provider_code == code
    assert channel not in ways(recipient)
    phone_ways = [way for way in ("sms", "call", "whatsapp", "sna", "auto") if way != channel]
    expected = [] if channel == "email" else phone_ways
    assert sorted(refused.value.other_channels) == sorted(way for way in expected if channel != "sna" or way != "auto")
    lines = [record for record in caplog.records if record.getMessage().startswith("Channel ")]
    assert len(lines) == 1 and channel in lines[0].getMessage() and PHONE not in caplog.text
    assert told == [("default", channel, code)]
    clock.shift(timedelta(hours=1))
    assert channel in ways(recipient)


def test_the_refusal_names_what_can_be_tried(verbs, server):
    server.simulator.channels.discard("whatsapp")
    agree(PHONE, "whatsapp")
    with pytest.raises(BackendRejected) as refused:
        verbs.start(recipient=PHONE, channel="whatsapp", client=make_client())
    assert refused.value.other_channels == (Channel.SMS, Channel.CALL)
    assert str(refused.value).endswith("Possible now: text message, phone call.")


def test_an_outage_that_comes_back_is_told_again(server, clock, told):
    assert outages.note("default", Channel.CALL, 60223, timezone.now())
    assert not outages.note("default", Channel.CALL, 60223, timezone.now())
    clock.shift(timedelta(hours=1))
    assert outages.note("default", Channel.CALL, 60214, timezone.now())
    assert ChannelOutage.objects.get().error_code == 60214 and len(told) == 2


def test_what_the_operator_has_mended_is_offered_at_once():
    outages.note("default", Channel.CALL, 60223, timezone.now())
    assert "call" not in ways() and outages.clear("default", Channel.CALL)
    assert "call" in ways() and not outages.clear("default", Channel.CALL)


def test_an_outage_is_one_backends():
    outages.note("elsewhere", Channel.SMS, 60223, timezone.now())
    assert "sms" in ways() and "sms" in channel_plan.offered()


def test_nobody_is_locked_out_by_an_outage(settings):
    settings.TWILIO_VERIFY_CHANNELS = ["sms"]
    factor = make_factor(make_user())
    outages.note("default", Channel.SMS, 60223, timezone.now())
    assert channel_plan.offered() == (Channel.SMS,)
    assert [way.channel for way in own_factors.challenge_options([factor])] == [Channel.SMS]


def test_a_factor_whose_way_is_out_stands_behind_the_others():
    ann = make_user()
    phone, email = make_factor(ann), make_factor(ann, EMAIL, channel="email")
    for channel in (Channel.SMS, Channel.CALL, Channel.WHATSAPP):
        outages.note("default", channel, 60223, timezone.now())
    assert [(way.factor, way.channel) for way in own_factors.challenge_options([phone, email])] == [
        (email, Channel.EMAIL)
    ]
    assert channel_plan.offered() == (Channel.EMAIL,)


def test_a_factor_that_goes_nowhere_has_no_way():
    ann = make_user()
    totp = Factor.objects.create(user=ann, kind="totp", channel="totp", key="YF1", created_at=timezone.now())
    assert own_factors.challenge_options([totp]) == []


def test_a_refused_other_way_leaves_the_verification_as_it_was(verbs, server, clock):
    """The page went on naming a way by which nothing was ever sent."""
    agree()
    agree(PHONE, "whatsapp")
    first = verbs.start(recipient=PHONE, channel="sms", client=make_client())
    clock.shift(30)
    server.simulator.channels.discard("whatsapp")
    with pytest.raises(BackendRejected):
        verbs.start(recipient=PHONE, channel="whatsapp", client=make_client())
    verification = Verification.objects.get()
    assert (verification.channel, verification.sends) == ("sms", 1)
    assert verbs.check(first.verification, code=server.last_code, client=make_client()).approved


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_twenty_refusals_are_one_outage(server, told):
    server.simulator.channels.discard("call")
    clients = [make_client(f"session-{index}", ip="") for index in range(20)]
    numbers = [f"+150171227{index:02d}" for index in range(20)]
    for number, client in zip(numbers, clients, strict=True):
        agree(number, "call", client=client)

    def start(index):
        return verifications.start(recipient=numbers[index], channel="call", client=clients[index])

    results = race(20, start)
    assert all(isinstance(result, BackendRejected) and result.channel_off for result in results)
    assert ChannelOutage.objects.count() == 1 and told == [("default", "call", 60223)]
    assert outbox == []
