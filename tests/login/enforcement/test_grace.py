"""Time to enroll: people of whom a factor is demanded may put it off, told once a sign-in, until it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_twilio_verify.login import grace, session_cutoffs
from django_twilio_verify.middleware import HINT
from django_twilio_verify.models import UserState
from django_twilio_verify.testing import outbox
from tests.support.basics import make_factor, make_user, race, sign_in
from tests.support.login import copied, enroll

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def two_weeks(settings):
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    settings.TWILIO_VERIFY_GRACE_DAYS = 14


@pytest.fixture
def bob(client):
    user = make_user("bob")
    sign_in(client, "bob")
    return user


def test_the_person_is_in_and_is_told_once(bob, client):
    assert client.get("/whoami/", headers={"Accept": "application/json"}).json() == {"user": "bob"}
    led = client.get("/account/?tab=2")
    assert led["Location"] == "/verify/grace/?next=%2Faccount%2F%3Ftab%3D2"
    page = client.get(led["Location"]).content.decode()
    assert "You have 14 days left to add one." in page
    assert "Nov. 4" not in page
    assert "Dec. 4, 2026, 1 p.m." in page  # the site's own time zone
    done = client.post("/verify/grace/", {"later": "1", "next": "/account/?tab=2"})
    assert done["Location"] == "/account/?tab=2"
    assert client.get("/account/").content == b"account of bob"
    assert client.cookies[HINT].value == ""
    with CaptureQueriesContext(connection) as captured:
        assert client.get("/public/").content == b"public"
    assert len(captured) == 0
    assert outbox == []


def test_each_sign_in_tells_again_and_the_days_go_down(bob, client, clock):
    for days, said in ((3.5, "11 days left"), (13, "1 day left"), (13.99, "1 day left")):
        clock.move_to(NOON + timedelta(days=days))
        browser = Client()
        sign_in(browser, "bob")
        led = browser.get("/account/")
        assert led["Location"].startswith("/verify/grace/")
        assert f"You have {said} to add one." in browser.get(led["Location"]).content.decode()


def test_until_they_choose_pages_lead_there_and_nothing_else_does(bob, client):
    assert client.get("/account/")["Location"].startswith("/verify/grace/")
    assert client.get("/public/")["Location"].startswith("/verify/grace/")
    for headers in (
        {"Accept": "application/json"},
        {"X-Requested-With": "XMLHttpRequest"},
        {"Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Dest": "empty"},
    ):
        assert client.get("/account/", headers=headers).content == b"account of bob"
    assert client.post("/set-cart/").content == b"ok"
    for exempt in ("/exempt/", "/verify/enroll/", "/verify/", "/verify/grace/", "/hall/"):
        assert client.get(exempt).status_code == 200, exempt
    assert client.post("/logout/").status_code in (200, 302)


def test_now_leads_to_enrolling_and_back_to_where_they_were_going(bob, client):
    client.get("/account/")
    done = client.post("/verify/grace/", {"now": "1", "next": "/room/"})
    assert done["Location"] == "/verify/enroll/?next=%2Froom%2F"
    enroll(client)
    assert client.get("/banner/").content == b"bob: -"
    assert client.get("/account/").content == b"account of bob"
    assert client.get("/verify/grace/")["Location"] == "/account/"
    fresh = Client()
    sign_in(fresh, "bob")
    assert fresh.get("/account/")["Location"].startswith("/verify/challenge/")


def test_who_is_told_nothing_of_it(bob, client):
    """A visitor, somebody of whom nothing is demanded, and a forged hint."""
    assert Client().get("/verify/grace/")["Location"].startswith("/login/")
    forged = Client()
    forged.cookies[HINT] = "1"
    assert forged.get("/public/").content == b"public"
    assert forged.post("/verify/grace/", {"later": "1"})["Location"].startswith("/login/")


def test_of_whom_nothing_is_demanded_no_time_runs(client, settings):
    settings.TWILIO_VERIFY_REQUIRED_FOR = "staff"
    make_user("carl")
    sign_in(client, "carl")
    assert client.get("/account/").content == b"account of carl"
    assert client.get("/verify/grace/")["Location"] == "/account/"
    assert not UserState.objects.exists()


def test_whoever_has_a_factor_has_no_grace(client):
    make_factor(make_user("ann"))
    sign_in(client)
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")
    assert not UserState.objects.exists()


def test_after_it_ends_they_must_enroll(bob, client, clock):
    clock.move_to(NOON + timedelta(days=14))
    browser = Client()
    sign_in(browser, "bob")
    page = browser.get("/account/", follow=True)
    assert page.redirect_chain[-1][0].startswith("/verify/enroll/")
    assert copied(browser).get("/whoami/").json() == {"user": ""}


def test_its_end_reaches_a_session_that_is_open(bob, client, clock, settings):
    settings.SESSION_COOKIE_AGE = 40 * 86_400
    browser = Client()
    sign_in(browser, "bob")
    browser.post("/verify/grace/", {"later": "1"})
    clock.move_to(NOON + timedelta(days=14, seconds=-1))
    assert browser.get("/account/").content == b"account of bob"
    clock.move_to(NOON + timedelta(days=14, seconds=1))
    assert browser.get("/account/")["Location"].startswith("/verify/challenge/")


def test_it_is_not_given_twice(bob, client, clock):
    clock.move_to(NOON + timedelta(days=20))
    sign_in(client, "bob")
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")
    assert UserState.objects.get(user=bob).grace_started_at == NOON


def test_fewer_days_reach_open_sessions(bob, client, clock, settings):
    client.post("/verify/grace/", {"later": "1"})
    clock.move_to(NOON + timedelta(days=2))
    assert client.get("/account/").content == b"account of bob"
    settings.TWILIO_VERIFY_GRACE_DAYS = 1
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")


def test_a_new_policy_gives_open_sessions_their_time_and_tells_them(client, settings):
    settings.TWILIO_VERIFY_REQUIRED_FOR = "staff"
    make_user("carl")
    sign_in(client, "carl")
    assert client.get("/account/").content == b"account of carl"
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    assert client.get("/account/").content == b"account of carl"  # decided in this request
    assert client.get("/account/")["Location"].startswith("/verify/grace/")
    assert UserState.objects.get().grace_started_at == NOON


def test_a_banner_of_the_sites_costs_no_statement(bob, client):
    client.post("/verify/grace/", {"later": "1"})
    with CaptureQueriesContext(connection) as captured:
        assert client.get("/banner/").content == b"bob: 2026-12-04T12:00:00+00:00"
    assert len(captured) == 2  # the session and the user


def test_a_sign_in_costs_one_insert_the_first_time(bob):
    carl = make_user("carl")

    def statements() -> list[str]:
        browser = Client()
        with CaptureQueriesContext(connection) as captured:
            sign_in(browser, "carl")
        return [one["sql"] for one in captured if "grace_started_at" in one["sql"]]

    first, second = statements(), statements()
    assert [sql.split()[0] for sql in first] == ["SELECT", "INSERT"]
    assert [sql.split()[0] for sql in second] == ["SELECT"]
    assert UserState.objects.filter(user=carl).count() == 1


def test_a_user_whose_sessions_were_ended_before_gets_the_whole_time(bob):
    carl = make_user("carl")
    mark = session_cutoffs.cut(carl)
    with CaptureQueriesContext(connection) as captured:
        assert grace.ends_at(carl) == NOON + timedelta(days=14)
    assert [sql.split()[0] for one in captured if "grace_started_at" in (sql := one["sql"])] == ["SELECT", "INSERT"]
    assert session_cutoffs.last(carl) == mark


def test_somebody_who_was_deactivated_is_not_sent_to_and_fro(bob, client):
    bob.is_active = False
    bob.save()
    page = client.get("/account/", follow=True)
    assert page.status_code == 200
    assert page.redirect_chain[-1][0].startswith("/login/")
    assert len(page.redirect_chain) == 1


def test_a_factor_from_elsewhere_ends_it(bob, client, clock):
    client.post("/verify/grace/", {"later": "1"})
    make_factor(bob)
    clock.move_to(NOON + timedelta(minutes=6))
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")


def test_a_page_that_tells_is_never_cached_and_writes_nothing(bob, client):
    with CaptureQueriesContext(connection) as captured:
        page = client.get("/verify/grace/")
    assert "no-store" in page["Cache-Control"]
    assert not [one for one in captured if not one["sql"].startswith("SELECT")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_many_first_sign_ins_at_once_one_starts_it():
    carl = make_user("carl")
    ends = race(8, lambda index: grace.ends_at(carl))
    assert ends == [NOON + timedelta(days=14)] * 8
    assert UserState.objects.filter(user=carl).count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_inside_transactions_of_the_sites_too():
    carl = make_user("carl")

    def begin(index: int) -> datetime | None:
        with transaction.atomic():
            UserState.objects.count()  # a snapshot without the row
            return grace.ends_at(carl)

    ends = race(8, begin)
    # SQLite lets one transaction at a time go from reading to writing, and tells the others so, whoever writes.
    refused = [one for one in ends if connection.vendor == "sqlite" and isinstance(one, OperationalError)]
    assert [one for one in ends if one not in refused] == [NOON + timedelta(days=14)] * (8 - len(refused))
    assert UserState.objects.filter(user=carl).count() == 1


def test_without_days_there_is_none(bob, settings):
    settings.TWILIO_VERIFY_GRACE_DAYS = 0
    assert grace.ends_at(make_user("carl")) is None
    assert UserState.objects.count() == 1
