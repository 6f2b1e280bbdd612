"""Arguments of ``login``, and the requests that it takes."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.test import Client, RequestFactory
from django.utils import timezone

from django_twilio_verify import login
from django_twilio_verify.exceptions import BackendRejected, FactorNotFound, VerificationNotFound
from django_twilio_verify.models import Verification
from django_twilio_verify.testing import last_code, outbox
from django_twilio_verify.verifications import Payment
from tests.login.api.test_states import UNKNOWN, approved
from tests.support.basics import make_factor, make_user, sign_in
from tests.support.challenges import Holder
from tests.support.devices import World
from tests.support.login_states import STATES, Situation
from tests.support.own_site import OwnSite, user_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def pending(site: OwnSite, client: Client, settings: Any) -> Situation:
    at = Situation(site, client, settings, make_user())
    STATES["pending"](at)
    return at


ARGUMENTS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], type[Exception], str]] = {
    "no answer": ("check", (UNKNOWN,), {}, TypeError, "exactly one"),
    "code None": ("check", (UNKNOWN,), {"code": None}, TypeError, "exactly one"),
    "two answers": ("check", (UNKNOWN,), {"code": "1", "number": "1"}, TypeError, "exactly one"),
    "code, a number": ("check", (UNKNOWN,), {"code": 123456}, TypeError, "code must be a text"),
    "number, a number": ("check", (UNKNOWN,), {"number": 12}, TypeError, "number must be a text"),
    "check, no verification": ("check", (None,), {"code": "1"}, TypeError, "verification"),
    "poll, no verification": ("poll", (5,), {}, TypeError, "verification"),
    "resend, no channel": ("resend", (UNKNOWN,), {"channel": "smss"}, ValueError, "smss"),
    "resend, no verification": ("resend", (object(),), {}, TypeError, "verification"),
    "enroll, no verification": ("enroll", (None,), {}, TypeError, "verification"),
    "setup, a number": ("finish_setup", (UNKNOWN,), {"code": 5}, TypeError, "code must be a text"),
    "recovery code None": ("check_recovery_code", (None,), {}, TypeError, "code must be a text"),
    "option, a number": ("challenge", (5,), {}, TypeError, "option"),
    "option, unknown": ("challenge", ("999.sms",), {}, FactorNotFound, ""),
    "option, of no channel": ("challenge", ("1.smss",), {}, FactorNotFound, ""),
    "option, empty": ("challenge", ("",), {}, FactorNotFound, ""),
    "sign_up, nobody": ("sign_up", (None, UNKNOWN), {}, TypeError, "user"),
    "passkey, no id": ("finish_passkey_login", ("x",), {"credential": {}}, VerificationNotFound, ""),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments(pending: Situation, case: str) -> None:
    name, given, named, error, text = ARGUMENTS[case]
    with pytest.raises(error, match=text or None):
        getattr(pending.site, name)(pending.browser, *given, **named)
    row = Verification.objects.get()
    assert (row.status, row.checks) == ("pending", 0) and user_of(pending.browser) == ""


class Wrapped:
    """As REST framework wraps a request."""

    def __init__(self, request: Any) -> None:
        self._request = request


def test_a_wrapped_request(pending: Situation) -> None:
    at = pending

    def call(name: str, *args: Any, **named: Any) -> Any:
        return at.site.do(at.browser, lambda verbs, request: getattr(verbs, name)(Wrapped(request), *args, **named))

    assert call("get_state").status == "second_factor_required"
    assert call("challenge", call("challenge_options")[0]).reused
    assert call("check", at.verification, code=last_code()).approved
    assert user_of(at.browser) == "ann" and call("get_state").status == "verified"


@pytest.mark.parametrize(
    ("name", "args", "named"),
    [
        ("get_state", (), {}),
        ("challenge_options", (), {}),
        ("challenge", ("1.sms",), {}),
        ("check", (UNKNOWN,), {"code": "1"}),
        ("poll", (UNKNOWN,), {}),
        ("cancel", (), {}),
        ("begin_passkey_login", (), {}),
        ("redeem_payment", (Payment("5 EUR", "Acme"),), {}),
    ],
)
def test_a_site_without_the_middleware(name: str, args: Any, named: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="TwoFactorMiddleware"):
        getattr(login, name)(RequestFactory().get("/"), *args, **named)


def test_a_visitors_state_begins_no_session(site: OwnSite, client: Client) -> None:
    carol = make_user("carol")
    assert site.get_state(client).as_dict()["status"] == "visitor"
    assert not site.response.cookies
    assert site.do(client, lambda verbs, request: verbs.is_required(carol, request)) is False
    assert not site.response.cookies


def test_a_push_is_notified_again_three_times(site: OwnSite, client: Client) -> None:
    holder = Holder(make_user(), World("sync", None), client)
    factor = holder.hold("push")
    sign_in(client)
    started = site.challenge(client, f"{factor.pk}.push")
    for _ in range(3):
        again = site.resend(client, started.verification)
        assert again.verification == started.verification and again.needs_number
    with pytest.raises(BackendRejected):
        site.resend(client, started.verification)
    assert len(holder.phone.pending()) == 1 and outbox == []


def test_a_payment_that_was_rolled_back_is_not_paid(client: Client, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.support.own_site"
    site, payment = OwnSite(False), Payment("5 EUR", "Acme")
    at = Situation(site, client, settings, make_user())
    STATES["verified"](at)
    page = site.begin_payment(client, payment, next="/").url
    Verification.objects.update(resend_at=timezone.now())
    client.post(client.post(page)["Location"], {"code": last_code()})

    def fail(verbs: Any, request: Any) -> Any:
        with transaction.atomic():
            redeemed = verbs.redeem_payment(request, payment)
            transaction.set_rollback(True)
        return redeemed

    assert site.do(client, fail).accepted
    assert site.redeem_payment(client, payment).accepted
    assert not site.redeem_payment(client, payment).accepted


def test_what_a_visitor_verified_is_no_second_factor(pending: Situation) -> None:
    verification = approved(pending, "verify", None)
    with pytest.raises(VerificationNotFound):
        pending.site.check(pending.browser, verification, code=last_code())
    assert user_of(pending.browser) == ""


def test_factors_of_others_are_no_options(pending: Situation) -> None:
    bobs = make_factor(make_user("bob"), "+15017122668")
    with pytest.raises(FactorNotFound):
        pending.site.challenge(pending.browser, f"{bobs.pk}.sms")
