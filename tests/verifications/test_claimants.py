"""Owners and claimants of one number: what strangers do uses up nothing of the owner's, and tells them nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_twilio_verify import verifications
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.choices import AttemptStatus, CheckOutcome, Precedence, VerificationStatus
from django_twilio_verify.exceptions import BackendUnavailable, RateLimited, VerificationNotFound
from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.models import Factor, KnownNetwork, LimitCounter, Verification, VerificationAttempt
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import challenge_rules, challenges, claimants, lifecycle
from tests.support.basics import OTHER_PHONE, PHONE, agree, last_code, make_client, make_factor, make_user, wrong_code
from tests.support.clock import NOON

pytestmark = pytest.mark.django_db

HOME = make_client("home", ip="198.51.100.7")
CLAIMS = ("claim_ten_minutes", "claim_hour", "claim_day")


@pytest.fixture
def ann(clock: Any) -> Any:
    """Ann has confirmed PHONE and signed in from home."""
    ann = make_user()
    make_factor(ann)
    signed_in(ann, HOME)
    clock.shift(timedelta(hours=3))
    return ann


def signed_in(user: Any, client: Any, recipient: str = PHONE) -> None:
    started = lifecycle.start(recipient=recipient, channel="sms", user=user, purpose="login", client=client)
    assert verifications.check(started.verification, code=last_code(), client=client, user=user).approved


def visitor(index: int, **values: str) -> Any:
    return make_client(f"visitor-{index}", ip=f"203.0.{index}.7", **values)


def claim(verbs: Any, client: Any, recipient: str = PHONE, **values: Any) -> Any:
    agree(recipient, client=client)
    return verbs.start(recipient=recipient, channel="sms", client=client, **values)


def own(verbs: Any, ann: Any, client: Any = HOME, purpose: str = "login", **values: Any) -> Any:
    return verbs.start(recipient=PHONE, channel="sms", user=ann, purpose=purpose, client=client, **values)


def sent_by_owner(verbs: Any, clock: Any, ann: Any, count: int) -> None:
    """From home, in sessions of their own; in between, the provider's five to one verification are over."""
    for index in range(count):
        if index and index % 5 == 0:
            clock.shift(timedelta(minutes=11))
        own(verbs, ann, make_client(f"home-{index}", ip=HOME.ip))


def refused_by(work: Any) -> str:
    with pytest.raises(RateLimited) as caught:
        work()
    return caught.value.code


# --- What strangers use up ---


def test_visitors_do_not_use_up_the_owners_sends(verbs, clock, ann, settings):
    settings.TWILIO_VERIFY_LIMITS = {"consent_recipient_day": 1000}  # each ticks the box first, which has a limit too
    told = []
    for index in range(30):
        try:
            claim(verbs, visitor(index))
            told.append("sent")
        except RateLimited as refused:
            told.append(refused.code)
    assert told == ["sent"] * 2 + ["claim_ten_minutes"] * 28
    sent = len(outbox)
    started = own(verbs, ann)
    assert len(outbox) == sent + 1 and not started.reused
    assert verbs.check(started.verification, code=last_code(), client=HOME).approved


def test_claimants_have_few_sends_in_an_hour_and_a_day_and_owners_the_rest(clock, ann):
    began, sent, stranger = len(outbox), 0, visitor(1)
    agree(client=stranger)
    for _ in range(24 * 4):
        clock.shift(timedelta(minutes=15))
        try:
            verifications.start(recipient=PHONE, channel="sms", client=stranger)
            sent += 1
        except RateLimited:
            continue
    assert sent == len(outbox) - began <= 8 + 8  # one day's worth, and what fades out of it meanwhile
    started = own(lifecycle, ann)
    assert verifications.check(started.verification, code=last_code(), client=HOME).approved


@pytest.mark.parametrize("minute", [0, 4, 8, 9])
def test_never_more_than_two_in_any_ten_minutes(clock, minute, settings):
    """The edges of the windows lie anywhere: two at the end of one, and two at the beginning of the next, are four."""
    settings.TWILIO_VERIFY_LIMITS = {"consent_recipient_day": 1000}
    clock.shift(timedelta(minutes=minute, seconds=59))
    times, codes = [], set()
    for step in range(60):  # every 30 seconds for half an hour
        try:
            claim(lifecycle, visitor(step))
            times.append(step * 30)
        except RateLimited as refused:
            codes.add(refused.code)
        clock.shift(timedelta(seconds=30))
    assert len(times) >= 2 and codes <= {*CLAIMS}
    assert all(third - first >= 600 for first, third in zip(times, times[2:], strict=False)), times


