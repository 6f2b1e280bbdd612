"""People are told of every change, by another way than the one it was made on."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django import VERSION
from django.core import mail

from django_twilio_verify import factors
from django_twilio_verify.core.browser_names import browser_name
from django_twilio_verify.factors import notices
from django_twilio_verify.factors.notices import Notice
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.signals import notice_sent
from django_twilio_verify.verifications import challenges
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE, code_path, last_code, make_client, make_factor, make_user
from tests.support.changes import INBOX, address, path, proved, replace
from tests.support.devices import World

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


def letters() -> list[tuple[str, str]]:
    return [(letter.to[0], letter.subject) for letter in mail.outbox]


def test_of_the_very_first_factor(client, ann):
    client.force_login(ann)
    page = code_path(client.post("/verify/enroll/sms/", address(to=PHONE)))
    assert mail.outbox == []
    client.post(page, {"code": last_code()}, headers={"user-agent": FIREFOX})
    (letter,) = mail.outbox
    assert (letter.to, letter.subject) == ([INBOX], "Acme: something new opens your account")
    assert "phone ••• ••61" in letter.body and PHONE not in letter.body and "UTC" in letter.body
    assert "Browser: Firefox on Windows" in letter.body and "Internet address: 127.0.0.1" in letter.body
    assert "change your password" in letter.body and "http" not in letter.body
    client.post(page, {"code": last_code()})
    assert len(mail.outbox) == 1


def test_a_user_model_may_know_of_no_addresses(browser, inbox, monkeypatch):
    monkeypatch.setattr(type(inbox.user), "EMAIL_FIELD", None)
    browser.post(path(inbox, "remove"))
    assert [to for to, _ in letters()] == [EMAIL], "to the removed address, as ever"


def test_of_a_removal(browser, inbox):
    browser.post(path(inbox, "remove"))
    subject = "Acme: something was removed from your account"
    assert letters() == [(INBOX, subject), (EMAIL, subject)], "at the removed address too"
    assert all(EMAIL not in letter.body and INBOX not in letter.body for letter in mail.outbox)


def test_of_a_replacement_once(browser, phone):
    browser.post(replace(browser, phone), {"code": last_code()})
    (letter,) = mail.outbox
    assert letter.subject == "Acme: what you sign in with was replaced"
    assert "phone ••• ••61 was replaced by phone ••• ••62" in letter.body


def test_of_another_default(browser, inbox):
    browser.post(path(inbox, "default"))
    assert letters() == [(INBOX, "Acme: you are asked for something else first")]


def test_of_a_new_name_nobody_is_told(browser, phone):
    browser.post(path(phone, "rename"), {"name": "Mine"})
    assert mail.outbox == []


def test_of_a_refused_removal_nobody_is_told(browser, phone, settings):
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    browser.post(path(phone, "remove"))
    assert mail.outbox == []


def test_of_a_no_on_the_phone(ann):
    world = World("sync", None)
    _, device = world.phone(ann)
    mail.outbox.clear()
    started = challenges.start(channel="push", client=make_client(), user=ann)
    device.deny(device.pending()[0]["sid"])
    challenges.poll(started.verification, client=make_client(), user=ann)
    assert letters() == [(INBOX, "Acme: somebody may know your password")]
    assert "Change your password now" in mail.outbox[0].body
    assert Verification.objects.get(purpose="login").status == "denied"


def test_a_device_is_named_by_its_plain_name_only(ann):
    world = World("sync", None)
    world.totp(ann, name="My app (old)")
    assert "authenticator app “My app (old)”" in mail.outbox[0].body
    for name in ("evil.example/x", "http://evil", "ann@evil.example"):
        assert notices.described(Factor(kind="totp", label=name)) == "authenticator app"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (FIREFOX, "Firefox on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/130 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Chrome/130.0 Safari/537.36 Edg/130.0", "Edge on macOS"),
        ("curl/8", ""),
        ("visit http://evil.example now, Linux", "Linux"),
        ("", ""),
    ],
)
def test_of_the_browser_only_known_names_are_told(header, name):
    assert browser_name(header) == name


def test_signs_are_not_written_as_html(ann, settings):
    settings.TWILIO_VERIFY_PROGRAM = {**settings.TWILIO_VERIFY_PROGRAM, "name": "Ann & Sons"}
    type(ann).objects.update(username="o'brien")
    ann.refresh_from_db()
    notices.send(Notice.FACTOR_ADDED, ann, factor=make_factor(ann))
    (letter,) = mail.outbox
    assert letter.subject.startswith("Ann & Sons: ") and "Hello o'brien," in letter.body
    assert "\nAnn & Sons\n" in letter.body


def test_a_line_break_in_what_is_written_makes_no_header(ann, settings):
    settings.TWILIO_VERIFY_PROGRAM = {**settings.TWILIO_VERIFY_PROGRAM, "name": "Acme\nBcc: x@evil.example"}
    notices.send(Notice.FACTOR_ADDED, ann, factor=make_factor(ann))
    assert "\n" not in mail.outbox[0].subject and mail.outbox[0].recipients() == [INBOX]


BROKEN = "tests.factors.changes.test_notices.Broken"


class Broken:
    """A mail backend that raises an error of its own, with the address in it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def send_messages(self, messages: Any) -> int:
        raise ZeroDivisionError(f"to {messages[0].to}")


