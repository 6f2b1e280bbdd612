"""What we keep in a person's session: the only file that knows the keys.

A sign-in whose second factor is owed has Django's own three keys taken out of the session, so that nothing that reads
sessions, ours or not, finds a user in it. They wait under a key of ours until the factor passes.
"""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.backends.signed_cookies import SessionStore as CookieSession
from django.http import HttpRequest
from django.middleware.csrf import rotate_token
from django.utils.crypto import constant_time_compare

from ..client import SECRET as _SECRET
from ..client import session_secret
from ..conf import settings
from ..exceptions import NoPendingLogin
from ..verifications.options import Payment

_DJANGOS = {SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY}
_EXPIRY = "_session_expiry"
"""What Django's ``set_expiry()`` writes: seconds, or a moment as text. It has no getter for what was written."""
_PENDING = "_twilio_verify_pending"
_SETTLED = "_twilio_verify_settled"
_TRUST = "_twilio_verify_trust"
_PAYMENTS = "_twilio_verify_payments"
_PAYMENT_PROOFS = "_twilio_verify_payment_proofs"
_FORMS = "_twilio_verify_forms"
_CODES_SHOWN = "_twilio_verify_codes_shown"
_REPLACEMENT = "_twilio_verify_replacement"
_CUTOFF = "_twilio_verify_cutoff"
_IMPERSONATION = "_twilio_verify_impersonation"
_PASSKEY_LOGIN = "_twilio_verify_passkey_login"

CLOCK_SKEW = 60
"""Seconds by which the clocks of two servers of one site may differ."""

KEPT_PAYMENTS = 5
"""Payments, and approvals of such, that a session remembers: a person with more tabs open begins again."""
KEPT_FORMS = 2
FORM_LIVES = 600
"""Seconds for which a posted form waits for the proof that it asked for."""


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """A sign-in that waits: Django's three session values, and ``since`` when (seconds since 1970).

    ``deferred``: ``user_logged_in`` was held back. ``limited``: the session was given the lifetime ``limit`` (seconds,
    or ``None`` for the site's own) while it waits, and ``expiry`` is what it had.
    """

    user_id: str
    backend: str
    auth_hash: str
    since: int
    deferred: bool = False
    limited: bool = False
    limit: int | None = None
    expiry: int | str | None = None


@dataclass(frozen=True, slots=True)
class VerifiedSession:
    """A sign-in that is through. ``passed``: by a second factor, else none was owed, or this browser is ``trusted`` and
    was excused from it. ``at``: seconds since 1970.

    Without a factor also ``policy``, by which that was decided (``access.policy_of``), until when it may be put off if
    one is demanded (``grace``, seconds since 1970, else 0), and whether the person has yet to be ``reminded`` of that.
    """

    user_id: str
    passed: bool
    at: int
    channel: str = ""
    policy: str = ""
    grace: int = 0
    reminded: bool = False
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Impersonation:
    """A staff member who acts as another user in this session (``impersonation.act_as``).

    ``user_id``: the other user. ``staff_id``, ``backend``, ``auth_hash``: the staff member's login, as Django kept it;
    ``mark``: the session cutoff it came after; ``expires``: when that session would have ended, and ``proof`` its
    ``VerifiedSession``, both for the way back.
    """

    user_id: str
    staff_id: str
    backend: str
    auth_hash: str = field(repr=False)
    mark: int
    expires: int
    proof: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeptForm:
    """What somebody posted before a proof was asked for. ``path``: with its query; ``fields``: name and value, as many
    as there were; ``at``: seconds since 1970.
    """

    user_id: str
    path: str
    fields: list[tuple[str, str]] = field(repr=False)
    at: int = 0


@dataclass(frozen=True, slots=True)
class Replacement:
    """What the person asked for before proving a new number: which factor it takes the place of, and whether other
    sessions end.
    """

    verification: str
    factor_id: int
    sign_out: bool


