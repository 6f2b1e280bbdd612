"""The rotation beside the site, beside itself, and killed half-way: on real databases, in real threads."""

from __future__ import annotations

import os
import signal
import warnings
from typing import Any

import pytest
from django.db import connection

from django_twilio_verify import consent, verifications
from django_twilio_verify.ledger import rotation
from django_twilio_verify.models import AuditEvent, ConsentEvent, Factor, FingerprintAlias, Verification
from tests.support.basics import agree, make_client, make_factor, make_user, race, release_opt_out
from tests.support.keys import GONE1, K1, K2, keys, rotate, state

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]

PEOPLE = 12


def number(index: int) -> str:
    return f"+15017123{index:03}"


def people() -> list[Any]:
    """Accounts with a factor and consent under the first key; every third number is stopped."""
    made = [make_user(f"user{index}") for index in range(PEOPLE)]
    with keys(K1):
        for index, user in enumerate(made):
            make_factor(user, number(index))
            verifications.start(recipient=number(index), channel="sms", user=user, client=make_client(f"s{index}"))
            if not index % 3:
                consent.opt_out(recipient=number(index), channel="sms")
    return made


def states(users: list[Any]) -> list[str]:
    return [state(number(index), user=user) for index, user in enumerate(users)]


def under_k1() -> list[int]:
    return [
        Factor.objects.filter(key__startswith="k1.").count(),
        Verification.objects.filter(recipient_fingerprint__startswith="k1.").count(),
    ]


def test_several_rotations_at_once_do_it_once() -> None:
    users = people()
    with keys(K1):
        before = states(users)
    with keys(K2, K1):
        done = race(4, lambda index: rotation.rotate(actor=f"ann{index}", batch=3))
        assert [one for one in done if isinstance(one, BaseException)] == []
        assert sum(one.factors for one in done if not isinstance(one, BaseException)) == PEOPLE
        assert sum(one.verifications for one in done if not isinstance(one, BaseException)) == PEOPLE
        assert under_k1() == [0, 0]
        Verification.objects.all().delete()
        assert rotate()[0] == 0
    assert FingerprintAlias.objects.count() == 2 * PEOPLE
    with keys(K2, GONE1):
        assert states(users) == before


def test_the_site_goes_on_while_it_runs() -> None:
    """Consents come and go, codes are sent and resent, numbers are stopped: nothing fails, nothing is forgotten."""
    users = people()
    Verification.objects.all().delete()

    def work(index: int) -> None:
        if index == 0:
            for _ in range(4):
                rotation.rotate(actor="ann", batch=2)
            return
        user, client = users[index], make_client(f"s{index}")
        for turn in range(3):
            release_opt_out(number(index))
            agree(number(index), user=user)
            verifications.start(recipient=number(index), channel="sms", user=user, client=client)
            if (index + turn) % 2:
                consent.withdraw(recipient=number(index), channel="sms", user=user, client=client)
        if index % 4 == 3:
            consent.opt_out(recipient=number(index), channel="sms")

    with keys(K2, K1):
        assert race(8, work) == [None] * 8
        before = states(users)
        assert before[3] == before[7] == "consent_opted_out"
        rotate()
        assert under_k1() == [0, 0]
        Verification.objects.all().delete()
        assert rotate()[0] == 0
    with keys(K2, GONE1):
        assert states(users) == before


def test_a_run_that_is_killed_is_continued_by_the_next() -> None:
    users = people()
    Verification.objects.all().delete()
    with keys(K1):
        before = states(users)
    with keys(K2, K1):
        for most in (1, 3, 6):
            assert killed_after(most) == -signal.SIGKILL
        done = FingerprintAlias.objects.count() + Factor.objects.filter(key__startswith="k2.").count()
        assert 0 < done < 3 * PEOPLE
        assert not AuditEvent.objects.exists()  # a run that is killed says nothing
        assert rotate()[0] == 0
        assert under_k1() == [0, 0]
    assert AuditEvent.objects.get().kind == "rotated"
    assert ConsentEvent.objects.filter(recipient_fingerprint__startswith="k2.").count() == 0
    with keys(K2, GONE1):
        assert states(users) == before


def killed_after(batches: int) -> int:
    """Run it in another process, which is killed after so many batches. Returns how that ended."""
    connection.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: this child starts no other
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    calls = []

    def kill(rotated: rotation.Rotated) -> None:
        calls.append(rotated.looked_at)
        if len(calls) == batches:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        rotation.rotate(actor="ann", batch=2, progress=kill)
    finally:
        os._exit(1)  # never back into the tests
