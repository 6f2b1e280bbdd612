"""Who owes a factor, and how soon a change of that reaches sessions that are open."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_twilio_verify.conf import policy_digest
from django_twilio_verify.login import decision_cache
from django_twilio_verify.login import policy as access
from tests.support.basics import all_permissions, make_factor, make_user, sign_in
from tests.support.login import copied, prove

pytestmark = pytest.mark.django_db


def is_ann(user: Any, request: Any) -> bool:
    return user.get_username() == "ann"


def nobody(user: Any, request: Any) -> bool:
    return False


def the_one_of_the_request(user: Any, request: Any) -> bool:
    """Asks the request, as it may at a sign-in."""
    return request.user.get_username() == "bob" and not request.twilio_verify.is_pending


@pytest.fixture
def people():
    """One person for each reason there is."""
    editors = Group.objects.create(name="Editors, all.")
    refunders = Group.objects.create(name="Refunders")
    permission = all_permissions().get(codename="delete_user")
    refunders.permissions.add(permission)
    make_user("ann")
    make_user("staff", is_staff=True)
    make_user("root", is_superuser=True)
    make_user("editor").groups.add(editors)
    make_user("refunder").groups.add(refunders)
    make_user("deleter").user_permissions.add(permission)


EVERYBODY = {"ann", "staff", "root", "editor", "refunder", "deleter"}
POLICIES: list[tuple[Any, set[str]]] = [
    ("enrolled", set()),
    (["enrolled"], set()),
    ("staff", {"staff"}),
    ("superuser", {"root"}),
    (["staff", "superuser"], {"staff", "root"}),
    ("group:Editors, all.", {"editor"}),
    (["group:Editors, all.", "group:Refunders"], {"editor", "refunder"}),
    ("group:editors", set()),
    ("perm:auth.delete_user", {"root", "refunder", "deleter"}),
    (["perm:auth.nothing", "perm:auth.delete_user", "staff"], {"root", "refunder", "deleter", "staff"}),
    ([is_ann, "superuser"], {"ann", "root"}),
    ((f"{__name__}.is_ann", "enrolled", nobody), {"ann"}),
    ({"everyone", "staff"}, EVERYBODY),
]


@pytest.mark.parametrize(("policy", "owing"), POLICIES)
def test_any_word_of_a_policy_suffices(people, settings, policy, owing):
    settings.TWILIO_VERIFY_REQUIRED_FOR = policy
    led = set()
    for name in EVERYBODY:
        browser = Client()
        sign_in(browser, name)
        response = browser.get("/account/", follow=True)
        if b"account of" not in response.content:
            assert response.redirect_chain[-1][0].startswith("/verify/enroll/")
            led.add(name)
    assert led == owing


def sign_in_statements(name: str) -> int:
    browser = Client()
    with CaptureQueriesContext(connection) as captured:
        sign_in(browser, name)
    return len(captured)


@pytest.mark.parametrize(
    ("policy", "more"),
    [
        ("enrolled", 0),
        ("staff", 0),
        (["staff", "superuser"], 0),
        (["group:Editors, all."], 1),
        (["staff", "group:a", "group:b", "group:c"], 1),
        (["perm:auth.delete_user", "perm:auth.view_user"], 2),  # has_perm() of Django: of the user, of the groups
    ],
)
def test_groups_cost_one_statement_at_sign_in_and_none_afterwards(people, settings, policy, more):
    settings.TWILIO_VERIFY_REQUIRED_FOR = "enrolled"
    before = sign_in_statements("ann")
    settings.TWILIO_VERIFY_REQUIRED_FOR = policy
    assert sign_in_statements("ann") == before + more
    browser = Client()
    sign_in(browser, "ann")
    with CaptureQueriesContext(connection) as captured:
        browser.get("/whoami/")
    assert len(captured) == 2  # the session and the user, as without us


def test_a_user_model_without_groups_and_permissions_is_in_none(settings):
    class Simple:
        pk = 1

    settings.TWILIO_VERIFY_REQUIRED_FOR = ["group:Editors", "perm:auth.delete_user", "staff", "superuser"]
    assert access.requires_factor(Simple(), None) is False  # type: ignore[arg-type]


def test_what_is_demanded_is_said_whether_or_not_there_is_a_factor(settings):
    ann = make_user()
    make_factor(ann)
    assert access.owes_factor(ann, None) is True  # type: ignore[arg-type]
    assert access.requires_factor(ann, None) is False  # type: ignore[arg-type]
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    assert access.requires_factor(ann, None) is True  # type: ignore[arg-type]


@pytest.fixture
def bob(client):
    """Signed in, owing nothing."""
    user = make_user("bob")
    sign_in(client, "bob")
    assert client.get("/whoami/").json() == {"user": "bob"}
    return user


def is_out(browser: Client) -> bool:
    """Whether the sign-in of the browser waits now: to the site's code, and to the person."""
    seen = copied(browser).get("/whoami/")
    return seen.json() == {"user": ""} and browser.get("/account/")["Location"].startswith("/verify/challenge/")


@pytest.mark.parametrize("policy", ["everyone", ["staff", "everyone"], lambda user, request: True])
def test_a_new_policy_reaches_open_sessions_with_their_next_request(bob, client, settings, policy):
    settings.TWILIO_VERIFY_REQUIRED_FOR = policy
    assert is_out(client)
    assert client.get("/account/", follow=True).redirect_chain[-1][0].startswith("/verify/enroll/")


