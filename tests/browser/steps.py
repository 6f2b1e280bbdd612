"""Steps that journeys in a real browser share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.browser.visitor import Visitor

ROOT = Path(__file__).resolve().parents[2]
Manage = Callable[..., str]


def heading(visitor: Visitor, text: str | re.Pattern[str]) -> None:
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(text)


def problem(visitor: Visitor) -> Any:
    return visitor.page.locator(".tv-problem")


def sent_to(visitor: Visitor, path: str) -> None:
    expect(visitor.page).to_have_url(visitor.shop + path)


def kept(visitor: Visitor) -> None:
    """Past the recovery codes."""
    heading(visitor, "Your recovery codes")
    visitor.press("I have kept them: continue")
    sent_to(visitor, "/account/")
