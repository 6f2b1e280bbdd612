"""The public functions of consent: grant it, find it, end it, and list what a user agreed to.

State is what the latest event that bears on user, recipient and channel says. Nothing on record means opted out.

SECURITY: what takes a recipient hides its frames, and all below, from error reports: it may be a text, typed in full.
"""

from __future__ import annotations

from typing import Literal

from django.contrib.auth.base_user import AbstractBaseUser
from django.views.decorators.debug import sensitive_variables

from ..backends.threads import query_twin_of
from ..choices import Actor, Channel, ChannelName, ConsentEventType, Purpose
from ..client import Client
from ..core.arguments import AnyUser, as_client
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..exceptions import ConsentRequired
from ..ledger.disclosure_text import Disclosure
from ..ledger.persons import Person
from ..models import ConsentEvent
from . import arguments, disclosures, endings, opt_outs, self_service
from .context import ConsentContext, by_staff
from .gate import Gate, NewConsent
from .recording import Entry, Subject, decided, read_disclosure, write
from .self_service import ConsentState

__all__ = [
    "ConsentContext",
    "ConsentState",
    "Disclosure",
    "aexpire",
    "afind",
    "aget_disclosure",
    "agrant",
    "ainvalidate",
    "alist_consents",
    "aopt_out",
    "arecord",
    "arelease_opt_out",
    "arequire",
    "awithdraw",
    "expire",
    "find",
    "get_disclosure",
    "grant",
    "invalidate",
    "list_consents",
    "opt_out",
    "record",
    "release_opt_out",
    "require",
    "withdraw",
]


def get_disclosure(channel: ChannelName, *, one_time: bool = False) -> Disclosure:
    """Return the words to show above the box, in the active language, from ``TWILIO_VERIFY_PROGRAM``.

    Args:
        channel: What the code will come by. For ``auto``, the words are those of the text message it may end in.
        one_time: Words for one single code instead of all future ones.

    Returns:
        The disclosure. Post its ``digest`` back with the form and give it to ``grant``.

    Raises:
        TypeError: ``channel`` is no text.
        ValueError: ``channel`` is not one that is agreed to.
    """
    agreed = arguments.as_channel(channel)
    return disclosures.compose_once(agreed) if one_time else disclosures.compose(agreed)


@sensitive_variables()
def grant(
    *,
    recipient: str | Recipient,
    channel: ChannelName,
    client: Client,
    disclosure: Disclosure | str,
    user: AnyUser = None,
    context: ConsentContext | None = None,
    region: str | None = None,
) -> ConsentEvent:
    """Record that a user agreed to get codes at ``recipient`` by ``channel``, after reading ``disclosure``.

    The same words agreed to again add no event, nor do other words while a code is pending: the event that stands is
    returned. Other words add a ``renewed`` event.

    Args:
        recipient: A phone number or an email address, as typed or parsed.
        channel: The channel agreed to. Each is agreed to by itself.
        client: Who is asking (``client_from(request)``).
        disclosure: What was shown, or the digest that its page posted back.
        user: Whose consent it is: a user or ``request.user``. A visitor's belongs to the session of ``client``.
        context: How consent was collected, such as ``ConsentContext.checkbox(button_label="Text me a code")``.
        region: ISO 3166 country of a number that is written without ``+``. ``TWILIO_VERIFY_DEFAULT_REGION`` if it is
            not given.

    Returns:
        The event that makes the consent live.

    Raises:
        InvalidRecipient: ``recipient`` is no recipient, or ``channel`` does not lead there.
        ConsentRequired: ``disclosure_changed`` for a digest that is not today's wording, ``opted_out`` where the holder
            of the recipient has opted out.
        RateLimited: Too many events today, of this user, network or recipient.
        TypeError: A parameter has another type.
        ValueError: ``channel`` or ``disclosure`` is about no such channel, or ``client`` has no session and there is
            no user.
    """
    agreed, person = arguments.as_channel(channel), arguments.as_saved_user(user)
    new = NewConsent(arguments.as_words(disclosure, agreed), arguments.as_context(context))
    gate = Gate.of(
        arguments.as_recipient(recipient, agreed, region), agreed, client=as_client(client), user=person, new=new
    )
    return gate.agree()


@sensitive_variables()
def find(
    *,
    recipient: str | Recipient,
    channel: ChannelName,
    client: Client,
    user: AnyUser = None,
    region: str | None = None,
) -> ConsentEvent | None:
    """Return the live consent by which ``channel`` may carry to ``recipient`` for this user now. One query.

    Args:
        recipient: A phone number or an email address.
        channel: The channel that would carry the code.
        client: Who is asking.
        user: A user or ``request.user``.
        region: As for ``grant``.

    Returns:
        The event, or ``None`` if there is no live consent.

    Raises:
        InvalidRecipient: ``recipient`` is no recipient, or ``channel`` does not lead there.
        TypeError: A parameter has another type.
        ValueError: ``channel`` is not one that is agreed to, or there is neither a session nor a user.
    """
    return _subject(recipient, channel, client, user, region).position().live


