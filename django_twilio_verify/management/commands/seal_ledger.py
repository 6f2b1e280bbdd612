"""``manage.py seal_ledger``: one seal over every consent event since the last."""

from __future__ import annotations

from typing import Any

from ...ledger import sealing
from ..base import Found, VerifyCommand


class Command(VerifyCommand):
    help = "Seal the consent events written since the last seal: one Merkle root over them, chained and signed."

    def handle(self, *args: Any, **options: Any) -> None:
        self.data["seal"] = None
        try:
            with self.progress("events") as progress:
                made = sealing.seal(progress=progress)
        except sealing.SealedMeanwhile:
            self.stdout.write("Another run made this seal at the same time. What it left is for the next run.")
            return
        except ValueError as error:  # a digest that was overwritten
            raise Found(f"Not sealed. {error}") from error
        if made is None:
            self.stdout.write("Nothing to seal.")
            return
        seal = made.seal
        self.data["seal"] = {
            "number": seal.number,
            "events": seal.count,
            "algorithm": seal.algorithm,
            "key_id": seal.key_id,
            "digest": seal.digest,
            "is_timestamped": bool(seal.timestamp_token),
        }
        self.stdout.write(f"Seal {seal.number} over {seal.count} events, {seal.algorithm} key {seal.key_id}.")
        self.stdout.write(f"Digest {seal.digest}")
        if made.stamping_problem:
            raise Found(f"The seal was made, but without a time-stamp. {made.stamping_problem}")
