"""Checks of the arguments of the public functions: an error names the parameter."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from phonenumbers import PhoneNumber

from ..choices import CONSENT_CHANNELS, Channel, ConsentEventType
from ..conf import settings
from ..core.arguments import as_user
from ..core.recipients import Recipient
from ..exceptions import InvalidRecipient
from ..ledger import audit
from ..ledger.disclosure_text import Disclosure
from ..models import ConsentEvent
from .context import ConsentContext

_CHANNELS = tuple(channel for channel in Channel if channel.consent_channel in CONSENT_CHANNELS)
_RECORDED = (ConsentEventType.GRANTED, ConsentEventType.IMPORTED)


def as_channel(channel: Any) -> Channel:
    """Return the channel of that name. Raises ``ValueError`` for one that needs no consent, and for other words."""
    _check("channel", channel, str)
    try:
        return _CHANNELS[_CHANNELS.index(Channel.parse(channel))]
    except ValueError:
        names = ", ".join(repr(one.value) for one in _CHANNELS)
        raise ValueError(f"channel must be one of {names}, not {channel!r}.") from None


def as_recipient(recipient: Any, channel: Channel, region: Any = None) -> Recipient:
    """Return the recipient that ``channel`` carries to.

    Raises:
        InvalidRecipient: It is no recipient, or ``channel`` does not lead there (``wrong_kind``).
    """
    _check("recipient", recipient, str | Recipient | PhoneNumber)
    if region is not None:
        _check("region", region, str)
    parsed = Recipient.parse(recipient, region=region or settings.default_region or None)
    if parsed.kind != channel.recipient_kind:
        raise InvalidRecipient("wrong_kind")
    return parsed


def as_disclosure(disclosure: Any, channel: Channel) -> Disclosure:
    """Return ``disclosure``. Raises ``ValueError`` for one of another channel."""
    _check("disclosure", disclosure, Disclosure)
    if disclosure.channel != channel.consent_channel:
        raise ValueError(f"disclosure is about {disclosure.channel.value!r}, not {channel.consent_channel.value!r}.")
    return disclosure  # type: ignore[no-any-return]


def as_words(disclosure: Any, channel: Channel) -> Disclosure | str:
    """Return a disclosure, or the digest that a page posted back. Whether that is today's is for the gate to say."""
    return disclosure if isinstance(disclosure, str) else as_disclosure(disclosure, channel)


def as_saved_user(user: Any) -> AbstractBaseUser | None:
    """Return the account, ``None`` for a visitor. Raises ``ValueError`` for an account that was never saved."""
    account = as_user(user)
    if account is not None and account.pk is None:
        # SECURITY: it has no consent of its own, and must not be given the visitor's.
        raise ValueError("user must be saved.")
    return account


def as_context(context: Any) -> ConsentContext:
    """Return ``context``, the default one for ``None``."""
    if context is None:
        return ConsentContext()
    _check("context", context, ConsentContext)
    return context  # type: ignore[no-any-return]


def as_recorded(event: Any, context: Any) -> ConsentEventType:
    """Return the kind of an event that ``record`` writes.

    Raises:
        ValueError: Another kind, or ``context`` does not say what evidence of that kind has to say.
    """
    _check("context", context, ConsentContext)
    _check("event", event, str)
    if event not in _RECORDED:
        raise ValueError(f"event must be 'granted' or 'imported', not {event!r}.")
    if event == ConsentEventType.IMPORTED and not context.origin:
        raise ValueError("context.origin must name the import.")
    if event == ConsentEventType.GRANTED and not (context.note and context.document_digest):
        raise ValueError("context must have a note and the document_digest of the paper (ConsentContext.paper).")
    return ConsentEventType(event)


def as_reason(reason: Any) -> str:
    """Return ``reason``. Raises ``ValueError`` for an empty one."""
    _check("reason", reason, str)
    if not audit.cleaned(reason):
        raise ValueError("reason must not be empty.")
    return reason  # type: ignore[no-any-return]


def as_event(event: Any) -> ConsentEvent:
    """Return ``event``, a saved one."""
    _check("event", event, ConsentEvent)
    return event  # type: ignore[no-any-return]


def _check(name: str, value: Any, wanted: Any) -> None:
    if not isinstance(value, wanted):
        kinds = " or ".join(one.__name__ for one in getattr(wanted, "__args__", (wanted,)))
        raise TypeError(f"{name} must be {kinds}, not {type(value).__name__}.")
