"""A link that a desktop asked for, opened by a phone: only for who sees the desktop."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core import signing

from django_twilio_verify import verifications
from django_twilio_verify.choices import Channel, CheckOutcome, VerificationStatus
from django_twilio_verify.exceptions import VerificationNotFound
from django_twilio_verify.models import Verification, VerificationCheck
from django_twilio_verify.verifications import handover, lifecycle
from tests.support.basics import PHONE, agree, make_client, make_factor, make_user, race

pytestmark = pytest.mark.django_db


def begin(**values) -> Verification:
    agree(PHONE, "sna", user=values.get("user"))
    return lifecycle.start(recipient=PHONE, channel="sna", client=make_client(), **values).verification


def other_number(offer) -> str:
    return next(number for number in offer.choices if number != offer.match)


def test_the_phone_opens_what_the_desktop_asked_for(verbs, server):
    ann = make_user()
    make_factor(ann)
    verification = begin(user=ann, purpose="login")
    desktop = {"client": make_client(), "user": ann}
    offer = handover.offer(verification, **desktop)
    # On the phone, which has no session of its own.
    offered = handover.read(offer.token)
    assert offered.choices == offer.choices and offer.match in offered.choices
    assert PHONE not in repr(offered) and offered.purpose == "login"
    link = verbs.accept(offer.token, offer.match)
    server.open(link)
    assert verbs.finish(offer.token).approved
    assert verbs.finish(offer.token).outcome == CheckOutcome.ALREADY_APPROVED
    # On the desktop again.
    assert verbs.status(verification, **desktop).approved
    assert verbs.redeem(verification, purpose="login", **desktop).accepted
    assert not verbs.redeem(verification, purpose="login", **desktop).accepted


def test_numbers_are_two_digits_and_three_different_ones():
    seen = set()
    for index in range(40):
        client = make_client(f"session-{index}", ip="")
        number = f"+150171226{index:02d}"
        agree(number, "sna", client=client)
        verification = verifications.start(recipient=number, channel="sna", client=client).verification
        offer = handover.offer(verification, client=client)
        assert len(set(offer.choices)) == handover.CHOICES and offer.match in offer.choices
        assert all(re.fullmatch(r"[1-9][0-9]", choice) for choice in offer.choices)
        seen.add(offer.choices.index(offer.match))
    assert seen == {0, 1, 2}  # the place gives nothing away


def test_asked_again_the_number_stays(server):
    verification = begin()
    first, second = (handover.offer(verification, client=make_client()) for _ in range(2))
    assert (first.match, first.choices) == (second.match, second.choices)


@pytest.mark.parametrize("wrong", ["other", "", "00", "1 2", "٤٢", "x" * 50])
def test_a_wrong_number_ends_the_link(verbs, server, wrong):
    verification = begin()
    offer = handover.offer(verification, client=make_client())
    assert verbs.accept(offer.token, other_number(offer) if wrong == "other" else wrong) == ""
    with pytest.raises(VerificationNotFound):
        verbs.accept(offer.token, offer.match)  # there is no second choice
    with pytest.raises(VerificationNotFound):
        handover.read(offer.token)
    told = verbs.finish(offer.token)
    assert (told.outcome, told.next_channel) == (CheckOutcome.LINK_FAILED, Channel.SMS)
    status = verbs.status(verification, client=make_client())
    assert status.link_failed and not status.approved
    assert lifecycle.link(verification, client=make_client()) == ""
    assert VerificationCheck.objects.get().outcome == "link_failed"


def test_the_wait_for_another_link_stands_after_a_wrong_number(verbs, server, clock):
    """SECURITY: who is turned down cannot offer numbers until one fits by chance."""
    verification = begin()
    offer = handover.offer(verification, client=make_client())
    links = 1
    while True:
        verbs.accept(offer.token, other_number(offer))
        try:
            verbs.start(recipient=PHONE, channel="sna", client=make_client(), resend=True)
        except Exception:
            break
        links += 1
        offer = handover.offer(verification, client=make_client())
    assert links <= 5


TOKENS = ["", "x", "a:b:c", signing.dumps(["0" * 32, "0" * 16], salt="elsewhere"), "\0"]


@pytest.mark.parametrize("token", TOKENS)
def test_what_is_no_token_is_not_found(verbs, token):
    for ask in (handover.read, lambda token: verbs.accept(token, "42"), verbs.finish):
        with pytest.raises(VerificationNotFound):
            ask(token)


def test_a_token_of_ours_about_nothing_is_not_found(verbs):
    token = signing.dumps(["0" * 32, "0" * 16], salt="django_twilio_verify.handover")
    for ask in (handover.read, lambda token: verbs.accept(token, "42"), verbs.finish):
        with pytest.raises(VerificationNotFound):
            ask(token)


def test_a_token_lives_ten_minutes(verbs, server, clock):
    offer = handover.offer(begin(), client=make_client())
    clock.shift(timedelta(seconds=handover.LIFETIME + 1))
    with pytest.raises(VerificationNotFound):
        verbs.finish(offer.token)


def test_a_token_dies_with_its_link(verbs, server, clock):
    verification = begin()
    offer = handover.offer(verification, client=make_client())
    clock.shift(30)
    verbs.start(recipient=PHONE, channel="sna", client=make_client(), resend=True)
    with pytest.raises(VerificationNotFound):
        verbs.accept(offer.token, offer.match)


@pytest.mark.parametrize("ended", ["approved", "expired", "other way"])
def test_nothing_is_handed_over_once_it_is_over(server, clock, ended):
    verification = begin()
    if ended == "approved":
        server.open(verification.link)
        lifecycle.check_link(verification, client=make_client())
    elif ended == "expired":
        clock.shift(601)
    else:
        agree()
        verifications.start(recipient=PHONE, channel="sms", client=make_client())
    with pytest.raises(VerificationNotFound):
        handover.offer(verification, client=make_client())


def test_only_the_asking_session_hands_over(server):
    verification = begin(user=make_user("ann"))
    for values in ({"client": make_client("stolen")}, {"client": make_client(), "user": make_user("bob")}):
        with pytest.raises(VerificationNotFound):
            handover.offer(verification, **values)


def test_a_token_tells_neither_number_nor_link_nor_match(server):
    verification = begin()
    offer = handover.offer(verification, client=make_client())
    content = signing.loads(offer.token, salt="django_twilio_verify.handover")
    assert offer.match not in content and verification.link not in str(content) and PHONE not in str(content)
    assert offer.token not in repr(offer) and "match" not in repr(offer)


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_right_and_wrong_at_once_end_in_no_second_chance(server):
    verification = begin()
    offer = handover.offer(verification, client=make_client())
    wrong = other_number(offer)
    results = race(12, lambda index: handover.accept(offer.token, wrong if index % 3 else offer.match))
    assert {result for result in results if isinstance(result, str)} <= {"", verification.link}
    verification.refresh_from_db()
    assert verification.link == ""
    with pytest.raises(VerificationNotFound):
        handover.accept(offer.token, offer.match)


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_phone_and_desktop_that_ask_at_once_one_is_told_approved(server):
    verification = begin()
    offer = handover.offer(verification, client=make_client())
    server.open(handover.accept(offer.token, offer.match))
    results = race(
        10,
        lambda index: (
            handover.finish(offer.token) if index % 2 else lifecycle.check_link(verification, client=make_client())
        ),
    )
    assert sum(result.approved for result in results) == 1
    verification.refresh_from_db()
    assert verification.status == VerificationStatus.APPROVED
