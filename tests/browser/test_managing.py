"""Looking after one's factors, trusted browsers, time to enroll, and a reset that somebody asked for."""

from __future__ import annotations

import re
from email import message_from_string
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.steps import Manage, heading, kept, problem, sent_to
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser

OTHER_NUMBER = "(202) 555-0144"

# As if the time for it had come.
YESTERDAY = """
from datetime import timedelta
from django.utils import timezone
from django_twilio_verify.models import FactorReset
FactorReset.objects.update(due_at=timezone.now() - timedelta(days=1))
"""


@pytest.fixture
def shop_environ(request: pytest.FixtureRequest) -> dict[str, str]:
    """What a test sets besides: its parameter ``more``."""
    mark = request.node.get_closest_marker("parametrize")
    return dict(request.getfixturevalue("more")) if mark else {}


def listed(visitor: Visitor, name: str) -> Any:
    """The entry of the list that says ``name``."""
    return visitor.page.locator(".tv-factors > li").filter(has_text=name)


def subjects(log: Path) -> list[str]:
    """Of the letters that the shop has printed so far."""
    return re.findall(r"^Subject: (.*)$", log.read_text(), re.M)


def mailed(printed: str) -> str:
    """The text of the letters in what a command printed, decoded: some Djangos wrap long lines."""
    found = re.findall(r"^(Content-Type: text/plain.*?)\n-{79}$", printed, re.M | re.S)
    return "\n".join(message_from_string(each, policy=default).get_content() for each in found)


def with_phone_and_app(visitor: Visitor) -> Any:
    """Ann, signed in, with a phone that is asked first and an app; on the page of both."""
    visitor.sign_in("ann")
    visitor.add_phone()
    kept(visitor)
    app = visitor.add_app("Old tablet")
    sent_to(visitor, "/account/")
    visitor.follow("How you sign in")
    return app


def test_factors_are_renamed_reordered_and_removed(visitor: Visitor, log: Path) -> None:
    visitor.sign_in("ann")
    visitor.open("/verify/")
    visitor.look("factors-none")
    with_phone_and_app(visitor)
    heading(visitor, "How you sign in")
    visitor.look("factors-two")

    listed(visitor, "Old tablet").get_by_role("link", name="Rename").click()
    visitor.look("factor_rename")
    visitor.page.get_by_label("Name").fill("")
    visitor.press("Save")
    expect(problem(visitor)).to_contain_text("Enter a name")
    visitor.look("factor_rename-empty")
    visitor.page.get_by_label("Name").fill("Kitchen tablet")
    visitor.press("Save")
    heading(visitor, "How you sign in")

    expect(listed(visitor, "Kitchen tablet")).to_contain_text("Asked first")  # the stronger one
    listed(visitor, "••43").get_by_role("button", name="Ask for this one first").click()
    expect(listed(visitor, "••43")).to_contain_text("Asked first")
    assert "Corner Shop: you are asked for something else first" in subjects(log)

    listed(visitor, "••43").get_by_role("link", name="Remove").click()
    heading(visitor, "Remove this?")
    visitor.look("factor_remove")
    visitor.follow("Back, and change nothing")
    assert visitor.page.locator(".tv-factors > li").count() == 2
    listed(visitor, "••43").get_by_role("link", name="Remove").click()
    visitor.press("Remove")
    heading(visitor, "How you sign in")
    assert visitor.page.locator(".tv-factors > li").count() == 1
    assert "Corner Shop: something was removed from your account" in subjects(log)

    listed(visitor, "Kitchen tablet").get_by_role("link", name="Remove").click()
    expect(visitor.page.locator("main")).to_contain_text("It is your last one")
    visitor.look("factor_remove-last")
    visitor.press("Remove")
    heading(visitor, "How you sign in")
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    sent_to(visitor, "/checkout/")


