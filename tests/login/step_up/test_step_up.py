"""The page that asks once more, by each kind: of this person, in this session, for this purpose."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.testing import outbox
from tests.support.basics import PHONE, agree, code_path, last_code, make_factor, make_user, sign_in
from tests.support.challenges import Holder
from tests.support.pages import form, text
from tests.support.step_up import leads_to_step_up

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.login.step_up.urls")]


def test_a_proof_lasts_as_long_as_the_page_says(ann: Holder, client: Client, clock: Any) -> None:
    for path in ("/once/", "/fresh/"):
        assert client.get(path).status_code == 200
    clock.shift(599)
    assert client.get("/fresh/").status_code == 200
    clock.shift(2)
    assert client.get("/once/").status_code == 200
    leads_to_step_up(client.get("/fresh/?a=1"), "/fresh/?a=1")


@pytest.mark.parametrize(("behind", "status"), [(1, 200), (60, 200), (61, 302), (3600, 302)])
def test_a_server_may_be_a_little_slow(ann: Holder, client: Client, clock: Any, behind: int, status: int) -> None:
    clock.shift(-behind)
    assert client.get("/fresh/").status_code == status


def test_by_a_code(later: Holder, client: Client) -> None:
    page = leads_to_step_up(client.get("/fresh/"))
    outbox.clear()
    shown = client.get(page)
    assert "What you are about to do is protected." in text(shown) and outbox == []
    answer = client.post("/verify/step-up/", {"next": "/fresh/"})
    code = answer["Location"]
    assert Verification.objects.latest("created_at").purpose == "step_up"
    assert "Try another way" in text(client.get(code))
    assert client.post(code, {"code": last_code(), "next": "/fresh/"})["Location"] == "/fresh/"
    assert client.get("/fresh/").status_code == 200
    assert client.post(code, {"code": last_code(), "next": "/fresh/"})["Location"] == "/fresh/"


def test_an_old_proof_shown_again_is_none(later: Holder, client: Client, clock: Any) -> None:
    code = code_path(client.post("/verify/step-up/"))
    client.post(code, {"code": last_code()})
    clock.shift(700)
    client.post(code, {"code": last_code()})
    leads_to_step_up(client.get("/fresh/"))


@pytest.mark.parametrize("kind", ["totp", "push", "silent", "passkey"])
def test_by_a_device(later: Holder, client: Client, clock: Any, kind: str) -> None:
    factor = later.hold(kind)
    page = leads_to_step_up(client.get("/fresh/"))
    assert kind in client.get(page).content.decode()
    answer = later.prove(factor, later.path(factor, "/verify/step-up/"), next="/fresh/")
    assert answer["Location"] == "/fresh/"
    assert client.get("/fresh/").status_code == 200
    assert client.session["_twilio_verify_settled"]["channel"] == kind
    if kind in ("push", "silent"):  # the page of a used approval renews nothing
        clock.shift(700)
        used = Verification.objects.filter(purpose="step_up").latest("created_at").pk
        assert client.post(f"/verify/push/{used}/").status_code == 302
        leads_to_step_up(client.get("/fresh/"))


def test_by_a_link_of_the_mobile_network(later: Holder, client: Client, settings: Any) -> None:
    settings.TWILIO_VERIFY_CHANNELS = ["sna", "sms"]
    Factor.objects.update(channel="sna")
    agree(PHONE, "sna", user=later.user)
    link = client.post("/verify/step-up/", {"next": "/fresh/"})["Location"]
    assert "/verify/link/" in link
    backends["default"].simulator.open_link(Verification.objects.filter(purpose="step_up").latest("created_at").link)
    assert client.post(link, {"next": "/fresh/"})["Location"] == "/fresh/"
    assert client.get("/fresh/").status_code == 200


def test_by_a_recovery_code(later: Holder, client: Client) -> None:
    code = recovery_codes.issue(later.user)[0]
    page = leads_to_step_up(client.get("/fresh/"))
    path = "/verify/step-up/recovery/?next=%2Ffresh%2F"
    assert path in client.get(page).content.decode()
    shown = client.post(path, {"code": "0000-0000-0000"})
    assert "This is not one of your unused recovery codes." in text(shown)
    leads_to_step_up(client.get("/fresh/"))
    assert client.post(path, {"code": code})["Location"] == "/fresh/"
    assert client.get("/fresh/").status_code == 200


def test_only_by_the_ways_that_the_page_allows(ann: Holder, client: Client) -> None:
    """A text message was good for the sign-in, and is not good enough here."""
    page = leads_to_step_up(client.get("/strong/"), "/strong/", channels="passkey,totp")
    assert "Authenticator app" in text(client.get(page)) and "have none of them" in text(client.get(page))
    app = ann.hold("totp")
    html = client.get(page).content.decode()
    assert "sms" not in html and "recovery" not in html
    # By the address of another way all the same: proved, and not let in.
    phone = Factor.objects.get(kind="phone")
    code = code_path(client.post(f"/verify/step-up/{phone.pk}/sms/"))
    client.post(code, {"code": last_code()})
    leads_to_step_up(client.get("/strong/"), "/strong/", channels="passkey,totp")
    answer = ann.type_code(ann.path(app, "/verify/step-up/"), next="/strong/")
    assert answer["Location"] == "/strong/" and client.get("/strong/").status_code == 200


def test_who_is_asked(client: Client) -> None:
    visitor = client.get("/fresh/")
    assert visitor["Location"] == "/login/?next=/fresh/"
    assert client.get("/verify/step-up/?next=/fresh/")["Location"] == "/login/?next=/fresh/"
    ben = make_user("ben")
    client.force_login(ben)
    assert client.get("/fresh/")["Location"] == "/verify/enroll/?next=%2Ffresh%2F"
    assert client.get("/verify/step-up/?next=/fresh/")["Location"] == "/verify/enroll/?next=%2Ffresh%2F"
    make_factor(ben)
    waiting = Client()
    sign_in(waiting, "ben")
    for path in ("/fresh/", "/verify/step-up/?next=/fresh/", "/verify/step-up/recovery/?next=/fresh/"):
        assert waiting.get(path)["Location"].startswith("/verify/challenge/?next=")
        assert waiting.post(path)["Location"].startswith("/verify/challenge/")


def test_who_enrolls_has_proved_it(client: Client) -> None:
    client.force_login(make_user("ben"))
    code = client.post("/verify/enroll/sms/", form("sms", next="/fresh/"))["Location"]
    client.post(code, {"code": last_code(), "next": "/fresh/"})
    assert client.get("/fresh/").status_code == 200


def test_a_session_from_before_the_factor_steps_up(client: Client) -> None:
    """Signed in without one; it was enrolled elsewhere."""
    ann = make_user("ann")
    client.force_login(ann)
    client.get("/account/")
    make_factor(ann)
    leads_to_step_up(client.get("/once/"), "/once/")
    client.post(code_path(client.post("/verify/step-up/")), {"code": last_code()})
    assert client.get("/once/").status_code == 200


def test_another_session_and_another_purpose_prove_nothing(later: Holder, client: Client, clock: Any) -> None:
    app = later.hold("totp")
    other = Client()
    sign_in(other)
    later.tab, mine = other, later.tab
    later.type_code(later.path(app))
    clock.shift(700)
    # In another session.
    later.type_code(later.path(app, "/verify/step-up/"))
    assert other.get("/fresh/").status_code == 200
    later.tab = mine
    leads_to_step_up(client.get("/fresh/"))
    # For a payment.
    clock.shift(31)
    page = client.post("/pay/", {"amount": "1.00 EUR", "payee": "Shop"})["Location"].partition("?")[0]
    later.type_code(later.path(app, page), next="/paid/")
    assert client.get("/paid/").content == b"paid"
    leads_to_step_up(client.get("/fresh/"))


def test_somebody_elses_factor_is_not_there(later: Holder, client: Client) -> None:
    ben = Holder(make_user("ben"), later.world)
    theirs = ben.hold("totp")
    path = later.path(theirs, "/verify/step-up/")
    for answer in (client.get(path), client.post(path, {"code": "123456"})):
        assert answer["Location"] == "/verify/step-up/?gone=1"


def test_a_session_that_changed_hands_is_not_stepped_up(later: Holder, client: Client) -> None:
    """Ann begins, Ben signs in with the same browser and enters Ann's code."""
    code = code_path(client.post("/verify/step-up/"))
    make_user("ben")
    sign_in(client, "ben")
    assert client.post(code, {"code": last_code()}).status_code in (302, 404)
    assert client.get("/fresh/")["Location"].startswith("/verify/enroll/")


