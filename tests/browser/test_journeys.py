"""What people do with the example shop, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser


def test_ann_adds_a_phone_and_signs_in_with_it(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.look("home")
    visitor.page.get_by_role("button", name="Add Sourdough loaf to basket").click()
    visitor.follow("Basket (1)")
    visitor.look("login")
    visitor.sign_in("ann", visitor.path)
    assert visitor.heading == "Your basket"
    visitor.look("checkout")
    visitor.follow("Account")
    visitor.look("account-without-factor")

    visitor.follow("Add a way to confirm that it is you")
    visitor.look("enroll")
    visitor.follow("Text message (SMS)")
    visitor.look("enroll_recipient")
    expect(visitor.consent).not_to_be_checked()
    visitor.fill_number()
    visitor.agree()
    visitor.press("Send code")
    assert visitor.heading == "Enter your code"
    expect(visitor.page.locator("main")).to_contain_text("We sent a code to +1 202-555-0143")
    visitor.look("code")

    visitor.enter(visitor.newest_code())
    assert visitor.heading == "Your recovery codes"
    assert visitor.page.locator(".tv-codes code").count() == 10
    visitor.look("recovery_codes")
    visitor.press("I have kept them: continue")
    assert visitor.path == "/account/"
    visitor.look("account")
    visitor.follow("How you sign in")
    visitor.look("factors")

    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    assert visitor.heading == "Confirm that it is you"
    # The number is not told to somebody who has shown a password only.
    assert "555" not in visitor.page.locator("main").inner_text()
    expect(visitor.page.get_by_role("link", name="Sign in")).to_be_visible()  # to the shop, nobody is signed in
    assert len(visitor.messages()) == 1  # showing the page sent nothing
    visitor.look("challenge")
    visitor.open("/account/")
    assert visitor.heading == "Confirm that it is you"
    visitor.open("/verify/challenge/?next=/checkout/")
    visitor.press("Send code")
    visitor.look("code-login")
    visitor.enter(visitor.newest_code())
    assert visitor.path == "/checkout/"
    assert visitor.heading == "Your basket"


def test_another_way_needs_a_consent_of_its_own(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.add_phone()
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.follow("Phone call")
    visitor.look("challenge-call")
    expect(visitor.consent).not_to_be_checked()

    visitor.press("Send code")
    assert visitor.page.title().startswith("Error:")
    expect(visitor.page.get_by_role("alert")).to_contain_text("Tick the box to agree")
    visitor.look("challenge-call-without-consent")
    assert len(visitor.messages()) == 1

    visitor.agree()
    visitor.press("Send code")
    expect(visitor.page.locator("main")).to_contain_text("We are calling")
    assert "Phone call" in visitor.messages()[0]
    visitor.look("code-call")
    visitor.follow("WhatsApp")
    visitor.look("other_channel")
    visitor.follow("Back to the code that we sent")
    visitor.enter(visitor.newest_code())
    assert visitor.path == "/checkout/"


def test_errors_are_told_above_and_beside_the_field(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/sms/?next=/account/")
    visitor.page.get_by_label("Phone number").fill("12")
    visitor.press("Send code")
    visitor.look("enroll_recipient-errors")
    assert not visitor.messages()
    expect(visitor.page.get_by_label("Phone number")).to_have_value("12")

    visitor.fill_number()
    visitor.agree()
    visitor.press("Send code")
    right = visitor.newest_code()
    wrong = "000000" if right != "000000" else "111111"
    visitor.enter(wrong)
    assert visitor.page.title().startswith("Error: Enter your code")
    assert visitor.focused()[2] == "tv-problem"
    field = visitor.page.get_by_label("Code", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(
        re.compile("This is not the code that we sent. You have 2 tries left.")
    )
    visitor.look("code-wrong")
    visitor.page.get_by_role("alert").get_by_role("link").click()
    expect(field).to_be_focused()

    visitor.press("Send the code again")
    expect(visitor.page.get_by_role("alert")).to_contain_text("You can try again from")
    visitor.look("code-too-early")
    for _ in range(2):  # three in all, for a number that nobody has confirmed
        visitor.enter(wrong)
    assert visitor.heading == "This code no longer works"
    visitor.look("code-used-up")


def test_a_recovery_code_signs_in_once(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    codes = visitor.add_phone()
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.follow("Use a recovery code")
    visitor.look("recovery")
    visitor.page.get_by_label("Recovery code").fill("aaaa-aaaa-aaaa")
    visitor.press("Continue")
    expect(visitor.page.get_by_role("alert")).to_contain_text("not one of your unused recovery codes")
    visitor.look("recovery-wrong")
    visitor.page.get_by_label("Recovery code").fill(codes[0].upper().replace("-", " "))
    visitor.press("Continue")
    assert visitor.path == "/checkout/"
    visitor.open("/account/")
    expect(visitor.page.locator("main")).to_contain_text("You have 9 unused recovery codes")

    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.follow("Use a recovery code")
    visitor.page.get_by_label("Recovery code").fill(codes[0])
    visitor.press("Continue")
    expect(visitor.page.get_by_role("alert")).to_be_visible()
    visitor.press("Cancel and sign out")
    assert visitor.heading == "Sign in"


def test_the_door_of_the_admin_is_challenged_too(visitor: Visitor) -> None:
    visitor.sign_in("admin")
    visitor.add_phone()
    visitor.sign_out()
    visitor.sign_in("admin", "/admin/login/?next=/admin/")
    assert visitor.heading == "Confirm that it is you"
    visitor.open("/admin/")
    assert visitor.heading == "Confirm that it is you"
    visitor.press("Send code")
    visitor.enter(visitor.newest_code())
    assert visitor.path == "/admin/"
    expect(visitor.page.get_by_text("Site administration")).to_be_visible()


def test_signing_up_with_a_phone(visitor: Visitor) -> None:
    visitor.open("/login/")
    visitor.follow("Sign up with your phone")
    visitor.look("sign_up")
    visitor.fill_number()
    visitor.agree()
    visitor.press("Send code")
    visitor.look("code-sign-up")
    visitor.enter(visitor.newest_code())
    assert visitor.heading == "Choose a password"
    visitor.look("sign_up_finish")
    visitor.page.get_by_label("Username").fill("bea")
    visitor.page.get_by_label("Password:", exact=True).fill("olive-oil-and-lemons")
    visitor.page.get_by_label("Password confirmation").fill("olive-oil-and-lemons")
    visitor.press("Finish")
    assert visitor.path == "/account/"  # and no second challenge
    expect(visitor.page.locator("main")).to_contain_text("Welcome, bea!")
    expect(visitor.page.locator("main")).to_contain_text("code sent to your phone")
    assert len(visitor.messages()) == 1


def test_a_double_click_sends_once(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/sms/?next=/account/")
    visitor.fill_number()
    visitor.agree()
    visitor.posts.clear()
    visitor.page.get_by_role("button", name="Send code").evaluate("button => { button.click(); button.click(); }")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Enter your code")
    assert visitor.posts == ["/verify/enroll/sms/?next=/account/"]
    assert len(visitor.messages()) == 1


def test_everything_works_without_scripts(visitor_without_scripts: Visitor) -> None:
    visitor = visitor_without_scripts
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/sms/?next=/account/")
    visitor.fill_number()
    visitor.agree()
    visitor.page.get_by_role("button", name="Send code").dblclick()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Enter your code")
    assert len(visitor.messages()) == 1
    expect(visitor.page.locator("main")).to_contain_text(re.compile(r"You can ask again from \d\d:\d\d:\d\d UTC"))
    visitor.look("code-without-scripts")
    visitor.enter("1 2")
    assert visitor.focused()[2] == "tv-problem"  # by autofocus alone
    visitor.enter(visitor.newest_code())
    assert visitor.page.locator(".tv-codes code").count() == 10
    expect(visitor.page.get_by_role("button", name="Copy all codes")).not_to_be_visible()
    visitor.send("I have kept them: continue")
    visitor.sign_out()
    visitor.sign_in("ann", "/login/?next=/checkout/")
    visitor.press("Send code")
    visitor.enter(visitor.newest_code())
    assert visitor.path == "/checkout/"


def test_a_double_click_of_a_visitor_without_scripts_sends_once(visitor_without_scripts: Visitor) -> None:
    visitor = visitor_without_scripts
    visitor.open("/sign-up/")
    visitor.fill_number()
    visitor.agree()
    visitor.posts.clear()
    visitor.page.get_by_role("button", name="Send code").dblclick()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Enter your code")
    assert len(visitor.messages()) == 1
    visitor.enter(visitor.newest_code())
    assert visitor.heading == "Choose a password"


def test_a_landline_is_told_beside_the_number(visitor: Visitor) -> None:
    visitor.open("/sign-up/")
    visitor.fill_number("020 7946 0018", "GB")
    visitor.agree()
    visitor.press("Send code")
    expect(visitor.page.get_by_label("Phone number")).to_have_accessible_description(
        re.compile("looks like a landline")
    )
    visitor.look("sign_up-landline")
    assert not visitor.messages()


def test_the_wait_is_counted_down_and_told_once(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.page.clock.install()
    visitor.open("/verify/enroll/sms/?next=/account/")
    visitor.fill_number()
    visitor.agree()
    visitor.press("Send code")
    told = visitor.page.locator("[data-tv-announce]")
    counting = visitor.page.locator("[data-tv-wait]")
    expect(counting).to_have_text(re.compile(r"You can ask again in \d+ s\."))
    expect(told).to_have_text("")
    visitor.page.clock.run_for(31_000)
    expect(counting).to_have_text("You can ask for another code now.")
    expect(told).to_have_text("You can ask for another code now.")
    assert told.get_attribute("role") == "status"
    assert counting.get_attribute("aria-live") is None


def test_a_code_can_be_entered_by_keyboard_alone(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/sms/?next=/account/")
    keys = visitor.page.keyboard
    visitor.page.get_by_label("Country").focus()
    visitor.page.get_by_label("Country").select_option("US")
    keys.press("Tab")
    keys.type("202 555 0143")
    for _ in range(2):
        keys.press("Tab")  # the links of the disclosure come before the box
        assert visitor.focused()[0] == "A"
    keys.press("Tab")
    keys.press("Space")
    keys.press("Tab")
    keys.press("Enter")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Enter your code")
    visitor.page.get_by_label("Code", exact=True).focus()
    code = visitor.newest_code()
    keys.type(f"{code[:3]} {code[3:]}")  # as copied from a message
    keys.press("Enter")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")


def test_the_phone_and_the_words_stay_readable_while_waiting(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.add_phone()
    visitor.sign_out()
    visitor.sign_in("ann")
    for path, heading in (
        ("/terms/", "Terms and Conditions"),
        ("/privacy/", "Privacy Policy"),
        ("/phone/", "The phone"),
    ):
        visitor.open(path)
        assert visitor.heading == heading
        visitor.look(path.strip("/"))
    expect(visitor.page.locator(".phone")).to_contain_text("Corner Shop code is")
