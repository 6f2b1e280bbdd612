"""Enrolling in views of the site's own, and using each approval once."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from django_twilio_verify import factors, login, signals, verifications
from django_twilio_verify.choices import AuditKind
from django_twilio_verify.client import client_from
from django_twilio_verify.exceptions import VerificationNotFound
from django_twilio_verify.models import AuditEvent, Factor, TrustedBrowser, Verification
from django_twilio_verify.testing import Authenticator, Browser, last_code
from django_twilio_verify.testing.factor_contract import ORIGIN
from django_twilio_verify.verifications import Payment
from tests.login.api.test_states import approved, in_session
from tests.support.basics import (
    OTHER_PHONE,
    PHONE,
    agree,
    make_client,
    make_factor,
    make_user,
    one_moment,
    race,
    sign_in,
)
from tests.support.login_states import MODEL_BACKEND, STATES, Situation
from tests.support.own_site import OwnSite, user_of
from tests.support.races import first
from tests.support.receivers import listening

pytestmark = pytest.mark.django_db

HEARD = [signals.login_completed, signals.step_up_completed, signals.factor_added]


@pytest.fixture
def must_enroll(site: OwnSite, client: Client, settings: Any) -> Situation:
    """Ann's login waits for the factor that she has yet to enroll."""
    at = Situation(site, client, settings, make_user())
    STATES["pending, no factor"](at)
    return at


@pytest.fixture
def verified(site: OwnSite, client: Client, settings: Any) -> Situation:
    at = Situation(site, client, settings, make_user())
    STATES["verified"](at)
    return at


def test_a_number_completes_the_login(must_enroll: Situation) -> None:
    at = must_enroll
    verification = approved(at, "enroll", at.user)
    assert user_of(at.browser) == ""
    with listening(HEARD) as heard:
        enrolled = at.site.enroll(at.browser, verification)
    assert enrolled.created and enrolled.accepted and enrolled.is_first
    assert heard.names == {"factor_added": 1, "login_completed": 1}
    assert user_of(at.browser) == "ann" and at.site.get_state(at.browser).verified_channel == "sms"
    codes = in_session(at, lambda request: factors.create_recovery_codes(at.user))
    assert len(codes) == 10 and factors.count_recovery_codes(at.user) == 10


@pytest.mark.parametrize("kind", ["totp", "passkey"])
def test_a_device_completes_the_login(must_enroll: Situation, kind: str) -> None:
    at = must_enroll
    begin = factors.begin_totp if kind == "totp" else factors.begin_passkey
    setup = in_session(at, lambda request: begin(at.user, client=client_from(request)))
    with listening(HEARD) as heard, one_moment():
        if kind == "totp":
            app = Authenticator.scan(setup.uri)
            wrong = at.site.finish_setup(at.browser, setup.verification, code="000000")
            assert wrong.enrolled is None and wrong.checked.outcome == "wrong" and user_of(at.browser) == ""
            done = at.site.finish_setup(at.browser, setup.verification, code=app.code())
        else:
            credential = Browser(ORIGIN).create(setup.browser_options)
            done = at.site.finish_setup(at.browser, setup.verification, credential=credential)
    assert done.is_first and done.factor == Factor.objects.get() and done.checked.approved
    assert (heard.names["factor_added"], heard.names["login_completed"]) == (1, 1)
    assert user_of(at.browser) == "ann" and at.site.get_state(at.browser).verified_channel == kind


# ---- an approval enrolls once


def test_the_second_call_gives_the_factor_and_uses_nothing(verified: Situation) -> None:
    at = verified
    verification = approved(at, "enroll", at.user)
    first_call = at.site.enroll(at.browser, verification)
    with listening(HEARD) as heard:
        again = at.site.enroll(at.browser, verification)
    assert first_call.accepted and first_call.created
    assert (again.accepted, again.created, again.factor) == (False, False, first_call.factor)
    assert heard.names == {}, "no fresh step-up"


def test_a_replay_refreshes_no_step_up(verified: Situation) -> None:
    at = verified
    verification = approved(at, "enroll", at.user)
    at.site.enroll(at.browser, verification)
    before = at.site.get_state(at.browser).verified_at
    session = at.browser.session
    settled = session["_twilio_verify_settled"]
    session["_twilio_verify_settled"] = {**settled, "at": settled["at"] - 3600}
    session.save()
    at.site.enroll(at.browser, verification)
    assert at.site.get_state(at.browser).verified_at == before - timedelta(hours=1)


