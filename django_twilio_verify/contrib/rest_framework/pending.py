"""A login under way, of a program that keeps no cookies: what the program holds between password and factor."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.auth import get_user_model
from django.core import signing
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from ...choices import Purpose, VerificationStatus
from ...clientinfo import ClientInfo
from ...conf import settings
from ...flows import cutoffs
from ...flows.persons import session_fingerprints
from ...models import Verification
from ...web import session
from ...web.client import client_without_session
from .errors import LoginOver

_SALT = "django_twilio_verify.rest_framework.login"


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """Whose password was accepted, and the other end as flows want it."""

    user: Any
    client: ClientInfo
    mark: int
    """The session cutoff that the password was accepted after."""

    @property
    def is_over(self) -> bool:
        """Whether all logins of the user were ended since. One SELECT."""
        return cutoffs.last(self.user) != self.mark


def begin(user: Any) -> str:
    """A signed text for the program, good for ``TWILIO_VERIFY_PENDING_LIFETIME``. It opens nothing but the way to the
    factor. Nothing is written.
    """
    # SECURITY: a random part, which is to the flows what a session's secret is: answers to a verification count only
    # from whoever holds it.
    parts = [session.text_of(user), _state_of(user), secrets.token_urlsafe(24), cutoffs.last(user)]
    return signing.dumps(parts, salt=_SALT)


def resume(request: HttpRequest, text: str) -> PendingLogin:
    """The login that ``begin`` gave ``text`` for. Raises ``LoginOver``: expired, forged, used, or the password or the
    account is another by now.
    """
    try:
        key, state, secret, mark = signing.loads(text, salt=_SALT, max_age=settings.pending_lifetime)
    except (signing.BadSignature, ValueError, TypeError):
        raise LoginOver from None
    user = get_user_model()._default_manager.filter(pk=key).first()
    if user is None or not user.is_active or not constant_time_compare(state, _state_of(user)):
        raise LoginOver
    client = replace(client_without_session(request), session=secret)
    # SECURITY: used once: what it led to was proved, and a second proof wants a second password.
    proved = Verification.objects.filter(
        session__in=session_fingerprints(client), purpose=Purpose.LOGIN, status=VerificationStatus.APPROVED
    )
    if proved.exists():
        raise LoginOver
    login = PendingLogin(user, client, mark)
    if login.is_over:
        raise LoginOver
    return login


def _state_of(user: Any) -> str:
    """Changes with the password, which so ends logins that wait. SECURITY: a digest: the program reads it."""
    return hashlib.sha256(user.get_session_auth_hash().encode()).hexdigest()
