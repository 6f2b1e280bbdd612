"""One flow for both worlds: written once as a generator that says what it waits for, run with or without ``await``.

A flow yields ``Call`` (a backend's method; what it returns or raises comes back) or ``Pause``. Whatever it does between
two of them, it does in the caller's thread, where Django allows queries; no transaction is open at a ``yield``.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from asgiref.sync import sync_to_async
from django.views.decorators.debug import sensitive_variables

from ..backends.handler import backends
from ..backends.threads import in_thread
from ..exceptions import BackendError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """Ask the backend ``alias``: ``method`` with these; or its twin, or where there is none a thread of its own."""

    alias: str
    method: str
    args: tuple[Any, ...] = field(default=(), repr=False)  # SECURITY: answers are among them
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for ``seconds``."""

    seconds: float


Steps = Generator[Call | Pause, Any, T]


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    value: T


_Wish = Call | Pause
_Reply = Callable[[Steps[T]], _Wish]


def run(steps: Steps[T]) -> T:
    """What ``steps`` returns; its errors are raised."""
    wish = _advanced(steps, next)
    while not isinstance(wish, _Done):
        wish = _advanced(steps, _performed(wish))
    return wish.value


async def arun(steps: Steps[T]) -> T:
    """As ``run``; neither a slow provider nor waiting holds up another request."""
    wish = await sync_to_async(_advanced)(steps, next)
    while not isinstance(wish, _Done):
        wish = await sync_to_async(_advanced)(steps, await _aperformed(wish))
    value: T = wish.value
    return value


@sensitive_variables()  # SECURITY: of every frame of the flow, which is called from here
def _advanced(steps: Steps[T], reply: _Reply[T]) -> _Wish | _Done[T]:
    try:
        return reply(steps)
    except StopIteration as end:  # may not leave a coroutine as it is
        return _Done(end.value)
    except Exception as error:
        _forget_values(error)
        raise


def _forget_values(error: BaseException | None) -> None:
    """Empty the frames that ``error`` and what led to it have come through; lines and names stay.

    SECURITY: up to Python 3.11 the frame of a generator that has ended does not know its caller, and so not that its
    variables are marked as sensitive.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


@sensitive_variables()
def _performed(wish: _Wish) -> _Reply[Any]:
    if isinstance(wish, Pause):
        time.sleep(wish.seconds)
        return next
    try:
        answer = getattr(backends[wish.alias], wish.method)(*wish.args, **wish.kwargs)
    except BackendError as error:
        return _raising(error)
    return _sending(answer)


@sensitive_variables()
async def _aperformed(wish: _Wish) -> _Reply[Any]:
    if isinstance(wish, Pause):
        await asyncio.sleep(wish.seconds)
        return next
    try:
        answer = await _awaited(wish)
    except BackendError as error:
        return _raising(error)
    return _sending(answer)


@sensitive_variables()
async def _awaited(call: Call) -> Any:
    backend = backends[call.alias]
    twin = getattr(backend, f"a{call.method}", None)
    if twin is None:
        return await in_thread(lambda: getattr(backend, call.method)(*call.args, **call.kwargs))
    return await twin(*call.args, **call.kwargs)


def _sending(answer: Any) -> _Reply[Any]:
    return lambda steps: steps.send(answer)


def _raising(error: BackendError) -> _Reply[Any]:
    return lambda steps: steps.throw(error)
