"""An API with the real package: every way of calling it, in every state of the caller."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.signals import user_login_failed
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.contrib.rest_framework.models import ProvedToken, SpentLogin
from django_twilio_verify.contrib.rest_framework.resets import end_tokens
from django_twilio_verify.factors import devices, recovery_codes, resets
from django_twilio_verify.login import ended_sessions
from django_twilio_verify.models import ConsentEvent, Factor
from django_twilio_verify.signals import login_completed, verification_approved
from django_twilio_verify.testing import outbox
from tests.support.basics import (
    EMAIL,
    PASSWORD,
    PHONE,
    code_path,
    last_code,
    make_factor,
    make_user,
    race,
    sign_in,
    wrong_code,
)
from tests.support.devices import World

pytestmark = pytest.mark.django_db
OLD_KEY = "the old secret key of this site"


@pytest.fixture
def api() -> APIClient:
    return APIClient()


def post(api: APIClient, path: str, **body: Any) -> Any:
    return api.post(f"/api/{path}", body, format="json")


def basic(name: str = "ann", password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def password(api: APIClient, name: str = "ann") -> Any:
    return post(api, "login/", username=name, password=PASSWORD)


def begun(api: APIClient) -> tuple[str, str]:
    """Password given and a code sent: the login and the verification."""
    waiting = password(api)
    assert waiting.status_code == 401, waiting.data
    way = waiting.data["ways"][0]
    sent = post(api, "login/start/", login=waiting.data["login"], factor=way["factor"], channel=way["channel"])
    assert sent.status_code == 200, sent.data
    return waiting.data["login"], sent.data["verification"]


def token_of(api: APIClient) -> str:
    login, verification = begun(api)
    passed = post(api, "login/check/", login=login, verification=verification, code=last_code())
    assert passed.status_code == 200, passed.data
    return str(passed.data["token"])


# Who may call


def test_nobody_gets_in_by_password_alone(api: APIClient) -> None:
    """With a factor, none of the doors opens by password: not Basic, not a token of before, not a session."""
    ann = make_user()
    old = Token.objects.create(user=ann)
    assert api.get("/api/orders/", headers={"authorization": basic()}).status_code == 200
    assert api.get("/api/orders/", headers={"authorization": f"Token {old}"}).status_code == 200
    make_factor(ann)
    for header in (basic(), f"Token {old}"):
        refused = api.get("/api/orders/", headers={"authorization": header})
        assert (refused.status_code, refused.data["code"]) == (401, "second_factor_required")
    browser = Client()
    sign_in(browser)
    waiting = browser.get("/api/orders/", headers={"accept": "application/json"})
    assert (waiting.status_code, waiting.json()["code"]) == (401, "second_factor_required")


def test_a_token_by_two_factors(api: APIClient) -> None:
    make_factor(make_user())
    token = token_of(api)
    for path in ("orders", "secrets", "lately"):
        assert api.get(f"/api/{path}/", headers={"authorization": f"Token {token}"}).status_code == 200
    refused = api.get("/api/by-app/", headers={"authorization": f"Token {token}"})
    assert (refused.status_code, refused.data["code"]) == (401, "verification_required")
    assert refused.data["url"] == "/verify/step-up/"
    assert refused.data["channels"] == ["totp", "passkey"]
    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        assert api.get("/api/lately/", headers={"authorization": f"Token {token}"}).status_code == 401
        assert api.get("/api/orders/", headers={"authorization": f"Token {token}"}).status_code == 200


@pytest.mark.parametrize("channel", ["sms", "push"])
@pytest.mark.parametrize("state", ["removed", "lost"])
def test_a_factor_that_is_gone_gives_no_token(api: APIClient, channel: str, state: str) -> None:
    ann, world = make_user(), World("sync", None)
    make_factor(ann, EMAIL, channel="email")
    if channel == "push":
        factor, phone = world.phone(ann)
    else:
        factor = make_factor(ann)
    waiting = password(api).data["login"]
    asked = {"login": waiting, "factor": factor.pk, "channel": channel}
    sent = post(api, "login/start/", **asked)
    assert sent.status_code == 200, sent.data
    answer = {"code": last_code()} if channel == "sms" else {}
    if channel == "push":
        question = phone.pending()[-1]
        answer = {"number": next(one["value"] for one in question["details"]["fields"] if one["label"] == "Number")}
        phone.approve(question["sid"])
    count = len(outbox)
    if state == "removed":
        assert devices.remove(ann, factor.pk)
    else:
        Factor.objects.filter(pk=factor.pk).update(lost_at=timezone.now())
    refused = post(api, "login/check/", login=waiting, verification=sent.data["verification"], **answer)
    assert refused.status_code == 400 and refused.data["code"] in ("factor_gone", "closed"), refused.data
    again = post(api, "login/start/", **asked, resend=True)
    assert again.status_code == 404 and len(outbox) == count
    assert not Token.objects.exists()


def test_a_session_by_two_factors() -> None:
    make_factor(make_user())
    browser = Client()
    sign_in(browser)
    page = code_path(browser.post("/verify/challenge/", {}))
    browser.post(page, {"code": last_code()})
    for path in ("orders", "secrets", "lately"):
        assert browser.get(f"/api/{path}/").status_code == 200
    assert browser.get("/api/by-app/").status_code == 401


def test_verified_is_asked_of_people_without_a_factor_too(api: APIClient) -> None:
    ann = make_user()
    token = Token.objects.create(user=ann)
    for header in (basic(), f"Token {token}"):
        assert api.get("/api/orders/", headers={"authorization": header}).status_code == 200
        assert api.get("/api/secrets/", headers={"authorization": header}).status_code == 401
    assert api.get("/api/secrets/").status_code in (401, 403)


def test_a_session_of_one_person_does_not_speak_for_another(api: APIClient) -> None:
    """Ann's proved session beside Bob's password in one request."""
    make_factor(make_user())
    make_user("bob")
    browser = Client()
    sign_in(browser)
    browser.post(code_path(browser.post("/verify/challenge/", {})), {"code": last_code()})
    header = {"authorization": basic("bob")}
    assert browser.get("/api/orders/", headers=header).json() == {"user": "ann"}  # the session comes first
    assert browser.get("/api/secrets/").status_code == 200
    assert browser.get("/api/by-password/", headers=header).status_code == 401


def test_a_token_replaced_and_removed(api: APIClient) -> None:
    """A token given out for a password alone is not made good by a factor of later."""
    ann = make_user()
    stolen = password(api).data["token"]
    make_factor(ann)
    fresh = token_of(api)
    assert fresh != stolen
    assert api.get("/api/orders/", headers={"authorization": f"Token {stolen}"}).status_code in (401, 403)
    assert token_of(api) == fresh  # a proved one is given out again
    ProvedToken.objects.all().delete()
    assert api.get("/api/orders/", headers={"authorization": f"Token {fresh}"}).status_code == 401


def test_what_a_request_costs(api: APIClient) -> None:
    make_factor(make_user())
    token = token_of(api)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        api.get("/api/orders/", headers={"authorization": f"Token {token}"})
    assert len(asked) == 2, asked.captured_queries  # DRF's own, and ours


# Signing in


def test_without_a_factor(api: APIClient) -> None:
    make_user()
    assert password(api).status_code == 200
    assert not ProvedToken.objects.exists()


def test_who_must_enroll(api: APIClient, settings: Any) -> None:
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    make_user()
    refused = password(api)
    assert (refused.status_code, refused.data["code"]) == (403, "enrollment_required")


def test_time_to_enroll_counts_for_programs_too(api: APIClient, settings: Any) -> None:
    settings.TWILIO_VERIFY_REQUIRED_FOR, settings.TWILIO_VERIFY_GRACE_DAYS = "everyone", 14
    make_user()
    header = {"authorization": f"Token {password(api).data['token']}"}
    assert api.get("/api/orders/", headers=header).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(days=15)):
        refused = api.get("/api/orders/", headers=header)
        assert (refused.status_code, refused.data["code"]) == (401, "enrollment_required")
        assert refused.data["url"] == "/verify/enroll/"
        assert password(api).data["code"] == "enrollment_required"


def test_the_wrong_password_says_nothing(api: APIClient) -> None:
    make_factor(make_user())
    heard: list[Any] = []

    def hear(**kwargs: Any) -> None:
        heard.append(kwargs["credentials"])

    user_login_failed.connect(hear)
    try:
        known = post(api, "login/", username="ann", password="no")
        unknown = post(api, "login/", username="bob", password="no")
    finally:
        user_login_failed.disconnect(hear)
    assert (known.status_code, known.data) == (unknown.status_code, unknown.data) == (400, known.data)
    assert len(heard) == 2


def test_wrong_codes_run_out(api: APIClient) -> None:
    make_factor(make_user())
    login, verification = begun(api)
    right = last_code()
    told = [
        post(api, "login/check/", login=login, verification=verification, code=wrong_code(right)).data["code"]
        for _ in range(5)
    ]
    assert told == ["wrong"] * 4 + ["no_checks_left"]
    late = post(api, "login/check/", login=login, verification=verification, code=right)
    assert (late.status_code, late.data["code"]) == (400, "no_checks_left")
    assert not ProvedToken.objects.exists()


def test_a_login_is_used_once(api: APIClient) -> None:
    make_factor(make_user())
    login, verification = begun(api)
    code = last_code()
    assert post(api, "login/check/", login=login, verification=verification, code=code).status_code == 200
    for body in ({"verification": verification, "code": code}, {"recovery_code": "abcd-efgh-jkmn"}):
        again = post(api, "login/check/", login=login, **body)
        assert (again.status_code, again.data["code"]) == (401, "login_over")


@pytest.mark.parametrize("case", ["forged", "expired", "password changed", "inactive", "deleted"])
def test_a_login_that_is_over(api: APIClient, case: str) -> None:
    ann = make_user()
    make_factor(ann)
    login, verification = begun(api)
    later = timezone.now()
    if case == "forged":
        login = login[:-1] + ("A" if login[-1] != "A" else "B")
    elif case == "expired":
        later += timedelta(seconds=1801)
    elif case == "password changed":
        ann.set_password("another one")
        ann.save()
    elif case == "inactive":
        ann.is_active = False
        ann.save()
    else:
        ann.delete()
    with time_machine.travel(later, tick=False):
        answer = post(api, "login/check/", login=login, verification=verification, code=last_code())
    assert (answer.status_code, answer.data["code"]) == (401, "login_over")


def test_another_ones_factor_verification_and_login(api: APIClient) -> None:
    make_factor(make_user())
    bobs = make_factor(make_user("bob"), "+15017122662")
    login, _ = begun(api)
    assert post(api, "login/start/", login=login, factor=bobs.pk, channel="sms").status_code == 404
    theirs = password(api, "bob").data["login"]
    sent = post(api, "login/start/", login=theirs, factor=bobs.pk, channel="sms").data
    swapped = post(api, "login/check/", login=login, verification=sent["verification"], code=last_code())
    assert (swapped.status_code, swapped.data["code"]) == (404, "verification_not_found")


def test_consent_is_asked_for(api: APIClient) -> None:
    """Without consent on record nothing is sent; the wording comes with the refusal, and its digest goes back."""
    make_factor(make_user(), agreed=False)
    waiting = password(api).data
    body = {"login": waiting["login"], **{name: waiting["ways"][0][name] for name in ("factor", "channel")}}
    refused = post(api, "login/start/", **body)
    assert (refused.status_code, refused.data["code"]) == (403, "consent_required")
    assert "rates may apply" in refused.data["disclosure"]["text"] and not outbox
    stale = post(api, "login/start/", **body, disclosure="0" * 64)
    assert (stale.status_code, stale.data["code"]) == (403, "disclosure_changed") and not outbox
    assert post(api, "login/start/", **body, disclosure=refused.data["disclosure"]["digest"]).status_code == 200
    assert len(outbox) == 1 and ConsentEvent.objects.get().medium == "api"


def test_a_resend_too_early(api: APIClient) -> None:
    make_factor(make_user())
    waiting = password(api).data
    body = {"login": waiting["login"], **{name: waiting["ways"][0][name] for name in ("factor", "channel")}}
    post(api, "login/start/", **body)
    early = post(api, "login/start/", **body, resend=True)
    assert (early.status_code, early.data["code"]) == (429, "cooldown")
    assert 0 < int(early["Retry-After"]) <= 30 and len(outbox) == 1


def test_a_recovery_code(api: APIClient) -> None:
    ann = make_user()
    make_factor(ann)
    code = recovery_codes.issue(ann)[0]
    login = password(api).data["login"]
    heard: list[str] = []

    def hear(**kwargs: Any) -> None:
        heard.append(kwargs["channel"])

    login_completed.connect(hear)
    try:
        assert post(api, "login/check/", login=login, recovery_code="abcd-efgh-jkmn").status_code == 400
        assert post(api, "login/check/", login=login, recovery_code=code).status_code == 200
    finally:
        login_completed.disconnect(hear)
    assert heard == ["recovery"]
    spent = post(api, "login/check/", login=password(api).data["login"], recovery_code=code)
    assert spent.status_code == 400


def test_a_login_leads_to_one_token(api: APIClient) -> None:
    """By whichever factor: a recovery code leaves no verification that would tell that the login is used."""
    ann = make_user()
    make_factor(ann)
    first, second = recovery_codes.issue(ann)[:2]
    login, verification = begun(api)
    assert post(api, "login/check/", login=login, recovery_code=first).status_code == 200
    for answer in (
        {"recovery_code": first},
        {"recovery_code": second},
        {"verification": verification, "code": last_code()},
    ):
        refused = post(api, "login/check/", login=login, **answer)
        assert (refused.status_code, refused.data["code"]) == (401, "login_over"), answer
    fresh = password(api).data["login"]
    assert post(api, "login/check/", login=fresh, recovery_code=second).status_code == 200, "the code was not spent"


class Rival(LocMemBackend):
    """Does somebody else's work while the provider is asked about a code."""

    work: Callable[[], Any] | None = None

    def check(self, *args: Any, **kwargs: Any) -> Any:
        work, Rival.work = Rival.work, None
        if work is not None:
            work()
        return super().check(*args, **kwargs)


