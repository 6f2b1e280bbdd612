"""Acting as another user: the pages that consent, enroll or change factors are closed, and nothing is verified."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model, login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.urls import include, path, reverse

from django_twilio_verify import signals, urls
from django_twilio_verify.decorators import verification_required
from django_twilio_verify.factors import resets
from django_twilio_verify.login import begin_payment, decision_cache, ended_sessions, impersonation, own_session
from django_twilio_verify.models import AuditEvent, ConsentEvent, Factor, RecoveryCode, Verification
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import Payment
from tests.support.basics import OTHER_PHONE, all_permissions, code_path, last_code, make_factor, make_user, sign_in
from tests.support.everywhere import AT_ONCE, SOON, use
from tests.support.login import prove
from tests.support.pages import form
from tests.support.rewind import undone

pytestmark = pytest.mark.django_db

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
WALL = "django_twilio_verify.middleware.TwoFactorMiddleware"


class ActingMiddleware:
    """As django-impersonate: whom the session says the user acts as becomes ``request.user``."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "_acts_as" in request.session and request.user.is_authenticated:
            request.user = get_user_model().objects.get(pk=request.session["_acts_as"])
        response: HttpResponse = self.get_response(request)
        return response


def pretend(request: HttpRequest) -> HttpResponse:
    request.session["_acts_as"] = get_user_model().objects.get(username=request.POST["username"]).pk
    return HttpResponse("acting")


def switch(request: HttpRequest) -> HttpResponse:
    """As hijack, loginas and su, announced."""
    user = get_user_model().objects.get(username=request.POST["username"])
    impersonation.act_as(request, user)
    login(request, user, backend=MODEL_BACKEND)
    return HttpResponse("acting")


def switch_silently(request: HttpRequest) -> HttpResponse:
    """The same, of a site that does not know of us; it leaves the packages' flags in the session."""
    flag = request.POST["flag"]
    before = [request.session[SESSION_KEY]]
    user = get_user_model().objects.get(username=request.POST["username"])
    login(request, user, backend=MODEL_BACKEND)
    request.session[flag] = before
    return HttpResponse("acting")


def announce(request: HttpRequest) -> HttpResponse:
    impersonation.act_as(request, get_user_model().objects.get(username=request.POST["username"]))
    return HttpResponse("announced")


def where(request: HttpRequest) -> JsonResponse:
    told = request.twilio_verify  # type: ignore[attr-defined]
    return JsonResponse(
        {
            "user": request.user.get_username(),
            "verified": told.is_verified,
            "impersonated": told.is_impersonated,
            "by": told.impersonator_id,
            "label": impersonation.actor_label(request),
        }
    )


@verification_required
def guarded(request: HttpRequest) -> HttpResponse:
    return HttpResponse("guarded")


@verification_required
async def aguarded(request: HttpRequest) -> HttpResponse:
    return HttpResponse("guarded")


def pay(request: HttpRequest) -> HttpResponse:
    return begin_payment(request, Payment("1 EUR", "Acme"), next="/")


def own_consent(request: HttpRequest) -> HttpResponse:
    own_session.must_be_own_session(request)
    return HttpResponse("agreed")


urlpatterns = [
    path("pretend/", pretend),
    path("switch/", switch),
    path("switch-silently/", switch_silently),
    path("announce/", announce),
    path("where/", where),
    path("guarded/", guarded),
    path("aguarded/", aguarded),
    path("pay/", pay),
    path("own-consent/", own_consent),
    path("", include("tests.factors.changes.urls")),
]


