"""What a walk over the site's urls finds: pages that are missing, exemptions, and ways round the wall."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import signals as auth_signals
from django.contrib.auth.models import Group
from django.core import checks as django_checks
from django.core.management import call_command
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, resolve

from django_twilio_verify.checks import login_urls
from django_twilio_verify.decorators import verification_exempt
from django_twilio_verify.login import guarded_urls
from django_twilio_verify.login.guarded_urls import Enforcement
from tests.support.basics import make_secret
from tests.support.url_checks import Plain, ids


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("page")


@pytest.fixture
def said(settings):
    def run(*patterns: Any, ours: bool = True, tag: str = "security") -> list[django_checks.CheckMessage]:
        settings.ROOT_URLCONF = Plain(*patterns, ours=ours)
        found = django_checks.run_checks(tags=[tag])
        return [one for one in found if str(one.id).startswith("twilio_verify.")]

    return run


@pytest.fixture(autouse=True)
def keys(settings):
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k1", make_secret("fingerprints"))]
    settings.TWILIO_VERIFY_SIGNING_KEYS = [("k1", make_secret("seals"))]


def test_a_site_whose_urls_lack_ours_is_told(said):
    assert ids(said(path("page/", page))) == []
    assert ids(said(path("page/", page), ours=False)) == ["E070"]
    assert ids(said(path("sub/", include([path("verify/", include("django_twilio_verify.urls"))])), ours=False)) == []


def test_a_site_without_urls_or_with_broken_ones_is_not_told_of_ours(settings, said):
    settings.ROOT_URLCONF = "nowhere.urls"
    found = [
        message
        for check in (login_urls.check_pages, login_urls.check_exemptions, login_urls.check_ways_round)
        for message in check()
    ]
    assert found == []
    settings.ROOT_URLCONF = ""
    assert login_urls.check_pages() == []


def test_a_signal_that_is_somebody_elses_is_told(settings, monkeypatch):
    settings.TWILIO_VERIFY_DEFER_LOGIN_SIGNAL = True
    assert login_urls.check_signal() == []

    class Theirs(Signal):
        pass

    ours = type(auth_signals.user_logged_in)
    monkeypatch.setattr(auth_signals.user_logged_in, "__class__", Theirs)
    assert ids(login_urls.check_signal()) == ["E071"]
    settings.TWILIO_VERIFY_DEFER_LOGIN_SIGNAL = False
    assert login_urls.check_signal() == []
    auth_signals.user_logged_in.__class__ = ours


# ---- Names in the policy.


@pytest.mark.django_db
def test_groups_and_permissions_that_do_not_exist_are_told_where_databases_are_checked(settings):
    Group.objects.create(name="Editors")
    settings.TWILIO_VERIFY_REQUIRED_FOR = [
        "staff",
        "group:Editors",
        "group:Editor",
        "perm:auth.delete_user",
        "perm:auth.remove_user",
        "perm:shop.delete_user",
    ]
    found = login_urls.check_policy_names(databases=["default"])
    assert [one.msg.partition("'")[2].partition("'")[0] for one in found] == [
        "group:Editor",
        "perm:auth.remove_user",
        "perm:shop.delete_user",
    ]
    assert ids(found) == ["W076"] * 3
    assert login_urls.check_policy_names(databases=[]) == login_urls.check_policy_names() == []
    settings.TWILIO_VERIFY_REQUIRED_FOR = "nobody"
    assert login_urls.check_policy_names(databases=["default"]) == []


# ---- The table.


@verification_exempt
def open_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("open")


def test_every_url_has_a_state(settings):
    settings.TWILIO_VERIFY_EXEMPT_URLS = ["shop:status"]
    shop = ([path("status/", page, name="status"), path("basket/", page, name="basket")], "shop")
    settings.ROOT_URLCONF = Plain(path("shop/<int:number>/", include(shop)), path("open/", open_page))
    found = {door.route: (door.state, door.why) for door in guarded_urls.guarded_urls()}
    assert found["/shop/<int:number>/status/"] == (Enforcement.EXEMPT, "shop:status")
    assert found["/shop/<int:number>/basket/"] == (Enforcement.GUARDED, "")
    assert found["/open/"] == (Enforcement.EXEMPT, "verification_exempt")
    assert found["/verify/challenge/"] == (Enforcement.OURS, "")


def test_the_command_lists_them(settings):
    settings.ROOT_URLCONF = Plain(path("open/", open_page, name="open"), path("page/", page))
    out = StringIO()
    call_command("check_login_urls", stdout=out)
    lines = out.getvalue().splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["Enforcement", "Url", "Name", "Why"],
        ["exempt", "/open/", "open", "verification_exempt"],
        ["guarded", "/page/", "-"],
    ]
    assert lines[-1].startswith("1 exempt, 1 guarded, ")
    assert lines[-1].endswith(" ours.")
    out = StringIO()
    call_command("check_login_urls", "--state", "guarded", "--state", "exempt", stdout=out)
    assert len(out.getvalue().splitlines()) == 4


def test_the_walk_sees_the_urls_as_django_resolves_them(settings):
    settings.ROOT_URLCONF = "tests.login.enforcement.urls"
    every = {match.route: match.view_name for match in guarded_urls.matches()}
    for url in ("/help/start/", "/help/7/", "/help/old-7/", "/admin/auth/group/", "/verify/enroll/sms/", "/hall/"):
        match = resolve(url)
        assert every[match.route] == match.view_name
