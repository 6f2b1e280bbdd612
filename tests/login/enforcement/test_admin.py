"""The admin behind the wall: covered without being touched, and nobody goes round in circles."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from tests.support.basics import PASSWORD, make_factor, make_user, sign_in
from tests.support.login import copied, enroll, prove

pytestmark = pytest.mark.django_db

HOPS = 3


def follow(browser: Client, path: str) -> tuple[list[str], Any]:
    """Follow redirects as a browser does, and fail where there is no end of them."""
    passed = [path]
    response = browser.get(path)
    while response.status_code in (301, 302):
        assert len(passed) <= HOPS, passed
        passed.append(response["Location"])
        response = browser.get(response["Location"])
    return passed, response


def by_admin(browser: Client, username: str, wanted: str = "/admin/") -> Any:
    return browser.post(f"/admin/login/?next={wanted}", {"username": username, "password": PASSWORD, "next": wanted})


@pytest.fixture
def staff(settings):
    settings.TWILIO_VERIFY_REQUIRED_FOR = "staff"
    return make_user("staff", is_staff=True, is_superuser=True)


def test_staff_without_a_factor_enroll_and_are_in(staff, client):
    assert by_admin(client, "staff", "/admin/auth/")["Location"] == "/admin/auth/"
    passed, page = follow(client, "/admin/auth/")
    assert page.status_code == 200
    assert [url.partition("?")[0] for url in passed] == ["/admin/auth/", "/verify/challenge/", "/verify/enroll/"]
    assert passed[-1].endswith("?next=%2Fadmin%2Fauth%2F")
    enroll(client)
    assert follow(client, "/admin/auth/")[0] == ["/admin/auth/"]
    assert client.get("/admin/").status_code == 200


def test_staff_with_a_factor_prove_it_and_are_in(staff, client):
    make_factor(staff)
    by_admin(client, "staff")
    passed, page = follow(client, "/admin/")
    assert passed == ["/admin/", "/verify/challenge/?next=%2Fadmin%2F"]
    assert page.status_code == 200
    assert prove(client, "/admin/") == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_the_login_page_of_the_admin_while_a_sign_in_waits(staff, client):
    make_factor(staff)
    by_admin(client, "staff")
    client.get("/admin/")
    passed, page = follow(client, "/admin/login/?next=/admin/auth/")
    assert passed[-1] == "/verify/challenge/?next=%2Fadmin%2Fauth%2F"
    assert page.status_code == 200
    # A browser that lost the hint sees the form, and nobody in it.
    assert b"staff" not in copied(client).get("/admin/login/?next=/admin/").content


def test_a_deep_page_of_the_admin_is_come_back_to(staff, client):
    make_factor(staff)
    wanted = f"/admin/auth/user/{staff.pk}/change/"
    assert client.get(wanted)["Location"] == f"/admin/login/?next={wanted}"
    assert by_admin(client, "staff", wanted)["Location"] == wanted
    assert prove(client, wanted) == wanted
    assert client.get(wanted).status_code == 200


def test_somebody_who_is_no_staff_is_told_by_the_admin_itself(staff, client):
    make_factor(make_user("bob"))
    by_admin(client, "bob")
    assert "_twilio_verify_pending" not in client.session  # the admin's form refuses bob
    sign_in(client, "bob")
    prove(client)
    passed, page = follow(client, "/admin/")
    assert passed == ["/admin/", "/admin/login/?next=/admin/"]
    assert page.status_code == 200
    assert b"not authorized to access this page" in page.content


def test_a_sign_in_that_waited_too_long_begins_at_the_admins_login(staff, client):
    make_factor(staff)
    by_admin(client, "staff")
    client.get("/admin/")
    with time_machine.travel(timezone.now() + timedelta(minutes=31), tick=False):
        passed, page = follow(client, "/admin/")
        assert passed == ["/admin/", "/admin/login/?next=/admin/"]
        assert page.status_code == 200
        # The challenge itself, kept open in a tab:
        passed, page = follow(client, "/verify/challenge/?next=/admin/")
        assert passed[-1] == "/login/?next=%2Fadmin%2F"
        assert page.status_code == 200


def test_signing_out_of_the_admin_is_always_possible(staff, client):
    make_factor(staff)
    by_admin(client, "staff")
    client.get("/admin/")
    assert client.post("/admin/logout/")["Location"] == "/admin/"  # the admin's answer to whoever is not in it
    assert "_twilio_verify_pending" not in client.session
    assert follow(client, "/admin/")[0][-1] == "/admin/login/?next=/admin/"


def test_signing_out_needs_its_token(staff):
    make_factor(staff)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(staff)
    browser.get("/account/")
    for path in ("/admin/logout/", "/logout/"):
        assert browser.post(path).status_code == 403
        browser.get(path)
        assert browser.get("/account/")["Location"].startswith("/verify/challenge/")


@pytest.mark.parametrize(
    "path",
    [
        "/admin/autocomplete/?app_label=auth&model_name=user&field_name=groups&term=a",
        "/admin/auth/group/add/?_popup=1&_to_field=id",
        "/admin/jsi18n/",
        "/admin/r/1/1/",
    ],
)
def test_popups_and_programs_of_the_admin_learn_nothing(staff, client, path):
    make_factor(staff)
    Group.objects.create(name="Secret group")
    by_admin(client, "staff")
    client.get("/admin/")
    asked = client.get(path, headers={"X-Requested-With": "XMLHttpRequest"})
    assert asked.status_code == 401
    assert asked.json()["code"] == "second_factor_required"
    page = client.get(path)
    assert page.status_code == 302
    assert page["Location"].startswith("/verify/challenge/")
    assert b"Secret" not in copied(client).get(path, headers={"X-Requested-With": "XMLHttpRequest"}).content


def test_what_is_posted_to_the_admin_meanwhile_is_not_done(staff, client):
    make_factor(staff)
    by_admin(client, "staff")
    for browser in (client, copied(client)):
        assert browser.post("/admin/auth/group/add/", {"name": "Mine"}).status_code == 302
    assert not Group.objects.exists()


def test_who_becomes_staff_while_signed_in_meets_it_at_the_admins_door(settings, client):
    settings.TWILIO_VERIFY_REQUIRED_FOR = "staff"
    bob = make_user("bob")
    sign_in(client, "bob")
    assert client.get("/account/").content == b"account of bob"
    bob.is_staff = True
    bob.save()
    passed, page = follow(client, "/admin/")
    assert passed[-1].startswith("/verify/enroll/")
    assert page.status_code == 200


def test_staff_in_their_grace_are_told_once_and_use_the_admin(staff, client, settings):
    settings.TWILIO_VERIFY_GRACE_DAYS = 7
    by_admin(client, "staff")
    passed, _page = follow(client, "/admin/")
    assert passed == ["/admin/", "/verify/grace/?next=%2Fadmin%2F"]
    assert client.post("/verify/grace/", {"later": "1", "next": "/admin/"})["Location"] == "/admin/"
    assert follow(client, "/admin/")[0] == ["/admin/"]
    assert client.get("/admin/auth/group/add/").status_code == 200


def test_a_site_without_a_login_of_its_own(staff, client, settings):
    settings.LOGIN_URL = "admin:login"
    make_factor(staff)
    by_admin(client, "staff")
    assert follow(client, "/admin/")[0][-1].startswith("/verify/challenge/")
    client.post("/verify/challenge/cancel/")
    passed, page = follow(client, "/verify/challenge/")
    assert page.status_code == 200
    assert passed[-1].startswith("/admin/login/")
