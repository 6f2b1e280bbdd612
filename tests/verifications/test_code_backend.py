"""Codes that the app makes and judges, carried by a gateway: the backend of the guide, over HTTP, end to end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from django_twilio_verify import verifications
from django_twilio_verify.choices import AttemptStatus, CheckOutcome, VerificationStatus
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable, ConsentRequired, RateLimited
from django_twilio_verify.models import Verification, VerificationAttempt, VerificationCheck
from django_twilio_verify.verifications.lifecycle import accept
from django_twilio_verify.verifications.results import Checked, Started
from tests.support.basics import PHONE, agree, make_client, make_factor, make_user, race, wrong_code
from tests.support.pigeon import Pigeon, PigeonBackend
from tests.support.tracebacks import everything_shown

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("claimants_have_room")]


@pytest.fixture
def pigeon(settings) -> Iterator[Pigeon]:
    with Pigeon() as running:
        settings.TWILIO_VERIFY_BACKENDS = running.setting()
        yield running


def begin(verbs=verifications, channel="sms", **values) -> Started:
    agree(PHONE, channel, client=values.get("client"))
    return verbs.start(**{"recipient": PHONE, "channel": channel, "client": make_client()} | values)


def answer(verbs, verification: Any, code: str, **values) -> Checked:
    return verbs.check(verification, code=code, client=values.pop("client", make_client()), **values)


def row() -> Verification:
    return Verification.objects.get()


# ---- one code, one proof


def test_the_app_makes_the_code_and_judges_it(verbs, pigeon):
    started = begin(verbs)
    code = pigeon.codes[-1]
    assert len(code) == 6 and code.isdecimal()
    assert pigeon.sent == [{"to": PHONE, "by": "sms", "text": f"{code} is your Bazaar code."}]
    assert (started.sends_left, started.code_replaced, started.delivery_unknown) == (4, False, False)
    assert row().code_digest and code not in row().code_digest and not row().has_custom_code
    assert answer(verbs, started.verification, code).approved
    assert (row().status, row().code_digest) == (VerificationStatus.APPROVED, "")
    assert answer(verbs, started.verification, code).outcome == CheckOutcome.ALREADY_APPROVED
    assert pigeon.asked == 1, "the gateway is told nothing but the message"


def test_two_codes_are_not_the_same(pigeon):
    for number in range(5):
        begin(client=make_client(f"session-{number}"))
    assert len({*pigeon.codes}) > 1


def test_the_id_of_the_message_is_kept_as_far_as_it_fits(verbs, pigeon):
    begin(verbs)
    attempt = VerificationAttempt.objects.get()
    assert attempt.sid.startswith("pigeon-1-") and len(attempt.sid) == 128
    assert (attempt.status, attempt.channel_used, row().sid) == (AttemptStatus.SENT, "sms", "")


def test_length_and_lifetime_are_the_settings(verbs, pigeon, settings, clock):
    setting = pigeon.setting()
    setting["default"] |= {"CODE_LENGTH": 8, "CODE_LIFETIME_SECONDS": 300}
    settings.TWILIO_VERIFY_BACKENDS = setting
    verification = begin(verbs).verification
    assert len(pigeon.codes[-1]) == 8
    assert answer(verbs, verification, "123456").reason == "too_short"
    clock.shift(299)
    assert answer(verbs, verification, wrong_code(pigeon.codes[-1])).outcome == CheckOutcome.WRONG
    clock.shift(2)
    assert answer(verbs, verification, pigeon.codes[-1]).outcome == CheckOutcome.EXPIRED
    assert row().code_digest == ""


@pytest.mark.parametrize(("typed", "problem"), [("", "missing"), ("12 34 5", "too_short"), ("12x456", "not_digits")])
def test_what_is_no_code_costs_no_try(verbs, pigeon, typed, problem):
    checked = answer(verbs, begin(verbs).verification, typed)
    assert (checked.outcome, checked.reason, checked.checks_left) == (CheckOutcome.MALFORMED, problem, 5)


def test_the_fifth_wrong_one_is_the_last(verbs, pigeon):
    verification = begin(verbs).verification
    code = pigeon.codes[-1]
    outcomes = [answer(verbs, verification, wrong_code(code)).outcome for _ in range(5)]
    assert outcomes == [CheckOutcome.WRONG] * 4 + [CheckOutcome.NO_CHECKS_LEFT]
    assert answer(verbs, verification, code).outcome == CheckOutcome.NO_CHECKS_LEFT
    with pytest.raises(RateLimited, match="wrong codes"):
        begin(verbs)


def test_how_many_sends_and_answers_is_the_backends(verbs, pigeon, settings, clock):
    settings.TWILIO_VERIFY_BACKENDS = pigeon.setting("TwoSends")
    started = begin(verbs)
    assert started.sends_left == 1
    clock.shift(30)
    again = verbs.resend(started.verification, client=make_client())
    assert (again.sends_left, again.resend_at) == (0, None)
    clock.shift(60)
    with pytest.raises(RateLimited) as caught:
        verbs.resend(started.verification, client=make_client())
    assert caught.value.code == "no_sends_left" and len(pigeon.sent) == 2
    checked = [answer(verbs, started.verification, wrong_code(pigeon.codes[-1])) for _ in range(3)]
    assert [one.checks_left for one in checked] == [2, 1, 0]
    assert checked[-1].outcome == CheckOutcome.NO_CHECKS_LEFT


# ---- a resend brings a new code


def test_after_a_resend_the_newest_code_alone_is_right(verbs, pigeon, clock):
    verification = begin(verbs).verification
    expires_at = row().expires_at
    clock.shift(30)
    again = verbs.resend(verification, client=make_client())
    assert again.verification == verification and again.code_replaced
    old, new = pigeon.codes
    if old != new:  # one time in a million they are the same
        assert answer(verbs, verification, old).outcome == CheckOutcome.WRONG
    assert answer(verbs, verification, new).approved
    assert row().expires_at == expires_at


def test_it_goes_on_by_another_channel(verbs, pigeon, clock):
    verification = begin(verbs).verification
    agree(PHONE, "call")
    clock.shift(30)
    started = verbs.resend(verification, client=make_client(), channel="call")
    assert (started.verification, started.channel) == (verification, "call")
    assert [one["by"] for one in pigeon.sent] == ["sms", "call"]
    assert answer(verbs, verification, pigeon.codes[-1]).approved


def test_a_resend_that_comes_too_early_leaves_the_code(verbs, pigeon):
    verification = begin(verbs).verification
    with pytest.raises(RateLimited):
        verbs.resend(verification, client=make_client())
    assert begin(verbs).reused
    assert answer(verbs, verification, pigeon.codes[0]).approved and len(pigeon.sent) == 1


def test_a_resend_without_consent_leaves_the_code(verbs, pigeon, clock):
    verification = begin(verbs).verification
    clock.shift(30)
    with pytest.raises(ConsentRequired):
        verbs.resend(verification, client=make_client(), channel="call")
    assert answer(verbs, verification, pigeon.codes[0]).approved


@pytest.mark.parametrize("fault", ["refuse:no_credit", "refuse:slow_down"])
def test_a_resend_that_is_refused_brings_the_code_before_back(verbs, pigeon, clock, fault):
    verification = begin(verbs).verification
    clock.shift(30)
    pigeon.fail(fault)
    with pytest.raises((BackendRejected, RateLimited)):
        verbs.resend(verification, client=make_client())
    assert row().sends == 1
    assert answer(verbs, verification, pigeon.codes[0]).approved


def test_a_resend_that_never_reached_the_gateway_brings_the_code_before_back(verbs, pigeon, settings, clock):
    settings.TWILIO_VERIFY_BACKENDS = pigeon.setting(f"{__name__}.Unreachable")
    verification = begin(verbs).verification
    clock.shift(30)
    with pytest.raises(BackendUnavailable):
        verbs.resend(verification, client=make_client())
    assert answer(verbs, verification, pigeon.codes[0]).approved


@pytest.mark.parametrize("fault", ["500", "lost", "slow"])
def test_a_first_send_without_an_answer_counts_and_its_code_works(verbs, pigeon, fault):
    pigeon.fail(fault)
    started = begin(verbs)
    assert started.delivery_unknown and VerificationAttempt.objects.get().status == AttemptStatus.PERHAPS_SENT
    if fault != "500":
        assert answer(verbs, started.verification, pigeon.codes[0]).approved


def test_a_resend_without_an_answer_keeps_the_new_code(verbs, pigeon, clock):
    verification = begin(verbs).verification
    clock.shift(30)
    pigeon.fail("lost")
    assert verbs.resend(verification, client=make_client()).delivery_unknown
    old, new = pigeon.codes
    if old != new:
        assert answer(verbs, verification, old).outcome == CheckOutcome.WRONG
    assert answer(verbs, verification, new).approved


def test_a_refused_first_send_keeps_no_hash(verbs, pigeon):
    pigeon.fail("refuse:bad_number")
    with pytest.raises(BackendRejected) as caught:
        begin(verbs)
    assert caught.value.code == "recipient"
    assert (row().status, row().code_digest) == (VerificationStatus.FAILED, "")


def test_a_holder_who_has_stopped_messages_at_the_gateway_has_opted_out(verbs, pigeon):
    pigeon.fail("refuse:stopped")
    with pytest.raises(BackendRejected):
        begin(verbs)
    with pytest.raises(ConsentRequired):
        verbs.start(recipient=PHONE, channel="sms", client=make_client())
    assert pigeon.asked == 1


def test_a_worker_that_dies_over_a_send_leaves_a_verification_that_goes_on(pigeon, settings, clock):
    verification = begin().verification
    settings.TWILIO_VERIFY_BACKENDS = pigeon.setting(f"{__name__}.Dying")
    clock.shift(30)
    with pytest.raises(SystemExit):
        verifications.resend(verification, client=make_client())
    assert VerificationAttempt.objects.latest("pk").status == AttemptStatus.RESERVED
    settings.TWILIO_VERIFY_BACKENDS = pigeon.setting()
    assert answer(verifications, verification, pigeon.codes[0]).outcome == CheckOutcome.WRONG
    clock.shift(60)
    assert verifications.resend(verification, client=make_client()).sends_left == 2
    assert answer(verifications, verification, pigeon.codes[-1]).approved


def test_a_worker_that_dies_over_an_answer_costs_a_try(pigeon, clock, monkeypatch):
    verification = begin().verification

    def die(*given: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr("django_twilio_verify.verifications.checking.check_password", die)
        with pytest.raises(SystemExit):
            answer(verifications, verification, pigeon.codes[0])
    clock.shift(60)
    checked = answer(verifications, verification, pigeon.codes[0])
    assert checked.approved and row().checks == 2


class Unreachable(PigeonBackend):
    """Takes the first message alone."""

    carried = 0

    def send_code(self, *given: Any) -> str:
        self.carried += 1
        if self.carried > 1:
            raise BackendUnavailable(may_have_been_done=False)
        return str(super().send_code(*given))


class Dying(PigeonBackend):
    """Ends its worker over every message."""

    def send_code(self, *given: Any) -> str:
        raise SystemExit


# ---- races


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_twenty_starts_one_sends(pigeon):
    agree()
    results = race(20, lambda index: verifications.start(recipient=PHONE, channel="sms", client=make_client()))
    assert len(pigeon.sent) == 1
    started = [one for one in results if isinstance(one, Started)]
    assert len({one.verification.pk for one in started}) == 1 and Verification.objects.count() == 1
    assert answer(verifications, started[0].verification, pigeon.codes[0]).approved


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_twenty_right_answers_one_is_accepted(pigeon):
    verification = begin().verification
    results = race(20, lambda index: answer(verifications, verification, pigeon.codes[0]))
    outcomes = Counter(result.outcome.value for result in results if isinstance(result, Checked))
    assert outcomes == {"approved": 1, "already_approved": 19}


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_never_more_than_five_are_judged(pigeon):
    verification = begin().verification
    wrong = wrong_code(pigeon.codes[0])
    results = race(20, lambda index: answer(verifications, verification, wrong))
    outcomes = Counter(result.outcome.value for result in results if isinstance(result, Checked))
    assert outcomes == {"wrong": 4, "no_checks_left": 16}
    assert VerificationCheck.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_a_late_refusal_does_not_undo_the_code_of_a_later_send(pigeon, clock):
    """The second send's answer comes after the third send went out."""
    verification = begin().verification
    clock.shift(30)

    def send_once_more() -> None:
        clock.shift(60)
        verifications.resend(verification, client=make_client())

    pigeon.meanwhile = lambda: _in_a_thread(send_once_more)
    pigeon.fail("", "refuse:no_credit")
    with pytest.raises(BackendRejected):
        verifications.resend(verification, client=make_client())
    assert len(pigeon.sent) == 2
    assert answer(verifications, verification, pigeon.codes[-1]).approved


