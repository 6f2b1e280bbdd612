"""How many statements each flow costs. Figures to keep; a rise wants a reason."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.flows import factors, plan, verifications
from tests.faces.test_enrol import form
from tests.support import PHONE, agree, code_path, last_code, make_client, make_factor, make_user, sign_in

pytestmark = pytest.mark.django_db(transaction=True)
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


def warm() -> None:
    """The address and the disclosure are known, as they are for all but the first person."""
    client = make_client("warm-up")
    agree("+15017122600", client=client)
    verifications.start(recipient="+15017122600", channel="sms", client=client)


def test_a_send_and_a_check_by_function():
    warm()
    ann = make_user()
    agree(user=ann)
    values = {"recipient": PHONE, "channel": "sms", "client": make_client(), "user": ann, "purpose": "enrol"}
    first = cost(lambda: verifications.start(**values))
    assert first[0] == 10  # the person and the number are new: the hour's counters are made
    reused = cost(lambda: verifications.start(**values))
    assert reused == (2, 0)
    verification = verifications.start(**values).verification
    assert cost(lambda: verifications.check(verification, code="000000", client=make_client())) == (4, 2)
    assert cost(lambda: verifications.check(verification, code=last_code(), client=make_client())) == (4, 2)


def test_a_send_to_somebody_who_has_been_sent_to_in_this_hour():
    ann = make_user()
    agree(user=ann)
    values = {"recipient": PHONE, "channel": "sms", "client": make_client(), "user": ann}
    started = verifications.start(**values)
    verifications.check(started.verification, code=last_code(), client=make_client())
    assert cost(lambda: verifications.start(**values)) == (7, 2)


def test_a_link_and_the_use_of_its_proof():
    warm()
    agree(channel="sna")
    values = {"recipient": PHONE, "channel": "sna", "client": make_client()}
    assert cost(lambda: verifications.start(**values))[0] == 10  # as a code
    verification = verifications.start(**values).verification
    asked = {"client": make_client()}
    assert cost(lambda: verifications.check_link(verification, **asked)) == (4, 2)
    assert cost(lambda: verifications.status(verification, **asked)) == (1, 0)
    backends["default"].simulator.open_link(verification.link)
    assert cost(lambda: verifications.check_link(verification, **asked)) == (4, 2)
    assert cost(lambda: verifications.redeem(verification, purpose="verify", **asked)) == (2, 0)


def test_the_ways_are_one_statement():
    factor = make_factor(make_user())
    assert cost(lambda: factors.ways([factor, factor])) == (1, 0)
    assert cost(lambda: plan.ways(recipient=factor.recipient)) == (1, 0)


def test_enrolling_through_the_pages(client):
    warm()
    client.force_login(make_user())
    client.get("/verify/enrol/sms/")
    sent = []
    start = cost(lambda: sent.append(client.post("/verify/enrol/sms/", form())))
    page = code_path(sent[0])
    check = cost(lambda: client.post(page, {"code": last_code()}))
    # The page reads the verification before it is answered: what it asks for depends on it; and looks once more whether
    # the person got another factor meanwhile.
    assert (start[0], check[0]) == (17, 19)


def test_a_whole_sign_in(client):
    make_factor(make_user())
    password = cost(lambda: sign_in(client))
    sent = []
    send = cost(lambda: sent.append(client.post("/verify/challenge/")))
    check = cost(lambda: client.post(code_path(sent[0]), {"code": last_code()}))
    # Of the send, one is for channels that are out; of the answer, one for what the page asks for and one for whether
    # staff has asked for a reset. As the login begins, and each time that its session is saved, one looks whether all
    # sessions were ended meanwhile.
    assert (password[0], send[0], check[0]) == (8, 14, 15)
