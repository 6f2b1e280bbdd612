"""``manage.py rotate_fingerprint_keys``: make records of older keys findable under the newest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from ...conf import RETIRED
from ...ledger import rotation
from ...ledger.rotation import Leftover, Rotated
from ..base import CouldNotLook, Found, VerifyCommand

COUNTS = ("newest", "dry_run", "looked_at", "verifications", "factors", "holds", "aliases", "twice", "doubtful")
MOST = 2000


class Command(VerifyCommand):
    help = "Make records of older fingerprint keys findable under the newest. Safe beside the site, and to run again."
    requires_migrations_checks = True
    could_not = (ValueError,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Count; write nothing.")
        parser.add_argument(
            "--batch-size", type=int, default=rotation.BATCH, metavar="N", help="Rows in a transaction."
        )
        parser.add_argument(
            "--lost",
            action="append",
            default=[],
            metavar="ID",
            help="Give up a retired key whose secret is lost: erased opt-outs and holds under it are not found again.",
        )
        parser.add_argument("--reason", default="", metavar="TEXT", help="Why; kept in the audit event.")
        parser.add_argument(
            "--by", default="rotate_fingerprint_keys", metavar="NAME", help="Who runs it; kept in the audit event."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["batch_size"] <= MOST:
            raise CouldNotLook(f"--batch-size must be from 1 to {MOST}.")
        rotated = self._rotate(options)
        self.data |= {name: getattr(rotated, name) for name in COUNTS}
        self.data["older_keys"] = [asdict(one) | {"may_be_retired": one.may_be_retired} for one in rotated.leftovers]
        for line in _told(rotated):
            self.stdout.write(line)
        needed = [each for each in rotated.leftovers if not each.may_be_retired and each.key_id not in options["lost"]]
        if needed and not options["dry_run"]:
            raise Found("Not every older key may be retired.")

    def _rotate(self, options: dict[str, Any]) -> Rotated:
        with self.progress("rows looked at") as progress:
            return rotation.rotate(
                actor=options["by"],
                reason=options["reason"],
                batch=options["batch_size"],
                dry_run=options["dry_run"],
                lost=options["lost"],
                progress=lambda rotated: progress(rotated.looked_at),
            )


def _told(rotated: Rotated) -> Iterator[str]:
    verb, most = ("Would be put", "at most ") if rotated.dry_run else ("Put", "")
    yield (
        f"{verb} under key {rotated.newest}: {rotated.verifications:,} verifications, {rotated.factors:,} factors, "
        f"{rotated.holds:,} legal holds. Aliases of the ledger's fingerprints: {most}{rotated.aliases:,}."
    )
    if rotated.twice:
        yield f"{rotated.twice:,} factors were left: the same person has the same address under {rotated.newest} too."
    if rotated.doubtful:
        yield f"{rotated.doubtful:,} events were left: their evidence was changed. See check_ledger."
    for leftover in rotated.leftovers:
        if not rotated.dry_run:
            yield from _verdict(leftover)
        elif leftover.suppressions:  # all else would be different after a run
            yield f"{leftover.key_id}: {next(_needed(leftover))}"


def _verdict(left: Leftover) -> Iterator[str]:
    key = left.key_id
    needed = list(_needed(left))
    if needed:
        yield from (f"{key}: {reason}" for reason in needed)
    elif left.state == "listed":
        yield f'{key}: may be retired, as ("{key}", "{RETIRED}").'
    elif left.state == "retired":
        yield f"{key}: is retired, and nothing needs it."
    else:
        yield f'{key}: is not listed. List it as ("{key}", "{RETIRED}").'
    if others := left.erased + left.sessions + left.accounts:
        yield (
            f"{key}: {others:,} that stopped nothing are found by this key alone ({left.erased:,} erased recipients, "
            f"{left.sessions:,} visitors, {left.accounts:,} deleted accounts). Without it, they would be asked again."
        )


def _needed(left: Leftover) -> Iterator[str]:
    key = left.key_id
    keep = "keep it in the list" if left.state == "listed" else "list it with its secret again"
    if left.suppressions:
        yield f"{left.suppressions:,} erased suppressions can only be matched with key {key}: {keep}."
    if left.holds:
        yield f"{left.holds:,} legal holds can only be matched with key {key}: {keep}."
    if left.waiting:
        yield f"{left.waiting:,} recipients are not under the newest key yet: run this again."
    if left.under_way:
        yield f"{left.under_way:,} codes are under way in sessions of key {key}: run this again in an hour."
