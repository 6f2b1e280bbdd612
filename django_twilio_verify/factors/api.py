"""The public functions of factors. Each has an async twin with an ``a`` before its name, from the same steps.

What changes what protects an account (enroll, rename, make default, remove, new recovery codes, setups) is for a view
that has asked for a fresh verification: ``verification_required(max_age=…)``.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from .. import consent
from ..backends.factor_options import PasskeyOptions, TotpOptions
from ..backends.threads import query_twin_of
from ..backends.twins import Steps, verb, verb_twin_of
from ..choices import FACTOR_CHANNELS, Channel, Purpose
from ..client import Client
from ..consent.gate import NewConsent
from ..core.arguments import AnyUser, as_account, as_client, as_uuid
from ..exceptions import FactorNotFound, VerificationNotFound
from ..models import Factor, FactorReset
from ..verifications import challenges, checking, lifecycle
from ..verifications.api import VerificationRef
from ..verifications.challenge_rules import ChallengeRequest
from ..verifications.challenge_steps import ChallengeAnswer
from ..verifications.options import Payment
from ..verifications.results import Started
from ..verifications.sending import StartRequest
from . import changes, devices, own_factors, recovery_codes, resets
from .own_factors import ChallengeOption
from .policy import requires_factor
from .resets import Done as ResetDone
from .resets import Requested as ResetRequested
from .results import Enrolled, RecoveryChecked, Setup, SetupChecked

ChallengePurpose = Literal["login", "step_up", "payment", Purpose.LOGIN, Purpose.STEP_UP, Purpose.PAYMENT]
MAX_NAME = 64


def list_factors(user: AnyUser, *, usable_only: bool = True) -> list[Factor]:
    """Return the confirmed factors of ``user``, the default first. One query.

    Args:
        user: Whose they are.
        usable_only: Leave out the numbers and addresses that open nothing until they are verified again
            (``TWILIO_VERIFY_REVERIFY_DAYS``). At most one query more.
    """
    account = as_account(user)
    return own_factors.usable(account) if usable_only else own_factors.confirmed(account)


alist_factors = query_twin_of(list_factors)


def has_factor(user: AnyUser) -> bool:
    """Return whether ``user`` has any confirmed factor. One query."""
    return own_factors.has_factor(as_account(user))


ahas_factor = query_twin_of(has_factor)


def get_factor(user: AnyUser, factor_id: int) -> Factor:
    """Return a confirmed factor of ``user``. One query.

    Raises:
        FactorNotFound: ``user`` has no such factor: alike for unknown ones and other users'.
    """
    return own_factors.get(as_account(user), factor_id)


aget_factor = query_twin_of(get_factor)


def due_for_reverification(*, older_than: timedelta) -> QuerySet[Factor]:
    """Return the confirmed phones and inboxes that were not verified for ``older_than``, the oldest first.

    Phone numbers get reused: tell the user to verify again. A code cannot be sent from a task, since no browser could
    answer it.
    """
    before = timezone.now() - older_than
    found = Factor.objects.filter(confirmed_at__isnull=False).exclude(recipient_value="")
    due = found.filter(Q(last_used_at__lte=before) | Q(last_used_at=None, confirmed_at__lte=before))
    return due.order_by(Coalesce("last_used_at", "confirmed_at"), "pk")


def challenge_options(user: AnyUser, *, client: Client, purpose: ChallengePurpose) -> list[ChallengeOption]:
    """Return every way to challenge ``user``, the one to ask first in front.

    Channels that are out or too weak for the site's policy are left out, and so are factors that the provider does not
    know any more or that are blocked after too many wrong codes. Two queries, and one for each channel that needs
    consent.

    Args:
        user: Whose factors are asked.
        client: Who asks, for the site's router, policy and consent.
        purpose: ``login``, ``step_up`` or ``payment``.
    """
    account, at = as_account(user), as_client(client)
    found = own_factors.challenge_options(
        own_factors.usable(account), purpose=_purpose(purpose), user=account, client=at
    )
    return [
        replace(option, is_default=place == 0, needs_consent=_needs_consent(option, account, at))
        for place, option in enumerate(found)
    ]


achallenge_options = query_twin_of(challenge_options)


@verb
def challenge(
    user: AnyUser,
    option: ChallengeOption | str,
    *,
    client: Client,
    purpose: ChallengePurpose,
    payment: Payment | None = None,
    resend: bool = False,
) -> Steps[Started]:
    """Challenge ``user`` by one of ``challenge_options``: send a code, or ask an app, a phone or a passkey.

    Args:
        user: Who is challenged.
        option: One of the options, or its ``id``.
        client: The browser session that may answer.
        purpose: What the approval will be good for.
        payment: What is approved, for ``purpose="payment"``, and required there.
        resend: The user did not get the code: a send that still counts is no answer.

    Raises:
        FactorNotFound: ``option`` is none of the user's (any more).
        ChannelTooWeak: The site demands a stronger channel.
        ConsentRequired: The channel needs consent first.
        RateLimited, BackendRejected, BackendUnavailable: As ``verifications.start``.
        RuntimeError: Called within a transaction.
    """
    return challenged_steps(
        as_account(user), option, as_client(client), _purpose(purpose), payment=payment, resend=resend
    )


achallenge = verb_twin_of(challenge)


def enroll(verification: VerificationRef, *, client: Client, replaces: Factor | None = None) -> Enrolled:
    """Enroll the number or address that an approved ``enroll`` verification is about, for its user.

    Calling it again, even at the same instant, gives the same factor with ``created`` false.

    Args:
        verification: What was approved.
        client: The session that started it.
        replaces: A factor of the user's whose place it takes, in one transaction.

    Raises:
        VerificationNotFound: Not approved, not for enrolling, or not of this session.
        ResetLinkRequired: Staff reset the user's factors, and this session has not opened the mailed link.
        RuntimeError: With ``replaces``, called within a transaction.
    """
    found = checking.load(_id(verification), as_client(client), None)
    if replaces is None:
        return own_factors.confirm(found, client=client)
    return changes.replace(found, replaces.pk, client=client)


aenroll = query_twin_of(enroll)


def attach(verification: VerificationRef, *, user: AnyUser, client: Client) -> Enrolled:
    """Give what a visitor verified to the account that was made since, once. The consent goes with it.

    Args:
        verification: An approved ``verify`` verification, not older than an hour.
        user: The new account.
        client: The visitor's session.

    Raises:
        VerificationNotFound: Of another session, not approved, too old, or given away already.
    """
    return own_factors.attach(_id(verification), user=as_account(user), client=as_client(client))


aattach = query_twin_of(attach)


@verb
def begin_totp(
    user: AnyUser,
    *,
    client: Client,
    name: str = "",
    account_name: str = "",
    options: TotpOptions | None = None,
    backend: str | None = None,
) -> Steps[Setup]:
    """Begin to set up an authenticator app: show ``Setup.uri`` as a QR code and ``Setup.secret`` as text, this once.

    Args:
        user: Whose factor it becomes.
        client: The session that may finish, for ten minutes. Beginning again ends what was begun before.
        name: What the site calls it, up to 64 characters.
        account_name: What the app calls it, up to 64 characters; the user's name without it.
        options: How long and how often codes are, where the Service's own defaults do not do.
        backend: An alias, where the factor stays; ``None`` asks ``TWILIO_VERIFY_ROUTER``.

    Raises:
        ResetLinkRequired, RateLimited, BackendRejected, BackendUnavailable: Nothing was set up.
        ValueError: A backend that keeps none, or a name that cannot be told.
        RuntimeError: Called within a transaction.
    """
    account = as_account(user)
    shown = account_name or account.get_username()[:MAX_NAME]
    return devices.begin_steps(
        devices.SetupRequest.totp(account, as_client(client), shown, backend, options, label=name or shown)
    )


abegin_totp = verb_twin_of(begin_totp)


@verb
def begin_passkey(
    user: AnyUser,
    *,
    client: Client,
    name: str = "",
    options: PasskeyOptions | None = None,
    backend: str | None = None,
) -> Steps[Setup]:
    """Begin to make a passkey: give ``Setup.browser_options`` to ``navigator.credentials.create()``.

    Args:
        user: Whose factor it becomes.
        client: The session that may finish, for ten minutes. Beginning again ends what was begun before.
        name: What the site and the browser call it, up to 64 characters; the user's name without it.
        options: What the Service does not know of the relying party.
        backend: An alias, where the factor stays; ``None`` asks ``TWILIO_VERIFY_ROUTER``.

    Raises:
        As ``begin_totp``.
    """
    account = as_account(user)
    shown = name or account.get_username()[:MAX_NAME]
    return devices.begin_steps(devices.SetupRequest.passkey(account, as_client(client), shown, backend, options))


abegin_passkey = verb_twin_of(begin_passkey)


@verb
def begin_push(
    user: AnyUser, *, client: Client, name: str = "", ttl: int | None = None, backend: str | None = None
) -> Steps[Setup]:
    """Let the site's app on a phone register: give it ``Setup.access_token``, ``.identity`` and ``.service_sid``.

    SECURITY: only for a phone that is the user's own and that they have just signed in on.

    Args:
        user: Whose factor it becomes.
        client: The session that may finish, for ten minutes.
        name: What the site calls the phone, up to 64 characters.
        ttl: Seconds that the token is good for, 60 to 300; 60 without it.
        backend: An alias, where the factor stays; ``None`` asks ``TWILIO_VERIFY_ROUTER``.

    Raises:
        As ``begin_totp``.
    """
    account = as_account(user)
    shown = name or account.get_username()[:MAX_NAME]
    return devices.begin_steps(devices.SetupRequest.push(account, as_client(client), shown, backend, ttl=ttl))


abegin_push = verb_twin_of(begin_push)


@verb
def finish_setup(
    verification: VerificationRef,
    *,
    user: AnyUser,
    client: Client,
    code: str | None = None,
    credential: Mapping[str, Any] | None = None,
) -> Steps[SetupChecked]:
    """Finish what was begun: enroll the factor if the answer is right.

    Args:
        verification: ``Setup.verification``.
        user: Whose factor it becomes.
        client: The session that began.
        code: As typed, that the authenticator app shows.
        credential: Of a passkey, what ``credential.toJSON()`` gave the page.

            Neither for a phone: the provider is asked whether it has registered, as often as a page likes.

    Returns:
        ``enrolled`` is set if the factor is there; otherwise ``checked`` says what came of the answer.

    Raises:
        VerificationNotFound: Unknown, or of another session or user.
        BackendUnavailable, BackendRejected: The provider did not judge it.
        TypeError: ``code`` is no text.
    """
    if code is not None and not isinstance(code, str):
        raise TypeError(f"code must be a text, not {type(code).__name__}.")
    return devices.confirmed_steps(
        ChallengeAnswer(_id(verification), as_client(client), as_account(user), code=code, credential=credential)
    )


afinish_setup = verb_twin_of(finish_setup)


def rename(factor: Factor, name: str) -> None:
    """Give ``factor`` another name, on this site alone.

    Raises:
        FactorNotFound: It is gone.
        ValueError: ``name`` is empty or longer than 64 characters.
    """
    if not devices.rename(factor.user, factor.pk, name):
        raise FactorNotFound
    factor.label = name


arename = query_twin_of(rename)


def make_default(factor: Factor, *, client: Client) -> bool:
    """Make this the default factor. Returns whether the default changed.

    Raises:
        FactorNotFound: It is gone, or does not open the account.
    """
    return changes.make_default(factor.user, factor.pk, client=as_client(client))


amake_default = query_twin_of(make_default)


def remove(factor: Factor, *, client: Client, request: HttpRequest | None = None) -> bool:
    """Remove a factor, here and at the provider, and withdraw the user's consent to messages there.

    Args:
        factor: One that the user has.
        client: Where the user asked for it.
        request: For rules of ``TWILIO_VERIFY_REQUIRED_FOR`` that are callables; without it they count as demanding a
            factor.

    Returns:
        Whether this call removed it.

    Raises:
        LastFactor: The user could not sign in without it, or the policy demands one.
        RuntimeError: Called within a transaction.
    """
    user = factor.user
    required = requires_factor(user, request)
    return changes.remove(user, factor.pk, required=required, client=as_client(client))


aremove = query_twin_of(remove)


def create_recovery_codes(user: AnyUser, *, client: Client | None = None) -> list[str]:
    """Make ten recovery codes in place of any earlier ones, and tell the user by email.

    Args:
        user: Whose codes they are.
        client: Where the user asked for them.

    Returns:
        The codes, each like ``abcd-efgh-jkmn-pqrs``. This is the only time that they are known.
    """
    return recovery_codes.renew(as_account(user), client)


acreate_recovery_codes = query_twin_of(create_recovery_codes)


def count_recovery_codes(user: AnyUser) -> int:
    """Return how many unused recovery codes ``user`` has. One query."""
    return recovery_codes.remaining(as_account(user))


acount_recovery_codes = query_twin_of(count_recovery_codes)


@sensitive_variables("code")
def check_recovery_code(user: AnyUser, code: str, *, client: Client) -> RecoveryChecked:
    """Spend a recovery code, once. To sign in with one, use ``login.check_recovery_code``.

    Args:
        user: Whose code it must be.
        code: As typed, in any case, with or without hyphens and spaces.
        client: Where it was typed.

    Raises:
        RateLimited: ``recovery_hour``, ``recovery_network_hour``: too many tries from this network.
        TypeError: ``code`` is no text.
    """
    account = as_account(user)
    if not isinstance(code, str):
        raise TypeError(f"code must be a text, not {type(code).__name__}.")
    approved = recovery_codes.redeem(account, code, as_client(client))
    return RecoveryChecked(approved, recovery_codes.remaining(account))


acheck_recovery_code = query_twin_of(check_recovery_code)


def request_reset(user: AnyUser, *, staff: AbstractBaseUser, reason: str, site: str) -> ResetRequested:
    """Request a reset of all factors of a user who lost them. The user is told by email, and can cancel it.

    It is carried out after ``TWILIO_VERIFY_RESET_DELAY_HOURS`` (``list_due_resets``, ``carry_out_reset``).

    Args:
        user: Whose factors are reset.
        staff: Who asks. Whether they hold the permission is for the caller to check; whether they outrank ``user`` is
            checked here.
        reason: Who asked, and how it was made sure who that is; up to 500 characters. It is kept.
        site: The site's address, as ``https://shop.example``, for the links in the mail.

    Raises:
        ResetRefused: Nothing to reset, under way already, or ``staff`` may not.
        ValueError: No reason, or one that is too long.
    """
    base = site.rstrip("/")
    return resets.request(
        as_account(user),
        reason=reason,
        by=as_account(staff, "staff"),
        link=lambda token: base + reverse("twilio_verify:reset_cancel", args=[token]),
        enroll_link=lambda token: base + reverse("twilio_verify:reset_enroll", args=[token]),
    )


arequest_reset = query_twin_of(request_reset)


def cancel_reset(user: AnyUser, *, actor: str = "") -> bool:
    """Cancel the reset that is under way for ``user``, who is told by email. Returns whether this call did.

    Args:
        user: Whose factors were to be reset.
        actor: Who says so, for the audit log; the user without it.
    """
    account = as_account(user)
    pending = resets.pending(account)
    return pending is not None and resets.cancel(pending.pk, actor=actor or account.get_username())


acancel_reset = query_twin_of(cancel_reset)


def list_due_resets() -> list[FactorReset]:
    """Return the resets whose time has come, the oldest first. Two queries."""
    return list(FactorReset.objects.select_related("user").filter(pk__in=resets.due()).order_by("due_at", "pk"))


alist_due_resets = query_twin_of(list_due_resets)


def carry_out_reset(reset: FactorReset, *, actor: str = "") -> ResetDone | None:
    """Carry out a reset whose time has come; ``None`` if it is too early, canceled or done. The user is told by email.

    Args:
        reset: One of ``list_due_resets``.
        actor: Who gave the command, for the audit log.

    Raises:
        RuntimeError: Called within a transaction.
    """
    return resets.carry_out(reset.pk, actor=actor)


acarry_out_reset = query_twin_of(carry_out_reset)


def challenged_steps(
    user: AbstractBaseUser,
    option: ChallengeOption | str,
    client: Client,
    purpose: Purpose,
    *,
    payment: Payment | None = None,
    resend: bool = False,
    new_consent: NewConsent | None = None,
) -> Steps[Started]:
    """The steps of ``challenge``. ``new_consent``: what the user agreed to, recorded with the send."""
    chosen = _chosen(user, option, client, purpose)
    paid = payment or Payment()
    if chosen.channel in FACTOR_CHANNELS:
        # Any passkey of the user's will do: they are one option, and may be at several Services.
        factor = None if chosen.channel == Channel.PASSKEY else chosen.factor
        ask = ChallengeRequest(chosen.channel, client, user, purpose, factor, None, paid.amount, paid.payee, "", {})
        return (yield from challenges.start_steps(ask))
    send = StartRequest(
        recipient=chosen.factor.recipient,
        channel=chosen.channel,
        client=client,
        user=user,
        purpose=purpose,
        factor=chosen.factor,
        resend=resend,
        region=None,
        backend=None,
        options=None,
        amount=paid.amount,
        payee=paid.payee,
        new_consent=new_consent,
    )
    return (yield from lifecycle.sent_steps(send))


def _chosen(user: AbstractBaseUser, option: ChallengeOption | str, client: Client, purpose: Purpose) -> ChallengeOption:
    # SECURITY: looked up among the user's own options of this moment, whatever the caller holds.
    wanted = option.id if isinstance(option, ChallengeOption) else option
    if not isinstance(wanted, str):
        raise TypeError(f"option must be a ChallengeOption or its id, not {type(option).__name__}.")
    found = own_factors.challenge_options(own_factors.usable(user), purpose=purpose, user=user, client=client)
    for one in found:
        if one.id == wanted:
            return one
    raise FactorNotFound


def _needs_consent(option: ChallengeOption, user: AbstractBaseUser, client: Client) -> bool:
    if option.channel in FACTOR_CHANNELS:
        return False
    live = consent.find(
        recipient=option.factor.recipient, channel=option.channel.consent_channel, client=client, user=user
    )
    return live is None


def _purpose(purpose: str) -> Purpose:
    if purpose not in ("login", "step_up", "payment"):
        raise ValueError(f"purpose must be 'login', 'step_up' or 'payment', not {str(purpose)[:40]!r}.")
    return Purpose(purpose)


def _id(verification: VerificationRef) -> uuid.UUID:
    found = as_uuid(verification)
    if found is None:
        raise VerificationNotFound
    return found
