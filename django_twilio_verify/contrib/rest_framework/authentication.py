"""Passwords and tokens in a request: doors that Django's sessions, and so the wall, know nothing of."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from rest_framework.authentication import BasicAuthentication, TokenAuthentication
from rest_framework.request import Request

from ... import factors
from ...login import policy
from .errors import FactorMissing
from .models import ProvedToken, digest_of


class FactorGuard:
    """Stands before an authentication class: ``class Mine(FactorGuard, TheirAuthentication)``.

    A user whom ``TWILIO_VERIFY_REQUIRED_FOR`` covers gets 401 with ``second_factor_required`` (``enrollment_required``
    without a factor), unless ``proof_of`` knows that the credentials were given out after one. One SELECT a request,
    and one more for a user without a proof.
    """

    twilio_verify_guarded = True

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        found: tuple[Any, Any] | None = super().authenticate(request)  # type: ignore[misc]  # the class behind
        if found is None:
            return None
        user, token = found
        proof = self.proof_of(user, token)
        # SECURITY: promise 3, for doors that no session guards.
        if proof is None and policy.judge(user, request._request).owes:
            if factors.has_factor(user):
                raise FactorMissing("second_factor_required")  # no page: the program signs in by the API
            raise FactorMissing("enrollment_required", url=reverse("twilio_verify:enroll"))
        request._request.twilio_verify_proof = proof
        return found

    def proof_of(self, user: Any, token: Any) -> ProvedToken | None:
        """What ``user`` proved for ``token`` (what the class behind calls ``auth``); ``None``: nothing. A class for
        tokens that carry their own proof, such as JWTs, answers with an unsaved ``ProvedToken``.
        """
        return None


class GuardedBasicAuthentication(FactorGuard, BasicAuthentication):
    """User name and password in every request: for people who owe no second factor."""


class GuardedTokenAuthentication(FactorGuard, TokenAuthentication):
    """DRF's tokens. Those given out by ``LoginCheckView`` are proved; of people who owe a factor, no others open."""

    def proof_of(self, user: Any, token: Any) -> ProvedToken | None:
        # SECURITY: the person too, should a token ever change hands.
        return ProvedToken.objects.filter(digest=digest_of(token), user_id=user.pk).first()