@pytest.mark.django_db(transaction=True)
def test_of_two_factors_at_one_instant_one_gets_the_token(api: APIClient, settings: Any) -> None:
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": f"{__name__}.Rival"}}
    ann = make_user()
    make_factor(ann)
    [code, *_] = recovery_codes.issue(ann)
    login, verification = begun(api)
    won: list[int] = []
    Rival.work = lambda: won.append(post(APIClient(), "login/check/", login=login, recovery_code=code).status_code)
    lost = post(api, "login/check/", login=login, verification=verification, code=last_code())
    assert won == [200]
    assert (lost.status_code, lost.data["code"]) == (401, "login_over")


def test_used_logins_are_forgotten_once_they_have_expired(api: APIClient) -> None:
    make_factor(make_user())
    token_of(api)
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        token_of(api)
        assert SpentLogin.objects.count() == 1


@pytest.mark.parametrize(("fallbacks", "status"), [([OLD_KEY], 200), ([], 401)])
def test_a_login_outlives_the_rotation_of_the_secret_key(
    api: APIClient, settings: Any, fallbacks: list[str], status: int
) -> None:
    settings.SECRET_KEY = OLD_KEY
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k1", "an own secret of this site, long enough")]
    make_factor(make_user())
    login, verification = begun(api)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new secret key of this site", fallbacks
    assert post(api, "login/check/", login=login, verification=verification, code=last_code()).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"login": "x"},
        {"login": "x", "verification": "not-a-uuid", "code": "1"},
        {"login": "x", "recovery_code": "a", "code": "1"},
        {"login": "x" * 9000, "recovery_code": "a"},
        {"login": None, "recovery_code": []},
    ],
)
def test_nonsense(api: APIClient, body: dict[str, Any]) -> None:
    assert post(api, "login/check/", **body).status_code in (400, 401)
    assert post(api, "login/start/", **body).status_code in (400, 401)
    assert api.post("/api/login/", b"{", content_type="application/json").status_code == 400
    assert api.get("/api/login/").status_code == 405


