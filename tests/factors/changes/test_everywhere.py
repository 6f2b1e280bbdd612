"""Signing out everywhere else, with every session engine: at once where sessions can be listed, soon where not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_twilio_verify.login import decision_cache, session_cutoffs
from django_twilio_verify.models import Factor, TrustedBrowser, UserState, Verification
from django_twilio_verify.signals import verification_approved
from django_twilio_verify.testing import outbox
from tests.support.basics import OTHER_PHONE, PHONE, code_path, last_code, make_factor, make_user, race, sign_in
from tests.support.changes import address, path, proved, replace, signed_in
from tests.support.everywhere import AT_ONCE, SOON, SOON_AFTER, later, use, who
from tests.support.rewind import undone

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def a_process_that_remembers_nothing(settings: Any, tmp_path: Any) -> None:
    settings.SESSION_FILE_PATH = str(tmp_path)
    decision_cache._noted.clear()
    cache.clear()


@pytest.fixture(params=SOON)
def soon(request: Any, settings: Any) -> str:
    """An engine that cannot list sessions."""
    return use(request.param, settings)


@pytest.fixture(params=[*AT_ONCE, *SOON])
def engine(request: Any, settings: Any) -> str:
    return use(request.param, settings)


def copied(browser: Client) -> Client:
    """Somebody else with the same session cookie and no other."""
    other = Client()
    other.cookies["sessionid"] = browser.cookies["sessionid"].value
    return other


def awho(browser: Client) -> str:
    """As ``who``, on the async stack."""
    other = AsyncClient()
    other.cookies = browser.cookies
    return str(async_to_sync(other.get)("/awhoami/").json()["user"])


def everywhere(browser: Client) -> None:
    assert browser.post("/everywhere/").status_code == 200


# Which sessions end, and when


def passed(browser: Client) -> None:
    make_factor(get_user_model().objects.get())
    proved(browser)


def excused(browser: Client) -> None:
    """By a trusted browser: signed in, and no factor passed."""
    make_factor(get_user_model().objects.get())
    sign_in(browser)
    browser.post(code_path(browser.post("/verify/challenge/")), {"code": last_code(), "trust": "yes"})
    browser.post("/logout/")
    sign_in(browser)
    assert TrustedBrowser.objects.filter(revoked_at=None).exists()


def free(browser: Client) -> None:
    """Nothing is owed."""
    sign_in(browser)


def undecided(browser: Client) -> None:
    """As from before the app was installed."""
    browser.post("/quiet-login/", {"username": "ann"})


def remembered(browser: Client) -> None:
    """For a year."""
    free(browser)
    session = browser.session
    session.set_expiry(31_536_000)
    session.save()
    browser.cookies["sessionid"] = session.session_key


KINDS = [passed, excused, free, remembered]


@pytest.mark.parametrize("kind", KINDS)
def test_every_other_session_ends(
    ann: Any, settings: Any, engine: str, kind: Callable[[Client], None], subtests: Any
) -> None:
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    there, here, bens = Client(), Client(), Client()
    kind(there)
    proved(here) if Factor.objects.exists() else sign_in(here)
    make_user("ben")
    sign_in(bens, "ben")
    for ask in (who, awho):
        with subtests.test(ask.__name__), undone(there, here, bens):
            assert ask(there) == ask(here) == "ann"
            everywhere(here)
            assert ask(there) == ("" if engine in AT_ONCE else "ann")
            with later():
                assert ask(there) == ""
                assert not there.cookies["sessionid"].value, "the session is gone, and not only its person"
                assert (ask(here), ask(bens)) == ("ann", "ben")
                assert there.get("/account/").status_code == 302
            with later(2 * SOON_AFTER):
                assert (ask(there), ask(here)) == ("", "ann")


@pytest.mark.parametrize("ask", [who, awho])
def test_a_session_that_was_never_decided_may_be_of_before(ann: Any, soon: str, ask: Callable[[Client], str]) -> None:
    there, here = Client(), Client()
    undecided(there)
    sign_in(here)
    everywhere(here)
    assert ask(there) == "" and ask(here) == "ann"
    make_user("ben")
    there.post("/quiet-login/", {"username": "ben"})
    assert ask(there) == "ben", "nobody ended his"


def test_without_having_been_asked_all_go_on(ann: Any, soon: str) -> None:
    browser = Client()
    undecided(browser)
    assert who(browser) == "ann"
    with later():
        assert who(browser) == "ann" and not UserState.objects.exists()


def test_a_sign_in_that_waits_ends_at_once(phone: Factor, engine: str) -> None:
    there, here = Client(), proved(Client())
    sign_in(there)
    page = code_path(there.post("/verify/challenge/"))
    code, sent = last_code(), len(outbox)
    stolen = copied(there)
    everywhere(here)
    for browser in (there, stolen):
        assert browser.get("/verify/challenge/")["Location"].startswith("/login/")
        browser.post("/verify/challenge/")
        browser.post(page, {"code": code})
        assert not signed_in(browser) and len(outbox) == sent
    assert signed_in(here)


PAGES = ["", "step-up/", "browsers/", "enroll/", "enroll/sms/", "enroll/totp/", "recovery-codes/"]


def test_our_pages_ask_always(phone: Factor, soon: str, subtests: Any) -> None:
    """What a session may still read for some minutes, it may not change."""
    there, here = proved(Client()), proved(Client())
    everywhere(here)
    for page, method in product(PAGES, ("get", "post")):
        with subtests.test(page, method=method), undone(there, here):
            assert who(there) == "ann"
            answer = getattr(there, method)(f"/verify/{page}", address())
            assert answer.status_code == 302 and answer["Location"].startswith("/login/")
            assert who(there) == "" and who(here) == "ann"


def test_the_pages_of_a_factor_ask_too(phone: Factor, settings: Any) -> None:
    use("signed_cookies", settings)  # an ended one can be played back
    there, here = proved(Client()), proved(Client())
    everywhere(here)
    for what in ("rename", "remove", "replace", "reverify", "default"):
        answer = copied(there).post(path(phone, what), {"name": "mine", **address()})
        assert answer["Location"].startswith("/login/"), what
    phone.refresh_from_db()
    assert phone.label == "" and Factor.objects.count() == 1


def test_a_proof_of_the_sites_own_does_not_count_in_a_session_that_was_ended(phone: Factor, soon: str) -> None:
    there, here = proved(Client()), proved(Client())
    everywhere(here)
    assert there.post("/own-proof/").status_code == 400
    assert here.post("/own-proof/").status_code == 200
    assert who(there) == "" and who(here) == "ann"


@pytest.mark.parametrize("waits", [True, False], ids=["signing in", "stepping up"])
def test_an_end_that_comes_while_the_code_is_judged(ann: Any, phone: Factor, soon: str, waits: bool) -> None:
    there = Client()
    if waits:
        sign_in(there)
        page = code_path(there.post("/verify/challenge/"))
    else:
        proved(there)
        page = code_path(there.post("/verify/step-up/"))
    ends = lambda **kwargs: session_cutoffs.cut(ann)  # noqa: E731
    verification_approved.connect(ends, sender=Verification)
    try:
        assert there.post(page, {"code": last_code()}).status_code == 400
    finally:
        verification_approved.disconnect(ends, sender=Verification)
    assert who(there) == ""
    assert there.get("/verify/challenge/")["Location"].startswith("/login/")


# What does not bring one back


def test_the_password_alone_does_not_renew_what_was_passed(phone: Factor, soon: str) -> None:
    there, here = proved(Client()), proved(Client())
    everywhere(here)
    sign_in(there)
    assert not signed_in(there)
    assert there.get("/verify/challenge/").status_code == 200, "the factor is owed once more"


def test_a_new_sign_in_is_one(phone: Factor, engine: str) -> None:
    there, here = proved(Client()), proved(Client())
    everywhere(here)
    with later():
        assert who(there) == ""
        proved(there)
    with later(2 * SOON_AFTER):
        assert (who(there), who(here)) == ("ann", "ann")
        everywhere(there)
    with later(3 * SOON_AFTER):
        assert (who(there), who(here)) == ("ann", "")


@pytest.mark.parametrize("skew", [0, 30])
def test_sign_ins_of_the_same_moment_are_told_apart(ann: Any, soon: str, skew: int) -> None:
    """Sessions know the second of their sign-in, and the clocks of two servers differ by more."""
    there, here, after = Client(), Client(), Client()
    with later(skew):
        free(there)
    with later(0):
        free(here)
        everywhere(here)
    with later(-skew):
        free(after)
    with later(SOON_AFTER + skew):
        assert (who(there), who(here), who(after)) == ("", "ann", "ann")


def test_a_cookie_that_was_copied_before_is_of_before(phone: Factor, settings: Any) -> None:
    """It shares all but the end with the owner's, which stays: what is remembered of the one is not of the other."""
    use("signed_cookies", settings)
    here = proved(Client())
    stolen = copied(here)
    everywhere(here)
    with later():
        assert (who(here), who(stolen), who(here)) == ("ann", "", "ann")
    with later(2 * SOON_AFTER):
        assert (who(here), who(stolen)) == ("ann", "")