def test_a_refusal_says_from_when_it_is_allowed(verbs, clock):
    for index in (1, 2):
        claim(verbs, visitor(index))
    with pytest.raises(RateLimited) as refused:
        claim(verbs, visitor(3))
    clock.move_to(refused.value.retry_at - timedelta(seconds=2))
    assert refused_by(lambda: claim(verbs, visitor(3))) == "claim_ten_minutes"
    clock.move_to(refused.value.retry_at)
    claim(verbs, visitor(3))


def test_the_hours_budget_comes_back_bit_by_bit(verbs, clock, ann):
    """Ten in the last minute of an hour leave none for its next minute: the window slides."""
    clock.shift(timedelta(minutes=45))
    sent_by_owner(verbs, clock, ann, 10)
    with pytest.raises(RateLimited) as refused:
        own(verbs, ann, make_client("home-x", ip=HOME.ip))
    assert refused.value.code in ("owner_hour", "user_hour")
    clock.shift(timedelta(minutes=4))
    assert refused_by(lambda: own(verbs, ann, make_client("home-x", ip=HOME.ip))) == refused.value.code
    clock.move_to(refused.value.retry_at)
    own(verbs, ann, make_client("home-x", ip=HOME.ip))


def test_a_counter_is_counted_by_one_update(clock, ann):
    own(lifecycle, ann)
    clock.shift(timedelta(hours=3))
    with CaptureQueriesContext(connection) as captured:
        own(lifecycle, ann)
    updates = [query["sql"] for query in captured if re.match("UPDATE .*limitcounter", query["sql"])]
    assert len(updates) == 1


# --- Guesses ---


def test_wrong_guesses_of_claimants_leave_the_owners_code_alone(verbs, clock, ann):
    strangers = [visitor(1), visitor(2)]
    begun = [claim(verbs, one).verification for one in strangers]
    outcomes = [
        verbs.check(begun[index % 2], code=wrong_code(), client=strangers[index % 2]).outcome for index in range(6)
    ]
    assert outcomes[:3] == [CheckOutcome.WRONG] * 3
    assert set(outcomes[3:]) == {CheckOutcome.NO_CHECKS_LEFT}
    clock.shift(timedelta(seconds=30))
    before = {row.sid for row in Verification.objects.filter(precedence=Precedence.CLAIMANT)}
    started = own(verbs, ann)
    started.verification.refresh_from_db()
    assert started.verification.sid not in before
    for _ in range(4):
        assert verbs.check(started.verification, code=wrong_code(), client=HOME).outcome == CheckOutcome.WRONG
    assert verbs.check(started.verification, code=last_code(), client=HOME).approved


def test_a_claimant_over_the_joint_budget_hears_what_one_hears_who_used_up_ones_own(verbs, clock):
    first, second = visitor(1), visitor(2)
    mine, others = claim(verbs, first).verification, claim(verbs, second).verification
    own_end = [verbs.check(mine, code=wrong_code(), client=first) for _ in range(3)][-1]
    joint_end = verbs.check(others, code=last_code(), client=second)
    for name in ("checks_left", "reason", "next_channel", "approved"):
        assert getattr(own_end, name) == getattr(joint_end, name)
    again = [verbs.check(one, code=last_code(), client=client) for one, client in ((mine, first), (others, second))]
    assert own_end.checks_left == 0 and {one.outcome for one in (joint_end, *again)} == {CheckOutcome.NO_CHECKS_LEFT}
    assert verbs.status(mine, client=first).status == verbs.status(others, client=second).status


def test_the_owners_answers_are_counted_nowhere_near_those_of_claimants(verbs, clock, ann):
    started = own(verbs, ann)
    for _ in range(4):
        verbs.check(started.verification, code=wrong_code(), client=HOME)
    clock.shift(timedelta(minutes=11))
    stranger = visitor(1)
    begun = claim(verbs, stranger).verification
    told = [verbs.check(begun, code=wrong_code(), client=stranger).outcome for _ in range(3)]
    assert told[:2] == [CheckOutcome.WRONG] * 2


# --- The owner goes first at the provider ---


