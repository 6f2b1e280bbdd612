"""Ending all sessions of a user while a login of that user is being completed: the end wins, with every engine.

The interleaving is forced: all sessions are ended by a receiver that runs within the login, or within the session
store's own ``cycle_key`` or ``save``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import product
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth import alogin, get_user_model, update_session_auth_hash
from django.contrib.auth.signals import user_logged_in
from django.core.cache import cache
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import include, path

from django_twilio_verify.login import completion, decision_cache, ended_sessions, session_cutoffs
from django_twilio_verify.login.trust_cookie import COOKIE
from django_twilio_verify.models import TrustedBrowser, UserState
from django_twilio_verify.signals import login_completed, step_up_completed
from tests.support.basics import PASSWORD, code_path, last_code, make_factor, make_user, sign_in
from tests.support.changes import proved
from tests.support.everywhere import AT_ONCE, SOON, later, use, who
from tests.support.pages import form
from tests.support.rewind import undone

pytestmark = pytest.mark.django_db

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
Step = Callable[[Client], tuple[str, dict[str, str]]]


async def async_login(request: HttpRequest) -> HttpResponse:
    user = await get_user_model().objects.aget(username=request.POST["username"])
    await alogin(request, user, backend=MODEL_BACKEND)
    await request.session.asave()
    return HttpResponse("in")


def by_passkey(request: HttpRequest) -> HttpResponse:
    user = get_user_model().objects.get(username=request.POST["username"])
    completion.sign_in(request, user, "passkey")
    return HttpResponse("in")


def keep_password(request: HttpRequest) -> HttpResponse:
    update_session_auth_hash(request, request.user)  # type: ignore[arg-type]
    return HttpResponse("kept")


urlpatterns = [
    path("async-login/", async_login),
    path("by-passkey/", by_passkey),
    path("keep-password/", keep_password),
    path("", include("tests.factors.changes.urls")),
]


@pytest.fixture(autouse=True)
def site(settings: Any, tmp_path: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.SESSION_FILE_PATH = str(tmp_path)
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    decision_cache._noted.clear()
    cache.clear()


@pytest.fixture(params=[*AT_ONCE, *SOON])
def engine(request: Any, settings: Any) -> str:
    return use(request.param, settings)


# The requests in which a session of ann's becomes one, or goes on under a new key: where to post what


def plain(browser: Client) -> tuple[str, dict[str, str]]:
    """A password, and nothing is owed."""
    return "/login/", {"username": "ann", "password": PASSWORD}


def bare(browser: Client) -> tuple[str, dict[str, str]]:
    return "/bare-login/", {"username": "ann"}


def by_alogin(browser: Client) -> tuple[str, dict[str, str]]:
    return "/async-login/", {"username": "ann"}


def quiet(browser: Client) -> tuple[str, dict[str, str]]:
    """The site writes Django's keys itself."""
    return "/quiet-login/", {"username": "ann"}


def held(browser: Client) -> tuple[str, dict[str, str]]:
    """A password, and a factor is owed."""
    make_factor(get_user_model().objects.get(username="ann"))
    return "/login/", {"username": "ann", "password": PASSWORD}


def excused(browser: Client) -> tuple[str, dict[str, str]]:
    make_factor(get_user_model().objects.get(username="ann"))
    sign_in(browser)
    browser.post(code_path(browser.post("/verify/challenge/")), {"code": last_code(), "trust": "yes"})
    browser.post("/logout/")
    assert TrustedBrowser.objects.filter(revoked_at=None).exists()
    return "/login/", {"username": "ann", "password": PASSWORD}


def completed(browser: Client) -> tuple[str, dict[str, str]]:
    make_factor(get_user_model().objects.get(username="ann"))
    sign_in(browser)
    return code_path(browser.post("/verify/challenge/")), {"code": last_code(), "trust": "yes"}


def passkey(browser: Client) -> tuple[str, dict[str, str]]:
    make_factor(get_user_model().objects.get(username="ann"))
    return "/by-passkey/", {"username": "ann"}


def enrolled(browser: Client) -> tuple[str, dict[str, str]]:
    """A factor is demanded, and the first one that is enrolled lets the user in."""
    sign_in(browser)
    return code_path(browser.post("/verify/enroll/sms/", form())), {"code": last_code()}


