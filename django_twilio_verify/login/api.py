"""The public functions of the second factor of a request. Each has an async twin, from the same steps.

One set serves pending logins and step-up: which of the two it is, the session knows, and a caller cannot pick the wrong
one. Nothing here takes the caller's word that something was verified, except ``mark_verified_externally``, which is
for another app's factors and leaves an audit event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponseRedirect
from django.views.decorators.debug import sensitive_variables

from ..backends.threads import query_twin_of
from ..backends.twins import Steps, verb, verb_twin_of
from ..choices import AuditKind, Channel, ChannelName
from ..core.arguments import AnyUser, as_account
from ..exceptions import NoPendingLogin
from ..factors import api as factors
from ..factors import policy
from ..factors.own_factors import ChallengeOption
from ..factors.results import Enrolled, RecoveryChecked, SetupChecked
from ..ledger import audit
from ..models import Factor
from ..verifications import checking
from ..verifications.api import VerificationRef
from ..verifications.challenge_steps import ChallengeAnswer
from ..verifications.options import Payment
from ..verifications.results import Checked, Redeemed, Started
from . import (
    completion,
    ended_sessions,
    enrollment,
    own_session,
    passkeys,
    payments,
    session,
    signup,
    trust_cookie,
    trusted_browsers,
)
from .second_factor import SecondFactor, plain, reference
from .state import LoginState


def get_state(request: HttpRequest) -> LoginState:
    """Return where the login of ``request`` stands, read now: its attributes make no queries from here on."""
    state = _state(request)
    state.load()
    return state


aget_state = query_twin_of(get_state)


def is_required(user: AnyUser, request: HttpRequest) -> bool:
    """Return whether ``TWILIO_VERIFY_REQUIRED_FOR`` demands a factor of ``user``, with or without one.

    One query if groups are named, what ``has_perm`` costs if permissions are, and what callables cost; else none.
    """
    return policy.requires_factor(as_account(user), plain(request))


ais_required = query_twin_of(is_required)


def challenge_options(request: HttpRequest) -> list[ChallengeOption]:
    """Return every way to challenge the user whose login waits, or who is signed in; the one to ask first in front.

    Raises:
        NoPendingLogin: There is no such user.
        PermissionDenied: Somebody acts as the user.
    """
    asked = SecondFactor.of(request)
    purpose: Any = asked.purpose.value
    return factors.challenge_options(asked.user, client=asked.client, purpose=purpose)


achallenge_options = query_twin_of(challenge_options)


@verb
def challenge(request: HttpRequest, option: ChallengeOption | str, *, disclosure: str | None = None) -> Steps[Started]:
    """Challenge the user by one of ``challenge_options``: send a code, or ask an app, a phone or a passkey.

    Args:
        request: The request of the session that may answer.
        option: One of the options, or its ``id``.
        disclosure: The digest of the disclosure that the user agreed to, where the option needs consent. It is
            recorded with the send; a refused send leaves no consent.

    Raises:
        NoPendingLogin: There is no user to challenge.
        FactorNotFound: ``option`` is none of the user's (any more).
        ConsentRequired: The channel needs consent first.
        RateLimited, BackendRejected, BackendUnavailable: As ``verifications.start``.
    """
    return SecondFactor.of(request).challenge_steps(option, disclosure=disclosure)


achallenge = verb_twin_of(challenge)


@verb
def resend(
    request: HttpRequest,
    verification: VerificationRef,
    *,
    channel: ChannelName | None = None,
    disclosure: str | None = None,
) -> Steps[Started]:
    """Send a challenge once more; a push notifies its phone once more.

    Args:
        request: The request of the session that was challenged.
        verification: What was started.
        channel: Another channel to go on by; without it the one that was used last.
        disclosure: As for ``challenge``, for the other channel.

    Raises:
        NoPendingLogin: There is no user to challenge.
        VerificationNotFound: Not the user's own, or over (``verification_closed``).
        RateLimited: ``cooldown``, ``no_sends_left`` or a limit. Nothing was sent.

    Everything else as ``challenge`` raises it.
    """
    way = None if channel is None else Channel.parse(channel)
    return SecondFactor.of(request).resend_steps(verification, channel=way, disclosure=disclosure)


aresend = verb_twin_of(resend)


@verb
def check(
    request: HttpRequest,
    verification: VerificationRef,
    *,
    code: str | None = None,
    number: str | None = None,
    credential: Mapping[str, Any] | None = None,
    trust_browser: bool = False,
) -> Steps[Checked]:
    """Check the answer to a challenge: exactly one of ``code``, ``number`` and ``credential``.

    An approval completes the login that waits, or refreshes the step-up, at once. One that was left over, because a
    worker died in between, is completed by the next check of the same session, for ten minutes. A failed answer sends
    Django's ``user_login_failed``.

    Args:
        request: The request of the session that was challenged.
        verification: What was started.
        code: As typed, of a message or an authenticator app.
        number: As typed, what the phone of a push shows.
        credential: Of a passkey, what ``credential.toJSON()`` gave the page.
        trust_browser: The user asks not to be challenged on this browser for a while
            (``TWILIO_VERIFY_TRUSTED_BROWSER_DAYS``). It counts with the answer that completes the login, and for a
            login only.

    Returns:
        ``approved`` if this call completed it; ``already_approved`` after a double click.

    Raises:
        NoPendingLogin: There is no user who was challenged.
        VerificationNotFound: Not the user's own, or for something else.
        NotRedeemable: The factor was removed at this moment, or the approval is too old.
        BackendUnavailable, BackendRejected: The provider did not judge it.
        TypeError: None of the three answers is given, or more than one.
    """
    _check_answer(code, number, credential)
    asked = SecondFactor.of(request)
    trust_cookie.note_wish(asked.request, trust_browser)
    return asked.check_steps(verification, code=code, number=number, credential=credential)


acheck = verb_twin_of(check)


@verb
def poll(
    request: HttpRequest, verification: VerificationRef, *, trust_browser: bool = False, sna_client_token: str = ""
) -> Steps[Checked]:
    """Ask what came of a link or of a push, as often as a page likes. An approval completes as with ``check``.

    Args:
        request: The request of the session that was challenged.
        verification: What was started.
        trust_browser: As for ``check``.
        sna_client_token: What the link answered, where ``enable_sna_client_token`` asked for one.

    Raises:
        As ``check``.
    """
    asked = SecondFactor.of(request)
    trust_cookie.note_wish(asked.request, trust_browser)
    return asked.poll_steps(verification, sna_client_token=sna_client_token)


apoll = verb_twin_of(poll)


@sensitive_variables("code")
def check_recovery_code(request: HttpRequest, code: str) -> RecoveryChecked:
    """Spend a recovery code; one that is right completes the login that waits, or refreshes the step-up.

    Args:
        request: The request of the session.
        code: As typed, in any case, with or without hyphens and spaces.

    Raises:
        NoPendingLogin: There is no user who could be asked.
        RateLimited: Too many tries from this network.
        TypeError: ``code`` is no text.
    """
    if not isinstance(code, str):
        raise TypeError(f"code must be a text, not {type(code).__name__}.")
    return SecondFactor.of(request).check_recovery_code(code)


acheck_recovery_code = query_twin_of(check_recovery_code)


def cancel(request: HttpRequest) -> None:
    """Give up the login that waits; the visitor is signed out.

    Raises:
        NoPendingLogin: None waits.
    """
    inner = plain(request)
    if session.pending_login(inner) is None:
        raise NoPendingLogin
    logout(inner)


acancel = query_twin_of(cancel)


def enroll(request: HttpRequest, verification: VerificationRef, *, replaces: Factor | None = None) -> Enrolled:
    """Enroll what an approved ``enroll`` verification is about; that completes the login that waits.

    For a user of whom a factor is demanded and who has none yet, and for one who is signed in and verified.

    Args:
        request: The request of the session that verified it.
        verification: What was approved.
        replaces: A factor of the user's whose place it takes.

    Raises:
        NoPendingLogin: There is no user to enroll it for.
        VerificationNotFound: Not approved, not for enrolling, or not the user's own.
        VerificationRequired: The user has a factor that was not verified in this session.
        ResetLinkRequired: Staff reset the user's factors, and this session has not opened the mailed link.
    """
    asked = SecondFactor.of(request)
    trust_cookie.note_wish(asked.request, False)
    found = checking.load(reference(verification), asked.client, asked.user)
    return enrollment.enroll(asked.request, asked.user, found, replaces.pk if replaces is not None else None)


aenroll = query_twin_of(enroll)


@verb
def finish_setup(
    request: HttpRequest,
    verification: VerificationRef,
    *,
    code: str | None = None,
    credential: Mapping[str, Any] | None = None,
) -> Steps[SetupChecked]:
    """Finish the setup of a device's factor (``factors.begin_totp`` and its like); that completes the login that waits.

    As ``factors.finish_setup``, for a user of whom a factor is demanded and who has none yet, and for one who is signed
    in and verified.

    Args:
        request: The request of the session that began.
        verification: ``Setup.verification``.
        code: As typed, that the authenticator app shows.
        credential: Of a passkey, what ``credential.toJSON()`` gave the page. Neither for a phone.

    Raises:
        NoPendingLogin: There is no user to enroll it for.
        VerificationNotFound: Unknown, or of another session or user.
        VerificationRequired: The user has a factor that was not verified in this session.
        BackendUnavailable, BackendRejected: The provider did not judge it.
    """
    if code is not None and not isinstance(code, str):
        raise TypeError(f"code must be a text, not {type(code).__name__}.")
    asked = SecondFactor.of(request)
    trust_cookie.note_wish(asked.request, False)
    given = ChallengeAnswer(reference(verification), asked.client, asked.user, code=code, credential=credential)
    return enrollment.finish_steps(asked.request, asked.user, given)


afinish_setup = verb_twin_of(finish_setup)


@verb
def begin_passkey_login(request: HttpRequest) -> Steps[Started]:
    """Begin a login by passkey alone: give ``Started.browser_options`` to ``navigator.credentials.get()``.

    SECURITY: it is the same for everybody: no account is looked up.

    Raises:
        RateLimited, BackendUnavailable, BackendRejected: The provider was not asked, or refused.
        ValueError: The backend keeps no passkeys.
    """
    return passkeys.begin_steps(plain(request))


abegin_passkey_login = verb_twin_of(begin_passkey_login)


@verb
def finish_passkey_login(
    request: HttpRequest, verification: VerificationRef, *, credential: Mapping[str, Any]
) -> Steps[Checked]:
    """Sign in whoever the passkey is of, with both factors at once. A failed answer sends ``user_login_failed``.

    Args:
        request: The request of the session that began.
        verification: What was started.
        credential: What ``credential.toJSON()`` gave the page.

    Raises:
        VerificationNotFound: Of another session.
        BackendUnavailable, BackendRejected: The provider did not judge it.
    """
    inner = plain(request)
    trust_cookie.note_wish(inner, False)
    return passkeys.finish_steps(inner, reference(verification), credential)


afinish_passkey_login = verb_twin_of(finish_passkey_login)


def sign_up(
    request: HttpRequest, user: AnyUser, verification: VerificationRef, *, backend: str | None = None
) -> Enrolled:
    """Give a new account what this visitor has verified, and sign it in with that as its second factor.

    Args:
        request: The visitor's request.
        user: The new account.
        verification: An approved ``verify`` verification of this session, not older than an hour.
        backend: As for Django's ``login()``.

    Raises:
        VerificationNotFound: Not approved, of another session, too old or given away; nobody is signed in.
    """
    inner = plain(request)
    trust_cookie.note_wish(inner, False)
    return signup.sign_up(inner, as_account(user), reference(verification), backend=backend)


asign_up = query_twin_of(sign_up)


def begin_payment(request: HttpRequest, payment: Payment, *, next: str) -> HttpResponseRedirect:
    """Lead the signed-in user to the page that approves ``payment``, and from there to ``next``. Nothing is sent yet.

    Args:
        request: The request of the user's session.
        payment: What is paid to whom, as it will be shown.
        next: An address of this site.

    Raises:
        ValueError: A text of the payment is empty or too long.
        PermissionDenied: Somebody acts as the user.
    """
    return payments.begin(plain(request), payment, next=next)


abegin_payment = query_twin_of(begin_payment)


def redeem_payment(request: HttpRequest, payment: Payment) -> Redeemed:
    """Use the approval of exactly this payment, once, in the session that approved it.

    May stand in your transaction, together with what it pays for.

    Args:
        request: The request of the session.
        payment: What is about to be paid, as the site itself knows it at this moment, and not as a form says.
    """
    return payments.redeem(plain(request), payment)


aredeem_payment = query_twin_of(redeem_payment)


@dataclass(frozen=True, slots=True)
class TrustedBrowserInfo:
    """A browser on which a user is not challenged.

    Attributes:
        id: What ``revoke_trusted_browsers`` takes.
        browser: Its name, as "Firefox on Linux".
        ip: Its last address, or ``None``.
        last_used_at: When it last signed in (aware, UTC).
        expires_at: Until when it is trusted (aware, UTC).
        is_current: It is the one that asks.
    """

    id: int
    browser: str
    ip: str | None
    last_used_at: datetime
    expires_at: datetime
    is_current: bool


def list_trusted_browsers(user: AnyUser, *, request: HttpRequest | None = None) -> list[TrustedBrowserInfo]:
    """Return the browsers on which ``user`` is not challenged, the one used last first. Two queries.

    Args:
        user: Whose they are.
        request: Of the browser that asks, to mark it.
    """
    tokens = trust_cookie.tokens_of(plain(request)) if request is not None else ()
    return [
        TrustedBrowserInfo(
            one.browser.pk,
            one.browser.browser,
            one.browser.ip,
            one.browser.last_used_at,
            one.browser.expires_at,
            one.is_this,
        )
        for one in trusted_browsers.listed(as_account(user), tokens)
    ]


alist_trusted_browsers = query_twin_of(list_trusted_browsers)


def revoke_trusted_browsers(user: AnyUser, *, browser_id: int | None = None) -> int:
    """Trust the browsers of ``user`` no more, or the one of ``browser_id``. Returns how many were trusted."""
    account = as_account(user)
    if browser_id is None:
        return trusted_browsers.revoke_all(account)
    return trusted_browsers.revoke_each_of(account, [browser_id])


arevoke_trusted_browsers = query_twin_of(revoke_trusted_browsers)


def sign_out_everywhere(user: AnyUser, *, keep: HttpRequest | None = None) -> int:
    """End the sessions of ``user``, pending logins among them, and revoke all trusted browsers.

    Args:
        user: Whose sessions end.
        keep: The request of the one session that goes on.

    Returns:
        How many ended at once; 0 where the session engine cannot list them: there each ends with its first request
        after ``TWILIO_VERIFY_POLICY_RECHECK_SECONDS`` seconds.
    """
    return ended_sessions.end(plain(keep) if keep is not None else None, as_account(user))


asign_out_everywhere = query_twin_of(sign_out_everywhere)


def mark_verified_externally(request: HttpRequest, *, channel: ChannelName | None = None, source: str) -> None:
    """Note that another app has verified a factor of the signed-in user, in this session and at this moment.

    SECURITY: this takes the caller's word. It leaves an audit event. Call it where that app has just judged an answer,
    as in a receiver of ``login_deciding``, and never because of what a form says.

    Args:
        request: The request of the session.
        channel: What it compares to, for views that ask for channels; ``None`` for none of ours.
        source: Which app, for the audit log, as ``"otp_webauthn"``.

    Raises:
        NoPendingLogin: Nobody is signed in to this session, or somebody acts as the user.
        ValueError: ``source`` is empty.
    """
    inner = plain(request)
    if not source.strip():
        raise ValueError("source is empty: name the app that verified it.")
    # SECURITY: ``request.user`` is read first, which has the session judged: a login that turns out to wait, and an
    # account that was deactivated, are nobody's.
    if not inner.user.is_authenticated or own_session.acts_as_other(inner):
        raise NoPendingLogin
    way = "" if channel is None else Channel.parse(channel).value
    completion.mark_passed(inner, way)
    audit.record(
        AuditKind.EXTERNAL,
        actor=inner.user.get_username(),
        details={"source": source.strip()[:100], "channel": way},
    )


amark_verified_externally = query_twin_of(mark_verified_externally)


def _check_answer(code: Any, number: Any, credential: Any) -> None:
    given = {"code": code, "number": number, "credential": credential}
    if sum(value is not None for value in given.values()) != 1:
        raise TypeError("Give exactly one of code, number and credential.")
    for name in ("code", "number"):
        if given[name] is not None and not isinstance(given[name], str):
            raise TypeError(f"{name} must be a text, not {type(given[name]).__name__}.")


def _state(request: HttpRequest) -> LoginState:
    state: LoginState = plain(request).twilio_verify  # type: ignore[attr-defined]
    return state
