"""One proof from start to end: reserve, call, settle.

No transaction is open and no row is locked while the provider is called. Every decision is one conditional write, so
that of any number of simultaneous calls one sends and one is accepted. The twins with an ``a`` before their name run
the very same steps.
"""

from __future__ import annotations

import time
import uuid
from datetime import timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..backends.results import ProviderSend
from ..backends.threads import query_twin_of
from ..backends.twins import Call, Steps, TooLate, verb, verb_twin_of
from ..choices import LINK_CHANNELS, Channel, Purpose, VerificationStatus
from ..conf import settings
from ..consent.gate import NewConsent
from ..core import receivers
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..exceptions import BackendError, VerificationNotFound
from ..models import Factor, Verification
from ..signals import verification_sent
from . import answers, challenges, checking, redeeming, sending
from .checking import Answer, LinkQuestion
from .options import GivenOptions, Payment
from .redeeming import REDEEM_WITHIN
from .results import Checked, Redeemed, Started, VerificationState
from .routing import RouteRequest
from .sending import Reserved, StartRequest


@verb
def start(
    *,
    recipient: str | Recipient,
    channel: str,
    client: ClientInfo,
    user: AbstractBaseUser | None = None,
    purpose: str = Purpose.VERIFY,
    factor: Factor | None = None,
    resend: bool = False,
    region: str | None = None,
    backend: str | None = None,
    options: GivenOptions = None,
    amount: str = "",
    payee: str = "",
    new_consent: NewConsent | None = None,
    unproved: bool = False,
) -> Steps[Started]:
    """Have a code sent, or a link made, unless one of a moment ago still counts.

    ``recipient``: phone number in any format (``region``: ISO 3166 country for one without ``+``) or email address.
    For ``login``, ``step_up`` and ``payment`` it must be a confirmed factor of ``user`` at this moment.
    ``channel``: a ``Channel`` of Verify's Verifications resource. ``client``: the other end; the verification can be
    answered only with the same ``client.session``. ``user``: whose proof it is, ``None`` for a visitor. ``factor``: the
    enrolled factor it proves. ``resend``: the person pressed "send again", so a send that still counts is not an
    answer. ``backend``: an alias; ``None`` asks ``TWILIO_VERIFY_ROUTER``. To send a verification again, or another way,
    name its own (``verification.backend``). ``options``: ``SendOptions``, or a dict of their names, over those of
    ``TWILIO_VERIFY_SEND_OPTIONS``. ``amount``, ``payee``: of ``purpose="payment"``, and required there: text of up to
    32 and 128 characters, to be repeated at ``check`` and ``redeem``. ``new_consent``: what the person agreed to on the
    page that sends, recorded with the send; a refused one leaves no event. ``unproved``: a visitor asks, who named the
    account ``user`` and has shown nothing of it, not even a password: unless ``user`` has signed in from that network
    before, it counts as a claimant's.

    ``sna`` brings no message: the phone opens ``Started.link``, then ``check_link`` is asked; ``auto`` does that or
    sends a text message, and ``Started.channel`` says which. A custom code is kept as a salted hash and judged here;
    it is the first one of a verification that counts, since Verify sends that one again.

    A provider that does not answer in time is not an error: ``Started.delivery_unknown`` is true, and the send counts.
    Raises ``ConsentRequired`` (``auto`` needs that of ``sms``), ``InvalidRecipient``, ``RateLimited`` (nothing sent),
    ``FactorNotFound`` (removed, replaced, lost, another user's, or no user given; nothing sent),
    ``BackendRejected`` (with ``other_channels`` where the channel is off or the number is a landline) and
    ``BackendUnavailable`` (nothing sent, recorded), ``ValueError`` for a channel that carries no code here, a payment
    without its two or by a link, ``IncompatibleOptions`` (a ``ValueError``) for options that do not go together, with
    the channel or with the backend, and ``RuntimeError`` within a transaction of the caller's.
    """
    ask = StartRequest(
        recipient,
        channel,
        client,
        user,
        purpose,
        factor,
        resend,
        region,
        backend,
        options,
        amount,
        payee,
        new_consent,
        unproved=unproved,
    )
    return sent_steps(ask)


