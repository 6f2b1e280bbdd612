"""The second factor of one login or step-up: what may be asked, how it is judged, and what an approval opens.

Our pages, programs without cookies and a site's own views all go through here. SECURITY: nothing takes the caller's
word. What was approved is redeemed here, once, and then opens what it was made for.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from ..backends.twins import Steps
from ..choices import Channel, CheckOutcome, ConsentMedium, Purpose, RedeemProblem
from ..client import Client, client_from
from ..consent.context import ConsentContext
from ..consent.gate import NewConsent
from ..core.arguments import as_uuid
from ..exceptions import NoPendingLogin, NotRedeemable, VerificationNotFound
from ..factors import recovery_codes
from ..factors.api import challenged_steps
from ..factors.own_factors import ChallengeOption
from ..factors.results import RecoveryChecked
from ..models import Factor, Verification
from ..verifications import checking, lifecycle, redeeming
from ..verifications.api import VerificationRef, judged_steps, polled_steps
from ..verifications.challenge_steps import ChallengeAnswer
from ..verifications.options import Payment
from ..verifications.redeeming import REDEEM_WITHIN
from ..verifications.results import Checked, Started
from . import completion, enforcement, failures, own_session, session


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """Somebody who is to pass a second factor.

    Attributes:
        request: The request that asks.
        user: Whose password was accepted, or who is signed in.
        client: The session, or the program, that may answer.
        purpose: ``LOGIN`` for a pending login, ``STEP_UP`` for a fresh verification.
        passed: Called with the channel and the factor once an approval was redeemed: completes the login, or notes the
            step-up.
    """

    request: HttpRequest
    user: AbstractBaseUser
    client: Client
    purpose: Purpose
    passed: Callable[[str, Factor | None], object] = field(repr=False)

    @classmethod
    def of(cls, request: HttpRequest) -> SecondFactor:
        """Return the second factor that the session of ``request`` owes, or may refresh.

        Raises:
            NoPendingLogin: Nobody is signed in, nor has a login that waits.
            PermissionDenied: Somebody acts as the user, or is locked out.
        """
        request = plain(request)
        # SECURITY: a session that was ended elsewhere passes nothing.
        enforcement.look_once(request)
        own_session.must_be_own_session(request)
        state = _state(request)
        user: Any = state.pending_user if state.is_pending else None
        if user is not None:
            found = cls(request, user, client_from(request), Purpose.LOGIN, _complete(request, user))
        elif session.is_signed_in(request, request.user):
            user = request.user
            found = cls(request, user, client_from(request), Purpose.STEP_UP, _refresh(request))
        else:
            raise NoPendingLogin
        failures.must_not_be_locked(request, user)
        return found

    def challenge_steps(
        self, option: ChallengeOption | str, *, disclosure: str | None = None, resend: bool = False
    ) -> Steps[Started]:
        """The steps of challenging by ``option``. ``disclosure``: the digest of what the user agreed to with it."""
        agreed = _agreed(disclosure)
        return challenged_steps(self.user, option, self.client, self.purpose, resend=resend, new_consent=agreed)

    def resend_steps(
        self, verification: VerificationRef, *, channel: Channel | None = None, disclosure: str | None = None
    ) -> Steps[Started]:
        """The steps of sending ``verification`` once more."""
        found = self.load(verification)
        return lifecycle.resent_steps(found.pk, self.client, self.user, channel, _agreed(disclosure))

    def check_steps(
        self,
        verification: VerificationRef,
        *,
        code: str | None = None,
        number: str | None = None,
        credential: Mapping[str, Any] | None = None,
    ) -> Steps[Checked]:
        """The steps of checking an answer; an approval completes what it was for."""
        found = self.load(verification)
        given = ChallengeAnswer(found.pk, self.client, self.user, code, number, credential, Payment())
        checked = yield from judged_steps(given, found)
        if not (checked.approved or checked.already_approved):
            failures.note(self.request, self.user, checked)
            return checked
        return self.completed(checked)

    def poll_steps(self, verification: VerificationRef, *, sna_client_token: str = "") -> Steps[Checked]:
        """The steps of asking what came of a link or a push; an approval completes what it was for."""
        found = self.load(verification)
        before = found.status
        checked = yield from polled_steps(found.pk, self.client, self.user, sna_client_token, found)
        if not (checked.approved or checked.already_approved):
            failures.note_polled(self.request, self.user, checked, before)
            return checked
        return self.completed(checked)

    @sensitive_variables("code")
    def check_recovery_code(self, code: str) -> RecoveryChecked:
        """Spend a recovery code; one that is right completes what is owed."""
        if not recovery_codes.redeem(self.user, code, self.client, purpose=self.purpose):
            failures.factor_failed(self.request, self.user)
            return RecoveryChecked(approved=False, remaining=recovery_codes.remaining(self.user))
        self.passed(Channel.RECOVERY.value, None)
        return RecoveryChecked(approved=True, remaining=recovery_codes.remaining(self.user))

    def load(self, verification: VerificationRef) -> Verification:
        """Return the user's own verification, if it is one for this. Raises ``VerificationNotFound``."""
        found_id = as_uuid(verification)
        if found_id is None:
            raise VerificationNotFound
        found = checking.load(found_id, self.client, self.user)
        # SECURITY: what was begun for something else, or for nobody, proves nothing here.
        if found.user_id != self.user.pk or found.purpose != self.purpose:
            raise VerificationNotFound
        return found

    def completed(self, checked: Checked) -> Checked:
        """Redeem what ``checked`` approved, and complete what it was for.

        An approval that a worker left unredeemed, because it died in between, is redeemed by the next answer of the
        same session.

        Raises:
            NotRedeemable: The factor was removed at this moment, or the approval is too old.
        """
        if not self._is_redeemed(checked.verification):
            return replace(checked, outcome=CheckOutcome.ALREADY_APPROVED)
        self.passed(checked.verification.channel, checked.verification.factor)
        return replace(checked, outcome=CheckOutcome.APPROVED)

    def _is_redeemed(self, verification: Verification) -> bool:
        """Whether this call redeemed ``verification``; false if another one did before."""
        redeemed = redeeming.redeem_loaded(verification, self.user, self.purpose, Payment(), REDEEM_WITHIN)
        if redeemed.problem in (None, RedeemProblem.USED):
            return redeemed.accepted
        raise NotRedeemable(redeemed.problem.value if redeemed.problem else None)


