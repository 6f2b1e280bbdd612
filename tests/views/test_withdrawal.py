"""Stopping messages: on the person's own page, on the public one, and what comes of it."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import quote, unquote

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from django_twilio_verify import consent, verifications
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures, opt_outs
from django_twilio_verify.consent.gate import NewConsent
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import ConsentRequired, RateLimited, VerificationNotFound
from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.forms.consent import StaffOptOutForm
from django_twilio_verify.models import ConsentEvent, Factor, OptOutAttempt, Verification
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import holder, lifecycle
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PHONE,
    agree,
    code_path,
    last_code,
    make_client,
    make_factor,
    make_user,
    race,
    sign_in,
    wrong_code,
)
from tests.support.pages import text
from tests.support.stop_pages import ask, stop_form

pytestmark = pytest.mark.django_db
LIST = "/verify/consents/"


@pytest.fixture
def ann(client) -> User:
    """Signed in by both factors."""
    user = make_user()
    make_factor(user)
    enter(client)
    outbox.clear()
    return user


def enter(client, username: str = "ann") -> None:
    sign_in(client, username)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    assert client.get("/account/").status_code == 200


def stop_paths(client) -> list[str]:
    return re.findall(r'action="(/verify/consents/\d+/stop/)"', client.get(LIST).content.decode())


def kinds() -> list[str]:
    return list(ConsentEvent.objects.order_by("id").values_list("event", flat=True))


# -------------------------------------------------------------------------------------------------- the person's own


def test_the_list_shows_what_was_agreed_to_masked_with_the_words_and_sends_nothing(client, ann):
    agree(EMAIL, "email", user=ann)
    before = ConsentEvent.objects.count()
    page = client.get(LIST)
    shown = text(page)
    assert "Text message (SMS), ••• ••61" in shown and "Email, a•••@example.org" in shown
    assert PHONE not in page.content.decode() and EMAIL not in page.content.decode()
    assert disclosures.compose(Channel.SMS).lines[0] in shown
    assert disclosures.compose(Channel.EMAIL).checkbox_label in shown
    assert len(stop_paths(client)) == 2
    assert (ConsentEvent.objects.count(), outbox) == (before, [])


def test_the_factors_page_leads_there(client, ann):
    assert f'href="{LIST}"' in client.get("/verify/").content.decode()


def test_one_press_stops_sending_at_once_and_the_factor_stays(client, ann):
    (path,) = stop_paths(client)
    assert client.post(path)["Location"] == LIST
    event = ConsentEvent.objects.order_by("id").last()
    assert (event.event, event.person_kind, event.medium, event.control) == ("withdrawn", "user", "web", "button")
    assert event.button_label == "Stop" and event.evidence.page.endswith(path)
    assert "There is nothing that you agreed to." in text(client.get(LIST)) and "Stopped on" in text(client.get(LIST))
    assert Factor.objects.get().user == ann
    with pytest.raises(ConsentRequired):
        verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=ann)


def test_a_factor_without_consent_asks_again_at_the_challenge(client, ann):
    client.post(stop_paths(client)[0])
    client.post("/logout/")
    sign_in(client)
    shown = disclosures.compose(Channel.SMS)
    page = client.get("/verify/challenge/")
    assert shown.lines[0] in text(page)
    assert "checked" not in re.search(r'<input type="checkbox"[^>]*>', page.content.decode()).group()
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        sign_in(client)
        assert client.post("/verify/challenge/").status_code == 200 and outbox == []
        sent = client.post("/verify/challenge/", {"disclosure": shown.digest, "consent": "on"})
        client.post(code_path(sent), {"code": last_code()})
        assert client.get("/account/").status_code == 200
        assert kinds() == ["granted", "withdrawn", "granted"]
        assert len(stop_paths(client)) == 1


def test_without_the_phone_a_recovery_code_still_signs_in(client, ann):
    codes = recovery_codes.issue(ann)
    client.post(stop_paths(client)[0])
    client.post("/logout/")
    sign_in(client)
    client.post("/verify/challenge/recovery/", {"code": codes[0]})
    assert client.get("/account/").status_code == 200 and outbox == []


def test_a_second_press_changes_nothing(client, ann):
    (path,) = stop_paths(client)
    assert client.post(path).status_code == client.post(path).status_code == 302
    assert kinds() == ["granted", "withdrawn"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_twenty_presses_are_one_withdrawal(client, ann):
    (path,) = stop_paths(client)
    tabs = [Client() for _ in range(20)]
    for tab in tabs:
        tab.cookies.update(client.cookies)
    results = race(20, lambda index: tabs[index].post(path).status_code)
    assert results == [302] * 20 and kinds() == ["granted", "withdrawn"]


def test_looking_at_the_buttons_address_stops_nothing(client, ann):
    assert client.get(stop_paths(client)[0]).status_code == 405
    assert kinds() == ["granted"]


def test_nobody_stops_what_is_not_theirs(client, ann):
    theirs = agree(OTHER_PHONE, user=make_user("bob"))
    visitors = agree(OTHER_PHONE)
    for event in (theirs.pk, visitors.pk, 10**6):
        assert client.post(f"{LIST}{event}/stop/").status_code == 404
    assert "withdrawn" not in kinds()


def test_the_list_is_for_who_is_signed_in_by_both_factors(client):
    assert client.get(LIST)["Location"] == f"/login/?next={LIST}"
    user = make_user()
    event = agree(user=user)
    client.force_login(user)
    assert client.get(LIST).status_code == 200  # has no factor yet
    make_factor(user, OTHER_PHONE)
    # After the challenge, back to the list: the address of the button answers no GET.
    assert client.post(f"{LIST}{event.pk}/stop/")["Location"] == f"/verify/challenge/?next={quote(LIST, safe='')}"
    assert client.get(LIST)["Location"].startswith(("/verify/challenge/", "/login/"))
    assert "withdrawn" not in kinds()


def test_an_opt_out_by_the_holder_shows_on_everybodys_list(client, ann):
    opt_outs.opted_out(recipient=PHONE, channel="sms", origin="webhook")
    assert stop_paths(client) == [] and "Stopped on" in text(client.get(LIST))


def prove(client, channel: str = "sms", **values: str) -> str:
    """The page that the right code leads to."""
    sent = ask(client, channel, **values)
    page = code_path(sent)
    following = unquote(sent["Location"].partition("next=")[2])
    return client.post(page, {"code": last_code(), "next": following})["Location"]


def test_the_page_needs_no_account_and_shows_the_words_for_one_code(client):
    page = client.get("/verify/stop/")
    shown = disclosures.compose_once(Channel.SMS)
    assert all(line in text(page) for line in shown.lines)
    html = page.content.decode()
    assert "checked" not in re.search(r'<input type="checkbox"[^>]*>', html).group()
    for other in ("call", "whatsapp", "email"):
        assert f'href="/verify/stop/{other}/"' in html
    assert "no-store" in page["Cache-Control"] and 'content="noindex"' in html
    assert not ConsentEvent.objects.exists() and outbox == []


def test_whoever_proves_a_number_stops_everything_that_goes_there(client):
    ann, bob = make_user("ann"), make_user("bob")
    agree(user=ann)
    agree(PHONE, "call", user=bob)
    page = prove(client)
    assert len(outbox) == 1
    shown = client.get(page)
    assert "+1 501-712-2661" in text(shown)
    assert shown.content.decode().count("checked") == 4  # all that goes there, unless it is taken out
    done = client.post(page, {"channels": ["sms", "call", "whatsapp", "sna"]})
    assert done["Location"] == page
    events = ConsentEvent.objects.filter(event="opted_out").order_by("id")
    assert [event.channel for event in events] == ["sms", "call", "whatsapp", "sna"]
    for event in events:
        assert (event.person_kind, event.actor, event.medium, event.button_label) == ("holder", "person", "web", "Stop")
        assert event.origin == str(Verification.objects.get().pk)
        assert event.received_at == event.honoured_at
    for user, channel in ((ann, "sms"), (bob, "call"), (None, "sms")):
        with pytest.raises(ConsentRequired):
            verifications.start(recipient=PHONE, channel=channel, client=make_client(), user=user)
    assert "We no longer send to +1 501-712-2661" in text(client.get(page))
    assert "<button>" not in client.get(page).content.decode()


def test_a_choice_of_ways_is_kept_to(client):
    ann = make_user()
    agree(user=ann)
    agree(PHONE, "call", user=ann)
    page = prove(client)
    client.post(page, {"channels": ["call"]})
    assert consent.find(recipient=PHONE, channel="sms", client=make_client(), user=ann) is not None
    assert consent.find(recipient=PHONE, channel="call", client=make_client(), user=ann) is None
    shown = text(client.get(page))
    assert "We no longer send" in shown and "Phone calls" in shown and "What should stop?" in shown
    client.post(page, {"channels": ["sms", "whatsapp"]})
    assert consent.find(recipient=PHONE, channel="sms", client=make_client(), user=ann) is None


def test_nothing_chosen_stops_nothing_and_says_so(client):
    page = prove(client)
    for posted in ({}, {"channels": ["email"]}, {"channels": ["pigeon"]}):
        answer = client.post(page, posted)
        assert answer.status_code == 200 and "There is a problem" in text(answer)
    assert "opted_out" not in kinds()


def test_an_email_address_is_stopped_likewise(client):
    ann = make_user()
    agree(EMAIL, "email", user=ann)
    page = prove(client, "email")
    client.post(page, {"channels": ["email"]})
    assert consent.find(recipient=EMAIL, channel="email", client=make_client(), user=ann) is None


def test_known_and_unknown_numbers_get_the_same_answers(client):
    ann = make_user()
    agree(user=ann)
    make_factor(ann, agreed=False)
    seen = []
    for number in (PHONE, OTHER_PHONE):
        browser = Client()
        browser.get("/verify/stop/")
        asked = ask(browser, number=number)
        page = asked["Location"].partition("?")[0]
        following = unquote(asked["Location"].partition("next=")[2])
        code = browser.get(page)
        proved = browser.post(page, {"code": last_code(), "next": following})["Location"]
        choice = browser.get(proved)
        stopped = browser.post(proved, {"channels": ["sms", "call", "whatsapp"]})
        seen.append(
            [asked.status_code, *(same(answer) for answer in (code, choice, browser.get(proved))), stopped.status_code]
        )
    assert seen[0] == seen[1]
    assert [message.to for message in outbox] == [PHONE, OTHER_PHONE]


def same(response) -> str:
    """What the page says, but for the number itself and the clock."""
    return re.sub(r"2661|2662|\d+:\d+(:\d+)?", "…", text(response))


def test_stopping_what_is_stopped_is_the_same_page_and_no_second_event(client):
    page = prove(client)
    posted = {"channels": ["sms", "call", "whatsapp"]}
    client.post(page, posted)
    client.post(page, posted)
    assert kinds().count("opted_out") == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_twenty_presses_on_the_public_page_are_one_opt_out_a_way(client):
    page = prove(client)
    tabs = [Client() for _ in range(20)]
    for tab in tabs:
        tab.cookies.update(client.cookies)
    posted = {"channels": ["sms", "call", "whatsapp"]}
    assert race(20, lambda index: tabs[index].post(page, posted).status_code) == [302] * 20
    assert kinds().count("opted_out") == 3


def test_without_the_tick_no_code_goes_out(client):
    client.get("/verify/stop/")
    answer = client.post("/verify/stop/sms/", {**stop_form(), "consent": ""})
    assert answer.status_code == 200 and "Tick the box to agree" in text(answer)
    other_words = disclosures.compose(Channel.SMS).digest
    assert "changed since you opened" in text(ask(client, disclosure=other_words))
    assert outbox == [] and not ConsentEvent.objects.exists()


@pytest.mark.parametrize(
    ("channel", "values", "said"),
    [
        ("sms", {"number": "+1 23"}, "too short"),
        ("sms", {"number": ""}, "Enter a phone number."),
        ("sms", {"number": "+43 1 58858"}, "looks like a landline"),
        ("email", {"email": "ann@gmial.com"}, "Did you mean ann@gmail.com"),
    ],
)
def test_an_address_that_is_none_is_told_beside_the_field(client, channel, values, said):
    answer = ask(client, channel, **values)
    assert answer.status_code == 200 and said in text(answer) and outbox == []


def test_the_limits_hold_there_too(client, settings):
    settings.TWILIO_VERIFY_LIMITS = {"ip_hour": 1}
    ask(client)
    other = Client()
    refused = ask(other, number=OTHER_PHONE)
    assert refused.status_code == 429 and "Retry-After" in refused.headers
    assert len(outbox) == 1


def test_a_wrong_code_stops_nothing(client):
    agree(user=make_user())
    sent = ask(client)
    page = code_path(sent)
    client.post(page, {"code": wrong_code()})
    proved = page.replace("/code/", "/stop/")
    assert client.get(proved).status_code == client.post(proved, {"channels": ["sms"]}).status_code == 404
    assert "opted_out" not in kinds()


def test_the_proof_is_of_this_browser_and_for_an_hour(client):
    page = prove(client)
    thief = Client()
    thief.get("/verify/stop/")
    assert thief.get(page).status_code == thief.post(page, {"channels": ["sms"]}).status_code == 404
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert client.post(page, {"channels": ["sms"]}).status_code == 404
    assert client.get(page).status_code == 200
    assert "opted_out" not in kinds()


def test_the_proof_of_a_sign_in_stops_nothing_for_others(client, ann):
    verification = Verification.objects.get(purpose="login")
    assert client.post(f"/verify/stop/{verification.pk}/", {"channels": ["sms"]}).status_code == 404


def test_one_tick_is_for_one_message_and_another_tick_for_another(client, ann):
    sent = ask(client, number=OTHER_PHONE)
    page = code_path(sent)
    with time_machine.travel(timezone.now() + timedelta(seconds=35)):
        again = client.post(page + "resend/", {"next": "/public/"})
        assert again.status_code == 200 and "You agreed to one message" in text(again) and len(outbox) == 1
        assert code_path(ask(client, number=OTHER_PHONE)) == page and len(outbox) == 2
    assert kinds().count("granted_once") == 2
    assert Verification.objects.get(recipient_value=OTHER_PHONE).user is None


def test_a_number_that_has_stopped_at_the_provider_is_told_and_on_record(client):
    backends["default"].fail_next(code=21610)
    answer = ask(client)
    assert answer.status_code == 200 and "has stopped our messages" in text(answer)
    assert kinds() == ["granted_once", "opted_out"]


def test_ways_that_are_not_offered_are_not_there(client, settings):
    assert client.get("/verify/stop/pigeon/").status_code == 404
    settings.TWILIO_VERIFY_CHANNELS = ["email"]
    assert client.get("/verify/stop/sms/").status_code == 404
    assert "Email address" in text(client.get("/verify/stop/"))


# ---------------------------------------------------------------------------------------------------- opting back in


def stopped_by_its_holder() -> None:
    visitor = Client()
    visitor.get("/verify/stop/")
    visitor.post(prove(visitor), {"channels": ["sms", "call", "whatsapp"]})
    outbox.clear()


def reopen(client, ann, channel: str = "sms") -> str:
    """The page that the one code leads to."""
    path = f"/verify/reopen/{ann.twilio_factors.get().pk}/{channel}/"
    shown = disclosures.compose_once(Channel(channel)).digest
    sent = client.post(path, {"disclosure": shown, "consent": "on"})
    following = unquote(sent["Location"].partition("next=")[2])
    return client.post(code_path(sent), {"code": last_code(), "next": following})["Location"]


def test_a_tick_does_not_undo_the_holders_opt_out(client, ann):
    stopped_by_its_holder()
    shown = disclosures.compose(Channel.SMS).digest
    client.post("/logout/")
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        sign_in(client)
        refused = client.post("/verify/challenge/", {"disclosure": shown, "consent": "on"})
        assert refused.status_code == 200 and "Messages to this address were stopped." in text(refused)
    assert outbox == [] and kinds()[-1] == "opted_out"


def test_a_stranger_learns_nothing_of_the_opt_out(client, ann):
    stopped_by_its_holder()
    stranger = Client()
    stranger.get("/verify/stop/")
    before = ConsentEvent.objects.count()
    for _ in range(3):
        refused = ask(stranger)
        assert "We cannot send a code there right now." in text(refused) and "stopped" not in refused.context["problem"]
    assert outbox == [] and ConsentEvent.objects.count() == before
    # Staff see it, in one row however often it is tried.
    assert OptOutAttempt.objects.get().count == 3


def test_the_holder_verifies_again_and_each_person_agrees_anew(client, ann):
    bob = make_user("bob")
    agree(user=bob)
    stopped_by_its_holder()
    path = re.search(r'href="(/verify/reopen/[^"]+)"', client.get(LIST).content.decode()).group(1)
    assert "One message." in text(client.get(path))
    page = reopen(client, ann)
    assert len(outbox) == 1 and "released" not in kinds()
    assert "Allow messages to it again?" in text(client.get(page))
    assert client.post(page)["Location"] == client.post(page)["Location"] == LIST
    assert kinds().count("released") == 1 and kinds()[-1] == "released"
    # It opens nothing by itself, for nobody.
    for user in (ann, bob, None):
        with pytest.raises(ConsentRequired):
            verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=user)
    # The other channels stay stopped.
    with pytest.raises(ConsentRequired):
        agree(PHONE, "call", user=ann)
    agree(user=ann)
    assert verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=ann).verification


def test_nobody_reopens_what_is_not_a_factor_of_theirs(client, ann):
    stopped_by_its_holder()
    bob = make_user("bob")
    theirs = make_factor(bob, OTHER_PHONE)
    shown = disclosures.compose_once(Channel.SMS).digest
    path = f"/verify/reopen/{theirs.pk}/sms/"
    assert client.get(path).status_code == client.post(path, {"disclosure": shown, "consent": "on"}).status_code == 404
    with pytest.raises(ConsentRequired) as refused:
        holder.ask_to_reopen(
            recipient=Recipient.phone(PHONE),
            channel="sms",
            disclosure=disclosures.compose_once(Channel.SMS),
            client=make_client(),
            user=bob,
            context=consent.ConsentContext(),
        )
    assert refused.value.code == "consent_opted_out"
    assert outbox == []


def test_a_code_of_before_the_opt_out_ends_none(client, ann):
    """The holder is asked by the code, so the code has to be asked for after the opt-out."""
    begun = lifecycle.start(
        recipient=PHONE,
        channel="call",
        client=make_client(),
        user=ann,
        new_consent=NewConsent(disclosures.compose_once(Channel.CALL), once=True),
    )
    consent.opt_out(recipient=PHONE, channel="call")
    assert verifications.check(begun.verification, code=last_code(), client=make_client(), user=ann).approved
    with pytest.raises(VerificationNotFound):
        holder.reopen(begun.verification.pk, user=ann, client=make_client(), button="Allow")
    assert "released" not in kinds()


def ask_again(user, session: str = "session-1") -> Verification:
    """The one code for a number that has opted out."""
    return holder.ask_to_reopen(
        recipient=Recipient.phone(PHONE),
        channel="sms",
        disclosure=disclosures.compose_once(Channel.SMS),
        client=make_client(session),
        user=user,
        context=consent.ConsentContext(),
    ).verification


def test_a_code_that_was_known_before_the_opt_out_ends_none_when_it_is_sent_again(ann):
    """The provider sends a pending code once more, and the user has read it already."""
    begun = ask_again(ann)
    known = last_code()
    consent.opt_out(recipient=PHONE, channel="sms")
    Verification.objects.update(resend_at=begun.created_at)
    assert ask_again(ann) == begun and len(outbox) == 2
    assert verifications.check(begun, code=known, client=make_client(), user=ann).approved
    with pytest.raises(VerificationNotFound):
        holder.reopen(begun.pk, user=ann, client=make_client(), button="Allow")
    assert "released" not in kinds()


def test_a_number_that_has_opted_out_is_sent_two_codes_a_day_whoever_has_it(ann):
    """It may be another person's by now: whoever has confirmed it long ago must not write there all day."""
    bob = make_user("bob")
    make_factor(bob)
    stopped_by_its_holder()
    told = []
    for turn in range(6):
        try:
            ask_again((ann, bob)[turn % 2], f"session-{turn}")
        except RateLimited as error:
            told.append(error.code)
    assert (len(outbox), told) == (2, ["reopen_day"] * 4)


