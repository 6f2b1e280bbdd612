"""The fresh proof that allauth's pages ask for before a number is added."""

from __future__ import annotations

from allauth.core.exceptions import ImmediateHttpResponse
from django.http import HttpRequest

from ... import factors
from ...login import step_up
from ...login.step_up import Proof


def require_fresh_proof(request: HttpRequest) -> None:
    """Lead to the proof that our own pages ask for before a number is added, at its send and before its code is judged.

    Raises:
        ImmediateHttpResponse: The way there, for a user who is signed in and has a factor that was not proved lately.
    """
    if not request.user.is_authenticated or not factors.has_factor(request.user):
        return
    if (elsewhere := step_up.demand(request, Proof.of_change())) is not None:
        raise ImmediateHttpResponse(elsewhere)
