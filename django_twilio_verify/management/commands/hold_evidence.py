"""``manage.py hold_evidence``: set or release a legal hold."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from ...ledger import retention
from ..base import EvidenceCommand


class Command(EvidenceCommand):
    help = "Set a legal hold: the evidence of a phone number or email address is not erased. --release ends it."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_recipient(parser)
        self.add_who_and_why(parser)
        parser.add_argument("--release", action="store_true", help="Release every hold on this recipient.")

    def handle(self, *args: Any, **options: Any) -> None:
        addressee = self.addressee(options)
        reason, actor = options["reason"], options["by"]
        if options["release"]:
            released = retention.release(addressee, reason=reason, actor=actor)
            self.data |= {"held": False, "released": released, "since": None, "set_by": ""}
            self.stdout.write(f"Released: {released} hold(s)." if released else "There is no hold to release.")
            return
        earlier = retention.hold_on(addressee)
        hold = earlier or retention.hold(addressee, reason=reason, actor=actor)
        self.data |= {"held": True, "released": 0, "since": hold.set_at, "set_by": hold.set_by}
        since = f"since {hold.set_at:%Y-%m-%d %H:%M} UTC, set by {hold.set_by}"
        self.stdout.write(f"Held already {since}." if earlier else f"Held {since}.")
