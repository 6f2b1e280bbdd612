"""For a site's own sign-up: the number was proved before the account existed."""

from __future__ import annotations

import uuid

from django.contrib.auth import login
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from ..client import client_from
from ..factors import own_factors
from ..factors.results import Enrolled
from . import completion, session


def sign_up(
    request: HttpRequest,
    user: AbstractBaseUser,
    verification_id: uuid.UUID,
    *,
    backend: str | None = None,
) -> Enrolled:
    """Give the new account ``user`` what this visitor has proved, and sign it in with that proof as second factor.

    ``verification_id``: of an approved verification with purpose ``verify`` of this session, not older than an hour.
    ``backend``: as for Django's ``login()``. Raises ``VerificationNotFound``, and then nobody is signed in.
    """
    # Before login(), which gives the session a new secret.
    confirmed = own_factors.attach(verification_id, user=user, client=client_from(request))
    login(request, user, backend=backend)  # type: ignore[arg-type]  # any user model
    # SECURITY: an account that had a factor before must prove that one: a fresh proof of another address is no second
    # factor of it.
    if confirmed.is_first and session.pending_login(request) is not None:
        completion.complete(request, user, confirmed.factor.channel)
    return confirmed
