"""Refusals of this package. Apart from ``handler``, which cannot be imported while DRF reads its settings."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException

from ...login.own_session import OWN_SESSION_REQUIRED


class Refused(APIException):
    """Base: 401 with ``code``, ``detail`` and, where a page helps, ``url``. Not an ``AuthenticationFailed``, which DRF
    turns into 403 for authentication classes without a challenge header.
    """

    status_code = 401
    page = ""

    def __init__(self, **more: Any) -> None:
        url = {"url": reverse(f"twilio_verify:{self.page}")} if self.page else {}
        super().__init__({"code": self.default_code, "detail": self.default_detail, **url, **more})


class SecondFactorRequired(Refused):
    """A password alone is not enough for this person."""

    default_detail = _("A second factor is required.")
    default_code = "second_factor_required"


class VerificationRequired(Refused):
    """A factor has to be proved for this, lately or by certain ways."""

    default_detail = _("Confirm that it is you.")
    default_code = "verification_required"
    page = "step_up"


class OwnSessionRequired(Refused):
    """Somebody acts as the user. 403: no step-up helps."""

    status_code = 403
    default_detail = _("Only the user can do this, in a session of their own.")
    default_code = OWN_SESSION_REQUIRED


class LoginOver(Refused):
    """The login that was begun has expired, was used, or never was."""

    default_detail = _("This login is over. Begin again.")
    default_code = "login_over"
