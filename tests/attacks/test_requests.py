"""Requests that no page of ours makes: forged headers, fields nobody asked for, other methods, junk, floods."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures
from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.models import ConsentEvidence, Factor, RecoveryCode, TrustedBrowser, Verification
from django_twilio_verify.testing import outbox
from tests.support.basics import OTHER_PHONE, PHONE, code_path, last_code, make_factor, make_user, sign_in, wrong_code
from tests.support.pages import form
from tests.support.redirects import paths, stays
from tests.support.requests import EXTRA, UNKNOWN

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann():
    user = make_user()
    make_factor(user)
    return user


@pytest.fixture
def browsers(ann):
    """A visitor, somebody who waits, and somebody who is through."""
    visitor, waiting, member = Client(), Client(), Client()
    visitor.get("/verify/stop/")
    sign_in(waiting)
    sign_in(member)
    member.post(code_path(member.post("/verify/challenge/")), {"code": last_code()})
    outbox.clear()
    return visitor, waiting, member


def stop_form(number: str, **values: str) -> dict[str, str]:
    shown = disclosures.compose_once(Channel.SMS).digest
    return {"number": number, "country": "", "disclosure": shown, "consent": "on", **values}


# --------------------------------------------------------------------------------------------------- forged headers


@pytest.mark.parametrize(
    ("proxies", "header", "expected"),
    [
        (0, "198.51.100.1", "203.0.113.5"),
        (0, "198.51.100.1, 198.51.100.2", "203.0.113.5"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "10.0.0.1, 198.51.100.1", "198.51.100.1"),
        (1, "", "203.0.113.5"),
        (2, "10.0.0.1, 198.51.100.1, 198.51.100.9", "198.51.100.1"),
        (2, "198.51.100.9", "203.0.113.5"),
        (1, "10.0.0.1, <script>", None),
        (1, "10.0.0.1, 198.51.100.1:8080", None),
        (1, "10.0.0.1, ::ffff:198.51.100.1", "198.51.100.1"),
        (1, ", ".join(["10.0.0.1"] * 5000 + ["198.51.100.1"]), "198.51.100.1"),
    ],
)
def test_only_what_the_sites_own_proxies_wrote_is_evidence(settings, proxies, header, expected):
    settings.TWILIO_VERIFY_PROXY_COUNT = proxies
    browser = Client(REMOTE_ADDR="203.0.113.5", headers={"X-Forwarded-For": header, "X-Real-IP": "192.0.2.66"})
    browser.get("/verify/stop/")
    code_path(browser.post("/verify/stop/", stop_form(PHONE)))
    assert ConsentEvidence.objects.get().ip == expected


def test_a_forged_address_does_not_escape_the_limit(settings):
    settings.TWILIO_VERIFY_LIMITS = {"ip_hour": 2}
    answers = []
    for number in range(4):
        browser = Client(headers={"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": f"for=198.51.100.{number}"})
        browser.get("/verify/stop/")
        answers.append(browser.post("/verify/stop/", stop_form(f"+1501712266{number}")).status_code)
    assert answers == [302, 302, 429, 429]


def test_a_forged_host_or_scheme_opens_no_redirect(browsers):
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Server": "evil.example"}
    for browser in browsers:
        for path in ("/verify/challenge/", "/verify/enroll/", "/verify/"):
            answer = browser.get(f"{path}?next=https://evil.example/", headers=headers)
            assert stays(answer)
            assert "//evil.example" not in answer.content.decode()


def test_an_unknown_host_is_refused(browsers):
    for browser in browsers:
        assert (
            browser.get("/verify/challenge/?next=//evil.example/", headers={"Host": "evil.example"}).status_code == 400
        )


def test_extra_fields_change_nothing_of_a_sign_in(ann, settings):
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 7
    eve = make_user("eve")
    make_factor(eve, OTHER_PHONE)
    browser = Client()
    sign_in(browser)
    extra = {**EXTRA, "user": str(eve.pk), "factor": str(Factor.objects.get(user=eve).pk)}
    page = code_path(browser.post("/verify/challenge/", extra))
    asked = Verification.objects.get()
    assert (asked.user, asked.purpose, asked.channel, asked.recipient_value) == (ann, "login", "sms", PHONE)
    assert (asked.factor.user, asked.amount, asked.payee, asked.backend) == (ann, "", "", "default")
    assert outbox[-1].to == PHONE and outbox[-1].code != "123456"
    assert browser.post(page, {**extra, "code": wrong_code()}).status_code == 200
    assert Verification.objects.get().status == "pending"
    browser.post(page, {**extra, "code": last_code(), "trust": "yes"})
    assert browser.get("/whoami/").json() == {"user": "ann"}
    row = TrustedBrowser.objects.get()
    assert row.user == ann and (row.expires_at - row.created_at).days == 7


def test_extra_fields_change_nothing_of_an_enrollment():
    bob = make_user("bob")
    browser = Client()
    sign_in(browser, "bob")
    extra = {name: value for name, value in EXTRA.items() if name != "number"}
    page = code_path(browser.post("/verify/enroll/sms/", {**extra, **form(number=PHONE)}))
    browser.post(page, {**extra, "code": last_code()})
    factor = Factor.objects.get()
    assert (factor.user, factor.recipient_value, factor.channel, factor.kind) == (bob, PHONE, "sms", "phone")


def test_extra_fields_change_nothing_of_a_payment(browsers):
    member = browsers[2]
    page = member.post("/pay/", {"amount": "49.90 EUR", "payee": "Shop"})["Location"]
    code_path(member.post(page, EXTRA))
    asked = Verification.objects.get(purpose="payment")
    assert (asked.amount, asked.payee, asked.status) == ("49.90 EUR", "Shop", "pending")


def test_extra_fields_do_not_stop_other_peoples_messages(browsers):
    browser = browsers[0]
    page = code_path(browser.post("/verify/stop/", stop_form("+15017122688", recipient=PHONE, channels="email")))
    proved = re.sub("/code/", "/stop/", page)
    browser.post(page, {"code": last_code()})
    answer = browser.post(proved, {"channels": ["email", "sms"], "recipient": PHONE, "number": PHONE})
    assert answer.status_code == 200  # "email" does not lead to a number: nothing is stopped
    browser.post(proved, {"channels": ["sms"], "recipient": PHONE, "number": PHONE})
    stopped = ConsentEvidence.objects.filter(event__event="opted_out").values_list("recipient", flat=True)
    assert {*stopped} == {"+15017122688"}


# ------------------------------------------------------------------------------------------------------ guessing ids


def test_a_verification_of_somebody_else_is_not_there(ann, browsers):
    visitor, _, member = browsers
    owner = Client()
    sign_in(owner)
    page = code_path(owner.post("/verify/challenge/"))
    eve = Client()
    make_factor(make_user("eve"), OTHER_PHONE)
    sign_in(eve, "eve")
    eve.get("/account/")
    proved = page.replace("/code/", "/stop/")
    for browser in (visitor, member, eve):  # member: the same person in another session
        for path in (
            page,
            page + "call/",
            page.replace("/code/", "/link/"),
            page.replace("/code/", "/link/") + "status/",
        ):
            assert browser.get(path).status_code == 404, path
        for path in (page, page + "resend/", page + "call/", proved):
            assert browser.post(path, {"code": last_code()}).status_code == 404, path
    assert Verification.objects.get(pk=page.split("/")[3]).checks == 0
    nobody = Client()
    assert nobody.post(page, {"code": last_code()})["Location"] == "/account/"
    assert nobody.get("/whoami/").json() == {"user": ""}
    assert owner.post(page, {"code": last_code()})["Location"] == "/account/"


# ------------------------------------------------------------------------------------------- methods, headers, junk


def shown(path: str) -> str:
    return path.format(verification=UNKNOWN)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "POST "])
def test_no_other_method_does_anything(browsers, method):
    for path in paths():
        for browser in browsers:
            answer = browser.generic(method, shown(path), "code=123456")
            assert answer.status_code in (302, 404, 405), (path, method, answer.status_code)
    assert outbox == [] and Factor.objects.count() == 1


def test_a_method_in_a_field_or_a_header_is_none(browsers):
    headers = {"X-HTTP-Method-Override": "DELETE"}
    assert browsers[2].post("/verify/browsers/revoke/", {"_method": "DELETE"}, headers=headers).status_code == 302
    assert browsers[2].get("/verify/browsers/revoke/?_method=POST", headers=headers).status_code == 405


def test_head_is_get_without_a_body_and_sends_nothing(browsers):
    for path in paths():
        for browser in browsers:
            got, head = browser.get(shown(path)), browser.head(shown(path))
            assert (head.status_code, head.content) == (got.status_code, b""), path
    assert outbox == []


def test_options_tells_the_methods_and_nothing_else(browsers):
    for path in paths():
        for browser in browsers:
            answer = browser.options(shown(path))
            assert (answer.status_code in (200, 302, 404) and answer.content == b"") or answer.status_code == 404
    assert outbox == []


def test_no_page_is_kept_or_framed_or_tells_where_one_came_from(browsers, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.clickjacking.XFrameOptionsMiddleware"]
    for path in paths():
        for known in browsers:
            browser = Client()
            browser.cookies.update(known.cookies)
            answer = browser.get(shown(path))
            if answer.status_code == 200:
                assert {"no-store", "private"} <= {*answer["Cache-Control"].split(", ")}, path
                assert answer["Referrer-Policy"] == "same-origin"
                assert answer["X-Frame-Options"] == "DENY"
                assert "<script>" not in answer.content.decode() and " style=" not in answer.content.decode()


JUNK = [
    "0",
    "-1",
    "9" * 40,
    "99999999999999999999999",
    "1e5",
    "%00",
    "1%00",
    "%2e%2e%2f",
    "..%2f..%2fetc",
    "\u0661\u0662",  # digits, in Arabic
    "\u202e",
    "'%20OR%201=1--",
    "<script>",
    "{{7*7}}",
    "%F0%9F%92%A9",
    "%ff%fe",
    UNKNOWN.upper(),
    UNKNOWN.replace("-", ""),
    "{" + UNKNOWN + "}",
    "a" * 2000,
]


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: ascii(junk[:20]))
def test_junk_in_an_address_is_not_there(browsers, junk):
    templates = ("consents/{}/stop/", "browsers/{}/revoke/", "challenge/{}/sms/", "challenge/1/{}/", "code/{}/")
    others = ("link/{}/", "link/{}/status/", "stop/{}/", "enroll/{}/", "opt-in/{}/", "handover/{}/", "payment/{}/")
    for template in (*templates, *others, "payment/x/{}/sms/", f"code/{UNKNOWN}/{{}}/"):
        for browser in browsers:
            for method in ("get", "post"):
                answer = getattr(browser, method)("/verify/" + template.format(junk))
                assert answer.status_code in (302, 404, 405), (template, answer.status_code)
    assert outbox == []


@pytest.mark.parametrize("cookie", ["x" * 4000, "\u0000", "../../etc/passwd", "\u00e9", "{}", '"'])
def test_junk_in_the_cookies_is_nobody(ann, cookie):
    for name in ("sessionid", "twilio_verify_pending", "twilio_verify_browser", "csrftoken"):
        browser = Client()
        browser.cookies[name] = cookie
        assert browser.get("/whoami/").status_code in (200, 302)
        assert sign_in(browser).status_code in (302, 403)


@pytest.mark.parametrize(
    "code",
    [
        "\x00",
        "\x00" * 200,
        "\ud83d\udca9",
        "1" * 100_000,
        "\u0661\u0662\u0663\u0664\u0665\u0666",
        "{{code}}",
        " ",
        "\u202e123456",
    ],
)
def test_junk_as_a_code_is_a_wrong_code(ann, code):
    recovery_codes.issue(ann)
    browser = Client()
    sign_in(browser)
    page = code_path(browser.post("/verify/challenge/"))
    text = code.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    for path in (page, "/verify/challenge/recovery/"):
        assert browser.post(path, {"code": text}).status_code == 200
    assert browser.get("/whoami/", headers={"Accept": "application/json"}).status_code == 401
    assert not RecoveryCode.objects.filter(used_at__isnull=False).exists()


def test_an_oversized_body_is_refused_before_anything_is_read(browsers, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 50_000
    many = {f"f{number}": "1" for number in range(1500)}
    assert browsers[2].post("/verify/browsers/revoke/", many).status_code == 400
    for path in paths():
        for browser in browsers:
            answer = browser.post(shown(path), {"code": "1", "next": "x" * 60_000})
            assert answer.status_code in (302, 400, 404, 405), (path, answer.status_code)
    assert outbox == []


def test_a_body_of_another_type_is_no_form(browsers):
    for path in paths():
        for browser in browsers:
            for content_type in (
                "application/json",
                "text/plain",
                "multipart/form-data; boundary=x",
                "application/xml",
            ):
                answer = browser.generic("POST", shown(path), b"\xff\x00{", content_type=content_type)
                assert answer.status_code < 500, (path, content_type)
    assert Factor.objects.count() == 1