def _in_a_thread(work: Any) -> None:
    (error,) = race(1, lambda index: work())
    assert error is None, error


# ---- other people's, and none's


def test_sessions_do_not_disturb_each_other_at_a_gateway(verbs, pigeon, settings):
    """With Verify, a claimant's pending verification gives way to the owner's. Here each has a code of its own."""
    owner = make_user()
    make_factor(owner, PHONE)
    claimant, own = make_client("claimant"), make_client("own")
    theirs = begin(verbs, client=claimant).verification
    assert verbs.start(recipient=PHONE, channel="sms", client=own, user=owner, purpose="login").sends_left == 4
    second = begin(verbs, client=make_client("other")).verification
    assert len(pigeon.sent) == 3 and not Verification.objects.filter(withheld=True).exists()
    first_code, own_code, second_code = pigeon.codes
    mine = Verification.objects.get(purpose="login")
    assert answer(verbs, theirs, first_code, client=claimant).approved
    assert answer(verbs, second, second_code, client=make_client("other")).approved
    assert answer(verbs, mine, own_code, client=own, user=owner).approved


def test_a_decoy_sends_nothing_and_takes_no_code(verbs, pigeon):
    started = verbs.pretend(recipient=PHONE, channel="sms", client=make_client())
    assert pigeon.asked == 0 and row().withheld and row().code_digest
    checked = [answer(verbs, started.verification, "123456") for _ in range(5)]
    assert [one.outcome for one in checked] == [CheckOutcome.WRONG] * 4 + [CheckOutcome.NO_CHECKS_LEFT]