astart = verb_twin_of(start)


@verb
def pretend(*, recipient: str | Recipient, channel: str, client: ClientInfo, resend: bool = False) -> Steps[Started]:
    """Answer a visitor as ``start`` would, where there is no account to send a code for: nothing is sent.

    For apps that tell nobody whether a number has an account. It is counted as a claimant's send, takes as long, and
    every code that is given to ``check`` is wrong. Raises as ``start``, but for ``ConsentRequired``.
    """
    wanted = sending.validate(
        StartRequest(recipient, channel, client, None, Purpose.VERIFY, None, resend, None, None, None, "", "", None)
    )
    reserved = sending.reserve_decoy(wanted, timezone.now())
    if isinstance(reserved, Started):
        return reserved
    try:
        yield Call(wanted.backend, "fetch", (reserved.no_sid,))
    except BackendError as error:
        return sending.record_decoy(reserved, error)
    return sending.record_decoy(reserved, None)


apretend = verb_twin_of(pretend)


@verb
def resend(
    verification: Verification | uuid.UUID,
    *,
    client: ClientInfo,
    user: AbstractBaseUser | None = None,
    channel: str | None = None,
    new_consent: NewConsent | None = None,
) -> Steps[Started]:
    """Send an open verification once more, to the same recipient, for the same purpose and by the same backend.

    Args:
        verification: What ``start`` gave, or its id.
        client: The session that started it.
        user: The user it was started for; required unless it was started for a visitor.
        channel: Another channel to go on by; without it the one that was used last.
        new_consent: What the user agreed to on the page that sends, recorded with the send or not at all.

    Raises:
        VerificationNotFound: It is not the caller's; or, with the code ``verification_closed``, it has expired or is
            over: nothing is sent, and a new one is begun by ``start``.
        FactorNotFound: It opens an account, and its recipient is no confirmed factor of ``user`` any more.

    Everything else as ``start`` raises it.
    """
    return (yield from resent_steps(_id(verification), client, user, channel, new_consent))


aresend = verb_twin_of(resend)


@verb
def check(
    verification: Verification | uuid.UUID,
    *,
    code: str,
    client: ClientInfo,
    user: AbstractBaseUser | None = None,
    amount: str = "",
    payee: str = "",
) -> Steps[Checked]:
    """Have a typed code judged.

    ``verification``: what ``start`` gave, or its id. ``code``: as typed. ``user``: whose verification it must be, if
    given. ``amount``, ``payee``: of a payment, as the person sees them: unless they are those of the start, nobody is
    asked (``CheckOutcome.PAYMENT_CHANGED``). A wrong, late or malformed code is a result, and so is a code
    where a link was sent (``WRONG_ANSWER_TYPE``). ``Checked.approved`` is true for exactly one call. Raises
    ``VerificationNotFound`` (unknown, or of another session or person), ``BackendUnavailable`` and
    ``BackendRejected``, and ``RuntimeError`` within a transaction of the caller's.
    """
    return answers.answered(Answer(_id(verification), code, client, user, Payment.of(amount, payee)))


acheck = verb_twin_of(check)


@verb
def check_link(
    verification: Verification | uuid.UUID,
    *,
    client: ClientInfo,
    user: AbstractBaseUser | None = None,
    sna_client_token: str = "",
) -> Steps[Checked]:
    """Ask what came of the link of an ``sna`` or ``auto`` verification: after the phone has opened it.

    ``sna_client_token``: what the link answered, where ``enable_sna_client_token`` asked for one. Results beside those
    of ``check``: ``NOT_OPENED``, which costs no answer, and the third of which is ``LINK_FAILED``: it is over with
    links, ``Checked.next_channel`` names the way to go on, and ``start`` may send by it at once in the same place.
    ``NOT_THIS_WAY`` where there never was a link. Raises as ``check``; what the provider refuses is ``LINK_FAILED``.
    """
    return answers.link_checked(LinkQuestion(_id(verification), client, user, sna_client_token))


