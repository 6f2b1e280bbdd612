"""Resets of all factors of a user who lost them, requested by staff.

A reset is done after a delay, so that the user, who is told at once, can cancel it. It takes all factors, recovery
codes and trusted browsers. From then on the password of before signs nobody in: the user opens the mailed link in the
session in which they typed it and enrolls a factor there, or sets a new password (``reset_holds``).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, router, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from ..choices import AuditKind, VerificationStatus
from ..conf import settings
from ..core import receivers
from ..core.client import ClientInfo
from ..ledger import audit
from ..ledger.persons import email_of, session_fingerprint
from ..models import Factor, FactorReset, RecoveryCode, TrustedBrowser, Verification
from ..models.transactions import short_transaction
from ..signals import Signal, factor_removed, factors_reset
from ..verifications import checking
from . import notices, own_factors, reset_holds
from .notices import Notice

T = TypeVar("T")

MAX_REASON = 500
_TRIES = 5
_PLACEHOLDER = "TOKEN"


class ResetRefused(PermissionDenied):
    """The reset, or the link, is refused. ``code`` is a key of ``user_messages``; ``str()`` gives the sentence."""

    user_messages: dict[str, str | Promise] = {
        "own": _("You cannot ask for a reset of your own factors: let a colleague do it."),
        "superuser": _("Only a superuser can have a superuser's factors reset."),
        "staff": _("Only a superuser can have the factors of a member of staff reset."),
        "outranked": _("This user has permissions that you lack: ask somebody who has them."),
        "released": _("This user needs no link: no reset is done, or they have a factor or a new password."),
        "nothing": _("This person has no factor that could be reset."),
        "pending": _("A reset for this person is under way already."),
    }

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(self.user_messages[code])


carried_out = Signal("carried_out")
"""Private: sessions and tokens of ``user`` have to end, because a reset was carried out. Sent before ``factors_reset``;
what a receiver raises reaches whoever asked for the reset.
"""


@dataclass(frozen=True, slots=True)
class Requested:
    """A reset that was requested.

    Attributes:
        reset: The record.
        letters: How many emails told the user; 0 if the account has no address.
        done: It was carried out at once, since ``TWILIO_VERIFY_RESET_DELAY_HOURS`` is 0.
        link: The enrollment link for staff to hand over if the account has no address; else ``""``.
    """

    reset: FactorReset
    letters: int
    done: bool = False
    link: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """An enrollment link that was made. ``link``: to hand over, where the account has no address; else ``""``."""

    reset: FactorReset
    letters: int
    link: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Done:
    """What a reset removed.

    Attributes:
        reset: The record.
        factors: How many factors were removed.
        recovery_codes: How many recovery codes were removed.
        browsers: How many trusted browsers were revoked.
        letters: How many emails told the user.
        removed: The factors, no longer in the database.
        link: The enrollment link to hand over if one was asked for and the account has no address; else ``""``.
    """

    reset: FactorReset
    factors: int
    recovery_codes: int
    browsers: int
    letters: int = 0
    removed: list[Factor] = field(default_factory=list, repr=False)
    link: str = field(default="", repr=False)


@sensitive_variables()
def request(
    user: AbstractBaseUser,
    *,
    reason: str,
    link: Callable[[str], str],
    by: AbstractBaseUser | None = None,
    actor: str = "",
    at_once: bool = False,
    enroll_link: Callable[[str], str] | None = None,
) -> Requested:
    """Ask for a reset of the factors of ``user``, who is told by mail, with a link that cancels it.

    ``link`` makes its absolute address from a random token, which is kept as a digest alone. ``by``: the member of
    staff; whether they hold the permission is for the caller to ask, and whether they outrank ``user`` is asked here.
    Without one, ``actor`` says who gave a command, which may reset anybody. ``at_once``: not
    after ``TWILIO_VERIFY_RESET_DELAY_HOURS`` but now, as also where that is 0; the person hears when it is done.
    ``enroll_link``: as ``link``, of the page ``reset_enroll``; by default on the same host.

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
        by_command=by is None,
        reason=reason,
        cancel_digest=_digest(token),
        requested_at=now,
        due_at=due_at,
        link_template=_link_template(link, enroll_link),
    )
    try:
        _in_transaction(partial(_open, reset, actor))
    except IntegrityError:
        raise ResetRefused("pending") from None
    if due_at > now:
        values = {"cancel_url": link(token), "due_at": due_at}
        return Requested(reset, notices.send(Notice.RESET_REQUESTED, user, values=values))
    done = carry_out(reset.pk, actor=actor, hand_over=True)
    return Requested(reset, done.letters if done else 0, done=done is not None, link=done.link if done else "")


@sensitive_variables()
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


