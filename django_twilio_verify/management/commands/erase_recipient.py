"""``manage.py erase_recipient``: GDPR Art. 17 for one number or address."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...exceptions import KeysDoNotFit
from ...factors import erasure
from ...factors.erasure import Erased
from ._evidence import EvidenceCommand


class Command(EvidenceCommand):
    help = "Erase what says who a number or an address is. The proof stays verifiable, and an opt-out stays in force."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_recipient(parser)
        self.add_who_and_why(parser)
        parser.add_argument(
            "--factors", action="store_true", help="Delete the factors with this address too: people sign in by them."
        )

    def handle(self, **options: Any) -> None:
        addressee = self.addressee(options)
        try:
            erased = erasure.erase(addressee, reason=options["reason"], actor=options["by"], factors=options["factors"])
        except (erasure.LegallyHeld, KeysDoNotFit, ValueError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(_summary(erased) if erased.anything else "Nothing was left to erase.")
        if erased.factors_left:
            self.stdout.write(f"Kept: {erased.factors_left} factor(s), by which people sign in (--factors).")
        if erased.open_left:
            self.stdout.write(f"Kept: {erased.open_left} verification(s) still open. Run this again in ten minutes.")


def _summary(erased: Erased) -> str:
    return (
        f"Erased: the evidence of {erased.evidence} event(s), the address in {erased.verifications} verification(s), "
        f"{erased.factors} factor(s)."
    )
