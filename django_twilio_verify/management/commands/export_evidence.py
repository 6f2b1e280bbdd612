"""``manage.py export_evidence``: the evidence of consent, for whoever asks for it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandParser
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import is_aware

from ...core.recipients import Recipient
from ...ledger.export import bundle, receipts, spreadsheet
from ...ledger.export.evidence import Export, NothingToExport, Selection, read_numbers
from ..base import CouldNotLook, EvidenceCommand, Found
from ..progress import Progress


class Command(EvidenceCommand):
    help = "Export the evidence of consent: a bundle that a stranger can check, or rows for other systems."

    def add_arguments(self, parser: CommandParser) -> None:
        whose = parser.add_mutually_exclusive_group()
        whose.add_argument(
            "--recipient", action="append", metavar="NUMBER", help="Phone number or email address; repeatable."
        )
        whose.add_argument(
            "--numbers", metavar="FILE", help="Phone numbers or email addresses, one a line; - reads standard input."
        )
        whose.add_argument("--user", metavar="NAME", help="User name of an account.")
        whose.add_argument("--user-id", metavar="ID", help="Primary key of an account, also of a deleted one.")
        parser.add_argument(
            "--since", metavar="TIME", help="From this time on: 2026-01-31 or 2026-01-31T09:00Z, in UTC."
        )
        parser.add_argument("--until", metavar="TIME", help="Before this time.")
        parser.add_argument(
            "--region", default="", metavar="CODE", help="Country (ISO 3166) of numbers written without +."
        )
        parser.add_argument("--out", required=True, metavar="FILE", help="File to write; must not exist.")
        parser.add_argument(
            "--format", choices=["bundle", "csv", "twilio", "receipt"], default="bundle", help="Default: %(default)s."
        )
        parser.add_argument(
            "--pdf", action="store_true", help="Format bundle: each page as PDF too (needs the extra pdf)."
        )
        parser.add_argument(
            "--pages",
            type=int,
            default=bundle.PAGES,
            metavar="N",
            help="Format bundle, by period alone: at most N pages. Default: %(default)s.",
        )
        parser.add_argument(
            "--sender-id", default="", metavar="ID", help="Format twilio: Messaging Service SID, or number."
        )
        self.add_who_and_why(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        selection, out = self._selection(options), Path(options["out"])
        try:
            with self.progress("bytes written") as progress, _new_file(out) as file:
                watched = cast(BinaryIO, _Watched(file, progress))
                export = _writer(options)(watched, selection, options["reason"], options["by"])
        except FileExistsError:
            raise CouldNotLook(f"{out} is there already.") from None
        except NothingToExport as error:
            raise Found(f"{str(error).rstrip('.')}. Nothing was written.") from None
        except (ImproperlyConfigured, ValueError, OSError) as error:
            raise CouldNotLook(f"{str(error).rstrip('.')}. Nothing was written.") from None
        self.data |= {
            "file": str(out),
            "format": export.format,
            "rows": export.rows,
            "bytes": export.size,
            "sha256": export.sha256,
            "counts": export.counts,
        }
        self.stdout.write(_summary(export, out))

    def _selection(self, options: dict[str, Any]) -> Selection:
        since, until = _moment("since", options["since"]), _moment("until", options["until"])
        try:
            if options["user_id"]:
                return Selection.of_account(options["user_id"], since=since, until=until)
            if options["user"]:
                return Selection.of_user(_user(options["user"]), since=since, until=until)
            return Selection(recipients=_recipients(options), since=since, until=until)
        except ValueError as error:
            raise CouldNotLook(str(error)) from None


def _writer(options: dict[str, Any]) -> Callable[..., Export]:
    writers: dict[str, Callable[..., Export]] = {
        "bundle": partial(bundle.write, pdf=options["pdf"], page_limit=options["pages"]),
        "csv": spreadsheet.write,
        "twilio": partial(receipts.write_twilio, sender_id=options["sender_id"]),
        "receipt": receipts.write_receipts,
    }
    return writers[options["format"]]


def _summary(export: Export, out: Path) -> str:
    lines = [f"{out}: {export.rows} rows, {export.size} bytes, SHA-256 {export.sha256}"]
    counts = export.counts
    if counts and counts["recipients"] > counts["pages"]:
        lines.append(f"Pages were made for {counts['pages']} of {counts['recipients']} recipients (--pages).")
    if counts and counts["unsealed"]:
        lines.append(f"{counts['unsealed']} events are under no seal yet (seal_ledger).")
    return "\n".join(lines)


def _recipients(options: dict[str, Any]) -> tuple[Recipient, ...] | None:
    """Whose numbers the arguments name; ``None`` where they name none. Raises ``ValueError``."""
    region = options["region"]
    if options["numbers"]:
        return read_numbers(_lines(options["numbers"]), region=region)
    if options["recipient"]:
        try:
            return read_numbers(options["recipient"], region=region)
        except ValueError as error:
            raise CouldNotLook(str(error).replace("line", "recipient")) from None
    return None


def _lines(file: str) -> list[str]:
    try:
        return (sys.stdin.read() if file == "-" else Path(file).read_text("utf-8-sig")).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CouldNotLook(f"The list of numbers cannot be read: {error}") from None


def _user(name: str) -> Any:
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist:
        raise CouldNotLook(f"There is no account {name!r}. Of a deleted one, give the key (--user-id).") from None


def _moment(name: str, text: str | None) -> datetime | None:
    """The time that ``text`` says, in UTC unless it says otherwise."""
    if not text:
        return None
    try:
        day, moment = parse_date(text), parse_datetime(text)
    except ValueError:  # the 31st of February
        day = moment = None
    if day:
        return datetime.combine(day, time(), UTC)
    if moment is None:
        raise CouldNotLook(f"--{name}: write 2026-01-31 or 2026-01-31T09:00Z.")
    return moment if is_aware(moment) else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Watched:
    """A file whose size is shown as it grows."""

    file: BinaryIO
    progress: Progress

    def write(self, data: bytes) -> int:
        count = self.file.write(data)
        self.progress(self.file.tell())
        return count

    def flush(self) -> None:
        self.file.flush()


@contextmanager
def _new_file(out: Path) -> Iterator[BinaryIO]:
    """A file that is at ``out`` once it is whole, and nowhere if writing fails. Raises ``FileExistsError``."""
    if out.exists():
        raise FileExistsError(out)
    # SECURITY: readable by its owner alone, from the first byte on.
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        # Claimed first: another run may have written it meanwhile, and replacing would take that evidence away.
        os.close(os.open(out, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.replace(name, out)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)
