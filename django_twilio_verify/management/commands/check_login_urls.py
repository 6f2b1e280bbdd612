"""``manage.py check_login_urls``: every URL of the site, and whether a second factor guards it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import CommandParser

from ...login import guarded_urls
from ...login.guarded_urls import Enforcement, GuardedUrl
from ..base import Found, VerifyCommand

HEAD = ("Enforcement", "Url", "Name", "Why")


class Command(VerifyCommand):
    """A list to read at a review. Reads the site's URLs alone: no database and no provider."""

    help = "List every URL of the site: guarded by a second factor, exempt, ours, or a way around it."

    def add_arguments(self, parser: CommandParser) -> None:
        states = [state.value for state in Enforcement]
        parser.add_argument("--state", action="append", choices=states, help="Only URLs in this state; repeatable.")

    def handle(self, *args: Any, **options: Any) -> None:
        found = [one for one in guarded_urls.guarded_urls() if not options["state"] or one.state in options["state"]]
        counted = Counter(one.state.value for one in found)
        rows = [_row(one) for one in found]
        self.data["urls"] = [dict(zip(("state", "url", "name", "why"), row, strict=True)) for row in rows]
        self.data["counts"] = {state.value: counted[state.value] for state in Enforcement}
        self._show([HEAD, *rows])
        self.stdout.write(", ".join(f"{counted[state]} {state}" for state in sorted(counted)) + ".")
        if around := counted[Enforcement.ROUND]:
            raise Found(f"{around} URL(s) let users in without a second factor.")

    def _show(self, rows: list[tuple[str, str, str, str]]) -> None:
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        for row in rows:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(one: GuardedUrl) -> tuple[str, str, str, str]:
    return (one.state.value, one.route, one.match.view_name if one.match.url_name else "-", one.why)