def plain(request: Any) -> HttpRequest:
    """Return Django's request; REST framework's wraps it."""
    inner: HttpRequest = getattr(request, "_request", request)
    if not hasattr(inner, "twilio_verify"):
        raise ImproperlyConfigured(
            "request.twilio_verify is missing: add django_twilio_verify.middleware.TwoFactorMiddleware to MIDDLEWARE."
        )
    return inner


def _state(request: HttpRequest) -> Any:
    return request.twilio_verify  # type: ignore[attr-defined]


def _complete(request: HttpRequest, user: AbstractBaseUser) -> Callable[[str, Factor | None], object]:
    return lambda channel, factor: completion.complete(request, user, channel)


def _refresh(request: HttpRequest) -> Callable[[str, Factor | None], object]:
    return lambda channel, factor: completion.mark_passed(request, channel, factor)


def _agreed(disclosure: str | None) -> NewConsent | None:
    """What the user agrees to with the send."""
    context = ConsentContext(
        medium=ConsentMedium.API, control="checkbox", checked_on_submit=True, button_label="Send code"
    )
    return NewConsent(disclosure, context) if disclosure else None


def reference(verification: VerificationRef) -> uuid.UUID:
    """Return the id of ``verification``. Raises ``VerificationNotFound`` for a text that is none."""
    found = as_uuid(verification)
    if found is None:
        raise VerificationNotFound
    return found