def test_answers_are_not_cached(api: APIClient) -> None:
    make_factor(make_user())
    assert password(api)["Cache-Control"] == "no-store, private"


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_twenty_right_codes_give_one_token() -> None:
    make_factor(make_user())
    login, verification = begun(APIClient())
    code = last_code()

    def check(_index: int) -> int:
        answer = post(APIClient(), "login/check/", login=login, verification=verification, code=code)
        return int(answer.status_code)

    statuses = race(20, check)
    assert sorted(map(str, statuses)) == ["200"] + ["401"] * 19
    assert ProvedToken.objects.count() == 1 and len(outbox) == 1 and outbox[0].to == PHONE


# By a device


@pytest.fixture
def world() -> World:
    return World("sync", None)


def asked(api: APIClient, channel: str) -> tuple[str, Any]:
    """Password given and the way of ``channel`` asked: the login, and what came of it."""
    waiting = password(api)
    way = next(one for one in waiting.data["ways"] if one["channel"] == channel)
    begun = post(api, "login/start/", login=waiting.data["login"], factor=way["factor"], channel=channel)
    assert begun.status_code == 200, begun.data
    return waiting.data["login"], begun.data


def opens(api: APIClient, answer: Any, channel: str) -> None:
    assert answer.status_code == 200, answer.data
    header = {"authorization": f"Token {answer.data['token']}"}
    assert api.get("/api/secrets/", headers=header).status_code == 200
    assert ProvedToken.objects.get().channel == channel


