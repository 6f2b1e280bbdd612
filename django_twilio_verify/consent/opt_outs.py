"""Requests to stop that come from elsewhere than our pages: told by the provider, or passed on by staff."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from ..choices import CONSENT_CHANNELS, Actor, AuditKind, Channel, ConsentEventType, ConsentMedium
from ..conf import fingerprint, settings
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..ledger import audit, fingerprint_aliases, key_register
from ..models import ConsentEvent
from . import endings
from .context import ConsentContext, by_staff
from .recording import Subject, database


def channels_to(recipient: Recipient) -> tuple[Channel, ...]:
    """Every way to ``recipient`` that is agreed to, and can be stopped, by itself; offered by the site today or not."""
    return tuple(channel for channel in CONSENT_CHANNELS if channel.recipient_kind == recipient.kind)


def opted_out(
    *,
    recipient: str | Recipient,
    channel: str,
    origin: str,
    received_at: datetime | None = None,
) -> ConsentEvent | None:
    """Record that, as the provider says, the holder of ``recipient`` has stopped ``channel``.

    ``origin``: what told of it, up to 64 characters: an attempt's SID or number, a webhook's id. ``received_at``: when
    the holder asked, if the provider knows. Returns the event; ``None`` if the holder has opted out already, so the
    same signal heard twice is one event. Raises ``InvalidRecipient``.
    """
    context = ConsentContext(
        medium=ConsentMedium.PROVIDER,
        control="keyword",
        actor=Actor.PROVIDER,
        origin=origin,
        received_at=received_at,
    )
    return endings.opt_out(Subject.of_holder(recipient, channel, None), ClientInfo(), context)


def record_request(
    *,
    recipient: str | Recipient,
    words: str,
    received_at: datetime,
    staff: AbstractBaseUser,
    channels: Iterable[str] = (),
    came_by: str = "",
    asked_by: str = "",
    region: str | None = None,
    client: ClientInfo | None = None,
    staff_label: str = "",
) -> list[ConsentEvent]:
    """Record a request to stop in somebody's own words, by letter, email or telephone, for every person's sends.

    ``words``: the request; ``asked_by``: who made it, as far as known (both are personal and kept in the erasable
    half). ``came_by``: up to 32 characters, as ``email`` or ``letter``. ``received_at``: aware, when it came in; the
    ten business days count from there. ``staff``: who records it. ``channels``: the ways to stop, all to that
    recipient if empty. ``client``: the browser of the staff. ``staff_label``: what records call ``staff``, the user
    name if it is empty: in an impersonation both names (``login.impersonation.actor_label``).

    Returns the new events, one for each way that was not stopped before. Raises ``InvalidRecipient``, and
    ``ValueError`` for no words, a time that is naive or to come, or a way that does not fit the recipient.
    """
    parsed = Recipient.parse(recipient, region=region or settings.default_region or None)
    _check_request(words, received_at)
    context = ConsentContext(
        medium=ConsentMedium.ADMIN,
        control=came_by[:32],
        actor=Actor.STAFF,
        actor_ref=str(staff.pk),
        actor_label=staff_label or staff.get_username(),
        note=f"{asked_by}: {words}" if asked_by else words,
        received_at=received_at,
    )
    return stop(parsed, channels, client=client or ClientInfo(), context=context)


def stop(
    recipient: Recipient,
    channels: Iterable[str],
    *,
    client: ClientInfo,
    context: ConsentContext,
) -> list[ConsentEvent]:
    """Opt ``recipient`` out of ``channels`` (all to it, if none is named), as ``context`` says.

    Returns the new events. Raises ``ValueError`` for a channel that does not lead there.
    """
    wanted = _fitting(recipient, channels)
    subjects = [Subject.of_holder(recipient, channel, None) for channel in wanted]
    made = [endings.opt_out(subject, client, context) for subject in subjects]
    return [event for event in made if event is not None]


def _fitting(recipient: Recipient, channels: Iterable[str]) -> Sequence[Channel]:
    """Return the channels that are named, or all to ``recipient``. Raises ``ValueError`` for one that does not fit."""
    fitting = channels_to(recipient)
    wanted = [Channel.parse(channel) for channel in channels] or fitting
    if strange := [channel.value for channel in wanted if channel not in fitting]:
        raise ValueError(f"{strange[0]!r} does not lead to this kind of address.")
    return wanted


def release(
    *,
    recipient: str | Recipient,
    reason: str,
    staff: AbstractBaseUser,
    channels: Iterable[str] = (),
    region: str | None = None,
    staff_label: str = "",
) -> list[ConsentEvent]:
    """Record that the opt-out of ``recipient`` is over, as its holder has asked staff. Users have to agree again.

    Leaves an audit event if anything was released.

    Args:
        reason: Who asked for it and how that was checked.
        staff: Who releases it. The caller checks the permission ``release_opt_out``.
        channels: The channels to release, all to that recipient if empty.
        staff_label: As for ``record_request``.

    Returns:
        The new events, one for each channel that was opted out.

    Raises:
        InvalidRecipient: It is no recipient.
        ValueError: There is no reason, or a channel does not fit the recipient.
    """
    if not audit.cleaned(reason):
        raise ValueError("Say why the opt-out is released.")
    parsed = Recipient.parse(recipient, region=region or settings.default_region or None)
    context = by_staff(staff, note=reason, label=staff_label)
    # Before the events: what cannot be audited is not done.
    named, stopped = _fitting(parsed, channels), opted_out_of(parsed)
    opted_out = [channel for channel in named if channel in stopped]
    if opted_out:
        audit.record(
            AuditKind.OPT_RELEASED,
            actor=context.actor_label,
            reason=reason,
            fingerprint=fingerprint(parsed),
            details={"channels": [channel.value for channel in opted_out]},
        )
    made = [endings.release(Subject.of_holder(parsed, channel, None), context) for channel in opted_out]
    return [event for event in made if event is not None]


def opted_out_of(recipient: Recipient) -> list[Channel]:
    """Return the channels that the holder of ``recipient`` has opted out of and nobody has released. Two SELECTs.

    Raises ``KeysDoNotFit``.
    """
    key_register.require()  # SECURITY: an opt-out under a key that is not listed would not be found
    # With the channel and the event named, an index leads to these few, however many events the recipient has.
    rows = ConsentEvent.objects.using(database()).filter(
        recipient_fingerprint__in=fingerprint_aliases.of_recipient(recipient),
        channel__in=CONSENT_CHANNELS,
        event__in=(ConsentEventType.OPTED_OUT, ConsentEventType.RELEASED),
    )
    latest = dict(rows.order_by("pk").values_list("channel", "event"))
    return [way for way in channels_to(recipient) if latest.get(way.value) == ConsentEventType.OPTED_OUT]


def _check_request(words: str, received_at: datetime) -> None:
    if not words.strip():
        raise ValueError("Give the words of the request.")
    if timezone.is_naive(received_at):
        raise ValueError("Give received_at with its time zone.")
    if received_at > timezone.now():
        raise ValueError("A request cannot come in later than now.")
