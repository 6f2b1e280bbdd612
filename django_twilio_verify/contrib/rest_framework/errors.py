"""Refusals of this package. Apart from ``handler``, which cannot be imported while DRF reads its settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException

from ...login import missing
from ...login.missing import MissingCode
from ...login.own_session import OWN_SESSION_REQUIRED


class Refused(APIException):
    """Base: 401 with ``code``, ``detail`` and more. Not an ``AuthenticationFailed``, which DRF turns into 403 for
    authentication classes without a challenge header.
    """

    status_code = 401

    def __init__(self, **more: Any) -> None:
        super().__init__({"code": self.default_code, "detail": self.default_detail, **more})


class FactorMissing(Refused):
    """The user has to do something about a second factor first; ``code`` says what, as of ``verification_required``."""

    def __init__(
        self, code: MissingCode, *, url: str = "", max_age: int | None = None, channels: Iterable[str] = ()
    ) -> None:
        super().__init__(**missing.describe(code, url=url, max_age=max_age, channels=channels))


class OwnSessionRequired(Refused):
    """Somebody acts as the user. 403: no step-up helps."""

    status_code = 403
    default_detail = _("Only the user can do this, in a session of their own.")
    default_code = OWN_SESSION_REQUIRED


class LoginOver(Refused):
    """The login that was begun has expired, was used, or never was."""

    default_detail = _("This login is over. Begin again.")
    default_code = "login_over"
