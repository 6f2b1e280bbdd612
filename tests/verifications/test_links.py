"""Silent network authentication, and the automatic choice: a link opened on the phone proves the number, and whatever
fails goes on by another way.
"""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from django_twilio_verify import verifications
from django_twilio_verify.choices import Channel, CheckOutcome, VerificationStatus
from django_twilio_verify.exceptions import BackendUnavailable, ConsentRequired, RateLimited, VerificationNotFound
from django_twilio_verify.models import Verification, VerificationCheck
from django_twilio_verify.signals import check_failed, verification_approved
from django_twilio_verify.verifications import lifecycle
from django_twilio_verify.verifications.checking import MAX_LINK_CHECKS
from django_twilio_verify.verifications.results import Checked, Started
from tests.support.basics import PHONE, agree, make_client, make_user, race, wrong_code
from tests.support.clock import NOON

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("claimants_have_room")]


@pytest.fixture(autouse=True)
def every_way(settings):
    settings.TWILIO_VERIFY_CHANNELS = ["auto", "sna", "sms", "call", "email"]


def begin(verbs=lifecycle, channel: str = "sna", **values) -> Started:
    for way in {Channel(channel).consent_channel.value, "sms"}:
        agree(PHONE, way, user=values.get("user"))
    return verbs.start(recipient=PHONE, channel=channel, client=make_client(), **values)


def checks() -> list[str]:
    return list(VerificationCheck.objects.order_by("id").values_list("outcome", flat=True))


@pytest.mark.parametrize("channel", ["sna", "auto"])
def test_an_opened_link_proves_the_number_without_a_code(verbs, server, channel):
    server.simulator.sna_numbers.add(PHONE)
    started = begin(verbs, channel)
    assert started.link.startswith("http") and started.channel == channel
    assert lifecycle.link(started.verification, client=make_client()) == started.link
    server.open(started.link)
    checked = verbs.check_link(started.verification, client=make_client())
    assert checked.approved
    verification = Verification.objects.get()
    assert (verification.status, verification.link, verification.checks) == (VerificationStatus.APPROVED, "", 0)
    assert "Code" not in server.last_form and checks() == ["approved"]
    assert verbs.check_link(started.verification, client=make_client()).outcome == CheckOutcome.ALREADY_APPROVED
    assert lifecycle.link(started.verification, client=make_client()) == ""


def test_auto_that_came_as_a_text_message_is_one(verbs, server):
    started = begin(verbs, "auto")
    assert (started.channel, started.link) == (Channel.SMS, "")
    assert verbs.check_link(started.verification, client=make_client()).outcome == CheckOutcome.WRONG_ANSWER_TYPE
    assert verbs.check(started.verification, code=server.last_code, client=make_client()).approved


@pytest.mark.parametrize("silent", [True, False])
def test_a_second_press_on_auto_is_the_first_one(verbs, server, clock, silent):
    if silent:
        server.simulator.sna_numbers.add(PHONE)
    first, second = (begin(verbs, "auto") for _ in range(2))
    assert second.reused and (second.channel, second.link) == (first.channel, first.link)
    assert server.server.count("Verifications") == 1
    clock.shift(30)
    again = verbs.start(recipient=PHONE, channel=first.channel, client=make_client(), resend=True)
    assert again.verification == first.verification and not again.reused


@pytest.mark.parametrize(
    ("channel", "agreed", "asks"), [("sna", "sms", True), ("auto", "sna", True), ("auto", "sms", False)]
)
def test_each_goes_by_its_own_consent(verbs, channel, agreed, asks):
    agree(PHONE, agreed)
    if asks:
        with pytest.raises(ConsentRequired):
            verbs.start(recipient=PHONE, channel=channel, client=make_client())
    else:
        assert verbs.start(recipient=PHONE, channel=channel, client=make_client()).sends_left == 4


def test_a_link_that_was_not_opened_yet_costs_no_answer(verbs, server):
    started = begin(verbs)
    told = verbs.check_link(started.verification, client=make_client())
    assert (told.outcome, told.checks_left, told.next_channel) == (CheckOutcome.NOT_OPENED, 5, None)
    server.open(started.link)
    assert verbs.check_link(started.verification, client=make_client()).approved


def test_but_it_is_not_asked_about_for_ever(verbs, server):
    started = begin(verbs)
    told = [verbs.check_link(started.verification, client=make_client()) for _ in range(5)]
    outcomes = [CheckOutcome.NOT_OPENED] * 2 + [CheckOutcome.LINK_FAILED] * 3
    assert [one.outcome for one in told] == outcomes
    assert server.server.count("VerificationCheck") == MAX_LINK_CHECKS
    assert told[-1].next_channel == Channel.SMS


