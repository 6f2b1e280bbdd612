"""Passkeys in a real browser, with the real SDK, and a Verify Service that judges what the browser signed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from django_twilio_verify.backends.factor_options import PasskeyOptions
from django_twilio_verify.testing import FactorRoutes, VerifyServer
from tests.browser.authenticator import Authenticator
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser

OPTIONS = "/verify/passkey/options/"
NO_AUTOFILL = "PublicKeyCredential.isConditionalMediationAvailable = async () => false;"
NO_WEBAUTHN = "delete window.PublicKeyCredential;"
NO_JSON = """
delete PublicKeyCredential.parseCreationOptionsFromJSON;
delete PublicKeyCredential.parseRequestOptionsFromJSON;
delete PublicKeyCredential.prototype.toJSON;
"""
STRANGE_JSON = "PublicKeyCredential.prototype.toJSON = () => { throw new TypeError('Illegal invocation'); };"


@pytest.fixture
def verify() -> Iterator[VerifyServer]:
    """Twilio, on the loopback interface."""
    with VerifyServer() as server:
        yield server


@pytest.fixture
def shop_environ(verify: VerifyServer) -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": "tests.browser.settings_loopback", "LOOPBACK": json.dumps(verify.setting())}


@pytest.fixture
def shop(shop: str, verify: VerifyServer) -> str:
    """The shop at ``localhost``, which browsers trust without HTTPS, with its passkeys at ``verify``."""
    address = shop.replace("127.0.0.1", "localhost")
    verify.extension(FactorRoutes).simulator.passkeys = PasskeyOptions(
        relying_party_id="localhost",
        relying_party_name="Corner Shop",
        origins=(address,),
        attachment="any",
        discoverable="required",
        user_verification="required",
    )
    return address


@pytest.fixture
def visitor(chromium: Browser, shop: str, axe: str, screenshots: Path | None) -> Iterator[Visitor]:
    """Somebody whose browser offers passkeys at the press of the button alone."""
    visitor = Visitor(chromium, shop, axe, screenshots)
    visitor.profile.add_init_script(NO_AUTOFILL)
    yield visitor
    visitor.leave()


@pytest.fixture
def device(visitor: Visitor) -> Authenticator:
    return Authenticator(visitor.page)


def add_passkey(visitor: Visitor, name: str = "") -> None:
    visitor.open("/verify/enroll/passkey/?next=/account/")
    if name:
        visitor.page.get_by_label("Name", exact=True).fill(name)
    visitor.press("Make a passkey")


def with_passkey(visitor: Visitor) -> None:
    """Ann, with a passkey, signed out."""
    visitor.sign_in("ann")
    add_passkey(visitor)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    visitor.sign_out()


def is_ann(visitor: Visitor) -> None:
    expect(visitor.page).to_have_url(f"{visitor.shop}/account/")
    expect(visitor.page.locator("main")).to_contain_text("ann")


def told(visitor: Visitor) -> Any:
    """What the script tells, beside the button."""
    return visitor.page.locator("main [data-tv-problem]")


def test_a_passkey_is_made_and_signs_in_without_a_name(visitor: Visitor, device: Authenticator) -> None:
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/passkey/?next=/account/")
    expect(visitor.page.get_by_label("Name", exact=True)).to_have_value(re.compile(r"^Chrome on \w+$"))
    visitor.look("enroll_passkey")
    visitor.page.get_by_label("Name", exact=True).fill("Ann's laptop")
    visitor.press("Make a passkey")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    assert len(visitor.page.locator(".tv-codes code").all()) == 10
    visitor.sign_out()
    visitor.open("/login/?next=/account/")
    expect(visitor.page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()
    visitor.look("login-passkey")
    visitor.press("Sign in with a passkey")
    is_ann(visitor)
    assert visitor.posts.count(OPTIONS) == 1


def test_a_second_one_under_a_name_of_its_own(visitor: Visitor, device: Authenticator) -> None:
    visitor.sign_in("ann")
    add_passkey(visitor, "Laptop")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    device.attach()
    add_passkey(visitor, "Security key")
    is_ann(visitor)
    visitor.open("/verify/")
    assert visitor.page.locator(".tv-factors > li").count() == 2
    visitor.sign_out()
    visitor.open("/login/?next=/account/")
    visitor.press("Sign in with a passkey")
    is_ann(visitor)


def test_a_device_makes_one_passkey_for_an_account(visitor: Visitor, device: Authenticator) -> None:
    visitor.sign_in("ann")
    add_passkey(visitor, "Laptop")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    add_passkey(visitor, "Laptop again")
    expect(told(visitor)).to_contain_text("This device has a passkey for your account already.")
    visitor.look("enroll_passkey-registered")
    assert len(device.credentials()) == 1
    device.attach()
    visitor.press("Make a passkey")  # the button still works
    is_ann(visitor)


def test_a_prompt_that_is_cancelled(visitor: Visitor, device: Authenticator) -> None:
    visitor.sign_in("ann")
    device.unlocks(False)
    add_passkey(visitor)
    expect(told(visitor)).to_have_text("No passkey was made. Try again, or choose another way below.")
    expect(visitor.page.get_by_role("link", name="Choose another way")).to_be_visible()
    device.unlocks(True)
    visitor.press("Make a passkey")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    visitor.sign_out()
    device.unlocks(False)
    visitor.open("/login/?next=/account/")
    visitor.press("Sign in with a passkey")
    expect(told(visitor)).to_have_text("No passkey was used. Try again, or choose another way.")
    visitor.look("login-passkey-refused")
    device.unlocks(True)
    visitor.press("Sign in with a passkey")
    is_ann(visitor)
    assert visitor.posts.count(OPTIONS) == 1, "the same options serve for another try"


def test_while_the_device_asks(visitor: Visitor, device: Authenticator) -> None:
    visitor.sign_in("ann")
    device.answers(False)
    add_passkey(visitor, "Laptop")
    button = visitor.page.get_by_role("button", name="Make a passkey")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(visitor.page.get_by_label("Name", exact=True)).not_to_be_editable()
    button.click(force=True)
    visitor.page.wait_for_timeout(500)
    assert visitor.posts.count("/verify/enroll/passkey/options/") == 1
    visitor.open("/account/")  # which ends what the device is asked
    device.answers(True)
    add_passkey(visitor, "Laptop")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")


def test_a_device_without_a_passkey(visitor: Visitor, device: Authenticator) -> None:
    visitor.open("/login/")
    visitor.press("Sign in with a passkey")
    expect(told(visitor)).to_have_text("No passkey was used. Try again, or choose another way.")
    visitor.sign_in("ann")
    expect(visitor.page).to_have_url(f"{visitor.shop}/account/")


def test_a_passkey_that_is_not_known_here(visitor: Visitor, device: Authenticator, verify: VerifyServer) -> None:
    with_passkey(visitor)
    one = device.credentials()[0]
    device.attach()
    device._send("addCredential", credential={**one, "credentialId": "AAAAAAAAAAAAAAAAAAAAAA=="})
    visitor.open("/login/?next=/account/")
    visitor.press("Sign in with a passkey")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Sign in with a passkey")
    expect(visitor.page.locator(".tv-problem")).to_contain_text("This passkey could not be confirmed.")
    visitor.look("passkey_sign_in-wrong")
    device.attach()
    device._send("addCredential", credential=one)
    visitor.press("Sign in with a passkey")  # where it was going is not forgotten
    is_ann(visitor)


def test_a_copied_device_is_found_out(visitor: Visitor, device: Authenticator) -> None:
    with_passkey(visitor)
    copied = device.credentials()[0]
    visitor.open("/login/?next=/account/")
    visitor.press("Sign in with a passkey")
    is_ann(visitor)
    assert device.credentials()[0]["signCount"] > copied["signCount"]
    visitor.sign_out()
    device.put_back(copied, sign_count=0)
    visitor.open("/login/?next=/account/")
    visitor.press("Sign in with a passkey")
    expect(visitor.page.locator(".tv-problem")).to_contain_text("This passkey could not be confirmed.")
    visitor.open("/account/")
    expect(visitor.page).to_have_url(re.compile("/login/"))


def test_a_double_click_is_one(visitor: Visitor, device: Authenticator) -> None:
    with_passkey(visitor)
    visitor.posts.clear()
    visitor.open("/login/?next=/account/")
    visitor.page.get_by_role("button", name="Sign in with a passkey").dblclick()
    is_ann(visitor)
    assert visitor.posts == [OPTIONS, "/verify/passkey/"]


def test_the_provider_is_down(visitor: Visitor, device: Authenticator, verify: VerifyServer) -> None:
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/passkey/")
    verify.fail_next(status=503, times=3)
    visitor.press("Make a passkey")
    expect(told(visitor)).to_be_visible()
    visitor.look("enroll_passkey-down")
    verify._faults.clear()
    visitor.press("Make a passkey")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")


def test_the_network_is_down(visitor: Visitor, device: Authenticator) -> None:
    visitor.open("/login/")
    visitor.profile.route("**/options/", lambda route: route.fulfill(status=500, body="<html>"))
    visitor.press("Sign in with a passkey")
    expect(told(visitor)).to_have_text("That did not work. Try again, or choose another way.")
    visitor.profile.unroute("**/options/")
    visitor.press("Sign in with a passkey")
    expect(told(visitor)).to_have_text("No passkey was used. Try again, or choose another way.")
    visitor.complaints = [one for one in visitor.complaints if "status of 500" not in one]


def test_signed_out_in_another_tab(visitor: Visitor, device: Authenticator) -> None:
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/passkey/")
    visitor.profile.clear_cookies(name="sessionid")
    visitor.press("Make a passkey")
    expect(visitor.page).to_have_url(re.compile(r"/login/\?next=/verify/enroll/passkey/"))


def test_another_address_of_the_site(visitor: Visitor, device: Authenticator) -> None:
    """The page at a name that the passkeys are not for."""
    visitor.profile.route("**/options/", elsewhere)
    visitor.open("/login/")
    visitor.press("Sign in with a passkey")
    expect(told(visitor)).to_contain_text("Passkeys do not work at this address of the site.")


def elsewhere(route: Route) -> None:
    answer = route.fetch()
    told = answer.json()
    told["options"]["rpId"] = "shop.example"
    route.fulfill(response=answer, json=told)


@pytest.mark.parametrize("script", [NO_JSON, STRANGE_JSON], ids=["none", "of a password manager"])
def test_browsers_without_the_json_helpers(visitor: Visitor, device: Authenticator, script: str) -> None:
    visitor.profile.add_init_script(script)
    with_passkey(visitor)
    visitor.open("/login/?next=/account/")
    visitor.press("Sign in with a passkey")
    is_ann(visitor)
    add_passkey(visitor, "Again")
    expect(told(visitor)).to_contain_text("already")


def test_browsers_without_passkeys(visitor: Visitor) -> None:
    visitor.profile.add_init_script(NO_WEBAUTHN)
    visitor.open("/login/")
    expect(visitor.page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    visitor.open("/verify/passkey/")
    expect(told(visitor)).to_have_text("This browser cannot use passkeys. Choose another way.")
    visitor.look("passkey_sign_in-unsupported")
    visitor.follow("Sign in another way")
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/passkey/?next=/account/")
    expect(told(visitor)).to_contain_text("This browser cannot make passkeys.")
    expect(visitor.page.get_by_role("button", name="Make a passkey")).to_be_hidden()
    expect(visitor.page.get_by_label("Name", exact=True)).to_be_hidden()
    visitor.look("enroll_passkey-unsupported")
    visitor.follow("Choose another way")
    expect(visitor.page).to_have_url(re.compile(r"/verify/enroll/\?next="))


def test_without_scripts(visitor_without_scripts: Visitor) -> None:
    visitor = visitor_without_scripts
    visitor.open("/login/")
    expect(visitor.page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    # Playwright does not draw <noscript>: what the server says is looked at.
    visitor.open("/verify/passkey/")
    visitor.press("Sign in with a passkey")
    expect(visitor.page.locator(".tv-problem")).to_contain_text("Allow JavaScript for this page")
    visitor.follow("Sign in another way")
    visitor.sign_in("ann")
    visitor.open("/verify/enroll/passkey/")
    visitor.press("Make a passkey")
    expect(visitor.page.locator(".tv-problem")).to_contain_text("Allow JavaScript for this page")
    visitor.look("enroll_passkey-no-scripts")


# After a password, and for what is protected.


def test_a_passkey_after_the_password(visitor: Visitor, device: Authenticator) -> None:
    with_passkey(visitor)
    visitor.sign_in("ann", "/login/?next=/account/")
    assert visitor.heading == "Confirm that it is you"
    visitor.look("challenge-passkey")
    device.unlocks(False)
    visitor.press("Use a passkey")
    expect(told(visitor)).to_have_text("No passkey was used. Try again, or try another way.")
    device.unlocks(True)
    visitor.press("Use a passkey")
    is_ann(visitor)


def test_a_passkey_for_a_fresh_proof(visitor: Visitor, device: Authenticator) -> None:
    with_passkey(visitor)
    visitor.open("/login/?next=/verify/step-up/%3Fnext=/account/")
    visitor.press("Sign in with a passkey")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Confirm that it is you")
    visitor.look("step_up-passkey")
    visitor.press("Use a passkey")
    is_ann(visitor)


def test_a_browser_without_passkeys_after_the_password(visitor: Visitor, device: Authenticator) -> None:
    with_passkey(visitor)
    visitor.profile.add_init_script(NO_WEBAUTHN)
    visitor.sign_in("ann")
    expect(told(visitor)).to_have_text("This browser cannot use passkeys. Try another way.")
    expect(visitor.page.get_by_role("button", name="Use a passkey")).to_be_hidden()
    visitor.follow("Use a recovery code")
    assert visitor.heading == "Use a recovery code"


# The list that browsers open beside the field of the name. (Conditional mediation, in WebAuthn's words.)


@pytest.fixture
def offered(chromium: Browser, shop: str, axe: str, screenshots: Path | None) -> Iterator[Visitor]:
    """Somebody whose browser offers passkeys beside the name, too."""
    visitor = Visitor(chromium, shop, axe, screenshots)
    yield visitor
    visitor.leave()


def test_a_passkey_is_offered_beside_the_name(offered: Visitor) -> None:
    device = Authenticator(offered.page)
    with_passkey(offered)
    offered.posts.clear()
    offered.open("/login/?next=/account/")
    is_ann(offered)
    assert offered.posts == [OPTIONS, "/verify/passkey/"]
    assert len(device.credentials()) == 1


def test_the_button_takes_over_from_the_offer(offered: Visitor) -> None:
    device = Authenticator(offered.page)
    with_passkey(offered)
    device.answers(False)
    offered.posts.clear()
    with offered.page.expect_response(f"**{OPTIONS}"):
        offered.open("/login/?next=/account/")
    expect(offered.page.get_by_label("Username")).to_have_attribute("autocomplete", "username webauthn")
    offered.page.wait_for_timeout(500)  # the offer stands, and nobody takes it
    assert offered.path == "/login/?next=/account/"
    device.answers(True)  # what was asked before is not answered by that
    offered.press("Sign in with a passkey")
    is_ann(offered)
    assert offered.posts == [OPTIONS, "/verify/passkey/"], "one page, one call"


def test_what_is_asked_for_the_offer_is_given_up_when_the_password_is_sent(offered: Visitor) -> None:
    """Its answer begins a session: coming after the one to the password, it would sign the person out again."""
    Authenticator(offered.page)
    offered.page.route(f"**{OPTIONS}", lambda route: None)  # no answer so far
    offered.open("/login/")
    offered.page.evaluate("document.querySelector('main form').addEventListener('submit', (e) => e.preventDefault())")
    offered.page.get_by_label("Username").fill("ann")
    offered.page.get_by_label("Password").fill("whatever it is")
    # Well before the script gives up by itself.
    with offered.page.expect_event("requestfailed", lambda one: one.url.endswith(OPTIONS), timeout=10_000):
        offered.press("Sign in")
    assert offered.path == "/login/", "and not because the page was left"


def test_nothing_is_said_of_an_offer_that_fails(offered: Visitor, verify: VerifyServer) -> None:
    Authenticator(offered.page)
    verify.fail_next(status=503, times=3)
    with offered.page.expect_response(f"**{OPTIONS}"):
        offered.open("/login/")
    offered.page.wait_for_timeout(300)
    expect(told(offered)).to_be_hidden()
    verify._faults.clear()
    offered.press("Sign in with a passkey")
    expect(told(offered)).to_be_visible()
