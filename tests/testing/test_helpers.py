"""The helpers for sites' tests, on real tables and through the site's own pages."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.utils import timezone

from django_twilio_verify import consent, testing, verifications
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import AttemptStatus, ConsentEventType, Purpose, VerificationStatus
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable, ConsentRequired, RateLimited
from django_twilio_verify.models import (
    ConsentEvent,
    Factor,
    KnownNetwork,
    LimitCounter,
    TrustedBrowser,
    VerificationAttempt,
)
from django_twilio_verify.signals import factor_added, login_completed, step_up_completed
from django_twilio_verify.testing import (
    Authenticator,
    VerifyServer,
    age_verification,
    clear_outbox,
    enroll,
    enroll_totp,
    fail_next,
    get_disclosure_digest,
    grant_consent,
    last_code,
    outbox,
    sign_in,
    skip_cooldown,
)
from django_twilio_verify.verifications import lifecycle
from tests.support.basics import EMAIL, PASSWORD, PHONE, make_client, make_user, one_moment
from tests.support.login import prove

pytestmark = pytest.mark.django_db
NUMBER = "+12025550143"


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.testing.site.urls"


def state(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/state/").json()
    return found


# ---- enroll


def test_enrolling_writes_the_real_records() -> None:
    user = make_user(email=EMAIL)
    factor = enroll(user)
    assert (factor.kind, factor.channel, factor.recipient_value) == ("phone", "sms", NUMBER)
    assert factor.is_default
    assert factor.confirmed_at is not None
    (event,) = ConsentEvent.objects.all()
    assert event.event == ConsentEventType.GRANTED
    (attempt,) = VerificationAttempt.objects.all()
    assert (attempt.status, attempt.consent_event_id) == (AttemptStatus.SENT, event.pk)
    verification = attempt.verification
    assert (verification.status, verification.purpose) == (VerificationStatus.APPROVED, Purpose.ENROLL)
    assert verification.recipient_value == NUMBER


def test_enrolling_leaves_no_message_no_cooldown_and_nothing_counted() -> None:
    user = make_user(email=EMAIL)
    enroll(user)
    assert outbox == []
    assert mail.outbox == []
    assert not LimitCounter.objects.exists()
    lifecycle.start(recipient=NUMBER, channel="sms", user=user, client=make_client(), purpose=Purpose.LOGIN)
    assert [message.to for message in outbox] == [NUMBER]


def test_what_was_counted_before_stays_counted() -> None:
    user = make_user()
    enroll(user)
    lifecycle.start(recipient=NUMBER, channel="sms", user=user, client=make_client(), purpose=Purpose.LOGIN)
    before = set(LimitCounter.objects.values_list("key", "count", "previous", "since"))
    assert before
    enroll(user, recipient="+12025550144")
    grant_consent(user, recipient="+12025550145", channel="call")
    assert set(LimitCounter.objects.values_list("key", "count", "previous", "since")) == before


def test_enrolling_takes_another_number_channel_and_kind() -> None:
    user = make_user(email=EMAIL)
    phone = enroll(user, recipient=PHONE, channel="call")
    assert (phone.recipient_value, phone.channel) == (PHONE, "call")
    email = enroll(user, kind="email")
    assert (email.kind, email.channel, email.recipient_value) == ("email", "email", EMAIL)
    assert enroll(make_user("ben"), kind="email").recipient_value == "user@example.com"
    assert [factor.pk for factor in Factor.objects.confirmed_for(user.pk)] == [phone.pk, email.pk]


def test_enrolling_twice_gives_the_same_factor() -> None:
    user = make_user()
    assert enroll(user).pk == enroll(user).pk
    assert Factor.objects.count() == 1


def test_enrolling_tells_the_sites_receivers() -> None:
    heard: list[Factor] = []

    def hear(factor: Factor, **kwargs: Any) -> None:
        heard.append(factor)

    factor_added.connect(hear)
    try:
        factor = enroll(make_user())
    finally:
        factor_added.disconnect(hear)
    assert heard == [factor]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"kind": "totp"}, "kind='totp'"),
        ({"kind": "phone", "recipient": EMAIL}, f"recipient='{EMAIL}'"),
        ({"kind": "email", "recipient": NUMBER}, f"recipient='{NUMBER}'"),
        ({"channel": "sna"}, "channel='sna'"),
    ],
)
def test_enrolling_refuses_what_does_not_go_together(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(named)):
        enroll(make_user(), **values)
    assert not ConsentEvent.objects.exists()


def test_enrolling_asks_no_provider_and_uses_up_no_planned_failure() -> None:
    user, kept = make_user(), backends["default"]
    fail_next(60410)
    enroll(user)
    assert backends["default"] is kept
    with pytest.raises(BackendRejected):
        lifecycle.start(recipient=NUMBER, channel="sms", user=user, client=make_client(), purpose=Purpose.LOGIN)


def test_enrolling_with_the_real_sdk_sends_no_request(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    user = make_user()
    with VerifyServer() as server:
        settings.TWILIO_VERIFY_BACKENDS = server.setting(timeout=5)
        enroll(user)
        assert server.count("Verifications") == 0
        app = enroll_totp(user)
        browser = Client()
        sign_in(browser, user, verified=False)
        answer_totp(browser, app)
        assert state(browser)["verified"]


def test_enrolling_is_refused_inside_a_transaction_of_the_tests_own() -> None:
    user = make_user()
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        enroll(user)


@pytest.mark.django_db(transaction=True)
def test_helpers_work_where_tests_commit(client: Client) -> None:
    user = make_user()
    enroll(user)
    enroll_totp(user)
    sign_in(client, user)
    assert client.get("/payout/").status_code == 200
    age_verification(client, timedelta(minutes=11))
    assert client.get("/payout/").status_code == 302


# ---- authenticator apps


def answer_totp(browser: Client, app: Authenticator) -> None:
    factor = Factor.objects.get(kind="totp")
    done = browser.post(f"/verify/challenge/{factor.pk}/totp/", {"code": app.code()})
    assert done.status_code == 302, done.content


def test_an_enrolled_app_answers_a_challenge_with_its_present_code(client: Client) -> None:
    user = make_user(email=EMAIL)
    app = enroll_totp(user)
    assert mail.outbox == []
    assert not LimitCounter.objects.exists()
    sign_in(client, user, verified=False)
    answer_totp(client, app)
    assert state(client) == {"user": "ann", "pending": False, "verified": True, "trusted": False}


def test_an_app_stays_when_the_outbox_is_cleared_and_its_code_works_once_more() -> None:
    user = make_user()
    app = enroll_totp(user)
    with one_moment():
        for _ in range(2):
            browser = Client()
            sign_in(browser, user, verified=False)
            answer_totp(browser, app)
            assert state(browser)["verified"]
            Factor.objects.update(used_answers=[])  # as the rollback of a test does
            clear_outbox()


def test_an_app_is_forgotten_on_demand(client: Client) -> None:
    user = make_user()
    app = enroll_totp(user)
    clear_outbox(factors=True)
    sign_in(client, user, verified=False)
    page = client.post(f"/verify/challenge/{Factor.objects.get().pk}/totp/", {"code": app.code()})
    assert page.status_code != 302
    assert not state(client)["verified"]


# ---- consent


def test_granted_consent_lets_a_code_go_out() -> None:
    user = make_user()
    with pytest.raises(ConsentRequired):
        verifications.start(recipient=PHONE, channel="call", user=user, client=make_client())
    event = grant_consent(user, recipient=PHONE, channel="call")
    assert event.is_live
    assert grant_consent(user, recipient=PHONE, channel="call") == event
    verifications.start(recipient=PHONE, channel="call", user=user, client=make_client())
    assert last_code(PHONE) == outbox[0].code


def test_consent_is_refused_where_the_holder_opted_out() -> None:
    consent.opt_out(recipient=PHONE, channel="sms")
    with pytest.raises(ConsentRequired) as refused:
        grant_consent(make_user(), recipient=PHONE, channel="sms")
    assert refused.value.code == "consent_opted_out"


# ---- signing in


def test_signing_in_verifies_the_session(client: Client) -> None:
    user = make_user()
    enroll(user)
    sign_in(client, user)
    assert state(client) == {"user": "ann", "pending": False, "verified": True, "trusted": False}
    assert client.get("/payout/").status_code == 200
    assert outbox == []


@pytest.mark.parametrize("required", ["enrolled", "everyone"])
@pytest.mark.parametrize("grace", [0, 14])
@pytest.mark.parametrize("has_factor", [False, True])
@pytest.mark.parametrize("deferred", [False, True])
def test_signing_in_works_under_any_policy(
    client: Client, settings: Any, required: str, grace: int, has_factor: bool, deferred: bool
) -> None:
    settings.TWILIO_VERIFY_REQUIRED_FOR = required
    settings.TWILIO_VERIFY_GRACE_DAYS = grace
    settings.TWILIO_VERIFY_DEFER_LOGIN_SIGNAL = deferred
    user = make_user()
    if has_factor:
        enroll(user)
    sign_in(client, user)
    assert state(client) == {"user": "ann", "pending": False, "verified": True, "trusted": False}
    assert client.get("/account/").content == b"ann"


@pytest.mark.parametrize(
    "engine",
    [
        "django.contrib.sessions.backends.db",
        "django.contrib.sessions.backends.cache",
        "django.contrib.sessions.backends.cached_db",
        "django.contrib.sessions.backends.signed_cookies",
    ],
)
def test_signing_in_works_with_any_session_engine(client: Client, settings: Any, engine: str) -> None:
    settings.SESSION_ENGINE = engine
    user = make_user()
    enroll(user)
    sign_in(client, user, verified=False)
    assert state(client)["pending"]
    sign_in(client, user)
    assert state(client)["verified"]
    age_verification(client, timedelta(minutes=11))
    assert client.get("/payout/").status_code == 302
    assert state(client)["verified"]


def test_signing_in_says_by_which_channel(client: Client) -> None:
    user = make_user()
    enroll(user)
    sign_in(client, user)
    assert client.get("/keys/").status_code == 302
    sign_in(client, user, channel="totp")
    assert client.get("/keys/").status_code == 200
    with pytest.raises(ValueError, match="smoke"):
        sign_in(client, user, channel="smoke")


def test_signing_in_is_fresh_enough_to_change_factors_also_with_an_old_factor(client: Client) -> None:
    user = make_user()
    long_ago = timezone.now() - timedelta(days=90)
    factor = enroll(user)
    Factor.objects.filter(pk=factor.pk).update(confirmed_at=long_ago, last_used_at=long_ago)
    sign_in(client, user)
    assert client.get("/verify/enroll/totp/").status_code == 200


def test_signing_in_sends_the_signals_of_a_login(client: Client) -> None:
    heard: list[tuple[str, str]] = []

    def hear(user: Any, channel: str, **kwargs: Any) -> None:
        heard.append((user.get_username(), channel))

    login_completed.connect(hear)
    try:
        user = make_user()
        sign_in(client, user)
        enroll(user, channel="call")
        sign_in(Client(), user)
    finally:
        login_completed.disconnect(hear)
    assert heard == [("ann", "sms"), ("ann", "call")]


def test_signing_in_again_makes_the_verification_fresh(client: Client) -> None:
    user = make_user()
    enroll(user)
    sign_in(client, user)
    age_verification(client, timedelta(hours=1))
    assert client.get("/payout/").status_code == 302
    sign_in(client, user)
    assert client.get("/payout/").status_code == 200


def test_signing_in_as_another_user_leaves_nothing_of_the_first(client: Client) -> None:
    for name in ("ann", "ben"):
        user = make_user(name)
        enroll(user)
        sign_in(client, user)
        assert state(client)["user"] == name


def test_signing_in_follows_a_logout(client: Client) -> None:
    user = make_user()
    enroll(user)
    sign_in(client, user)
    client.post("/logout/")
    assert state(client)["user"] == ""
    with pytest.raises(ValueError, match="passed no second factor"):
        age_verification(client, timedelta(minutes=1))
    sign_in(client, user)
    assert client.get("/payout/").status_code == 200


def test_a_pending_login_is_nobody_and_is_led_to_the_challenge(client: Client) -> None:
    user = make_user()
    enroll(user)
    sign_in(client, user, verified=False)
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")
    assert client.get("/public/")["Location"].startswith("/verify/challenge/")
    prove(client)
    assert last_code() == outbox[-1].code
    assert state(client) == {"user": "ann", "pending": False, "verified": True, "trusted": False}


def test_a_pending_login_follows_a_verified_one(client: Client) -> None:
    user = make_user()
    enroll(user)
    sign_in(client, user)
    sign_in(client, user, verified=False)
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")
    sign_in(client, user)
    assert client.get("/account/").status_code == 200


def test_a_user_who_must_enroll_is_pending_too(client: Client, settings: Any) -> None:
    settings.TWILIO_VERIFY_REQUIRED_FOR = ["everyone"]
    sign_in(client, make_user(), verified=False)
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")


@pytest.mark.parametrize("grace", [False, True])
def test_no_pending_login_where_nothing_is_required(client: Client, settings: Any, grace: bool) -> None:
    if grace:
        settings.TWILIO_VERIFY_REQUIRED_FOR, settings.TWILIO_VERIFY_GRACE_DAYS = ["everyone"], 14
    with pytest.raises(ValueError, match="no second factor is required"):
        sign_in(client, make_user(), verified=False)
    assert state(client)["user"] == ""


def test_a_pending_login_has_no_channel(client: Client) -> None:
    user = make_user()
    enroll(user)
    with pytest.raises(ValueError, match="channel: nothing is verified"):
        sign_in(client, user, channel="sms", verified=False)


def test_an_inactive_account_is_refused(client: Client) -> None:
    with pytest.raises(PermissionDenied):
        sign_in(client, make_user(is_active=False))


def test_signing_in_makes_the_network_known(client: Client) -> None:
    sign_in(client, make_user())
    assert KnownNetwork.objects.count() == 1


def test_the_async_client_and_the_twins() -> None:
    user = make_user()

    async def visit() -> list[int]:
        browser = AsyncClient()
        await testing.aenroll(user)
        await testing.agrant_consent(user, recipient=PHONE, channel="sms")
        await testing.aenroll_totp(user)
        await testing.asign_in(browser, user, verified=False)
        statuses = [(await browser.get("/payout/")).status_code]
        await testing.asign_in(browser, user)
        statuses.append((await browser.get("/payout/")).status_code)
        await testing.aage_verification(browser, timedelta(minutes=11))
        statuses.append((await browser.get("/payout/")).status_code)
        await testing.askip_cooldown(user)
        return statuses

    assert async_to_sync(visit)() == [302, 200, 302]


def test_everything_that_queries_has_a_twin() -> None:
    queries = ("age_verification", "enroll", "enroll_totp", "grant_consent", "sign_in", "skip_cooldown")
    assert [name for name in queries if f"a{name}" not in testing.__all__] == []
    assert [name for name in testing.__all__ if not hasattr(testing, name)] == []


# ---- time


def test_a_younger_verification_still_changes_factors(client: Client) -> None:
    user = make_user()
    enroll(user)
    sign_in(client, user)
    age_verification(client, timedelta(minutes=5))
    assert client.get("/payout/").status_code == 200
    assert client.get("/verify/enroll/totp/").status_code == 200
    age_verification(client, timedelta(minutes=6))
    assert client.get("/payout/").status_code == 302


def test_trust_in_a_browser_runs_out(client: Client, settings: Any) -> None:
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 14
    user = make_user()
    enroll(user)
    password = {"username": "ann", "password": PASSWORD}
    client.post("/login/?next=/state/", password)
    sent = client.post("/verify/challenge/", {"trust": "yes"})
    client.post(sent["Location"], {"code": last_code(), "trust": "yes"})
    assert TrustedBrowser.objects.count() == 1
    client.post("/verify/challenge/")
    del client.cookies["sessionid"]
    client.post("/login/?next=/state/", password)
    assert state(client)["trusted"]
    del client.cookies["sessionid"]
    age_verification(client, timedelta(days=14))
    client.post("/login/?next=/state/", password)
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")


def test_only_what_was_verified_gets_older(client: Client) -> None:
    user = make_user()
    with pytest.raises(ValueError, match="passed no second factor"):
        age_verification(client, timedelta(minutes=1))
    client.force_login(user)
    with pytest.raises(ValueError, match="passed no second factor"):
        age_verification(client, timedelta(minutes=1))
    sign_in(client, user)
    with pytest.raises(ValueError, match="negative"):
        age_verification(client, timedelta(minutes=-1))


def test_the_cooldown_of_one_user_is_skipped() -> None:
    ann, ben = make_user(), make_user("ben")
    grant_consent(ann, recipient=PHONE, channel="sms")
    grant_consent(ben, recipient=NUMBER, channel="sms")
    hers = verifications.start(recipient=PHONE, channel="sms", user=ann, client=make_client()).verification
    his = verifications.start(recipient=NUMBER, channel="sms", user=ben, client=make_client("session-2")).verification
    skip_cooldown(ann)
    verifications.resend(hers, client=make_client(), user=ann)
    with pytest.raises(RateLimited):
        verifications.resend(his, client=make_client("session-2"), user=ben)
    skip_cooldown()
    verifications.resend(his, client=make_client("session-2"), user=ben)
    assert [message.to for message in outbox] == [PHONE, NUMBER, PHONE, NUMBER]


# ---- failures


def start(user: Any) -> Any:
    return verifications.start(recipient=PHONE, channel="sms", user=user, client=make_client())


def test_the_next_call_fails_once() -> None:
    user = make_user()
    grant_consent(user, recipient=PHONE, channel="sms")
    fail_next(BackendUnavailable(may_have_been_done=False))
    with pytest.raises(BackendUnavailable):
        start(user)
    assert outbox == []
    start(user)
    assert len(outbox) == 1


def test_a_code_of_twilios_is_understood_as_the_twilio_backend_does() -> None:
    user = make_user()
    grant_consent(user, recipient=PHONE, channel="sms")
    fail_next(60410)
    with pytest.raises(BackendRejected) as refused:
        start(user)
    assert (refused.value.code, refused.value.provider_code) == ("cannot_send", 60410)


def test_a_call_that_was_carried_out_may_fail_all_the_same() -> None:
    user = make_user()
    grant_consent(user, recipient=PHONE, channel="sms")
    fail_next(BackendUnavailable(may_have_been_done=True), carried_out=True)
    assert start(user).delivery_unknown
    assert len(outbox) == 1


def test_failures_are_planned_for_one_backend(settings: Any) -> None:
    locmem = "django_twilio_verify.backends.locmem.LocMemBackend"
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": locmem}, "other": {"BACKEND": locmem}}
    user = make_user()
    grant_consent(user, recipient=PHONE, channel="sms")
    fail_next(60410, backend="other")
    start(user)
    assert len(outbox) == 1


def test_what_cannot_fail_is_refused(settings: Any) -> None:
    with pytest.raises(ValueError, match="error=503"):
        fail_next(503)
    with pytest.raises(TypeError, match="not a str"):
        fail_next("60410")  # type: ignore[arg-type]
    with VerifyServer() as server:
        settings.TWILIO_VERIFY_BACKENDS = server.setting()
        with pytest.raises(TypeError, match="'default' is a TwilioBackend"):
            fail_next(60410)


def test_planned_failures_are_forgotten_with_the_outbox() -> None:
    user = make_user()
    grant_consent(user, recipient=PHONE, channel="sms")
    fail_next(60410)
    clear_outbox()
    start(user)
    assert len(outbox) == 1


# ---- messages and pages


def test_the_last_code_is_that_of_the_recipient() -> None:
    with pytest.raises(AssertionError, match=r"No code was sent to anybody\. Nothing was sent\."):
        last_code()
    user = make_user()
    for number in (PHONE, NUMBER):
        grant_consent(user, recipient=number, channel="sms")
        verifications.start(recipient=number, channel="sms", user=user, client=make_client())
    assert last_code() == last_code(NUMBER) == outbox[1].code
    assert last_code(PHONE) == outbox[0].code
    with pytest.raises(AssertionError) as failed:
        last_code(EMAIL)
    assert outbox[0].code not in str(failed.value)
    assert PHONE in str(failed.value)


def test_a_link_is_no_code() -> None:
    user = make_user()
    grant_consent(user, recipient=PHONE, channel="sna")
    verifications.start(recipient=PHONE, channel="sna", user=user, client=make_client())
    with pytest.raises(AssertionError, match="by sna"):
        last_code()


def test_the_digest_of_a_page_lets_its_form_be_posted(client: Client) -> None:
    user = make_user()
    sign_in(client, user)
    digest = get_disclosure_digest(client.get("/verify/enroll/sms/"))
    form = {"number": PHONE, "country": "", "disclosure": digest, "consent": "on"}
    sent = client.post("/verify/enroll/sms/", form)
    assert sent.status_code == 302, sent.content
    client.post(sent["Location"], {"code": last_code(PHONE)})
    assert Factor.objects.get().recipient_value == PHONE


def test_the_digest_of_a_json_answer_and_of_a_form_with_a_prefix() -> None:
    words = {"options": [{"id": "12.sms", "disclosure": None}, {"id": "12.call", "disclosure": {"digest": "abc"}}]}
    assert get_disclosure_digest(JsonResponse(words)) == "abc"
    page = HttpResponse('<input name="phone-disclosure" value="def"><input name="disclosure" value="ghi">')
    assert get_disclosure_digest(page) == "def"


@pytest.mark.parametrize("answer", [HttpResponse("<p>Nothing</p>"), JsonResponse({"code": "wait"})])
def test_an_answer_without_a_disclosure_has_no_digest(answer: HttpResponse) -> None:
    with pytest.raises(AssertionError, match=r"status 200"):
        get_disclosure_digest(answer)


def test_stepping_up_is_not_taken_for_a_login(client: Client) -> None:
    """Signing in where a session was open already sends both signals, as a login by passkey does."""
    heard: list[str] = []

    def hear(channel: str, **kwargs: Any) -> None:
        heard.append(channel)

    step_up_completed.connect(hear)
    try:
        user = make_user()
        enroll(user)
        sign_in(client, user)
        assert heard == []
    finally:
        step_up_completed.disconnect(hear)