@pytest.fixture
def failures() -> Any:
    heard: list[str] = []

    def hear(**kwargs: Any) -> None:
        heard.append(kwargs["credentials"]["username"])

    user_login_failed.connect(hear)
    yield heard
    user_login_failed.disconnect(hear)


def test_by_an_authenticator_app(api: APIClient, world: World, failures: list[str]) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        _, app = world.totp(make_user())
        login, begun = asked(api, "totp")
        check = {"login": login, "verification": begun["verification"]}
        wrong = post(api, "login/check/", **check, code=wrong_code(app.code()))
        assert (wrong.status_code, wrong.data["code"]) == (400, "wrong") and failures == ["ann"]
        opens(api, post(api, "login/check/", **check, code=app.code()), "totp")
        assert api.get("/api/by-app/", headers={"authorization": f"Token {Token.objects.get()}"}).status_code == 200
        assert post(api, "login/check/", **check, code=app.code()).data["code"] == "login_over"
        login, begun = asked(api, "totp")
        again = post(api, "login/check/", login=login, verification=begun["verification"], code=app.code())
        assert (again.status_code, again.data["code"]) == (400, "replayed") and failures == ["ann"] * 2


def test_by_a_phone(api: APIClient, world: World, failures: list[str]) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        _, phone = world.phone(make_user())
        login, begun = asked(api, "push")
        assert begun["needs_number"]
        check = {"login": login, "verification": begun["verification"]}
        waits = post(api, "login/check/", **check)
        assert (waits.status_code, waits.data["code"]) == (202, "waiting")
        [question] = phone.pending()
        number = next(one["value"] for one in question["details"]["fields"] if one["label"] == "Number")
        assert post(api, "login/check/", **check, number=number).status_code == 202
        phone.approve(question["sid"])
        clock.shift(5)
        opens(api, post(api, "login/check/", **check), "push")
        assert failures == []


