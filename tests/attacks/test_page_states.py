"""Every page and button of the app, in a browser whose user's factor, session or account changed since it was opened.

The pages are read from the URLconf: a new URL without a case here fails. Each case is begun as it should be
(``states``), one state comes true, and then the page is asked for and its button pressed with all that would be right.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.urls import reverse

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.clientinfo import ClientInfo
from django_twilio_verify.flows import handover
from django_twilio_verify.models import ConsentEvent, Verification
from django_twilio_verify.testing.factor_contract import PARTY
from django_twilio_verify.urls import urlpatterns

from ..support import make_client
from .states import AFTER, FACTOR_STATES, NEW_PHONE, NOON, PERSON_STATES, STATES, Stage, effects, gained, ticked

pytestmark = pytest.mark.django_db

UNKNOWN = "3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2"
Build = Callable[[Stage], Stage]


@dataclass(frozen=True)
class Case:
    """A page of one URL. ``build``: how the stage is begun; ``arguments``: of the URL; ``values``: what is posted.

    ``does``: what the press brings about while nothing has changed (``states.gained``), by which a case shows that it
    tests something. ``fresh``: only after a fresh proof. ``public``: for visitors too. ``json``: for programs.
    """

    build: Build
    arguments: Callable[[Stage], list[Any]] = lambda stage: []
    values: Callable[[Stage], dict[str, Any]] = lambda stage: stage.values()
    does: str = ""
    fresh: bool = False
    public: bool = False
    json: bool = False


def proof(stage: Stage) -> list[Any]:
    return [stage.verification.pk]


def by(channel: str) -> Callable[[Stage], list[Any]]:
    return lambda stage: [stage.verification.pk, channel]


def attacked(stage: Stage) -> list[Any]:
    return [stage.attacked.pk]


def attacked_way(stage: Stage) -> list[Any]:
    return [stage.attacked.pk, stage.attacked.channel]


def given(*arguments: Any) -> Callable[[Stage], list[Any]]:
    return lambda stage: [*arguments]


def signed_in(stage: Stage) -> Stage:
    return stage.with_phone().signed_in()


def pending(stage: Stage) -> Stage:
    return stage.with_phone().pending()


def visitor(stage: Stage) -> Stage:
    return stage.with_phone()


def asked(purpose: str) -> Build:
    return lambda stage: stage.with_phone().asked(purpose)


def pushed(purpose: str) -> Build:
    return lambda stage: stage.with_device("push").asked(purpose)


def answered(purpose: str) -> Build:
    return lambda stage: pushed(purpose)(stage).with_number()


def page_of_payment(kind: str) -> Build:
    def build(stage: Stage) -> Stage:
        stage = stage.with_phone() if kind == "phone" else stage.with_device(kind)
        stage.signed_in()
        stage.path_values["key"] = stage.payment_key()
        return stage.with_app_code() if kind == "totp" else stage

    return build


def enrolment(kind: str) -> Build:
    return lambda stage: getattr(stage.with_phone(), f"enrolling_{kind}")()


def new_number(stage: Stage) -> dict[str, str]:
    return ticked("sms", number=NEW_PHONE, country="")


OPENING = ("login", "step_up", "payment")
DOES = {"login": "signed in", "step_up": "proved", "payment": "paid"}

CASES: dict[str, list[Case]] = {
    "factors": [Case(signed_in), Case(pending)],
    "factor_rename": [Case(signed_in, attacked, lambda stage: {"name": "Mine"}, fresh=True)],
    "factor_default": [Case(signed_in, attacked, fresh=True)],
    "factor_remove": [Case(signed_in, attacked, fresh=True, does="removed")],
    "factor_replace": [Case(signed_in, attacked, new_number, fresh=True, does="sent")],
    "factor_replace_way": [
        Case(signed_in, lambda stage: [stage.attacked.pk, "sms"], new_number, fresh=True, does="sent")
    ],
    "factor_reprove": [Case(signed_in, attacked, fresh=True, does="sent")],
    "recovery_codes": [Case(signed_in, fresh=True)],
    "recovery_codes_kept": [Case(signed_in), Case(pending)],
    "offer": [Case(signed_in), Case(pending)],
    "browsers": [Case(signed_in)],
    "browsers_revoke": [Case(signed_in)],
    "browser_revoke": [Case(signed_in, given(1))],
    "consents": [Case(signed_in)],
    "withdraw": [Case(signed_in, lambda stage: [ConsentEvent.objects.filter(event="granted").earliest("pk").pk])],
    "stop": [Case(visitor, public=True)],
    "stop_way": [Case(visitor, given("sms"), public=True)],
    "stop_proved": [Case(visitor, given(UNKNOWN), public=True)],
    "reopen": [Case(signed_in, lambda stage: [stage.attacked.pk, "sms"], fresh=True)],
    "reopen_proved": [Case(signed_in, given(UNKNOWN))],
    "opt_in": [Case(visitor, public=True)],
    "opt_in_way": [Case(visitor, given("sms"), public=True)],
    "enrol": [Case(signed_in, fresh=True), Case(pending)],
    "enrol_recipient": [
        Case(signed_in, given("sms"), new_number, fresh=True, does="sent"),
        Case(pending, given("sms"), new_number),
    ],
    "enrol_passkey": [Case(enrolment("passkey"), does="enrolled", fresh=True)],
    "enrol_passkey_options": [Case(signed_in, values=lambda stage: {"name": "Key"}, fresh=True)],
    "enrol_totp": [Case(signed_in, values=lambda stage: {"name": "App"}, fresh=True)],
    "enrol_totp_code": [Case(enrolment("totp"), proof, does="enrolled", fresh=True)],
    "enrol_push": [Case(signed_in, fresh=True)],
    "enrol_push_status": [Case(signed_in), Case(pending)],
    "access_token": [Case(signed_in, fresh=True, json=True), Case(pending, json=True)],
    "access_token_confirm": [Case(enrolment("push"), proof, does="enrolled", fresh=True, json=True)],
    "grace": [Case(signed_in)],
    "passkey_sign_in": [Case(visitor, public=True)],
    "passkey_sign_in_options": [Case(visitor, public=True)],
    "challenge": [Case(pending, does="sent"), Case(signed_in)],
    "recovery": [Case(pending, values=lambda stage: {"code": "aaaa-aaaa-aaaa"})],
    "cancel": [Case(pending), Case(signed_in)],
    "challenge_way": [
        Case(pending, attacked_way, does="sent"),
        Case(pending, lambda stage: [stage.attacked.pk, "call"], does="sent"),
        Case(lambda stage: stage.with_device("totp").pending().with_app_code(), attacked_way, does="signed in"),
        Case(lambda stage: stage.with_device("push").pending(), attacked_way, does="sent"),
        Case(
            lambda stage: stage.with_device("passkey").pending().with_credential("/verify/passkey/options/login/"),
            attacked_way,
            does="signed in",
        ),
    ],
    "push": [Case(answered(purpose), proof, does=DOES[purpose]) for purpose in OPENING],
    "push_status": [Case(answered(purpose), proof) for purpose in OPENING],
    "push_remind": [Case(pushed(purpose), proof, does="sent") for purpose in OPENING],
    "passkey_options": [
        Case(lambda stage: stage.with_device("passkey").pending(), given("login"), does="sent"),
        Case(lambda stage: stage.with_device("passkey").signed_in(), given("step_up"), does="sent"),
    ],
    "step_up": [Case(signed_in, does="sent")],
    "step_up_recovery": [Case(signed_in, values=lambda stage: {"code": "aaaa-aaaa-aaaa"})],
    "step_up_way": [
        Case(signed_in, attacked_way, does="sent"),
        Case(lambda stage: stage.with_device("totp").signed_in().with_app_code(), attacked_way, does="proved"),
        Case(lambda stage: stage.with_device("push").signed_in(), attacked_way, does="sent"),
        Case(
            lambda stage: stage.with_device("passkey").signed_in().with_credential("/verify/passkey/options/step_up/"),
            attacked_way,
            does="proved",
        ),
    ],
    "resume": [Case(signed_in, given("nothing"))],
    "code": [
        *(
            Case(lambda stage, purpose=purpose: asked(purpose)(stage).with_code(), proof, does=DOES[purpose])  # type: ignore[misc]
            for purpose in OPENING
        ),
        Case(lambda stage: stage.with_phone().enrolling().with_code(), proof, does="enrolled", fresh=True),
    ],
    "link": [
        Case(lambda stage: stage.with_phone().linked("login"), proof, does="signed in"),
        Case(lambda stage: stage.with_phone().linked("step_up"), proof, does="proved"),
        Case(lambda stage: stage.with_phone().enrolling("sna"), proof, does="enrolled", fresh=True),
    ],
    "status": [
        Case(lambda stage: stage.with_phone().linked("login"), proof),
        Case(lambda stage: stage.with_phone().enrolling("sna"), proof),
    ],
    "handover": [
        Case(
            lambda stage: stage.with_phone().linked("login"),
            lambda stage: [stage.path_values["token"]],
            lambda stage: {"match": stage.path_values["match"], "opened": "1"},
            public=True,
        )
    ],
    "payment": [Case(page_of_payment("phone"), lambda stage: [stage.path_values["key"]], does="sent")],
    "payment_way": [
        Case(page_of_payment("phone"), lambda stage: [stage.path_values["key"], *attacked_way(stage)], does="sent"),
        Case(page_of_payment("totp"), lambda stage: [stage.path_values["key"], *attacked_way(stage)], does="paid"),
        Case(page_of_payment("push"), lambda stage: [stage.path_values["key"], *attacked_way(stage)], does="sent"),
    ],
    "resend": [
        *(Case(asked(purpose), proof, does="sent") for purpose in OPENING),
        Case(lambda stage: stage.with_phone().enrolling(), proof, does="sent", fresh=True),
        Case(lambda stage: stage.with_phone().linked("login"), proof),
    ],
    "other_way": [
        *(
            Case(lambda stage, purpose=purpose: asked(purpose)(stage).with_box("call"), by("call"), does="sent")  # type: ignore[misc]
            for purpose in OPENING
        ),
        Case(lambda stage: stage.with_phone().enrolling().with_box("call"), by("call"), does="sent", fresh=True),
        Case(lambda stage: stage.with_phone().linked("step_up").with_box("sms"), by("sms"), does="sent"),
    ],
    "reset": [Case(signed_in)],
    "reset_held": [Case(pending), Case(signed_in)],
    "reset_enrol": [Case(pending, given("nothing"))],
    "reset_cancel": [Case(visitor, given("nothing"), public=True)],
    "webhook": [Case(visitor, public=True)],
    "factor_webhook": [Case(visitor, public=True)],
}

ROWS = [
    pytest.param(name, number, id=f"{name}-{number}") for name, cases in CASES.items() for number in range(len(cases))
]
ACTING = [
    pytest.param(name, number, id=f"{name}-{number}")
    for name, cases in CASES.items()
    for number, case in enumerate(cases)
    if case.does
]


def test_every_url_has_a_case():
    assert {pattern.name for pattern in urlpatterns} == {*CASES}
    assert all(CASES.values())


@pytest.fixture(autouse=True)
def site(settings: Any) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.managing.urls"
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "call", "whatsapp", "email", "sna"]
    settings.TWILIO_VERIFY_PUSH_APP = "Acme Go"
    simulator = backends["default"].factor_simulator  # type: ignore[attr-defined]
    before, simulator.passkeys = simulator.passkeys, PARTY
    yield
    simulator.passkeys = before


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def prompts(monkeypatch: Any) -> list[str]:
    """What the provider was asked to tell a device: all of it real, and written down."""
    backend, told = backends["default"], []

    def watch(name: str) -> None:
        original = getattr(backend, name)
        monkeypatch.setattr(backend, name, lambda *args, **kwargs: (told.append(name), original(*args, **kwargs))[1])

    watch("notify")
    watch("challenge")
    return told


PASSKEYS_OF_ANYBODY = "passkey_sign_in_options"
"""The one page that has the provider make a challenge for whoever is there: it names nobody and reaches nobody."""


def begun(case: Case, clock: Any) -> Stage:
    stage = case.build(Stage(clock))
    waiting = Verification.objects.exclude(link="").first()
    if waiting is not None:  # the code on the other screen was scanned
        offer = handover.offer(waiting, client=_session_of(stage), user=stage.ann)
        stage.path_values.update(token=offer.token, match=offer.match)
    return stage


def _session_of(stage: Stage) -> ClientInfo:
    return make_client(stage.browser.session["_twilio_verify_secret"])


def request(stage: Stage, case: Case, name: str, method: str) -> Any:
    path = reverse(f"twilio_verify:{name}", args=case.arguments(stage))
    if method == "get":
        return stage.browser.get(path)
    more = {"content_type": "application/json"} if case.json else {}
    return stage.browser.post(path, case.values(stage), **more)


def done(stage: Stage, before: dict[str, Any], prompts: list[str], case: Case) -> list[str]:
    """What came of the request, prompts of devices included. What an authenticator app shows is no prompt."""
    more = gained(before, effects(stage))
    asks = [one for one in prompts if not (one == "challenge" and "code" in stage.data)]
    return [*more, "sent"] if asks and "sent" not in more else more


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("name", "number"), ROWS)
def test_nothing_comes_of_it(clock, prompts, name, number, state):
    case = CASES[name][number]
    stage = begun(case, clock)
    STATES[state](stage)
    clock.shift(AFTER)
    before = effects(stage)
    with as_if_it_had_not_been(stage):
        prompts.clear()
        answer = request(stage, case, name, "get")
        kind = (answer.status_code, answer.get("Location", ""))
        assert done(stage, before, [] if name == PASSKEYS_OF_ANYBODY else prompts, case) == [], kind
        assert _is_expected(answer, case, "get", state), kind
    prompts.clear()
    answer = request(stage, case, name, "post")
    kind = (answer.status_code, answer.get("Location", ""))
    came = done(stage, before, [] if name == PASSKEYS_OF_ANYBODY else prompts, case)
    assert [one for one in came if not _may(case, name, state, one, stage, before)] == [], (came, kind)
    assert _is_expected(answer, case, "post", state), kind


@contextmanager
def as_if_it_had_not_been(stage: Stage) -> Iterator[None]:
    """Looks at the page from this moment, to which the press that follows goes back. (A look reaches no provider.)"""
    cookies = copy.deepcopy(stage.browser.cookies)
    look = transaction.atomic()
    look._from_testcase = True  # as the test's own transaction, which durable ones may stand in
    with look:
        yield
        transaction.set_rollback(True)
    stage.browser.cookies = cookies


def _may(case: Case, name: str, state: str, effect: str, stage: Stage, before: dict[str, Any]) -> bool:
    """A page that names no factor offers those that are left: it may send there, and never to the one that is gone."""
    if effect != "sent" or name not in ("challenge", "step_up", "payment") or state not in FACTOR_STATES:
        return False
    fresh = effects(stage)["sent"][len(before["sent"]) :]
    return all(to != stage.attacked.recipient_value for to, _channel in fresh)


def _is_expected(answer: Any, case: Case, method: str, state: str) -> bool:
    """Where the person is not there any more, a page leads to the login, or is not there; else it leads on or says why,
    and never to where one goes who is through.
    """
    status, location = answer.status_code, answer.get("Location", "")
    if case.public:
        return status in (200, 302, 400, 403, 404, 405, 409)
    if state in PERSON_STATES:
        if status == 200:  # JSON that says nothing
            return answer.get("Content-Type", "").startswith("application/json")
        return status in (401, 403, 404, 405) or (status == 302 and not location.startswith("/paid/"))
    if method == "post" and case.does and status == 302:
        return bool(location.startswith(("/verify/", "/login/")))
    return status in (200, 302, 401, 403, 404, 405, 409)


@pytest.mark.parametrize(("name", "number"), ACTING)
def test_and_it_would_have(clock, prompts, name, number):
    """The same press while nothing has changed, after a fresh proof: else the table above would show nothing."""
    case = CASES[name][number]
    stage = begun(case, clock)
    clock.shift(60)
    before = effects(stage)
    prompts.clear()
    answer = request(stage, case, name, "post")
    came = done(stage, before, prompts, case)
    assert case.does in came, (came, answer.status_code, answer.get("Location", ""), answer.content[:2000])


@pytest.mark.parametrize(
    ("name", "number"),
    [row for row in ACTING if CASES[row.values[0]][row.values[1]].fresh],  # type: ignore[index]
)
def test_nothing_comes_of_an_old_proof(clock, prompts, name, number):
    """Nothing has changed but the time: adding and removing a factor wait for a fresh proof."""
    case = CASES[name][number]
    stage = begun(case, clock)
    clock.shift(AFTER)
    before = effects(stage)
    prompts.clear()
    answer = request(stage, case, name, "post")
    assert done(stage, before, prompts, case) == []
    leads = answer.json()["url"] if case.json else answer["Location"]
    assert leads.startswith("/verify/step-up/")
