"""The files that pages show run as printed, on a site of their own."""

from __future__ import annotations

import json
import re
import sys
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core import mail
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.urls import include, path
from django.utils import timezone

from django_twilio_verify import consent, factors, login, signals, verifications
from django_twilio_verify.client import Client as Asker
from django_twilio_verify.client import client_from
from django_twilio_verify.models import Factor
from django_twilio_verify.testing import (
    age_verification,
    enroll,
    grant_consent,
    last_code,
    outbox,
    sign_in,
)
from tests.docs.public import blocks
from tests.docs.test_docs import DOCS

PHONE = "+12025550143"
TITLE = re.compile(r"# (bazaar/\w+\.py)\n")

pytestmark = pytest.mark.django_db


def shown_files() -> dict[str, str]:
    """Every block of a page that says which file of the site ``bazaar`` it is."""
    found: dict[str, str] = {}
    for page in sorted(DOCS.rglob("*.md")):
        for block in blocks(page):
            if title := TITLE.match(block):
                assert title[1] not in found, f"{title[1]} is shown twice"
                found[title[1]] = block
    return found


FILES = shown_files()
NUMBERS = count()


class Site:
    """The site ``bazaar``: the files of the pages, and modules of its own that those import."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.package = self.add("bazaar")
        self.package.__path__ = []

    def add(self, name: str, **values: Any) -> ModuleType:
        module = ModuleType(name)
        module.__dict__.update(values)
        self._monkeypatch.setitem(sys.modules, name, module)
        if "." in name:
            setattr(self.package, name.rpartition(".")[2], module)
        return module

    def load(self, file: str) -> Any:
        """Run a file as its page prints it."""
        module = self.add(file.removesuffix(".py").replace("/", "."))
        exec(compile(FILES[file], file, "exec"), module.__dict__)  # noqa: S102  # our own docs
        return module

    def serve(self, settings: Any, *patterns: Any) -> None:
        """Serve ``patterns`` beside the app's own pages."""
        # Of a name of its own: what Django resolved is kept by the name of the URLconf, for all tests.
        urls = self.add(f"bazaar.urls_{next(NUMBERS)}")
        urls.__dict__["urlpatterns"] = [path("verify/", include("django_twilio_verify.urls")), *patterns]
        settings.ROOT_URLCONF = urls.__name__


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(monkeypatch)


@pytest.fixture
def ann() -> User:
    return User.objects.create_user("ann", "ann@bazaar.example")


def post(client: Client, url: str, **body: Any) -> Any:
    return client.post(url, json.dumps(body), content_type="application/json")


def test_each_file_of_the_pages_has_a_test() -> None:
    tested = {*re.findall(r"bazaar/\w+\.py", Path(__file__).read_text(encoding="utf-8"))}
    assert {*FILES} == tested


@pytest.fixture
def api(site: Site, settings: Any, client: Client, ann: User) -> Client:
    """A client of the JSON login, of a user who has a phone and whose login is pending."""
    site.load("bazaar/api.py")
    site.serve(settings, *site.load("bazaar/urls.py").urlpatterns)
    enroll(ann, recipient=PHONE)
    sign_in(client, ann, verified=False)
    return client


def test_the_json_login(api: Client, ann: User) -> None:
    [option, *_] = post(api, "/api/second-factor/options/").json()["options"]
    started = post(api, "/api/second-factor/start/", option=option["id"])
    assert started.status_code == 200
    pk = started.json()["verification"]
    assert post(api, "/api/second-factor/resend/", verification=pk).status_code == 429
    wrong = post(api, "/api/second-factor/check/", verification=pk, code="000000")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "wrong")
    right = post(api, "/api/second-factor/check/", verification=pk, code=last_code(PHONE))
    assert (right.status_code, right.json()["code"]) == (200, "approved")
    assert api.session["_auth_user_id"] == str(ann.pk)
    assert post(Client(), "/api/second-factor/options/").status_code == 401


def test_the_json_login_asks_for_consent_to_another_channel(api: Client, ann: User) -> None:
    options = post(api, "/api/second-factor/options/").json()["options"]
    [call] = [option for option in options if option["channel"] == "call"]
    assert call["needs_consent"]
    refused = post(api, "/api/second-factor/start/", option=call["id"])
    assert (refused.status_code, refused.json()["code"]) == (403, "consent_required")
    assert outbox == []
    digest = call["disclosure"]["digest"]
    assert post(api, "/api/second-factor/start/", option=call["id"], disclosure=digest).status_code == 200
    assert [message.channel for message in outbox] == ["call"]
    assert post(api, "/api/second-factor/start/", option="0.sms").status_code == 404


def test_the_json_login_by_a_recovery_code(api: Client, ann: User) -> None:
    [code, *_] = factors.create_recovery_codes(ann)
    assert post(api, "/api/recovery/", code="aaaa-aaaa-aaaa-aaaa").status_code == 400
    assert post(api, "/api/recovery/", code=code).status_code == 200
    assert api.session["_auth_user_id"] == str(ann.pk)


def test_an_async_view_checks_a_code(site: Site, settings: Any) -> None:
    downloads = site.load("bazaar/downloads.py")

    def begin(request: HttpRequest) -> HttpResponse:
        asker = client_from(request)
        grant_for(asker)
        return HttpResponse(str(verifications.start(recipient=PHONE, channel="sms", client=asker).verification.pk))

    site.serve(settings, path("begin/", begin), path("download/<pk>/", downloads.download))

    async def visit() -> list[Any]:
        browser = AsyncClient()
        pk = (await browser.get("/begin/")).content.decode()
        wrong = await browser.post(f"/download/{pk}/", {"code": "000000"})
        right = await browser.post(f"/download/{pk}/", {"code": last_code(PHONE)})
        again = await browser.post(f"/download/{pk}/", {"code": last_code(PHONE)})
        stranger = await AsyncClient().post(f"/download/{pk}/", {"code": last_code(PHONE)})
        return [wrong.status_code, right.status_code, again.status_code, stranger.status_code]

    assert async_to_sync(visit)() == [400, 200, 200, 404]


