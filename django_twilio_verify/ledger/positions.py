"""How one event of consent is written: whose it is, what stood before it, its two halves, in one transaction.

``consent`` decides what is written; nobody else calls this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..choices import ConsentEventType
from ..models import ConsentEvent


@dataclass(frozen=True, slots=True)
class Position:
    """Where consent stands. ``newest``: the latest event that bears on it. ``opt_out``: the holder's, unless released.

    Where ``opt_out`` is set, nothing goes out, whatever a user agreed to since.
    """

    newest: ConsentEvent | None
    opt_out: ConsentEvent | None

    @classmethod
    def of(cls, events: Iterable[ConsentEvent]) -> Position:
        """Read it off the events that ``ConsentEventQuerySet.deciding`` found."""
        newest: ConsentEvent | None = None
        barrier: ConsentEvent | None = None
        for event in sorted(events, key=lambda event: event.pk):
            newest = event
            if event.event in (ConsentEventType.OPTED_OUT, ConsentEventType.RELEASED):
                barrier = event
        stands = barrier is not None and barrier.event == ConsentEventType.OPTED_OUT
        return cls(newest, barrier if stands else None)

    @property
    def live(self) -> ConsentEvent | None:
        """The consent by which messages may go out, if there is any.

        SECURITY: erasing the evidence ends the consent that it proved.
        """
        if self.opt_out is not None or self.newest is None or not self.newest.is_live:
            return None
        return self.newest if getattr(self.newest, "has_evidence", True) else None
