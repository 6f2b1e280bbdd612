"""Staff who act as users, with the packages as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import checks
from django.test import Client

from django_twilio_verify.login import ended_sessions
from django_twilio_verify.models import AuditEvent, ConsentEvent, Factor
from django_twilio_verify.testing import outbox
from tests.support.basics import OTHER_PHONE, make_factor, make_user, sign_in
from tests.support.login import prove
from tests.support.pages import form

pytestmark = pytest.mark.django_db

ENGINES = ["db", "cached_db", "cache", "file", "signed_cookies"]
CLOSED = [
    "/verify/",
    "/verify/enroll/",
    "/verify/enroll/sms/",
    "/verify/consents/",
    "/verify/recovery-codes/",
    "/verify/step-up/",
]


class Package:
    """How a package is used. ``steps``: announces itself to us and signs in anew."""

    def __init__(self, name: str, begin: Callable[[Any], tuple[str, dict[str, str]]], end: tuple[str, str]) -> None:
        self.name, self._begin, self._end = name, begin, end

    def begin(self, browser: Client, user: Any) -> Any:
        where, values = self._begin(user)
        return browser.get(where) if self.name == "impersonate" else browser.post(where, values)

    def end(self, browser: Client) -> Any:
        method, where = self._end
        return getattr(browser, method)(where)


HIJACK = Package("hijack", lambda user: ("/hijack/acquire/", {"user_pk": str(user.pk)}), ("post", "/hijack/release/"))
LOGINAS = Package("loginas", lambda user: (f"/loginas/login/user/{user.pk}/", {}), ("get", "/loginas/logout/"))
SU = Package("su", lambda user: (f"/su/{user.pk}/", {}), ("get", "/su/"))
IMPERSONATE = Package("impersonate", lambda user: (f"/impersonate/{user.pk}/", {}), ("get", "/impersonate/stop/"))
ALL = [HIJACK, LOGINAS, SU, IMPERSONATE]
SIGN_IN = ALL[:3]
"""Those that sign in as the user."""


@pytest.fixture
def sue() -> Any:
    user = make_user("sue", is_staff=True, is_superuser=True)
    make_factor(user, OTHER_PHONE)
    return user


@pytest.fixture
def bob() -> Any:
    return make_user("bob")


@pytest.fixture(params=ENGINES)
def engine(request: Any, settings: Any, tmp_path: Any) -> str:
    settings.SESSION_FILE_PATH = str(tmp_path)
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    return str(request.param)


def verified() -> Client:
    browser = Client()
    sign_in(browser, "sue")
    prove(browser)
    return browser


def where(browser: Client) -> dict[str, Any]:
    found: dict[str, Any] = browser.get("/where/").json()
    return found


@pytest.mark.parametrize("has_factor", [True, False], ids=["factor", "no factor"])
@pytest.mark.parametrize("package", ALL, ids=lambda one: one.name)
def test_there_and_back(sue: Any, bob: Any, engine: str, package: Package, has_factor: bool) -> None:
    if has_factor:
        make_factor(bob)
    browser = verified()
    sent, consents = len(outbox), ConsentEvent.objects.count()
    package.begin(browser, bob)
    assert where(browser) == {"user": "bob", "verified": False, "impersonated": True, "by": str(sue.pk)}
    for page in CLOSED:
        assert browser.get(page).status_code == browser.post(page, form()).status_code == 403, page
    assert browser.get("/account/").content == b"account of bob"
    package.end(browser)
    assert where(browser) == {"user": "sue", "verified": True, "impersonated": False, "by": None}
    assert browser.get("/verify/").status_code == 200
    assert len(outbox) == sent and ConsentEvent.objects.count() == consents
    assert not Factor.objects.filter(user=bob).exclude(recipient_value="+15017122661").exists()
    kinds = [(one.kind, one.actor_label) for one in AuditEvent.objects.order_by("pk")]
    assert kinds == ([] if package is IMPERSONATE else [("acted_as", "sue"), ("acting_over", "sue")])


@pytest.mark.parametrize("package", SIGN_IN, ids=lambda one: one.name)
def test_a_password_is_not_enough(bob: Any, package: Package) -> None:
    make_user("sue", is_staff=True, is_superuser=True)
    browser = Client()
    sign_in(browser, "sue")
    assert package.begin(browser, bob).status_code in (302, 403)
    assert where(browser)["user"] == "sue" and not AuditEvent.objects.exists()


@pytest.mark.parametrize("package", SIGN_IN, ids=lambda one: one.name)
def test_a_user_cannot(bob: Any, package: Package) -> None:
    make_factor(bob)
    eve = make_user("eve")
    browser = Client()
    sign_in(browser, "bob")
    prove(browser)
    package.begin(browser, eve)
    assert where(browser)["user"] == "bob"


@pytest.mark.parametrize("package", SIGN_IN, ids=lambda one: one.name)
def test_not_one_within_another(sue: Any, package: Package) -> None:
    chief, eve = make_user("chief", is_staff=True, is_superuser=True), make_user("eve")
    browser = verified()
    package.begin(browser, chief)
    package.begin(browser, eve)
    assert where(browser)["user"] == "chief"
    package.end(browser)
    assert where(browser)["user"] == "sue" and where(browser)["verified"]


@pytest.mark.parametrize("package", SIGN_IN, ids=lambda one: one.name)
def test_an_end_of_the_staff_members_sessions_ends_it(sue: Any, bob: Any, engine: str, package: Package) -> None:
    browser = verified()
    package.begin(browser, bob)
    ended_sessions.end_after_reset(None, user=sue)
    package.end(browser)
    assert browser.get("/account/").status_code == 302 and browser.get("/verify/").status_code == 302


@pytest.mark.parametrize("package", SIGN_IN, ids=lambda one: one.name)
def test_the_way_back_without_reading_the_user_first(sue: Any, bob: Any, package: Package) -> None:
    """In one browser, in two requests and nothing between them."""
    browser = verified()
    package.begin(browser, bob)
    package.end(browser)
    assert where(browser)["user"] == "sue" and where(browser)["verified"]


def test_hijacks_own_view_leaves_the_pages_closed(sue: Any, bob: Any, settings: Any) -> None:
    """A site without the recipe: whom the user's factor is asked of, and what is demanded, is not for staff."""
    settings.TWILIO_VERIFY_REQUIRED_FOR = "tests.login.enforcement.test_impersonation.is_bob"
    browser = verified()
    browser.post("/hijack-stock/acquire/", {"user_pk": str(bob.pk)})
    for page in CLOSED:
        assert browser.get(page).status_code == browser.post(page, form()).status_code == 403, page
    assert not Factor.objects.filter(user=bob).exists()


def test_the_order_of_middleware_is_checked(settings: Any) -> None:
    def said() -> list[str]:
        return [str(one.id) for one in checks.run_checks(tags=["security"]) if one.id == "twilio_verify.W079"]

    assert said() == []
    chain = [one for one in settings.MIDDLEWARE if "Impersonate" not in one]
    settings.MIDDLEWARE = [
        *chain[:5],
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "impersonate.middleware.ImpersonateMiddleware",
        *chain[6:],
    ]
    assert said() == ["twilio_verify.W079"]


def test_a_session_that_waits_acts_as_nobody(sue: Any, bob: Any) -> None:
    waiting = Client()
    sign_in(waiting, "sue")
    store = waiting.session
    store["_impersonate"] = bob.pk
    store.save()
    assert waiting.get("/where/").status_code == 302
    assert waiting.post("/verify/enroll/sms/", form())["Location"].startswith("/verify/challenge/")
