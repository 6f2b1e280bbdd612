"""``manage.py reset_factors``: remove all second factors of a user who lost them, and carry out resets that are due."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.management.base import CommandParser
from django.urls import reverse
from django.utils import timezone

from ...factors import reset_holds, resets
from ...factors.resets import Requested, ResetRefused
from ...login import ended_sessions
from ..base import CouldNotLook, Found, VerifyCommand


class Command(VerifyCommand):
    """Requests a reset of one user's factors, or with ``--due`` carries out those whose time has come: run that every
    few minutes. Safe to run twice, in parallel and to kill.

    SECURITY: no rank is checked: whoever has the site's shell could write to its tables anyway.
    """

    help = "Remove all second factors of a user who lost them, after a delay; with --due, carry out resets now due."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", nargs="?", help="The user whose factors to remove.")
        parser.add_argument("--due", action="store_true", help="Carry out the resets whose time has come.")
        parser.add_argument("--cancel", action="store_true", help="Cancel the user's pending reset.")
        parser.add_argument(
            "--link", action="store_true", help="Send a new enrollment link; print it if the user has no email address."
        )
        parser.add_argument(
            "--reason", default="", metavar="TEXT", help="Who asked, and how you made sure; kept in the audit event."
        )
        parser.add_argument("--by", default="", metavar="NAME", help="Who runs it; kept in the audit event.")
        parser.add_argument("--site", default="", metavar="URL", help="Address of the site, for links in mails.")
        parser.add_argument("--now", action="store_true", help="Without a delay. Needs --yes.")
        parser.add_argument("--yes", action="store_true", help="Confirm --now.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["due"] == bool(options["username"]):
            raise CouldNotLook("Give a user name, or --due.")
        if options["due"]:
            self._carry_out(options["by"] or "reset_factors --due")
            return
        user = _user(options["username"])
        if not options["by"].strip():
            raise CouldNotLook("Say who does it: --by NAME.")
        try:
            if options["cancel"]:
                self._cancel(user, options["by"])
            elif options["link"]:
                self._send_link(user, options["by"])
            else:
                self._request(user, options)
        except ResetRefused as error:
            raise Found(str(error)) from None

    def _carry_out(self, actor: str) -> None:
        due, done = resets.due(), []
        with self.progress("resets", len(due)) as progress:
            for number, pk in enumerate(due, 1):
                if (one := resets.carry_out(pk, actor=actor)) is not None:
                    done.append(one)
                progress(number)
        factors, unmailed = sum(one.factors for one in done), sum(not one.letters for one in done)
        self.data |= {"action": "due", "resets": len(done), "factors": factors, "unmailed": unmailed}
        self.stdout.write(f"{len(done):,} reset(s) carried out, {factors:,} factor(s) removed.")
        self._show_sessions(ended=bool(done))
        if unmailed:
            # SECURITY: no link here: the output of a scheduled command is kept in logs.
            raise Found(f"{unmailed:,} user(s) got no mail: hand over a link from reset_factors USERNAME --link.")

    def _send_link(self, user: AbstractBaseUser, actor: str) -> None:
        reset = reset_holds.standing(user)
        if reset is None:
            raise Found("This user needs no link.")
        sent = resets.send_link(reset.pk, actor=actor)
        self.data |= {"action": "link", "is_mailed": bool(sent.letters), "link": sent.link}
        self._show_link(sent.link, sent.letters)

    def _show_link(self, link: str, letters: int) -> None:
        if link:
            # SECURITY: with --json, words go to standard error, which is kept in logs. The link is in the JSON.
            shown = "it is in the JSON." if self.is_json else f"it is shown once: {link}"
            self.stdout.write(f"The account has no address. Hand this link over, {shown}")
        else:
            self.stdout.write("A link was mailed." if letters else "The link could not be mailed.")

    def _cancel(self, user: AbstractBaseUser, actor: str) -> None:
        reset = resets.pending(user)
        if reset is None or not resets.cancel(reset.pk, actor=actor):
            raise Found("This user has no pending reset.")
        self.data["action"] = "cancel"
        self.stdout.write("Canceled. The user gets a notice.")

    def _request(self, user: AbstractBaseUser, options: dict[str, Any]) -> None:
        if options["now"] and not options["yes"]:
            raise CouldNotLook("--now gives the user no time to object. If you mean it, add --yes.")
        if not _is_site(options["site"]):
            raise CouldNotLook("Give the address of the site, for the links in the mail: --site https://…")
        site = options["site"].rstrip("/")
        try:
            requested = resets.request(
                user,
                reason=options["reason"],
                actor=options["by"],
                at_once=options["now"],
                link=lambda token: site + reverse("twilio_verify:reset_cancel", args=[token]),
                enroll_link=lambda token: site + reverse("twilio_verify:reset_enroll", args=[token]),
            )
        except ValueError as error:  # no reason
            raise CouldNotLook(str(error)) from None
        self._show(requested)

    def _show(self, requested: Requested) -> None:
        self.data |= {
            "action": "request",
            "is_done": requested.done,
            "due_at": requested.reset.due_at,
            "is_mailed": bool(requested.letters),
            "link": requested.link,
        }
        due = f"{timezone.localtime(requested.reset.due_at):%Y-%m-%d %H:%M %Z}"
        self.stdout.write("Done." if requested.done else f"It is done on {due}, by reset_factors --due.")
        self._show_sessions(ended=requested.done)
        if requested.done:
            self._show_link(requested.link, requested.letters)
        if not requested.letters:
            self.stderr.write("No mail went out: tell the user another way.")

    def _show_sessions(self, *, ended: bool) -> None:
        minutes = ended_sessions.minutes_to_end()
        if ended and minutes:
            self.stdout.write(f"Open sessions end within {minutes} minute(s).")


def _user(username: str) -> AbstractBaseUser:
    model = get_user_model()
    try:
        user: AbstractBaseUser = model._default_manager.get_by_natural_key(username)
    except model.DoesNotExist:
        raise CouldNotLook("There is no such user.") from None
    return user


def _is_site(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
