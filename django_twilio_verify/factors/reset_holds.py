"""What a reset leaves behind: until the user opens the mailed link or has a new password, the old one enrolls nothing.

Below ``resets``, so that enrolling a factor can ask here.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import router
from django.db.models import QuerySet
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..core.client import ClientInfo
from ..exceptions import ResetLinkRequired
from ..ledger.persons import session_fingerprint, session_fingerprints, session_matches
from ..models import Factor, FactorReset


def owes(user: AbstractBaseUser) -> bool:
    """Whether ``user`` has a factor, or lost all of them to a reset that is not over. One SELECT."""
    using = router.db_for_write(Factor)
    confirmed = Factor.objects.using(using).confirmed_for(user.pk).order_by().values_list("user_id")
    held = _held(user).using(using).order_by().values_list("user_id")
    found: bool = confirmed.union(held, all=True).exists()
    return found


def standing(user: AbstractBaseUser) -> FactorReset | None:
    """Return the reset that keeps ``user`` from enrolling; ``None`` without one, or with a factor. 1 or 2 SELECTs."""
    found = _held(user).first()
    if found is None or Factor.objects.confirmed_for(user.pk).exists():
        return None
    return found


def may_enroll(user: AbstractBaseUser, client: ClientInfo) -> bool:
    """Whether ``user`` may enroll a factor in the session of ``client``. One SELECT where no reset is in the way."""
    reset = standing(user)
    return reset is None or is_opened_by(reset, client)


def is_opened_by(reset: FactorReset, client: ClientInfo) -> bool:
    """Whether the link of ``reset`` was opened in the session of ``client``."""
    # SECURITY: an empty fingerprint would match callers without a session.
    return bool(reset.opened_by) and session_matches(reset.opened_by, client)


def check(user: AbstractBaseUser, client: ClientInfo | None) -> None:
    """Raise ``ResetLinkRequired`` unless ``user`` may enroll a factor in the session of ``client``."""
    if not may_enroll(user, client or ClientInfo()):
        raise ResetLinkRequired


def check_proof(user: AbstractBaseUser, session: str) -> None:
    """As ``check``, for an approved verification that was started in ``session``, a fingerprint."""
    reset = standing(user)
    # SECURITY: both empty is no match: the link was not opened.
    if reset is not None and (not session or reset.opened_by != session):
        raise ResetLinkRequired


def rebind(reset: FactorReset, before: ClientInfo, now: ClientInfo) -> bool:
    """Let the session ``now`` go on from ``before``, which opened the link and was the same browser's session."""
    rows = _own(FactorReset.objects.filter(pk=reset.pk, opened_by__in=session_fingerprints(before)))
    if not before.session or not rows.update(opened_by=session_fingerprint(now)):
        return False
    reset.opened_by = session_fingerprint(now)
    return True


def release(user_id: Any) -> None:
    """End the hold: ``user_id`` has a factor again. One UPDATE."""
    _own(FactorReset.objects.filter(held_for=user_id)).update(held_for=None, released_at=timezone.now())


@sensitive_variables("password")
def digest_of_password(password: str) -> str:
    """What a reset remembers of the stored hash of a password, to tell a new one."""
    # A fast hash is enough: the text is itself a slow and salted hash.
    return hashlib.sha256(password.encode(errors="replace")).hexdigest()


def rewritten(user: AbstractBaseUser, before: str) -> None:
    """Note that Django has stored the same password of ``user`` in another form; ``before``: as it was stored."""
    # SECURITY: or a sign-in with the old password, which upgrades its hash, would pass for a new password.
    rows = FactorReset.objects.filter(held_for=user.pk, password_digest=digest_of_password(before))
    _own(rows).update(password_digest=digest_of_password(user.password))


def _held(user: AbstractBaseUser) -> QuerySet[FactorReset]:
    """The reset that holds ``user``, whose password is still the one of then."""
    digest = digest_of_password(user.password)
    return _own(FactorReset.objects.filter(held_for=user.pk, password_digest=digest))


def _own(rows: QuerySet[FactorReset]) -> QuerySet[FactorReset]:
    # SECURITY: a replica that lags would not know of the reset yet.
    return rows.using(router.db_for_write(FactorReset))
