"""A receiver that fails: what protects the account is done all the same. ``tests/signals`` has the flows."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.test import Client

from django_twilio_verify.exceptions import KeysDoNotFit
from django_twilio_verify.factors import devices, resets
from django_twilio_verify.models import Factor
from django_twilio_verify.signals import factor_added, factor_removed, factors_reset
from tests.support.basics import OTHER_PHONE, last_code, make_client, make_secret
from tests.support.changes import path, proved, replace, signed_in
from tests.support.receivers import Broken, broken, listening

pytestmark = pytest.mark.django_db(transaction=True)


def reset(factor: Factor) -> None:
    resets.request(factor.user, reason="Lost", actor="sue", at_once=True, link=lambda token: f"https://a/{token}/")


@pytest.mark.parametrize("engine", ["db", "cache"])
def test_a_reset_ends_the_sessions_and_writes_the_letter(
    phone: Factor, inbox: Factor, settings: Any, engine: str
) -> None:
    settings.SESSION_ENGINE, settings.TWILIO_VERIFY_POLICY_RECHECK_SECONDS = (
        f"django.contrib.sessions.backends.{engine}",
        0,
    )
    thief = proved(Client())
    mail.outbox.clear()
    with broken(factor_removed, factors_reset):
        reset(phone)
    assert not Factor.objects.exists() and not signed_in(thief)
    assert [one.to for one in mail.outbox] == [[phone.user.email]], "with the link that brings the user back"


def test_sessions_that_could_not_be_ended_are_not_passed_over(phone: Factor) -> None:
    """Whoever asked for the reset learns of it; all else that belongs to it is done."""
    with broken(resets.carried_out), listening([factors_reset]) as heard, pytest.raises(Broken):
        reset(phone)
    assert not Factor.objects.exists() and len(heard.told) == 1
    assert [one.to for one in mail.outbox] == [[phone.user.email]]


@pytest.mark.parametrize("engine", ["db", "cache"])
@pytest.mark.parametrize("what", ["remove", "replace"])
def test_signing_out_everywhere_else_is_done_with_the_removal(
    phone: Factor, inbox: Factor, settings: Any, what: str, engine: str
) -> None:
    settings.SESSION_ENGINE, settings.TWILIO_VERIFY_POLICY_RECHECK_SECONDS = (
        f"django.contrib.sessions.backends.{engine}",
        0,
    )
    thief, here = proved(Client()), proved(Client())
    mail.outbox.clear()
    with broken(factor_removed, factor_added):
        if what == "remove":
            answer = here.post(path(phone, "remove"), {"sign_out": "on"})
        else:
            page = replace(here, phone, OTHER_PHONE, sign_out="on")
            answer = here.post(page, {"code": last_code()})
    assert answer.status_code == 302
    assert not Factor.objects.filter(pk=phone.pk).exists()
    assert signed_in(here) and not signed_in(thief)
    assert mail.outbox, "the user is told"


def test_a_removal_is_told_where_the_keys_do_not_fit(phone: Factor, settings: Any) -> None:
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k2", make_secret("2"))]
    with listening([factor_removed]) as heard, pytest.raises(KeysDoNotFit):
        devices.remove(phone.user, phone.pk, client=make_client())
    assert [told["factor"].pk for told in heard.of("factor_removed")] == [phone.pk] and not Factor.objects.exists()
