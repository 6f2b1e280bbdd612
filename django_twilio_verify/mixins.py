"""Protect class-based views."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from django.http import HttpRequest

from .choices import ChannelName
from .login.step_up import Proof, ademand, demand

__all__ = ["VerificationRequiredMixin"]


class VerificationRequiredMixin:
    """``verification_required`` for class-based views, sync or async.

    Name it before the other base classes, and after a mixin that asks for a login.

    Attributes:
        verification_max_age: How long ago at most a factor was verified, in seconds or as a ``timedelta``; ``None``
            for any time in this session.
        verification_channels: By one of these channels; by any without it.
    """

    verification_max_age: timedelta | int | None = None
    verification_channels: Collection[ChannelName] = ()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Serve the view, or answer as ``verification_required`` does."""
        proof = Proof.of(self.verification_max_age, self.verification_channels)
        # The class that follows is a View, of which a mixin knows nothing.
        serve: Callable[..., Any] = super().dispatch  # type: ignore[misc]
        if getattr(self, "view_is_async", False):
            return _aserved(serve, proof, request, *args, **kwargs)
        return demand(request, proof) or serve(request, *args, **kwargs)


async def _aserved(serve: Callable[..., Any], proof: Proof, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
    return await ademand(request, proof) or await serve(request, *args, **kwargs)
