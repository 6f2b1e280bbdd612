"""Stopping messages, and the page that a reviewer opens, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser


def test_ann_stops_her_text_messages_and_agrees_again(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.add_phone()
    visitor.open("/verify/")
    visitor.look("factors-with-consents")
    visitor.follow("See what you agreed to")
    visitor.page.locator("summary").click()
    visitor.look("consents")
    expect(visitor.page.locator("main")).not_to_contain_text("555")
    visitor.page.get_by_role("button", name="Stop Text message (SMS), ••• ••43").press("Enter")
    assert visitor.heading == "What you agreed to"
    expect(visitor.page.locator("main")).to_contain_text("There is nothing that you agreed to.")
    visitor.look("consents-stopped")

    visitor.sign_out()
    visitor.sign_in("ann")
    expect(visitor.consent).not_to_be_checked()
    assert len(visitor.messages()) == 1


def test_a_number_that_opted_out_is_verified_again_by_its_owner(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.add_phone()
    visitor.open("/verify/stop/")
    visitor.fill_number()
    visitor.agree()
    visitor.press("Send code")
    visitor.enter(visitor.newest_code())
    visitor.press("Stop")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Stopped")
    visitor.open("/verify/consents/")
    visitor.look("consents-opted-out")
    visitor.follow("Allow messages again")
    visitor.look("reopen")
    visitor.agree()
    visitor.press("Send code")
    visitor.enter(visitor.newest_code())
    expect(visitor.page.locator("main")).to_contain_text("We ask for your agreement before we send anything.")
    visitor.look("reopen_proved")
    visitor.press("Allow messages again")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("What you agreed to")
    visitor.look("consents-reopened")


def test_whoever_holds_a_number_stops_it_without_an_account(visitor: Visitor) -> None:
    visitor.open("/verify/stop/")
    visitor.look("withdraw")
    visitor.fill_number()
    visitor.press("Send code")
    expect(visitor.page.get_by_role("alert")).to_contain_text("Tick the box to agree")
    visitor.look("withdraw-without-consent")
    visitor.agree()
    visitor.press("Send code")
    visitor.look("withdraw-code")
    visitor.enter(visitor.newest_code())
    assert visitor.heading == "What should stop?"
    visitor.look("withdraw_confirm")

    for box in visitor.page.get_by_role("checkbox").all():
        box.uncheck()
    visitor.press("Stop")
    expect(visitor.page.get_by_role("alert")).to_contain_text("Choose at least one.")
    visitor.look("withdraw_confirm-none")
    visitor.page.get_by_role("link", name="Choose at least one.").press("Enter")
    assert visitor.focused()[0] == "FIELDSET"

    visitor.page.get_by_label("Phone calls").check()
    visitor.press("Stop")
    visitor.look("withdraw_confirm-some")
    visitor.press("Stop")
    assert visitor.heading == "Stopped"
    visitor.look("withdraw_confirm-done")
    assert len(visitor.messages()) == 1


def test_an_email_address_is_stopped_without_scripts(visitor_without_scripts: Visitor) -> None:
    visitor = visitor_without_scripts
    visitor.open("/verify/stop/")
    visitor.follow("Email")
    visitor.look("withdraw-email")
    visitor.page.get_by_label("Email address").fill("ann@example.org")
    visitor.agree()
    visitor.press("Send code")
    visitor.enter(visitor.newest_code())
    visitor.press("Stop")
    assert visitor.heading == "Stopped"


def test_a_reviewer_sees_how_consent_is_asked(visitor: Visitor) -> None:
    visitor.open("/verify/opt-in/")
    assert visitor.heading == "How we ask before we send codes"
    for button in visitor.page.get_by_role("button", name="Send code").all():
        expect(button).to_be_disabled()
    for box in visitor.page.get_by_role("checkbox").all():
        expect(box).not_to_be_checked()
    visitor.look("opt_in")
    visitor.open("/verify/opt-in/sms/")
    visitor.look("opt_in-sms")
    assert visitor.posts == []
