"""Blocking calls, awaited; and the async twins of what blocks."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.views.decorators.debug import sensitive_variables

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """What ``call`` returns, from a thread of its own: a slow provider holds up nobody else."""
    return await _called(call, thread_sensitive=False)


def twin_of(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """The async twin of a backend's ``method``: it calls the method of that name, a subclass's too, in a thread."""
    name = method.__name__

    @wraps(method)
    @sensitive_variables()
    async def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        found: Callable[P, T] = getattr(self, name)
        return await in_thread(lambda: found(*args, **kwargs))

    return named_twin(twin, f"As ``{name}``, in a thread of its own.")


def query_twin_of(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The async twin of a ``function`` that does not wait for the provider: in the thread where Django allows queries.

    What does wait for it is written as steps (``twins``).
    """

    @wraps(function)
    @sensitive_variables()
    async def twin(*args: P.args, **kwargs: P.kwargs) -> T:
        return await _called(lambda: function(*args, **kwargs), thread_sensitive=True)

    return named_twin(twin, f"As ``{function.__name__}``, in the thread where Django allows queries.")


async def _called(call: Callable[[], T], *, thread_sensitive: bool) -> T:
    # SECURITY: a closure, not a function with its arguments: those would stand in asgiref's frames,
    # and so in an error report, code and all. The closure's own frame is marked for the same reason.
    marked = sensitive_variables()(call)
    return await sync_to_async(marked, thread_sensitive=thread_sensitive)()


def named_twin(twin: Callable[P, T], doc: str) -> Callable[P, T]:
    """``twin``, which has been given the name of what it is a twin of, by its own name."""
    twin.__name__ = f"a{twin.__name__}"
    twin.__qualname__ = ".".join([*twin.__qualname__.split(".")[:-1], twin.__name__])
    twin.__doc__ = doc
    return twin