def has_secret(request: HttpRequest) -> bool:
    """Whether this browser session holds the secret, without which it can have started nothing."""
    return _SECRET in request.session


def leave_cookie(request: HttpRequest) -> None:
    """If the session that ``request`` names was gone before it came, have the answer leave the browser's cookie alone.

    Where a sign-in a moment before has replaced the session, the browser holds the cookie of the new one by now.
    ``SessionMiddleware`` would delete that: it goes by the name, and by what this request sent. To be called once the
    session has been read. What this request itself has ended is deleted as ever.
    """
    if request.session.is_empty() and not request.session.modified:
        request.COOKIES.pop(django_settings.SESSION_COOKIE_NAME, None)


def hold(request: HttpRequest) -> None:
    """Turn the sign-in that was just written to the session into one that waits for its second factor."""
    session = request.session
    waited = give_up(request)
    if waited is not None and waited.user_id != session[SESSION_KEY]:
        _begin_anew(request)
    pending = PendingLogin(
        user_id=session.pop(SESSION_KEY),
        backend=session.pop(BACKEND_SESSION_KEY),
        auth_hash=session.pop(HASH_SESSION_KEY, ""),
        since=int(time.time()),
        # RemoteUserMiddleware signs in anew at every request: what was held back once is still to be sent.
        deferred=waited is not None and waited.deferred,
    )
    session[_PENDING] = asdict(pending)
    session.pop(_SETTLED, None)
    if waited is None or waited.user_id != pending.user_id:
        # SECURITY: what was started for whoever used this session before cannot be answered by this person. (For the
        # same person it stays.)
        session[_SECRET] = secrets.token_urlsafe(24)


def _begin_anew(request: HttpRequest) -> None:
    """Leave whoever has just signed in nothing of what the session held for another, whose sign-in waited in it.

    As Django's ``login()`` does with the session of somebody who is signed in; of this one it did not know whose it is.
    """
    session = request.session
    # What login() found: it was stored under the new key before anything was written for the one who signs in.
    found: dict[str, Any] = type(session)(session.session_key).load()
    for name in found.keys() - _DJANGOS:
        # SECURITY: the secret too: what was started for whoever used this session before cannot be answered any more.
        if session.get(name) == found[name]:
            del session[name]


def defer(request: HttpRequest) -> None:
    """Note that ``user_logged_in`` of the sign-in that waits was held back."""
    request.session[_PENDING] = {**request.session[_PENDING], "deferred": True}


def pending_login(request: HttpRequest) -> PendingLogin | None:
    """The sign-in that waits in this session, ``None`` if there is none or it has waited too long."""
    stored: dict[str, Any] | None = request.session.get(_PENDING)
    if stored is None:
        return None
    found = PendingLogin(**stored)
    if found.since + settings.pending_login_seconds < time.time():
        give_up(request)
        return None
    return found


def pending_user(request: HttpRequest) -> AbstractBaseUser | None:
    """The person whose sign-in waits. One SELECT. ``None`` also if the account is gone or its password has changed."""
    waiting = pending_login(request)
    if waiting is None:
        return None
    user: AbstractBaseUser | None = load_backend(waiting.backend).get_user(_pk(waiting.user_id))
    if user is None or not _same_password(user, waiting):
        give_up(request)
        return None
    return user


def give_up(request: HttpRequest) -> PendingLogin | None:
    """Take the sign-in that waits out of the session, which gets back the lifetime that it had. Gives what waited."""
    session = request.session
    stored: dict[str, Any] | None = session.pop(_PENDING, None)
    if stored is None:
        return None
    waited = PendingLogin(**stored)
    if waited.limited and session.get(_EXPIRY) == waited.limit:  # else a login view has chosen anew
        _set_expiry(request, waited.expiry)
    return waited


