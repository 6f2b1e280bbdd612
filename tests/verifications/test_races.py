"""Twenty at the same instant: one send, one acceptance, never a sixth guess. On the database that the run has
chosen.
"""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import connection, connections

from django_twilio_verify import consent, verifications
from django_twilio_verify.choices import AttemptStatus, VerificationStatus
from django_twilio_verify.exceptions import BackendUnavailable, RateLimited
from django_twilio_verify.factors import own_factors, recovery_codes
from django_twilio_verify.models import (
    ConsentEvent,
    Factor,
    LimitCounter,
    RecoveryCode,
    Verification,
    VerificationAttempt,
    VerificationCheck,
)
from django_twilio_verify.signals import verification_approved
from django_twilio_verify.testing import VerifyServer
from django_twilio_verify.verifications import lifecycle
from django_twilio_verify.verifications.results import Checked, Started
from tests.support.basics import PHONE, agree, make_client, make_user, race, wrong_code

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.race,
    pytest.mark.usefixtures("claimants_have_room"),
]
THREADS = 20


def start(**values) -> Started:
    return lifecycle.start(recipient=PHONE, channel="sms", **{"client": make_client(), **values})


def kinds(results) -> Counter:
    """What came back, by kind."""
    return Counter(
        result.outcome.value
        if isinstance(result, Checked)
        else ("reused" if result.reused else "sent")
        if isinstance(result, Started)
        else getattr(result, "code", type(result).__name__)
        for result in results
    )


@pytest.mark.parametrize("delay", [0, 0.3], ids=["fast provider", "slow provider"])
def test_of_twenty_starts_one_sends(server, delay):
    agree()
    server.server.delay(delay)
    results = race(THREADS, lambda index: start())
    assert kinds(results) == {"sent": 1, "reused": 19}
    assert server.server.count("Verifications") == 1
    assert len({result.verification.pk for result in results}) == 1
    assert VerificationAttempt.objects.get().status == AttemptStatus.SENT


def test_of_twenty_resends_one_sends(server):
    agree()
    first = start()
    Verification.objects.update(resend_at=first.verification.created_at)
    results = race(THREADS, lambda index: start(resend=True))
    assert kinds(results) == {"sent": 1, "cooldown": 19}
    assert server.server.count("Verifications") == 2


def test_of_twenty_starts_after_expiry_one_sends(server):
    agree()
    first = start()
    Verification.objects.update(expires_at=first.verification.created_at)
    results = race(THREADS, lambda index: start())
    assert kinds(results) == {"sent": 1, "reused": 19}
    assert Verification.objects.filter(status=VerificationStatus.PENDING).count() == 1


@pytest.mark.parametrize("fault", ["slow", "reset", "500", "429", "unreachable"])
def test_of_twenty_starts_on_a_failing_provider_one_is_tried(server, fault):
    server.restart(timeout=2 if fault == "slow" else 30)
    agree()
    server.fail({"status": 429, "code": 60212} if fault == "429" else fault)
    results = race(THREADS, lambda index: start())
    perhaps = [result for result in results if isinstance(result, Started) and result.delivery_unknown]
    assert not [result for result in results if not isinstance(result, (Started, RateLimited, BackendUnavailable))]
    if fault in ("slow", "reset", "500"):
        # It may have gone out, so nobody sends again.
        assert len(perhaps) == 1 and server.server.count("Verifications") == 1
        assert VerificationAttempt.objects.get().status == AttemptStatus.PERHAPS_SENT
    else:
        # It certainly did not, so whoever comes after the failure is settled may; never two at once.
        sent = VerificationAttempt.objects.filter(status=AttemptStatus.SENT).count()
        assert sent <= 1
        assert Verification.objects.filter(status=VerificationStatus.PENDING).count() <= 1


@pytest.mark.parametrize("delay", [0, 0.3], ids=["fast provider", "slow provider"])
def test_of_twenty_right_codes_one_is_accepted_and_the_others_are_told(server, delay):
    heard = []

    def approved(sender, verification, **kwargs):
        heard.append(verification.pk)

    agree()
    verification = start().verification
    code = server.last_code
    server.server.delay(delay)
    verification_approved.connect(approved)
    try:
        results = race(THREADS, lambda index: verifications.check(verification, code=code, client=make_client()))
    finally:
        verification_approved.disconnect(approved)
    assert kinds(results) == {"approved": 1, "already_approved": 19}
    assert heard == [verification.pk]
    verification.refresh_from_db()
    assert (verification.status, verification.checks) == (VerificationStatus.APPROVED, 1)  # no loser was charged
    assert server.server.count("VerificationCheck") == 1


def test_of_twenty_wrong_codes_five_are_judged(server):
    agree()
    verification = start().verification
    code = wrong_code(server.last_code)
    results = race(THREADS, lambda index: verifications.check(verification, code=code, client=make_client()))
    assert kinds(results) == {"wrong": 4, "no_checks_left": 16}
    assert server.server.count("VerificationCheck") == 5
    assert VerificationCheck.objects.count() == 5


