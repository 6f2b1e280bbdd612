"""``manage.py erase_recipient``: GDPR Art. 17 for one phone number or email address."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from ...factors import erasure
from ...factors.erasure import Erased
from ..base import EvidenceCommand, Found


class Command(EvidenceCommand):
    help = "Erase a phone number or email address from the records. Proofs stay valid and opt-outs stay in force."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_recipient(parser)
        self.add_who_and_why(parser)
        parser.add_argument("--factors", action="store_true", help="Delete the factors with this recipient too.")

    def handle(self, *args: Any, **options: Any) -> None:
        addressee = self.addressee(options)
        try:
            erased = erasure.erase(addressee, reason=options["reason"], actor=options["by"], factors=options["factors"])
        except erasure.LegallyHeld as error:
            raise Found(str(error)) from None
        self.data |= asdict(erased)
        self.stdout.write(_summary(erased) if erased.anything else "Nothing was left to erase.")
        if erased.factors_left:
            self.stdout.write(f"Kept: {erased.factors_left} factor(s), which users sign in with (--factors).")
        if erased.open_left:
            raise Found(f"Kept: {erased.open_left} verification(s) still open. Run this again in ten minutes.")


def _summary(erased: Erased) -> str:
    return (
        f"Erased: the evidence of {erased.evidence} event(s), the address in {erased.verifications} verification(s), "
        f"{erased.factors} factor(s)."
    )