def limit(request: HttpRequest) -> None:
    """Let a session in which a sign-in waits end with it, unless the visitor keeps things in it.

    Asked at the end of each response, so that it does not matter whether a login view chose the lifetime ("remember
    me") before ``login()`` or after it. The choice is put aside, and holds once the factor has passed.
    """
    session = request.session
    waiting = PendingLogin(**session[_PENDING])
    chosen, ours = session.get(_EXPIRY), settings.pending_login_seconds
    if session.get_expire_at_browser_close() or session.get_expiry_age() <= ours:
        return
    # Keys of Django's and ours begin with an underscore. A basket is not emptied because somebody forgot the phone.
    keeps = any(not key.startswith("_") for key in session.keys())  # noqa: SIM118  no dict
    if keeps and chosen is None:
        return
    allowed = None if keeps else ours
    session[_PENDING] = asdict(replace(waiting, limited=True, limit=allowed, expiry=chosen))
    _set_expiry(request, allowed)


def _set_expiry(request: HttpRequest, value: int | str | None) -> None:
    # Not by set_expiry(), which does not take the text that it writes for a moment.
    if value is None:
        request.session.pop(_EXPIRY, None)
    else:
        request.session[_EXPIRY] = value


def release(request: HttpRequest, *, channel: str) -> PendingLogin:
    """Make the waiting sign-in a real one: the factor has passed. The session gets a new key. Gives what waited."""
    waiting = pending_login(request)
    if waiting is None:
        raise NoPendingLogin
    session = request.session
    give_up(request)
    # SECURITY: as at any rise of privilege, a session key known before is worth nothing afterwards.
    session.cycle_key()
    session[SESSION_KEY] = waiting.user_id
    session[BACKEND_SESSION_KEY] = waiting.backend
    session[HASH_SESSION_KEY] = waiting.auth_hash
    mark_verified(request, waiting.user_id, passed=True, channel=channel)
    rotate_token(request)
    return waiting


def mark_verified(
    request: HttpRequest,
    user_id: str,
    *,
    passed: bool,
    channel: str = "",
    policy: str = "",
    grace: int = 0,
    trusted: bool = False,
) -> None:
    """Note that the sign-in of ``user_id`` in this session is through. ``policy`` …: see ``VerifiedSession``."""
    waited = give_up(request)
    if waited is not None and waited.user_id != user_id:
        _begin_anew(request)
    # Made now, while the session is being written: two first presses of a button, each making one, would be two
    # sessions, and two messages.
    session_secret(request)
    settled = VerifiedSession(user_id, passed, int(time.time()), channel, policy, grace, trusted=trusted)
    request.session[_SETTLED] = asdict(settled)


def outlive_factor(request: HttpRequest) -> None:
    """The signed-in user has removed a factor in this session, perhaps the one that it was proved by: it stays proved
    as of then, by no factor that there is.
    """
    if has_passed(request):
        request.session[_SETTLED] = {**request.session[_SETTLED], "channel": ""}


def note_passkey_login(request: HttpRequest, verification_id: uuid.UUID) -> None:
    """``verification_id`` was begun in this session for a user who has not said who they are."""
    if request.session.get(_PASSKEY_LOGIN) != str(verification_id):
        request.session[_PASSKEY_LOGIN] = str(verification_id)


def is_passkey_login(request: HttpRequest, verification_id: uuid.UUID) -> bool:
    """Whether ``verification_id`` is the last one of which that was noted."""
    return bool(request.session.get(_PASSKEY_LOGIN) == str(verification_id))


def is_to_be_reminded(request: HttpRequest) -> bool:
    """Whether the person has yet to be told of the time to enroll."""
    found = verified_session(request)
    return found is not None and found.grace > 0 and not found.reminded


def note_reminded(request: HttpRequest) -> None:
    """The person has been told of the time to enroll: not again in this session."""
    if verified_session(request) is not None:
        request.session[_SETTLED] = {**request.session[_SETTLED], "reminded": True}


def has_passed(request: HttpRequest) -> bool:
    """Whether the sign-in that this session holds passed a factor. Asked in every request, so it makes no objects."""
    stored = request.session.get(_SETTLED)
    return stored is not None and stored["passed"] and stored["user_id"] == request.session.get(SESSION_KEY)


def verified_session(request: HttpRequest) -> VerifiedSession | None:
    """How the sign-in that this session holds came through; ``None`` if that was never decided, or of somebody else."""
    stored = request.session.get(_SETTLED)
    # SECURITY: bound to the account: a session that changed hands is not through.
    if stored is None or stored["user_id"] != request.session.get(SESSION_KEY):
        return None
    return VerifiedSession(**stored)


def forget_verified(request: HttpRequest) -> None:
    """Have it decided anew how the sign-in that this session holds comes through."""
    request.session.pop(_SETTLED, None)


def forget_ended(request: HttpRequest, user_id: str) -> None:
    """Leave the login of ``user_id``, just written to the session, nothing of one before it that was ended elsewhere.

    SECURITY: neither what it passed, nor what was begun in it: an approval that nobody has used yet counts no more.
    """
    session = request.session
    before = session.pop(_SETTLED, None), session.get(_PENDING)
    if any(one is not None and one["user_id"] == user_id for one in before):
        session[_SECRET] = secrets.token_urlsafe(24)


def login_of(request: HttpRequest, user_id: str) -> Impersonation:
    """The verified login of this session, to be kept while its user acts as ``user_id``."""
    session = request.session
    staff_id: str = session[SESSION_KEY]
    return Impersonation(
        user_id=user_id,
        staff_id=staff_id,
        backend=session[BACKEND_SESSION_KEY],
        auth_hash=session.get(HASH_SESSION_KEY, ""),
        mark=cutoff(request, staff_id),
        expires=int(time.time()) + session.get_expiry_age(),
        proof=dict(session[_SETTLED]),
    )


def impersonation(request: HttpRequest) -> Impersonation | None:
    """Who acts as the user whom Django finds in this session; ``None`` if nobody does."""
    stored = request.session.get(_IMPERSONATION)
    # SECURITY: bound to the account, as what was settled.
    if stored is None or stored["user_id"] != request.session.get(SESSION_KEY):
        return None
    return Impersonation(**stored)


def note_impersonation(request: HttpRequest, acting: Impersonation) -> None:
    """The login just written to the session is an impersonation. It is not verified, and nothing is owed in it."""
    request.session.pop(_SETTLED, None)
    request.session[_IMPERSONATION] = asdict(acting)


def end_impersonation(request: HttpRequest) -> None:
    """The login just written to the session is not an impersonation."""
    request.session.pop(_IMPERSONATION, None)


def return_from(request: HttpRequest, acting: Impersonation) -> None:
    """The login just written to the session is the staff member's own again, verified when it was."""
    session_secret(request)
    # SECURITY: the time is that of the proof itself: acting as somebody does not make it younger.
    request.session[_SETTLED] = acting.proof


def is_impersonated(request: HttpRequest) -> bool:
    """Whether this session's login is an impersonation, also one that was not announced to us."""
    if impersonation(request) is not None:
        return True
    # SECURITY: by what the packages themselves leave in a session that they signed in as somebody else.
    return any(request.session.get(name) for name in _impersonation_flags())


def _impersonation_flags() -> tuple[str, ...]:
    loginas = getattr(django_settings, "LOGINAS_FROM_USER_SESSION_FLAG", "loginas_from_user")
    return ("hijack_history", "exit_users_pk", loginas)


def marks(request: HttpRequest) -> dict[str, int]:
    """The cutoff marks that this session must come after: of its user or pending login, and of who acts in it."""
    waiting = request.session.get(_PENDING)
    user_id = request.session.get(SESSION_KEY) or (waiting and waiting["user_id"])
    if not user_id:
        return {}
    acting = impersonation(request)
    staff = {} if acting is None else {acting.staff_id: acting.mark}
    return {user_id: cutoff(request, user_id), **staff}


