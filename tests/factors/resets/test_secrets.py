"""A reset that fails half-way shows nobody the token of its link."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from django_twilio_verify.factors import resets
from tests.support.basics import make_factor, make_user
from tests.support.tracebacks import everything_shown

pytestmark = pytest.mark.django_db

TOKEN = "the-token-of-the-link"


class Broken(Exception):
    """The sessions cannot be ended, or there is no post office."""


def breaks(*args: Any, **named: Any) -> Any:
    raise Broken


def request(user: Any, **values: Any) -> Any:
    return resets.request(
        user, reason="Lost it.", actor="shell", link=lambda token: f"https://a.test/{token}", **values
    )


@pytest.mark.parametrize("step", ["request", "carry_out", "send_link"])
def test_no_report_shows_it(monkeypatch: Any, step: str) -> None:
    ann = make_user(email="ann@example.org")
    make_factor(ann)
    done = request(ann, at_once=True).reset if step == "send_link" else None
    monkeypatch.setattr(resets.secrets, "token_urlsafe", lambda size: TOKEN)
    monkeypatch.setattr(resets.notices, "send", breaks)
    if step == "carry_out":
        monkeypatch.setattr(resets, "_announce", breaks)
    asked = partial(resets.send_link, done.pk, actor="shell") if done else partial(request, ann, at_once="out" in step)
    with pytest.raises(Broken) as broken:
        asked()
    assert TOKEN not in everything_shown(broken.value)