@sensitive_variables()
def carry_out(reset_id: int, *, actor: str, hand_over: bool = False) -> Done | None:
    """Do a reset whose time has come; ``None`` if it is too early, canceled or done. The person is told.

    One that the member of staff could not request any more, as for somebody who was promoted meanwhile, is canceled
    instead. ``hand_over``: whether to return the enrollment link of an account without an address.

    Factors at the provider go too: at once if it answers, else by ``sync_factors``. Raises ``RuntimeError`` within a
    transaction of the caller's.
    """
    token = secrets.token_urlsafe(32)
    for _tried in range(_TRIES):
        try:
            done = _in_transaction(partial(_carry_out, reset_id, actor, token if hand_over else "", token))
            break
        except IntegrityError:  # a factor has just proved something: a verification has come to point to it
            continue
    else:
        raise RuntimeError("A factor is being used all the time.")
    if isinstance(done, FactorReset):  # refused: the user was told that it would happen
        notices.send(Notice.RESET_CANCELED, done.user)
        return None
    if done is None:
        return None
    try:
        _announce(done.reset, done.removed)
    finally:  # without the letter, and its link, the user does not come back
        letters = notices.send(Notice.RESET_DONE, done.reset.user, values=_values(done.reset, token))
    link = _address(done.reset, token) if hand_over and not email_of(done.reset.user) else ""
    return Done(done.reset, done.factors, done.recovery_codes, done.browsers, letters, link=link)


@sensitive_variables()
def send_link(reset_id: int, *, by: AbstractBaseUser | None = None, actor: str = "") -> Sent:
    """Make a new enrollment link for a reset that is done, in place of the one before, and mail it.

    ``by``, ``actor``: as of ``request``. Raises ``ResetRefused``: nothing holds the user any more, or ``by`` may not.
    """
    reset = FactorReset.objects.select_related("user").filter(pk=reset_id).first()
    if reset is None or reset.held_for_id is None or not _is_held(reset):
        raise ResetRefused("released")
    check_rank(reset.user, by)
    token = secrets.token_urlsafe(32)
    if not _in_transaction(partial(_renew_link, reset, token, by.get_username() if by is not None else actor)):
        raise ResetRefused("released")
    letters = notices.send(Notice.RESET_LINK, reset.user, values=_values(reset, token))
    return Sent(reset, letters, "" if email_of(reset.user) else _address(reset, token))


@sensitive_variables()
def find_link(token: str) -> FactorReset | None:
    """The reset whose newest enrollment link holds ``token``, whatever became of it."""
    return FactorReset.objects.select_related("user").filter(link_digest=_digest(token)).first()


def is_open(reset: FactorReset) -> bool:
    """Whether the enrollment link of ``reset`` can still be opened."""
    return (
        reset.link_opened_at is None
        and reset.link_expires_at is not None
        and reset.link_expires_at > timezone.now()
        and _is_held(reset)
    )


@sensitive_variables()
def open_link(token: str, *, user: AbstractBaseUser, client: ClientInfo) -> bool:
    """Let the session of ``client``, in which ``user`` has given the password, enroll a factor. True for one call.

    The link signs nobody in. Raises ``ValueError`` for a client without a session.
    """
    if not client.session:
        raise ValueError("Give a client whose session is set.")
    reset = find_link(token)
    # SECURITY: of this user: a link of somebody else's mailbox opens nothing in another account.
    if reset is None or reset.user_id != user.pk or not is_open(reset):
        return False
    return _in_transaction(partial(_open_link, reset, _digest(token), session_fingerprint(client)))


def _announce(reset: FactorReset, removed: list[Factor]) -> None:
    user = reset.user
    told: dict[str, Any] = {"user": user, "client": None, "reset": reset}
    receivers.each(
        # SECURITY: what the site's receivers do comes after, and cannot keep a session open.
        partial(receivers.send_and_raise, carried_out, sender=FactorReset, user=user),
        *(partial(receivers.send, factor_removed, Factor, factor=one, replaced_by=None, **told) for one in removed),
        partial(receivers.send, factors_reset, FactorReset, **told),
    )


def _check(user: AbstractBaseUser, by: AbstractBaseUser | None) -> None:
    check_rank(user, by)
    if pending(user) is not None:
        raise ResetRefused("pending")
    if not own_factors.has_factor(user):
        raise ResetRefused("nothing")


def check_rank(user: AbstractBaseUser, by: AbstractBaseUser | None) -> None:
    """Raise ``ResetRefused`` if ``by``, a member of staff, may not take the factors of ``user``. ``None``, a command in
    the site's shell, may.
    """
    if by is None:
        return
    if by.pk == user.pk:
        # SECURITY: or a session that was left open would be enough to be rid of every factor.
        raise ResetRefused("own")
    if problem := _rank_problem(user, by):
        raise ResetRefused(problem)


def _rank_problem(user: AbstractBaseUser, by: AbstractBaseUser | None) -> str:
    """The code of why ``by`` may not reset ``user``, else ``""``. ``None``: an account that is gone.

    SECURITY: a helpdesk must not weaken the accounts that rule over it: whoever resets an account, and reads its mail
    or persuades its owner, is that account.
    """
    is_active = by is not None and by.is_active
    if is_active and getattr(by, "is_superuser", False):
        return ""
    if getattr(user, "is_superuser", False):
        return "superuser"
    # The site's rule may widen what follows, never what stands above.
    if is_active and settings.may_reset is not None and settings.may_reset(by, user):
        return ""
    if getattr(user, "is_staff", False):
        return "staff"
    return "" if _permissions(user) <= (_permissions(by) if by is not None and is_active else set()) else "outranked"


