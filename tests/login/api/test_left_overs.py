"""An approval that nobody has used yet, in the hands of somebody for whom it was not made."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_twilio_verify import login, verifications
from django_twilio_verify.client import client_from
from django_twilio_verify.exceptions import VerificationNotFound
from django_twilio_verify.models import TrustedBrowser
from tests.support.basics import last_code, make_factor, make_user, sign_in
from tests.support.challenges import Holder
from tests.support.devices import World
from tests.support.own_site import OwnSite, user_of

pytestmark = pytest.mark.django_db


def approved_and_unused(browser: Client, verification: Any, **answer: Any) -> None:
    """Approved in the session of ``browser`` and not redeemed, as by the script of our push page."""

    def work(verbs: Any, request: Any) -> Any:
        user = User.objects.get(pk=verification.user_id)
        return verifications.check(verification, client=client_from(request), user=user, **answer)

    assert OwnSite(False).do(browser, work).approved


@pytest.mark.parametrize("engine", ["db", "cache", "signed_cookies"])
def test_signing_out_everywhere_ends_it(client: Client, settings: Any, engine: str) -> None:
    """Whoever has the password types it again in the session that was ended, and has to pass a factor again."""
    settings.ROOT_URLCONF = "tests.support.own_site"
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    site, ann = OwnSite(False), make_user()
    make_factor(ann)
    sign_in(client)
    verification = site.challenge(client, site.challenge_options(client)[0]).verification
    approved_and_unused(client, verification, code=last_code())
    login.sign_out_everywhere(ann)
    client.cookies.pop("twilio_verify_pending", None)
    sign_in(client)
    with pytest.raises(VerificationNotFound):
        site.check(client, verification, code="000000")
    assert user_of(client) == ""


@pytest.mark.parametrize("how", ["waiting", "new password"])
def test_a_passkey_of_a_pending_login_signs_in_nobody_else(site: OwnSite, client: Client, how: str) -> None:
    """A challenge that was begun for a user is a second factor: it is no login by passkey alone."""
    holder = Holder(make_user(), World("sync", None), client)
    holder.hold("passkey")
    sign_in(client)
    started = site.challenge(client, site.challenge_options(client)[0])
    credential = holder.keys.get(started.browser_options)
    approved_and_unused(client, started.verification, credential=credential)
    if how == "new password":
        holder.user.set_password("another one")
        holder.user.save()
    checked = site.finish_passkey_login(client, started.verification, credential=credential)
    assert not checked.approved and user_of(client) == ""


def test_what_a_site_posts_with_a_passkey_trusts_no_browser(site: OwnSite, client: Client, settings: Any) -> None:
    """The field may be of the site's own: nobody has asked for trust by ``login.finish_passkey_login``."""
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    holder = Holder(make_user(), World("sync", None), client)
    holder.hold("passkey")
    started = site.begin_passkey_login(client)
    site.posted = {"trust": "yes"}
    credential = holder.keys.get(started.browser_options)
    assert site.finish_passkey_login(client, started.verification, credential=credential).approved
    assert not TrustedBrowser.objects.exists() and "twilio_verify_browser" not in site.response.cookies
