"""``manage.py check_login_urls``: every url of the site, and how the wall stands to it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...login import guarded_urls
from ...login.guarded_urls import Enforcement, GuardedUrl

HEAD = ("Enforcement", "Url", "Name", "Why")


class Command(BaseCommand):
    """A list to read at a review. Changes and asks nothing, of no database and no provider."""

    help = "Lists every url of the site: guarded by the wall, exempt, our own, or a way round it."

    def add_arguments(self, parser: CommandParser) -> None:
        states = [state.value for state in Enforcement]
        parser.add_argument("--state", action="append", choices=states, help="Only these; may be given several times.")

    def handle(self, **options: Any) -> None:
        found = [door for door in guarded_urls.guarded_urls() if not options["state"] or door.state in options["state"]]
        rows = [HEAD, *(_row(door) for door in found)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        for row in rows:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        counted = Counter(door.state.value for door in found)
        self.stdout.write(", ".join(f"{counted[state]} {state}" for state in sorted(counted)) + ".")


def _row(door: GuardedUrl) -> tuple[str, str, str, str]:
    return (door.state.value, door.route, door.match.view_name if door.match.url_name else "-", door.why)
