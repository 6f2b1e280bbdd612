"""Users with devices who log in on our pages, in memory and over HTTP with the real SDK."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from django_twilio_verify.models import Factor
from django_twilio_verify.testing import Authenticator, Browser, Phone
from tests.support.basics import sign_in
from tests.support.devices import World


@dataclass
class Holder:
    """Somebody with one device of each kind that a test asked for, and the browser tab that they use."""

    user: Any
    world: World
    tab: Client = field(default_factory=Client)
    app: Authenticator | None = None
    phone: Phone | None = None
    keys: Browser | None = None

    def hold(self, kind: str) -> Factor:
        factor: Factor
        if kind == "totp":
            factor, self.app = self.world.totp(self.user)
        elif kind == "passkey":
            factor, self.keys = self.world.passkey(self.user)
        else:
            platform = "none" if kind == "silent" else "fcm"
            factor, self.phone = self.world.phone(self.user, platform=platform)
        return factor

    def sign_in(self, tab: Client | None = None) -> None:
        """With the password."""
        sign_in(tab or self.tab, self.user.get_username())

    def path(self, factor: Factor, base: str = "/verify/challenge/") -> str:
        return f"{base}{factor.pk}/{factor.channel}/"

    def is_in(self, tab: Client | None = None) -> bool:
        return (tab or self.tab).get("/account/").status_code == 200

    # What each device does, for the page at ``path``.

    def type_code(self, path: str, *, steps: int = 0, **values: str) -> Any:
        assert self.app is not None
        return self.tab.post(path, {"code": self.app.code(steps=steps), **values})

    def ask_phone(self, path: str, **values: str) -> str:
        """Press "Ask my phone"; the page of the request."""
        response = self.tab.post(path, values)
        assert response.status_code == 302, response.content[:2000]
        found = re.match(r"/verify/push/[0-9a-f-]{36}/", response["Location"])
        assert found, response["Location"]
        return found.group()

    def question(self) -> dict[str, Any]:
        """What the phone is asked."""
        assert self.phone is not None
        return self.phone.pending()[-1]

    def number(self) -> str:
        fields = self.question()["details"]["fields"]
        return str(next(one["value"] for one in fields if one["label"] == "Number"))

    def say(self, answer: str) -> None:
        assert self.phone is not None
        sid = self.question()["sid"]
        {"yes": self.phone.approve, "no": self.phone.deny}[answer](sid)

    def options(self, path: str) -> Any:
        """What the page's script gets."""
        html = self.tab.get(path).content.decode()
        found = re.search(r'data-tv-options="([^"]+)"', html)
        assert found, html
        return self.tab.post(found.group(1).replace("&amp;", "&"))

    def credential(self, path: str) -> dict[str, str]:
        """What the page's script fills in."""
        assert self.keys is not None
        given = self.options(path).json()
        return {"verification": given["verification"], "credential": json.dumps(self.keys.get(given["options"]))}

    def use_passkey(self, path: str, **values: str) -> Any:
        return self.tab.post(path, {**self.credential(path), **values})

    def prove(self, factor: Factor, path: str, **values: str) -> Any:
        """The whole of it by ``factor``; the last answer."""
        if factor.channel == "totp":
            return self.type_code(path, **values)
        if factor.channel == "passkey":
            return self.use_passkey(path, **values)
        page = self.ask_phone(path, **values)
        typed = {"number": self.number()} if factor.channel == "push" else {}
        self.say("yes")
        return self.tab.post(page, {**typed, **values})
