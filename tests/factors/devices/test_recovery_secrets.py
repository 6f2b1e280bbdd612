"""What goes wrong with recovery codes shows none of them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.hashers import get_hasher

from django_twilio_verify.factors import recovery_codes
from tests.support.basics import make_user
from tests.support.tracebacks import everything_shown

pytestmark = pytest.mark.django_db


class Broken(Exception):
    """The hasher has no memory left, or there is no post office."""


def test_a_hasher_that_fails(monkeypatch: Any) -> None:
    ann = make_user()
    code = recovery_codes.issue(ann)[0]

    def breaks(self: Any, password: str, salt: str, **costs: Any) -> str:
        raise Broken

    monkeypatch.setattr(type(get_hasher("default")), "encode", breaks)
    shown = ""
    for typed in (code, f"zzzz{code[4:]}"):
        with pytest.raises(Broken) as broken:
            recovery_codes.redeem(ann, typed)
        shown += everything_shown(broken.value)
    assert code.replace("-", "")[4:] not in shown and code[5:] not in shown


def test_codes_of_which_nobody_could_be_told(monkeypatch: Any) -> None:
    made: list[str] = []
    issue = recovery_codes.issue

    def issued(*args: Any) -> list[str]:
        made.extend(issue(*args))
        return list(made)

    def breaks(*args: Any, **named: Any) -> None:
        raise Broken

    monkeypatch.setattr(recovery_codes, "issue", issued)
    monkeypatch.setattr(recovery_codes.notices, "send", breaks)
    with pytest.raises(Broken) as broken:
        recovery_codes.renew(make_user())
    assert made[0] not in everything_shown(broken.value)