def test_a_start_of_the_owner_cancels_a_claimants(verbs, clock, ann):
    stranger = visitor(1)
    begun = claim(verbs, stranger).verification
    theirs = last_code()
    clock.shift(timedelta(seconds=30))
    own(verbs, ann)
    assert last_code() != theirs
    begun.refresh_from_db()
    # It stays pending: "closed" would tell that the owner signs in at this moment.
    assert (begun.status, begun.withheld) == (VerificationStatus.PENDING, True)
    assert verbs.check(begun, code=theirs, client=stranger).outcome == CheckOutcome.WRONG


def test_a_claimants_start_leaves_the_owners_code_alone(verbs, clock, ann):
    started = own(verbs, ann)
    code, sent = last_code(), len(outbox)
    stranger = visitor(1)
    begun = claim(verbs, stranger)
    assert len(outbox) == sent  # or the owner's five sends would be the claimants'
    attempt = VerificationAttempt.objects.get(verification=begun.verification)
    assert attempt.status == AttemptStatus.WITHHELD and attempt.settled_at is not None
    told = [verbs.check(begun.verification, code=wrong_code(code), client=stranger).outcome for _ in range(2)]
    assert told == [CheckOutcome.WRONG] * 2
    # Not even the owner's own code counts in the claimant's session: it was sent for something else.
    assert verbs.check(begun.verification, code=code, client=stranger).outcome == CheckOutcome.NO_CHECKS_LEFT
    simulator = backends["default"].simulator
    assert simulator._pending[PHONE].checks == 0
    assert verbs.check(started.verification, code=code, client=HOME).approved


def test_a_resend_of_a_claimants_is_withheld_too(verbs, clock, ann):
    stranger = visitor(1)
    claim(verbs, stranger)
    clock.shift(timedelta(seconds=31))
    own(verbs, ann)
    sent = len(outbox)
    again = verbs.start(recipient=PHONE, channel="sms", client=stranger, resend=True)
    assert len(outbox) == sent and again.sends_left == 3
    attempts = VerificationAttempt.objects.filter(verification=again.verification).order_by("pk")
    assert [*attempts.values_list("status", flat=True)] == [
        AttemptStatus.SENT,
        AttemptStatus.WITHHELD,
    ]


def test_after_the_owner_is_through_claimants_are_sent_to_again(verbs, clock, ann):
    started = own(verbs, ann)
    assert verbs.check(started.verification, code=last_code(), client=HOME).approved
    stranger = visitor(1)
    begun = claim(verbs, stranger)
    assert verbs.check(begun.verification, code=last_code(), client=stranger).approved


def test_a_cancel_without_an_answer_stops_nobody(verbs, clock, ann):
    """The provider then sends its code again, with the answers that are left: claimants have used three of five."""
    stranger = visitor(1)
    begun = claim(verbs, stranger).verification
    for _ in range(3):
        verbs.check(begun, code=wrong_code(), client=stranger)
    clock.shift(timedelta(seconds=30))
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=True))
    started = own(verbs, ann)
    assert verbs.check(started.verification, code=wrong_code(), client=HOME).outcome == CheckOutcome.WRONG
    assert verbs.check(started.verification, code=last_code(), client=HOME).approved


def test_a_withheld_start_fails_as_any_other_when_the_provider_is_down(verbs, clock, ann):
    own(verbs, ann)
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))
    with pytest.raises(BackendUnavailable):
        claim(verbs, visitor(1))
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=True))
    assert claim(verbs, visitor(2)).delivery_unknown


class Meeting(LocMemBackend):
    """Runs ``rival`` once, while a send is on its way."""

    rival: Any = None

    def start(self, *args: Any, **kwargs: Any) -> Any:
        rival, Meeting.rival = Meeting.rival, None
        if rival is not None:
            rival()
        return super().start(*args, **kwargs)


@pytest.fixture
def meeting(settings: Any) -> Any:
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": "tests.verifications.test_claimants.Meeting"}}
    yield Meeting
    Meeting.rival = None


@pytest.mark.parametrize("first", ["owner", "claimant"])
def test_of_an_owner_and_a_claimant_who_start_at_the_same_instant_the_owner_keeps_five(meeting, clock, ann, first):
    stranger = visitor(1)
    made = {}

    def owner() -> None:
        made["owner"] = own(lifecycle, ann).verification

    def claimant() -> None:
        made["claimant"] = claim(lifecycle, stranger).verification

    starts = [owner, claimant] if first == "owner" else [claimant, owner]
    meeting.rival = starts[1]
    starts[0]()
    code = backends["default"].simulator.last_code(PHONE)
    for _ in range(3):
        verifications.check(made["claimant"], code=wrong_code(code), client=stranger)
    assert backends["default"].simulator._pending[PHONE].checks == 0
    assert verifications.check(made["owner"], code=code, client=HOME).approved


