"""One flow for both worlds: written once as a generator that says what it waits for, run with or without ``await``.

A flow yields ``Call`` (a backend's method; what it returns or raises comes back), ``Work`` or ``Pause``. Whatever it
does between two of them, it does in the caller's thread, where Django allows queries; no transaction is open at a
``yield``.

``verb`` makes the public function of a flow, and ``verb_twin_of`` the one that is awaited. What does not wait for the
provider is given its twin by ``threads.query_twin_of``, and a backend's methods theirs by ``threads.twin_of``.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import time
import traceback
from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.views.decorators.debug import sensitive_variables

from ..exceptions import BackendError
from .handler import backends
from .threads import in_thread, named_twin

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """Ask the backend ``alias``: ``method`` with these, or its twin.

    ``until``: the ``time.monotonic()`` until which it may be asked. Later it is not, and ``TooLate`` comes back.
    """

    alias: str
    method: str
    args: tuple[Any, ...] = field(default=(), repr=False)  # SECURITY: answers are among them
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    until: float = math.inf


class TooLate(Exception):
    """The moment until which a ``Call`` might begin has passed."""


@dataclass(frozen=True, slots=True)
class Work:
    """Do what takes long and needs no query, such as a slow hash; in a thread of its own where others would wait."""

    work: Callable[[], Any] = field(repr=False)  # SECURITY: what it works on, such as a code


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for ``seconds``."""

    seconds: float


_Wish = Call | Work | Pause
Steps = Generator[_Wish, Any, T]


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    value: T


_Reply = Callable[[Steps[T]], _Wish]


def run(steps: Steps[T]) -> T:
    """What ``steps`` returns; its errors are raised."""
    wish = _advanced(steps, next)
    while not isinstance(wish, _Done):
        wish = _advanced(steps, _performed(wish))
    return wish.value


async def arun(steps: Steps[T]) -> T:
    """As ``run``; neither a slow provider nor waiting holds up another request."""
    return await _arun(lambda: steps)


async def _arun(begin: Callable[[], Steps[T]]) -> T:
    """Run the steps that ``begin`` makes. It is called in the thread where Django allows queries: it may make some."""

    @sensitive_variables()
    def begun() -> tuple[Steps[T], _Wish | _Done[T]]:
        steps = begin()
        return steps, _advanced(steps, next)

    steps, wish = await sync_to_async(begun)()
    while not isinstance(wish, _Done):
        wish = await sync_to_async(_advanced)(steps, await _aperformed(wish))
    value: T = wish.value
    return value


def verb(steps: Callable[P, Steps[T]]) -> Callable[P, T]:
    """The function that runs what ``steps`` gives, takes the same and returns what they do."""

    @wraps(steps)
    @sensitive_variables()  # SECURITY: of this frame, and of that of ``steps``
    def function(*args: P.args, **kwargs: P.kwargs) -> T:
        return run(steps(*args, **kwargs))

    told = inspect.signature(steps)
    returned = str(told.return_annotation).removeprefix("Steps[").removesuffix("]")
    function.__signature__ = told.replace(return_annotation=returned)  # type: ignore[attr-defined]
    function.__annotations__ = {**steps.__annotations__, "return": returned}
    return function


def verb_twin_of(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The async twin of a ``verb``: it runs the very same steps."""
    # SECURITY: marked itself: what a coroutine calls is not covered by the mark of the coroutine.
    steps: Callable[P, Steps[T]] = sensitive_variables()(function.__wrapped__)  # type: ignore[attr-defined]

    @wraps(function)
    @sensitive_variables()
    async def twin(*args: P.args, **kwargs: P.kwargs) -> T:
        return await _arun(sensitive_variables()(lambda: steps(*args, **kwargs)))

    twin.__annotations__ = function.__annotations__
    return named_twin(twin, f"As ``{function.__name__}``; a slow provider holds up no other request.")


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
        if isinstance(wish, Work):
            return _sending(wish.work())
        return _sending(_method(wish)(*wish.args, **wish.kwargs))
    except (BackendError, TooLate) as error:
        return _raising(error)


@sensitive_variables()
async def _aperformed(wish: _Wish) -> _Reply[Any]:
    if isinstance(wish, Pause):
        await asyncio.sleep(wish.seconds)
        return next
    try:
        if isinstance(wish, Work):
            return _sending(await in_thread(wish.work))
        return _sending(await _method(wish, twin="a")(*wish.args, **wish.kwargs))
    except (BackendError, TooLate) as error:
        return _raising(error)


def _method(call: Call, *, twin: str = "") -> Callable[..., Any]:
    """The backend's method, to be called at once. Raises ``TooLate``."""
    if time.monotonic() > call.until:
        raise TooLate
    method: Callable[..., Any] = getattr(backends[call.alias], twin + call.method)
    return method


def _sending(answer: Any) -> _Reply[Any]:
    return lambda steps: steps.send(answer)


def _raising(error: BackendError | TooLate) -> _Reply[Any]:
    return lambda steps: steps.throw(error)
