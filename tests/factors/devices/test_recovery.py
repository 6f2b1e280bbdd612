"""Few recovery codes left are told of; twenty with one code spend it once."""

from __future__ import annotations

from typing import Any

import pytest

from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.models import RecoveryCode
from tests.support.basics import make_user, race


@pytest.mark.django_db
def test_low_stock(ann: Any) -> None:
    assert not recovery_codes.is_low(ann), "none were ever made"
    codes = recovery_codes.issue(ann)
    told = []
    for code in codes:
        assert recovery_codes.redeem(ann, code)
        told.append((recovery_codes.remaining(ann), recovery_codes.is_low(ann)))
    assert told == [(left, left <= 3) for left in range(9, -1, -1)]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_twenty_with_one_code(settings: Any) -> None:
    settings.TWILIO_VERIFY_LIMITS = {"recovery_hour": 100}
    ann = make_user("ann")
    code = recovery_codes.issue(ann)[0]
    results = race(20, lambda n: recovery_codes.redeem(ann, code))
    assert sorted(map(str, results)) == ["False"] * 19 + ["True"]
    assert RecoveryCode.objects.exclude(used_at=None).count() == 1
