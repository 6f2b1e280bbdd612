"""What was proved and then erased is no proof any more: nothing tells which address it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from django_twilio_verify.exceptions import VerificationNotFound
from django_twilio_verify.flows import erasure, factors, managing, verifications, withdrawal
from django_twilio_verify.flows.addressees import Addressee
from django_twilio_verify.models import Factor, Verification
from tests.support import OTHER_PHONE, PHONE, agree, last_code, make_client, make_factor, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def proved_and_erased(purpose: str, user: Any = None) -> Verification:
    agree(user=user)
    started = verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=user, purpose=purpose)
    checked = verifications.check(started.verification, code=last_code(), client=make_client(), user=user)
    assert checked.approved
    erasure.erase(Addressee.of(PHONE), reason="asked for", actor="carla")
    return checked.verification


def confirm(user: Any, factor: Factor) -> object:
    return factors.confirm(proved_and_erased("enrol", user))


def replace(user: Any, factor: Factor) -> object:
    return managing.replace(proved_and_erased("enrol", user), factor.pk, client=make_client())


def attach(user: Any, factor: Factor) -> object:
    return factors.attach(proved_and_erased("verify").pk, user=user, client=make_client())


def stop(user: Any, factor: Factor) -> object:
    return withdrawal.stop(proved_and_erased("verify").pk, channels=["sms"], client=make_client(), button="Stop")


@pytest.mark.parametrize("act", [confirm, replace, attach, stop])
def test_a_proof_of_what_was_erased_is_not_found(act: Callable[[Any, Factor], object]) -> None:
    ann = make_user()
    factor = make_factor(ann, OTHER_PHONE)
    with pytest.raises(VerificationNotFound):
        act(ann, factor)
    assert Factor.objects.get() == factor


def test_the_stop_page_leads_on_from_a_proof_of_what_was_erased() -> None:
    visitor = Client()
    visitor.get("/verify/stop/")
    page = visitor.get("/verify/stop/").context["form"]
    sent = visitor.post("/verify/stop/", {"number": PHONE, "disclosure": page.shown.digest, "consent": "on"})
    proved = visitor.post(sent["Location"], {"code": last_code()})["Location"]
    erasure.erase(Addressee.of(PHONE), reason="asked for", actor="carla")
    assert visitor.get(proved).status_code == visitor.post(proved, {"channels": ["sms"]}).status_code == 404