acheck_link = verb_twin_of(check_link)


def link(verification: Verification | uuid.UUID, *, client: ClientInfo, user: AbstractBaseUser | None = None) -> str:
    """The address that the phone has to open over its mobile network, ``""`` if there is none (any more).

    SECURITY: for the session that asked for it, and nobody else: who opens it first, proves the number. Raises
    ``VerificationNotFound``.
    """
    found = checking.load(_id(verification), client, user)
    return found.link if found.is_open(timezone.now()) else ""


def status(
    verification: Verification | uuid.UUID, *, client: ClientInfo, user: AbstractBaseUser | None = None
) -> VerificationState:
    """Where ``verification`` stands by our own record: one SELECT, no word with the provider, no answer used up.

    For a page that waits for what happens on the phone. Raises ``VerificationNotFound``.
    """
    found = checking.load(_id(verification), client, user)
    current = VerificationStatus(found.status)
    is_open = found.is_open(timezone.now())
    if current == VerificationStatus.PENDING and not is_open:
        current = VerificationStatus.EXPIRED
    by_link = is_open and found.channel in LINK_CHANNELS
    return VerificationState(
        verification=found,
        is_open=is_open,
        status=current,
        link_pending=by_link and bool(found.link),
        link_failed=by_link and not found.link,
        redeemed=found.redeemed_at is not None,
    )


astatus = query_twin_of(status)


def redeem(
    verification: Verification | uuid.UUID,
    *,
    client: ClientInfo,
    purpose: str,
    user: AbstractBaseUser | None = None,
    amount: str = "",
    payee: str = "",
    within: timedelta = REDEEM_WITHIN,
) -> Redeemed:
    """Use an approved verification up, for what it was made for: true for exactly one call, whatever runs beside it.

    ``purpose``, and for a payment ``amount`` and ``payee``: of what is about to be done, as the site itself knows them
    (not as a form says); they must be those of ``start``. ``client``: the session that started it; ``user``: whose
    proof it is, if it is somebody's. ``within``: how old the approval may be, ten minutes by default.

    ``Redeemed`` is false with a ``problem`` otherwise. May be called in a transaction, together with what it pays for:
    rolled back, it was not used. Raises ``VerificationNotFound`` for a verification that is not the caller's.
    """
    return redeeming.redeem(_id(verification), client, user, Purpose(purpose), Payment.of(amount, payee), within)


aredeem = query_twin_of(redeem)


@sensitive_variables()
def validate(
    *,
    recipient: str | Recipient,
    channel: str,
    region: str | None = None,
    backend: str | None = None,
    purpose: str = Purpose.VERIFY,
    client: ClientInfo | None = None,
    user: AbstractBaseUser | None = None,
) -> Recipient:
    """The recipient, if a code can be sent to it by ``channel`` at all: for asking before consent is recorded.

    ``backend``: an alias; ``None`` asks ``TWILIO_VERIFY_ROUTER``, with ``purpose``, ``client`` and ``user`` as for
    ``start``. Errors as ``start`` raises them for its input: ``InvalidRecipient``, ``ValueError`` and
    ``ImproperlyConfigured``.
    """
    parsed, way = Recipient.parse(recipient, region=region or settings.default_region or None), Channel.parse(channel)
    wanted = RouteRequest(parsed, way, Purpose(purpose), user, client or ClientInfo())
    sending.check_sendable(parsed, way, backend or sending.route(wanted))
    return parsed


def get(verification_id: uuid.UUID, *, client: ClientInfo, user: AbstractBaseUser | None = None) -> Verification:
    """The caller's own verification. Raises ``VerificationNotFound`` alike for unknown ones and other people's."""
    return checking.load(verification_id, client, user)


def describe(verification: Verification) -> Started:
    """How ``verification`` stands, as ``start`` would have answered: for a page that is shown again."""
    return sending.started_result(verification, reused=True)


