"""The pages of codes, where a person has factors that they cannot ask."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.models import Factor
from tests.support.basics import make_factor, sign_in
from tests.support.devices import World

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("case", ["an app that the provider does not know any more", "all ways too weak"])
def test_whose_factors_cannot_be_asked_goes_on_by_recovery_code(
    local: World, ann: Any, settings: Any, clock: Any, case: str
) -> None:
    if case == "all ways too weak":
        make_factor(ann)
        settings.TWILIO_VERIFY_MINIMUM_ASSURANCE = "totp"
    else:
        local.totp(ann)
        Factor.objects.update(lost_at=timezone.now())
    code, browser = recovery_codes.issue(ann)[0], Client()
    sign_in(browser)
    shown = browser.get("/verify/", follow=True)
    assert (shown.status_code, shown.redirect_chain[-1][0].partition("?")[0]) == (200, "/verify/challenge/recovery/")
    assert browser.post("/verify/challenge/recovery/", {"code": code}).status_code == 302
    assert browser.get("/verify/").status_code == 200
