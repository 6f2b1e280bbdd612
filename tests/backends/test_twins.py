"""Backends are awaited in a thread of their own, and steps run alike in both worlds."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
from asgiref.sync import async_to_sync

from django_twilio_verify.backends.base import BaseBackend
from django_twilio_verify.backends.factor_base import FactorBackend
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.backends.results import ProviderCheck, ProviderStatus
from django_twilio_verify.backends.twins import Call, Pause, Steps, TooLate, Work, arun, run, verb, verb_twin_of
from django_twilio_verify.exceptions import BackendUnavailable
from tests.support.tracebacks import everything_shown

CODE = "918273"
GONE = ProviderCheck(ProviderStatus.GONE, "VE1")

Drive = Callable[[Steps[Any]], Any]


@pytest.fixture(params=["sync", "async"])
def drive(request: Any) -> Drive:
    return run if request.param == "sync" else async_to_sync(arun)


def asking() -> list[Any]:
    """What a subclass fills. ``attempts`` may be read as one goes on: who awaits asks for its pages."""
    found = {name: one for base in (FactorBackend, BaseBackend) for name, one in vars(base).items()}
    methods = [one for one in found.values() if inspect.isfunction(one) and not inspect.iscoroutinefunction(one)]
    return [one for one in methods if "NotImplementedError" in one.__code__.co_names and one.__name__ != "attempts"]


@pytest.mark.parametrize("method", asking(), ids=lambda method: method.__name__)
def test_each_method_that_asks_the_provider_has_a_twin(method: Any) -> None:
    twin = getattr(BaseBackend, f"a{method.__name__}")
    assert inspect.iscoroutinefunction(twin)
    assert (twin.__name__, twin.__qualname__.rpartition(".")[2]) == (f"a{method.__name__}",) * 2
    assert inspect.signature(twin) == inspect.signature(method)


class SyncAlone(BaseBackend):
    def cancel(self, sid: str) -> ProviderCheck:
        self.thread = threading.current_thread()
        return GONE

    def approve(self, sid: str) -> ProviderCheck:
        raise LookupError(threading.current_thread().name)


class Both(SyncAlone):
    async def acancel(self, sid: str) -> ProviderCheck:
        return ProviderCheck(ProviderStatus.CANCELED, sid)


def test_an_author_may_write_sync_methods_alone_or_both() -> None:
    alone, both = SyncAlone("default"), Both("default")
    assert async_to_sync(alone.acancel)("VE1") == alone.cancel("VE1") == GONE
    assert async_to_sync(both.acancel)("VE1").status == ProviderStatus.CANCELED
    assert both.cancel("VE1") == GONE


def test_a_slow_provider_is_waited_for_in_a_thread_of_its_own() -> None:
    alone = SyncAlone("default")
    async_to_sync(alone.acancel)("VE1")
    assert alone.thread is not threading.current_thread()


def test_what_is_awaited_shows_no_code() -> None:
    with pytest.raises(LookupError) as caught:
        async_to_sync(SyncAlone("default").aapprove)(CODE)
    assert CODE not in everything_shown(caught.value)


def test_steps_are_told_what_the_backend_said(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends["default"], "cancel", lambda sid: GONE)

    def steps() -> Steps[ProviderCheck]:
        yield Pause(0)
        told: ProviderCheck = yield Call("default", "cancel", ("VE1",), until=time.monotonic() + 60)
        return told

    assert drive(steps()) == GONE


def test_steps_may_catch_what_the_backend_raised(drive: Drive) -> None:
    def steps() -> Steps[bool]:
        try:
            yield Call("default", "cancel", ("VE1",))
        except BackendUnavailable as error:
            return error.may_have_been_done
        return False

    backends["default"].fail_next(BackendUnavailable(may_have_been_done=True))
    assert drive(steps())


def test_nobody_is_asked_too_late(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(backends["default"], "cancel", asked.append)

    def steps() -> Steps[str]:
        try:
            yield Call("default", "cancel", ("VE1",), until=time.monotonic() - 0.001)
        except TooLate:
            return "too late"
        return "asked"

    assert (drive(steps()), asked) == ("too late", [])


def test_slow_work_holds_up_no_other_request(drive: Drive) -> None:
    def steps() -> Steps[tuple[int, int]]:
        here = threading.get_ident()
        there: int = yield Work(threading.get_ident)
        return here, there

    here, there = drive(steps())
    assert (here == there) is (drive is run)


def test_what_goes_wrong_with_work_shows_nothing_and_is_raised(drive: Drive) -> None:
    def judge(code: str) -> None:
        raise LookupError

    def steps() -> Steps[None]:
        code = CODE
        yield Work(lambda: judge(code))

    with pytest.raises(LookupError) as caught:
        drive(steps())
    assert CODE not in everything_shown(caught.value)


@verb
def guess(sid: str, *, code: str) -> Steps[ProviderCheck]:
    """Guess."""
    told: ProviderCheck = yield Call("default", "check", (sid, code))
    return told


@verb
def refuse(sid: str, *, code: str) -> Steps[ProviderCheck]:
    """Refuse, before there are any steps."""
    raise LookupError


def test_a_verb_and_its_twin_are_what_they_seem() -> None:
    aguess = verb_twin_of(guess)
    assert (
        str(inspect.signature(guess))
        == str(inspect.signature(aguess))
        == "(sid: 'str', *, code: 'str') -> 'ProviderCheck'"
    )
    assert get_type_hints(guess)["return"] is get_type_hints(aguess)["return"] is ProviderCheck
    assert (guess.__name__, aguess.__name__) == ("guess", "aguess")
    assert guess.__doc__ == "Guess." and "``guess``" in str(aguess.__doc__)
    assert inspect.iscoroutinefunction(aguess) and not inspect.iscoroutinefunction(guess)


@pytest.mark.parametrize("called", [guess, refuse])
@pytest.mark.parametrize("twin", ["sync", "async"])
def test_what_a_verb_raises_shows_no_code(monkeypatch: pytest.MonkeyPatch, called: Any, twin: str) -> None:
    def check(sid: str, code: str) -> ProviderCheck:
        raise LookupError

    monkeypatch.setattr(backends["default"], "check", check)
    work = called if twin == "sync" else async_to_sync(verb_twin_of(called))
    with pytest.raises(LookupError) as caught:
        work("VE1", code=CODE)
    assert CODE not in everything_shown(caught.value)