def test_a_claimant_and_an_owner_who_did_not_see_each_other_start(clock, ann, monkeypatch):
    """Neither row was there when the other one looked: the answers are looked at once more."""
    stranger = visitor(1)
    monkeypatch.setattr(claimants, "rivals", lambda *args: claimants.Rivals())
    started, begun = own(lifecycle, ann).verification, claim(lifecycle, stranger).verification
    for _ in range(3):
        assert not verifications.check(begun, code=wrong_code(), client=stranger).approved
    assert backends["default"].simulator._pending[PHONE].checks == 0
    assert verifications.check(started, code=last_code(), client=HOME).approved


def test_links_of_a_claimant_are_made_and_use_up_none_of_the_owners_answers(verbs, clock, ann):
    started = own(verbs, ann)
    code = last_code()
    stranger = visitor(1)
    agree(channel="sna", client=stranger)
    begun = verbs.start(recipient=PHONE, channel="sna", client=stranger)
    assert begun.link
    for _ in range(3):
        verbs.check_link(begun.verification, client=stranger)
    assert backends["default"].simulator._pending[PHONE].checks == 0
    assert verbs.check(started.verification, code=code, client=HOME).approved


# --- What a claimant can tell ---


def _shape(statement: str) -> str:
    statement = re.sub(r"'(?:[^']|'')*'|\b\d+(\.\d+)?\b|X'\w*'|\bNULL\b|\b(true|false)\b|%s", "?", statement)
    return re.sub(r"\((\?(, )?)+\)", "(?)", statement)


class Counting(LocMemBackend):
    """Counts the calls."""

    calls = 0

    def _served(self, work: Any) -> Any:
        Counting.calls += 1
        return super()._served(work)


def told_to_a_claimant(state: str, clock: Any) -> list[Any]:
    """All that a visitor can see of a start, three wrong answers, a resend and the limits; and what it costs."""
    if state != "nobody":
        ann = make_user()
        make_factor(ann)
    if state in ("approved", "pending", "used up"):
        started = own(lifecycle, ann)
        if state == "approved":
            verifications.check(started.verification, code=last_code(), client=HOME)
        for _ in range(5 if state == "used up" else 0):
            verifications.check(started.verification, code=wrong_code(), client=HOME)
    stranger, seen = visitor(1), []
    agree(client=stranger)
    for client in (visitor(2), visitor(3), visitor(4)):
        agree(client=client)

    def noted(work: Any) -> Any:
        calls = Counting.calls
        with CaptureQueriesContext(connection) as captured:
            try:
                answer = work()
                shown = [
                    getattr(answer, name, None)
                    for name in ("outcome", "channel", "reused", "perhaps_sent", "resend_at", "sends_left", "link")
                ]
                shown += [
                    getattr(answer, name, None) for name in ("checks_left", "retry_at", "reason", "channel_may_differ")
                ]
            except RateLimited as refused:
                answer, shown = None, [refused.code, refused.retry_at]
        seen.append((shown, [_shape(query["sql"]) for query in captured], Counting.calls - calls))
        return answer

    begun = noted(lambda: verifications.start(recipient=PHONE, channel="sms", client=stranger)).verification
    noted(lambda: verifications.check(begun, code="000000", client=stranger))
    clock.shift(timedelta(seconds=31))
    noted(lambda: lifecycle.start(recipient=PHONE, channel="sms", client=stranger, resend=True))
    if state == "signs in meanwhile":
        own(lifecycle, ann)
    noted(lambda: verifications.check(begun, code="000001", client=stranger))
    noted(lambda: lifecycle.status(begun, client=stranger))
    noted(lambda: verifications.check(begun, code="000002", client=stranger))
    noted(lambda: verifications.check(begun, code="000003", client=stranger))
    for client in (visitor(2), visitor(3), visitor(4)):
        noted(lambda client=client: verifications.start(recipient=PHONE, channel="sms", client=client))
    clock.shift(timedelta(minutes=15))
    noted(lambda: verifications.start(recipient=PHONE, channel="sms", client=visitor(2)))
    return seen


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("state", ["an owner", "pending", "used up", "approved", "signs in meanwhile"])
def test_a_claimant_is_answered_the_same_with_and_without_an_owner(clock, settings, state):
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": "tests.verifications.test_claimants.Counting"}}
    clock.move_to(NOON)  # both from the same instant: windows have edges
    first = told_to_a_claimant("nobody", clock)
    call_command("flush", interactive=False, verbosity=0)
    backends["default"].reset()
    clock.move_to(NOON)
    second = told_to_a_claimant(state, clock)
    for nobody, somebody in zip(first, second, strict=True):
        assert nobody == somebody


