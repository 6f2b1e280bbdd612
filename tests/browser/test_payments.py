"""Paying in the example shop, and a call after three messages."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser


def with_bread(visitor: Visitor) -> None:
    """Ann, with her phone added and a loaf in the basket, on the checkout page."""
    visitor.sign_in("ann")
    visitor.add_phone()
    visitor.open("/")
    visitor.send("Add Sourdough loaf to basket")
    visitor.open("/checkout/")


def test_a_basket_is_paid_with_a_code_for_just_that(visitor: Visitor) -> None:
    with_bread(visitor)
    visitor.press("Pay € 4.80")
    assert visitor.heading == "Confirm your payment"
    expect(visitor.page.locator(".tv-payment")).to_contain_text("Confirm 4.80 EUR to The Corner Shop")
    visitor.look("payment")
    visitor.press("Send code")
    expect(visitor.page.locator(".tv-payment")).to_contain_text("Confirm 4.80 EUR to The Corner Shop")
    visitor.look("code-payment")
    assert "to pay 4.80 EUR to The Corner Shop" in visitor.messages()[0]
    visitor.enter(paying_code(visitor))
    assert visitor.path == "/"
    expect(visitor.page.get_by_role("status")).to_contain_text("4.80 EUR are paid")
    expect(visitor.page.get_by_role("link", name="Basket (0)")).to_be_visible()
    visitor.open("/checkout/paid/")  # loaded again: nothing is paid twice
    assert visitor.path == "/" and "are paid" not in visitor.page.locator("main").inner_text()


def test_a_basket_that_grew_meanwhile_is_not_paid(visitor: Visitor) -> None:
    with_bread(visitor)
    visitor.press("Pay € 4.80")
    visitor.press("Send code")
    other = visitor.profile.new_page()
    other.goto(f"{visitor.shop}/")
    other.get_by_role("button", name="Add Acacia honey to basket").click()
    other.close()
    visitor.enter(paying_code(visitor))
    assert visitor.heading == "Nothing was paid"
    expect(visitor.page.locator("main")).to_contain_text("the one that you approved. Nothing was paid.")
    visitor.look("not_paid")
    visitor.follow("Back to the basket")
    expect(visitor.page.get_by_role("button", name="Pay € 11.30")).to_be_visible()


def test_a_double_click_pays_once(visitor_without_scripts: Visitor) -> None:
    visitor = visitor_without_scripts
    with_bread(visitor)
    visitor.press("Pay € 4.80")
    visitor.press("Send code")
    visitor.page.get_by_label("Code", exact=True).fill(paying_code(visitor))
    visitor.page.get_by_role("button", name="Continue").dblclick()
    expect(visitor.page.get_by_role("link", name="Basket (0)")).to_be_visible()
    assert visitor.page.get_by_text("are paid").count() <= 1


def paying_code(visitor: Visitor) -> str:
    found = re.search(r"is (\d+)\. Don't share", visitor.messages()[0])
    assert found
    return found[1]


def test_a_landline_is_offered_a_call_with_its_number_kept(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/sms/?next=/account/")
    visitor.fill_number("020 7946 0018", "GB")
    visitor.agree()
    visitor.press("Send code")
    visitor.look("enroll_recipient-landline")
    visitor.press("Call this number instead")
    expect(visitor.page.get_by_label("Phone number")).to_have_value("020 7946 0018")
    expect(visitor.page.get_by_role("checkbox")).not_to_be_checked()
    visitor.agree()
    visitor.press("Send code")
    expect(visitor.page.locator("main")).to_contain_text("We are calling")
    assert "Phone call" in visitor.messages()[0]


def test_a_number_that_nobody_has_confirmed_takes_two_messages(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/sms/?next=/account/")
    visitor.fill_number()
    visitor.agree()
    visitor.press("Send code")
    for wait in (31_000, 41_000):
        visitor.page.wait_for_timeout(wait)
        visitor.press("Send the code again")
        assert visitor.heading == "Enter your code"
    expect(visitor.page.locator("main")).to_contain_text("Many codes were sent to this address.")
    visitor.look("code-two-messages")
    assert len(visitor.messages()) == 2