def test_an_answer_that_failed_lets_nobody_in(ann: Any, soon: str, settings: Any) -> None:
    """That a session was not ended says nothing of what is owed in it."""
    settings.TWILIO_VERIFY_REQUIRED_FOR = "tests.factors.changes.test_everywhere.broken_later"
    browser = Client(raise_request_exception=False)
    free(browser)
    assert who(browser) == "ann"
    with later():
        assert [browser.get("/whoami/").status_code for _ in range(3)] == [500] * 3


def broken_later(user: Any, request: Any) -> bool:
    if timezone.now() - user.last_login > timedelta(seconds=100):
        raise RuntimeError("out of order")
    return False


def test_a_row_of_before_does_not_keep_a_person(ann: Any, soon: str) -> None:
    here = Client()
    free(here)
    everywhere(here)
    ann.delete()
    assert not UserState.objects.exists() and who(here) == ""


def test_a_new_grace_period_brings_no_ended_session_back(ann: Any, soon: str) -> None:
    here, there = Client(), Client()
    for browser in (here, there):
        free(browser)
    everywhere(here)
    UserState.objects.start_grace_period(ann.pk, timezone.now())
    UserState.objects.filter(user=ann).clear_grace_period()
    with later():
        assert (who(here), who(there)) == ("ann", "")