def test_the_requests_until_429_do_not_tell_how_often_the_owner_signed_in(verbs, clock, ann):
    def until_refused() -> int:
        for count in range(20):
            try:
                claim(verbs, visitor(count + 1), OTHER_PHONE)
            except RateLimited:
                return count
        return -1

    bob = make_user("bob")
    make_factor(bob, OTHER_PHONE)
    signed_in(bob, HOME, OTHER_PHONE)
    for index in range(4):
        clock.shift(timedelta(minutes=2))
        signed_in(bob, make_client(f"b{index}", ip=HOME.ip), OTHER_PHONE)
    assert until_refused() == 2


# --- A Service of their own for claimants ---


@pytest.fixture
def apart(settings: Any) -> None:
    locmem = {"BACKEND": "django_twilio_verify.backends.locmem.LocMemBackend"}
    settings.TWILIO_VERIFY_BACKENDS = {"default": locmem, "claimants": locmem, "brand": locmem}
    settings.TWILIO_VERIFY_CLAIMANT_BACKEND = "claimants"


def test_claimants_with_a_service_of_their_own_share_nothing(verbs, clock, apart, ann):
    started = own(verbs, ann)
    code = last_code()
    stranger = visitor(1)
    begun = claim(verbs, stranger)
    assert (begun.verification.backend, started.verification.backend) == ("claimants", "default")
    assert last_code() != code and not begun.verification.withheld
    assert verbs.check(begun.verification, code=last_code(), client=stranger).approved
    assert verbs.check(started.verification, code=code, client=HOME).approved


def test_what_the_caller_or_a_router_names_is_named_for_claimants_too(verbs, clock, apart, settings):
    assert claim(verbs, visitor(1), backend="brand").verification.backend == "brand"
    settings.TWILIO_VERIFY_ROUTER = lambda request: "brand"
    assert claim(verbs, visitor(2)).verification.backend == "brand"
    settings.TWILIO_VERIFY_ROUTER = lambda request: None
    assert claim(verbs, visitor(3), OTHER_PHONE).verification.backend == "claimants"


# --- Somebody knows the password ---


def exhausted(verbs: Any, ann: Any) -> int:
    """Starts by SMS, app, push and passkey from thirty networks with the right password; how many messages went out."""
    before = len(outbox)
    for index in range(30):
        thief = make_client(f"thief-{index}", ip=f"192.0.{index}.9")
        for _ in range(3):
            for work in (
                lambda thief=thief: own(verbs, ann, thief),
                lambda thief=thief: challenges.start(channel="totp", user=ann, client=thief),
                lambda thief=thief: challenges.start(channel="passkey", user=ann, client=thief),
            ):
                try:
                    work()
                except (RateLimited, challenge_rules.FactorNotFound):
                    continue
    return len(outbox) - before


def test_with_the_right_password_the_owners_sends_cannot_be_used_up(verbs, clock, ann):
    assert exhausted(verbs, ann) <= 6
    clock.shift(timedelta(minutes=5))
    started = own(verbs, ann)  # from home
    assert started.verification.precedence == Precedence.OWNER
    assert verbs.check(started.verification, code=last_code(), client=HOME).approved


def test_a_network_that_is_not_known_has_five_starts_in_an_hour(verbs, clock, ann, settings):
    settings.TWILIO_VERIFY_LIMITS = {"login_new_hour": 50}
    thieves = [make_client(f"thief-{index}", ip=f"192.0.2.{index}") for index in range(1, 7)]
    for thief in thieves[:5]:
        own(verbs, ann, thief)
    clock.shift(timedelta(minutes=11))
    assert refused_by(lambda: own(verbs, ann, thieves[5])) == "login_network_hour"
    own(verbs, ann, make_client("elsewhere", ip="192.0.99.1"))


