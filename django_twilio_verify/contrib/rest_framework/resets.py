"""Tokens end with the factors that they were given out for."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from rest_framework.authtoken.models import Token

from ...login import session_cutoffs
from .models import ProvedToken, digest_of


def end_tokens(sender: Any, user: AbstractBaseUser, **kwargs: Any) -> None:
    """Receiver of ``factors.resets.carried_out``.

    SECURITY: whoever else has a token of two factors is as bad as in a session.
    Tokens of DRF's are deleted; those of another kind are from here on as good as the password alone.
    """
    # SECURITY: before the list, whichever receiver comes first: a token that is given out too late for it is held
    # against the cutoff after it was written (``views``).
    session_cutoffs.cut(user)
    proved = ProvedToken.objects.filter(user_id=user.pk)
    digests = {*proved.values_list("digest", flat=True)}
    proved.delete()
    if not digests or Token._meta.abstract:  # the site has no such app, and gives out tokens of its own
        return
    for token in Token.objects.filter(user_id=user.pk):
        if digest_of(token) in digests:
            token.delete()
