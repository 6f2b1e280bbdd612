"""The public functions of verifications. Each has an async twin with an ``a`` before its name, from the same steps."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Literal

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..backends.threads import query_twin_of
from ..backends.twins import Call, Steps, verb, verb_twin_of
from ..choices import LINK_CHANNELS, Channel, ChannelName, CheckOutcome, Purpose, PurposeName, VerificationStatus
from ..client import Client
from ..conf import settings
from ..consent.gate import NewConsent
from ..core.arguments import AnyUser, as_account, as_client, as_user, as_uuid
from ..core.recipients import Recipient
from ..exceptions import BackendError, InvalidRecipient, VerificationNotFound
from ..models import Verification
from ..models.transactions import short_transaction
from . import answers, challenges, channel_plan, checking, claimants, lifecycle, push, redeeming, sending
from .challenge_steps import ChallengeAnswer
from .checking import Answer, LinkQuestion
from .options import GivenOptions, Payment
from .redeeming import REDEEM_WITHIN
from .results import Checked, Redeemed, Started, VerificationState
from .sending import StartRequest

logger = logging.getLogger("django_twilio_verify")

VerificationRef = Verification | uuid.UUID | str
"""A verification, its id, or its id as text. A text that is no id is ``VerificationNotFound``."""


StartPurpose = Literal["verify", "enroll", Purpose.VERIFY, Purpose.ENROLL]
_STARTED: frozenset[str] = frozenset({Purpose.VERIFY.value, Purpose.ENROLL.value})


@verb
def start(
    *,
    recipient: str | Recipient,
    channel: ChannelName,
    client: Client,
    user: AnyUser = None,
    purpose: StartPurpose = "verify",
    region: str | None = None,
    backend: str | None = None,
    options: GivenOptions = None,
) -> Steps[Started]:
    """Send a code to a recipient, or make a link, unless an earlier send still counts.

    Consent must be on record first (``consent.grant``). To sign in, to step up or to pay, start from a factor instead:
    ``login.challenge``, ``factors.challenge``.

    Args:
        recipient: A phone number in any format, or an email address.
        channel: How to send. ``sna`` sends nothing: the phone opens ``Started.link``, then ``poll`` is asked. ``auto``
            does that or sends a text message; ``Started.channel`` says which.
        client: The browser session that may answer.
        user: Whose verification it is; a visitor's without one.
        purpose: ``enroll`` for a number or address that becomes a factor of ``user`` (``factors.enroll``); ``verify``
            for everything else.
        region: ISO 3166 country of a phone number without ``+``.
        backend: An alias; ``None`` asks ``TWILIO_VERIFY_ROUTER``.
        options: ``SendOptions``, or a dict of their names, over those of ``TWILIO_VERIFY_SEND_OPTIONS``.

    Returns:
        The verification. A provider that does not answer in time is no error: ``Started.delivery_unknown`` is true,
        and the send counts.

    Raises:
        ConsentRequired: No live consent covers user, recipient and channel. ``auto`` needs that of ``sms``.
        InvalidRecipient: No message can go there.
        RateLimited: Too many sends, or too soon. Nothing was sent.
        BackendRejected: The provider refused. Nothing was sent; ``other_channels`` may help.
        BackendUnavailable: The provider could not be reached. Nothing was sent.
        ValueError: A channel that carries no code here, an unknown purpose, or options that do not go together.
        TypeError: ``client`` or ``user`` is something else.
        RuntimeError: Called within a transaction: it would roll back what is on record of a message that went out.
    """
    return start_steps(recipient, channel, client, user, purpose, region=region, backend=backend, options=options)


astart = verb_twin_of(start)


@verb
def resend(
    verification: VerificationRef, *, client: Client, user: AnyUser = None, channel: ChannelName | None = None
) -> Steps[Started]:
    """Send an open verification once more: to the same recipient, for the same purpose, by the same backend.

    A push notifies its phone once more.

    Args:
        verification: What was started.
        client: The session that started it.
        user: The user it was started for; required unless a visitor started it.
        channel: Another channel to go on by; without it the one that was used last.

    Returns:
        The verification as it is now.

    Raises:
        VerificationNotFound: It is not the caller's; or, with the code ``verification_closed``, it has ended.
        FactorNotFound: Its recipient is no confirmed factor of ``user`` any more.
        RateLimited: ``cooldown``, ``no_sends_left`` or a limit. Nothing was sent.
        ConsentRequired: The other channel needs a consent of its own.

    Everything else as ``start`` raises it.
    """
    return resend_steps(verification, client, user, channel)


aresend = verb_twin_of(resend)


@verb
def check(
    verification: VerificationRef,
    *,
    client: Client,
    user: AnyUser = None,
    code: str | None = None,
    number: str | None = None,
    credential: Mapping[str, Any] | None = None,
    payment: Payment | None = None,
) -> Steps[Checked]:
    """Check an answer: exactly one of ``code``, ``number`` and ``credential``.

    A wrong, late or malformed answer is a result and no error.

    Args:
        verification: What was started.
        client: The session that started it.
        user: Whose verification it must be, where the caller knows.
        code: As typed, of a message or an authenticator app.
        number: As typed, what the phone of a push shows.
        credential: Of a passkey, what ``credential.toJSON()`` gave the page.
        payment: What is approved with it, as the user sees it. Unless it is what was started, the provider is not
            asked (``payment_changed``).

    Returns:
        ``approved`` is true for exactly one call; ``already_approved`` for a double click.

    Raises:
        VerificationNotFound: Unknown, or of another session or user.
        BackendUnavailable: The provider did not answer.
        BackendRejected: The provider refused.
        TypeError: None of the three answers is given, or more than one, or something else than a text.
    """
    return judged_steps(given_answer(verification, client, user, code, number, credential, payment))


acheck = verb_twin_of(check)


@verb
def poll(
    verification: VerificationRef, *, client: Client, user: AnyUser = None, sna_client_token: str = ""
) -> Steps[Checked]:
    """Ask what came of a link or of a push, as often as a page likes.

    The provider is asked when it is due: for a push every 3 seconds, later every 5 and 10; three times at most for a
    link.

    Args:
        verification: What was started.
        client: The session that started it.
        user: Whose verification it must be, where the caller knows.
        sna_client_token: What the link answered, where ``enable_sna_client_token`` asked for one.

    Returns:
        ``is_waiting`` until something is decided. After a link that confirmed nothing (``link_failed``),
        ``next_channel`` names the channel to go on by.

    Raises:
        VerificationNotFound: Unknown, or of another session or user.
        BackendUnavailable: The provider did not answer.
    """
    return polled_steps(_id(verification), as_client(client), as_user(user), sna_client_token)


apoll = verb_twin_of(poll)


@sensitive_variables("payment")
def redeem(
    verification: VerificationRef,
    *,
    purpose: PurposeName,
    client: Client,
    user: AnyUser = None,
    payment: Payment | None = None,
    max_age: timedelta | float = REDEEM_WITHIN,
) -> Redeemed:
    """Use an approval, once, for what it was made for.

    May stand in your transaction, together with what it allows: rolled back, it was not used.

    Args:
        verification: What was approved.
        purpose: What is about to be done, as the site itself knows it and not as a form says.
        client: The session that started it.
        user: Whose verification it is; required unless a visitor started it.
        payment: What is about to be paid, as the site itself knows it.
        max_age: How old the approval may be; seconds, or a ``timedelta``.

    Returns:
        ``accepted`` is true for exactly one call, whatever runs beside it; otherwise ``problem`` says why not.

    Raises:
        VerificationNotFound: Unknown, or of another session or user.
    """
    within = max_age if isinstance(max_age, timedelta) else timedelta(seconds=max_age)
    return redeeming.redeem(
        _id(verification), as_client(client), as_user(user), Purpose(purpose), _payment(payment), within
    )


aredeem = query_twin_of(redeem)


@verb
def cancel(verification: VerificationRef, *, client: Client, user: AnyUser = None) -> Steps[bool]:
    """Cancel an open verification, here and at the provider. Its code opens nothing from here on.

    Args:
        verification: What was started.
        client: The session that started it.
        user: The user it was started for; required unless a visitor started it.

    Returns:
        Whether this call canceled it. ``False`` for one that has ended.

    Raises:
        VerificationNotFound: Unknown, or of another session or user.
    """
    return _canceled_steps(_id(verification), as_client(client), as_user(user))


acancel = verb_twin_of(cancel)


def get(verification: VerificationRef, *, client: Client, user: AnyUser = None) -> Verification:
    """Return the caller's own verification. One query.

    Raises:
        VerificationNotFound: Unknown, or of another session or user: alike for all of these.
    """
    return checking.load(_id(verification), as_client(client), as_user(user))


aget = query_twin_of(get)


def get_state(verification: VerificationRef, *, client: Client, user: AnyUser = None) -> VerificationState:
    """Return how a verification stands by our own record. The provider is not asked, and no answer is used.

    One query; one more while it is open, for the channels that are out.

    Raises:
        VerificationNotFound: Unknown, or of another session or user.
    """
    found = checking.load(_id(verification), as_client(client), as_user(user))
    now = timezone.now()
    is_open = found.is_open(now)
    status = VerificationStatus(found.status)
    if status == VerificationStatus.PENDING and not is_open:
        status = VerificationStatus.EXPIRED
    by_link = is_open and found.channel in LINK_CHANNELS
    sends = sending.started_result(found) if is_open and not found.is_challenge else None
    return VerificationState(
        verification=found,
        status=status,
        is_open=is_open,
        link_pending=by_link and bool(found.link),
        link_failed=by_link and not found.link,
        redeemed=found.redeemed_at is not None,
        resend_at=sends.resend_at if sends is not None else None,
        sends_left=sends.sends_left if sends is not None else 0,
        checks_left=max(claimants.most_checks(found) - found.checks, 0) if is_open else 0,
        other_channels=channel_plan.other_channels(found) if sends is not None else (),
    )


aget_state = query_twin_of(get_state)


@sensitive_variables()
def parse_recipient(value: str, *, channel: ChannelName, region: str | None = None) -> Recipient:
    """Read what a user typed as a recipient for ``channel``. No query, and nothing is sent.

    Args:
        value: A phone number in any format, or an email address.
        channel: How it would be sent.
        region: ISO 3166 country of a phone number without ``+``; ``TWILIO_VERIFY_DEFAULT_REGION`` without it.

    Raises:
        InvalidRecipient: No message can go there by ``channel``.
        ValueError: ``channel`` sends nothing to a recipient.
    """
    kind = _channel(channel).row.recipient
    if kind is None:
        raise ValueError(f"channel {str(channel)!r} sends nothing to a recipient.")
    if not isinstance(value, str):
        raise TypeError(f"value must be a text, not {type(value).__name__}.")
    parsed = Recipient.parse(value, region=region or settings.default_region or None)
    if parsed.kind != kind:
        raise InvalidRecipient("wrong_kind")
    return parsed


def start_steps(
    recipient: str | Recipient,
    channel: ChannelName,
    client: Client,
    user: AnyUser,
    purpose: StartPurpose,
    *,
    region: str | None = None,
    backend: str | None = None,
    options: GivenOptions = None,
    new_consent: NewConsent | None = None,
) -> Steps[Started]:
    """The steps of ``start``. ``new_consent``: what the user agrees to, recorded with the send or not at all."""
    if purpose not in _STARTED:
        raise ValueError(f"purpose must be 'verify' or 'enroll': {str(purpose)!r} starts from a factor.")
    account = as_account(user) if Purpose(purpose) is Purpose.ENROLL else as_user(user)
    ask = StartRequest(
        recipient=recipient,
        channel=_channel(channel),
        client=as_client(client),
        user=account,
        purpose=purpose,
        factor=None,
        resend=False,
        region=region,
        backend=backend,
        options=options,
        amount="",
        payee="",
        new_consent=new_consent,
    )
    return lifecycle.sent_steps(ask)


def resend_steps(
    verification: VerificationRef,
    client: Client,
    user: AnyUser,
    channel: ChannelName | None,
    new_consent: NewConsent | None = None,
) -> Steps[Started]:
    """The steps of ``resend``. ``new_consent``: as for ``start_steps``."""
    way = None if channel is None else _channel(channel)
    return lifecycle.resent_steps(_id(verification), as_client(client), as_user(user), way, new_consent)


def judged_steps(given: ChallengeAnswer, loaded: Verification | None = None) -> Steps[Checked]:
    """The steps of ``check``: the verification knows what answers it. ``loaded``: it, if it was read a moment ago."""
    verification = loaded or checking.load(given.verification_id, given.client, given.user)
    if verification.is_challenge:
        return (yield from challenges.check_steps(given, verification))
    if given.code is None:
        return checking.checked_result(verification, CheckOutcome.WRONG_ANSWER_TYPE)
    answer = Answer(given.verification_id, given.code, given.client, given.user, given.payment)
    return (yield from answers.answered(answer, verification))


def polled_steps(
    verification_id: uuid.UUID, client: Client, user: Any, token: str = "", loaded: Verification | None = None
) -> Steps[Checked]:
    """The steps of ``poll``. ``loaded``: the verification, if it was read a moment ago."""
    verification = loaded or checking.load(verification_id, client, user)
    if verification.is_challenge:
        return (yield from push.poll_steps(ChallengeAnswer(verification_id, client, user)))
    return (yield from answers.link_checked(LinkQuestion(verification_id, client, user, token), verification))


def _canceled_steps(verification_id: uuid.UUID, client: Client, user: Any) -> Steps[bool]:
    found = checking.load(verification_id, client, user)
    if found.user_id is not None and user is None:
        # SECURITY: a session alone may change hands: what is a user's is ended for that user.
        raise VerificationNotFound
    is_ended = not found.is_open(timezone.now())
    if is_ended or not short_transaction(partial(checking.close, found, VerificationStatus.CANCELED)):
        return False
    if not found.sid or found.is_challenge or _is_shared(found):
        return True
    try:
        yield Call(found.backend, "cancel", (found.sid,))
    except BackendError as error:
        # It is over here, which is what decides. At the provider it lives on until it expires.
        logger.warning(
            "Cancel failed: verification=%s error=%s provider_code=%s", found.pk, error.code, error.provider_code
        )
    return True


def _is_shared(verification: Verification) -> bool:
    """Whether another open verification is the same one at the provider, which has one for each recipient."""
    # SECURITY: a claimant who cancels does not end the owner's code.
    same = Verification.objects.filter(backend=verification.backend, sid=verification.sid)
    return same.exclude(pk=verification.pk).filter(status=VerificationStatus.PENDING).exists()


@sensitive_variables()
def given_answer(
    verification: VerificationRef,
    client: Client,
    user: AnyUser,
    code: str | None = None,
    number: str | None = None,
    credential: Mapping[str, Any] | None = None,
    payment: Payment | None = None,
) -> ChallengeAnswer:
    """The answer that ``check`` was given: exactly one of the three. Raises as ``check`` for its arguments."""
    given = {"code": code, "number": number, "credential": credential}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise TypeError("Give exactly one of code, number and credential.")
    for name in ("code", "number"):
        if given[name] is not None and not isinstance(given[name], str):
            raise TypeError(f"{name} must be a text, not {type(given[name]).__name__}.")
    return ChallengeAnswer(
        _id(verification), as_client(client), as_user(user), code, number, credential, _payment(payment)
    )


def _payment(payment: Payment | None) -> Payment:
    if payment is None:
        return Payment()
    if not isinstance(payment, Payment):
        raise TypeError(f"payment must be a Payment, not {type(payment).__name__}.")
    return Payment.of(payment.amount, payment.payee)


def _id(verification: VerificationRef) -> uuid.UUID:
    found = as_uuid(verification)
    if found is None:
        raise VerificationNotFound
    return found


def _channel(channel: ChannelName) -> Channel:
    try:
        return Channel.parse(channel)
    except ValueError:
        raise ValueError(f"channel must be one of {', '.join(Channel.values)}, not {str(channel)[:40]!r}.") from None
