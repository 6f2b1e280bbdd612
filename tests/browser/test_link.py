"""The check without a code in a real browser: on the phone, from a computer by QR code, and when it fails."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import DESK, Visitor

pytestmark = pytest.mark.browser

REFUSED = "(202) 555-0151"


def begin(visitor: Visitor, number: str = "(202) 555-0150", way: str = "sna", button: str = "Start the check") -> None:
    """Sign in as Ann and begin to enroll ``number``."""
    visitor.sign_in("ann")
    visitor.open(f"/verify/enroll/{way}/?next=/account/")
    visitor.fill_number(number)
    visitor.agree()
    visitor.press(button)


def check_this_phone(visitor: Visitor) -> None:
    """Press the big control, see what the carrier says in its own tab, and close that."""
    with visitor.profile.expect_page() as opened:
        visitor.page.get_by_role("link", name="Check this phone").click()
    carrier = opened.value
    carrier.wait_for_load_state()
    assert carrier.evaluate("[document.referrer, window.opener]") == ["", None]  # it learns nothing of this page
    carrier.close()


def test_a_phone_checks_itself_and_goes_on_by_itself(phone: Visitor) -> None:
    begin(phone)
    assert phone.heading == "Confirm your number without a code"
    expect(phone.page.get_by_role("link", name="Check this phone")).to_be_visible()
    expect(phone.page.locator(".tv-match")).not_to_be_visible()
    phone.look("link")
    check_this_phone(phone)
    phone.come_back()
    expect(phone.page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    phone.open("/account/")
    phone.sign_out()

    phone.sign_in("ann", "/login/?next=/checkout/")
    phone.look("challenge-sna")
    phone.press("Start the check")
    assert "555" not in phone.page.locator("main").inner_text()
    check_this_phone(phone)
    phone.come_back()
    expect(phone.page.get_by_role("heading", level=1)).to_have_text("Your basket")


def test_coming_back_too_early_is_told(phone: Visitor) -> None:
    begin(phone)
    phone.press("I am back: continue")
    expect(phone.page.get_by_role("alert")).to_contain_text("has not confirmed anything yet")
    assert phone.focused()[2] == "tv-problem"
    phone.look("link-too-early")
    check_this_phone(phone)
    phone.press("I am back: continue")
    assert phone.heading == "Your recovery codes"


def test_a_computer_hands_over_to_a_phone(visitor: Visitor, phone: Visitor) -> None:
    visitor.page.set_viewport_size(DESK)  # type: ignore[arg-type]
    begin(visitor)
    expect(visitor.page.get_by_role("status")).to_contain_text("This page goes on by itself")
    match = visitor.page.locator(".tv-match").inner_text()
    box = visitor.page.locator(".tv-qr svg").bounding_box()
    assert box and box["width"] >= 150 and box["width"] == box["height"]
    visitor.look("link-computer")
    visitor.page.set_viewport_size(DESK)  # type: ignore[arg-type]

    phone.open(urlsplit(visitor.read_qr()).path)
    expect(phone.page.locator("main")).to_contain_text("Corner Shop (127.0.0.1")
    assert "555" not in phone.page.locator("main").inner_text()
    phone.look("handover")
    phone.press(match)
    phone.look("handover-open")
    check_this_phone(phone)
    phone.come_back()
    expect(phone.page.get_by_role("heading", level=1)).to_have_text("Done")
    phone.look("handover-done")

    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    phone.open("/account/")
    assert phone.heading == "Sign in"  # the phone got in nowhere


def test_a_wrong_number_on_the_phone_leads_the_computer_to_a_code(visitor: Visitor, phone: Visitor) -> None:
    begin(visitor)
    match = visitor.page.locator(".tv-match").inner_text()
    phone.open(urlsplit(visitor.read_qr()).path)
    numbers = phone.page.locator(".tv-numbers button").all_inner_texts()
    assert match in numbers and len(numbers) == 3
    phone.press(next(number for number in numbers if number != match))
    phone.look("handover-wrong")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("This check is over")
    visitor.look("link-failed")


def test_a_network_that_refuses_leads_to_a_text_message(phone: Visitor) -> None:
    begin(phone, REFUSED, "auto", "Continue")
    assert phone.heading == "Confirm your number without a code"
    check_this_phone(phone)
    phone.press("I am back: continue")
    expect(phone.page.get_by_role("alert")).to_contain_text("could not confirm the number")
    phone.look("link-refused")
    phone.press("Send a text message instead")  # agreed to with "automatic"
    assert phone.heading == "Enter your code"
    phone.enter(phone.newest_code())
    assert phone.heading == "Your recovery codes"


def test_the_way_that_is_left_asks_before_it_sends(phone: Visitor) -> None:
    begin(phone, REFUSED)
    before = len(phone.messages())
    phone.press("Send a text message instead")
    expect(phone.page.get_by_role("alert")).to_contain_text("We need your agreement")
    assert len(phone.messages()) == before
    phone.look("other_channel-consent")
    phone.agree()
    phone.press("Send code")
    phone.enter(phone.newest_code())
    assert phone.heading == "Your recovery codes"


def test_the_demo_plays_the_phone(visitor: Visitor) -> None:
    begin(visitor)
    assert visitor.play_the_phone() == "Your mobile network is done"
    visitor.press("The phone is done: continue")
    assert visitor.heading == "Your recovery codes"


def test_it_works_without_scripts(visitor_without_scripts: Visitor) -> None:
    visitor = visitor_without_scripts
    begin(visitor)
    # Both ways are there; a browser at a desk says so of itself.
    expect(visitor.page.locator(".tv-match")).to_be_visible()
    visitor.look("link-without-scripts")
    visitor.page.get_by_text("This is the phone with that number").click()
    visitor.page.get_by_role("link", name="Check this phone").click()
    visitor.press("I am back: continue")
    assert visitor.heading == "Your recovery codes"


def test_the_page_stops_asking_when_time_is_up(visitor: Visitor) -> None:
    visitor.sign_in("ann")
    visitor.page.clock.install()
    visitor.open("/verify/enroll/sna/?next=/account/")
    visitor.fill_number()
    visitor.agree()
    visitor.press("Start the check")
    asked: list[float] = []
    visitor.page.on("request", lambda request: asked.append(0) if "/status/" in request.url else None)
    told = visitor.page.get_by_role("status")
    expect(told).to_contain_text("This page goes on by itself")
    for _ in range(75):
        visitor.page.clock.run_for(10_000)
        visitor.page.wait_for_timeout(20)
        if "Still waiting" in told.inner_text():
            break
    expect(told).to_contain_text("Still waiting")
    assert 20 <= len(asked) <= 80  # every ten seconds in the end, not every two
    count = len(asked)
    visitor.page.clock.run_for(60_000)
    assert len(asked) == count


def test_the_text_of_the_qr_code_is_a_page_of_the_shop(visitor: Visitor) -> None:
    begin(visitor)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/verify/handover/[\w:-]+/", visitor.read_qr())