@pytest.mark.django_db(transaction=True)
def test_who_ends_at_the_same_instant_writes_one_row() -> None:
    ann = make_user()
    marks = race(8, lambda index: session_cutoffs.cut(ann))
    assert UserState.objects.count() == 1 and session_cutoffs.last(ann) in marks
    assert session_cutoffs.cut(ann) == session_cutoffs.last(ann) and session_cutoffs.last(ann) not in marks
    assert session_cutoffs.last(make_user("ben")) == 0


# By our pages


@pytest.mark.parametrize(
    ("name", "age", "says"),
    [
        ("db", 300, ""),
        ("cached_db", 300, ""),
        ("cache", 300, "It may take up to 5 minutes."),
        ("file", 310, "It may take up to 6 minutes."),
        ("signed_cookies", 60, "It may take 1 minute."),
        ("signed_cookies", 0, ""),
    ],
)
def test_the_pages_say_how_long_it_takes(phone: Factor, settings: Any, name: str, age: int, says: str) -> None:
    use(name, settings)
    settings.TWILIO_VERIFY_POLICY_RECHECK_SECONDS = age
    here = proved(Client())
    for what in ("remove", "replace"):
        page = here.get(path(phone, what)).content.decode()
        assert "Sign out everywhere else" in page
        assert (says in page) if says else ("It may take" not in page)


@pytest.mark.parametrize("what", ["remove", "remove the last", "replace"])
@pytest.mark.parametrize("asked", [True, False])
def test_by_the_box_of_a_page(phone: Factor, engine: str, what: str, asked: bool) -> None:
    if what == "remove":
        make_factor(phone.user, OTHER_PHONE)
    here, there = proved(Client()), proved(Client())
    box = {"sign_out": "on"} if asked else {}
    if what == "replace":
        page = replace(here, phone, "+15017122668", **box)
        assert here.post(page, {"code": last_code()}).status_code == 302
    else:
        assert here.post(path(phone, "remove"), box).status_code == 302
    assert not Factor.objects.filter(recipient_value=PHONE).exists()
    assert UserState.objects.exists() is asked  # with each engine: a login that is being completed is in no list
    with later():
        # Whoever has no factor left is asked anew what they owe, but for those who passed one.
        assert (who(here), who(there)) == ("ann", "" if asked else "ann")
    with later(2 * SOON_AFTER):
        assert who(here) == "ann"


def test_with_no_age_the_next_request_asks(phone: Factor, soon: str, settings: Any) -> None:
    settings.TWILIO_VERIFY_POLICY_RECHECK_SECONDS = 0
    there, here = proved(Client()), proved(Client())
    everywhere(here)
    assert (who(there), who(here)) == ("", "ann")


# What it costs


def statements(ask: Callable[[Client], str], browser: Client) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert ask(browser) == "ann"
    return [one["sql"] for one in captured]


def cutoff_statements(ask: Callable[[Client], str], browser: Client) -> list[int]:
    """In each of three requests."""
    table = UserState._meta.db_table
    return [sum(table in sql for sql in statements(ask, browser)) for _ in range(3)]


@pytest.mark.parametrize("ended", [True, False], ids=["ended once", "never ended"])
def test_a_guarded_request_asks_now_and_then(
    phone: Factor, engine: str, settings: Any, ended: bool, subtests: Any
) -> None:
    here = proved(Client())
    if ended:
        everywhere(here)
    once = [0, 0, 0] if engine in AT_ONCE else [1, 0, 0]
    for ask, writes in product((who, awho), (True, False)):
        settings.SESSION_SAVE_EVERY_REQUEST = writes
        with subtests.test(ask.__name__, writes=writes), undone(here):
            assert cutoff_statements(ask, here) == [0, 0, 0], "it has just signed in"
            with later():
                assert cutoff_statements(ask, here) == once
                decision_cache._noted.clear()  # another process
                assert cutoff_statements(ask, here) == once
            with later(2 * SOON_AFTER):
                assert cutoff_statements(ask, here) == once
            with later(2 * SOON_AFTER + 200):
                assert cutoff_statements(ask, here) == [0, 0, 0]


def test_nothing_else_is_asked_or_written(phone: Factor, soon: str) -> None:
    here = proved(Client())
    with later():
        first, second = statements(who, here), statements(who, here)
        assert (len(first), len(second)) == (2, 1)  # the user; and once, whether it was ended
        assert all(sql.startswith("SELECT") for sql in first)
        assert "sessionid" not in here.get("/whoami/").cookies


def test_a_visitor_and_a_page_that_reads_nobody_cost_nothing(phone: Factor, soon: str) -> None:
    here = proved(Client())
    with later(), CaptureQueriesContext(connection) as captured:
        here.get("/public/")
        Client().get("/whoami/")
        Client().get("/verify/challenge/")
    assert len(captured) == 0