@pytest.mark.parametrize("answer", ["no", "wrong number"])
def test_a_phone_that_does_not_open(api: APIClient, world: World, failures: list[str], answer: str) -> None:
    _, phone = world.phone(make_user())
    login, begun = asked(api, "push")
    [question] = phone.pending()
    number = next(one["value"] for one in question["details"]["fields"] if one["label"] == "Number")
    body = {}
    if answer == "no":
        phone.deny(question["sid"])
    else:
        body = {"number": f"{(int(number) - 9) % 90 + 10}"}
    refused = post(api, "login/check/", login=login, verification=begun["verification"], **body)
    assert (refused.status_code, refused.data["code"]) == (400, "denied" if answer == "no" else "wrong")
    assert failures == ["ann"] and not Token.objects.exists()


def test_by_a_passkey(api: APIClient, world: World, failures: list[str]) -> None:
    _, keys = world.passkey(make_user())
    login, begun = asked(api, "passkey")
    evil = keys.clone()
    evil.origin = "https://evil.test"
    check = {"login": login, "verification": begun["verification"]}
    refused = post(api, "login/check/", **check, credential=evil.get(begun["browser_options"]))
    assert refused.status_code == 400 and failures == ["ann"] and not Token.objects.exists()
    opens(api, post(api, "login/check/", **check, credential=keys.get(begun["browser_options"])), "passkey")


def test_by_any_of_several_passkeys(api: APIClient) -> None:
    world, ann = World("sync", None), make_user()
    _, laptop = world.passkey(ann)
    _, key = world.passkey(ann, name="Key")
    for device in (laptop, key):
        login, begun = asked(api, "passkey")
        check = {"login": login, "verification": begun["verification"]}
        opens(api, post(api, "login/check/", **check, credential=device.get(begun["browser_options"])), "passkey")


def test_wrong_codes_are_failed_logins(api: APIClient, failures: list[str]) -> None:
    ann = make_user()
    make_factor(ann)
    recovery_codes.issue(ann)
    login, verification = begun(api)
    right = last_code()
    check = {"login": login, "verification": verification}
    assert post(api, "login/check/", **check, code="12").status_code == 400 and failures == [], "that is no code"
    post(api, "login/check/", **check, code=wrong_code(right))
    assert failures == ["ann"]
    post(api, "login/check/", login=login, recovery_code="abcd-efgh-jkmn")
    assert failures == ["ann"] * 2
    assert post(api, "login/check/", **check, code=right).status_code == 200 and failures == ["ann"] * 2