def note_cutoff(request: HttpRequest, user_id: str, mark: int) -> None:
    """Of the times that all sessions of ``user_id`` were ended, ``mark`` is the last that this session comes after."""
    # SECURITY: beside the sign-in and not in it, so that nothing which renews that renews this.
    request.session[_CUTOFF] = {"user_id": user_id, "mark": mark}


def cutoff(request: HttpRequest, user_id: str) -> int:
    """The mark that was noted; 0 if none was, or of somebody else."""
    return cutoff_in(request.session, user_id)


def cutoff_in(data: Any, user_id: str) -> int:
    """The same of a session that holds ``data``."""
    stored = data.get(_CUTOFF)
    return stored["mark"] if stored is not None and stored["user_id"] == user_id else 0


def name_of(request: HttpRequest) -> str:
    """What this session can be known by again. Not what a browser may be shown."""
    if not isinstance(request.session, CookieSession):
        return str(request.session.session_key)
    # The key is the cookie then, and another one each time that anything is kept in it.
    parts = [request.session.get(name) for name in (_SECRET, _SETTLED, _CUTOFF)]
    return json.dumps(parts, sort_keys=True)


def signed_in_id(request: HttpRequest) -> str | None:
    """Primary key, as text, of the account that Django finds in this session."""
    return request.session.get(SESSION_KEY)


def is_undecided(request: HttpRequest) -> bool:
    """Whether it was never decided what the login in this session owes."""
    return verified_session(request) is None and impersonation(request) is None


def is_signed_in(request: HttpRequest, user: Any) -> bool:
    """Whether ``user`` is who this session is signed in as, and not somebody whom a token or a certificate names."""
    # Neither visitors nor the users of tokens that stand for no row are models.
    return hasattr(user, "_meta") and signed_in_id(request) == text_of(user)


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
    session_secret(request)
    return key


def payment(request: HttpRequest, key: str) -> Payment | None:
    """The payment of that key, if this session asked for it."""
    stored = request.session.get(_PAYMENTS, {}).get(key)
    return Payment(**stored) if stored else None


def payment_key(request: HttpRequest, payment: Payment) -> str:
    """The key under which this session asked for ``payment``, the latest one; ``""`` if it did not."""
    asked: dict[str, Any] = request.session.get(_PAYMENTS, {})
    return next((key for key in reversed(asked) if asked[key] == asdict(payment)), "")


def add_payment_proof(request: HttpRequest, verification_id: uuid.UUID) -> None:
    """Remember the approved verification of a payment, for ``login.payments.redeem``."""
    proofs = [one for one in request.session.get(_PAYMENT_PROOFS, ()) if one != str(verification_id)]
    request.session[_PAYMENT_PROOFS] = [*proofs, str(verification_id)][-KEPT_PAYMENTS:]


def payment_proofs(request: HttpRequest) -> list[uuid.UUID]:
    """The approved verifications of payments in this session, the latest one first."""
    return [uuid.UUID(one) for one in reversed(request.session.get(_PAYMENT_PROOFS, ()))]


def may_keep_forms(request: HttpRequest) -> bool:
    """SECURITY: not where the session itself travels in a cookie: it would be read in the browser, and not fit."""
    return not isinstance(request.session, CookieSession)


def keep_form(request: HttpRequest, path: str, fields: list[tuple[str, str]]) -> str:
    """Keep what the signed-in person has posted to ``path``; the key to find it by."""
    key = secrets.token_urlsafe(12)
    form = KeptForm(signed_in_id(request) or "", path, fields, int(time.time()))
    request.session[_FORMS] = dict([*{**request.session.get(_FORMS, {}), key: asdict(form)}.items()][-KEPT_FORMS:])
    return key


