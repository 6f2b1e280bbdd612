"""What was proved and then erased is no proof any more: nothing tells which address it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.urls.converters import UUIDConverter

from django_twilio_verify import urls, verifications
from django_twilio_verify.choices import VERIFICATION_CHANNELS
from django_twilio_verify.exceptions import VerificationNotFound
from django_twilio_verify.factors import changes, erasure, own_factors
from django_twilio_verify.ledger.addressees import Addressee
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.verifications import holder, lifecycle
from tests.support.basics import OTHER_PHONE, PHONE, agree, last_code, make_client, make_factor, make_user, sign_in
from tests.support.pages import form

pytestmark = pytest.mark.django_db(transaction=True)


def proved_and_erased(purpose: str, user: Any = None) -> Verification:
    agree(user=user)
    started = lifecycle.start(recipient=PHONE, channel="sms", client=make_client(), user=user, purpose=purpose)
    checked = verifications.check(started.verification, code=last_code(), client=make_client(), user=user)
    assert checked.approved
    erasure.erase(Addressee.of(PHONE), reason="asked for", actor="carla")
    return checked.verification


def confirm(user: Any, factor: Factor) -> object:
    return own_factors.confirm(proved_and_erased("enroll", user))


def replace(user: Any, factor: Factor) -> object:
    return changes.replace(proved_and_erased("enroll", user), factor.pk, client=make_client())


def attach(user: Any, factor: Factor) -> object:
    return own_factors.attach(proved_and_erased("verify").pk, user=user, client=make_client())


def stop(user: Any, factor: Factor) -> object:
    return holder.stop(proved_and_erased("verify").pk, channels=["sms"], client=make_client(), button="Stop")


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


def as_visitor(client: Client) -> None:
    client.get("/verify/stop/")
    shown = client.get("/verify/stop/").context["form"].shown
    client.post("/verify/stop/", {"number": PHONE, "disclosure": shown.digest, "consent": "on"})


def as_login(client: Client) -> None:
    make_factor(make_user())
    sign_in(client)
    client.post("/verify/challenge/")


def as_enrollment(client: Client) -> None:
    client.force_login(make_user())
    client.get("/verify/enroll/sms/")
    client.post("/verify/enroll/sms/", form())


def pages_of(verification: Verification) -> Iterator[str]:
    """Every address that names a verification, once for each channel that may be named with it."""
    for pattern in urls.urlpatterns:
        converters = getattr(pattern.pattern, "converters", {})
        if not any(isinstance(one, UUIDConverter) for one in converters.values()):
            continue
        for channel in VERIFICATION_CHANNELS if "channel" in converters else [""]:
            named = {"verification": verification.pk} | ({"channel": channel.value} if channel else {})
            yield reverse(f"twilio_verify:{pattern.name}", kwargs=named)


@pytest.mark.parametrize("status", ["approved", "expired", "canceled", "failed", "max_attempts_reached"])
@pytest.mark.parametrize("begin", [as_visitor, as_login, as_enrollment])
def test_no_page_fails_over_a_verification_that_was_erased(begin: Callable[[Client], None], status: str) -> None:
    """Somebody has left a page of it open, or goes back to it."""
    client = Client()
    begin(client)
    verification = Verification.objects.get()
    Verification.objects.update(
        status=status, approved_at=verification.created_at if status == "approved" else None, pending_key=None
    )
    erasure.erase(Addressee.of(PHONE), reason="asked for", actor="carla")
    posted = {"code": last_code(), "channels": ["sms"], "disclosure": "0" * 64, "consent": "on"}
    asked = 0
    for page in pages_of(verification):
        for answer in (client.get(page), client.post(page, posted)):
            assert answer.status_code in (302, 404, 405), page
            asked += 1
    assert asked > 30
    assert Factor.objects.filter(confirmed_at__isnull=False, recipient_value="").count() == 0
