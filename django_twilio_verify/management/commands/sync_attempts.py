"""``manage.py sync_attempts``: what became of the messages, as the provider knows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from ...backends.handler import backends
from ...exceptions import BackendError
from ...provider import attempt_sync, events
from ...provider.attempt_sync import Held, Pace, Synced
from ..base import CouldNotLook, VerifyCommand


class Command(VerifyCommand):
    help = "Read from the provider what became of earlier sends: delivery, conversion, channel used and price."
    could_not = (ValueError,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--backend", metavar="ALIAS", help="Only this backend. Default: all that list attempts.")
        begin = parser.add_mutually_exclusive_group()
        begin.add_argument(
            "--since", metavar="TIME", type=_time, help="From this time on: 2026-01-31, 2026-01-31T09:00Z, in UTC."
        )
        begin.add_argument("--days", metavar="N", type=_days, help="From N days ago on, at most 30.")
        parser.add_argument(
            "--prune-events", metavar="DAYS", type=int, help="Then delete webhook events received longer ago."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        since = options["since"]
        if options["days"] is not None:
            since = timezone.now() - timedelta(days=options["days"])
        self.data |= {"backends": [], "pruned_events": None}
        pace = Pace()  # one for all: the limit is the account's
        for alias in _aliases(options["backend"]):
            self._sync(alias, since, pace)
        if (days := options["prune_events"]) is not None:
            pruned = self.data["pruned_events"] = events.prune(days)
            self.stdout.write(f"Deleted {pruned:,} event(s) received more than {days:,} days ago.")

    def _sync(self, alias: str, since: datetime | None, pace: Pace) -> None:
        try:
            with self.progress("attempts") as progress:
                synced = attempt_sync.sync(alias, since=since, pace=pace, progress=progress)
        except Held as held:
            until = f", at least until {held.until:%Y-%m-%d %H:%M:%S} UTC" if held.until else ""
            holder = held.holder or "just done"
            self.stdout.write(f"{alias}: another run holds the lease ({holder}){until}. Nothing to do.")
            self.data["backends"].append({"backend": alias, "is_leased": True})
        except BackendError as error:
            raise CouldNotLook(f"{alias}: {error}. What was read is kept; the next run goes on there.") from error
        else:
            self.stdout.write(_summary(synced))
            self.data["backends"].append({"is_leased": False, **_as_data(synced)})


def _aliases(alias: str | None) -> list[str]:
    if alias is not None:
        return [backends[alias].alias]
    found = [one for one in backends if backends[one].supports_attempts]
    if not found:
        raise CouldNotLook("No backend keeps a list of attempts.")
    return found


def _as_data(synced: Synced) -> dict[str, Any]:
    """``synced`` with the documented keys."""
    return {
        "backend": synced.backend,
        "since": synced.since,
        "until": synced.until,
        "seen": synced.seen,
        "changed": synced.changed,
        "not_ours": synced.strangers,
        "is_resumed": synced.resumed,
    }


def _summary(synced: Synced) -> str:
    resumed = " Went on where a run was cut short: run it again for what came since." if synced.resumed else ""
    return (
        f"{synced.backend}: {synced.seen:,} attempts from {synced.since:%Y-%m-%d %H:%M} to "
        f"{synced.until:%Y-%m-%d %H:%M} UTC. Changed: {synced.changed:,}. Not ours: {synced.strangers:,}.{resumed}"
    )


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)  # a ValueError is argparse's to tell
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _days(text: str) -> int:
    days = int(text)
    if not 0 < days <= attempt_sync.KEPT.days:
        raise ValueError(text)
    return days