def grant_for(asker: Asker) -> None:
    consent.grant(recipient=PHONE, channel="sms", client=asker, disclosure=consent.get_disclosure("sms"))


@pytest.fixture
def paid() -> list[str]:
    """The amounts that the site has charged."""
    return []


@pytest.fixture
def shop(site: Site, settings: Any, client: Client, ann: User, paid: list[str]) -> Client:
    def cart_total(request: HttpRequest) -> str:
        return str(request.GET.get("total", "39.00 EUR"))

    site.add("bazaar.cart", cart_total=cart_total, pay=lambda request: paid.append(cart_total(request)))
    views, own = site.load("bazaar/views.py"), site.load("bazaar/own_pages.py")

    def show(request: HttpRequest) -> HttpResponse:
        request.session["shown"] = cart_total(request)
        return HttpResponse()

    site.serve(
        settings,
        path("checkout/", views.checkout),
        path("paid/", views.paid, name="paid"),
        path("show/", show),
        path("ask/", own.ask),
        path("confirm/<pk>/", own.confirm),
    )
    enroll(ann, recipient=PHONE)
    sign_in(client, ann)
    return client


def test_a_payment_on_the_apps_pages(shop: Client, paid: list[str]) -> None:
    assert shop.get("/paid/").status_code == 409
    page = shop.get("/checkout/", follow=True)
    sent = shop.post(page.redirect_chain[-1][0], follow=True)
    code = shop.post(sent.redirect_chain[-1][0], {"code": last_code(PHONE)}, follow=True)
    assert code.content == b"paid"
    assert paid == ["39.00 EUR"]
    assert shop.get("/paid/").status_code == 409


def test_a_payment_by_code_of_ones_own(shop: Client, paid: list[str]) -> None:
    shop.get("/show/")
    pk = shop.get("/ask/").content.decode()
    assert shop.post(f"/confirm/{pk}/", {"code": "000000"}).status_code == 400
    assert shop.post(f"/confirm/{pk}/?total=390.00 EUR", {"code": last_code(PHONE)}).status_code == 409
    assert paid == []


def test_a_payment_is_made_once(shop: Client, paid: list[str]) -> None:
    shop.get("/show/")
    pk = shop.get("/ask/").content.decode()
    assert shop.post(f"/confirm/{pk}/", {"code": last_code(PHONE)}).content == b"paid"
    assert shop.post(f"/confirm/{pk}/", {"code": last_code(PHONE)}).status_code == 400
    assert paid == ["39.00 EUR"]


def test_a_policy(site: Site, settings: Any, client: Client, ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = site.load("bazaar/rules.py")
    wanting: set[int] = set()
    organizations = property(
        lambda user: SimpleNamespace(filter=lambda wants_2fa: SimpleNamespace(exists=lambda: user.pk in wanting))
    )
    monkeypatch.setattr(User, "organizations", organizations, raising=False)
    settings.TWILIO_VERIFY_REQUIRED_FOR = ["staff", "bazaar.rules.organization_requires"]
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = "bazaar.rules.trusted_browser_days"

    def asked(request: HttpRequest) -> JsonResponse:
        answers = [login.is_required(ann, request), rules.trusted_browser_days(ann, request)]
        return JsonResponse(answers, safe=False)

    site.serve(settings, path("payout/", rules.payout), path("asked/", asked))
    assert client.get("/asked/").json() == [False, 14]
    wanting.add(ann.pk)
    assert client.get("/asked/").json() == [True, 0]
    enroll(ann, recipient=PHONE)
    sign_in(client, ann)
    assert client.get("/payout/").content == b"payout"
    age_verification(client, timedelta(minutes=11))
    assert client.get("/payout/").status_code == 302


def test_old_numbers_are_asked_for_again(site: Site, ann: User) -> None:
    tasks = site.load("bazaar/tasks.py")
    factor = enroll(ann, recipient=PHONE)
    assert tasks.ask_to_verify_again() == 0
    old = timezone.now() - timedelta(days=181)
    Factor.objects.filter(pk=factor.pk).update(last_used_at=old)
    mail.outbox.clear()
    assert tasks.ask_to_verify_again() == 1
    assert [letter.to for letter in mail.outbox] == [["ann@bazaar.example"]]
    assert outbox == []


def test_an_audit_log_and_a_chat(site: Site, ann: User) -> None:
    lines: list[dict[str, str]] = []
    said: list[str] = []
    create = SimpleNamespace(create=lambda **values: lines.append(values))
    site.add("bazaar.records", AuditLine=SimpleNamespace(objects=create), chat=SimpleNamespace(post=said.append))
    receivers = site.load("bazaar/receivers.py")
    try:
        grant_consent(ann, recipient=PHONE, channel="sms")
        asker = Asker(session="a-secret", ip="203.0.113.7")
        pk = verifications.start(recipient=PHONE, channel="sms", client=asker, user=ann).verification.pk
        for _ in range(5):
            verifications.check(pk, code="000000", client=asker, user=ann)
    finally:
        for signal in signals.ALL:
            signal.disconnect(receivers.audit)
        signals.locked_out.disconnect(receivers.tell_the_chat)
    assert {line["what"] for line in lines} >= {"consent_recorded", "verification_sent", "check_failed", "locked_out"}
    assert {line["user_pk"] for line in lines} == {str(ann.pk)}
    [line] = said
    assert line.startswith("ann is locked out (no_checks_left) until ")