# ------------------------------------------------------------------------------------------------- the form of staff


def staff_form(**values) -> StaffOptOutForm:
    posted = {
        "recipient": "(501) 712-2661",
        "country": "US",
        "words": "Stop, please.",
        "asked_by": "",
        "came_by": "email",
        "received_at": timezone.localtime(timezone.now() - timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M"),
    }
    return StaffOptOutForm({**posted, **values})


def test_the_form_of_staff_gives_what_the_flow_wants():
    form = staff_form()
    assert form.is_valid(), form.errors
    events = opt_outs.record_request(**form.request_values(), staff=make_user("carla"))
    assert [event.channel for event in events] == ["sms", "call", "whatsapp", "sna"]
    assert events[0].evidence.recipient == PHONE and events[0].control == "email"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"recipient": "12"}, "recipient"),
        ({"country": ""}, "country"),
        ({"recipient": EMAIL, "channels": ["sms"]}, "channels"),
        ({"words": " "}, "words"),
        ({"received_at": "2999-01-01T00:00"}, "received_at"),
        ({"received_at": "soon"}, "received_at"),
        ({"came_by": "pigeon"}, "came_by"),
    ],
)
def test_the_form_of_staff_refuses_what_cannot_be(values, field):
    form = staff_form(**values)
    assert not form.is_valid() and list(form.errors) == [field]
