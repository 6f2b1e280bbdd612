"""``request.twilio_verify``: where the login of a request stands."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject, cached_property, empty

from ..choices import Channel, ChannelName
from ..client import client_from
from ..conf import settings
from ..core.results import json_time
from ..factors import api as factors
from ..factors import own_factors
from ..factors.own_factors import ChallengeOption
from . import ended_sessions, session
from .session import VerifiedSession

LoginStatus = Literal["visitor", "second_factor_required", "enrollment_required", "signed_in", "verified"]


class LoginState:
    """``request.twilio_verify``: where the login of this request stands. Reads nothing until asked.

    In async views, get it by ``login.aget_state(request)``, which reads all of it in the thread where Django allows
    queries.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @property
    def status(self) -> LoginStatus:
        """``visitor``, ``second_factor_required``, ``enrollment_required``, ``signed_in`` or ``verified``.

        One query more while a login is pending.
        """
        if self.is_pending and self.pending_user is not None:
            return "second_factor_required" if self._has_factor else "enrollment_required"
        if not self._request.user.is_authenticated:
            return "visitor"
        return "verified" if self.is_verified else "signed_in"

    @property
    def is_pending(self) -> bool:
        """Whether a password was accepted in this session and the second factor is missing."""
        self._decide()
        return session.pending_login(self._request) is not None

    @cached_property
    def pending_user(self) -> AbstractBaseUser | None:
        """The user whose login is pending. One query; another one where sessions cannot be listed."""
        self._decide()
        user = session.pending_user(self._request)
        # SECURITY: always, and not now and then: a thief's sign-in must not go on to a code.
        if user is not None and ended_sessions.is_over(self._request, user):
            session.give_up(self._request)
            return None
        return user

    @property
    def pending_expires_at(self) -> datetime | None:
        """Until when the pending login waits (aware, UTC); ``None`` if none does."""
        self._decide()
        pending = session.pending_login(self._request)
        if pending is None:
            return None
        return datetime.fromtimestamp(pending.since + settings.pending_login_seconds, tz=UTC)

    @property
    def is_verified(self) -> bool:
        """Whether the signed-in user passed a second factor in this session."""
        settled = self._settled
        return settled is not None and settled.passed

    @property
    def is_trusted_browser(self) -> bool:
        """Whether the signed-in user was not challenged, because this browser is trusted.

        ``is_verified`` is false then: where a fresh verification is asked for, this is none.
        """
        settled = self._settled
        return settled is not None and settled.trusted

    @property
    def verified_at(self) -> datetime | None:
        """When the signed-in user last passed a factor in this session (aware, UTC); ``None`` if they have not."""
        settled = self._settled
        return datetime.fromtimestamp(settled.at, tz=UTC) if settled is not None and settled.passed else None

    @property
    def verified_channel(self) -> str:
        """By which channel; ``""`` if they have not, for a factor of another app, and for one that is gone."""
        settled = self._settled
        return settled.channel if settled is not None and settled.passed else ""

    def is_fresh(self, *, max_age: timedelta | float | None = None, channels: Collection[ChannelName] = ()) -> bool:
        """Whether the signed-in user passed a factor in this session, lately and by a channel that will do.

        No query beyond those of ``request.user``.

        Args:
            max_age: How long ago at most; seconds, or a ``timedelta``. ``None`` for ever.
            channels: By one of these; by any without it.
        """
        settled = self._settled
        if settled is None or not settled.passed:
            return False
        max_age = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
        wanted = {Channel.parse(one).value for one in channels}
        # SECURITY: a clock that was put back makes no proof younger than it is; but for a server that is a little slow.
        young = max_age is None or -session.CLOCK_SKEW <= time.time() - settled.at <= max_age
        return young and (not wanted or settled.channel in wanted)

    def may_change_factors(self) -> bool:
        """Whether the signed-in user passed a factor lately, and still has it. One SELECT if so.

        What pages ask that change what protects the account. Lately: ``TWILIO_VERIFY_STEP_UP_MAX_AGE_SECONDS``.
        """
        settled = self._settled
        if settled is None or not self.is_fresh(max_age=settings.step_up_max_age_seconds):
            return False
        # SECURITY: promise 3. Whoever has the phone that its owner has just removed enrolls none in its place.
        return own_factors.still_has(self._request.user, settled.channel, datetime.fromtimestamp(settled.at, tz=UTC))

    @property
    def grace_ends_at(self) -> datetime | None:
        """Until when the signed-in user, of whom a factor is demanded, may go on without (aware, UTC); ``None`` for
        everybody else. No query beyond those of ``request.user``.
        """
        self._decide()
        settled = session.verified_session(self._request)
        return datetime.fromtimestamp(settled.grace, tz=UTC) if settled is not None and settled.grace else None

    @property
    def is_impersonated(self) -> bool:
        """Whether somebody else acts as ``request.user``: another user, who is signed in to this session, or a staff
        member who signed in as that user (``login.act_as``). ``is_verified`` is false then.
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

    def load(self) -> None:
        """Read all of it now, so that no attribute makes a query from here on."""
        _ = self.status, self.options, self.is_impersonated

    def as_dict(self) -> dict[str, Any]:
        """Describe it as JSON, for a single-page app; with ``options`` while a login is pending."""
        found: dict[str, Any] = {
            "status": self.status,
            "is_verified": self.is_verified,
            "verified_at": json_time(self.verified_at),
            "verified_channel": self.verified_channel,
            "is_trusted_browser": self.is_trusted_browser,
            "grace_ends_at": json_time(self.grace_ends_at),
            "pending_expires_at": json_time(self.pending_expires_at),
        }
        return {**found, "options": [option.as_dict() for option in self.options]} if self.is_pending else found

    @cached_property
    def options(self) -> list[ChallengeOption]:
        """The ways to challenge the user whose login is pending; none where nobody waits. Queries as
        ``login.challenge_options``.
        """
        user = self.pending_user if self.is_pending else None
        return factors.challenge_options(user, client=client_from(self._request), purpose="login") if user else []

    @cached_property
    def _has_factor(self) -> bool:
        return self.pending_user is not None and own_factors.has_factor(self.pending_user)

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
        if isinstance(user, SimpleLazyObject) and user._wrapped is empty and ended_sessions.in_event_loop():
            return True  # it cannot be read here, and nobody has read it so far
        return session.is_signed_in(self._request, user)

    def _decide(self) -> None:
        """Have a sign-in that was never decided, or long ago, decided now, by reading ``request.user``."""
        request = self._request
        if session.signed_in_id(request) is not None and not session.has_passed(request):
            _ = request.user.is_authenticated


class TwilioVerifyHttpRequest(HttpRequest):
    """A request that has passed ``TwoFactorMiddleware``, for annotations of views. Never instantiated."""

    twilio_verify: LoginState
