"""Sessions in every state that ``login`` may meet, of a user with a verification under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model, login
from django.http import HttpRequest
from django.test import Client

from django_twilio_verify import factors, verifications
from django_twilio_verify.login import sign_out_everywhere
from django_twilio_verify.login.impersonation import act_as
from django_twilio_verify.testing import age_verification, skip_cooldown
from tests.support.basics import OTHER_PHONE, agree, last_code, make_client, make_factor, make_user, sign_in
from tests.support.own_site import OwnSite

REQUEST = object()
"""Among arguments: the request."""
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


@dataclass
class Situation:
    """A browser in some state.

    Attributes:
        site: The site's own views.
        browser: The one that asks.
        settings: Django's, as the fixture gives them.
        user: Ann, whose account it is about.
        verification: What functions are called with: Ann's own, under way, where the state allows one.
        option: One of the ways to challenge her.
        code: What is typed.
        state: Which of ``STATES`` it is, for tests that ask.
        seen_as: Before each call, the site's own middleware sets ``request.user`` to this user.
    """

    site: OwnSite
    browser: Client
    settings: Any
    user: Any
    verification: Any = None
    option: str = ""
    code: str = "123456"
    seen_as: Any = None
    state: str = ""

    def call(self, name: str, *args: Any, **named: Any) -> Any:
        """What ``login.<name>`` gives, in one request."""

        def work(verbs: Any, request: HttpRequest) -> Any:
            if self.seen_as is not None:
                request.user = self.seen_as
            told = {key: request if one is REQUEST else one for key, one in named.items()}
            return getattr(verbs, name)(*[request if one is REQUEST else one for one in args], **told)

        return self.site.do(self.browser, work)

    def begin(self) -> None:
        """A challenge by text message."""
        self.option = f"{factors.list_factors(self.user)[0].pk}.sms"
        self.verification = self.call("challenge", REQUEST, self.option).verification
        self.code = last_code()


def visitor(at: Situation) -> None:
    """Nobody is signed in. The verification is a visitor's own."""
    make_factor(at.user)
    client = make_client("elsewhere")
    agree(OTHER_PHONE, client=client)
    at.verification = verifications.start(recipient=OTHER_PHONE, channel="sms", client=client).verification


def pending(at: Situation) -> None:
    make_factor(at.user)
    sign_in(at.browser)
    at.begin()


def pending_without_factor(at: Situation) -> None:
    at.settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    sign_in(at.browser)


def signed_in(at: Situation) -> None:
    """Without a second factor, of whom none is demanded."""
    sign_in(at.browser)


def verified(at: Situation) -> None:
    make_factor(at.user)
    sign_in(at.browser)
    at.call("check_recovery_code", REQUEST, factors.create_recovery_codes(at.user)[0])
    at.begin()


def trusted_browser(at: Situation) -> None:
    at.settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    pending(at)
    at.call("check", REQUEST, at.verification, code=at.code, trust_browser=True)
    at.browser.cookies.pop("sessionid")
    sign_in(at.browser)
    skip_cooldown(at.user)
    at.begin()


def in_grace(at: Situation) -> None:
    at.settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    at.settings.TWILIO_VERIFY_GRACE_DAYS = 14
    sign_in(at.browser)


def impersonated(at: Situation) -> None:
    """Staff, verified, acts as Ann."""
    make_factor(at.user)
    staff = make_user("staff", is_staff=True, is_superuser=True)
    make_factor(staff, OTHER_PHONE)
    sign_in(at.browser, "staff")
    at.call("check_recovery_code", REQUEST, factors.create_recovery_codes(staff)[0])
    at.site.do(at.browser, _act(at))


def _act(at: Situation) -> Callable[[Any, HttpRequest], Any]:
    def act(request: HttpRequest) -> None:
        act_as(request, at.user)
        login(request, at.user, backend=MODEL_BACKEND)

    return lambda verbs, request: (sync_to_async(act) if at.site.is_async else act)(request)


def named_by_a_token(at: Situation) -> None:
    """No session; the site's own middleware says who it is."""
    make_factor(at.user)
    at.seen_as = at.user


def token_in_anothers_session(at: Situation) -> None:
    """Bob is signed in and verified; a token names Ann."""
    make_factor(at.user)
    bob = make_user("bob")
    make_factor(bob, OTHER_PHONE)
    sign_in(at.browser, "bob")
    at.call("check_recovery_code", REQUEST, factors.create_recovery_codes(bob)[0])
    at.seen_as = at.user


def ended_elsewhere(at: Situation) -> None:
    """Somebody else pressed "sign out everywhere" while the login was pending."""
    pending(at)
    sign_out_everywhere(at.user)


def ended_elsewhere_verified(at: Situation) -> None:
    verified(at)
    sign_out_everywhere(at.user)


def password_changed(at: Situation) -> None:
    pending(at)
    at.user.set_password("another one")
    at.user.save()


def password_changed_verified(at: Situation) -> None:
    verified(at)
    at.user.set_password("another one")
    at.user.save()


def deactivated(at: Situation) -> None:
    pending(at)
    get_user_model().objects.filter(pk=at.user.pk).update(is_active=False)


def deactivated_verified(at: Situation) -> None:
    verified(at)
    get_user_model().objects.filter(pk=at.user.pk).update(is_active=False)


def waited_too_long(at: Situation) -> None:
    pending(at)
    session = at.browser.session
    session["_twilio_verify_pending"] = {**session["_twilio_verify_pending"], "since": 0}
    session.save()


def verified_long_ago(at: Situation) -> None:
    verified(at)
    age_verification(at.browser, timedelta(hours=2))


STATES: dict[str, Callable[[Situation], None]] = {
    "visitor": visitor,
    "pending": pending,
    "pending, no factor": pending_without_factor,
    "waited too long": waited_too_long,
    "signed in": signed_in,
    "in grace": in_grace,
    "verified": verified,
    "verified long ago": verified_long_ago,
    "trusted browser": trusted_browser,
    "impersonated": impersonated,
    "token": named_by_a_token,
    "token in another's session": token_in_anothers_session,
    "pending, ended elsewhere": ended_elsewhere,
    "verified, ended elsewhere": ended_elsewhere_verified,
    "pending, password changed": password_changed,
    "verified, password changed": password_changed_verified,
    "pending, deactivated": deactivated,
    "verified, deactivated": deactivated_verified,
}
