"""Every page and button of the app, and every state that a browser's user may be in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.core.client import ClientInfo
from django_twilio_verify.models import ConsentEvent, Verification
from django_twilio_verify.testing.factor_contract import PARTY
from django_twilio_verify.verifications import handover
from tests.attacks.states import (
    NEW_PHONE,
    NOON,
    Stage,
    ticked,
)
from tests.support.basics import make_client
from tests.support.rewind import undone

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


def enrollment(kind: str) -> Build:
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
    "factor_replace_channel": [
        Case(signed_in, lambda stage: [stage.attacked.pk, "sms"], new_number, fresh=True, does="sent")
    ],
    "factor_reverify": [Case(signed_in, attacked, fresh=True, does="sent")],
    "recovery_codes": [Case(signed_in, fresh=True)],
    "recovery_codes_kept": [Case(signed_in), Case(pending)],
    "offer": [Case(signed_in), Case(pending)],
    "browsers": [Case(signed_in)],
    "browsers_revoke": [Case(signed_in)],
    "browser_revoke": [Case(signed_in, given(1))],
    "consents": [Case(signed_in)],
    "withdraw": [Case(signed_in, lambda stage: [ConsentEvent.objects.filter(event="granted").earliest("pk").pk])],
    "stop": [Case(visitor, public=True)],
    "stop_channel": [Case(visitor, given("sms"), public=True)],
    "stop_proved": [Case(visitor, given(UNKNOWN), public=True)],
    "reopen": [Case(signed_in, lambda stage: [stage.attacked.pk, "sms"], fresh=True)],
    "reopen_proved": [Case(signed_in, given(UNKNOWN))],
    "opt_in": [Case(visitor, public=True)],
    "opt_in_channel": [Case(visitor, given("sms"), public=True)],
    "enroll": [Case(signed_in, fresh=True), Case(pending)],
    "enroll_recipient": [
        Case(signed_in, given("sms"), new_number, fresh=True, does="sent"),
        Case(pending, given("sms"), new_number),
    ],
    "enroll_passkey": [Case(enrollment("passkey"), does="enrolled", fresh=True)],
    "enroll_passkey_options": [Case(signed_in, values=lambda stage: {"name": "Key"}, fresh=True)],
    "enroll_totp": [Case(signed_in, values=lambda stage: {"name": "App"}, fresh=True)],
    "enroll_totp_code": [Case(enrollment("totp"), proof, does="enrolled", fresh=True)],
    "enroll_push": [Case(signed_in, fresh=True)],
    "enroll_push_status": [Case(signed_in), Case(pending)],
    "access_token": [Case(signed_in, fresh=True, json=True), Case(pending, json=True)],
    "access_token_confirm": [Case(enrollment("push"), proof, does="enrolled", fresh=True, json=True)],
    "grace": [Case(signed_in)],
    "passkey_sign_in": [Case(visitor, public=True)],
    "passkey_sign_in_options": [Case(visitor, public=True)],
    "challenge": [Case(pending, does="sent"), Case(signed_in)],
    "recovery": [Case(pending, values=lambda stage: {"code": "aaaa-aaaa-aaaa"})],
    "cancel": [Case(pending), Case(signed_in)],
    "challenge_channel": [
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
    "step_up_channel": [
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
    "payment_channel": [
        Case(page_of_payment("phone"), lambda stage: [stage.path_values["key"], *attacked_way(stage)], does="sent"),
        Case(page_of_payment("totp"), lambda stage: [stage.path_values["key"], *attacked_way(stage)], does="paid"),
        Case(page_of_payment("push"), lambda stage: [stage.path_values["key"], *attacked_way(stage)], does="sent"),
    ],
    "resend": [
        *(Case(asked(purpose), proof, does="sent") for purpose in OPENING),
        Case(lambda stage: stage.with_phone().enrolling(), proof, does="sent", fresh=True),
        Case(lambda stage: stage.with_phone().linked("login"), proof),
    ],
    "other_channel": [
        *(
            Case(lambda stage, purpose=purpose: asked(purpose)(stage).with_box("call"), by("call"), does="sent")  # type: ignore[misc]
            for purpose in OPENING
        ),
        Case(lambda stage: stage.with_phone().enrolling().with_box("call"), by("call"), does="sent", fresh=True),
        Case(lambda stage: stage.with_phone().linked("step_up").with_box("sms"), by("sms"), does="sent"),
    ],
    "reset": [Case(signed_in)],
    "reset_held": [Case(pending), Case(signed_in)],
    "reset_enroll": [Case(pending, given("nothing"))],
    "reset_cancel": [Case(visitor, given("nothing"), public=True)],
    "webhook": [Case(visitor, public=True)],
    "factor_webhook": [Case(visitor, public=True)],
}
ACTING = [
    pytest.param(name, number, id=f"{name}-{number}")
    for name, cases in CASES.items()
    for number, case in enumerate(cases)
    if case.does
]


def begun(case: Case, clock: Any) -> Stage:
    stage = case.build(Stage(clock))
    waiting = Verification.objects.exclude(link="").first()
    if waiting is not None:  # the code on the other screen was scanned
        offer = handover.offer(waiting, client=_session_of(stage), user=stage.ann)
        stage.path_values.update(token=offer.token, match=offer.match)
    return stage


@contextmanager
def from_here(stage: Stage) -> Iterator[None]:
    """Whatever the block does, the stage and the time are as before after it."""
    now = timezone.now()
    try:
        with undone(stage, same=(stage.clock,)):
            yield
    finally:
        stage.clock.move_to(now)


def _session_of(stage: Stage) -> ClientInfo:
    return make_client(stage.browser.session["_twilio_verify_secret"])


def request(stage: Stage, case: Case, name: str, method: str) -> Any:
    path = reverse(f"twilio_verify:{name}", args=case.arguments(stage))
    if method == "get":
        return stage.browser.get(path)
    more = {"content_type": "application/json"} if case.json else {}
    return stage.browser.post(path, case.values(stage), **more)


@pytest.fixture(autouse=True)
def site(settings: Any) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.factors.changes.urls"
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "call", "whatsapp", "email", "sna"]
    settings.TWILIO_VERIFY_PUSH_APP_NAME = "Acme Go"
    simulator = backends["default"].factor_simulator  # type: ignore[attr-defined]
    before, simulator.passkeys = simulator.passkeys, PARTY
    yield
    simulator.passkeys = before


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller
