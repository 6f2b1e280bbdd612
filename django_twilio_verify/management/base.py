"""The base class of every management command: exit codes, JSON and progress.

A command exits with 0 when all is well, with 1 when it found something to act on, and with 2 when it could not look:
a wrong argument or setting, a provider or a database that does not answer.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.core.serializers.json import DjangoJSONEncoder
from django.db import InterfaceError, OperationalError, ProgrammingError

from ..exceptions import BackendError, InvalidRecipient
from ..ledger.addressees import Addressee
from .progress import Progress

FOUND = 1
COULD_NOT_LOOK = 2


class Found(Exception):
    """The command did its work and found something to act on. The message says what, without personal data."""


class CouldNotLook(Exception):
    """The command could not do its work. The message says why and what to do, without personal data."""


class VerifyCommand(BaseCommand):
    """A command that fills ``data`` and writes words to ``stdout``, or raises ``Found`` or ``CouldNotLook``.

    With ``--json``, words go to standard error, and standard output gets ``data`` alone, also when the command failed.
    ``call_command`` raises ``CommandError`` with the exit code as ``returncode``.

    Attributes:
        could_not: Further exceptions that mean "could not look"; their messages are shown.
        is_json: Whether ``--json`` was given.
        data: What ``--json`` prints, beside ``command``, ``result`` and ``message``. Holds no whole recipient.
    """

    could_not: tuple[type[Exception], ...] = ()
    data: dict[str, Any]
    is_json: bool

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        self._name = subcommand
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument("--json", action="store_true", help="Print one JSON object; words go to standard error.")
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except Exception as error:
            # SECURITY: Python would exit with 1, and a crash would pass for a finding.
            sys.excepthook(type(error), error, error.__traceback__)
            sys.exit(getattr(error, "returncode", COULD_NOT_LOOK))

    def execute(self, *args: Any, **options: Any) -> None:
        self.data = {}
        self.is_json = options["json"]
        answer = OutputWrapper(options["stdout"]) if options.get("stdout") else self.stdout
        if self.is_json:
            # Django writes there too, as of migrations that are not applied.
            options["stdout"] = options.get("stderr") or sys.stderr
        result, error = self._result(args, options)
        if self.is_json:
            told = {"command": self._name, "result": result, "message": str(error or "")}
            answer.write(json.dumps({**told, **self.data}, indent=2, cls=DjangoJSONEncoder))
        if error is not None:
            raise error

    def _result(self, args: Sequence[Any], options: dict[str, Any]) -> tuple[str, CommandError | None]:
        common = (CouldNotLook, ImproperlyConfigured, BackendError, InvalidRecipient)
        could_not: tuple[type[Exception], ...] = (*common, *self.could_not)
        try:
            super().execute(*args, **options)
        except Found as found:
            return "found", _command_error(str(found), FOUND, found)
        except CommandError as error:  # system checks, for one
            error.returncode = COULD_NOT_LOOK
            return "could_not_look", error
        except could_not as error:
            return "could_not_look", _command_error(str(error), COULD_NOT_LOOK, error)
        except (OperationalError, ProgrammingError, InterfaceError) as error:
            # SECURITY: no other database errors. Those quote values of rows.
            message = f"The database cannot be used (has migrate been run?): {error}".strip()
            return "could_not_look", _command_error(message, COULD_NOT_LOOK, error)
        return "fine", None

    @contextmanager
    def progress(self, unit: str, total: int = 0) -> Iterator[Progress]:
        """Show how far the command is, on a terminal only.

        Args:
            unit: What is counted, as in "rows".
            total: How many there are; 0 if unknown.
        """
        drawn = Progress(self.stderr, unit, total)
        try:
            yield drawn
        finally:
            drawn.clear()


def _command_error(message: str, returncode: int, cause: Exception) -> CommandError:
    error = CommandError(message, returncode=returncode)
    error.__cause__ = cause
    return error


class EvidenceCommand(VerifyCommand):
    """A command about one recipient or about evidence, which asks who runs it and why."""

    requires_migrations_checks = True
    could_not: tuple[type[Exception], ...] = (ValueError,)

    def add_recipient(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "recipient", metavar="RECIPIENT", help="Phone number or email address; - reads it from standard input."
        )
        parser.add_argument("--region", default="", metavar="CODE", help="Country (ISO 3166) of a number without +.")

    def add_who_and_why(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reason", required=True, metavar="TEXT", help="Why; kept in the audit event.")
        parser.add_argument("--by", required=True, metavar="NAME", help="Who runs it; kept in the audit event.")

    def addressee(self, options: dict[str, Any]) -> Addressee:
        """Return the recipient that the arguments name. Standard input keeps it out of the shell's history."""
        raw = options["recipient"]
        found = Addressee.of(sys.stdin.readline() if raw == "-" else raw, region=options["region"])
        self.data["recipient"] = found.recipient.masked if found.recipient else ""
        return found
