"""Authenticator apps, phones with the shop's app, and what the shop asks a fresh proof for, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from django_twilio_verify.testing import Authenticator
from tests.browser.steps import Manage, heading, kept, problem, sent_to
from tests.browser.visitor import PASSWORDS, Visitor

pytestmark = pytest.mark.browser

# As if so many seconds had gone by since the last proof in any session.
AGE = """
from importlib import import_module
from django.conf import settings
from django.contrib.sessions.models import Session
store = import_module(settings.SESSION_ENGINE).SessionStore
for key in Session.objects.values_list("session_key", flat=True):
    session = store(key)
    if "_twilio_verify_settled" in session:
        session["_twilio_verify_settled"] = {**session["_twilio_verify_settled"], "at": 0}
        session.save()
"""


# Authenticator apps


def test_an_authenticator_app_is_added_and_signs_in(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/?next=/account/")
    visitor.look("enroll")
    visitor.follow("Authenticator app")
    visitor.look("enroll_totp")
    visitor.press("Show the QR code")
    heading(visitor, "Set up an authenticator app")
    key = visitor.page.locator("#tv-key code")
    groups = key.inner_text().split(" ")
    assert len(groups) >= 8 and {len(group) for group in groups[:-1]} == {4}
    uri = visitor.read_qr()
    assert f"secret={''.join(groups)}" in uri and "Corner%20Shop" in uri
    expect(visitor.page.get_by_role("link", name="Open the app")).to_have_attribute("href", uri)
    visitor.profile.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.press("Copy the key")
    expect(visitor.page.get_by_role("status").filter(has_text="Copied.")).to_be_visible()
    assert visitor.page.evaluate("navigator.clipboard.readText()") == "".join(groups)
    visitor.look("enroll_totp_code")

    app = Authenticator.scan(uri)
    visitor.enter("000000" if app.code() != "000000" else "111111")
    expect(problem(visitor)).to_contain_text("This is not the code that the app shows now.")
    visitor.look("enroll_totp_code-wrong")
    visitor.enter(app.code())
    kept(visitor)
    expect(visitor.page.locator("main")).to_contain_text("we ask for your authenticator app")

    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    heading(visitor, "Confirm that it is you")
    visitor.look("challenge-totp")
    visitor.enter("12")
    expect(problem(visitor)).to_contain_text("The code has 6 digits: some are missing.")
    visitor.enter("000000" if app.code(steps=1) != "000000" else "111111")
    expect(problem(visitor)).to_contain_text("This is not the code that your app shows now. You have")
    visitor.look("challenge-totp-wrong")
    used = app.code(steps=1)
    visitor.enter(used)
    sent_to(visitor, "/checkout/")

    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.enter(used)
    expect(problem(visitor)).to_contain_text("This code was used already.")
    visitor.look("challenge-totp-replayed")


def test_recovery_codes_are_kept_in_three_ways(visitor: Visitor, tmp_path: Path, screenshots: Path | None) -> None:
    visitor.sign_in("ann")
    visitor.add_app()
    heading(visitor, "Your recovery codes")
    codes = visitor.page.locator(".tv-codes code").all_inner_texts()
    assert len(codes) == 10
    visitor.look("recovery_codes-app")
    visitor.profile.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.press("Copy all codes")
    expect(visitor.page.get_by_role("status").filter(has_text="Copied.")).to_be_visible()
    assert visitor.page.evaluate("navigator.clipboard.readText()").split() == codes
    with visitor.page.expect_download() as download:
        visitor.press("Download as a text file")
    assert download.value.suggested_filename == "recovery-codes.txt"
    download.value.save_as(tmp_path / "kept.txt")
    lines = (tmp_path / "kept.txt").read_text().splitlines()
    assert lines[0] == "Recovery codes for Corner Shop. Each works once."
    assert [line for line in lines[1:] if line] == codes
    visitor.page.evaluate("window.print = () => { document.documentElement.dataset.printed = 'yes'; }")
    visitor.press("Print")
    expect(visitor.page.locator("html")).to_have_attribute("data-printed", "yes")
    visitor.page.emulate_media(media="print")
    expect(visitor.page.locator(".tv-codes code").first).to_be_visible()
    for name in ("Copy all codes", "Print", "Download as a text file", "I have kept them: continue"):
        expect(visitor.page.get_by_role("button", name=name)).to_be_hidden()
    if screenshots is not None:
        visitor.page.screenshot(path=screenshots / "recovery_codes-printed.png", full_page=True)
    visitor.page.emulate_media(media="screen")
    kept(visitor)


def test_an_authenticator_app_without_scripts(visitor_without_scripts: Visitor) -> None:
    visitor = visitor_without_scripts
    visitor.sign_in("ann")
    app = visitor.add_app("Work phone")
    heading(visitor, "Your recovery codes")
    for name in ("Copy all codes", "Print", "Download as a text file"):
        expect(visitor.page.get_by_role("button", name=name)).to_be_hidden()
    visitor.look("recovery_codes-without-scripts")
    kept(visitor)
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    expect(visitor.page.locator("main")).to_contain_text("Open your authenticator app, Work phone.")
    visitor.enter(app.code(steps=1))
    sent_to(visitor, "/checkout/")


def test_a_lost_app_leads_to_a_recovery_code(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.add_app()
    code = visitor.page.locator(".tv-codes code").first.inner_text()
    kept(visitor)
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.follow("Use a recovery code")
    visitor.look("recovery-app")
    visitor.page.get_by_label("Recovery code").fill(code)
    visitor.press("Continue")
    sent_to(visitor, "/checkout/")


# The shop's app on a phone


def with_the_app(visitor: Visitor) -> None:
    """Ann, with the shop's app on the phone, signed out."""
    visitor.sign_in("ann")
    visitor.open("/phone/")
    visitor.sign_in_to_the_app()
    visitor.sign_out()


