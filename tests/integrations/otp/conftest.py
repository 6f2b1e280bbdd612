"""People with devices."""

from __future__ import annotations

from typing import Any

import pytest

from django_twilio_verify.contrib.otp.models import VerifyDevice
from tests.support.basics import make_factor, make_user


@pytest.fixture
def ann(db: Any) -> Any:
    user = make_user(is_staff=True)
    make_factor(user)
    return user


@pytest.fixture
def device(ann: Any) -> VerifyDevice:
    found: VerifyDevice = VerifyDevice.objects.get(user=ann)
    return found
