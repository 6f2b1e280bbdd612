"""Wrong, late, replayed and swapped answers of each kind: a sentence and another way each time."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.signals import user_login_failed
from django.test import Client
from django.utils import timezone

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import Channel, CheckOutcome, FactorKind
from django_twilio_verify.exceptions import BackendUnavailable
from django_twilio_verify.factors import devices
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.signals import login_denied
from django_twilio_verify.testing import Browser
from django_twilio_verify.testing.factor_contract import ORIGIN
from django_twilio_verify.verifications import push
from django_twilio_verify.verifications.messages import challenge_sentence_for
from django_twilio_verify.verifications.results import Checked
from tests.support.basics import make_factor, make_user, wrong_code
from tests.support.challenges import Holder
from tests.support.devices import World
from tests.support.pages import text

pytestmark = pytest.mark.django_db


def refused(response: Any, sentence: str, status: int = 200) -> None:
    assert response.status_code == status, response.content[:3000]
    assert sentence in text(response), text(response)


# Which ways there are


def test_the_ways_are_named_and_all_passkeys_are_one(ann: Holder, client: Client) -> None:
    make_factor(ann.user)
    for kind in ("totp", "push", "passkey"):
        ann.hold(kind)
    ann.world.passkey(ann.user, name="Key")
    ann.sign_in()
    shown = text(client.get("/verify/challenge/"))
    for name in ("Authenticator app, ann@shop", "Approve on Pixel", "Phone call"):
        assert name in shown
    for path in ("/verify/challenge/", *[ann.path(key) for key in Factor.objects.filter(kind=FactorKind.PASSKEY)]):
        page = client.get(path)
        assert page.context["channel"] == "passkey"
        assert [way.channel for way in page.context["other_channels"]].count(Channel.PASSKEY) == 0
    app = Factor.objects.get(kind=FactorKind.TOTP)
    assert text(client.get(ann.path(app))).count(" Passkey ") == 1


def test_a_browser_that_last_signed_in_by_passkey_is_asked_for_it_first(ann: Holder, client: Client) -> None:
    make_factor(ann.user)
    key = ann.hold("passkey")
    Factor.objects.update(default_for=None)
    Factor.objects.filter(kind="phone").update(default_for=ann.user)
    ann.sign_in()
    assert "text a code" in text(client.get("/verify/challenge/"))
    response = ann.use_passkey(ann.path(key))
    assert response.cookies["twilio_verify_passkey"]["httponly"] and ann.is_in()
    client.post("/logout/")
    ann.sign_in()
    assert "Use a passkey" in text(client.get("/verify/challenge/"))
    other = Client()
    ann.sign_in(other)
    assert "text a code" in text(other.get("/verify/challenge/"))


def test_too_weak_and_lost_ways_are_left_out(ann: Holder, client: Client, settings: Any) -> None:
    ann.hold("totp")
    ann.hold("silent")
    settings.TWILIO_VERIFY_MINIMUM_ASSURANCE = "totp"
    ann.sign_in()
    assert "silent" not in client.get("/verify/challenge/").content.decode()
    Factor.objects.filter(kind="totp").update(lost_at=timezone.now())
    assert client.get("/verify/challenge/")["Location"].startswith("/verify/challenge/recovery/")


@pytest.mark.parametrize("kind", ["totp", "push", "silent", "passkey"])
def test_somebody_elses_device_is_not_there(ann: Holder, client: Client, kind: str) -> None:
    ann.hold("totp")
    theirs = Holder(make_user("ben"), ann.world).hold(kind)
    ann.sign_in()
    for path in (ann.path(theirs), f"/verify/challenge/{theirs.pk}/sms/"):
        for answer in (client.get(path), client.post(path, {"code": "123456"})):
            assert answer["Location"] == "/verify/challenge/?gone=1"
    mine = Factor.objects.get(user=ann.user)
    assert client.get(f"/verify/challenge/{mine.pk}/push/").status_code == 404


@pytest.mark.parametrize("kind", ["totp", "push", "silent"])
def test_a_lost_device_says_so_and_another_way_is_there(ann: Holder, client: Client, kind: str) -> None:
    phone, factor = make_factor(ann.user), ann.hold(kind)
    ann.sign_in()
    Factor.objects.filter(pk=factor.pk).update(lost_at=timezone.now())
    refused(client.post(ann.path(factor), {"code": "123456"}), "not set up any more")
    refused(client.get(ann.path(factor)), "not set up any more")
    assert f"/verify/challenge/{phone.pk}/sms/" in client.get(ann.path(factor)).content.decode()


@pytest.mark.parametrize("kind", ["totp", "push", "passkey"])
def test_a_device_removed_at_the_provider(ann: Holder, client: Client, kind: str) -> None:
    phone, factor = make_factor(ann.user), ann.hold(kind)
    ann.sign_in()
    values = ann.credential(ann.path(factor)) if kind == "passkey" else {"code": "123456"}
    backends["default"].remove(factor.entity.identity, factor.sid)
    shown = client.post(ann.path(factor), values)
    assert shown.status_code == 200 and "problem" in text(shown)
    assert f"/verify/challenge/{phone.pk}/sms/" in shown.content.decode()
    assert not ann.is_in()


# Authenticator apps


def test_wrong_malformed_and_replayed_codes(ann: Holder, client: Client, clock: Any) -> None:
    factor = ann.hold("totp")
    assert ann.app is not None
    path, right = ann.path(factor), ann.app.code()
    ann.sign_in()
    shown = client.get(path).content.decode()
    assert 'autocomplete="one-time-code"' in shown and 'inputmode="numeric"' in shown and "6 digits." in shown
    for typed, sentence in (
        ("", "Enter the code that your authenticator app shows."),
        ("12", "The code has 6 digits: some are missing."),
        ("1234567", "The code has 6 digits: these are too many."),
        ("abcdef", "The code has digits only."),
        (wrong_code(right), "This is not the code that your app shows now. You have 4 tries left."),
    ):
        refused(client.post(path, {"code": typed}), sentence)
    assert ann.type_code(path, next="/context/")["Location"] == "/context/" and ann.is_in()
    other = Client()
    ann.sign_in(other)
    refused(other.post(path, {"code": right}), "This code was used already.")
    assert not ann.is_in(other)
    clock.shift(30)
    assert other.post(path, {"code": ann.app.code()}).status_code == 302 and ann.is_in(other)


def test_a_second_press_of_a_right_code_leads_on(ann: Holder, client: Client, clock: Any) -> None:
    factor = ann.hold("totp")
    ann.sign_in()
    second = Client()
    second.cookies.update(client.cookies)
    assert ann.type_code(ann.path(factor)).status_code == 302
    again = second.post(ann.path(factor), {"code": ann.app.code() if ann.app else ""})
    assert again["Location"] == "/account/"
    assert "sessionid" not in again.cookies, "the browser goes on with the session of the first press"


def test_however_often_a_right_code_is_pressed_it_leads_on(ann: Holder, client: Client, clock: Any) -> None:
    """Presses whose session is not replaced: those of a step-up, and those under way while a sign-in is completed."""
    factor = ann.hold("totp")
    ann.sign_in()
    ann.type_code(ann.path(factor))
    clock.shift(30)
    path = ann.path(factor, "/verify/step-up/")
    assert {ann.type_code(path)["Location"] for _ in range(8)} == {"/account/"}


def test_five_wrong_codes_end_it(ann: Holder, client: Client, clock: Any) -> None:
    factor = ann.hold("totp")
    assert ann.app is not None
    ann.sign_in()
    for _ in range(5):
        shown = client.post(ann.path(factor), {"code": wrong_code(ann.app.code())})
    refused(shown, "Too many wrong codes. Try again later, or try another way.")
    refused(ann.type_code(ann.path(factor)), "Too many wrong codes.", 429)
    clock.shift(601)
    assert ann.type_code(ann.path(factor)).status_code == 302 and ann.is_in()


def test_a_code_of_eight_digits(ann: Holder, client: Client) -> None:
    factor = ann.hold("totp")
    Factor.objects.filter(pk=factor.pk).update(digits=8)
    ann.sign_in()
    assert "8 digits." in text(client.get(ann.path(factor)))
    refused(client.post(ann.path(factor), {"code": "123456"}), "The code has 8 digits: some are missing.")


@pytest.mark.parametrize("kind", ["totp", "push"])
def test_a_provider_that_is_down(ann: Holder, client: Client, kind: str) -> None:
    factor = ann.hold(kind)
    ann.sign_in()
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))
    refused(client.post(ann.path(factor), {"code": "123456"}), "is not answering", 503)


# Phones


def test_a_yes_without_the_number_waits_for_it(ann: Holder, client: Client, clock: Any) -> None:
    factor = ann.hold("push")
    ann.sign_in()
    assert client.get(ann.path(factor)).status_code == 200
    page = ann.ask_phone(ann.path(factor))
    number = ann.number()
    shown = client.get(page)
    assert "The app on Pixel asks whether it is you." in text(shown) and number not in text(shown).split()
    ann.say("yes")
    assert client.get(page + "status/").json() == {"status": "pending", "next": ""}
    refused(client.post(page), "Enter the number that your phone shows.")
    refused(client.post(page, {"number": "7"}), "The number has two digits.")
    assert not ann.is_in()
    assert client.post(page, {"number": f" {number} "})["Location"] == "/account/" and ann.is_in()


def test_the_number_first_and_the_page_goes_on_by_itself(ann: Holder, client: Client, clock: Any) -> None:
    factor = ann.hold("push")
    ann.sign_in()
    page = ann.ask_phone(ann.path(factor), next="/context/")
    shown = client.post(page, {"number": ann.number()})
    refused(shown, "I have approved: continue")
    assert "data-tv-status" in shown.content.decode() and 'name="number"' not in shown.content.decode()
    ann.say("yes")
    clock.shift(3)
    told = client.get(f"{page}status/?next=/context/").json()
    assert told == {"status": "approved", "next": f"{page}?next=%2Fcontext%2F"}
    assert not ann.is_in(), "telling signs nobody in"
    refused(client.get(page), "Your phone said yes")
    assert client.post(page, {"next": "/context/"})["Location"] == "/context/" and ann.is_in()
    assert client.post(page)["Location"] == client.get(page)["Location"] == "/account/"


def test_the_script_learns_of_the_yes_while_the_number_is_sent(
    ann: Holder, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    factor = ann.hold("push")
    ann.sign_in()
    page, number = ann.ask_phone(ann.path(factor)), ann.number()
    ann.say("yes")
    original, script, heard = push.may_ask, Client(), list[str]()
    script.cookies.update(client.cookies)

    def asked_beside(verification: Verification, now: datetime) -> bool:
        if not heard:
            heard.append("asking")
            heard.append(script.get(page + "status/").json()["status"])
        return original(verification, now)

    monkeypatch.setattr(push, "may_ask", asked_beside)
    assert client.post(page, {"number": number})["Location"] == "/account/"
    assert heard[1] == "approved" and ann.is_in()


def test_a_wrong_number_ends_it(ann: Holder, client: Client, clock: Any) -> None:
    factor = ann.hold("push")
    ann.sign_in()
    page = ann.ask_phone(ann.path(factor))
    number = int(ann.number())
    refused(client.post(page, {"number": str((number - 9) % 90 + 10)}), "so the request is over")
    ann.say("yes")
    refused(client.post(page, {"number": str(number)}), "This request is over")
    assert client.get(page + "status/").json()["status"] == "closed"
    assert not ann.is_in()


@pytest.mark.parametrize("learns", ["page", "script"])
def test_a_wrong_number_is_a_failed_login_and_a_no_after_it_ends_the_sign_in(
    ann: Holder, client: Client, clock: Any, learns: str
) -> None:
    factor = ann.hold("push")
    ann.sign_in()
    page = ann.ask_phone(ann.path(factor))
    failed: list[Any] = []
    denied: list[Any] = []
    fails = lambda **values: failed.append(values["credentials"]["username"])  # noqa: E731
    says_no = lambda **values: denied.append(values["user"])  # noqa: E731
    user_login_failed.connect(fails)
    login_denied.connect(says_no)
    try:
        client.post(page, {"number": str((int(ann.number()) - 9) % 90 + 10)})
        assert failed == ["ann"] and denied == []
        ann.say("no")
        clock.shift(5)
        shown = client.post(page) if learns == "page" else client.get(page + "status/")
    finally:
        user_login_failed.disconnect(fails)
        login_denied.disconnect(says_no)
    assert denied == [ann.user] and ("change your password" in shown.content.decode() or shown.json())
    assert client.get("/verify/challenge/")["Location"].startswith("/login/"), "the password has to be given again"


@pytest.mark.parametrize("learns", ["page", "script"])
def test_a_no_ends_the_sign_in(ann: Holder, client: Client, clock: Any, learns: str) -> None:
    factor = ann.hold("push")
    ann.sign_in()
    told: list[Any] = []
    receiver = lambda **values: told.append(values["user"])  # noqa: E731
    login_denied.connect(receiver)
    try:
        page = ann.ask_phone(ann.path(factor))
        ann.say("no")
        if learns == "script":
            assert client.get(page + "status/").json() == {"status": "denied", "next": page}
        shown = client.post(page) if learns == "page" else client.get(page)
    finally:
        login_denied.disconnect(receiver)
    refused(shown, "change your password")
    assert told == [ann.user]
    assert client.get("/verify/challenge/")["Location"].startswith("/login/"), "the password has to be given again"
    assert client.post(page, {"number": "12"}).status_code == 200 and not ann.is_in()


def test_a_no_to_a_payment_leaves_the_person_in(ann: Holder, client: Client, clock: Any) -> None:
    app, phone = ann.hold("totp"), ann.hold("push")
    ann.sign_in()
    ann.type_code(ann.path(app))
    paying = client.post("/pay/", {"amount": "1.00 EUR", "payee": "Shop"})["Location"].partition("?")[0]
    page = ann.ask_phone(ann.path(phone, paying))
    ann.say("no")
    refused(client.post(page), "The answer on the phone was no.")
    assert ann.is_in() and client.get("/paid/").status_code == 409


def test_nobody_answers_in_time(ann: Holder, client: Client, clock: Any) -> None:
    factor = ann.hold("silent")
    ann.sign_in()
    page = ann.ask_phone(ann.path(factor))
    refused(client.post(page), "Your phone has not said yes so far.")
    clock.shift(301)
    refused(client.get(page), "There was time until")
    refused(client.post(page), "Nobody answered on the phone in time.")
    assert client.get(page + "status/").json() == {"status": "expired", "next": page}


def test_people_are_not_asked_until_they_say_yes(ann: Holder, client: Client, clock: Any) -> None:
    factor = ann.hold("push")
    ann.sign_in()
    for _ in range(3):
        page = ann.ask_phone(ann.path(factor))
        client.post(page, {"number": str((int(ann.number()) - 9) % 90 + 10)})
    shown = client.post(ann.path(factor))
    refused(shown, "Your phone was asked several times without a yes.", 429)
    assert "You can try again from" in text(shown) and int(shown["Retry-After"]) == 600


def test_the_phone_is_notified_again_three_times(ann: Holder, client: Client, clock: Any) -> None:
    factor = ann.hold("push")
    ann.sign_in()
    page = ann.ask_phone(ann.path(factor))
    answers = [client.post(page + "remind/") for _ in range(5)]
    refused(answers[0], "We have notified your phone again.")
    refused(answers[-1], "Your phone cannot be notified again. Open the app on it.")
    assert client.get(page + "remind/").status_code == 405
    assert client.post(page, {"number": ann.number()}).status_code == 200


def test_the_page_of_a_request_is_its_sessions_own(ann: Holder, client: Client, clock: Any) -> None:
    factor = ann.hold("push")
    ann.sign_in()
    page = ann.ask_phone(ann.path(factor))
    ben, tab = Holder(make_user("ben"), ann.world), Client()
    ben.tab = tab
    ben.hold("totp")
    ben.sign_in()
    for path in (page, page + "status/"):
        assert tab.get(path).status_code == 404
    for path in (page, page + "remind/"):
        assert tab.post(path, {"number": "12"}).status_code == 404
    assert Client().get(page + "status/").status_code == 404
    key = Verification.objects.latest("created_at").pk
    for path in (f"/verify/code/{key}/", f"/verify/link/{key}/", f"/verify/code/{key}/sms/"):
        assert client.get(path).status_code == 404  # pages of codes know nothing of it
    assert client.post(f"/verify/code/{key}/resend/").status_code == 404


def test_pages_of_phones_know_nothing_of_codes(ann: Holder, client: Client) -> None:
    factor = make_factor(ann.user)
    ann.sign_in()
    client.post(ann.path(factor))
    key = Verification.objects.get().pk
    assert (
        client.get(f"/verify/push/{key}/").status_code == client.get(f"/verify/push/{key}/status/").status_code == 404
    )


# Passkeys


def test_without_a_script_there_is_a_note_and_another_way(ann: Holder, client: Client) -> None:
    phone, key = make_factor(ann.user), ann.hold("passkey")
    ann.sign_in()
    html = client.get(ann.path(key)).content.decode()
    assert "<noscript>" in html and 'data-tv-passkey="get"' in html and "passkeys.js" in html
    refused(client.post(ann.path(key)), "Your browser did not hand over a passkey.")
    assert f"/verify/challenge/{phone.pk}/sms/" in html


BAD = [
    "",
    "x",
    "[]",
    "null",
    "1e999",
    '{"id": 5}',
    '{"id": "\\ud800", "response": {}}',
    "[" * 16000,
    '{"a": "' + "x" * 17000,
]


@pytest.mark.parametrize("credential", BAD, ids=range(len(BAD)))
def test_what_is_no_credential(ann: Holder, client: Client, credential: str) -> None:
    key = ann.hold("passkey")
    ann.sign_in()
    begun = ann.options(ann.path(key)).json()["verification"]
    response = client.post(ann.path(key), {"verification": begun, "credential": credential})
    refused(response, "Your browser did not hand over a passkey.")


def test_swapped_credentials_prove_nothing(ann: Holder, client: Client, clock: Any) -> None:
    key = ann.hold("passkey")
    ann.sign_in()
    path = ann.path(key)
    good = ann.credential(path)
    ben = Holder(make_user("ben"), ann.world)
    bens = ben.hold("passkey")
    ben.sign_in()
    theirs = ben.credential(ben.path(bens))
    # Another person's verification; another person's passkey; one of another site.
    refused(client.post(path, theirs), "This verification is not known here.")
    refused(client.post(path, {**good, "credential": theirs["credential"]}), "This passkey could not be confirmed.")
    assert ann.keys is not None
    foreign = ann.keys.clone()
    foreign.origin = "https://evil.example"
    options = ann.options(path).json()["options"]
    refused(client.post(path, {**good, "credential": json.dumps(foreign.get(options))}), "could not be confirmed")
    assert not ann.is_in()
    assert ann.use_passkey(path).status_code == 302 and ann.is_in()


def test_a_cloned_authenticator_is_refused(ann: Holder, client: Client, clock: Any) -> None:
    key = ann.hold("passkey")
    assert ann.keys is not None
    clone: Browser = ann.keys.clone()
    assert clone.origin == ORIGIN
    ann.sign_in()
    ann.use_passkey(ann.path(key))
    thief = Holder(ann.user, ann.world, Client(), keys=clone)
    thief.sign_in()
    refused(thief.use_passkey(thief.path(key)), "This passkey could not be confirmed.")


def test_a_passkey_that_took_too_long_or_answers_twice(ann: Holder, client: Client, clock: Any) -> None:
    key = ann.hold("passkey")
    ann.sign_in()
    late = ann.credential(ann.path(key))
    clock.shift(601)
    refused(client.post(ann.path(key), late), "This took too long. Try your passkey again.")
    again = ann.credential(ann.path(key))
    second = Client()
    second.cookies.update(client.cookies)
    assert client.post(ann.path(key), again).status_code == 302
    assert second.post(ann.path(key), again)["Location"] == "/account/"
    assert ann.is_in()


def test_options_for_nobody_or_nothing(ann: Holder, client: Client, clock: Any) -> None:
    answer = client.post("/verify/passkey/options/login/")
    assert (answer.status_code, *answer.json()) == (401, "problem")
    app = ann.hold("totp")
    ann.sign_in()
    assert client.post("/verify/passkey/options/login/").status_code == 409
    assert client.post("/verify/passkey/options/step_up/").status_code == 401  # a password alone
    assert client.get("/verify/passkey/options/login/").status_code == 405
    for purpose in ("enroll", "verify", "x"):
        assert client.post(f"/verify/passkey/options/{purpose}/").status_code == 404
    ann.type_code(ann.path(app))
    ann.hold("passkey")
    assert client.post("/verify/passkey/options/payment/?payment=x").status_code == 404
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))
    down = client.post("/verify/passkey/options/step_up/")
    assert (down.status_code, down["Retry-After"]) == (503, "30") and "is not answering" in down.json()["problem"]
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/verify/passkey/options/login/").status_code == 403


def test_a_passkey_for_something_else_signs_nobody_in(ann: Holder, client: Client, clock: Any) -> None:
    """Begun to step up in one tab, posted to a payment in another."""
    key = ann.hold("passkey")
    ann.sign_in()
    ann.use_passkey(ann.path(key))
    step_up = ann.credential(ann.path(key, "/verify/step-up/"))
    page = client.post("/pay/", {"amount": "1.00 EUR", "payee": "Shop"})["Location"].partition("?")[0]
    refused(client.post(ann.path(key, page), step_up), "This verification is not known here.")
    assert client.get("/paid/").status_code == 409


# Every outcome


@pytest.mark.parametrize("channel", [Channel.TOTP, Channel.PUSH, Channel.SILENT, Channel.PASSKEY])
@pytest.mark.parametrize("outcome", [*CheckOutcome])
def test_every_outcome_has_a_sentence_of_each_kind(channel: Channel, outcome: CheckOutcome) -> None:
    for problem in ("", "number", "missing", "too_short", "too_long", "not_digits"):
        said = challenge_sentence_for(Checked(Verification(channel=channel), outcome, 3, reason=problem))
        assert bool(said) is (outcome != CheckOutcome.APPROVED)


def test_a_device_removed_during_the_sign_in_is_good_for_it_no_more(
    local: World, ann: Holder, client: Client, clock: Any
) -> None:
    factor = ann.hold("push")
    make_factor(ann.user)
    ann.sign_in()
    page = ann.ask_phone(ann.path(factor))
    devices.remove(ann.user, factor.pk)
    refused(client.post(page), "This phone is not set up any more.")
    assert client.get(page).status_code == client.get(page + "status/").status_code == 200
    assert not ann.is_in()
