"""Helping back in whoever has lost every factor: staff asks for a reset, and it is done later, so that the person, who
is told at once, can say no. It takes all factors, recovery codes and trusted browsers; whoever knows the password is
then led as the policy leads people without a factor.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, router, transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..choices import AuditKind, VerificationStatus
from ..conf import settings
from ..models import Factor, FactorReset, RecoveryCode, TrustedBrowser, Verification
from ..signals import factor_removed, factors_reset
from . import audit, checking, factors, notices
from .notices import Notice
from .transactions import short_transaction

T = TypeVar("T")

MAX_REASON = 500
_TRIES = 5


class ResetRefused(PermissionDenied):
    """There will be no reset. ``code``: ``own``, ``superuser``, ``nothing`` or ``pending``; ``str()``: a sentence."""

    sentences: dict[str, str | Promise] = {
        "own": _("You cannot ask for a reset of your own factors: let a colleague do it."),
        "superuser": _("Only a superuser can have a superuser's factors reset."),
        "nothing": _("This person has no factor that could be reset."),
        "pending": _("A reset for this person is under way already."),
    }

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(self.sentences[code])


@dataclass(frozen=True, slots=True)
class Requested:
    """``letters``: how many went to the person; 0 where the account has no address. ``done``: there was no delay."""

    reset: FactorReset
    letters: int
    done: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What a reset took: so many factors and recovery codes, and so many browsers are not trusted any more."""

    reset: FactorReset
    factors: int
    recovery_codes: int
    browsers: int
    letters: int = 0
    removed: list[Factor] = field(default_factory=list, repr=False)


def request(
    user: AbstractBaseUser,
    *,
    reason: str,
    link: Callable[[str], str],
    by: AbstractBaseUser | None = None,
    actor: str = "",
    at_once: bool = False,
) -> Requested:
    """Ask for a reset of the factors of ``user``, who is told by mail, with a link that cancels it.

    ``link`` makes its absolute address from a random token, which is kept as a digest alone. ``by``: the member of
    staff; whether they may is for the caller to ask. Without one, ``actor`` says who gave a command. ``at_once``: not
    after ``TWILIO_VERIFY_RESET_DELAY_HOURS`` but now, as also where that is 0; the person hears when it is done.

    Raises ``ResetRefused``, and ``ValueError`` without a reason, with one of more than 500 characters, or without
    anybody who asks.
    """
    reason = audit.cleaned(reason)
    if not reason or len(reason) > MAX_REASON:
        raise ValueError(f"Say why, in {MAX_REASON} characters at most.")
    _check(user, by)
    actor = by.get_username() if by is not None else actor
    token, now = secrets.token_urlsafe(24), timezone.now()
    due_at = now if at_once else now + timedelta(hours=settings.reset_delay_hours)
    reset = FactorReset(
        user_id=user.pk,
        pending_for_id=user.pk,
        requested_by_id=by.pk if by is not None else None,
        reason=reason,
        cancel_digest=_digest(token),
        requested_at=now,
        due_at=due_at,
    )
    try:
        _in_transaction(partial(_open, reset, actor))
    except IntegrityError:
        raise ResetRefused("pending") from None
    if due_at > now:
        values = {"cancel_url": link(token), "due_at": due_at}
        return Requested(reset, notices.send(Notice.RESET_REQUESTED, user, values=values))
    done = carry_out(reset.pk, actor=actor)
    return Requested(reset, done.letters if done else 0, done=done is not None)


def find(token: str) -> FactorReset | None:
    """The reset whose link holds ``token``, whatever became of it."""
    return FactorReset.objects.select_related("user").filter(cancel_digest=_digest(token)).first()


def pending(user: AbstractBaseUser) -> FactorReset | None:
    """The reset that is under way for ``user``. One SELECT."""
    return FactorReset.objects.filter(pending_for=user.pk).first()


def cancel(reset_id: int, *, actor: str) -> bool:
    """Cancel a reset that is under way; true for exactly one call, and never for one that is done. ``actor``: who says
    so, the person or a member of staff. The person is told.
    """
    reset = FactorReset.objects.select_related("user").filter(pk=reset_id).first()
    if reset is None or not _in_transaction(partial(_close, reset, actor)):
        return False
    notices.send(Notice.RESET_CANCELED, reset.user)
    return True


def due(now: datetime | None = None) -> list[int]:
    """The resets whose time has come, the oldest first."""
    waiting = FactorReset.objects.filter(pending_for__isnull=False, due_at__lte=now or timezone.now())
    return list(waiting.order_by("due_at", "pk").values_list("pk", flat=True))