def test_all_unknown_networks_together_have_fewer_than_the_owner(verbs, clock, ann):
    for index in range(6):
        own(verbs, ann, make_client(f"thief-{index}", ip=f"192.0.{index}.1"))
        clock.shift(timedelta(minutes=3))
    assert refused_by(lambda: own(verbs, ann, make_client("thief-6", ip="192.0.6.1"))) == "login_new_hour"
    sent_by_owner(verbs, clock, ann, 10)


def test_wrong_codes_with_the_right_password_leave_the_owners_code_alone(verbs, clock, ann):
    thief = make_client("thief", ip="192.0.2.1")
    begun = own(verbs, ann, thief)
    for _ in range(5):
        verbs.check(begun.verification, code=wrong_code(), client=thief)
    clock.shift(timedelta(seconds=30))
    started = own(verbs, ann)
    assert verbs.check(started.verification, code=wrong_code(), client=HOME).outcome == CheckOutcome.WRONG
    # And they cannot join in while the owner's code is under way.
    assert refused_by(lambda: own(verbs, ann, make_client("thief-2", ip="192.0.3.1"))) == "cooldown"
    assert verbs.check(started.verification, code=last_code(), client=HOME).approved


@pytest.mark.parametrize("first", ["owner", "thief"])
def test_of_an_owner_and_a_thief_who_start_at_the_same_instant_the_owner_keeps_five(meeting, clock, ann, first):
    """The provider makes one verification of the two. (An owner who was first refuses the thief's.)"""
    thief, made = make_client("thief", ip="192.0.2.1"), {}

    def owner() -> None:
        made["owner"] = own(lifecycle, ann).verification

    def rival() -> None:
        if first == "owner":
            assert refused_by(lambda: own(lifecycle, ann, thief)) == "cooldown"
        else:
            made["thief"] = own(lifecycle, ann, thief).verification

    starts = [owner, rival] if first == "owner" else [rival, owner]
    meeting.rival = starts[1]
    starts[0]()
    code = backends["default"].simulator.last_code(PHONE)
    for _ in range(5 if "thief" in made else 0):
        outcome = verifications.check(made["thief"], code=wrong_code(code), client=thief, user=ann).outcome
        assert outcome == CheckOutcome.CLOSED
    assert backends["default"].simulator._pending[PHONE].checks == 0
    assert verifications.check(made["owner"], code=code, client=HOME).approved
    assert Factor.objects.get().failures == 0


def test_an_owner_and_a_thief_who_did_not_see_each_other_start(verbs, clock, ann, monkeypatch):
    thief = make_client("thief", ip="192.0.2.1")
    monkeypatch.setattr(claimants, "rivals", lambda *args: claimants.Rivals())
    started, begun = own(verbs, ann).verification, own(verbs, ann, thief).verification
    for _ in range(5):
        assert verbs.check(begun, code=wrong_code(), client=thief).outcome == CheckOutcome.CLOSED
    assert verbs.check(started, code=last_code(), client=HOME).approved


def test_an_owner_who_went_on_at_home_begins_anew_on_the_road(verbs, clock, ann):
    hotel = make_client("hotel", ip="192.0.2.1")
    left = own(verbs, ann, hotel).verification
    assert verbs.check(own(verbs, ann).verification, code=last_code(), client=HOME).approved
    clock.shift(timedelta(seconds=31))
    with pytest.raises(VerificationNotFound) as caught:
        verifications.resend(left, client=hotel, user=ann)
    assert caught.value.code == "verification_closed"
    sent, anew = len(outbox), own(verbs, ann, hotel)
    assert len(outbox) == sent + 1
    assert verbs.check(anew.verification, code=last_code(), client=hotel).approved


def test_a_verified_session_keeps_its_reserve_wherever_it_is(verbs, clock, ann):
    exhausted(verbs, ann)
    clock.shift(timedelta(minutes=5))
    started = own(verbs, ann, make_client("verified", ip="192.0.200.1"), purpose="step_up")
    assert verbs.check(started.verification, code=last_code(), client=make_client("verified")).approved


@pytest.mark.parametrize("ip", ["", "unknown"])
def test_no_network_is_known_where_no_address_is(verbs, clock, ip):
    ann = make_user()
    make_factor(ann)
    nowhere = make_client("nowhere", ip=ip)
    signed_in(ann, nowhere)
    clock.shift(timedelta(hours=3))
    assert own(verbs, ann, nowhere).verification.precedence == Precedence.NEW_NETWORK
    assert KnownNetwork.objects.count() == 0


