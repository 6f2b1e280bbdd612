"""Forms and text of a page."""

from __future__ import annotations

import re

from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures
from tests.support.basics import EMAIL, PHONE


def form(channel: str = "sms", **values: str) -> dict[str, str]:
    """What the page posts when it is filled in rightly."""
    address = {"email": EMAIL} if channel == "email" else {"number": PHONE, "country": ""}
    shown = disclosures.compose(Channel(channel)).digest
    return {**address, "disclosure": shown, "consent": "on", **values}


def restart_url(page) -> str:
    """Where the button of a page that is over posts to."""
    html = page.content.decode()
    found = re.search(
        r'<form method="post" action="([^"]+)"[^>]*>(?:(?!</form>).)*(?:Send a new code|again)', html, re.S
    )
    assert found, html
    return found[1].replace("&amp;", "&")


def text(response) -> str:
    """What a person reads of the page, white space folded."""
    body = re.sub(r"<(script|style).*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).replace("&#x27;", "'").split())
