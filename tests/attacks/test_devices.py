"""Devices, fresh proofs, kept forms and resets, by somebody else, in another session, or for something else."""

from __future__ import annotations

import hashlib
import json
import re
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.factors import recovery_codes, resets
from django_twilio_verify.models import Factor, FactorReset, Verification
from django_twilio_verify.testing import outbox
from django_twilio_verify.testing.factor_contract import PARTY
from tests.support.basics import OTHER_PHONE, code_path, last_code, make_factor, make_user, sign_in
from tests.support.challenges import Holder
from tests.support.changes import address
from tests.support.devices import NOON, World
from tests.support.requests import EXTRA
from tests.support.sessions import same_browser

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.login.step_up.urls")]
PLAIN = "application/x-www-form-urlencoded"
EVIL = {"Origin": "https://evil.example", "Referer": "https://evil.example/"}


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def a_site_with_devices(settings):
    settings.TWILIO_VERIFY_PUSH_APP_NAME = "Acme Go"
    simulator = backends["default"].factor_simulator
    before, simulator.passkeys = simulator.passkeys, PARTY
    yield
    simulator.passkeys = before


@pytest.fixture
def ann() -> Holder:
    """With a number; she has yet to sign in."""
    holder = Holder(make_user("ann"), World("sync", None))
    make_factor(holder.user)
    return holder


@pytest.fixture
def eve() -> Holder:
    holder = Holder(make_user("eve"), World("sync", None))
    make_factor(holder.user, OTHER_PHONE)
    return holder


def through(holder: Holder) -> Client:
    """Signed in by a text message."""
    holder.sign_in()
    text = Factor.objects.get(user=holder.user, kind="phone")
    holder.tab.post(code_path(holder.tab.post(f"/verify/challenge/{text.pk}/sms/")), {"code": last_code()})
    assert holder.is_in()
    return holder.tab


def is_fresh(holder: Holder) -> bool:
    return holder.tab.get("/fresh/").status_code == 200


# ------------------------------------------------------------------------------------------------ somebody else's phone


def test_a_request_to_somebody_elses_phone_is_not_there(ann, eve):
    phone = ann.hold("push")
    ann.sign_in()
    page = ann.ask_phone(ann.path(phone))
    ann.say("yes")
    asked = Verification.objects.get(pk=page.split("/")[3])
    pending, visitor = Client(), Client()
    sign_in(pending, "eve")
    visitor.get("/verify/stop/")
    for browser in (visitor, pending, through(eve)):
        for method, path in (("get", page), ("get", page + "status/"), ("post", page), ("post", page + "remind/")):
            answer = getattr(browser, method)(path, {"number": asked.match_number})
            assert answer.status_code == 404, (method, path)
    now = Verification.objects.get(pk=asked.pk)
    assert (now.status, now.matched_at, now.checks) == ("pending", None, asked.checks)
    assert len(ann.phone.pending()) == 0 and not ann.is_in()
    assert ann.tab.post(page, {"number": asked.match_number}).status_code == 302 and ann.is_in()


@pytest.mark.parametrize("kind", ["push", "silent"])
def test_a_yes_for_one_browser_lets_no_other_one_in(ann, kind):
    """The thief has the password; the owner signs in at the same time and says yes to her own."""
    phone = ann.hold(kind)
    thief = Client()
    ann.sign_in(thief)
    thief.get(ann.path(phone))
    ann.sign_in()
    page = ann.ask_phone(ann.path(phone))
    number = ann.number() if kind == "push" else ""
    ann.say("yes")
    for method, path in (("get", page), ("post", page), ("get", page + "status/")):
        assert getattr(thief, method)(path, {"number": number} if number else {}).status_code == 404
    assert not ann.is_in(thief)
    assert ann.tab.post(page, {"number": number}).status_code == 302 and ann.is_in()
    assert not ann.is_in(thief)


def test_what_one_browser_was_asked_of_a_passkey_is_no_answer_in_another(ann):
    key = ann.hold("passkey")
    thief, path = Client(), ann.path(key)
    ann.sign_in(thief)
    thief.get(path)
    ann.sign_in()
    values = ann.credential(path)
    assert thief.post(path, values).status_code != 302
    assert not ann.is_in(thief)
    own = thief.post("/verify/passkey/options/login/").json()
    assert thief.post(path, {**values, "verification": own["verification"]}).status_code == 200
    assert not ann.is_in(thief)
    # What the thief has shown the provider is used up. Ann's next try is as good as ever.
    assert ann.tab.post(path, values).status_code == 200
    assert ann.use_passkey(path).status_code == 302 and ann.is_in()
    assert not ann.is_in(thief)


# --------------------------------------------------------------------------------------- a proof for something else