def is_open(verification: Verification) -> bool:
    """Whether its code may still be answered."""
    return verification.is_open(timezone.now())


def resent_steps(
    verification_id: uuid.UUID,
    client: ClientInfo,
    user: AbstractBaseUser | None,
    channel: str | None,
    new_consent: NewConsent | None,
) -> Steps[Started]:
    """The steps of ``resend``."""
    found = checking.load(verification_id, client, user)
    if found.channel == Channel.PUSH and found.user_id is not None and user is not None and channel is None:
        return (yield from challenges.reminded_steps(found))
    if found.is_challenge or (found.user_id is not None and user is None):
        # SECURITY: a session alone may change hands: what is for a user is sent again for that user.
        raise VerificationNotFound
    if not found.is_open(timezone.now()) and found.status != VerificationStatus.MAX_ATTEMPTS_REACHED:
        raise VerificationNotFound("verification_closed")
    ask = StartRequest(
        recipient=found.recipient,
        channel=channel or found.channel,
        client=client,
        user=user if found.user_id is not None else None,
        purpose=found.purpose,
        factor=found.factor,
        resend=channel is None,
        region=None,
        backend=found.backend,
        options=None,
        amount=found.amount,
        payee=found.payee,
        new_consent=new_consent,
        again=found,
    )
    return (yield from sent_steps(ask))


def sent_steps(ask: StartRequest) -> Steps[Started]:
    """The steps of ``start`` and ``resend``."""
    # The site's own callables run in ``validate``, before anything is written.
    reserved = sending.reserve(sending.validate(ask), timezone.now())
    if isinstance(reserved, Started):
        return reserved
    try:
        sent = yield from _carried(reserved)
    except BackendError as error:
        return _announce_start(reserved, sending.record_failed(reserved, error, timezone.now()))
    return _announce_start(reserved, sending.record_sent(reserved, sent, timezone.now()))


def _carried(reserved: Reserved) -> Steps[ProviderSend]:
    """What the provider says of the send, or what is said of one that is withheld."""
    wanted = reserved.wanted
    given = (wanted.recipient, wanted.channel, reserved.options)
    withheld = yield from sending.make_way(reserved)
    while True:
        # SECURITY: claimed after what else the provider is asked, which may take longer than a claim lasts; and again
        # where the database was slow, so that nothing is sent after consent has ended.
        until = sending.hand_over(reserved)
        if withheld is not None:
            if time.monotonic() <= until:
                return withheld
            continue
        try:
            sent: ProviderSend = yield Call(wanted.backend, "start", given, until=until)
        except TooLate:
            continue
        return sent


def _announce_start(reserved: Reserved, started: Started) -> Started:
    wanted, verification = reserved.wanted, started.verification
    told = {"attempt": reserved.attempt, "is_resend": verification.sends > 1}
    receivers.send(
        verification_sent, Verification, user=wanted.user, client=wanted.client, verification=verification, **told
    )
    return started


def _id(verification: Verification | uuid.UUID) -> uuid.UUID:
    return verification if isinstance(verification, uuid.UUID) else verification.pk


@verb
def accept(
    verification: Verification | uuid.UUID, *, client: ClientInfo, user: AbstractBaseUser | None, recipient: Recipient
) -> Steps[bool]:
    """Approve a verification whose code the site made (``custom_code``) and has itself found right; the provider is
    told. Whether this call did. Nothing happens to one that is not open, not of that recipient, or whose code the
    site did not make. Raises ``VerificationNotFound``.
    """
    found = checking.load(_id(verification), client, user)
    # SECURITY: a code that the provider or the app made is judged by them, whatever the caller believes.
    if not found.has_custom_code or found.recipient != recipient or checking.ended_as(found, timezone.now()):
        return False
    checked = checking.approve(found, timezone.now())
    if checked.approved:
        yield from answers.reported(checked.verification)
    answers.remembered(answers.announced(checked, Answer(found.pk, "", client, user)), client)
    return checked.approved


aaccept = verb_twin_of(accept)