# The errors with which opening a link fails (605xx): a stranger's SIM, Wi-Fi, two SIMs, an invalid number.
FAILURES = [60500, 60510, 60520, 60530, 60534, 60540]


@pytest.mark.parametrize("code", FAILURES)
def test_any_failure_goes_on_by_the_next_way_at_once(verbs, server, clock, code):
    server.simulator.sna_failures[PHONE] = code
    started = begin(verbs)
    server.open(started.link)
    failed = verbs.check_link(started.verification, client=make_client())
    assert (failed.outcome, failed.next_channel) == (CheckOutcome.LINK_FAILED, Channel.SMS)
    assert VerificationCheck.objects.get().error_code == code
    after = verbs.start(recipient=PHONE, channel=failed.next_channel, client=make_client())
    assert after.verification == started.verification and not after.reused and after.link == ""
    assert verbs.check(after.verification, code=server.last_code, client=make_client()).approved
    assert [one.channel for one in after.verification.attempts.order_by("id")] == ["sna", "sms"]


def test_who_does_not_want_to_open_it_goes_on_at_once(verbs, server, clock):
    started = begin(verbs)
    after = verbs.start(recipient=PHONE, channel="sms", client=make_client())
    assert after.verification == started.verification
    assert verbs.check_link(started.verification, client=make_client()).outcome == CheckOutcome.WRONG_ANSWER_TYPE
    assert lifecycle.link(started.verification, client=make_client()) == ""
    agree(PHONE, "call")
    with pytest.raises(RateLimited):  # and a second message waits its turn
        verbs.start(recipient=PHONE, channel="call", client=make_client())


def test_a_wrong_token_proves_nothing(verbs, server):
    started = begin(verbs, options={"enable_sna_client_token": True})
    server.open(started.link)
    told = verbs.check_link(started.verification, client=make_client(), sna_client_token="guessed")
    assert (told.outcome, told.next_channel) == (CheckOutcome.LINK_FAILED, Channel.SMS)
    assert Verification.objects.get().status == VerificationStatus.PENDING


def test_the_right_token_is_passed_on(verbs, server):
    started = begin(verbs, options={"enable_sna_client_token": True})
    pending = server.simulator._by_link[started.link]
    server.open(started.link)
    assert verbs.check_link(
        started.verification, client=make_client(), sna_client_token=pending.links[0].token
    ).approved


def test_a_code_typed_to_a_link_reaches_nobody(verbs, server):
    started = begin(verbs)
    before = server.count
    told = verbs.check(started.verification, code="123456", client=make_client())
    assert (told.outcome, told.checks_left, server.count) == (CheckOutcome.WRONG_ANSWER_TYPE, 5, before)


@pytest.mark.parametrize("channel", ["sms", "call"])
def test_a_link_is_not_asked_for_where_a_code_was_sent(verbs, server, channel):
    started = begin(verbs, channel)
    before = server.count
    assert verbs.check_link(started.verification, client=make_client()).outcome == CheckOutcome.WRONG_ANSWER_TYPE
    assert server.count == before


@pytest.mark.parametrize("other", ["session", "person", "unknown"])
def test_other_peoples_links_are_not_there(verbs, server, other):
    ann, bob = make_user("ann"), make_user("bob")
    started = begin(verbs, user=ann)
    target = uuid.uuid4() if other == "unknown" else started.verification
    values = {"client": make_client("stolen" if other == "session" else "session-1")}
    if other == "person":
        values["user"] = bob
    for ask in (verbs.check_link, lifecycle.link, verbs.status):
        with pytest.raises(VerificationNotFound):
            ask(target, **values)
    assert checks() == []


@pytest.mark.parametrize(
    ("fault", "asked"),
    [("reset", 1), ("500", 1), ("garble", 1), ("unreachable", 0)],
)
def test_a_provider_that_does_not_say_may_be_asked_again(verbs, server, fault, asked):
    started = begin(verbs)
    server.open(started.link)
    server.fail(fault)
    with pytest.raises(BackendUnavailable):
        verbs.check_link(started.verification, client=make_client())
    verification = Verification.objects.get()
    assert (verification.link_checks, verification.checking_until) == (asked, None)
    assert verification.link == started.link
    server.restart()
    if fault != "garble":  # that one was carried out: the approval was lost with the answer
        assert verbs.check_link(started.verification, client=make_client()).approved