def rehashed(browser: Client) -> tuple[str, dict[str, str]]:
    """``update_session_auth_hash``, which sends no signal."""
    make_factor(get_user_model().objects.get(username="ann"))
    proved(browser)
    return "/keep-password/", {}


def stepped_up(browser: Client) -> tuple[str, dict[str, str]]:
    make_factor(get_user_model().objects.get(username="ann"))
    proved(browser)
    return "/own-proof/", {}


SAVES = ["before save", "after save"]
CYCLES = ["before cycle", "after cycle"]
PASSED = "login_completed"
MOMENTS: dict[Step, list[str]] = {
    **{step: ["user_logged_in", *SAVES] for step in (plain, bare, held, excused)},
    by_alogin: ["user_logged_in"],
    quiet: SAVES,
    **{step: [PASSED, *CYCLES, *SAVES] for step in (completed, enrolled)},
    # Within login() itself nothing has begun: what was ended then was ended before.
    passkey: [PASSED, *SAVES],
    rehashed: [*CYCLES, *SAVES],
    stepped_up: ["step_up_completed", *SAVES],
}
SIGNALS = {
    "user_logged_in": user_logged_in,
    "login_completed": login_completed,
    "step_up_completed": step_up_completed,
}


@contextmanager
def while_at(where: str, act: Callable[[], None], monkeypatch: Any) -> Iterator[list[str]]:
    """Run ``act`` once, at that point of the next request. Gives where it ran."""
    ran: list[str] = []

    def once(**kwargs: Any) -> None:
        if not ran:
            ran.append(where)
            act()

    if where in SIGNALS:
        SIGNALS[where].connect(once)
        try:
            yield ran
        finally:
            SIGNALS[where].disconnect(once)
        return
    order, _, seam = where.partition(" ")
    name = "cycle_key" if seam == "cycle" else seam
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    original, cycle_key = getattr(store, name), store.cycle_key
    cycling: list[Any] = []

    def patched(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Not what saves for a new key alone: it is saved once more at the end.
        counts = name == "cycle_key" or not (cycling or kwargs.get("must_create") or (args and args[0]))
        if counts and order == "before":
            once()
        result = original(self, *args, **kwargs)
        if counts and order == "after":
            once()
        return result

    def patched_cycle_key(self: Any) -> None:
        cycling.append(self)
        try:
            cycle_key(self)
        finally:
            cycling.clear()

    with monkeypatch.context() as patch:
        if name == "save":
            patch.setattr(store, "cycle_key", patched_cycle_key)
        patch.setattr(store, name, patched)
        yield ran


def is_nobody(browser: Client) -> bool:
    """What a signed cookie holds of a login that waits leads to the challenge, which finds out that it is over."""
    answer = browser.get("/whoami/")
    return answer.status_code == 302 or answer.json() == {"user": ""}


def sent(browser: Client, where: str, values: dict[str, str], stack: str) -> Any:
    if stack == "wsgi":
        return browser.post(where, values)
    other = AsyncClient()
    other.cookies = browser.cookies
    return async_to_sync(other.post)(where, values)


@pytest.mark.parametrize("step", MOMENTS, ids=lambda one: one.__name__)
def test_a_login_that_is_being_completed_ends(
    engine: str, step: Step, settings: Any, monkeypatch: Any, subtests: Any
) -> None:
    ann = make_user()
    if step is enrolled:
        settings.TWILIO_VERIFY_REQUIRED_FOR = ["everyone"]
    browser = Client()
    target, values = step(browser)
    for where, stack in product(MOMENTS[step], ("wsgi", "asgi")):
        with subtests.test(where, stack=stack), undone(browser):
            with while_at(where, lambda: ended_sessions.end_after_reset(None, user=ann), monkeypatch) as ran:
                answer = sent(browser, target, values, stack)
            assert ran == [where]
            # Where the session is in the list, or was gone as the request read it, the response goes out, and opens
            # nothing. So does a cookie that is signed anew: it says which cutoff it came after, as it did before.
            at_once = engine in AT_ONCE and where in ("after save", "before cycle")
            assert answer.status_code == 400 or at_once or (engine == "signed_cookies" and step is rehashed)
            assert COOKIE not in answer.cookies, "nor is the browser trusted from now on"
            if engine in AT_ONCE:
                assert is_nobody(browser)
            with later():
                assert is_nobody(browser)
                # Neither is anything left that waits.
                assert browser.get("/verify/challenge/")["Location"].startswith("/login/")


def test_signing_out_everywhere_ends_it_too(engine: str, monkeypatch: Any) -> None:
    """The same by the user, in another browser, which goes on."""
    make_factor(make_user())
    here = proved(Client())
    there = Client()
    sign_in(there)
    page, code = code_path(there.post("/verify/challenge/")), last_code()

    def end() -> None:
        assert here.post("/everywhere/").status_code == 200

    with while_at("after cycle", end, monkeypatch) as ran:
        assert there.post(page, {"code": code}).status_code == 400
    assert ran
    with later():
        assert who(here) == "ann" and is_nobody(there)


def test_a_browser_that_is_trusted_meanwhile_is_excused_from_nothing(monkeypatch: Any) -> None:
    """Between the two cutoffs, trust is revoked: who was excused by it comes after the first and not the second."""
    ann = make_user()
    thief = Client()
    target, values = excused(thief)
    here = RequestFactory().post("/")
    here.session = Client().session
    last = session_cutoffs.cut
    cuts: list[int] = []

    def cut(user: Any) -> int:
        cuts.append(last(user))
        if len(cuts) == 1:
            thief.post(target, values)
        return cuts[-1]

    monkeypatch.setattr(session_cutoffs, "cut", cut)
    ended_sessions.end(here, ann)
    assert len(cuts) == 2 and who(thief) == ""


@pytest.mark.django_db(transaction=True)
def test_what_is_saved_while_a_transaction_ends_the_sessions(settings: Any, monkeypatch: Any) -> None:
    """ATOMIC_REQUESTS: others do not see the cutoff before it is committed, and so the list is made once more."""
    use("db", settings)
    ann, there = make_user(), Client()
    original = ended_sessions._keys

    def listed(*args: Any, **kwargs: Any) -> list[str]:
        found = original(*args, **kwargs)
        if connection.in_atomic_block:
            # As another process would: a login that began before, saved after the list was made.
            store = Client().session
            store.update({"_auth_user_id": str(ann.pk), "_auth_user_backend": MODEL_BACKEND})
            store["_auth_user_hash"] = ann.get_session_auth_hash()
            store.save()
            there.cookies["sessionid"] = store.session_key
        return found

    monkeypatch.setattr(ended_sessions, "_keys", listed)
    with transaction.atomic():
        ended_sessions.end_after_reset(None, user=ann)
    assert who(there) == ""


def test_a_login_after_the_end_is_not_ended(engine: str) -> None:
    ann, browser = make_user(), Client()
    ended_sessions.end_after_reset(None, user=ann)
    assert sign_in(browser).status_code == 302 and who(browser) == "ann"
    ended_sessions.end_after_reset(None, user=ann)
    browser.post("/quiet-login/", {"username": "ann"})
    browser.post("/keep-password/")
    if engine in AT_ONCE:
        assert who(browser) == "ann", "where it can be told that it was ended, one that is there was not"


def test_the_session_that_ends_all_others_goes_on(engine: str) -> None:
    make_factor(make_user())
    here = proved(Client())
    for _ in range(2):
        assert here.post("/everywhere/").status_code == 200
        assert here.post("/keep-password/").status_code == 200
        assert here.post("/own-proof/").status_code == 200
    with later():
        assert who(here) == "ann"


def test_a_test_client_that_forces_a_login_is_held_against_the_cutoff_too(engine: str) -> None:
    ann, browser = make_user(), Client()
    browser.force_login(ann)
    assert who(browser) == "ann" and not UserState.objects.exists()


def test_what_a_login_costs(settings: Any) -> None:
    """Two SELECTs by the user's key: as the login begins, and once the session is saved. Then none."""
    use("db", settings)
    make_user()
    browser = Client()

    def asked(act: Callable[[], Any]) -> int:
        with CaptureQueriesContext(connection) as captured:
            act()
        return sum(UserState._meta.db_table in one["sql"] for one in captured)

    assert asked(lambda: sign_in(browser)) == 2
    assert [asked(lambda: browser.get("/whoami/")) for _ in range(2)] == [0, 0]
