"""Whoever asks for a code to somebody else's number does not learn that its holder has opted out."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from django_twilio_verify import consent, verifications
from django_twilio_verify.exceptions import BackendRejected, ConsentRequired
from tests.support.basics import PHONE, agree, make_client, make_factor, make_user

pytestmark = pytest.mark.django_db


def refused(**values: Any) -> ConsentRequired:
    with pytest.raises(ConsentRequired) as error:
        verifications.start(recipient=PHONE, channel="sms", client=make_client("other"), **values)
    assert error.value.code == "consent_opted_out", "the site knows"
    return error.value


@pytest.mark.parametrize("site", ["", "Try it by email."])
def test_a_program_is_told_what_it_is_told_of_any_other_refusal(settings: Any, site: str) -> None:
    settings.TWILIO_VERIFY_ERROR_MESSAGES = {"cannot_send": site} if site else {}
    agree()
    consent.opt_out(recipient=PHONE, channel="sms")
    error, other = refused(), BackendRejected("cannot_send")
    assert (error.as_dict(), error.status_code) == (other.as_dict(), other.status_code)
    assert error.user_message == other.user_message == (site or error.user_message)
    assert pickle.loads(pickle.dumps(error)).status_code == other.status_code  # noqa: S301  of our own making


def test_the_holder_is_told() -> None:
    ann = make_user()
    make_factor(ann)
    consent.opt_out(recipient=PHONE, channel="sms")
    error = refused(user=ann)
    assert (error.as_dict()["code"], error.status_code) == ("consent_opted_out", 403)