def test_what_the_provider_refuses_is_a_link_that_failed(verbs, server):
    started = begin(verbs)
    server.fail({"status": 400, "code": 60200})
    told = verbs.check_link(started.verification, client=make_client())
    assert (told.outcome, told.next_channel) == (CheckOutcome.LINK_FAILED, Channel.SMS)


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [(404, 20404, CheckOutcome.EXPIRED), (429, 60202, CheckOutcome.NO_CHECKS_LEFT)],
)
def test_what_is_over_at_the_provider_is_over_here(verbs, server, status, code, outcome):
    started = begin(verbs)
    server.fail({"status": status, "code": code})
    assert verbs.check_link(started.verification, client=make_client()).outcome == outcome
    assert Verification.objects.get().link == ""


def test_a_status_nobody_has_heard_of_proves_nothing(verbs, server):
    started = begin(verbs)
    server.open(started.link)
    body = f'{{"sid": "{started.verification.sid}", "status": "approvedish", "valid": true}}'
    server.server.fail_next(status=200, body=body)
    assert verbs.check_link(started.verification, client=make_client()).outcome == CheckOutcome.NOT_OPENED


def test_a_link_whose_address_was_lost_goes_on_another_way(verbs, server):
    agree(PHONE, "sna")
    agree()
    server.fail("reset after")
    started = verbs.start(recipient=PHONE, channel="sna", client=make_client())
    assert started.delivery_unknown and started.link == ""
    told = verbs.check_link(started.verification, client=make_client())
    assert (told.outcome, told.next_channel) == (CheckOutcome.LINK_FAILED, Channel.SMS)
    assert verbs.start(recipient=PHONE, channel="sms", client=make_client()).verification == started.verification


def test_an_expired_link_is_over(verbs, server, clock):
    started = begin(verbs)
    clock.shift(601)
    assert lifecycle.link(started.verification, client=make_client()) == ""
    assert verbs.status(started.verification, client=make_client()).status == VerificationStatus.EXPIRED
    assert verbs.check_link(started.verification, client=make_client()).outcome == CheckOutcome.EXPIRED
    assert Verification.objects.get().link == ""


def test_a_second_link_takes_the_place_of_the_first(verbs, server, clock):
    first = begin(verbs)
    clock.shift(30)
    second = verbs.start(recipient=PHONE, channel="sna", client=make_client(), resend=True)
    assert second.verification == first.verification and second.link not in ("", first.link)
    server.open(second.link)
    assert verbs.check_link(second.verification, client=make_client()).approved


def test_a_refused_way_out_leaves_the_link_usable(verbs, server, clock):
    """Two tabs on two channels: the one that is refused takes nothing from the other."""
    started = begin(verbs)
    server.simulator.fraud_prefixes.add(PHONE[:6])
    with pytest.raises(Exception, match="cannot send"):
        verbs.start(recipient=PHONE, channel="sms", client=make_client())
    assert lifecycle.link(started.verification, client=make_client()) == started.link
    server.open(started.link)
    assert verbs.check_link(started.verification, client=make_client()).approved


def test_two_tabs_on_two_channels_are_told_to_wait_and_lose_nothing(verbs, server, clock):
    agree(PHONE, "call")
    started = begin(verbs, "sms")
    with pytest.raises(RateLimited) as told:
        verbs.start(recipient=PHONE, channel="call", client=make_client())
    assert (told.value.code, told.value.retry_at) == ("cooldown", NOON + timedelta(seconds=30))
    agree(PHONE, "sna")
    with pytest.raises(RateLimited):
        verbs.start(recipient=PHONE, channel="sna", client=make_client())
    assert verbs.check(started.verification, code=server.last_code, client=make_client()).approved


PROGRESS = [
    ("start", (VerificationStatus.PENDING, True, False, False)),
    ("fail", (VerificationStatus.PENDING, False, True, False)),
    ("approve", (VerificationStatus.APPROVED, False, False, False)),
    ("redeem", (VerificationStatus.APPROVED, False, False, True)),
]


@pytest.mark.parametrize(("until", "expected"), PROGRESS)
def test_the_waiting_page_reads_our_own_row(verbs, server, django_assert_num_queries, until, expected):
    started = begin(verbs)
    if until == "fail":
        server.simulator.sna_failures[PHONE] = 60500
    if until != "start":
        server.open(started.link)
        verbs.check_link(started.verification, client=make_client())
    if until == "redeem":
        assert verbs.redeem(started.verification, client=make_client(), purpose="verify").accepted
    before = server.count
    with django_assert_num_queries(1):
        told = lifecycle.status(started.verification, client=make_client())
    assert (told.status, told.link_pending, told.link_failed, told.redeemed) == expected
    assert verbs.status(started.verification, client=make_client()) == told
    assert told.approved is (until in ("approve", "redeem")) and server.count == before