def test_a_number_is_replaced_once_the_new_one_is_proved(visitor: Visitor, log: Path) -> None:
    visitor.sign_in("ann")
    visitor.add_phone()
    kept(visitor)
    visitor.open("/verify/")
    listed(visitor, "••43").get_by_role("link", name="Replace").click()
    heading(visitor, "Replace this")
    visitor.look("factor_replace")
    visitor.fill_number(OTHER_NUMBER)
    visitor.agree()
    visitor.press("Send code")
    heading(visitor, "Enter your code")
    visitor.look("code-replace")
    visitor.follow("Change number")
    heading(visitor, "Replace this")  # and not: add another
    visitor.fill_number("(202) 555-0145")
    visitor.agree()
    visitor.press("Send code")
    heading(visitor, "Enter your code")
    other = visitor.profile.new_page()
    other.goto(f"{visitor.shop}/verify/")
    expect(other.locator(".tv-factors > li")).to_contain_text("••43")  # until the new one is proved
    other.close()
    visitor.enter(visitor.newest_code())
    heading(visitor, "How you sign in")
    assert visitor.page.locator(".tv-factors > li").count() == 1
    expect(listed(visitor, "••45")).to_be_visible()
    visitor.look("factors-replaced")
    assert "Corner Shop: what you sign in with was replaced" in subjects(log)