def test_a_network_is_known_to_the_account_that_passed_there_alone_and_for_ninety_days(verbs, clock, ann):
    bob = make_user("bob")
    make_factor(bob, OTHER_PHONE)
    assert claimants.is_known(ann, make_client(ip="198.51.100.200"))  # the same /24
    assert not claimants.is_known(ann, make_client(ip="198.51.101.7"))
    assert not claimants.is_known(bob, HOME)
    assert HOME.ip not in str([*KnownNetwork.objects.values()]) and HOME.network not in str(KnownNetwork.objects.get())
    clock.shift(timedelta(days=91))
    assert not claimants.is_known(ann, HOME)


def test_a_recovery_code_makes_the_network_known_and_is_open_to_the_owner(verbs, clock, ann):
    codes = recovery_codes.issue(ann)
    exhausted(verbs, ann)
    travelling = make_client("travelling", ip="192.0.222.1")
    assert refused_by(lambda: own(verbs, ann, travelling)) == "login_new_hour"
    assert recovery_codes.redeem(ann, codes[0], travelling)
    assert own(verbs, ann, travelling).verification.precedence == Precedence.OWNER


# --- Who is an owner ---


@pytest.mark.parametrize("state", ["unconfirmed", "removed", "another's", "stale"])
def test_who_has_not_confirmed_this_very_number_is_a_claimant(verbs, clock, settings, state):
    ann, bob = make_user(), make_user("bob")
    factor = make_factor(bob if state == "another's" else ann)
    agree(user=ann)
    if state == "unconfirmed":
        Factor.objects.filter(pk=factor.pk).update(confirmed_at=None)
    if state == "removed":
        factor.delete()
    if state == "stale":
        settings.TWILIO_VERIFY_REVERIFY_DAYS = 30
        make_factor(ann, OTHER_PHONE, agreed=False)
        Factor.objects.filter(pk=factor.pk).update(confirmed_at=factor.confirmed_at - timedelta(days=40))
    started = verbs.start(recipient=PHONE, channel="sms", user=ann, purpose="enroll", client=HOME)
    assert started.verification.precedence == Precedence.CLAIMANT


def test_a_stale_number_that_alone_opens_the_account_is_its_owners(verbs, clock, settings):
    settings.TWILIO_VERIFY_REVERIFY_DAYS = 30
    ann = make_user()
    factor = make_factor(ann)
    Factor.objects.filter(pk=factor.pk).update(confirmed_at=factor.confirmed_at - timedelta(days=40))
    assert own(verbs, ann).verification.precedence == Precedence.NEW_NETWORK


def test_an_owner_is_found_under_every_key(verbs, clock, settings):
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k1", "a first secret of more than 32 letters")]
    ann = make_user()
    make_factor(ann)
    signed_in(ann, HOME)
    clock.shift(timedelta(hours=3))
    stranger = visitor(1)
    begun = claim(verbs, stranger).verification
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [
        ("k2", "a second secret of more than 32 letters"),
        ("k1", "a first secret of more than 32 letters"),
    ]
    assert own(verbs, ann).verification.precedence == Precedence.OWNER
    begun.refresh_from_db()
    assert begun.withheld


# --- Upkeep ---


def test_what_no_rule_asks_any_more_is_purged(clock, ann):
    assert LimitCounter.objects.exists() and KnownNetwork.objects.exists()
    call_command("purge_expired")
    assert LimitCounter.objects.exists() and KnownNetwork.objects.exists()
    clock.shift(timedelta(days=3))
    call_command("purge_expired")
    assert not LimitCounter.objects.exists() and KnownNetwork.objects.exists()
    clock.shift(timedelta(days=90))
    call_command("purge_expired", "--dry-run")
    assert KnownNetwork.objects.exists()
    call_command("purge_expired")
    assert not KnownNetwork.objects.exists()


def test_the_twins_cancel_and_withhold_alike(clock, ann):
    stranger = visitor(1)
    begun = claim(lifecycle, stranger).verification
    clock.shift(timedelta(seconds=30))
    started = async_to_sync(lifecycle.astart)(recipient=PHONE, channel="sms", user=ann, purpose="login", client=HOME)
    begun.refresh_from_db()
    assert begun.withheld and started.verification.sid != begun.sid