@pytest.fixture(autouse=True)
def site(more_doors: None, settings: Any, tmp_path: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.SESSION_FILE_PATH = str(tmp_path)
    chain = list(settings.MIDDLEWARE)
    chain.insert(chain.index(WALL) + 1, f"{__name__}.ActingMiddleware")
    settings.MIDDLEWARE = chain
    decision_cache._noted.clear()


@pytest.fixture(params=[*AT_ONCE, *SOON])
def engine(request: Any, settings: Any) -> str:
    return use(request.param, settings)


@pytest.fixture
def staff() -> Any:
    user = make_user("sue", is_staff=True)
    make_factor(user, OTHER_PHONE)
    return user


@pytest.fixture
def bob() -> Any:
    return make_user("bob")


def verified_staff() -> Client:
    browser = Client()
    sign_in(browser, "sue")
    prove(browser)
    return browser


def pretending() -> Client:
    browser = verified_staff()
    browser.post("/pretend/", {"username": "bob"})
    return browser


def switched() -> Client:
    browser = verified_staff()
    assert browser.post("/switch/", {"username": "bob"}).status_code == 200
    return browser


def silent(flag: str) -> Callable[[], Client]:
    def begin() -> Client:
        browser = verified_staff()
        browser.post("/switch-silently/", {"username": "bob", "flag": flag})
        return browser

    begin.__name__ = flag
    return begin


STATES = [pretending, switched, *map(silent, ("hijack_history", "exit_users_pk", "loginas_from_user"))]

# Every page of ours


OPEN = {"webhook", "factor_webhook", "cancel"}
"""What knows no user: the provider's own calls. And what signs out."""
VALUES: dict[str, Any] = {
    "verification": uuid.uuid4(),
    "factor": 1,
    "browser": 1,
    "event": 1,
    "channel": "sms",
    "key": "k",
    "token": "t",
    "purpose": "login",
}


def addresses() -> list[tuple[str, str]]:
    """Name and address of every page: a new one is among them by itself, and a new kind of argument fails here."""
    found = []
    for pattern in urls.urlpatterns:
        names = pattern.pattern.converters
        found.append(
            (
                pattern.name,
                reverse(
                    f"twilio_verify:{pattern.name}",
                    kwargs={one: VALUES[one] for one in names},
                    urlconf="tests.support.site.urls",
                ),
            )
        )
    return found


@pytest.mark.parametrize("program", [True, False], ids=["json", "page"])
@pytest.mark.parametrize("has_factor", [True, False], ids=["factor", "no factor"])
@pytest.mark.parametrize("begin", STATES, ids=lambda one: one.__name__)
def test_no_page_acts_for_another_user(
    staff: Any, bob: Any, begin: Callable[[], Client], has_factor: bool, program: bool, settings: Any
) -> None:
    settings.TWILIO_VERIFY_REQUIRED_FOR = "tests.login.enforcement.test_impersonation.is_bob"
    if has_factor:
        make_factor(bob)
    browser = begin()
    before = (ConsentEvent.objects.count(), Verification.objects.count(), len(outbox), Factor.objects.count())
    headers = {"Accept": "application/json"} if program else {}
    for name, address in addresses():
        if name in OPEN:
            continue
        for method in ("get", "post"):
            values = {**form(), "number": "+15017122663", "code": "123456"} if method == "post" else {}
            answer = getattr(browser, method)(address, values, headers=headers)
            assert answer.status_code == 403, (name, method, answer.status_code)
            if program:
                assert answer.json()["code"] == "own_session_required"
    after = (ConsentEvent.objects.count(), Verification.objects.count(), len(outbox), Factor.objects.count())
    assert before == after and not RecoveryCode.objects.exists()


def is_bob(user: Any, request: HttpRequest) -> bool:
    return bool(user.get_username() == "bob")


def test_the_own_session_opens_them_all(bob: Any, client: Client) -> None:
    """So that the table above cannot be green for another reason."""
    make_factor(bob)
    sign_in(client, "bob")
    prove(client)
    refused = {name for name, address in addresses() if name not in OPEN and client.get(address).status_code == 403}
    assert refused == set()
    assert {name for name, _ in addresses()} >= OPEN


@pytest.mark.parametrize("begin", STATES, ids=lambda one: one.__name__)
def test_step_up_and_pages_of_the_site_refuse_too(
    staff: Any, bob: Any, begin: Callable[[], Client], subtests: Any
) -> None:
    browser = begin()
    for page in ("/guarded/", "/aguarded/", "/pay/", "/own-consent/"):
        with subtests.test(page), undone(browser):
            assert browser.get(page).status_code == 403
            if "guarded" in page:
                answer = browser.get(page, headers={"Accept": "application/json"})
                assert (answer.status_code, answer.json()["code"]) == (403, "own_session_required")
                other = AsyncClient()
                other.cookies = browser.cookies
                assert async_to_sync(other.get)(page).status_code == 403


# What act_as makes of a session


def test_the_users_factor_is_not_asked_and_nothing_is_verified(staff: Any, bob: Any, engine: str) -> None:
    make_factor(bob)
    sent = len(outbox)
    browser = switched()
    found = browser.get("/where/").json()
    assert found == {
        "user": "bob",
        "verified": False,
        "impersonated": True,
        "by": str(staff.pk),
        "label": f"user {staff.pk} as bob",
    }
    assert browser.get("/account/").content == b"account of bob" and len(outbox) == sent + 1  # sue's own code
    assert browser.get("/verify/challenge/").status_code == 403


def test_release_returns_to_the_verified_session(staff: Any, bob: Any, engine: str) -> None:
    make_factor(bob)
    browser = verified_staff()
    proof = browser.session["_twilio_verify_settled"]
    browser.post("/switch/", {"username": "bob"})
    key = browser.cookies["sessionid"].value
    assert browser.post("/switch/", {"username": "sue"}).status_code == 200
    found = browser.get("/where/").json()
    assert (found["user"], found["verified"], found["impersonated"], found["by"]) == ("sue", True, False, None)
    assert browser.session["_twilio_verify_settled"] == proof, "no younger than it is"
    assert browser.cookies["sessionid"].value != key
    assert browser.get("/guarded/").content == b"guarded"
    assert browser.get("/verify/").status_code == 200
    assert "_twilio_verify_impersonation" not in browser.session


def test_the_rotation_of_the_secret_key_ends_no_impersonation(staff: Any, bob: Any, settings: Any) -> None:
    browser = verified_staff()
    browser.post("/switch/", {"username": "bob"})
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key"
    assert browser.get("/where/").json()["by"] is not None
    settings.SECRET_KEY_FALLBACKS = []
    assert browser.get("/where/").json()["user"] in ("", None)


def test_the_records_name_both(staff: Any, bob: Any) -> None:
    told: list[tuple[str, str, str]] = []

    def hear(signal: Any, user: Any, impersonator: Any, request: Any, **kwargs: Any) -> None:
        told.append(("start" if signal is signals.impersonation_started else "end", str(user), str(impersonator)))

    signals.impersonation_started.connect(hear)
    signals.impersonation_ended.connect(hear)
    try:
        browser = switched()
        browser.post("/switch/", {"username": "sue"})
    finally:
        signals.impersonation_started.disconnect(hear)
        signals.impersonation_ended.disconnect(hear)
    assert told == [("start", "bob", "sue"), ("end", "bob", "sue")]
    events = [(one.kind, one.actor_label, json.loads(one.details)) for one in AuditEvent.objects.order_by("pk")]
    both = {"staff": str(staff.pk), "user": str(bob.pk)}
    assert events == [("acted_as", "sue", both), ("acting_over", "sue", both)]


# Who may


def password_only() -> Client:
    browser = Client()
    sign_in(browser, "sue")
    return browser


@pytest.mark.parametrize("page", ["/switch/", "/announce/"])
def test_only_a_verified_session_may_begin(bob: Any, page: str) -> None:
    make_user("sue", is_staff=True)
    browser = password_only()
    assert browser.get("/where/").json()["user"] == "sue"
    assert browser.post(page, {"username": "bob"}).status_code == 403
    assert browser.get("/where/").json()["user"] == "sue"
    assert Client().post(page, {"username": "bob"}).status_code == 403
    assert not AuditEvent.objects.exists()


def test_a_trusted_browser_is_not_enough(staff: Any, bob: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    browser = Client()
    sign_in(browser, "sue")
    browser.post(code_path(browser.post("/verify/challenge/")), {"code": last_code(), "trust": "yes"})
    browser.post("/logout/")
    sign_in(browser, "sue")
    assert browser.get("/where/").json() == {
        **dict.fromkeys(("verified", "impersonated"), False),
        **dict.fromkeys(("user", "label"), "sue"),
        "by": None,
    }
    assert browser.post("/switch/", {"username": "bob"}).status_code == 403


@pytest.mark.parametrize("begin", STATES, ids=lambda one: one.__name__)
def test_not_one_within_another(staff: Any, bob: Any, begin: Callable[[], Client]) -> None:
    make_user("eve")
    browser = begin()
    assert browser.post("/switch/", {"username": "eve"}).status_code == 403
    assert browser.get("/where/").json()["user"] == "bob"


def test_an_announcement_is_for_this_user_and_this_request(staff: Any, bob: Any) -> None:
    make_factor(bob)
    browser = verified_staff()
    assert browser.post("/announce/", {"username": "bob"}).status_code == 200
    browser.post("/bare-login/", {"username": "bob"})
    assert browser.get("/verify/challenge/").status_code == 200, "his factor is owed"


def test_a_user_cannot_make_one(staff: Any, bob: Any) -> None:
    """Neither as oneself, nor by what a session holds of another user."""
    browser = verified_staff()
    assert browser.post("/switch/", {"username": "sue"}).status_code == 403
    forged = Client()
    sign_in(forged, "bob")
    session = forged.session
    session["_twilio_verify_impersonation"] = {**_record(browser), "user_id": str(staff.pk)}
    session.save()
    assert forged.get("/where/").json()["impersonated"] is False
    forged.post("/bare-login/", {"username": "sue"})
    assert forged.get("/verify/challenge/").status_code == 200, "her factor is owed"


def _record(browser: Client) -> dict[str, Any]:
    browser.post("/switch/", {"username": "bob"})
    stored: dict[str, Any] = browser.session["_twilio_verify_impersonation"]
    return stored


def test_the_users_own_password_ends_it(staff: Any, bob: Any) -> None:
    make_factor(bob)
    browser = switched()
    sign_in(browser, "bob")
    assert browser.get("/where/").status_code == 302
    assert browser.get("/verify/challenge/").status_code == 200


# What ends it


def deactivated(staff: Any, bob: Any) -> None:
    type(staff).objects.filter(pk=staff.pk).update(is_active=False)


def deleted(staff: Any, bob: Any) -> None:
    staff.delete()


def new_password(staff: Any, bob: Any) -> None:
    staff.set_password("another")
    staff.save()


def signed_out(staff: Any, bob: Any) -> None:
    ended_sessions.end_after_reset(None, user=staff)


def user_signed_out(staff: Any, bob: Any) -> None:
    ended_sessions.end_after_reset(None, user=bob)


def user_deactivated(staff: Any, bob: Any) -> None:
    type(bob).objects.filter(pk=bob.pk).update(is_active=False)


ENDS = [deactivated, deleted, new_password, signed_out, user_signed_out, user_deactivated]


@pytest.mark.parametrize("end", ENDS, ids=lambda one: one.__name__)
def test_it_ends_at_the_next_request(staff: Any, bob: Any, engine: str, end: Callable[[Any, Any], None]) -> None:
    browser = switched()
    assert browser.get("/where/").json()["user"] == "bob"
    end(staff, bob)
    found = browser.get("/where/").json()
    assert (found["user"], found["impersonated"]) == ("", False)
    # Nor is there a way back without the factor.
    assert browser.post("/switch/", {"username": "bob"}).status_code == 403


@pytest.mark.parametrize("end", [new_password, signed_out], ids=lambda one: one.__name__)
def test_what_ends_meanwhile_is_no_way_back(staff: Any, bob: Any, engine: str, end: Callable[[Any, Any], None]) -> None:
    browser = switched()
    end(staff, bob)
    browser.post("/bare-login/", {"username": "sue"})
    assert browser.get("/where/").status_code == 302
    assert SESSION_KEY not in browser.session and HASH_SESSION_KEY not in browser.session


def test_an_end_within_the_request_that_begins_or_ends_it(staff: Any, bob: Any, engine: str) -> None:
    def end(**kwargs: Any) -> None:
        ended_sessions.end_after_reset(None, user=staff)

    for signal, first in ((signals.impersonation_started, "bob"), (signals.impersonation_ended, "sue")):
        browser = verified_staff()
        if signal is signals.impersonation_ended:
            browser.post("/switch/", {"username": "bob"})
        signal.connect(end)
        try:
            assert browser.post("/switch/", {"username": first}).status_code == 400
        finally:
            signal.disconnect(end)
        assert browser.post("/switch/", {"username": "bob"}).status_code in (302, 403)
        browser.cookies.clear()


def test_it_does_not_outlive_the_session_of_the_staff_member(staff: Any, bob: Any, settings: Any) -> None:
    settings.SESSION_COOKIE_AGE = 1000
    browser = switched()
    settings.SESSION_COOKIE_AGE = 1_000_000
    session = browser.session
    record = session["_twilio_verify_impersonation"]
    session["_twilio_verify_impersonation"] = {**record, "expires": record["expires"] - 1001}
    session.save()
    assert browser.get("/where/").json()["user"] == ""


def test_a_device_of_the_sites_own_does_not_verify_it(staff: Any, bob: Any) -> None:
    for begin in (pretending, switched):
        browser = begin()
        browser.post("/own-proof/")
        assert browser.get("/where/").json()["verified"] is False


def test_the_officer_is_named_with_who_is_behind(staff: Any, bob: Any) -> None:
    assert pretending().get("/where/").json()["label"] == f"user {staff.pk} as bob"
    assert silent("hijack_history")().get("/where/").json()["label"] == "impersonator as bob"
    assert verified_staff().get("/where/").json()["label"] == "sue"


def test_the_record_of_a_canceled_reset_names_both() -> None:
    sue, hal, ann = make_user("sue", is_staff=True, is_superuser=True), make_user("hal", is_staff=True), make_user()
    hal.user_permissions.add(*all_permissions().filter(codename__in=("view_factorreset", "reset_factors")))
    make_factor(sue)
    make_factor(ann, OTHER_PHONE)
    reset = resets.request(ann, reason="lost", by=sue, link=lambda token: f"https://shop.example/r/{token}/").reset
    browser = Client()
    sign_in(browser, "sue")
    prove(browser)
    browser.post("/switch/", {"username": "hal"})
    browser.post("/admin/twilio_verify/factorreset/", {"action": "cancel_resets", "_selected_action": [reset.pk]})
    event = AuditEvent.objects.latest("pk")
    assert (event.kind, event.actor_label) == ("reset_halted", f"user {sue.pk} as hal")
