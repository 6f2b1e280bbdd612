"""Twenty requests of one browser at the same instant, with and without ATOMIC_REQUESTS."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import connections
from django.test import Client

from django_twilio_verify.choices import AttemptStatus
from django_twilio_verify.models import (
    ConsentEvent,
    Factor,
    RecoveryCode,
    Verification,
    VerificationAttempt,
    VerificationCheck,
)
from django_twilio_verify.testing import VerifyServer
from tests.support.basics import code_path, make_factor, make_user, race, sign_in, wrong_code
from tests.support.pages import form

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
THREADS = 20


@pytest.fixture
def server(settings):
    """The real SDK over HTTP, and limits that do not get in the way."""
    with VerifyServer() as running:
        settings.TWILIO_VERIFY_BACKENDS = running.setting(timeout=30)
        yield running


@pytest.fixture(params=[False, True], ids=["autocommit", "ATOMIC_REQUESTS"], autouse=True)
def atomic_requests(request):
    """The site's choice, for every connection of every thread."""
    before = connections.settings["default"]["ATOMIC_REQUESTS"]
    connections.settings["default"]["ATOMIC_REQUESTS"] = request.param
    yield request.param
    connections.settings["default"]["ATOMIC_REQUESTS"] = before


def same_browser(browser: Client) -> Client:
    """Another tab: the same cookies."""
    tab = Client()
    tab.cookies.update(browser.cookies)
    return tab


def pressed(browser: Client, path: str, values: dict[str, str]):
    """What twenty presses of one button answer."""
    tabs = [same_browser(browser) for _ in range(THREADS)]
    results = race(THREADS, lambda index: tabs[index].post(path, values))
    broken = [result for result in results if isinstance(result, Exception)]
    assert not broken, broken[0]
    assert not [result for result in results if result.status_code >= 500]
    return results, tabs


@pytest.mark.parametrize("delay", [0, 0.3], ids=["fast provider", "slow provider"])
def test_twenty_presses_of_send_send_once(client, server, delay):
    client.force_login(make_user())
    client.get("/verify/enroll/sms/")
    server.delay(delay)
    results, _ = pressed(client, "/verify/enroll/sms/", form())
    assert server.count("Verifications") == 1
    assert VerificationAttempt.objects.count() == Verification.objects.count() == 1
    assert {result.status_code for result in results} == {302}
    assert ConsentEvent.objects.count() == 1


@pytest.mark.parametrize("fault", ["slow", "reset", "500"])
def test_twenty_presses_on_a_failing_provider_send_at_most_once(client, server, settings, fault):
    if fault == "slow":
        settings.TWILIO_VERIFY_BACKENDS = server.setting(timeout=2)
    client.force_login(make_user())
    client.get("/verify/enroll/sms/")
    {"slow": lambda: server.delay(3), "reset": server.reset_next, "500": server.fail_next}[fault]()
    results, _ = pressed(client, "/verify/enroll/sms/", form())
    assert server.count("Verifications") == 1
    assert VerificationAttempt.objects.get().status == AttemptStatus.PERHAPS_SENT
    assert {result.status_code for result in results} == {302}


def test_twenty_presses_of_the_right_code_sign_in_once(client, server):
    make_factor(make_user())
    sign_in(client)
    page = code_path(client.post("/verify/challenge/"))
    server.delay(0.2)
    results, tabs = pressed(client, page, {"code": server.sent[-1].code})
    assert server.count("VerificationCheck") == 1
    assert Verification.objects.get().checks == 1
    assert Counter(result.status_code for result in results) == {302: THREADS}
    # The one that was accepted got the new session; the others were told to go on, and hold nothing.
    assert sum(tab.get("/whoami/").content == b'{"user": "ann"}' for tab in tabs) == 1


def test_twenty_presses_of_the_right_code_enroll_once(client, server):
    client.force_login(make_user())
    page = code_path(client.post("/verify/enroll/sms/", form()))
    results, _ = pressed(client, page, {"code": server.sent[-1].code})
    assert Factor.objects.count() == 1
    assert RecoveryCode.objects.count() == 10
    assert sum(b"recovery" in result.content for result in results if result.status_code == 200) == 1


def test_twenty_presses_of_a_wrong_code_are_five_guesses(client, server):
    make_factor(make_user())
    sign_in(client)
    page = code_path(client.post("/verify/challenge/"))
    results, tabs = pressed(client, page, {"code": wrong_code(server.sent[-1].code)})
    assert server.count("VerificationCheck") == VerificationCheck.objects.count() == 5
    assert {result.status_code for result in results} == {200}
    assert not any(tab.get("/account/").status_code == 200 for tab in tabs)


def test_twenty_presses_of_send_again_send_once_more(client, server):
    make_factor(make_user())
    sign_in(client)
    page = code_path(client.post("/verify/challenge/"))
    created = Verification.objects.get().created_at
    Verification.objects.update(resend_at=created)
    results, _ = pressed(client, page + "resend/", {})
    assert server.count("Verifications") == 2
    assert Counter(result.status_code for result in results) == {302: 1, 429: 19}


def test_a_site_view_inside_a_transaction_is_told_to_step_out(client, server, atomic_requests):
    """The site's own view calls the flow: under ATOMIC_REQUESTS it must say so, or the promise could not be kept."""
    client.raise_request_exception = False
    client.get("/set-cart/")
    response = client.post("/start/", {"recipient": "+15017122661"})
    assert response.status_code in (403, 500)  # no consent; or, inside a transaction, refused before anything
    assert server.requests == []