def carry_out(reset_id: int, *, actor: str) -> Done | None:
    """Do a reset whose time has come; ``None`` if it is too early, canceled or done. The person is told.

    Factors at the provider go too: at once if it answers, else by ``sync_factors``. Raises ``RuntimeError`` within a
    transaction of the caller's.
    """
    for _tried in range(_TRIES):
        try:
            done = _in_transaction(partial(_carry_out, reset_id, actor))
            break
        except IntegrityError:  # a factor has just proved something: a verification has come to point to it
            continue
    else:
        raise RuntimeError("A factor is being used all the time.")
    if done is None:
        return None
    _announce(done.reset, done.removed)
    letters = notices.send(Notice.RESET_DONE, done.reset.user)
    return Done(done.reset, done.factors, done.recovery_codes, done.browsers, letters)


def _announce(reset: FactorReset, removed: list[Factor]) -> None:
    user = reset.user
    for factor in removed:
        factor_removed.send(sender=Factor, factor=factor, user=user, client=None, replaced_by=None, reset=reset)
    factors_reset.send(sender=FactorReset, reset=reset, user=user)


def _check(user: AbstractBaseUser, by: AbstractBaseUser | None) -> None:
    if by is not None and by.pk == user.pk:
        # SECURITY: or a session that was left open would be enough to be rid of every factor.
        raise ResetRefused("own")
    if by is not None and getattr(user, "is_superuser", False) and not getattr(by, "is_superuser", False):
        # SECURITY: a helpdesk must not weaken the accounts that rule over it.
        raise ResetRefused("superuser")
    if pending(user) is not None:
        raise ResetRefused("pending")
    if not factors.has_factor(user):
        raise ResetRefused("nothing")


def _open(reset: FactorReset, actor: str) -> None:
    reset.save(force_insert=True)
    _note(AuditKind.RESET_ASKED, reset, actor, {"due_at": reset.due_at.isoformat(timespec="seconds")})


def _close(reset: FactorReset, actor: str) -> bool:
    # One conditional UPDATE, as in _carry_out: of the two, one wins.
    if not _under_way(reset.pk).update(canceled_at=timezone.now(), pending_for=None):
        return False
    _note(AuditKind.RESET_HALTED, reset, actor, {})
    return True


def _carry_out(reset_id: int, actor: str) -> Done | None:
    now = timezone.now()
    if not _under_way(reset_id).filter(due_at__lte=now).update(done_at=now, pending_for=None):
        return None
    reset = FactorReset.objects.select_related("user").get(pk=reset_id)
    _end_proofs(reset.user_id)
    removed = _delete_factors(reset.user_id)
    codes = RecoveryCode.objects.filter(user_id=reset.user_id).delete()[0]
    browsers = TrustedBrowser.objects.filter(user_id=reset.user_id, revoked_at=None).update(revoked_at=now)
    counts = {"factors": len(removed), "recovery_codes": codes, "browsers": browsers}
    _note(AuditKind.RESET_DONE, reset, actor, counts)
    return Done(reset, **counts, removed=[one for one in removed if one.confirmed_at is not None])


def _end_proofs(user_id: Any) -> None:
    """SECURITY: a code that is on its way to the lost phone would otherwise still pass as a second factor."""
    for verification in Verification.objects.filter(user_id=user_id, status=VerificationStatus.PENDING):
        checking.close(verification, VerificationStatus.CANCELED)


def _delete_factors(user_id: Any) -> list[Factor]:
    """One by one: what is removed at the provider follows from each row's deletion."""
    found = list(Factor.objects.filter(user_id=user_id).order_by("pk"))
    for factor in found:
        factor_id = factor.pk
        factor.delete()
        factor.pk = factor_id
    return found


def _under_way(reset_id: int) -> Any:
    return FactorReset.objects.filter(pk=reset_id, canceled_at=None, done_at=None)


def _note(kind: AuditKind, reset: FactorReset, actor: str, details: Mapping[str, object]) -> None:
    """SECURITY: of whom is told by the reset's number, whose row goes with the account; the event stays."""
    audit.record(kind, actor=actor, reason=reset.reason, details={"reset": reset.pk, **details})


def _in_transaction(work: Callable[[], T]) -> T:
    """In a short transaction, whose audit event stands or falls with it."""

    def noted() -> T:
        with transaction.atomic(using=audit.database()):
            return work()

    return short_transaction(noted, using=router.db_for_write(FactorReset))


def _digest(token: str) -> str:
    # SECURITY: whoever reads the table cannot cancel; the token is random enough not to need a slow hash.
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