@pytest.mark.parametrize("kind", ["push", "silent"])
def test_a_step_up_signs_nobody_in(ann, kind):
    phone = ann.hold(kind)
    tab = through(ann)
    page = ann.ask_phone(ann.path(phone, "/verify/step-up/"))
    number = ann.number() if kind == "push" else ""
    ann.say("yes")
    tab.post("/logout/")
    sign_in(tab)  # in the same browser: a sign-in waits from here on
    tab.get("/verify/challenge/")
    for method in ("get", "post"):
        assert getattr(tab, method)(page, {"number": number}).status_code == 404
    assert not ann.is_in()


@pytest.mark.parametrize("kind", ["push", "silent"])
def test_a_sign_in_by_another_way_leaves_a_yes_that_proves_nothing_later(ann, clock, kind):
    phone = ann.hold(kind)
    ann.sign_in()
    page = ann.ask_phone(ann.path(phone))
    number = ann.number() if kind == "push" else ""
    late = same_browser(ann.tab)
    text = Factor.objects.get(user=ann.user, kind="phone")
    ann.tab.post(code_path(ann.tab.post(f"/verify/challenge/{text.pk}/sms/")), {"code": last_code()})
    assert ann.is_in()
    clock.shift(299)
    ann.say("yes")
    before = ann.tab.session["_twilio_verify_settled"]
    ann.tab.post(page, {"number": number})
    late.post(page, {"number": number})
    assert ann.tab.session["_twilio_verify_settled"] == before, "no fresh proof"
    assert not ann.is_in(late)


def test_a_passkey_that_was_asked_for_one_thing_is_no_answer_to_another(ann, clock):
    key = ann.hold("passkey")
    tab = through(ann)
    clock.shift(3600)
    for_payment = tab.post("/pay/", {"amount": "1 EUR", "payee": "Shop"})["Location"]
    paying = parse_qs(
        urlsplit(re.search(r'data-tv-options="([^"]+)"', _page(tab, ann.path(key, for_payment)))[1]).query
    )
    asked = [
        tab.post(f"/verify/passkey/options/payment/?{urlencode(paying, doseq=True)}").json(),
        tab.post("/verify/passkey/options/").json(),
    ]
    for told in asked:
        credential = json.dumps(ann.keys.get(told["options"]))
        values = {"verification": told["verification"], "credential": credential}
        assert tab.post(ann.path(key, "/verify/step-up/"), values).status_code != 302
        assert not is_fresh(ann)
    told = tab.post("/verify/passkey/options/step_up/").json()
    values = {"verification": told["verification"], "credential": json.dumps(ann.keys.get(told["options"]))}
    visitor = same_browser(tab)
    assert visitor.post("/verify/passkey/", values).status_code != 302, "it names a person, and this asks nobody"
    assert tab.post(ann.path(key, for_payment), values).status_code != 302
    assert tab.get("/paid/").content != b"paid"
    tab.post("/logout/")
    sign_in(tab)
    tab.get(ann.path(key))
    assert tab.post(ann.path(key), values).status_code != 302 and not ann.is_in()


def _page(tab: Client, path: str) -> str:
    return unescape(tab.get(path).content.decode())


def test_what_the_query_allows_is_not_what_the_page_accepts(ann, clock):
    """``/strong/`` takes passkeys and authenticator apps; the visitor rewrites the query."""
    ann.hold("totp")
    codes = recovery_codes.issue(ann.user)
    tab = through(ann)
    page = tab.get("/strong/")["Location"]
    assert parse_qs(urlsplit(page).query)["channels"] == ["passkey,totp"]
    text = Factor.objects.get(user=ann.user, kind="phone")
    for query in ("", "channels=sms", "channels=sms,recovery,totp", "channels=passkey,totp&channels=sms"):
        clock.shift(60)
        sent = tab.post(f"/verify/step-up/{text.pk}/sms/?{query}&next=/strong/")
        tab.post(code_path(sent), {"code": last_code()})
        assert tab.get("/strong/").status_code == 302, query
        tab.post(f"/verify/step-up/recovery/?{query}&next=/strong/", {"code": codes.pop()})
        assert tab.get("/strong/").status_code == 302, query
    assert ann.type_code(ann.path(Factor.objects.get(kind="totp"), "/verify/step-up/")).status_code == 302
    assert tab.get("/strong/").status_code == 200


# ------------------------------------------------------------------------------------------------------ kept forms


@pytest.fixture
def kept(ann, clock) -> tuple[Client, str]:
    """Ann posted a form an hour after her proof: her tab, and where it waits."""
    tab = through(ann)
    clock.shift(3600)
    page = tab.post("/fresh/", "street=hush", content_type=PLAIN)["Location"]
    return tab, parse_qs(urlsplit(page).query)["next"][0]


