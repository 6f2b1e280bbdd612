"""A backend's blocking call, awaited."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from asgiref.sync import sync_to_async
from django.views.decorators.debug import sensitive_variables

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """What ``call`` returns, from a thread of its own: a slow provider holds up nobody else."""
    # SECURITY: a closure, not a function with its arguments: those would stand in asgiref's frames,
    # and so in an error report, code and all. The closure's own frame is marked for the same reason.
    marked = sensitive_variables()(call)
    return await sync_to_async(marked, thread_sensitive=False)()
