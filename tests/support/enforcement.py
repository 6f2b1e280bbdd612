"""Every login view in every state: how it is reached, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.test import AsyncClient, Client
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from tests.support.basics import PASSWORD, code_path, last_code, make_factor, make_user


class ByHeader(RemoteUserMiddleware):
    """The proxy signs in; by a header that both stacks know."""

    header = "HTTP_X_USER"


class Browser:
    """A browser in front of one of the two stacks."""

    def __init__(self, stack: str) -> None:
        self.stack = stack
        self.client: Any = Client() if stack == "WSGI" else AsyncClient()
        self.headers: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> Any:
        return self._do("get", path, headers=self.headers | headers)

    def post(self, path: str, data: dict[str, str] | None = None) -> Any:
        return self._do("post", path, data or {}, headers=self.headers)

    def _do(self, method: str, *args: Any, **kwargs: Any) -> Any:
        ask = getattr(self.client, method)
        return ask(*args, **kwargs) if self.stack == "WSGI" else async_to_sync(ask)(*args, **kwargs)


def by_form(path: str, **more: str) -> Callable[[Browser, User, Any], None]:
    def sign_in(browser: Browser, user: User, settings: Any) -> None:
        answer = browser.post(path, {"username": user.username, "password": PASSWORD, **more})
        assert answer.status_code in (200, 302)

    return sign_in


def by_reset(browser: Browser, user: User, settings: Any) -> None:
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    form = browser.get(f"/reset/{uid}/{default_token_generator.make_token(user)}/")
    done = browser.post(form["Location"], {"new_password1": "a new one 77", "new_password2": "a new one 77"})
    assert done.status_code == 302


def by_proxy(browser: Browser, user: User, settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
    middleware = list(settings.MIDDLEWARE)
    after = middleware.index("django.contrib.auth.middleware.AuthenticationMiddleware") + 1
    settings.MIDDLEWARE = [*middleware[:after], f"{__name__}.ByHeader", *middleware[after:]]
    if not browser.headers:  # a client keeps the middleware that it began with
        browser.client = Client() if browser.stack == "WSGI" else AsyncClient()
    # The second: on ASGI, Django 5.2 puts "HTTP_" before the name of the header once more.
    browser.headers = {"X-User": user.username, "Http-X-User": user.username}
    browser.get("/public/")  # the first request of all is the sign-in


DOORS: dict[str, Callable[[Browser, User, Any], None]] = {
    "`LoginView`": by_form("/login/"),
    "admin login": by_form("/admin/login/?next=/account/"),
    "bare `login()`": by_form("/bare-login/"),
    "`alogin()`": by_form("/async-login/"),
    "password reset that signs in": by_reset,
    "`RemoteUserMiddleware`": by_proxy,
    "remember me": by_form("/remember/", after="2592000"),
}


# ---- States.


def prove(browser: Browser, **more: str) -> None:
    sent = browser.post("/verify/challenge/", more)
    assert browser.post(code_path(sent), {"code": last_code(), **more}).status_code == 302


STATES: dict[str, dict[str, Any]] = {
    "no factor, none demanded": {},
    "no factor, demanded": {"policy": "everyone"},
    "the same, time to enroll": {"policy": "everyone", "grace": 14},
    "factor owed": {"factor": True},
    "factor passed": {"factor": True, "passed": True},
    "passed long ago": {"factor": True, "passed": True, "minutes": 30},
    "trusted browser": {"factor": True, "passed": True, "trusted": True},
}
EXPECTED = {
    "no factor, none demanded": "opens; 200",
    "no factor, demanded": "to enroll; 401",
    "the same, time to enroll": "told once, opens; 200",
    "factor owed": "to the challenge; 401",
    "factor passed": "opens; 200",
    "passed long ago": "opens, step-up asks; 200",
    "trusted browser": "opens, step-up asks; 200",
}


def page_of(browser: Browser) -> str:
    """What a person gets who wants a page that needs a sign-in."""
    answer = browser.get("/account/")
    if answer.status_code == 200:
        return "opens"
    if answer["Location"].startswith("/verify/grace/"):
        done = browser.post("/verify/grace/", {"later": "1", "next": "/account/"})
        assert done["Location"] == "/account/"
        return f"told once, {page_of(browser)}"
    assert answer["Location"].startswith("/verify/challenge/?next=%2Faccount%2F"), answer["Location"]
    page = browser.get(answer["Location"])
    if page.status_code == 302:
        assert page["Location"].startswith("/verify/enroll/?next=%2Faccount%2F")
        page = browser.get(page["Location"])
        assert page.status_code == 200
        return "to enroll"
    assert page.status_code == 200
    return "to the challenge"


def answer_of(browser: Browser, *, has_factor: bool) -> str:
    """What a person, a program and a view that wants a fresh proof get."""
    page = page_of(browser)
    programs = {browser.get(path, Accept="application/json").status_code for path in ("/account/", "/awhoami/")}
    assert len(programs) == 1
    proof = browser.get("/fresh/", Accept="application/json")
    if has_factor and proof.status_code == 200 and not proof.json()["fresh"]:
        page += ", step-up asks"
    return f"{page}; {programs.pop()}"


def nobody_sees_more(browser: Browser, answer: str) -> None:
    """Views, sync and async, see the person exactly where the page opens; also without our own cookie."""
    seen = set()
    for path in ("/whoami/", "/awhoami/"):
        other = Browser(browser.stack)
        other.headers = browser.headers
        other.client.cookies["sessionid"] = browser.client.cookies["sessionid"].value
        seen.add(other.get(path).json()["user"])
    assert seen == ({"ann"} if "opens" in answer else {""})


def reach(door: str, state: str, browser: Browser, settings: Any) -> None:
    wanted = STATES[state]
    settings.TWILIO_VERIFY_REQUIRED_FOR = wanted.get("policy", "enrolled")
    settings.TWILIO_VERIFY_GRACE_DAYS = wanted.get("grace", 0)
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30 if wanted.get("trusted") else 0
    ann = make_user("ann", is_staff=True)
    if wanted.get("factor"):
        make_factor(ann)
    DOORS[door](browser, ann, settings)
    if wanted.get("passed"):
        browser.get("/account/")
        prove(browser, **({"trust": "yes"} if wanted.get("trusted") else {}))
    if wanted.get("trusted"):
        for name in ("sessionid", "twilio_verify_pending"):
            browser.client.cookies.pop(name, None)
        DOORS[door](browser, User.objects.get(pk=ann.pk), settings)
