"""What goes wrong in the login views shows no code and no login."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from django_twilio_verify.contrib.rest_framework import views
from django_twilio_verify.factors import recovery_codes
from tests.support.basics import last_code, make_factor, make_user
from tests.support.tracebacks import everything_shown

from .test_rest_framework import begun, post

pytestmark = pytest.mark.django_db


class Broken(Exception):
    """Something of the site's own."""


def breaks(*args: Any, **named: Any) -> Any:
    raise Broken


@pytest.mark.parametrize("step", ["start", "check", "recovery"])
def test_no_traceback_shows_them(monkeypatch: Any, step: str) -> None:
    api, ann = APIClient(), make_user()
    factor = make_factor(ann)
    code = recovery_codes.issue(ann)[0]
    login, verification = begun(api)
    if step == "recovery":
        monkeypatch.setattr(recovery_codes, "check_password", breaks)
    else:
        monkeypatch.setattr(views, "_second_factor", breaks)
    body = {
        "start": {"factor": factor.pk, "channel": "sms"},
        "check": {"verification": verification, "code": last_code()},
        "recovery": {"recovery_code": code},
    }
    with pytest.raises(Broken) as broken:
        post(api, f"login/{'start' if step == 'start' else 'check'}/", login=login, **body[step])
    shown = everything_shown(broken.value)
    for name, secret in (("login", login), ("code", last_code()), ("recovery", code)):
        assert secret not in shown, name