def test_a_kept_form_goes_on_once(kept):
    tab, page = kept
    late = same_browser(tab)
    assert late.post(page, {"street": "evil"})["Location"] == "/fresh/"
    again = tab.post(page, {"street": "evil"})
    assert again.status_code == 404 and b"hush" not in again.content
    assert tab.get(page).status_code == 404


def test_a_kept_form_is_nobody_elses_whatever_is_changed(kept, ann, eve):
    tab, page = kept
    through(eve)
    other = Client()
    sign_in(other)
    other.post(code_path(other.post("/verify/challenge/")), {"code": last_code()})
    waiting = Client()
    sign_in(waiting)
    for browser in (eve.tab, other, waiting, Client()):
        for method in ("get", "post"):
            answer = getattr(browser, method)(page, {"street": "x", "path": "/logout/", "user_id": str(ann.user.pk)})
            assert answer.status_code in (302, 404) and b"hush" not in answer.content
            assert answer.headers.get("Location", "") != "/fresh/"
    key = page.split("/")[3]
    for forged in (key[:-1], key + "A", key.swapcase(), key[::-1], "0", "_twilio_verify_forms"):
        assert tab.post(f"/verify/resume/{forged}/").status_code == 404
    answer = tab.post(page + "?next=https://evil.example/", {"path": "https://evil.example/", "next": "//evil.example"})
    assert (answer.status_code, answer["Location"]) == (307, "/fresh/")


def test_a_kept_form_does_not_outlive_its_sign_in(kept):
    tab, page = kept
    tab.post("/logout/")
    assert tab.get(page)["Location"].startswith("/login/")
    sign_in(tab)
    tab.post(code_path(tab.post("/verify/challenge/")), {"code": last_code()})
    assert tab.get(page).status_code == tab.post(page).status_code == 404


def test_another_site_cannot_send_a_kept_form(kept):
    tab, page = kept
    strict = Client(enforce_csrf_checks=True)
    strict.cookies.update(tab.cookies)
    assert strict.post(page, headers=EVIL).status_code == 403
    assert tab.get(page).status_code == 200


# ------------------------------------------------------------------------------------- fields that nobody asked for


def test_extra_fields_change_nothing_of_a_factor(ann, eve):
    tab = through(ann)
    own, hers = Factor.objects.get(user=ann.user), Factor.objects.get(user=eve.user)
    extra = {**EXTRA, "user": str(eve.user.pk), "factor": str(hers.pk), "pk": str(hers.pk), "id": str(hers.pk)}
    before = Factor.objects.filter(pk=own.pk).values().get()
    assert tab.post(f"/verify/factors/{own.pk}/rename/", {**extra, "name": "Mine", "label": "x"}).status_code == 302
    assert Factor.objects.filter(pk=own.pk).values().get() == {**before, "label": "Mine"}
    tab.post(f"/verify/factors/{own.pk}/default/", {**extra, "chosen_at": "2020-01-01"})
    assert Factor.objects.filter(pk=own.pk).values().get() == {**before, "label": "Mine", "chosen_at": timezone.now()}
    untouched = {name: value for name, value in extra.items() if name not in ("number", "email")}
    page = code_path(tab.post(f"/verify/factors/{own.pk}/replace/", {**untouched, **address(to="+15017122666")}))
    asked = Verification.objects.filter(purpose="enroll").latest("created_at")
    assert (asked.user, asked.purpose, asked.channel, asked.recipient_value) == (
        ann.user,
        "enroll",
        "sms",
        "+15017122666",
    )
    tab.post(page, {**extra, "code": last_code(), "replaces": str(hers.pk)})
    assert [*Factor.objects.filter(user=ann.user).values_list("recipient_value", flat=True)] == ["+15017122666"]
    assert Factor.objects.get(user=eve.user).recipient_value == OTHER_PHONE


def test_extra_fields_change_nothing_of_a_step_up(ann, eve, clock):
    tab = through(ann)
    clock.shift(3600)
    extra = {**EXTRA, "user": str(eve.user.pk), "channels": "passkey", "max_age": "9"}
    page = code_path(tab.post("/verify/step-up/", extra))
    asked = Verification.objects.filter(purpose="step_up").latest("created_at")
    assert (asked.user, asked.purpose, asked.amount, asked.factor.user) == (ann.user, "step_up", "", ann.user)
    assert not is_fresh(ann)
    tab.post(page, {**extra, "code": last_code()})
    assert is_fresh(ann)
    assert tab.session["_twilio_verify_settled"]["channel"] == "sms"


