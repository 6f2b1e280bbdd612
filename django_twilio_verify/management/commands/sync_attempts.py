"""``manage.py sync_attempts``: what became of the messages, as the provider knows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from ...backends.handler import backends
from ...exceptions import BackendError
from ...provider import attempt_sync, events
from ...provider.attempt_sync import Held, Pace, Synced
from ..progress import Progress


class Command(BaseCommand):
    """Pulls delivery, conversion, channel and price of earlier sends. Safe to run twice, in parallel, and to kill."""

    help = "Reads from the provider what became of earlier sends: delivery, conversion, channel used and price."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--backend", metavar="ALIAS", help="One backend; without it, all that list attempts.")
        begin = parser.add_mutually_exclusive_group()
        begin.add_argument(
            "--since", metavar="TIME", type=_time, help="From this time on: 2026-01-31, 2026-01-31T09:00Z, in UTC."
        )
        begin.add_argument("--days", metavar="N", type=_days, help="From N days ago on, 30 at most.")
        parser.add_argument(
            "--prune-events", metavar="DAYS", type=int, help="Delete webhook events received longer ago than this."
        )

    def handle(self, **options: Any) -> None:
        since = options["since"]
        if options["days"] is not None:
            since = timezone.now() - timedelta(days=options["days"])
        pace = Pace()  # one for all: the limit is the account's
        for alias in _aliases(options["backend"]):
            self._sync(alias, since, pace)
        if options["prune_events"] is not None:
            self._prune(options["prune_events"])

    def _sync(self, alias: str, since: datetime | None, pace: Pace) -> None:
        progress = Progress(self.stderr, "attempts")
        try:
            synced = attempt_sync.sync(alias, since=since, pace=pace, progress=progress)
        except Held as held:
            progress.clear()
            until = f", at least until {held.until:%Y-%m-%d %H:%M:%S} UTC" if held.until else ""
            self.stdout.write(f"{alias}: another run is at it ({held.holder or 'just done'}){until}. Nothing to do.")
        except ValueError as error:
            raise CommandError(str(error)) from None
        except BackendError as error:
            message = f"{alias}: {error}. What was read is kept; the next run goes on there."
            raise CommandError(message, returncode=3) from None
        else:
            progress.clear()
            self.stdout.write(_summary(synced))
        finally:
            progress.clear()

    def _prune(self, days: int) -> None:
        try:
            pruned = events.prune(days)
        except ValueError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Deleted {pruned:,} event(s) received more than {days:,} days ago.")


def _aliases(alias: str | None) -> list[str]:
    try:
        if alias is not None:
            return [backends[alias].alias]
        found = [one for one in backends if backends[one].supports_attempts]
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from None
    if not found:
        raise CommandError("No backend keeps a list of attempts.")
    return found


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
