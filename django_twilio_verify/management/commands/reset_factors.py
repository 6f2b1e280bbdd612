"""``manage.py reset_factors``: help back in whoever has lost every factor, and carry out what is due."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse
from django.utils import timezone

from ...factors import reset_holds, resets
from ...factors.resets import Requested, ResetRefused
from ...login import sign_out_everywhere


class Command(BaseCommand):
    """Asks for a reset of one person's factors, or with ``--due`` carries out those whose time has come: run that every
    few minutes. Safe to run twice, in parallel and to kill.

    SECURITY: no rank is asked: whoever has the site's shell could write to its tables anyway.
    """

    help = "Asks for the removal of all second factors of a person who lost them, or carries out what is due."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", nargs="?", help="Whose factors.")
        parser.add_argument("--due", action="store_true", help="Carry out the resets whose time has come.")
        parser.add_argument("--cancel", action="store_true", help="Cancel the reset that is under way.")
        parser.add_argument(
            "--link",
            action="store_true",
            help="Send a new enrollment link; print it if there is no address.",
        )
        parser.add_argument("--reason", default="", help="Who asked and how you made sure: kept in the audit event.")
        parser.add_argument("--by", default="", metavar="NAME", help="Who does it: kept in the audit event.")
        parser.add_argument("--site", default="", metavar="URL", help="Of the site, for the links in the mail.")
        parser.add_argument("--now", action="store_true", help="Not after a delay. Wants --yes.")
        parser.add_argument("--yes", action="store_true", help="With --now: I mean it.")

    def handle(self, **options: Any) -> None:
        if options["due"] == bool(options["username"]):
            raise CommandError("Give a user name, or --due.")
        if options["due"]:
            self._carry_out(options["by"] or "reset_factors --due")
            return
        person = _person(options["username"])
        if not options["by"].strip():
            raise CommandError("Say who does it: --by NAME.")
        if options["cancel"]:
            self._cancel(person, options["by"])
        elif options["link"]:
            self._send_link(person, options["by"])
        else:
            self._request(person, options)

    def _carry_out(self, actor: str) -> None:
        done = [one for pk in resets.due() if (one := resets.carry_out(pk, actor=actor)) is not None]
        factors = sum(one.factors for one in done)
        self.stdout.write(f"{len(done):,} reset(s) carried out, {factors:,} factor(s) removed.")
        if done:
            self._tell_of_sessions()
        if unwritten := sum(not one.letters for one in done):
            # SECURITY: no link here: the output of a scheduled command is kept in logs.
            self.stderr.write(f"{unwritten:,} person(s) got no mail: hand a link over with reset_factors NAME --link.")

    def _send_link(self, person: AbstractBaseUser, actor: str) -> None:
        reset = reset_holds.standing(person)
        if reset is None:
            raise CommandError("This person needs no link.")
        try:
            sent = resets.send_link(reset.pk, actor=actor)
        except ResetRefused as error:
            raise CommandError(str(error)) from None
        self._hand_over(sent.link, sent.letters)

    def _hand_over(self, link: str, letters: int) -> None:
        if link:
            self.stdout.write(f"The account has no address. Hand this link over, it is shown once: {link}")
        else:
            self.stdout.write("A link was mailed." if letters else "The link could not be mailed.")

    def _cancel(self, person: AbstractBaseUser, actor: str) -> None:
        reset = resets.pending(person)
        if reset is None or not resets.cancel(reset.pk, actor=actor):
            raise CommandError("No reset is under way for this person.")
        self.stdout.write("Canceled. The person is told.")

    def _request(self, person: AbstractBaseUser, options: dict[str, Any]) -> None:
        if options["now"] and not options["yes"]:
            raise CommandError("--now gives the person no time to say no. If you mean it, add --yes.")
        if not _is_site(options["site"]):
            raise CommandError("Give the address of the site, for the links in the mail: --site https://…")
        site = options["site"].rstrip("/")
        try:
            requested = resets.request(
                person,
                reason=options["reason"],
                actor=options["by"],
                at_once=options["now"],
                link=lambda token: site + reverse("twilio_verify:reset_cancel", args=[token]),
                enroll_link=lambda token: site + reverse("twilio_verify:reset_enroll", args=[token]),
            )
        except (ResetRefused, ValueError) as error:
            raise CommandError(str(error)) from None
        self._tell(requested)

    def _tell(self, requested: Requested) -> None:
        due = f"{timezone.localtime(requested.reset.due_at):%Y-%m-%d %H:%M %Z}"
        self.stdout.write("Done." if requested.done else f"It is done on {due}, by reset_factors --due.")
        if requested.done:
            self._tell_of_sessions()
            self._hand_over(requested.link, requested.letters)
        if not requested.letters:
            self.stderr.write("No mail went out: tell the person by another way.")

    def _tell_of_sessions(self) -> None:
        minutes = sign_out_everywhere.minutes_to_end()
        if minutes:
            self.stdout.write(f"Open sessions end within {minutes} minute(s).")


def _person(username: str) -> AbstractBaseUser:
    model = get_user_model()
    try:
        person: AbstractBaseUser = model._default_manager.get_by_natural_key(username)
    except model.DoesNotExist:
        raise CommandError("There is no such person.") from None
    return person


def _is_site(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
