"""What a visitor agreed to before the account existed, renewed for the account."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError

from .. import models
from ..choices import ConsentEventType, ConsentMedium, Purpose
from ..conf import fingerprints, settings
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..models import ConsentEvent, locks
from .context import ConsentContext
from .recording import Entry, Subject, read_disclosure, write


def carry_over(
    *, recipient: Recipient, visitor: ClientInfo, user: AbstractBaseUser, purpose: str
) -> list[ConsentEvent]:
    """Renew, for ``user``, what the visitor behind ``visitor`` agreed to before the account existed.

    Every way by which the visitor's consent is live becomes a ``renewed`` event of the account that names the
    visitor's as the one it follows from. Returns the new events.
    """
    # Locked as withdrawal is: what is taken back meanwhile is seen, or takes back what is carried over.
    return locks.holding(fingerprints(recipient), lambda: _carry_over(recipient, visitor, user, purpose))


def _carry_over(recipient: Recipient, visitor: ClientInfo, user: AbstractBaseUser, purpose: str) -> list[ConsentEvent]:
    made = []
    for channel in dict.fromkeys(channel.consent_channel for channel in settings.channels):
        if channel.recipient_kind != recipient.kind:
            continue
        # SECURITY: agreed to one message only is no consent to more, and is never live.
        theirs = Subject.of(recipient, channel, None, visitor, None).position().live
        if theirs is None or theirs.disclosure is None:
            continue
        subject = Subject.of(recipient, channel, user, visitor, None)
        own = subject.position().newest
        # SECURITY: the account has taken it back since: an older consent is not brought to life again.
        if own is not None and own.pk > theirs.pk and not own.is_live:
            continue
        now, known = read_disclosure(theirs.disclosure.digest)
        context = ConsentContext(
            medium=ConsentMedium(theirs.medium),
            control=theirs.control,
            checked_by_default=theirs.control_default,
            checked_on_submit=theirs.control_final,
            button_label=theirs.button_label,
        )
        entry = Entry(
            subject,
            ConsentEventType.RENEWED,
            Purpose(purpose),
            context,
            visitor,
            None,
            theirs,
            theirs.language,
        )
        made += _carried(entry, now, known)
    return made


def _carried(entry: Entry, now: datetime | None, known: models.Disclosure | None) -> list[ConsentEvent]:
    """The event, or none where this very consent of the visitor's was carried over to this account before."""
    try:
        return [write(entry, now, known)]
    except IntegrityError:
        # SECURITY: and the account may have taken it back since: an old consent is not brought to life again.
        return []