def test_what_is_withheld_takes_not_even_the_right_code(verbs, pigeon):
    started = begin(verbs)
    Verification.objects.update(withheld=True)
    assert answer(verbs, started.verification, pigeon.codes[0]).outcome == CheckOutcome.WRONG


# ---- codes of the site's own


def test_a_custom_code_is_carried_and_may_be_found_right_by_the_site(pigeon):
    started = begin(options={"custom_code": "ab47Xy"})
    assert "ab47Xy is your Bazaar code." in pigeon.sent[0]["text"] and row().has_custom_code
    user = {"client": make_client(), "user": None, "recipient": row().recipient}
    assert accept(started.verification, **user)
    assert row().status == VerificationStatus.APPROVED and pigeon.asked == 1


def test_a_custom_code_is_read_as_it_was_made(verbs, pigeon):
    verification = begin(verbs, options={"custom_code": "ab47Xy"}).verification
    assert answer(verbs, verification, " AB47-xy ").approved


def test_a_code_of_the_apps_own_is_for_the_app_to_judge(pigeon):
    started = begin()
    user = {"client": make_client(), "user": None, "recipient": row().recipient}
    assert not accept(started.verification, **user)
    assert row().status == VerificationStatus.PENDING


def test_a_resend_may_change_a_custom_code_for_a_made_one(verbs, pigeon, clock):
    verification = begin(verbs, options={"custom_code": "ab47Xy"}).verification
    clock.shift(30)
    verbs.resend(verification, client=make_client())
    assert not row().has_custom_code
    assert answer(verbs, verification, "ab47Xy").outcome == CheckOutcome.MALFORMED
    assert answer(verbs, verification, pigeon.codes[-1]).approved


# ---- silence, and a backend that changes


@pytest.mark.parametrize("fault", ["lost", "refuse:no_credit", "garbled", "slow"])
def test_nothing_secret_is_shown(verbs, pigeon, caplog, fault):
    pigeon.fail(fault)
    shown = ""
    with caplog.at_level(logging.DEBUG):
        try:
            started = begin(verbs)
        except BackendRejected as error:
            shown = everything_shown(error)
        else:
            answer(verbs, started.verification, wrong_code(pigeon.codes[-1]))
            shown = repr(started)
    assert all(code not in shown + caplog.text for code in pigeon.codes)
    assert PHONE not in shown + caplog.text


def test_what_was_begun_with_a_provider_ends_when_a_gateway_takes_its_place(verbs, pigeon, settings):
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": "django_twilio_verify.backends.locmem.LocMemBackend"}}
    verification = begin(verbs).verification
    settings.TWILIO_VERIFY_BACKENDS = pigeon.setting()
    assert answer(verbs, verification, "123456").outcome == CheckOutcome.EXPIRED
    assert not begin(verbs).reused and len(pigeon.sent) == 1