@sensitive_variables()
def require(
    *,
    recipient: str | Recipient,
    channel: ChannelName,
    client: Client,
    user: AnyUser = None,
    region: str | None = None,
) -> ConsentEvent:
    """Return the consent that a send would rely on, or raise ``ConsentRequired``.

    A look before a send is prepared, which considers channels that this one may fall back to as well.
    ``verifications.start`` asks again when it reserves the send.

    Args:
        recipient: A phone number or an email address.
        channel: The channel that would carry the code.
        client: Who is asking.
        user: A user or ``request.user``.
        region: As for ``grant``.

    Returns:
        The event.

    Raises:
        ConsentRequired: ``consent_required``, with the ``disclosure`` to show; ``opted_out`` where the holder has
            opted out of this channel or of one that it may fall back to.
        InvalidRecipient: As ``find``.
        TypeError: As ``find``.
        ValueError: As ``find``.
    """
    agreed, person = arguments.as_channel(channel), arguments.as_saved_user(user)
    parsed = arguments.as_recipient(recipient, agreed, region)
    return Gate.of(parsed, agreed, client=as_client(client), user=person).settle(counted=False)


@sensitive_variables()
def withdraw(
    *,
    recipient: str | Recipient,
    channel: ChannelName,
    client: Client,
    user: AnyUser = None,
    context: ConsentContext | None = None,
) -> ConsentEvent | None:
    """Record that a user takes consent back. Nothing is sent for that user once this has returned.

    Args:
        recipient: A phone number or an email address.
        channel: The channel to stop.
        client: Who is asking.
        user: Whose consent ends: a user or ``request.user``. Other users of the same number keep theirs.
        context: How it was withdrawn.

    Returns:
        The event, or ``None`` if there was no live consent.

    Raises:
        InvalidRecipient: As ``find``.
        TypeError: As ``find``.
        ValueError: As ``find``.
    """
    subject = _subject(recipient, channel, client, user)
    return endings.withdraw(subject, client, arguments.as_context(context))


@sensitive_variables()
def opt_out(
    *,
    recipient: str | Recipient,
    channel: ChannelName,
    client: Client | None = None,
    context: ConsentContext | None = None,
) -> ConsentEvent | None:
    """Record that the holder of ``recipient`` wants no more messages by ``channel``: stops every user's sends to it.

    It is recorded even if no consent was on record, and holds until the holder verifies the recipient again or staff
    release it.

    Args:
        recipient: A phone number or an email address.
        channel: The channel to stop.
        client: Who is asking, if a browser was.
        context: How the request came in. ``received_at`` is when.

    Returns:
        The event, or ``None`` if the holder has opted out already.

    Raises:
        InvalidRecipient: As ``find``.
        TypeError: As ``find``.
        ValueError: ``channel`` is not one that is agreed to.
    """
    asking = ClientInfo() if client is None else as_client(client)
    return endings.opt_out(_holder(recipient, channel), asking, arguments.as_context(context))


@sensitive_variables()
def release_opt_out(
    *, recipient: str | Recipient, channel: ChannelName, staff: AbstractBaseUser, reason: str
) -> ConsentEvent | None:
    """Record that the opt-out of ``recipient`` is over, as its holder has asked staff, and write an audit event.

    It opens nothing by itself: each user has to agree again. Check the permission ``release_opt_out`` of ``staff``
    first.

    Args:
        recipient: A phone number or an email address.
        channel: The channel to release.
        staff: Who releases it.
        reason: Who asked for it, and how that was checked.

    Returns:
        The event, or ``None`` if no opt-out stands.

    Raises:
        InvalidRecipient: As ``find``.
        TypeError: As ``find``; ``staff`` is no saved user.
        ValueError: ``reason`` is empty, or ``channel`` is not one that is agreed to.
    """
    agreed = arguments.as_channel(channel)
    parsed, said = arguments.as_recipient(recipient, agreed), arguments.as_reason(reason)
    made = opt_outs.release(recipient=parsed, channels=[agreed.consent_channel], staff=staff, reason=said)
    return made[0] if made else None


@sensitive_variables()
def invalidate(
    *, recipient: str | Recipient, channel: ChannelName, reason: str, staff: AbstractBaseUser | None = None
) -> ConsentEvent | None:
    """Record that consent for ``recipient`` by ``channel`` is void for everybody.

    For a number that has changed hands, or a form that did not show what it should have.

    Args:
        recipient: A phone number or an email address.
        channel: The channel whose consent is void.
        reason: Why.
        staff: Who decided it. The site itself, if it is not given.

    Returns:
        The event, or ``None`` if the latest event says so already.

    Raises:
        InvalidRecipient: As ``find``.
        TypeError: As ``find``; ``staff`` is no saved user.
        ValueError: ``reason`` is empty, or ``channel`` is not one that is agreed to.
    """
    said = arguments.as_reason(reason)
    context = ConsentContext(actor=Actor.SYSTEM, note=said) if staff is None else by_staff(staff, note=said)
    return endings.invalidate(_holder(recipient, channel), context)