def test_a_no_on_the_phone_leaves_the_person_in(later: Holder, client: Client) -> None:
    factor = later.hold("push")
    page = later.ask_phone(later.path(factor, "/verify/step-up/"))
    later.say("no")
    assert "change your password" in text(client.post(page))
    assert later.is_in()
    leads_to_step_up(client.get("/fresh/"))


def test_next_never_leaves_the_site(later: Holder, client: Client) -> None:
    for forged in ("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"):
        answer = client.post("/verify/step-up/", {"next": forged})
        assert "evil" not in answer.get("Location", "") and "javascript" not in answer.get("Location", "")
        assert "evil" not in client.get("/verify/step-up/", {"next": forged}).content.decode()


@pytest.mark.parametrize("channels", ["", "x", "sms,", "SMS", "sms,fax", ",,,", "a" * 5000, "%00"])
def test_any_query_of_channels_is_answered(later: Holder, client: Client, channels: str) -> None:
    assert client.get("/verify/step-up/", {"channels": channels, "next": "/fresh/"}).status_code == 200


def test_asking_whether_it_is_proved_costs_nothing(ann: Holder, client: Client, settings: Any) -> None:
    def statements(path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path).status_code == 200
        return len(captured)

    assert statements("/fresh/") == statements("/afresh/") == statements("/account/")
    shown = text(client.get("/template/"))
    assert shown == "ever: True, fresh: True, strong: False"