@pytest.mark.parametrize("by", ["login", "factors", "factors, replacing"])
def test_what_the_user_removed_is_not_enrolled_again(verified: Situation, by: str) -> None:
    at = verified
    verification = approved(at, "enroll", at.user)
    factor = at.site.enroll(at.browser, verification).factor
    other = factors.list_factors(at.user)[0]
    in_session(at, lambda request: factors.remove(factor, client=client_from(request), request=request))
    replaces = other if by == "factors, replacing" else None
    calls = {
        "login": lambda: at.site.enroll(at.browser, verification),
        "factors": lambda: in_session(
            at, lambda request: factors.enroll(verification, client=client_from(request), replaces=replaces)
        ),
    }
    with pytest.raises(VerificationNotFound):
        calls[by.partition(",")[0]]()
    assert factors.list_factors(at.user) == [other]


def test_an_approval_of_eleven_minutes_ago_enrolls_nothing(verified: Situation) -> None:
    at = verified
    verification = approved(at, "enroll", at.user)
    Verification.objects.filter(pk=verification.pk).update(approved_at=timezone.now() - timedelta(minutes=11))
    with pytest.raises(VerificationNotFound):
        at.site.enroll(at.browser, verification)
    assert Factor.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_calls_at_one_instant_one_makes_the_factor() -> None:
    ann, client = make_user(), make_client()
    agree(user=ann, client=client)
    started = verifications.start(recipient=PHONE, channel="sms", client=client, user=ann, purpose="enroll")
    verifications.check(started.verification, code=last_code(), client=client)
    # In a transaction of its own: in that of the first call it would be undone with it.
    rival = lambda: race(1, lambda _: factors.enroll(started.verification, client=client))[0]  # noqa: E731
    with first("verification", "redeemed_at", rival) as came:
        late = factors.enroll(started.verification, client=client)
    assert came[0].created and came[0].accepted
    assert (late.created, late.accepted, late.factor) == (False, False, came[0].factor)
    assert Factor.objects.count() == 1


@pytest.mark.parametrize("what", ["replacing", "plain"])
def test_enrolling_by_what_another_session_verified(verified: Situation, what: str) -> None:
    at = verified
    client = make_client("elsewhere")
    agree(OTHER_PHONE, user=at.user, client=client)
    started = verifications.start(recipient=OTHER_PHONE, channel="sms", client=client, user=at.user, purpose="enroll")
    verifications.check(started.verification, code=last_code(), client=client)
    replaces = factors.list_factors(at.user)[0] if what == "replacing" else None
    with pytest.raises(VerificationNotFound):
        at.site.enroll(at.browser, started.verification, replaces=replaces)
    assert [one.recipient_value for one in factors.list_factors(at.user)] == [PHONE]


def test_replacing(verified: Situation) -> None:
    at = verified
    old = factors.list_factors(at.user)[0]
    enrolled = at.site.enroll(at.browser, approved(at, "enroll", at.user), replaces=old)
    assert enrolled.created and factors.list_factors(at.user) == [enrolled.factor]


# ---- sign-up, payments, passkeys, the rest


def test_sign_up(site: OwnSite, client: Client, settings: Any) -> None:
    at = Situation(site, client, settings, None)
    verification = approved(at, "verify", None)
    account = get_user_model().objects.create_user("new")
    enrolled = site.sign_up(client, account, verification, backend=MODEL_BACKEND)
    assert enrolled.is_first and user_of(client) == "new" and site.get_state(client).status == "verified"
    with pytest.raises(VerificationNotFound):
        site.sign_up(Client(), get_user_model().objects.create_user("eve"), verification, backend=MODEL_BACKEND)
    with pytest.raises(VerificationNotFound):
        site.sign_up(client, get_user_model().objects.create_user("eve2"), verification, backend=MODEL_BACKEND)
    assert user_of(client) == "new"


def test_sign_up_is_no_second_factor_of_an_account_that_has_one(site: OwnSite, client: Client, settings: Any) -> None:
    ann = make_user()
    make_factor(ann)
    verification = approved(Situation(site, client, settings, None), "verify", None)
    site.sign_up(client, ann, verification, backend=MODEL_BACKEND)
    assert user_of(client) == "" and site.get_state(client).status == "second_factor_required"


def test_a_payment_is_paid_once(verified: Situation) -> None:
    at = verified
    payment = Payment("5 EUR", "Acme")
    answer = at.site.begin_payment(at.browser, payment, next="/account/")
    assert answer.url.startswith("/verify/payment/") and "next=%2Faccount%2F" in answer.url
    assert not at.site.redeem_payment(at.browser, payment).accepted
    Verification.objects.update(resend_at=timezone.now())
    sent = at.browser.post(answer.url)
    assert at.browser.post(sent["Location"], {"code": last_code()}).status_code == 302
    changed = at.site.redeem_payment(at.browser, Payment("6 EUR", "Acme"))
    assert (changed.accepted, changed.problem) == (False, "payment_changed")
    stranger = at.site.redeem_payment(Client(), payment)
    assert (stranger.accepted, stranger.problem) == (False, "not_approved")
    assert at.site.redeem_payment(at.browser, payment).accepted
    again = at.site.redeem_payment(at.browser, payment)
    assert (again.accepted, again.problem) == (False, "used")


