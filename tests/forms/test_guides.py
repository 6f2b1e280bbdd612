"""The pages of the guides, as printed there, on a site of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.contrib.messages import get_messages
from django.core import mail
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path, reverse

import django_twilio_verify
from django_twilio_verify import testing
from django_twilio_verify.exceptions import BackendUnavailable
from django_twilio_verify.models import ConsentEvent, Verification, VerificationAttempt
from django_twilio_verify.testing import get_disclosure_digest, last_code, outbox
from tests.support import guides
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE, make_factor, make_user, wrong_code
from tests.support.site import models
from tests.support.site.models import Seller

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("claimants_have_room")]
TEXT_ME, SEND = "Text me a code", "Send code"


def write(page: str, folder: Path) -> None:
    """The templates that ``page`` prints, in ``folder``."""
    for name, text in guides.files(page).items():
        if name.endswith((".html", ".txt")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.TEMPLATES = [{**django_settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    return tmp_path


@pytest.fixture
def bazaar(settings: Any, folder: Path) -> Iterator[dict[str, Any]]:
    """The site of the guide "Verify a number on pages of your own"."""
    write("howto/own-pages", folder)
    modules = guides.package("bazaar", "howto/own-pages", models=models)
    urls = ModuleType("bazaar.site")
    urls.urlpatterns = [  # type: ignore[attr-defined]
        path("", lambda request: HttpResponse("home"), name="home"),
        path("contact/", modules["both"].contact),
        path("aphone/", modules["async_views"].phone),
        path("acode/<uuid:pk>/", modules["async_views"].code),
        path("", include(modules["urls"])),
        path("verify/", include("django_twilio_verify.urls")),
    ]
    settings.ROOT_URLCONF = urls
    yield modules
    guides.forget("bazaar")


@pytest.fixture
def ann(client: Client) -> Any:
    user = make_user()
    client.force_login(user)
    Seller.objects.create(user=user)
    return user


def filled(page: Any, **values: str) -> dict[str, str]:
    return {"number": PHONE, "disclosure": get_disclosure_digest(page), "consent": "on", **values}


def code_page(client: Client) -> str:
    """Have a code sent, and the page that asks for it."""
    sent = client.post("/seller/phone/", filled(client.get("/seller/phone/")))
    assert sent.status_code == 302, sent.content.decode()
    return str(sent["Location"])


def sold_at() -> str:
    return Seller.objects.get().phone


def test_a_seller_verifies_a_phone(client: Client, bazaar: Any, ann: Any) -> None:
    page = client.get("/seller/phone/")
    assert 'name="consent"' in page.content.decode() and "checked" not in page.content.decode()
    code = code_page(client)
    event = ConsentEvent.objects.get()
    assert (event.event, event.button_label, event.control) == ("granted", TEXT_ME, "checkbox")
    assert 'autocomplete="one-time-code"' in client.get(code).content.decode()
    done = client.post(code, {"code": last_code()})
    assert (done.status_code, done["Location"], sold_at()) == (302, "/", PHONE)
    # A double click: the second half of it is as good.
    assert client.post(code, {"code": last_code()})["Location"] == "/"
    assert len(outbox) == 1


def test_a_wrong_code_stands_beside_its_field(client: Client, bazaar: Any, ann: Any) -> None:
    page = client.post(code_page(client), {"code": wrong_code()})
    assert page.context["form"].errors == {"code": ["This is not the code that we sent. You have 4 tries left."]}
    assert 'id="id_code_error"' in page.content.decode() and 'aria-describedby="id_code_error"' in page.content.decode()
    assert sold_at() == ""


def test_sending_again_says_when_it_is_too_soon(client: Client, bazaar: Any, ann: Any) -> None:
    code = code_page(client)
    again = client.post(f"{code}again/")
    assert again["Location"] == code and len(outbox) == 1
    assert [str(one) for one in get_messages(again.wsgi_request)] == [
        "A code was sent a moment ago. Wait before you ask for another."
    ]
    testing.skip_cooldown(ann)
    client.post(f"{code}again/")
    assert len(outbox) == 2


def test_a_call_asks_for_consent_of_its_own_and_goes_on_with_the_same_code(
    client: Client, bazaar: Any, ann: Any
) -> None:
    code = code_page(client)
    testing.skip_cooldown(ann)
    asks = client.post(f"{code}call/")["Location"]
    assert asks == f"{code}consent/call/" and len(outbox) == 1
    page = client.get(asks)
    refused = client.post(asks, {"disclosure": get_disclosure_digest(page)})
    assert list(refused.context["form"].errors) == ["consent"] and len(outbox) == 1
    agreed = client.post(asks, {"disclosure": get_disclosure_digest(page), "consent": "on"})
    assert (agreed.status_code, agreed["Location"], outbox[-1].channel) == (302, code, "call")
    assert ConsentEvent.objects.latest("id").button_label == "Agree and send"
    assert client.post(code, {"code": last_code()})["Location"] == "/"
    assert Verification.objects.count() == 1


def test_others_get_nothing_by_the_id_in_the_address(client: Client, bazaar: Any, ann: Any) -> None:
    code = code_page(client)
    other = Client()
    other.force_login(make_user("ben"))
    for where in (code, f"{code}again/", f"{code}consent/call/"):
        digest = get_disclosure_digest(other.get(f"{code}consent/call/"))
        answer = other.post(where, {"code": last_code(), "disclosure": digest, "consent": "on"})
        assert answer.status_code == (302 if where.endswith("again/") else 404), where
    assert (len(outbox), sold_at(), Verification.objects.get().status) == (1, "", "pending")


@pytest.mark.parametrize("channel", ["passkey", "recovery", "email", "fax", "CALL"])
def test_an_address_names_no_other_channel(client: Client, bazaar: Any, ann: Any, channel: str) -> None:
    assert client.post(f"{code_page(client)}consent/{channel}/", {"consent": "on"}).status_code == 404


def test_two_forms_on_one_page(client: Client, bazaar: Any, ann: Any) -> None:
    page = client.get("/contact/")
    ids = re.findall(r'\bid="([^"]+)"', page.content.decode())
    assert len(ids) == len({*ids}) and {"id_phone-consent", "id_email-consent"} <= {*ids}
    digest = page.context["by_email"].shown.digest
    empty = client.post("/contact/", {"email": "1", "email-email": EMAIL, "email-disclosure": digest})
    assert [*empty.context["by_email"].errors] == ["consent"] and not empty.context["by_phone"].errors
    assert outbox == []
    sent = client.post(
        "/contact/", {"email": "1", "email-email": EMAIL, "email-disclosure": digest, "email-consent": "on"}
    )
    assert sent.status_code == 302
    assert [(one.to, one.channel) for one in outbox] == [(EMAIL, "email")]
    assert ConsentEvent.objects.get().button_label == SEND


def test_the_box_of_one_form_is_no_consent_to_another(client: Client, bazaar: Any, ann: Any) -> None:
    page = client.get("/contact/")
    sent = {
        "phone": "1",
        "phone-number": PHONE,
        "phone-disclosure": page.context["by_email"].shown.digest,
        "phone-consent": "on",
    }
    answer = client.post("/contact/", sent)
    assert [*answer.context["by_phone"].errors] == ["consent"]
    assert (outbox, ConsentEvent.objects.count()) == ([], 0)


@pytest.mark.django_db(transaction=True)
def test_the_async_views(bazaar: Any) -> None:
    user, client = make_user(), AsyncClient()
    client.force_login(user)

    async def visit() -> list[Any]:
        digest = bazaar["both"].PhoneForm(channel="sms").shown.digest
        form = {"number": PHONE, "disclosure": digest, "consent": "on"}
        testing.fail_next(BackendUnavailable(may_have_been_done=False))
        down = await client.post("/aphone/", form)
        started = await client.post("/aphone/", form)
        address = f"/acode/{started.json()['verification']}/"
        wrong = await client.post(address, {"code": wrong_code()})
        right = await client.post(address, {"code": last_code()})
        return [down, started, wrong, right]

    down, started, wrong, right = async_to_sync(visit)()
    assert (down.status_code, [*down.json()]) == (503, ["number"])
    assert (started.status_code, started.json()["sends_left"]) == (200, 4)
    assert (wrong.status_code, [*wrong.json()]) == (400, ["code"])
    assert right.json()["approved"] is True


def test_our_page_with_a_sentence_of_the_sites(client: Client, folder: Path) -> None:
    write("howto/templates", folder)
    user = make_user()
    make_factor(user, OTHER_PHONE)
    testing.sign_in(client, user)
    page = client.get(reverse("twilio_verify:factors")).content.decode()
    assert page.index("Sellers need one of these.") < page.index("<h1>")


def test_a_mail_in_the_sites_words(client: Client, folder: Path) -> None:
    write("howto/templates", folder)
    user = make_user(email=EMAIL)
    client.force_login(user)
    page = client.get("/verify/enroll/sms/")
    code = client.post("/verify/enroll/sms/", filled(page))["Location"]
    client.post(code, {"code": last_code()})
    assert "Hello ann, your Bazaar account has a new sign-in method." in [one.body.strip() for one in mail.outbox]


def test_a_sentence_of_the_sites(client: Client, bazaar: Any, ann: Any, settings: Any) -> None:
    told: dict[str, Any] = {}
    exec(guides.files("howto/templates")["settings.py"], told)  # noqa: S102  our own guide
    settings.TWILIO_VERIFY_ERROR_MESSAGES = told["TWILIO_VERIFY_ERROR_MESSAGES"]
    page = client.post("/seller/phone/", filled(client.get("/seller/phone/"), number="+999 12"))
    sentence = "That number does not look right. Start it with + and your country code."
    assert page.context["form"].errors["number"] == [sentence]
    assert sentence in page.content.decode()
    assert VerificationAttempt.objects.count() == 0


def test_the_look_is_set_by_properties_that_our_style_sheet_reads() -> None:
    ours = Path(django_twilio_verify.__file__).parent / "static" / "twilio_verify" / "verify.css"
    named = re.findall(r"--tv-[\w-]+", guides.files("howto/templates")["static/bazaar.css"])
    assert named == ["--tv-accent", "--tv-on-accent"]
    assert all(f"var({name}" in ours.read_text(encoding="utf-8") for name in named)
