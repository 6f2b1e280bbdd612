"""What the tests of allauth's pages and of its headless API share."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures
from tests.support.basics import (
    PASSWORD,
    PHONE,
)


class Program:
    """A single-page app, or with ``kind="app"`` one on a phone, which keeps a token and no cookies."""

    def __init__(self, kind: str) -> None:
        self.kind, self.browser, self.token = kind, Client(), ""

    def call(self, method: str, path: str, **body: Any) -> Any:
        headers = {"accept": "application/json", "user-agent": "App/1"}
        if self.token:
            headers["X-Session-Token"] = self.token
        if self.kind == "app":
            self.browser.cookies.clear()
        answer = self.browser.generic(
            method, f"/_allauth/{self.kind}/v1/{path}", json.dumps(body), "application/json", headers=headers
        )
        if answer.content and (token := answer.json().get("meta", {}).get("session_token")):
            self.token = token
        return answer

    def sign_up(self, phone: str = PHONE, *, agreed: bool = True) -> Any:
        consent = {}
        if agreed:
            consent = {"consent": True, "disclosure": self.browser.get("/phone-disclosure/").json()["digest"]}
        return self.call("POST", "auth/signup", username="ann", password=PASSWORD, phone=phone, **consent)


def agreed() -> dict[str, str]:
    return {"consent": "on", "disclosure": disclosures.compose(Channel.SMS).digest}


def sign_up(browser: Client, name: str = "ann", phone: str = PHONE, **more: str) -> Any:
    body = {"username": name, "phone": phone, "password1": PASSWORD, **more}
    return browser.post("/accounts/signup/", body)


def whoami(browser: Client) -> str:
    return str(browser.get("/whoami/", headers={"accept": "application/json"}).json().get("user", ""))