def test_tokens_end_with_the_factors_that_a_reset_takes(api: APIClient) -> None:
    ann, ben = make_user(), make_user("ben")
    theirs = Token.objects.create(user=ben)
    make_factor(ann)
    token = token_of(api)
    resets.request(ann, reason="Lost all", actor="sue", at_once=True, link=lambda token: token)
    assert not ProvedToken.objects.exists() and Token.objects.get() == theirs
    assert api.get("/api/orders/", headers={"authorization": f"Token {token}"}).status_code in (401, 403)


def test_a_token_that_was_given_out_for_a_password_is_not_proved_any_more(api: APIClient) -> None:
    """It is one token for a user: given out after a factor, then, with no factor left, for the password alone."""
    ann = make_user()
    factor = make_factor(ann)
    token = token_of(api)
    devices.remove(ann, factor.pk)
    thief = password(APIClient())
    assert thief.status_code == 200
    header = {"authorization": f"Token {thief.data['token']}"}
    assert api.get("/api/orders/", headers=header).status_code == 200
    assert api.get("/api/secrets/", headers=header).status_code == 401
    make_factor(ann)
    assert api.get("/api/orders/", headers=header).status_code == 401
    # The user proves the factor, and gets another token.
    again = token_of(api)
    assert again != thief.data["token"]
    assert api.get("/api/secrets/", headers={"authorization": f"Token {again}"}).status_code == 200
    assert api.get("/api/orders/", headers={"authorization": f"Token {token}"}).status_code in (401, 403)


@pytest.mark.parametrize("policy", ["enrolled", "everyone"])
def test_the_password_of_before_a_reset_opens_nothing(api: APIClient, settings: Any, policy: str) -> None:
    settings.TWILIO_VERIFY_REQUIRED_FOR = policy
    ann = make_user()
    make_factor(ann)
    old = Token.objects.create(user=ann)
    resets.request(ann, reason="Lost all", actor="sue", at_once=True, link=lambda token: token)
    held = password(api)
    assert (held.status_code, held.data["code"]) == (403, "reset_link_required")
    for header in (basic(), f"Token {old}"):
        assert api.get("/api/orders/", headers={"authorization": header}).status_code == 401
    ann.set_password(PASSWORD)  # the same word, by the site's own mailed link: another hash
    ann.save()
    assert password(api).status_code == (200 if policy == "enrolled" else 403)


def test_a_proof_is_not_younger_for_a_clock_that_was_put_back(api: APIClient) -> None:
    make_factor(make_user())
    header = {"authorization": f"Token {token_of(api)}"}
    for seconds, status in ((30, 200), (90, 401)):
        ProvedToken.objects.update(proved_at=timezone.now() + timedelta(seconds=seconds))
        assert api.get("/api/lately/", headers=header).status_code == status


def test_a_token_that_a_reset_overtakes_is_given_to_nobody(api: APIClient) -> None:
    """The reset comes after the factor was judged: its list of tokens is made before this one is."""
    ann = make_user()
    make_factor(ann)
    login, verification = begun(api)

    def reset(**kwargs: Any) -> None:
        ended_sessions.end_after_reset(None, user=ann)
        end_tokens(None, user=ann)

    verification_approved.connect(reset)
    try:
        answer = post(api, "login/check/", login=login, verification=verification, code=last_code())
    finally:
        verification_approved.disconnect(reset)
    assert (answer.status_code, answer.data["code"]) == (401, "login_over")
    assert not Token.objects.exists() and not ProvedToken.objects.exists()


def test_a_login_that_waits_ends_with_all_others(api: APIClient) -> None:
    ann = make_user()
    make_factor(ann)
    login, verification = begun(api)
    ended_sessions.end_after_reset(None, user=ann)
    answer = post(api, "login/check/", login=login, verification=verification, code=last_code())
    assert (answer.status_code, answer.data["code"]) == (401, "login_over")
    assert not Token.objects.exists()


@pytest.mark.parametrize("flag", ["hijack_history", "exit_users_pk", "loginas_from_user"])
def test_who_acts_as_the_user_is_not_sent_to_step_up(client: Client, flag: str) -> None:
    make_user()
    sign_in(client)
    session = client.session
    session[flag] = ["1"]
    session.save()
    answer = client.get("/api/secrets/")
    assert (answer.status_code, answer.json()["code"]) == (403, "own_session_required")