def test_a_new_policy_that_does_not_mean_them_lets_people_be_and_is_decided_once(bob, client, settings):
    settings.TWILIO_VERIFY_REQUIRED_FOR = ["staff", "group:Editors"]
    assert client.get("/whoami/").json() == {"user": "bob"}
    with CaptureQueriesContext(connection) as captured:
        assert client.get("/whoami/").json() == {"user": "bob"}
    assert len(captured) == 2


def test_the_order_of_a_policy_changes_nothing(settings):
    digests = set()
    for policy in (["staff", "group:a", is_ann], [is_ann, "group:a", "staff"], {"staff", "group:a", is_ann}):
        settings.TWILIO_VERIFY_REQUIRED_FOR = policy
        digests.add(policy_digest())
    assert len(digests) == 1
    for policy in ("staff", ["staff", "group:a", nobody], ["staff", "group:a"], ["staffgroup:a", is_ann]):
        settings.TWILIO_VERIFY_REQUIRED_FOR = policy
        digests.add(policy_digest())
    settings.TWILIO_VERIFY_GRACE_DAYS = 1
    digests.add(policy_digest())
    assert len(digests) == 6


def test_who_passed_a_factor_is_not_asked_anew_by_a_new_policy(client, settings):
    make_factor(make_user("ann"))
    sign_in(client)
    prove(client)
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    assert client.get("/account/").content == b"account of ann"


@pytest.mark.parametrize("flag", ["is_staff", "is_superuser"])
def test_who_rises_owes_it_with_the_next_request(bob, client, settings, flag):
    settings.TWILIO_VERIFY_REQUIRED_FOR = ["staff", "superuser"]
    assert client.get("/whoami/").json() == {"user": "bob"}
    setattr(bob, flag, True)
    bob.save()
    assert is_out(client)


def later(seconds: int) -> Any:
    return time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=False)


def join(bob):
    bob.groups.add(Group.objects.create(name="Editors"))


def enroll_elsewhere(bob):
    make_factor(bob)


@pytest.mark.parametrize("change", [join, enroll_elsewhere])
def test_groups_and_factors_reach_open_sessions_within_minutes(bob, client, settings, change):
    settings.TWILIO_VERIFY_REQUIRED_FOR = ["group:Editors"]
    assert client.get("/whoami/").json() == {"user": "bob"}
    change(bob)
    with later(290):
        assert client.get("/whoami/").json() == {"user": "bob"}
    with later(310):
        assert is_out(client)


def test_on_the_async_stack_too(bob, client, settings):
    make_factor(bob)
    browser = AsyncClient()
    browser.cookies["sessionid"] = client.cookies["sessionid"].value
    assert async_to_sync(browser.get)("/awhoami/").json() == {"user": "bob"}
    with later(310):
        assert async_to_sync(browser.get)("/awhoami/").json() == {"user": ""}


def test_every_request_if_the_site_wants_it(bob, client, settings):
    settings.TWILIO_VERIFY_POLICY_RECHECK_SECONDS = 0
    assert client.get("/whoami/").json() == {"user": "bob"}
    make_factor(bob)
    assert is_out(client)


def test_deciding_anew_costs_a_statement_every_few_minutes_and_writes_nothing(bob, client):
    def statements() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/whoami/").json() == {"user": "bob"}
        return [one["sql"] for one in captured]

    with later(310):
        first, second = statements(), statements()
    assert (len(first), len(second)) == (3, 2)
    assert all(sql.lstrip("(").startswith("SELECT") for sql in first)
    with later(620):
        assert len(statements()) == 3


def test_a_session_does_not_live_longer_for_being_decided_anew(bob, client):
    ends = client.session.get_expiry_date()
    with later(310):
        client.get("/whoami/")
        assert "sessionid" not in client.get("/whoami/").cookies
    assert abs(client.session.get_expiry_date() - ends) < timedelta(seconds=60)


def test_what_one_process_knows_of_a_session_is_no_way_in_for_another_person(bob, client, settings):
    """Noted under the key of a session and the person: both have to fit."""
    with later(310):
        client.get("/whoami/")
    (key,) = decision_cache._noted
    assert key == hashlib.sha256(f"{client.session.session_key}:{bob.pk}".encode()).digest()


def test_what_is_remembered_is_bounded(bob, client, monkeypatch):
    monkeypatch.setattr(decision_cache, "KEPT", 2)
    decision_cache._noted.update({b"a": 1.0, b"b": 1.0})
    with later(310):
        client.get("/whoami/")
    assert len(decision_cache._noted) == 1


def test_a_clock_that_was_put_back_makes_no_answer_hold(bob, client):
    make_factor(bob)
    with later(-3600):
        assert is_out(client)


def test_a_policy_may_look_at_the_user_of_the_request_whenever_it_is_asked(bob, client, settings):
    settings.TWILIO_VERIFY_REQUIRED_FOR = the_one_of_the_request
    assert is_out(client)
    fresh = Client()
    make_user("carl")
    sign_in(fresh, "carl")
    settings.TWILIO_VERIFY_POLICY_RECHECK_SECONDS = 0
    assert fresh.get("/whoami/").json() == {"user": "carl"}


def test_a_pending_sign_in_is_asked_about_without_reading_the_user_twice(bob, client):
    with later(310), CaptureQueriesContext(connection) as captured:
        client.get("/exempt/")
    assert len(captured) == 3  # the session, the user, the factors
