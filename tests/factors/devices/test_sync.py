"""``sync_factors`` at length: at what pace, beside itself, cut short, and when the wrong Service is asked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable
from django_twilio_verify.models import Entity, Factor, ProviderRemoval
from django_twilio_verify.provider import factor_sync
from django_twilio_verify.provider.attempt_sync import PAUSE, Pace
from django_twilio_verify.testing import FactorRoutes, VerifyServer
from tests.support.basics import make_user, race

pytestmark = pytest.mark.django_db


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


def enroll(count: int, *, first: int = 0, alias: str = "default") -> list[Factor]:
    """So many people with an authenticator app each, here and at the provider."""
    simulator = backends[alias].factor_simulator
    made = []
    for number in range(first, first + count):
        entity = Entity.objects.create(user=make_user(f"user{number}"), backend=alias, created_at=timezone.now())
        sid = simulator.create_factor(entity.identity, "app", "totp", binding={}, config={})["sid"]
        simulator._entities[entity.identity].factors[sid].status = "verified"
        made.append(
            Factor.objects.create(
                user_id=entity.user_id,
                entity=entity,
                kind="totp",
                channel="totp",
                key=sid,
                sid=sid,
                created_at=timezone.now(),
                confirmed_at=timezone.now(),
            )
        )
    return made


def forget(*factors: Factor) -> None:
    """The provider loses them."""
    for factor in factors:
        assert factor.entity
        backends["default"].factor_simulator.delete_factor(factor.entity.identity, factor.sid)


def sync(**options: Any) -> factor_sync.Report:
    return factor_sync.sync("default", **{"pace": Pace(100_000), **options})


def run(**options: Any) -> tuple[int, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("sync_factors", stdout=out, stderr=err, **{"per_minute": 100_000, **options})
    except CommandError as error:
        return error.returncode, out.getvalue() + str(error)
    return 0, out.getvalue()


def lost() -> int:
    return Factor.objects.exclude(lost_at=None).count()


# ------------------------------------------------------------------------------------------------- the pace


def test_a_hundred_questions_a_minute() -> None:
    enroll(4)
    clock = Clock()
    report = sync(pace=Pace(clock=clock, sleep=clock.sleep))
    assert report.seen == 4
    assert clock.slept == pytest.approx([0.6] * 5), "a look, four people, and the list of all"


def test_removals_keep_the_pace() -> None:
    now, clock = timezone.now(), Clock()
    for number in range(3):
        ProviderRemoval.objects.create(
            backend="default", identity=f"identity-{number}", created_at=now, next_try_at=now
        )
    assert sync(pace=Pace(clock=clock, sleep=clock.sleep)).removed == 3
    assert clock.slept == pytest.approx([0.6] * 4)


def test_too_many_requests_is_a_pause_and_then_an_end() -> None:
    enroll(1)
    clock = Clock()
    pace = Pace(clock=clock, sleep=clock.sleep)
    busy = BackendRejected("wait", provider_code=20429)
    backends["default"].fail_next(busy, times=2)  # type: ignore[attr-defined]
    assert sync(pace=pace).seen == 1
    assert clock.slept.count(PAUSE) == 2
    backends["default"].fail_next(busy, times=9)  # type: ignore[attr-defined]
    with pytest.raises(BackendRejected):
        sync(pace=pace)
    assert clock.slept.count(PAUSE) == 5


@pytest.mark.parametrize("word", ["0", "-1", "x", "1000000"])
def test_a_pace_that_is_none(word: str) -> None:
    with pytest.raises(CommandError):
        call_command("sync_factors", "--per-minute", word)


def test_progress_is_drawn_on_a_terminal(monkeypatch: Any) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    enroll(3)
    moments = iter(range(100))
    monkeypatch.setattr("django_twilio_verify.management.progress.time.monotonic", lambda: float(next(moments)))
    shown = Terminal()
    call_command("sync_factors", "--per-minute", "100000", stdout=StringIO(), stderr=shown)
    assert "1 of 3 (33%) people" in shown.getvalue() and shown.getvalue().endswith("\r")


# ------------------------------------------------------------------------------------------------- the wrong Service


def test_a_service_that_is_not_there_loses_nobody(settings: Any) -> None:
    with VerifyServer() as server:
        settings.TWILIO_VERIFY_BACKENDS = server.setting(timeout=10)
        user = make_user("ann")
        entity = Entity.objects.create(user=user, backend="default", created_at=timezone.now())
        Factor.objects.create(
            user=user,
            entity=entity,
            kind="totp",
            channel="totp",
            key="x",
            sid="YF" + "1" * 32,
            created_at=timezone.now(),
            confirmed_at=timezone.now(),
        )
        now = timezone.now()
        ProviderRemoval.objects.create(backend="default", identity="a" * 36, created_at=now, next_try_at=now)
        wrong = {**server.options(timeout=10), "service_sid": "VA" + "9" * 32}
        settings.TWILIO_VERIFY_BACKENDS = {"default": {**server.setting()["default"], "OPTIONS": wrong}}
        status, said = run()
        assert (status, lost()) == (2, 0)
        assert said == "default: the provider knows no Service by its service_sid. Nothing was changed."
        assert ProviderRemoval.objects.get().tries == 0, "it would seem to be removed already"
        assert Entity.objects.get().compared_at is None
        assert run(force=True)[0] == 2


@pytest.mark.parametrize(
    ("people", "gone", "noted"),
    [(1, 1, True), (2, 2, False), (5, 3, True), (5, 4, False), (40, 4, True), (39, 4, False), (50, 5, True)],
)
def test_a_mass_is_hard_to_believe(people: int, gone: int, noted: bool) -> None:
    """A single factor may be gone, and a few, and one in ten; all of them, or many at once, are another Service."""
    factors = enroll(people)
    forget(*factors[:gone])
    status, said = run()
    assert (status, lost()) == ((1, gone) if noted else (2, 0)), said
    if not noted:
        assert f"{gone} of {people} factors are unknown to the provider. Is it the right Service?" in said
        assert run(dry_run=True)[0] == 2
        assert run(force=True)[0] == 1 and lost() == gone
        assert run()[0] == 1, "what was noted before is no news"


def test_what_was_noted_by_mistake_is_found_again() -> None:
    factors = enroll(5)
    Factor.objects.update(lost_at=timezone.now())
    assert sync().found == 5 and lost() == 0
    assert len(factors) == 5


# ------------------------------------------------------------------------------------------------- cut short


def test_the_next_run_begins_with_those_who_were_left_out() -> None:
    enroll(5)
    backend, asked = backends["default"], []
    original = backend.factors

    def factors(identity: str) -> Any:
        asked.append(identity)
        return original(identity)

    backend.factors = factors  # type: ignore[method-assign]
    try:
        with pytest.raises(KeyboardInterrupt):
            sync(progress=_interrupt_after(3))
        first = [*asked]
        asked.clear()
        assert sync().seen == 5
    finally:
        del backend.factors
    everybody = list(Entity.objects.order_by("pk").values_list("identity", flat=True))
    assert first == everybody[:3] and asked == everybody[3:] + everybody[:3]


def _interrupt_after(number: int) -> Any:
    def progress(done: int) -> None:
        if done == number:
            raise KeyboardInterrupt

    return progress


def test_the_provider_goes_down_midway() -> None:
    enroll(3)
    down = BackendUnavailable(may_have_been_done=False)

    def progress(done: int) -> None:
        if done == 1:
            backends["default"].fail_next(down)  # type: ignore[attr-defined]

    with pytest.raises(BackendUnavailable):
        sync(progress=progress)
    assert sync().seen == 3


@pytest.mark.django_db(transaction=True)
def test_a_process_that_is_killed_is_finished_by_the_next(settings: Any, tmp_path: Any) -> None:
    """The command itself, in a process of its own, and SIGKILL while it waits for the third person."""
    with VerifyServer() as server:
        simulator = server.extension(FactorRoutes).simulator
        for number in range(4):
            user = make_user(f"user{number}")
            entity = Entity.objects.create(user=user, backend="default", created_at=timezone.now())
            simulator.create_entity(entity.identity)
        settings.TWILIO_VERIFY_BACKENDS = server.setting(timeout=60)
        (tmp_path / "killed.py").write_text(
            "from tests.settings import *\n"
            f"DATABASES['default']['NAME'] = {str(connection.settings_dict['NAME'])!r}\n"
            f"TWILIO_VERIFY_BACKENDS = {server.setting(timeout=60)!r}\n"
        )
        server.delay(0, times=3)
        server.delay(60)
        places = f"{tmp_path}{os.pathsep}{os.getcwd()}"
        environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "killed", "PYTHONPATH": places}
        arguments = [sys.executable, "-W", "ignore", "-m", "django", "sync_factors"]
        with subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            deadline = time.monotonic() + 60
            while len(server.requests) < 4 and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            assert process.poll() is None, process.stdout.read()  # type: ignore[union-attr]
            process.kill()
        assert Entity.objects.filter(compared_at=None).count() == 1
        done = sync()
        assert (done.seen, done.differs) == (4, False)
        assert not Entity.objects.filter(compared_at__lt=timezone.now() - timedelta(minutes=1)).exists()
        backends["default"].close()  # type: ignore[attr-defined]


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_runs_at_the_same_time_share_the_people() -> None:
    enroll(12)
    reports = race(4, lambda index: sync())
    assert all(isinstance(one, factor_sync.Report) for one in reports), reports
    seen = [one.seen for one in reports]  # type: ignore[union-attr]
    # One that begins after another has finished compares anew, and that is all that is done twice.
    assert sum(seen) >= 12 and Entity.objects.filter(compared_at=None).count() == 0
    assert not any(one.differs for one in reports)  # type: ignore[union-attr]
