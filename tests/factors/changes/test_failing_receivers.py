"""A receiver of the site's that fails: what protects the account is done all the same, and the error is not hidden."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core import mail
from django.dispatch import Signal
from django.test import Client

from django_twilio_verify.exceptions import KeysDoNotFit
from django_twilio_verify.factors import devices, recovery_codes, resets
from django_twilio_verify.login import trusted_browsers
from django_twilio_verify.models import Factor, TrustedBrowser
from django_twilio_verify.signals import (
    browsers_revoked,
    factor_confirmed,
    factor_held,
    factor_removed,
    factors_reset,
    recovery_code_used,
)
from django_twilio_verify.verifications import throttling
from tests.support.basics import OTHER_PHONE, PASSWORD, last_code, make_client, make_secret, make_user, wrong_code
from tests.support.changes import path, proved, replace, signed_in

pytestmark = pytest.mark.django_db(transaction=True)


class Broken(Exception):
    """The site's task queue is down."""


@contextmanager
def broken(*signals: Signal) -> Iterator[None]:
    """A receiver that fails, before all others: as one that the site connects while it is imported."""

    def fail(**kwargs: Any) -> None:
        raise Broken

    for signal in signals:
        signal.connect(fail)
        signal.receivers.insert(0, signal.receivers.pop())
        signal.sender_receivers_cache.clear()
    try:
        yield
    finally:
        for signal in signals:
            signal.disconnect(fail)


def fails(error: BaseException) -> bool:
    return isinstance(error, Broken) or (isinstance(error, ExceptionGroup) and all(map(fails, error.exceptions)))


@pytest.mark.parametrize("engine", ["db", "cache"])
@pytest.mark.parametrize("which", ["factor_removed", "factors_reset", "both"])
def test_a_reset_ends_the_sessions_and_writes_the_letter(
    phone: Factor, inbox: Factor, settings: Any, which: str, engine: str
) -> None:
    settings.SESSION_ENGINE, settings.TWILIO_VERIFY_DECISION_AGE = f"django.contrib.sessions.backends.{engine}", 0
    thief = proved(Client())
    mail.outbox.clear()
    signals = {"factor_removed": [factor_removed], "factors_reset": [factors_reset]}
    with broken(*signals.get(which, [factor_removed, factors_reset])), pytest.raises((Broken, ExceptionGroup)) as error:
        resets.request(phone.user, reason="Lost", actor="sue", at_once=True, link=lambda token: f"https://a/{token}/")
    assert fails(error.value)
    assert not Factor.objects.exists() and not signed_in(thief)
    assert [one.to for one in mail.outbox] == [[phone.user.email]], "with the link that brings the user back"


@pytest.mark.parametrize("engine", ["db", "cache"])
@pytest.mark.parametrize("what", ["remove", "replace"])
def test_signing_out_everywhere_else_is_done_with_the_removal(
    phone: Factor, inbox: Factor, settings: Any, what: str, engine: str
) -> None:
    settings.SESSION_ENGINE, settings.TWILIO_VERIFY_DECISION_AGE = f"django.contrib.sessions.backends.{engine}", 0
    thief, here = proved(Client()), proved(Client())
    mail.outbox.clear()
    here.raise_request_exception = False
    with broken(factor_removed, factor_confirmed):
        if what == "remove":
            answer = here.post(path(phone, "remove"), {"sign_out": "on"})
        else:
            page = replace(here, phone, OTHER_PHONE, sign_out="on")
            answer = here.post(page, {"code": last_code()})
    assert answer.status_code == 500
    assert not Factor.objects.filter(pk=phone.pk).exists()
    assert not signed_in(thief)
    assert mail.outbox, "the user is told"


def test_a_recovery_code_that_was_used_is_told_of(phone: Factor) -> None:
    code = recovery_codes.issue(phone.user)[0]
    mail.outbox.clear()
    with broken(recovery_code_used), pytest.raises(Broken):
        recovery_codes.redeem(phone.user, code, make_client())
    assert len(mail.outbox) == 1


def test_a_factor_that_is_held_is_told_of(phone: Factor) -> None:
    Factor.objects.update(failures=throttling.MAX_FAILURES - 1, failures_told=25)
    thief = Client()
    thief.raise_request_exception = False
    thief.post("/login/", {"username": "ann", "password": PASSWORD})
    page = thief.post("/verify/challenge/")["Location"]
    with broken(factor_held):
        assert thief.post(page, {"code": wrong_code(last_code())}).status_code == 500
    phone.refresh_from_db()
    assert phone.held_at is not None and len(mail.outbox) == 1


def test_browsers_of_every_user_are_revoked() -> None:
    people = [make_user(name) for name in ("cat", "dan", "eli")]
    browsers = [trusted_browsers.trust(person, make_client(person.username), days=30).browser for person in people]
    with broken(browsers_revoked), pytest.raises(ExceptionGroup) as error:
        trusted_browsers.revoke_each([browser.pk for browser in browsers])
    assert fails(error.value) and len(error.value.exceptions) == len(people)
    assert not TrustedBrowser.objects.filter(revoked_at=None).exists()


def test_a_removal_is_told_where_the_keys_do_not_fit(phone: Factor, settings: Any) -> None:
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k2", make_secret("2"))]
    told: list[Any] = []
    hear = lambda **values: told.append(values["factor"].pk)  # noqa: E731
    factor_removed.connect(hear)
    try:
        with pytest.raises(KeysDoNotFit):
            devices.remove(phone.user, phone.pk, client=make_client())
    finally:
        factor_removed.disconnect(hear)
    assert told == [phone.pk] and not Factor.objects.exists()
