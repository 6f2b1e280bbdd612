"""What happens to an account while an answer of its login is with the provider."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.signals import recovery_code_used, verification_approved
from tests.support.basics import last_code, make_factor, make_user

from .test_rest_framework import begun, post

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("by", ["code", "recovery_code"])
@pytest.mark.parametrize("change", ["password", "deactivated", "deleted"])
def test_an_account_that_has_changed_gets_no_token(change: str, by: str) -> None:
    api, ann = APIClient(), make_user()
    make_factor(ann)
    recovery_code = recovery_codes.issue(ann)[0]
    login, verification = begun(api)

    def changes(**named: Any) -> None:
        if change == "deleted":
            type(ann).objects.get(pk=ann.pk).delete()
        elif change == "password":
            ann.set_password("another one")
            ann.save()
        else:
            type(ann).objects.filter(pk=ann.pk).update(is_active=False)

    given = {"code": last_code(), "verification": verification} if by == "code" else {"recovery_code": recovery_code}
    heard = verification_approved if by == "code" else recovery_code_used
    heard.connect(changes)
    try:
        answer = post(api, "login/check/", login=login, **given)
    finally:
        heard.disconnect(changes)
    assert answer.status_code >= 400 and not Token.objects.exists(), answer.data