def expire(event: ConsentEvent) -> ConsentEvent | None:
    """Record that the live consent ``event`` has run out, by the site's own policy.

    Args:
        event: What ``find`` returned, or a row of ``ConsentEvent``.

    Returns:
        The new event, or ``None`` if ``event`` is no longer live: the user did something since, or its evidence was
        erased.

    Raises:
        TypeError: ``event`` is no ``ConsentEvent``.
    """
    return endings.expire(arguments.as_event(event))


@sensitive_variables()
def record(
    *,
    event: Literal["granted", "imported"],
    recipient: str | Recipient,
    channel: ChannelName,
    context: ConsentContext,
    user: AnyUser = None,
    disclosure: Disclosure | None = None,
) -> ConsentEvent:
    """Record consent that was not given on a page of the site.

    Args:
        event: ``imported`` from elsewhere, or ``granted`` on paper.
        recipient: A phone number or an email address.
        channel: The channel agreed to.
        context: ``ConsentContext.imported(…)`` or ``ConsentContext.paper(…)``.
        user: Whose consent it is. Without one, that of whoever holds the recipient.
        disclosure: The words that were agreed to, if they are known.

    Returns:
        The new event, or the one that stands: the same consent recorded again adds none. An import never overrides an
        opt-out or a withdrawal, and returns that event.

    Raises:
        ConsentRequired: ``opted_out``, for consent on paper whose holder has opted out (``release_opt_out``).
        InvalidRecipient: As ``find``.
        TypeError: As ``find``.
        ValueError: ``event`` is another one, ``context`` lacks what it needs, or ``channel`` is not one that is agreed
            to.
    """
    kind, agreed, person = (
        arguments.as_recorded(event, context),
        arguments.as_channel(channel),
        arguments.as_saved_user(user),
    )
    parsed = arguments.as_recipient(recipient, agreed)
    shown = None if disclosure is None else arguments.as_disclosure(disclosure, agreed)
    visitor = ClientInfo()
    if person is None:
        subject = Subject.of_holder(parsed, agreed, None)
    else:
        subject = Subject.of(parsed, agreed, person, visitor, None)

    def decide() -> ConsentEvent:
        position = subject.position()
        standing = position.newest
        if position.opt_out is not None:
            if kind == ConsentEventType.IMPORTED:
                return position.opt_out
            raise ConsentRequired("consent_opted_out")
        same_words = (standing.disclosure.digest if standing and standing.disclosure else "") == (
            shown.digest if shown else ""
        )
        if standing is not None and standing.is_live and same_words:
            return standing
        if standing is not None and not standing.is_live and kind == ConsentEventType.IMPORTED:
            return standing  # SECURITY: an import never overrides a withdrawal
        now, known = read_disclosure(shown.digest) if shown else (None, None)
        return write(Entry(subject, kind, Purpose.VERIFY, context, visitor, shown, standing), now, known)

    return decided(decide)


def list_consents(user: AnyUser, *, client: Client | None = None) -> list[ConsentState]:
    """Return everything that a user ever agreed to, one entry for each recipient and channel, the newest first.

    Consent whose evidence was erased is left out. At most six queries, however long the list.

    Args:
        user: A user or ``request.user``.
        client: The visitor, if there is no user.

    Returns:
        Live consents and ended ones (``ConsentState.is_live``).

    Raises:
        TypeError: ``user`` or ``client`` has another type.
        ValueError: There is neither a user nor a client with a session.
    """
    person = arguments.as_saved_user(user)
    return self_service.list_consents(Person.of(person, ClientInfo() if client is None else as_client(client)))


@sensitive_variables()
def _subject(
    recipient: str | Recipient, channel: ChannelName, client: Client, user: AnyUser, region: str | None = None
) -> Subject:
    agreed, person = arguments.as_channel(channel), arguments.as_saved_user(user)
    return Subject.of(arguments.as_recipient(recipient, agreed, region), agreed, person, as_client(client), None)


@sensitive_variables()
def _holder(recipient: str | Recipient, channel: ChannelName) -> Subject:
    agreed: Channel = arguments.as_channel(channel)
    return Subject.of_holder(arguments.as_recipient(recipient, agreed), agreed, None)


aget_disclosure = query_twin_of(get_disclosure)
agrant = query_twin_of(grant)
afind = query_twin_of(find)
arequire = query_twin_of(require)
awithdraw = query_twin_of(withdraw)
aopt_out = query_twin_of(opt_out)
arelease_opt_out = query_twin_of(release_opt_out)
ainvalidate = query_twin_of(invalidate)
aexpire = query_twin_of(expire)
arecord = query_twin_of(record)
alist_consents = query_twin_of(list_consents)