def test_new_recovery_codes(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    old = visitor.add_phone()
    kept(visitor)
    visitor.open("/verify/")
    visitor.follow("Make new recovery codes")
    visitor.look("recovery_new")
    visitor.press("Make new recovery codes")
    heading(visitor, "Your recovery codes")
    expect(visitor.page.locator("main")).to_contain_text("Codes that you had before no longer work.")
    visitor.look("recovery_codes-new")
    assert not set(old) & set(visitor.page.locator(".tv-codes code").all_inner_texts())


# Something stronger


@pytest.mark.parametrize("more", [{"SUGGEST_STRONGER_FACTOR": "1"}], ids=["offered"])
def test_something_stronger_is_offered_after_a_code(visitor: Visitor, more: dict[str, str]) -> None:
    visitor.sign_in("ann")
    visitor.add_phone()
    kept(visitor)
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.press("Send code")
    visitor.enter(visitor.newest_code())
    heading(visitor, "Use a passkey next time?")
    visitor.look("offer")
    visitor.follow("Add a passkey")
    heading(visitor, "Add a passkey")
    visitor.page.go_back()
    visitor.press("Not now")
    sent_to(visitor, "/checkout/")
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.press("Send code")
    visitor.enter(visitor.newest_code())
    sent_to(visitor, "/checkout/")  # not again so soon


@pytest.mark.parametrize("more", [{"SUGGEST_STRONGER_FACTOR": "1"}], ids=["offered"])
def test_an_offer_that_this_browser_cannot_take(
    visitor: Visitor, visitor_without_scripts: Visitor, more: dict[str, str]
) -> None:
    visitor.sign_in("ann")
    visitor.add_phone()
    kept(visitor)
    visitor.sign_out()
    visitor.profile.add_init_script("delete window.PublicKeyCredential;")
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.press("Send code")
    visitor.enter(visitor.newest_code())
    visitor.follow("Add a passkey")
    expect(visitor.page.locator("[data-tv-problem]")).to_contain_text("This browser cannot make passkeys.")
    visitor.follow("Choose another way")
    heading(visitor, "Add a way to confirm that it is you")
    visitor.sign_out()

    plain = visitor_without_scripts
    plain.sign_in("ann", "/login/?next=/checkout/")
    plain.press("Send code")
    plain.enter(plain.newest_code())
    heading(plain, "Use a passkey next time?")
    plain.press("Not now")
    sent_to(plain, "/checkout/")


# Trusted browsers


def test_a_browser_is_trusted_and_no_longer(visitor: Visitor, log: Path) -> None:
    visitor.sign_in("ann")
    visitor.add_phone()
    kept(visitor)
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.press("Send code")
    box = visitor.page.get_by_role("checkbox", name="Do not ask again on this browser for 30 days")
    expect(box).not_to_be_checked()
    visitor.look("code-trust")
    box.check()
    visitor.enter(visitor.newest_code())
    sent_to(visitor, "/checkout/")
    assert "Corner Shop: a browser that you trust" in subjects(log)

    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    sent_to(visitor, "/checkout/")  # without a code
    visitor.open("/account/delivery/")
    heading(visitor, "Confirm that it is you")  # what is protected asks all the same
    visitor.press("Send code")
    expect(visitor.page.get_by_role("checkbox")).to_have_count(0)
    visitor.enter(visitor.newest_code())
    heading(visitor, "Delivery address")

    visitor.open("/verify/")
    visitor.follow("Browsers that you trust")
    heading(visitor, "Browsers that you trust")
    expect(visitor.page.locator(".tv-factors")).to_contain_text("This browser")
    visitor.look("browsers")
    visitor.page.get_by_role("button", name=re.compile("^Ask again ")).first.click()
    expect(visitor.page.locator("main")).to_contain_text("There are none.")
    visitor.look("browsers-none")
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    heading(visitor, "Confirm that it is you")


def test_an_app_may_trust_the_browser(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    app = visitor.add_app()
    kept(visitor)
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.page.get_by_role("checkbox", name=re.compile("Do not ask again")).check()
    visitor.enter(app.code(steps=1))
    sent_to(visitor, "/checkout/")
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    sent_to(visitor, "/checkout/")


def test_a_phone_that_says_yes_may_trust_the_browser(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.sign_in_to_the_app()
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.press("Ask my phone")
    number = visitor.number_on_the_phone()
    visitor.answer_on_the_phone("Approve")
    visitor.page.get_by_label("Number").fill(number)
    visitor.page.get_by_role("checkbox", name=re.compile("Do not ask again")).check()
    visitor.press("Continue")
    sent_to(visitor, "/checkout/")
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    sent_to(visitor, "/checkout/")


# Time to enroll


@pytest.mark.parametrize("more", [{"DJANGO_SETTINGS_MODULE": "tests.browser.settings_grace"}], ids=["two weeks"])
def test_time_to_enroll(visitor: Visitor, more: dict[str, str]) -> None:
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.open("/checkout/")
    heading(visitor, "Protect your account")
    expect(visitor.page.locator("main")).to_contain_text("You have 14 days left to add one.")
    visitor.look("grace")
    visitor.press("Later")
    sent_to(visitor, "/checkout/")
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    heading(visitor, "Protect your account")
    visitor.press("Add it now")
    heading(visitor, "Add a way to confirm that it is you")


# A reset that staff was asked for


def cancel_path(printed: str, shop: str) -> str:
    """The path of the link in the letter."""
    found = re.search(re.escape(shop) + r"(/verify/reset/\S+)", mailed(printed))
    assert found, printed
    return found[1]


def test_a_reset_is_called_off_by_the_link(visitor: Visitor, manage: Manage) -> None:
    visitor.sign_in("ann")
    visitor.add_phone()
    kept(visitor)
    letters = manage("reset_factors", "ann", "--reason", "Called us", "--by", "Cleo", "--site", visitor.shop)
    visitor.open("/verify/")
    expect(visitor.page.locator("main")).to_contain_text("Our staff was told that you lost all of this")
    visitor.look("factors-reset")
    visitor.follow("If that is not so, keep what you have")
    heading(visitor, "Keep your phones and apps?")

    visitor.sign_out()
    visitor.open(cancel_path(letters, visitor.shop))
    heading(visitor, "Keep your phones and apps?")
    visitor.look("reset_cancel")
    visitor.press("Keep them")
    heading(visitor, "They stay")
    visitor.look("reset_cancel-kept")
    visitor.sign_in("ann", "/login/?next=/checkout/")
    heading(visitor, "Confirm that it is you")


def test_a_reset_that_is_done(visitor: Visitor, manage: Manage) -> None:
    visitor.sign_in("ann")
    visitor.add_phone()
    kept(visitor)
    letters = manage("reset_factors", "ann", "--reason", "Called us", "--by", "Cleo", "--site", visitor.shop)
    manage("shell", "-c", YESTERDAY)
    assert "ann" in manage("reset_factors", "--due", "--by", "Cleo")
    visitor.open(cancel_path(letters, visitor.shop))
    heading(visitor, "Already removed")
    visitor.look("reset_cancel-done")


def test_a_reset_leads_back_by_the_mailed_link(visitor: Visitor, manage: Manage) -> None:
    visitor.sign_in("ann")
    visitor.add_phone()
    kept(visitor)
    visitor.sign_out()
    letters = manage(
        "reset_factors", "ann", "--reason", "Came by", "--by", "Cleo", "--site", visitor.shop, "--now", "--yes"
    )
    found = re.search(re.escape(visitor.shop) + r"(/verify/reset/\S+/enroll/)", mailed(letters))
    assert found, letters
    visitor.sign_in("ann")
    heading(visitor, "Check your email")  # the old password alone sets up nothing
    visitor.look("reset_held")
    visitor.open("/verify/enroll/")
    heading(visitor, "Check your email")
    visitor.open(found[1])
    heading(visitor, "Set up two-step verification")
    visitor.look("reset_enroll")
    visitor.press("Set up a sign-in method")
    heading(visitor, "Add a way to confirm that it is you")
    visitor.open(found[1])
    heading(visitor, "This link has expired")
    visitor.look("reset_enroll-over")
