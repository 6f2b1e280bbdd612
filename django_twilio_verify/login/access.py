"""``request.twilio_verify``: where the login of a request stands."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject, cached_property, empty

from .. import factors
from ..choices import Channel
from ..conf import settings
from . import session, sign_out_everywhere
from .session import VerifiedSession


class Access:
    """``request.twilio_verify``: where this request's sign-in stands. Reads nothing until asked."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @property
    def is_pending(self) -> bool:
        """Whether a password was accepted in this session and the second factor is still owed."""
        self._decide()
        return session.pending_login(self._request) is not None

    @cached_property
    def pending_user(self) -> AbstractBaseUser | None:
        """The person whose sign-in waits. One SELECT; another one where sessions cannot be listed."""
        self._decide()
        user = session.pending_user(self._request)
        # SECURITY: always, and not now and then: a thief's sign-in must not go on to a code.
        if user is not None and sign_out_everywhere.is_over(self._request, user):
            session.give_up(self._request)
            return None
        return user

    @property
    def is_verified(self) -> bool:
        """Whether the signed-in person passed a second factor in this session."""
        settled = self._settled
        return settled is not None and settled.passed

    @property
    def is_trusted(self) -> bool:
        """Whether the signed-in person was not asked for a second factor, because this browser is trusted.

        ``is_verified`` is false then: where a proof is asked for, this is none.
        """
        settled = self._settled
        return settled is not None and settled.trusted

    @property
    def verified_at(self) -> datetime | None:
        """When the signed-in person last passed a factor in this session; ``None`` if they have not."""
        settled = self._settled
        return datetime.fromtimestamp(settled.at, tz=UTC) if settled is not None and settled.passed else None

    def has_proved(self, *, max_age: int | None = None, channels: Iterable[str] = ()) -> bool:
        """Whether the signed-in person passed a factor in this session: at most ``max_age`` seconds ago, by one of
        ``channels``. Without either, ever and by any. Costs no query beyond those of ``request.user``.
        """
        settled = self._settled
        if settled is None or not settled.passed:
            return False
        wanted = {Channel.parse(one).value for one in channels}
        # SECURITY: a clock that was put back makes no proof younger than it is; but for a server that is a little slow.
        young = max_age is None or -session.CLOCK_SKEW <= time.time() - settled.at <= max_age
        return young and (not wanted or settled.channel in wanted)

    def has_fresh_proof(self) -> bool:
        """Whether the signed-in user passed a factor just now (``TWILIO_VERIFY_STEP_UP_AGE``) that is still there.

        What pages ask that change what protects the account. One SELECT if so.
        """
        settled = self._settled
        if settled is None or not self.has_proved(max_age=settings.step_up_age):
            return False
        # SECURITY: promise 3. Whoever has the phone that its owner has just removed enrolls none in its place.
        return factors.still_has(self._request.user, settled.channel, datetime.fromtimestamp(settled.at, tz=UTC))

    @property
    def grace_ends(self) -> datetime | None:
        """Until when the signed-in person, of whom a factor is demanded, may go on without; ``None`` for everybody
        else. Costs no query beyond those of ``request.user``.
        """
        self._decide()
        settled = session.verified_session(self._request)
        return datetime.fromtimestamp(settled.grace, tz=UTC) if settled is not None and settled.grace else None

    @property
    def is_impersonated(self) -> bool:
        """Whether somebody else acts as ``request.user``: another user, who is signed in to this session, or a staff
        member who signed in as that user (``login.impersonation.act_as``). ``is_verified`` is false then.
        """
        if not self._request.user.is_authenticated:
            return False
        if not self._is_of_session():
            return session.signed_in_id(self._request) is not None
        return session.is_impersonated(self._request)

    @property
    def impersonator_id(self) -> str | None:
        """Primary key, as text, of the user who acts as ``request.user``; ``None`` if nobody does or it is unknown."""
        if not self.is_impersonated:
            return None
        if not self._is_of_session():
            return session.signed_in_id(self._request)
        acting = session.impersonation(self._request)
        return acting.staff_id if acting is not None else None

    @property
    def acting_user(self) -> AbstractBaseUser | None:
        """The signed-in person, or else the one whose sign-in waits; ``None`` for a visitor."""
        user = self._request.user
        return user if user.is_authenticated else self.pending_user

    @property
    def _settled(self) -> VerifiedSession | None:
        """How this session's sign-in came through, if the request is one of its person."""
        settled = session.verified_session(self._request)
        # SECURITY: a session's proof is its person's, and not of somebody whom a token or a certificate names, or who
        # acts as that person.
        is_own = settled is not None and self._is_of_session() and not session.is_impersonated(self._request)
        return settled if is_own else None

    def _is_of_session(self) -> bool:
        user = self._request.user
        if isinstance(user, SimpleLazyObject) and user._wrapped is empty and sign_out_everywhere.in_event_loop():
            return True  # it cannot be read here, and nobody has read it so far
        return session.is_signed_in(self._request, user)

    def _decide(self) -> None:
        """Have a sign-in that was never decided, or long ago, decided now, by reading ``request.user``."""
        request = self._request
        if session.signed_in_id(request) is not None and not session.has_passed(request):
            _ = request.user.is_authenticated