@pytest.mark.parametrize("payment", [Payment("", "Acme"), Payment("5 EUR", ""), Payment("5" * 33, "Acme")])
def test_a_payment_that_cannot_be_shown(verified: Situation, payment: Payment) -> None:
    with pytest.raises(ValueError, match="payment has an amount"):
        verified.site.begin_payment(verified.browser, payment, next="/")


def test_the_state_is_read_at_once(site: OwnSite, client: Client, django_assert_num_queries: Any) -> None:
    """Then it makes no query, also in async views, where Django refuses any."""
    make_factor(make_user())
    sign_in(client)

    def read(state: Any) -> Any:
        # On an event loop Django refuses each query by itself.
        with nullcontext() if site.is_async else django_assert_num_queries(0):
            names = [name for name in vars(login.LoginState) if not name.startswith("_")]
            values = {name: getattr(state, name) for name in names}
            return {name: one for name, one in values.items() if not callable(one)}, state.as_dict(), state.is_fresh()

    if site.is_async:

        async def work(verbs: Any, request: Any) -> Any:
            return read(await verbs.get_state(request))
    else:

        def work(verbs: Any, request: Any) -> Any:
            return read(verbs.get_state(request))

    values, told, fresh = site.do(client, work)
    assert values["status"] == told["status"] == "second_factor_required"
    assert [option["channel"] for option in told["options"]] == ["sms", "call", "whatsapp"]
    assert values["pending_user"].username == "ann" and not fresh
    site.check_recovery_code(client, factors.create_recovery_codes(User.objects.get())[0])
    values, told, fresh = site.do(client, work)
    assert (values["status"], told["is_verified"], told["verified_channel"], fresh) == (
        "verified",
        True,
        "recovery",
        True,
    )
    assert "options" not in told and values["acting_user"].username == "ann"


def test_trusted_browsers(site: OwnSite, client: Client, settings: Any) -> None:
    at = Situation(site, client, settings, make_user())
    STATES["trusted browser"](at)
    [one] = site.do(client, lambda verbs, request: verbs.list_trusted_browsers(at.user, request=request))
    assert one.is_current and one.id == TrustedBrowser.objects.get().pk and one.expires_at > timezone.now()
    other = make_user("bob")
    assert site.do(client, lambda verbs, request: verbs.revoke_trusted_browsers(other, browser_id=one.id)) == 0
    assert site.do(client, lambda verbs, request: verbs.revoke_trusted_browsers(at.user, browser_id=one.id)) == 1
    assert site.do(client, lambda verbs, request: verbs.revoke_trusted_browsers(at.user)) == 0
    assert site.do(client, lambda verbs, request: verbs.list_trusted_browsers(at.user, request=request)) == []


def test_sign_out_everywhere_keeps_one(verified: Situation) -> None:
    at, other = verified, Client()
    sign_in(other)
    third = Situation(at.site, Client(), at.settings, at.user)
    sign_in(third.browser)
    third.site.check_recovery_code(third.browser, factors.create_recovery_codes(at.user)[0])
    ended = at.site.do(at.browser, lambda verbs, request: verbs.sign_out_everywhere(at.user, keep=request))
    assert ended == 2
    assert user_of(at.browser) == "ann" and at.site.get_state(at.browser).status == "verified"
    assert at.site.get_state(other).status == at.site.get_state(third.browser).status == "visitor"
    assert at.site.do(other, lambda verbs, request: verbs.sign_out_everywhere(at.user)) == 1
    assert user_of(at.browser) == ""


def test_what_another_app_verified_leaves_an_audit_event(site: OwnSite, client: Client) -> None:
    make_user()
    sign_in(client)
    with listening(HEARD) as heard:
        site.mark_verified_externally(client, channel="passkey", source=" otp_webauthn ")
    event = AuditEvent.objects.get()
    assert event.kind == AuditKind.EXTERNAL
    assert json.loads(event.details) == {"source": "otp_webauthn", "channel": "passkey"}
    assert heard.names == {"step_up_completed": 1}
    assert site.get_state(client).verified_channel == "passkey"
    with pytest.raises(ValueError, match="source"):
        site.mark_verified_externally(client, source=" ")
    with pytest.raises(ValueError, match="smss"):
        site.mark_verified_externally(client, source="x", channel="smss")
    assert AuditEvent.objects.count() == 1