def test_extra_fields_change_nothing_of_what_is_enrolled(ann, eve):
    tab = through(ann)
    extra = {
        **EXTRA,
        "user": str(eve.user.pk),
        "identity": "x",
        "sid": "YF1",
        "digits": "3",
        "label": "x",
        "kind": "sms",
    }
    shown = unescape(tab.post("/verify/enroll/totp/", {**extra, "name": "App"}).content.decode())
    told = tab.post("/verify/enroll/passkey/options/", {**extra, "name": "Key", "rp": "evil.example"}).json()
    assert told["options"]["rp"]["id"] == PARTY.relying_party_id
    token = tab.post("/verify/access-token/", {**extra, "name": "Phone", "ttl": "300"}).json()
    assert token["expires_in"] == 60
    assert "otpauth://" in shown
    begun = Verification.objects.filter(purpose="enroll")
    assert {*begun.values_list("user", "status")} == {(ann.user.pk, "pending")} and begun.count() == 3
    made = Factor.objects.filter(confirmed_at=None)
    assert {*made.values_list("user", "label", "default_for")} == {
        (ann.user.pk, "App", None),
        (ann.user.pk, "Key", None),
    }
    assert not Factor.objects.filter(user=eve.user).exclude(kind="phone").exists()


# ----------------------------------------------------------------------------------------------------- from elsewhere


@pytest.mark.parametrize(
    "content_type", [PLAIN, "text/plain", "application/json", "multipart/form-data; boundary=x", ""]
)
def test_another_site_gets_no_access_token(ann, content_type):
    tab = through(ann)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies.update(tab.cookies)
    for headers in (EVIL, {"Origin": "null"}, {}):
        answer = strict.generic("POST", "/verify/access-token/", b"{}", content_type=content_type, headers=headers)
        assert answer.status_code == 403 and b"token" not in answer.content.lower().replace(b"csrf token", b"")
    assert not Verification.objects.filter(purpose="enroll").exists()


def test_an_access_token_needs_a_proof_of_now(ann, clock):
    waiting = Client()
    sign_in(waiting)
    assert waiting.post("/verify/access-token/").status_code == 401
    assert Client().post("/verify/access-token/").status_code == 401
    tab = through(ann)
    clock.shift(3600)
    answer = tab.post("/verify/access-token/")
    assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")
    assert not Verification.objects.filter(purpose="enroll").exists()


def test_nobody_is_signed_in_by_the_attackers_passkey(ann, eve):
    """Login CSRF: the attacker's page, or a sibling domain's, posts the attacker's good answer from the victim's
    browser.
    """
    eve.hold("passkey")
    told = eve.tab.post("/verify/passkey/options/").json()
    values = {"verification": told["verification"], "credential": json.dumps(eve.keys.get(told["options"]))}
    strict = Client(enforce_csrf_checks=True)
    strict.get("/verify/passkey/")
    for headers in (EVIL, {}):
        assert strict.post("/verify/passkey/", values, headers=headers).status_code == 403
    fresh, known, victim = Client(), Client(), through(ann)
    known.post("/verify/passkey/options/")  # as if the token of the form could be had
    for browser in (fresh, known, victim):
        browser.post("/verify/passkey/", values)
        assert browser.get("/whoami/").json() == {"user": "ann" if browser is victim else ""}
    assert eve.tab.post("/verify/passkey/", values).status_code == 302 and eve.is_in()


def test_the_link_that_keeps_the_factors_cannot_be_guessed(ann, eve):
    told: list[str] = []
    resets.request(ann.user, reason="Lost it.", actor="cron", link=lambda token: told.append(token) or "https://x/")
    row = FactorReset.objects.get()
    [token] = [one for one in told if hashlib.sha256(one.encode()).hexdigest() == row.cancel_digest]
    near = [token[:-1] + letter for letter in "ABCDEFGHIJ" if letter != token[-1]]
    derived = [hashlib.sha256(token.encode()).hexdigest(), row.cancel_digest, str(row.pk), token[:16], token + "="]
    others = [token.swapcase(), token[::-1], "%", "_", "*", "0", "None", "null", "' OR 1=1--", "\x00", "a" * 3000]
    for guess in (*near, *derived, *others):
        for browser in (Client(), through(eve)) if guess == near[0] else (eve.tab,):
            for method in ("get", "post"):
                assert getattr(browser, method)(f"/verify/reset/{guess}/").status_code == 404, guess
    row.refresh_from_db()
    assert row.canceled_at is None and row.pending_for == ann.user
    assert eve.tab.post("/verify/reset/", {"reset": row.pk, "user": ann.user.pk}).status_code == 302
    assert resets.pending(ann.user) == row
    sent = len(outbox)
    assert Client().head(f"/verify/reset/{token}/").status_code == Client().get(f"/verify/reset/{token}/").status_code
    assert resets.pending(ann.user) == row and len(outbox) == sent, "reading the mail cancels nothing"
    shown = Client().get(f"/verify/reset/{token}/").content.decode()
    assert "ann" not in re.sub(r"<[^>]+>", " ", shown).split() and "2661" not in shown
    Client().post(f"/verify/reset/{token}/")
    assert resets.pending(ann.user) is None
