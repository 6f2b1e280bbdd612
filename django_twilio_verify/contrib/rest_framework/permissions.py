"""Who may call a view."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.urls import reverse
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ... import factors
from ...choices import ChannelName
from ...login import own_session, session
from ...login.step_up import Proof
from .errors import FactorMissing, OwnSessionRequired
from .models import ProvedToken


class IsVerified(BasePermission):
    """The caller passed a second factor: in this session, or for this token. Else 401 with ``verification_required``
    (``enrollment_required`` without a factor) and the address of the page where a person can; 403 with
    ``own_session_required`` in an impersonation.

    Subclasses may set ``max_age`` (seconds, or a ``timedelta``) and ``channels``: ``class Lately(IsVerified): max_age =
    300``.
    """

    twilio_verify_guarded = True
    max_age: timedelta | int | None = None
    channels: Collection[ChannelName] = ()

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user or not request.user.is_authenticated:
            return False
        # SECURITY: who acts as the user cannot verify as that user.
        if isinstance(request.successful_authenticator, SessionAuthentication) and own_session.acts_as_other(
            request._request
        ):
            raise OwnSessionRequired
        proof: ProvedToken | None = getattr(request._request, "twilio_verify_proof", None)
        passed = self._fits(proof) if request.auth is not None else self._in_session(request)
        if passed:
            return True
        has_factor = factors.has_factor(request.user)
        raise FactorMissing(
            "verification_required" if has_factor else "enrollment_required",
            url=reverse("twilio_verify:step_up" if has_factor else "twilio_verify:enroll"),
            max_age=self._proof.max_age,
            channels=self._proof.channels,
        )

    def _in_session(self, request: Request) -> bool:
        # SECURITY: the session's proof is the session's person's, and not of somebody whom other credentials name. (The
        # request below has been told of the same user, so it is asked for its session.)
        is_own = session.signed_in_id(request._request) == session.text_of(request.user)
        proved: bool = request._request.twilio_verify.is_fresh(
            max_age=self._proof.max_age, channels=self._proof.channels
        )
        return is_own and proved

    def _fits(self, proof: ProvedToken | None) -> bool:
        if proof is None:
            return False
        asked = self._proof
        age = time.time() - proof.proved_at.timestamp()
        # SECURITY: as of sessions: a clock that was put back makes no proof younger than it is.
        young = asked.max_age is None or -session.CLOCK_SKEW <= age <= asked.max_age
        return young and (not asked.channels or proof.channel in asked.channels)

    @property
    def _proof(self) -> Proof:
        return Proof.of(self.max_age, self.channels)