def test_the_page_waits_for_the_shops_app(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/?next=/account/")
    visitor.follow("Corner Shop app on your phone")
    heading(visitor, "Set up Corner Shop app on your phone")
    expect(visitor.page.get_by_text("Waiting for the phone. This page goes on by itself.")).to_be_visible()
    visitor.look("enroll_push")
    visitor.press("The phone is done: continue")
    expect(problem(visitor)).to_contain_text("No phone has been set up so far.")
    visitor.look("enroll_push-too-early")
    visitor.sign_in_to_the_app()
    expect(visitor.page).to_have_url(re.compile("/account/$"))
    visitor.open("/phone/")
    visitor.look("phone-app")


def test_a_phone_says_yes_and_the_page_goes_on_by_itself(visitor: Visitor) -> None:
    with_the_app(visitor)
    visitor.sign_in("ann", "/login/?next=/checkout/")
    heading(visitor, "Confirm that it is you")
    visitor.look("challenge-push")
    visitor.press("Ask my phone")
    heading(visitor, "Look at your phone")
    visitor.look("push")
    number = visitor.number_on_the_phone()
    visitor.page.get_by_label("Number").fill(number)
    visitor.press("Continue")
    expect(visitor.page.locator("main")).to_contain_text("Your phone has not said yes so far.")
    visitor.look("push-number")
    visitor.answer_on_the_phone("Approve")
    sent_to(visitor, "/checkout/")  # nobody pressed anything here


def test_the_phone_was_faster_than_the_number(visitor: Visitor) -> None:
    with_the_app(visitor)
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.press("Ask my phone")
    number = visitor.number_on_the_phone()
    visitor.answer_on_the_phone("Approve")
    visitor.page.wait_for_timeout(3_000)
    heading(visitor, "Look at your phone")  # the number proves that it is the same person
    visitor.page.get_by_label("Number").fill(number)
    visitor.press("Continue")
    sent_to(visitor, "/checkout/")


def test_a_wrong_number_ends_it(visitor: Visitor) -> None:
    with_the_app(visitor)
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.press("Ask my phone")
    right = visitor.number_on_the_phone()
    visitor.page.get_by_label("Number").fill("10" if right != "10" else "11")
    visitor.press("Continue")
    heading(visitor, "This request is over")
    expect(problem(visitor)).to_contain_text("This is not the number that your phone shows")
    visitor.look("push-wrong")
    visitor.follow("Try another way")
    heading(visitor, "Confirm that it is you")


def test_a_phone_says_no(visitor: Visitor) -> None:
    with_the_app(visitor)
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.press("Ask my phone")
    heading(visitor, "Look at your phone")
    visitor.answer_on_the_phone("Deny")
    heading(visitor, re.compile("This request is over|Sign in"))
    visitor.look("push-denied")
    expect(visitor.page.locator("main")).to_contain_text("The answer on the phone was no.")
    expect(visitor.page.locator("main")).to_contain_text("change your password")
    visitor.open("/checkout/")
    heading(visitor, "Sign in")


def test_a_phone_is_asked_without_scripts(visitor_without_scripts: Visitor) -> None:
    visitor = visitor_without_scripts
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/push/?next=/account/")
    visitor.sign_in_to_the_app()
    visitor.press("The phone is done: continue")
    expect(visitor.page).to_have_url(re.compile("/account/$"))
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.press("Ask my phone")
    number = visitor.number_on_the_phone()
    visitor.answer_on_the_phone("Approve")
    visitor.look("push-without-scripts")
    visitor.page.get_by_label("Number").fill(number)
    visitor.press("Continue")
    sent_to(visitor, "/checkout/")


def test_a_phone_on_the_command_line(visitor: Visitor, manage: Manage, tmp_path: Path) -> None:
    where = ["--site", visitor.shop, "--state", str(tmp_path / "phone.json")]
    told = manage("verify_phone", "register", "--user", "ann", "--password", PASSWORDS["ann"], *where)
    assert "Registered as YF" in told
    assert len(re.findall(r"^\w{4}(?:-\w{4}){3}$", told, re.M)) == 10
    assert "Nobody is asking." in manage("verify_phone", "list", *where)
    visitor.sign_in("ann", "/login/?next=/checkout/")
    expect(visitor.page.locator("main")).to_contain_text("Phone on the command line")
    visitor.press("Ask my phone")
    heading(visitor, "Look at your phone")
    number = re.search(r"Number: (\d\d)", manage("verify_phone", "list", *where))
    assert number
    visitor.page.get_by_label("Number").fill(number[1])
    visitor.press("Continue")
    assert "approved" in manage("verify_phone", "approve", *where)
    sent_to(visitor, "/checkout/")
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.press("Ask my phone")
    heading(visitor, "Look at your phone")
    assert "denied" in manage("verify_phone", "deny", *where)
    expect(visitor.page.locator("main")).to_contain_text("The answer on the phone was no.")


# A fresh proof


def test_a_form_waits_for_a_fresh_proof(visitor: Visitor, manage: Manage) -> None:
    visitor.sign_in("ann")
    visitor.add_phone()
    kept(visitor)
    visitor.follow("Delivery address")
    heading(visitor, "Delivery address")  # a proof of just now
    address = "Ann Baker\n1 Mill Lane\nOldtown"
    visitor.page.get_by_label("Where do we bring your bag?").fill(address)
    manage("shell", "-c", AGE)
    visitor.press("Save")
    heading(visitor, "Confirm that it is you")
    visitor.look("step_up")
    visitor.press("Send code")
    visitor.look("code-step_up")
    visitor.enter(visitor.newest_code())
    heading(visitor, "Continue with what you entered?")
    expect(visitor.page.locator("main")).to_contain_text("1 Mill Lane")
    visitor.look("resume")
    visitor.press("Continue")
    sent_to(visitor, "/account/")
    expect(visitor.page.get_by_role("status")).to_contain_text("We deliver there from now on.")
    visitor.page.go_back()
    visitor.open("/account/delivery/")
    expect(visitor.page.get_by_label("Where do we bring your bag?")).to_have_value(address)


def test_a_fresh_proof_by_an_app_and_by_a_recovery_code(visitor: Visitor, manage: Manage) -> None:
    visitor.sign_in("ann")
    app = visitor.add_app()
    code = visitor.page.locator(".tv-codes code").first.inner_text()
    kept(visitor)
    manage("shell", "-c", AGE)
    visitor.open("/account/delivery/")
    heading(visitor, "Confirm that it is you")
    visitor.look("step_up-totp")
    visitor.enter(app.code(steps=1))
    heading(visitor, "Delivery address")
    manage("shell", "-c", AGE)
    visitor.open("/account/delivery/")
    visitor.follow("Use a recovery code")
    visitor.look("step_up-recovery")
    visitor.page.get_by_label("Recovery code").fill(code)
    visitor.press("Continue")
    heading(visitor, "Delivery address")
