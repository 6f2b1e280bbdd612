"""A visitor of the shop: what a person does with the pages, and what is looked at on each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

from django_twilio_verify.testing import Authenticator
from tests.support import qr

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
NARROW = {"width": 320, "height": 640}
PASSWORDS = {"ann": "fresh-bread-at-seven", "admin": "keys-to-the-corner-shop"}
NUMBER = "(202) 555-0143"

WATCH_POLICY = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`blocked by the policy: ${event.violatedDirective} ${event.blockedURI}`));
"""

# What must hold on every page, ours and the example's.
RULES = """() => {
  const wrong = [];
  const shown = (element) => element.checkVisibility() && element.type !== "hidden";
  const nameOf = (element) => element.labels?.length ? element.labels[0].textContent : element.textContent;
  if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
  if (document.querySelectorAll("main").length !== 1) wrong.push("not one main");
  if (!document.documentElement.lang) wrong.push("no lang");
  for (const control of document.querySelectorAll("input, select, button, a[href]"))
    if (shown(control) && !nameOf(control).trim()) wrong.push("no name: " + control.outerHTML);
  for (const element of document.querySelectorAll("[aria-describedby], [aria-labelledby]"))
    for (const id of (element.getAttribute("aria-describedby") ?? element.getAttribute("aria-labelledby")).split(" "))
      if (!document.getElementById(id)) wrong.push(`nothing has the id ${id}`);
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`id twice: ${id}`);
  for (const element of document.querySelectorAll("[style]:not([style='']), [onclick], style, script:not([src])"))
    wrong.push("inline: " + element.outerHTML.slice(0, 80));
  for (const button of document.querySelectorAll("main button, main input[type=checkbox]")) {
    const box = button.getBoundingClientRect();
    if (shown(button) && (box.width < 24 || box.height < 24)) wrong.push("smaller than 24 px: " + button.outerHTML);
  }
  return wrong;
}"""

AXE = """async () => {
  const found = await axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  });
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" | ")}`);
}"""


