"""A login under way, of a program that keeps no cookies: what the program holds between password and factor."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core import signing
from django.db import IntegrityError, router, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from ...choices import Purpose
from ...client import Client
from ...conf import settings
from ...ledger.persons import session_fingerprints
from ...login import session, session_cutoffs
from ...models import Verification
from .errors import LoginOver
from .models import SpentLogin

_SALT = "django_twilio_verify.rest_framework.login"


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """Whose password was accepted, and the client behind the request."""

    user: Any
    client: Client
    mark: int
    """The session cutoff that the password was accepted after."""
    digest: str = field(default="", repr=False)
    """SHA-256 of the login's random part, in hex: what ``spend`` marks as used."""
    state: str = field(default="", repr=False)
    """What the login was begun with, and what changes with the password."""

    @property
    def is_over(self) -> bool:
        """Whether all logins of the user were ended since. One SELECT."""
        return session_cutoffs.last(self.user) != self.mark


def must_go_on(login: PendingLogin) -> None:
    """Raise ``LoginOver`` if the password or the account is another by now. One SELECT.

    SECURITY: the provider may take seconds, and a token outlives the password that it was given out for.
    """
    user = get_user_model()._default_manager.filter(pk=login.user.pk).first()
    if user is None or not user.is_active or not _is_state_of(user, login.state):
        raise LoginOver


def begin(user: Any) -> str:
    """A signed text for the program, good for ``TWILIO_VERIFY_PENDING_LOGIN_SECONDS``. It opens nothing but the way to
    the factor. Nothing is written.
    """
    # SECURITY: a random part, which is to a verification what a session's secret is: answers to a verification count
    # only from whoever holds it.
    parts = [session.text_of(user), _states_of(user)[0], secrets.token_urlsafe(24), session_cutoffs.last(user)]
    return signing.dumps(parts, salt=_SALT)


def resume(request: HttpRequest, text: str) -> PendingLogin:
    """The login that ``begin`` gave ``text`` for. Raises ``LoginOver``: expired, forged, used, or the password or the
    account is another by now.
    """
    try:
        key, state, secret, mark = signing.loads(text, salt=_SALT, max_age=settings.pending_login_seconds)
    except (signing.BadSignature, ValueError, TypeError):
        raise LoginOver from None
    user = get_user_model()._default_manager.filter(pk=key).first()
    if user is None or not user.is_active or not _is_state_of(user, state):
        raise LoginOver
    digest = hashlib.sha256(secret.encode()).hexdigest()
    if SpentLogin.objects.using(router.db_for_write(SpentLogin)).filter(digest=digest).exists():
        raise LoginOver
    client = Client.without_cookies(request, session=secret)
    # SECURITY: used once: what it led to was redeemed, and another one wants another password. What was approved and
    # not redeemed, because a worker died in between, is redeemed by the next answer.
    proved = Verification.objects.filter(
        session__in=session_fingerprints(client), purpose=Purpose.LOGIN, redeemed_at__isnull=False
    )
    if proved.exists():
        raise LoginOver
    login = PendingLogin(user, client, mark, digest, state)
    if login.is_over:
        raise LoginOver
    return login


def spend(login: PendingLogin) -> None:
    """Mark the login as used. Raises ``LoginOver`` to all callers but the first, whichever factor each has passed.

    One INSERT, and one DELETE of the marks whose logins have expired.
    """
    now, using = timezone.now(), router.db_for_write(SpentLogin)
    marks = SpentLogin.objects.using(using)
    marks.filter(spent_at__lt=now - 2 * timedelta(seconds=settings.pending_login_seconds)).delete()
    try:
        # SECURITY: the primary key lets one caller through. A recovery code leaves no verification that could be asked.
        with transaction.atomic(using=using):
            marks.create(digest=login.digest, spent_at=now)
    except IntegrityError:
        raise LoginOver from None


def _states_of(user: Any) -> list[str]:
    """What changes with the password, which so ends logins that wait; under ``SECRET_KEY``, then each fallback.

    SECURITY: digests: the program reads the first one.
    """
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return [hashlib.sha256(one.encode()).hexdigest() for one in hashes]


def _is_state_of(user: Any, state: str) -> bool:
    return any([constant_time_compare(state, one) for one in _states_of(user)])  # noqa: C419  a list: every key is compared, whichever fits
