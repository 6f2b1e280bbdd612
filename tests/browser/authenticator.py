"""A device's own authenticator in Chromium, played by the debugger: real keys, signed by the browser itself.

https://chromedevtools.github.io/devtools-protocol/tot/WebAuthn/
"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

INTERNAL = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class Authenticator:
    """At the tab ``page``. It says yes by itself, and at once."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        self.id = ""
        self.attach()

    def attach(self) -> None:
        """Another one, empty, in place of the one that there was."""
        self.detach()
        made = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": INTERNAL})
        self.id = made["authenticatorId"]

    def detach(self) -> None:
        if self.id:
            self._send("removeVirtualAuthenticator")
            self.id = ""

    def unlocks(self, is_unlocked: bool) -> None:
        """Whether the finger, face or PIN is the right one."""
        self._send("setUserVerified", isUserVerified=is_unlocked)

    def answers(self, is_there: bool) -> None:
        """Whether somebody is there to say yes. Otherwise the prompt stays open."""
        self._send("setAutomaticPresenceSimulation", enabled=is_there)

    def credentials(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._send("getCredentials")["credentials"]
        return found

    def put_back(self, credential: dict[str, Any], *, sign_count: int) -> None:
        """``credential`` as it was when its counter stood at ``sign_count``: what a copy of the device would have."""
        self._send("removeCredential", credentialId=credential["credentialId"])
        self._send("addCredential", credential={**credential, "signCount": sign_count})

    def _send(self, method: str, **more: Any) -> Any:
        return self._session.send(f"WebAuthn.{method}", {"authenticatorId": self.id, **more})
