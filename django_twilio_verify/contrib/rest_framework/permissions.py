"""Who may call a view."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ...choices import Channel
from ...login import own_session, session
from .errors import OwnSessionRequired, VerificationRequired
from .models import ProvedToken


class IsVerified(BasePermission):
    """The caller passed a second factor: in this session, or for this token. Else 401 with ``verification_required``
    and the address of the page where a person can; 403 with ``own_session_required`` in an impersonation.

    Subclasses may set ``max_age`` (seconds) and ``channels``: ``class Lately(IsVerified): max_age = 300``.
    """

    twilio_verify_guarded = True
    max_age: int | None = None
    channels: Iterable[str] = ()

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
        if not passed:
            raise VerificationRequired
        return True

    def _in_session(self, request: Request) -> bool:
        # SECURITY: the session's proof is the session's person's, and not of somebody whom other credentials name. (The
        # request below has been told of the same user, so it is asked for its session.)
        is_own = session.signed_in_id(request._request) == session.text_of(request.user)
        proved: bool = request._request.twilio_verify.has_proved(max_age=self.max_age, channels=self.channels)
        return is_own and proved

    def _fits(self, proof: ProvedToken | None) -> bool:
        if proof is None:
            return False
        wanted = {Channel.parse(one).value for one in self.channels}
        age = time.time() - proof.proved_at.timestamp()
        # SECURITY: as of sessions: a clock that was put back makes no proof younger than it is.
        young = self.max_age is None or -session.CLOCK_SKEW <= age <= self.max_age
        return young and (not wanted or proof.channel in wanted)
