"""How many statements each flow costs. Figures to keep; a rise wants a reason."""

from __future__ import annotations

import django
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_twilio_verify import verifications
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.factors import own_factors
from django_twilio_verify.verifications import channel_plan, lifecycle
from tests.support.basics import PHONE, agree, code_path, last_code, make_client, make_factor, make_user, sign_in
from tests.support.pages import form

pytestmark = pytest.mark.django_db
_CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


@pytest.fixture(autouse=True)
def sessions_in_the_database(settings):
    """Django's default, whatever cache the run has: the figures count the session's statements."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"


def cost(work) -> tuple[int, int]:
    """Statements and transactions of ``work``."""
    with CaptureQueriesContext(connection) as captured:
        work()
    statements = [query["sql"] for query in captured.captured_queries]
    control = [sql for sql in statements if sql.startswith(_CONTROL)]
    return len(statements) - len(control), sum(sql.startswith("BEGIN") for sql in control)


def costs(work, statements: int, transactions: int) -> None:
    """Asserts what ``work`` costs. Of transactions, SQLite needs the most: each of its writes is in one. From Django
    6.1 on, it makes sure of a row without.
    """
    found = cost(work)
    assert found[0] == statements and found[1] <= transactions, found
    is_exact = connection.vendor == "sqlite" and django.VERSION < (6, 1)
    assert not is_exact or found[1] == transactions, found


def warm() -> None:
    """The address and the disclosure are known, as they are for all but the first person."""
    client = make_client("warm-up")
    agree("+15017122600", client=client)
    verifications.start(recipient="+15017122600", channel="sms", client=client)


@pytest.mark.django_db(transaction=True)
def test_a_send_and_a_check_by_function():
    warm()
    ann = make_user()
    agree(user=ann)
    values = {"recipient": PHONE, "channel": "sms", "client": make_client(), "user": ann, "purpose": "enroll"}
    first = cost(lambda: lifecycle.start(**values))
    # The person and the number are new: the counters are made. One SELECT asks whether the number is a factor of hers,
    # and one what else is under way to it. Three are for the lock, consent read behind it, and the claim of the send.
    # One looks for a counter without room before any is made: what is refused leaves none behind.
    assert first[0] == 15
    costs(lambda: lifecycle.start(**values), 3, 0)
    verification = lifecycle.start(**values).verification
    # A claimant's, until the number is confirmed: whether an owner's code is under way, and the counters of claimants'
    # answers, which the first one makes after a look whether one is full. The right one also notes the network, which
    # is new.
    costs(lambda: verifications.check(verification, code="000000", client=make_client()), 9, 4)
    costs(lambda: verifications.check(verification, code=last_code(), client=make_client()), 8, 3)


@pytest.mark.django_db(transaction=True)
def test_a_send_to_somebody_who_has_been_sent_to_in_this_hour():
    ann = make_user()
    agree(user=ann)
    values = {"recipient": PHONE, "channel": "sms", "client": make_client(), "user": ann}
    started = lifecycle.start(**values)
    verifications.check(started.verification, code=last_code(), client=make_client())
    costs(lambda: lifecycle.start(**values), 15, 4)  # three make sure of rows, for a claimant


@pytest.mark.django_db(transaction=True)
def test_a_link_and_the_use_of_its_proof():
    warm()
    agree(channel="sna")
    values = {"recipient": PHONE, "channel": "sna", "client": make_client()}
    assert cost(lambda: lifecycle.start(**values))[0] == 14  # as a code, and no account whose number it could be
    verification = lifecycle.start(**values).verification
    asked = {"client": make_client()}
    costs(lambda: lifecycle.check_link(verification, **asked), 8, 4)  # the counters are made
    costs(lambda: lifecycle.status(verification, **asked), 1, 0)
    backends["default"].simulator.open_link(verification.link)
    costs(lambda: lifecycle.check_link(verification, **asked), 5, 2)
    costs(lambda: lifecycle.redeem(verification, purpose="verify", **asked), 2, 0)


def test_the_ways_are_one_statement():
    factor = make_factor(make_user())
    costs(lambda: own_factors.challenge_options([factor, factor]), 1, 0)
    costs(lambda: channel_plan.plan(recipient=factor.recipient), 1, 0)


def test_enrolling_through_the_pages(client):
    warm()
    client.force_login(make_user())
    client.get("/verify/enroll/sms/")
    sent = []
    start = cost(lambda: sent.append(client.post("/verify/enroll/sms/", form())))
    page = code_path(sent[0])
    check = cost(lambda: client.post(page, {"code": last_code()}))
    # The page reads the verification before it is answered: what it asks for depends on it; and looks once more whether
    # the person got another factor meanwhile.
    # Nobody has confirmed the number yet: the counters of claimants' answers are made (six statements), the answer is
    # held back if an owner's code is under way (one), and the network is noted (two).
    # Of the send, three make the counters, unless one has no room, and the lock, and one is for the register of keys.
    # Of the answer, two ask whether the session still stands, once the provider has judged the code, and one uses the
    # approval up, in the transaction that enrolls.
    assert (start[0], check[0]) == (27, 32)


def test_a_whole_sign_in(client):
    make_factor(make_user())
    password = cost(lambda: sign_in(client))
    sent = []
    send = cost(lambda: sent.append(client.post("/verify/challenge/")))
    check = cost(lambda: client.post(code_path(sent[0]), {"code": last_code()}))
    # Of the send, one is for channels that are out, and three for whose number it is, whether the network is known and
    # what else is under way; of the answer, one for what the page asks for, one for whether staff asked for a reset,
    # two note the network, and one counts it against the factor before it is judged. As the login begins, and each time
    # that its session is saved, one looks whether all sessions were ended meanwhile. Before the first send makes its
    # counters, one looks whether any has no room. The network is not known, so that the answer asks whether an owner's
    # code is under way. One uses the approval up.
    assert (password[0], send[0], check[0]) == (8, 21, 21)
