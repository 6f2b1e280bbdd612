"""After ``hold`` has returned, nothing of the recipient is deleted. The rival acts when the test says."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from django_twilio_verify import consent
from django_twilio_verify.factors import erasure
from django_twilio_verify.ledger import retention
from django_twilio_verify.ledger.addressees import Addressee
from django_twilio_verify.models import ConsentEvidence, LegalHold
from django_twilio_verify.models.clock import database_now
from tests.support.basics import OTHER_PHONE, PHONE, agree, make_client, make_user

pytestmark = pytest.mark.django_db(transaction=True)


class Rival:
    """Sets a hold in another process, as far as the database can tell."""

    def __init__(self) -> None:
        self.returned = False
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        try:
            retention.hold(Addressee.of(PHONE), reason="suit", actor="carla")
            self.returned = True
        finally:
            connections.close_all()

    def begin(self) -> None:
        self.thread.start()
        self.thread.join(1)

    def end(self) -> None:
        self.thread.join(60)
        assert LegalHold.objects.count() == 1


def test_a_hold_waits_for_an_erasure_that_has_asked_for_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    agree(user=make_user())
    rival, original, returned = Rival(), erasure._erase, []

    def seam(*args: Any) -> Any:
        rival.begin()
        erased = original(*args)
        returned.append(rival.returned)
        return erased

    monkeypatch.setattr(erasure, "_erase", seam)
    erasure.erase(Addressee.of(PHONE), reason="asked for", actor="ann")
    rival.end()
    assert returned == [False] and not ConsentEvidence.objects.exists()


@pytest.mark.parametrize("look", [1, 2])
def test_nothing_is_purged_after_a_hold_has_returned(monkeypatch: pytest.MonkeyPatch, look: int) -> None:
    """The rival begins after the first look for holds, and after the one behind the locks."""
    ann = make_user()
    for number in (PHONE, OTHER_PHONE):
        agree(number, user=ann)
        consent.withdraw(recipient=number, channel="sms", user=ann, client=make_client())
    monkeypatch.setattr(retention, "database_now", lambda using: database_now(using) + timedelta(days=9000))
    rival, original, looks, returned = Rival(), retention._Endings.of, [], []

    def seam(recipients: Any) -> Any:
        looks.append(True)
        if len(looks) == look:
            rival.begin()
            returned.append(rival.returned)
        return original(recipients)

    monkeypatch.setattr(retention._Endings, "of", seam)
    purged = retention.purge(actor="nightly")
    rival.end()
    kept = ConsentEvidence.objects.filter(recipient=PHONE).count()
    assert (returned, purged.held, kept) == (([True], 2, 2) if look == 1 else ([False], 0, 0))
    assert not ConsentEvidence.objects.filter(recipient=OTHER_PHONE).exists()