def test_a_mail_server_that_is_down_undoes_nothing(browser, phone, settings, caplog):
    if VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": BROKEN}}
    else:
        settings.EMAIL_BACKEND = BROKEN
    told: list[Any] = []
    receiver = lambda **kwargs: told.append((kwargs["notice"], kwargs["factor"].pk, kwargs["emails_sent"]))  # noqa: E731
    notice_sent.connect(receiver)
    try:
        with caplog.at_level(logging.ERROR):
            assert browser.post(path(phone, "remove")).status_code == 302
    finally:
        notice_sent.disconnect(receiver)
    assert not Factor.objects.exists() and told == [(Notice.FACTOR_REMOVED, phone.pk, 0)]
    assert "notice=factor_removed error=ZeroDivisionError" in caplog.text and INBOX not in caplog.text


def test_an_account_without_an_address_is_still_reported(client):
    ben = make_user("ben")
    phone = make_factor(ben, OTHER_PHONE)
    told: list[Any] = []
    receiver = lambda **kwargs: told.append((kwargs["notice"], kwargs["factor"].recipient_value, kwargs["emails_sent"]))  # noqa: E731
    notice_sent.connect(receiver)
    try:
        proved(client, "ben").post(path(phone, "remove"))
    finally:
        notice_sent.disconnect(receiver)
    assert told == [("factor_removed", OTHER_PHONE, 0)] and mail.outbox == []


def test_an_empty_template_sends_nothing(browser, phone, settings):
    empty = ("django.template.loaders.locmem.Loader", {"twilio_verify/mail/factor_removed.txt": "\n"})
    templates = [{**settings.TEMPLATES[0], "APP_DIRS": False}]
    found = "django.template.loaders.app_directories.Loader"
    templates[0]["OPTIONS"] = {**templates[0]["OPTIONS"], "loaders": [empty, found]}
    settings.TEMPLATES = templates
    browser.post(path(phone, "remove"))
    assert mail.outbox == [] and not factors.has_factor(phone.user)


def test_an_address_that_was_just_added_is_not_told(client, ann):
    client.force_login(ann)
    client.post(code_path(client.post("/verify/enroll/email/", address("email", EMAIL))), {"code": last_code()})
    assert [letter.to for letter in mail.outbox] == [[INBOX]]
    assert mail.outbox[0].extra_headers["Auto-Submitted"] == "auto-generated"


def test_the_old_address_is_told_of_the_new_one(browser, inbox):
    page = code_path(browser.post(path(inbox, "replace"), address("email", "new@example.org")))
    browser.post(page, {"code": last_code()})
    assert [letter.to for letter in mail.outbox] == [[INBOX], [EMAIL]]
    assert all("new@example.org" not in letter.body for letter in mail.outbox)