def test_signals_tell_of_links(server):
    heard = []

    def approved(sender, verification, **kwargs):
        heard.append("approved")

    def refused(sender, verification, outcome, **kwargs):
        heard.append(outcome.value)

    verification_approved.connect(approved)
    check_failed.connect(refused)
    try:
        started = begin()
        lifecycle.check_link(started.verification, client=make_client())  # nothing was answered yet
        server.open(started.link)
        lifecycle.check_link(started.verification, client=make_client())
    finally:
        verification_approved.disconnect(approved)
        check_failed.disconnect(refused)
    assert heard == ["approved"]


def test_a_question_waits_for_the_one_before_it_and_gives_up_politely(verbs, settings):
    locmem = "django_twilio_verify.backends.locmem.LocMemBackend"
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": locmem, "OPTIONS": {"timeout": 0.1}}}
    started = begin(verbs)
    lease = datetime.now(UTC) + timedelta(minutes=1)
    Verification.objects.update(checking_until=lease)
    assert verbs.check_link(started.verification, client=make_client()).outcome == CheckOutcome.IN_PROGRESS
    assert Verification.objects.get().link_checks == 0


def test_a_last_question_that_was_cut_short_ends_the_link(verbs, server):
    started = begin(verbs)
    Verification.objects.update(link_checks=MAX_LINK_CHECKS)
    before = server.count
    told = verbs.check_link(started.verification, client=make_client())
    assert (told.outcome, told.next_channel, server.count) == (CheckOutcome.LINK_FAILED, Channel.SMS, before)


def test_within_a_transaction_of_the_sites_no_link_is_asked_for(server):
    started = begin()
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        lifecycle.check_link(started.verification, client=make_client())
    assert Verification.objects.get().link_checks == 0


def test_links_do_not_show_in_what_is_printed(server):
    started = begin()
    token = started.link.rsplit("/", 1)[-1]
    assert token not in repr(started) and token not in repr(started.verification)


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
@pytest.mark.parametrize("silent", [True, False])
def test_of_twenty_presses_on_auto_one_sends(server, silent):
    if silent:
        server.simulator.sna_numbers.add(PHONE)
    agree()
    results = race(20, lambda index: verifications.start(recipient=PHONE, channel="auto", client=make_client()))
    assert Counter(result.reused for result in results if isinstance(result, Started)) == {False: 1, True: 19}
    assert server.server.count("Verifications") == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_the_questions_of_a_race_are_judged_once_and_approved_once(server):
    started = begin()
    server.open(started.link)
    server.server.delay(0.2)
    results = race(20, lambda index: lifecycle.check_link(started.verification, client=make_client()))
    outcomes = Counter(result.outcome.value for result in results if isinstance(result, Checked))
    assert outcomes == {"approved": 1, "already_approved": 19}
    assert server.server.count("VerificationCheck") == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_a_race_for_an_unopened_link_asks_no_more_often_than_it_may(server):
    started = begin()
    results = race(20, lambda index: lifecycle.check_link(started.verification, client=make_client()))
    outcomes = Counter(result.outcome.value for result in results if isinstance(result, Checked))
    assert outcomes == {"not_opened": 2, "link_failed": 18}
    assert server.server.count("VerificationCheck") == MAX_LINK_CHECKS
    assert checks() == ["not_opened", "not_opened", "link_failed"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_links_and_codes_in_a_race_never_share_an_answer(server):
    """Half ask about the link, half have moved on to a text message: one proof, whoever was right."""
    server.simulator.sna_numbers.add(PHONE)
    started = begin()
    server.open(started.link)

    def work(index):
        if index % 2:
            return lifecycle.check_link(started.verification, client=make_client())
        return verifications.start(recipient=PHONE, channel="sms", client=make_client())

    results = race(10, work)
    approved = [result for result in results if isinstance(result, Checked) and result.approved]
    verification = Verification.objects.get(pk=started.verification.pk)
    assert len(approved) <= 1 and (verification.status == VerificationStatus.APPROVED) is bool(approved)
    assert verification.link == ""


def test_wrong_codes_after_a_failed_link_have_all_their_tries(verbs, server, clock):
    server.simulator.sna_failures[PHONE] = 60500
    started = begin(verbs)
    server.open(started.link)
    verbs.check_link(started.verification, client=make_client())
    verbs.start(recipient=PHONE, channel="sms", client=make_client())
    told = [
        verbs.check(started.verification, code=wrong_code(server.last_code), client=make_client()) for _ in range(5)
    ]
    assert [one.checks_left for one in told] == [4, 3, 2, 1, 0]
