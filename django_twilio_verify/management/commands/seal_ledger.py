"""``manage.py seal_ledger``: one seal over every consent event since the last."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from ...ledger import sealing
from ..progress import Progress


class Command(BaseCommand):
    """Seals what is not sealed yet. Ends with a status other than 0 if no seal, or none with its time-stamp, was
    made.
    """

    help = "Seals the consent events written since the last seal: a Merkle root over them, chained and signed."

    def handle(self, **options: Any) -> None:
        progress = Progress(self.stderr, "events")
        try:
            made = sealing.seal(progress=progress)
        except (sealing.SealedMeanwhile, ImproperlyConfigured, ValueError) as error:
            raise CommandError(str(error)) from error
        finally:
            progress.clear()
        if made is None:
            self.stdout.write("Nothing to seal.")
            return
        seal = made.seal
        self.stdout.write(f"Seal {seal.number} over {seal.count} events, {seal.algorithm} key {seal.key_id}.")
        self.stdout.write(f"Digest {seal.digest}")
        if made.stamping_problem:
            raise CommandError(f"The seal was made, but without a time-stamp. {made.stamping_problem}", returncode=3)
