"""One recipient as the records know it: by every fingerprint it has, and by the address where that is not erased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import router
from django.db.models import Q

from ..choices import RecipientKind
from ..conf import settings
from ..core.recipients import Recipient
from ..exceptions import KeysDoNotFit
from ..models import ConsentEvent, ConsentEvidence
from . import fingerprint_aliases


@dataclass(frozen=True, slots=True)
class Addressee:
    """``fingerprints``: the newest key's first. ``recipient``: ``None`` where its evidence is erased."""

    fingerprints: tuple[str, ...]
    recipient: Recipient | None

    @property
    def fingerprint(self) -> str:
        """The one that audit events and addresses of pages carry."""
        return self.fingerprints[0]

    def require_found(self) -> None:
        """Raise ``KeysDoNotFit`` where evidence has this very address and the fingerprints do not lead to it.

        Reads the evidence without an index: for rare acts, about a second per million rows. SECURITY: without it, an
        erasure would say "nothing was left" while the number stands there in clear.
        """
        if self.recipient is not None and unmatched_addresses([self.recipient], self.fingerprints):
            raise KeysDoNotFit("unmatched")

    @classmethod
    def of(cls, recipient: str | Recipient, *, region: str | None = None) -> Addressee:
        """Whoever ``recipient`` (a number in any format, with ``region`` one without ``+``; an email address) is.

        Raises ``InvalidRecipient``.
        """
        parsed = Recipient.parse(recipient, region=region or settings.default_region or None)
        return cls(tuple(fingerprint_aliases.of_recipient(parsed)), parsed)

    @classmethod
    def by_fingerprint(cls, fingerprint: str) -> Addressee:
        """Whoever has ``fingerprint`` on record. One SELECT, and two more where there is an older key.

        An unknown or erased one is known by that print alone, and by its aliases.
        """
        # SECURITY: under the newest key too. What an older one wrote may be erased, and the number stand in clear in
        # what came since, under a hold.
        newest = fingerprint_aliases.under_the_newest([fingerprint])[fingerprint]
        prints = fingerprint_aliases.known([*dict.fromkeys([newest, fingerprint])])
        evidence = (
            ConsentEvidence.objects.using(ledger_database())
            .filter(event__recipient_fingerprint__in=prints)
            .select_related("event")
            .order_by("-event_id")
            .first()
        )
        if evidence is None:
            return cls(tuple(prints), None)
        recipient = Recipient(RecipientKind(evidence.event.recipient_kind), evidence.recipient)
        # A key that was taken out of the settings still stands in the rows written under it.
        return cls(tuple(dict.fromkeys([*fingerprint_aliases.of_recipient(recipient), fingerprint])), recipient)


def unmatched_addresses(recipients: Sequence[Recipient], prints: Sequence[str]) -> bool:
    """Return whether evidence holds an address of ``recipients`` under a fingerprint that is none of ``prints``."""
    written = Q(recipient__in=[one.value for one in recipients])
    for one in recipients:
        if not one.is_phone:  # the fingerprint does not tell capitals apart either
            written |= Q(recipient__iexact=one.value)
    rows = ConsentEvidence.objects.using(ledger_database()).filter(written)
    return bool(rows.exclude(event__recipient_fingerprint__in=list(prints)).exists())


def ledger_database() -> str:
    """Where events and their evidence are written."""
    return router.db_for_write(ConsentEvent)