def kept_form(request: HttpRequest, key: str) -> KeptForm | None:
    """The form of that key, if the person who is signed in posted it in this session, not long ago."""
    stored = request.session.get(_FORMS, {}).get(key)
    form = KeptForm(**stored) if stored else None
    # SECURITY: a session that changed hands shows and sends nothing of whoever had it before.
    if form is None or form.user_id != signed_in_id(request) or form.at + FORM_LIVES < time.time():
        return None
    return form


def drop_form(request: HttpRequest, key: str) -> None:
    """The form has gone on, and does so once."""
    request.session[_FORMS] = {one: form for one, form in request.session.get(_FORMS, {}).items() if one != key}


def note_codes_shown(request: HttpRequest) -> None:
    """Remember that recovery codes were sent to this browser: not the codes, and not yet that anybody has seen them."""
    request.session[_CODES_SHOWN] = "sent"


def note_codes_kept(request: HttpRequest) -> None:
    """The person says that they have the recovery codes."""
    request.session[_CODES_SHOWN] = "kept"


def has_unseen_codes(request: HttpRequest) -> bool:
    """Whether recovery codes were sent to this browser and nobody has said that they saw them."""
    return bool(request.session.get(_CODES_SHOWN) == "sent")


def has_kept_codes(request: HttpRequest) -> bool:
    """Whether the person has said, in this session, that they have the recovery codes."""
    return bool(request.session.get(_CODES_SHOWN) == "kept")


def plan_replacement(request: HttpRequest, verification_id: uuid.UUID, factor_id: int, *, sign_out: bool) -> None:
    """Remember that the proof of ``verification_id`` is to replace a factor. One at a time: the latest."""
    # SECURITY: here and not in a form, where the number of another factor could be put in its place.
    request.session[_REPLACEMENT] = asdict(Replacement(str(verification_id), factor_id, sign_out))


def forget_replacement(request: HttpRequest) -> None:
    """The person is about to prove a number for something else: it replaces nothing."""
    if _REPLACEMENT in request.session:
        del request.session[_REPLACEMENT]


def replaced_by(request: HttpRequest, verification_id: uuid.UUID) -> int | None:
    """Primary key of the factor that the proof of ``verification_id`` is to replace; ``None`` if it just adds."""
    stored = request.session.get(_REPLACEMENT)
    return stored["factor_id"] if stored is not None and stored["verification"] == str(verification_id) else None


def take_replacement(request: HttpRequest, verification_id: uuid.UUID) -> Replacement | None:
    """What the proof of ``verification_id`` replaces, to one call; ``None`` if it just adds."""
    stored = request.session.get(_REPLACEMENT)
    if stored is None or stored["verification"] != str(verification_id):
        return None
    del request.session[_REPLACEMENT]
    return Replacement(**stored)


def is_of(data: Mapping[str, Any], user_id: str) -> bool:
    """Whether a session that holds ``data`` is signed in as ``user_id`` (text), waits for their second factor, or is
    one in which they act as another user.
    """
    others = ((data.get(_PENDING) or {}).get("user_id"), (data.get(_IMPERSONATION) or {}).get("staff_id"))
    return user_id in (data.get(SESSION_KEY), *others)


def text_of(user: AbstractBaseUser) -> str:
    """The primary key of ``user`` as Django writes it to sessions."""
    key = user._meta.pk
    return str(key.value_to_string(user)) if key is not None else ""


def _pk(user_id: str) -> Any:
    from_text = get_user_model()._meta.pk
    return from_text.to_python(user_id) if from_text is not None else user_id


def _same_password(user: AbstractBaseUser, waiting: PendingLogin) -> bool:
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    # SECURITY: changing the password ends sign-ins that wait, as it ends sessions.
    return any([constant_time_compare(waiting.auth_hash, candidate) for candidate in hashes])  # noqa: C419  a list: every key is compared, whichever fits
