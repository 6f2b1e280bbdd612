"""People with devices."""

from __future__ import annotations

from typing import Any

import pytest

from django_twilio_verify.contrib.otp.models import VerifyDevice
from django_twilio_verify.flows import devicefactors
from django_twilio_verify.testing import Authenticator
from tests.support import make_client, make_factor, make_user, one_moment


@pytest.fixture
def ann(db: Any) -> Any:
    user = make_user(is_staff=True)
    make_factor(user)
    return user


@pytest.fixture
def device(ann: Any) -> VerifyDevice:
    found: VerifyDevice = VerifyDevice.objects.get(user=ann)
    return found


def app_of(user: Any) -> tuple[VerifyDevice, Authenticator]:
    """An authenticator app that Twilio keeps; its enrolment used the code of the time step before."""
    client = make_client()
    begun = devicefactors.begin_totp(user, client, name="ann@shop")
    app = Authenticator.scan(begun.uri)
    with one_moment():
        done = devicefactors.confirm(begun.verification, client=client, user=user, code=app.code(steps=-1))
    assert done.factor is not None, done.checked.outcome
    return VerifyDevice.objects.get(factor=done.factor), app
