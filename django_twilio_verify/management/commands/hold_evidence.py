"""``manage.py hold_evidence``: set or release a legal hold."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...exceptions import KeysDoNotFit
from ...ledger import retention
from ...ledger.addressees import Addressee
from ._evidence import EvidenceCommand


class Command(EvidenceCommand):
    help = "Forbid erasing and purging the evidence of a number or an address, or allow it again with --release."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_recipient(parser)
        self.add_who_and_why(parser)
        parser.add_argument("--release", action="store_true", help="Release every hold on it.")

    def handle(self, **options: Any) -> None:
        addressee = self.addressee(options)
        act = _release if options["release"] else _set
        try:
            self.stdout.write(act(addressee, options["reason"], options["by"]))
        except (KeysDoNotFit, ValueError) as error:
            raise CommandError(str(error)) from None


def _set(addressee: Addressee, reason: str, actor: str) -> str:
    standing = retention.hold_on(addressee)
    hold = standing or retention.hold(addressee, reason=reason, actor=actor)
    since = f"{hold.set_at:%Y-%m-%d %H:%M} UTC, set by {hold.set_by}"
    return f"Held already since {since}." if standing else f"Held since {since}."


def _release(addressee: Addressee, reason: str, actor: str) -> str:
    released = retention.release(addressee, reason=reason, actor=actor)
    return f"Released: {released} hold(s)." if released else "There is no hold to release."