class Visitor:
    """One browser profile, with the shop open in one tab and the phone in another."""

    def __init__(
        self,
        browser: Browser,
        shop: str,
        axe: str,
        pictures: Path | None,
        *,
        scripts: bool = True,
        mobile: bool = False,
    ) -> None:
        self.shop = shop
        self.complaints: list[str] = []
        self.posts: list[str] = []
        self._axe, self._pictures, self._scripts = axe, pictures, scripts
        self.profile = browser.new_context(
            viewport=PHONE,  # type: ignore[arg-type]
            locale="en-GB",
            java_script_enabled=scripts,
            is_mobile=mobile,
            has_touch=mobile,
        )
        self.profile.add_init_script(WATCH_POLICY)
        self.page = self._tab()

    def _tab(self) -> Page:
        page = self.profile.new_page()
        # Hashing ten recovery codes takes half a second alone, and many on a machine that runs three suites at once.
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        # A page with such a status is no mistake of the page's; nor that the admin's pages name no icon.
        expected = re.search(r"status of (404|409|410|429|503)", message.text) or message.location["url"].endswith(
            "/favicon.ico"
        )
        if message.type == "error" and not expected:
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        if request.method == "POST":
            self.posts.append(request.url.removeprefix(self.shop))

    def leave(self) -> None:
        """Close the browser's window. Fails if anything was written to its console as an error."""
        self.profile.close()
        assert not self.complaints, self.complaints

    # What a person does

    def open(self, path: str) -> None:
        self.page.goto(self.shop + path)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def send(self, name: str | re.Pattern[str]) -> None:
        """Press ``name``, which sends a form, and wait for the page that comes: leaving before would undo it."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name).first.click()

    def sign_in(self, name: str, path: str = "/login/") -> None:
        self.open(path)
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(PASSWORDS[name])
        self.send(re.compile("^(Sign in|Log in)$"))

    def sign_out(self) -> None:
        self.open("/account/")
        self.send("Sign out")

    def fill_number(self, number: str = NUMBER, country: str = "US") -> None:
        self.page.get_by_label("Country").select_option(country)
        self.page.get_by_label("Phone number").fill(number)

    @property
    def consent(self) -> Locator:
        """The box to agree with; there may be another one, of a browser to be trusted."""
        return self.page.get_by_role("checkbox", name=re.compile("^I agree"))

    def agree(self) -> None:
        self.consent.check()

    def come_back(self) -> None:
        """Back from another tab: a headless browser shows all of them at once, so the page is told."""
        self.page.bring_to_front()
        self.page.evaluate("for (const name of ['blur', 'focus']) window.dispatchEvent(new Event(name))")

    def read_qr(self) -> str:
        """What a camera reads of the QR code on the page."""
        return qr.read(self.page.locator(".tv-qr").inner_html())

    def play_the_phone(self) -> str:
        """Open the newest link on the page that plays the phone; what the carrier says."""
        tab = self._tab()
        tab.goto(f"{self.shop}/phone/")
        with self.profile.expect_page() as opened:
            tab.get_by_role("link", name="the link of the check").first.click()
        said = opened.value.get_by_role("heading", level=1).inner_text()
        opened.value.close()
        tab.close()
        return said

    def sign_in_to_the_app(self) -> None:
        """On the page that plays the phone, sign in to the shop's app, as who is signed in here."""
        tab = self._tab()
        tab.goto(f"{self.shop}/phone/")
        tab.get_by_role("button", name="Sign in to the app").click()
        expect(tab.get_by_role("status")).to_contain_text("You are signed in to the app")
        tab.close()

    def number_on_the_phone(self) -> str:
        """What the shop's app shows to be typed here."""
        tab = self._tab()
        tab.goto(f"{self.shop}/phone/")
        found = re.search(r"\b\d\d\b", tab.locator(".prompt dl dd").last.inner_text())
        tab.close()
        assert found
        return found[0]

    def answer_on_the_phone(self, name: str) -> None:
        """Press ``name``, "Approve" or "Deny", in the shop's app."""
        tab = self._tab()
        tab.goto(f"{self.shop}/phone/")
        tab.get_by_role("button", name=name).click()
        expect(tab.get_by_role("status")).to_contain_text("On the phone:")
        tab.close()

    def messages(self) -> list[str]:
        """What is on the phone, newest first; read in a tab of its own."""
        tab = self._tab()
        tab.goto(f"{self.shop}/phone/")
        found = [" ".join(text.split()) for text in tab.locator(".phone li").all_inner_texts()]
        tab.close()
        return [text for text in found if "No messages yet" not in text]

    def newest_code(self) -> str:
        found = re.search(r"code is (\d+)", self.messages()[0])
        assert found
        return found[1]

    def enter(self, code: str) -> None:
        self.page.get_by_label("Code", exact=True).fill(code)
        self.send("Continue")

    def add_app(self, name: str = "") -> Authenticator:
        """Enroll an authenticator app, by its QR code; it has shown one code so far. Ends where recovery codes are, for
        the first one, or at the account.
        """
        self.open("/verify/enroll/totp/?next=/account/")
        if name:
            self.page.get_by_label("Name", exact=True).fill(name)
        self.send("Show the QR code")
        app = Authenticator.scan(self.read_qr())
        self.enter(app.code())
        return app

    def add_phone(self, path: str = "/verify/enroll/sms/?next=/account/") -> list[str]:
        """Enroll a phone; returns the recovery codes."""
        self.open(path)
        self.fill_number()
        self.agree()
        self.send("Send code")
        self.enter(self.newest_code())
        return self.page.locator(".tv-codes code").all_inner_texts()

    # What is looked at

    @property
    def path(self) -> str:
        return self.page.url.removeprefix(self.shop)

    @property
    def heading(self) -> str:
        return self.page.get_by_role("heading", level=1).inner_text()

    def focused(self) -> Any:
        """Tag, id and classes of what has the focus."""
        return self.page.evaluate("() => { const a = document.activeElement; return [a.tagName, a.id, a.className]; }")

    def look(self, name: str) -> None:
        """Take pictures of the page, and hold it against the rules for every page."""
        if self._pictures is not None:
            self._take_pictures(name, self._pictures)
        self.page.emulate_media(color_scheme="dark")
        self.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        if self._scripts:
            self._hold_against_axe(f"{name}, dark")
        self.page.emulate_media(color_scheme="light")
        wrong = self.page.evaluate(RULES)
        assert not wrong, (name, wrong)
        self.page.set_viewport_size(NARROW)  # type: ignore[arg-type]
        too_wide = self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert not too_wide, f"{name} does not fit 320 px"
        self.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        if self._scripts:
            self._hold_against_axe(name)

    def _take_pictures(self, name: str, folder: Path) -> None:
        for suffix, size in (("phone", PHONE), ("desk", DESK)):
            self.page.set_viewport_size(size)  # type: ignore[arg-type]
            self.page.screenshot(path=folder / f"{name}-{suffix}.png", full_page=True, caret="initial")
        self.page.emulate_media(color_scheme="dark")
        self.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        self.page.screenshot(path=folder / f"{name}-dark.png", full_page=True, caret="initial")

    def _hold_against_axe(self, name: str) -> None:
        # By the debugger: a script element would be blocked by the page's policy.
        self.page.evaluate(self._axe)
        found = self.page.evaluate(AXE)
        assert not found, (name, found)
