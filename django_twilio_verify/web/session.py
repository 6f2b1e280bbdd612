"""What we keep in a person's session: the only file that knows the keys.

A sign-in whose second factor is owed has Django's own three keys taken out of the session, so that nothing that reads
sessions, ours or not, finds a user in it. They wait under a key of ours until the factor passes.
"""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import asdict, dataclass
from typing import Any

from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.middleware.csrf import rotate_token
from django.utils.crypto import constant_time_compare

from ..conf import settings
from ..flows.options import Payment

_SECRET = "_twilio_verify_secret"  # noqa: S105  the name of a key
_PENDING = "_twilio_verify_pending"
_SETTLED = "_twilio_verify_settled"
_TRUST = "_twilio_verify_trust"
_PAYMENTS = "_twilio_verify_payments"
_PAYMENT_PROOFS = "_twilio_verify_payment_proofs"

KEPT_PAYMENTS = 5
"""Payments, and approvals of such, that a session remembers: a person with more tabs open begins again."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in that waits: Django's three session values, and ``since`` when (seconds since 1970)."""

    user_id: str
    backend: str
    auth_hash: str
    since: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A sign-in that is through. ``passed``: by a second factor, else none was owed, or this browser is ``trusted`` and
    was excused from it. ``at``: seconds since 1970.
    """

    user_id: str
    passed: bool
    at: int
    channel: str = ""
    trusted: bool = False


def secret(request: HttpRequest) -> str:
    """An opaque value that only this browser session holds. Made, and the session saved, on first use."""
    known: str | None = request.session.get(_SECRET)
    if known is None:
        known = request.session[_SECRET] = secrets.token_urlsafe(24)
    return known


def has_secret(request: HttpRequest) -> bool:
    """Whether this browser session holds the secret, without which it can have started nothing."""
    return _SECRET in request.session


def hold(request: HttpRequest) -> None:
    """Turn the sign-in that was just written to the session into one that waits for its second factor."""
    session = request.session
    pending = Pending(
        user_id=session.pop(SESSION_KEY),
        backend=session.pop(BACKEND_SESSION_KEY),
        auth_hash=session.pop(HASH_SESSION_KEY, ""),
        since=int(time.time()),
    )
    before = session.get(_PENDING)
    session[_PENDING] = asdict(pending)
    session.pop(_SETTLED, None)
    if before is None or before["user_id"] != pending.user_id:
        # SECURITY: what was started for whoever used this session before cannot be answered by this person. (For the
        # same person it stays: RemoteUserMiddleware signs in anew at every request.)
        session[_SECRET] = secrets.token_urlsafe(24)


def pending(request: HttpRequest) -> Pending | None:
    """The sign-in that waits in this session, ``None`` if there is none or it has waited too long."""
    stored: dict[str, Any] | None = request.session.get(_PENDING)
    if stored is None:
        return None
    found = Pending(**stored)
    if found.since + settings.pending_lifetime < time.time():
        del request.session[_PENDING]
        return None
    return found


def pending_user(request: HttpRequest) -> AbstractBaseUser | None:
    """The person whose sign-in waits. One SELECT. ``None`` also if the account is gone or its password has changed."""
    waiting = pending(request)
    if waiting is None:
        return None
    user: AbstractBaseUser | None = load_backend(waiting.backend).get_user(_pk(waiting.user_id))
    if user is None or not _same_password(user, waiting):
        del request.session[_PENDING]
        return None
    return user


def release(request: HttpRequest, *, channel: str) -> None:
    """Make the waiting sign-in a real one: the factor has passed. The session gets a new key."""
    waiting = pending(request)
    if waiting is None:
        raise LookupError("No sign-in is waiting in this session.")
    session = request.session
    del session[_PENDING]
    # SECURITY: as at any rise of privilege, a session key known before is worth nothing afterwards.
    session.cycle_key()
    session[SESSION_KEY] = waiting.user_id
    session[BACKEND_SESSION_KEY] = waiting.backend
    session[HASH_SESSION_KEY] = waiting.auth_hash
    settle(request, waiting.user_id, passed=True, channel=channel)
    rotate_token(request)


def settle(request: HttpRequest, user_id: str, *, passed: bool, channel: str = "", trusted: bool = False) -> None:
    """Note that the sign-in of ``user_id`` in this session is through."""
    # Made now, while the session is being written: two first presses of a button, each making one, would be two
    # sessions to the flows, and two messages.
    secret(request)
    request.session[_SETTLED] = asdict(Settled(user_id, passed, int(time.time()), channel, trusted))


def is_settled(request: HttpRequest) -> bool:
    """Whether the sign-in that this session holds was decided. Asked in every request, so it makes no objects."""
    stored = request.session.get(_SETTLED)
    # SECURITY: bound to the account: a session that changed hands is not through.
    return stored is not None and stored["user_id"] == request.session.get(SESSION_KEY)


def settled(request: HttpRequest) -> Settled | None:
    """How the sign-in that this session holds came through; ``None`` if that was never decided, or of somebody else."""
    return Settled(**request.session[_SETTLED]) if is_settled(request) else None


def signed_in_id(request: HttpRequest) -> str | None:
    """Primary key, as text, of the account that Django finds in this session."""
    return request.session.get(SESSION_KEY)


def wish_trust(request: HttpRequest, user_id: str) -> None:
    """Remember that ``user_id``, whose sign-in waits, wants this browser to be trusted; ``""`` for nobody."""
    if request.session.get(_TRUST, "") != user_id:
        request.session[_TRUST] = user_id


def trust_wish(request: HttpRequest) -> str:
    """Who wants this browser to be trusted; ``""`` for nobody."""
    return str(request.session.get(_TRUST, ""))


def forget_trust_wish(request: HttpRequest) -> None:
    """It was granted or is of no use any more."""
    request.session.pop(_TRUST, None)


def ask_payment(request: HttpRequest, payment: Payment) -> str:
    """Remember a payment that is to be approved; the key to find it by."""
    key = secrets.token_urlsafe(12)
    asked = {**request.session.get(_PAYMENTS, {}), key: asdict(payment)}
    request.session[_PAYMENTS] = dict([*asked.items()][-KEPT_PAYMENTS:])
    # As in settle(): two first presses must be of one session.
    secret(request)
    return key


def payment(request: HttpRequest, key: str) -> Payment | None:
    """The payment of that key, if this session asked for it."""
    stored = request.session.get(_PAYMENTS, {}).get(key)
    return Payment(**stored) if stored else None


def add_payment_proof(request: HttpRequest, verification_id: uuid.UUID) -> None:
    """Remember the approved verification of a payment, for ``web.payments.redeem``."""
    proofs = [*request.session.get(_PAYMENT_PROOFS, ()), str(verification_id)]
    request.session[_PAYMENT_PROOFS] = proofs[-KEPT_PAYMENTS:]


def payment_proofs(request: HttpRequest) -> list[uuid.UUID]:
    """The approved verifications of payments in this session, the latest one first."""
    return [uuid.UUID(one) for one in reversed(request.session.get(_PAYMENT_PROOFS, ()))]


def text_of(user: AbstractBaseUser) -> str:
    """The primary key of ``user`` as Django writes it to sessions."""
    key = user._meta.pk
    return str(key.value_to_string(user)) if key is not None else ""


def _pk(user_id: str) -> Any:
    from_text = get_user_model()._meta.pk
    return from_text.to_python(user_id) if from_text is not None else user_id


def _same_password(user: AbstractBaseUser, waiting: Pending) -> bool:
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    # SECURITY: changing the password ends sign-ins that wait, as it ends sessions.
    return any([constant_time_compare(waiting.auth_hash, candidate) for candidate in hashes])  # noqa: C419  a list: every key is compared, whichever fits