def _permissions(user: AbstractBaseUser) -> set[str]:
    """Every permission that ``user`` has, or would have if the account were active."""
    # Read anew: an instance keeps what it once found, and is to be told of a promotion.
    fresh: Any = get_user_model()._default_manager.filter(pk=user.pk).first()
    if fresh is None or not hasattr(fresh, "get_all_permissions"):
        return set()
    fresh.is_active = True
    return set(fresh.get_all_permissions())


def _is_held(reset: FactorReset) -> bool:
    found = reset_holds.standing(reset.user)
    return found is not None and found.pk == reset.pk


def _link_template(link: Callable[[str], str], enroll_link: Callable[[str], str] | None) -> str:
    if enroll_link is not None:
        return enroll_link(_PLACEHOLDER)
    parts = urlsplit(link(_PLACEHOLDER))
    return f"{parts.scheme}://{parts.netloc}" + reverse("twilio_verify:reset_enroll", args=[_PLACEHOLDER])


@sensitive_variables()
def _address(reset: FactorReset, token: str) -> str:
    return reset.link_template.replace(_PLACEHOLDER, token)


@sensitive_variables()
def _values(reset: FactorReset, token: str) -> dict[str, Any]:
    return {"enroll_url": _address(reset, token), "expires_at": reset.link_expires_at}


@sensitive_variables()
def _renew_link(reset: FactorReset, token: str, actor: str) -> bool:
    reset.link_expires_at = timezone.now() + timedelta(hours=settings.reset_link_hours)
    # SECURITY: the link of before is worth nothing from here on, and neither is having opened it.
    renewed = FactorReset.objects.filter(pk=reset.pk, held_for=reset.user_id).update(
        link_digest=_digest(token), link_expires_at=reset.link_expires_at, link_opened_at=None, opened_by=""
    )
    if renewed:
        _note(AuditKind.RESET_LINK, reset, actor, {})
    return bool(renewed)


def _open_link(reset: FactorReset, digest: str, session: str) -> bool:
    now = timezone.now()
    # SECURITY: one conditional UPDATE: of two browsers that open it, one may enroll.
    unopened = FactorReset.objects.filter(
        pk=reset.pk, held_for=reset.user_id, link_digest=digest, link_opened_at=None, link_expires_at__gt=now
    )
    if not unopened.update(link_opened_at=now, opened_by=session):
        return False
    _note(AuditKind.RESET_OPENED, reset, reset.user.get_username(), {})
    return True


def _open(reset: FactorReset, actor: str) -> None:
    reset.save(force_insert=True)
    _note(AuditKind.RESET_ASKED, reset, actor, {"due_at": reset.due_at.isoformat(timespec="seconds")})


def _close(reset: FactorReset, actor: str) -> bool:
    # One conditional UPDATE, as in _carry_out: of the two, one wins.
    if not _under_way(reset.pk).update(canceled_at=timezone.now(), pending_for=None):
        return False
    _note(AuditKind.RESET_HALTED, reset, actor, {})
    return True


def _carry_out(reset_id: int, actor: str, handed: str, mailed: str) -> Done | FactorReset | None:
    """``handed``, ``mailed``: the token of the enrollment link, for an account without and with an address."""
    now = timezone.now()
    if not _under_way(reset_id).filter(due_at__lte=now).update(done_at=now, pending_for=None):
        return None
    reset = FactorReset.objects.select_related("user", "requested_by").get(pk=reset_id)
    # SECURITY: asked again: the user may have been promoted, the member of staff dismissed.
    if not reset.by_command and (problem := _rank_problem(reset.user, reset.requested_by)):
        FactorReset.objects.filter(pk=reset_id).update(done_at=None, canceled_at=now)
        _note(AuditKind.RESET_HALTED, reset, actor, {"problem": problem})
        return reset
    _hold(reset, mailed if email_of(reset.user) else handed, now)
    _end_proofs(reset.user_id)
    removed = _delete_factors(reset.user_id)
    codes = RecoveryCode.objects.filter(user_id=reset.user_id).delete()[0]
    browsers = TrustedBrowser.objects.filter(user_id=reset.user_id, revoked_at=None).update(revoked_at=now)
    counts = {"factors": len(removed), "recovery_codes": codes, "browsers": browsers}
    _note(AuditKind.RESET_DONE, reset, actor, counts)
    return Done(reset, len(removed), codes, browsers, removed=[one for one in removed if one.confirmed_at is not None])


def _hold(reset: FactorReset, token: str, now: datetime) -> None:
    """Let the password of now enroll nothing without the link that holds ``token``; ``""``: no link was made so far."""
    FactorReset.objects.filter(held_for=reset.user_id).update(held_for=None)
    reset.link_expires_at = now + timedelta(hours=settings.reset_link_hours) if token else None
    FactorReset.objects.filter(pk=reset.pk).update(
        held_for=reset.user_id,
        password_digest=reset_holds.digest_of_password(reset.user.password),
        link_digest=_digest(token) if token else None,
        link_expires_at=reset.link_expires_at,
    )


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