def test_a_right_code_among_wrong_ones_is_accepted_at_most_once(server):
    agree()
    verification = start().verification
    right, wrong = server.last_code, wrong_code(server.last_code)
    results = race(
        THREADS,
        lambda index: verifications.check(verification, code=right if index % 2 else wrong, client=make_client()),
    )
    told = kinds(results)
    assert told["approved"] <= 1
    assert told["approved"] + told["already_approved"] + told["wrong"] + told["no_checks_left"] == THREADS
    assert server.server.count("VerificationCheck") <= 5


def test_a_check_whose_answer_was_lost_accepts_nobody_twice(server):
    server.restart(timeout=2)
    agree()
    verification = start().verification
    code = server.last_code
    server.fail("slow")
    results = race(THREADS, lambda index: verifications.check(verification, code=code, client=make_client()))
    told = kinds(results)
    assert told["approved"] == 0  # Verify approved it and forgot it; we never heard
    assert told["unavailable"] == 1 and told["expired"] == THREADS - 1


def test_of_twenty_confirmations_one_enrolls(server):
    ann = make_user()
    agree(user=ann)
    verification = start(user=ann, purpose="enroll").verification
    assert verifications.check(verification, code=server.last_code, client=make_client()).approved
    results = race(THREADS, lambda index: own_factors.confirm(verification))
    assert Counter(result.created for result in results) == {True: 1, False: 19}
    assert Factor.objects.get().default_for == ann


def test_of_twenty_accounts_one_gets_the_proof(server):
    agree()
    verification = start().verification
    assert verifications.check(verification, code=server.last_code, client=make_client()).approved
    users = [make_user(f"user{index}") for index in range(THREADS)]
    results = race(THREADS, lambda index: own_factors.attach(verification.pk, user=users[index], client=make_client()))
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert Factor.objects.count() == 1


def test_a_recovery_code_is_spent_once(settings):
    settings.TWILIO_VERIFY_LIMITS = {"recovery_hour": 100}
    ann = make_user()
    code = recovery_codes.issue(ann)[0]
    results = race(THREADS, lambda index: recovery_codes.redeem(ann, code))
    assert Counter(results) == {True: 1, False: 19}
    assert RecoveryCode.objects.filter(used_at=None).count() == 9


def test_the_limit_of_an_hour_is_exact_across_people(server, settings):
    settings.TWILIO_VERIFY_LIMITS = {**settings.TWILIO_VERIFY_LIMITS, "ip_hour": 7}
    clients = [make_client(f"session-{index}") for index in range(THREADS)]
    for client in clients:
        agree(client=client)
    LimitCounter.objects.all().delete()  # those of the agreements
    results = race(THREADS, lambda index: start(client=clients[index]))
    told = kinds(results)
    assert told["sent"] + told["provider"] == 7  # Verify itself takes five to one number
    assert told["ip_hour"] == 13
    assert max(LimitCounter.objects.values_list("count", flat=True)) <= 7


def test_twenty_withdrawals_and_sends_leave_no_send_after_the_withdrawal(server):
    agree()
    results = race(
        THREADS,
        lambda index: start() if index % 2 else consent.withdraw(recipient=PHONE, channel="sms", client=make_client()),
    )
    assert server.server.count("Verifications") <= 1
    assert consent.find(recipient=PHONE, channel="sms", client=make_client()) is None
    assert not [result for result in results if isinstance(result, Exception) and getattr(result, "code", "") == ""]
    assert ConsentEvent.objects.filter(event="withdrawn").count() == 1


def test_no_transaction_is_open_while_the_provider_is_called(server):
    """Seen from outside, as an operator would see it, at the moment at which the provider answers."""
    seen = []

    def look(request, response):
        seen.append((request.endpoint, _open_transactions()))

    agree()
    VerifyServer.observers.append(look)
    try:
        verification = start().verification
        assert verifications.check(verification, code=server.last_code, client=make_client()).approved
    finally:
        VerifyServer.observers.remove(look)
    assert seen == [("Verifications", 0), ("VerificationCheck", 0)]


def _open_transactions() -> int:
    """How many other sessions of this database are inside a transaction. Runs in the thread that plays the provider."""
    try:
        if connection.vendor == "sqlite":
            return _sqlite_is_locked()
        with connection.cursor() as cursor:
            cursor.execute(_OPEN[connection.vendor])
            return int(cursor.fetchone()[0])
    finally:
        connections.close_all()


_OPEN = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%%'",
    "mysql": "SELECT count(*) FROM information_schema.innodb_trx AS trx JOIN information_schema.processlist AS list "
    "ON list.id = trx.trx_mysql_thread_id WHERE list.db = database() AND list.id <> connection_id()",
}


def _sqlite_is_locked() -> int:
    """SQLite has one writer: that we can be it at once shows that nobody else holds a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 0")
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("ROLLBACK")
    return 0
