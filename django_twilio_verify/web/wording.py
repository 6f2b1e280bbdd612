"""What a person is told of an answer that was not right."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..choices import CheckOutcome
from ..codes import CodeProblem
from ..conf import settings
from ..results import Checked, RedeemProblem


def sentence_for(checked: Checked) -> str:
    """The sentence beside the code field, in the active language. Empty for an answer that was right."""
    if checked.outcome == CheckOutcome.MALFORMED:
        return _malformed(checked.problem)
    if checked.outcome == CheckOutcome.WRONG:
        return _wrong(checked.checks_left)
    return {
        CheckOutcome.EXPIRED: _("This code has expired. Ask for a new one."),
        CheckOutcome.USED_UP: _("Too many wrong codes. You can ask for a new code later, or try another way."),
        CheckOutcome.CLOSED: _("This code is no longer valid. Ask for a new one."),
        CheckOutcome.BUSY: _("We are still checking the code that you entered before. Wait a moment and try again."),
        CheckOutcome.ALREADY_VERIFIED: _("This code has already been used. You are verified."),
        CheckOutcome.NOT_OPENED: _(
            "Your mobile network has not confirmed anything yet. Switch Wi-Fi off, open the check on the phone, and "
            "wait until it says that it is done."
        ),
        CheckOutcome.LINK_FAILED: _("Your mobile network could not confirm the number. Go on by another way."),
        CheckOutcome.NOT_THIS_WAY: _("No code was sent for this: your mobile network is asked. Check the phone below."),
        CheckOutcome.CHANGED: _("The amount or the payee has changed since the code was sent. Start again."),
    }.get(checked.outcome, "")


def link_sentence_for(checked: Checked) -> str:
    """As ``sentence_for``, of a question after a link: nobody has typed anything."""
    said = {
        CheckOutcome.EXPIRED: _("This check has expired."),
        CheckOutcome.USED_UP: _("There were too many tries. Try again later, or another way."),
        CheckOutcome.CLOSED: _("This check is over. Start again, or go on another way."),
        CheckOutcome.BUSY: _("We are still asking your mobile network. Wait a moment and try again."),
    }.get(checked.outcome)
    return said or sentence_for(checked)


def app_enrolment_sentence(checked: Checked, *, length: int) -> str:
    """As ``sentence_for``, of the first code of an authenticator app, which has ``length`` digits."""
    if checked.outcome == CheckOutcome.MALFORMED:
        return _malformed_in_app(checked.problem, length)
    if checked.outcome == CheckOutcome.WRONG:
        return ngettext(
            "This is not the code that the app shows now. Wait for its next one; the phone's clock must be right. You "
            "have %(left)s try left.",
            "This is not the code that the app shows now. Wait for its next one; the phone's clock must be right. You "
            "have %(left)s tries left.",
            checked.checks_left,
        ) % {"left": checked.checks_left}
    said = {
        CheckOutcome.EXPIRED: _("Setting up took too long. Start again."),
        CheckOutcome.USED_UP: _("Too many wrong codes. Start again, with a new QR code."),
        CheckOutcome.CLOSED: _(
            "Setting up was started anew, or canceled. Go on where you started anew, or start again."
        ),
        CheckOutcome.LOST: _("What you were setting up was removed meanwhile. Start again."),
        CheckOutcome.REPLAYED: _("This code was used already. Wait until the app shows the next one."),
    }.get(checked.outcome)
    return said or sentence_for(checked)


def redeem_sentence(problem: RedeemProblem) -> str:
    """Why an approval could not be used, in the active language."""
    return {
        RedeemProblem.NOT_APPROVED: _("This has not been approved yet."),
        RedeemProblem.OTHER_PURPOSE: _("This was approved for something else. Approve it again."),
        RedeemProblem.CHANGED: _("The amount or the payee is not the one that you approved. Nothing was paid."),
        RedeemProblem.TOO_LATE: _("You approved this too long ago. Approve it again."),
        RedeemProblem.USED: _("This approval has been used already. It is good for one payment only."),
    }[problem]


def _malformed(problem: str) -> str:
    length = settings.code_length
    if problem == CodeProblem.MISSING:
        return _("Enter the code that we sent.")
    if problem == CodeProblem.TOO_SHORT:
        return _("The code has %(length)s digits: some are missing.") % {"length": length}
    if problem == CodeProblem.TOO_LONG:
        return _("The code has %(length)s digits: these are too many.") % {"length": length}
    if problem == CodeProblem.NOT_LIKE_OURS:
        return _("This does not look like a code of ours. Enter it as it stands in the message.")
    return _("The code has digits only.")


def _malformed_in_app(problem: str, length: int) -> str:
    if problem == CodeProblem.MISSING:
        return _("Enter the code that the app shows.")
    if problem in (CodeProblem.TOO_SHORT, CodeProblem.TOO_LONG):
        return _("The app shows a code of %(length)s digits. Enter it whole, and nothing else.") % {"length": length}
    return _("The code has digits only.")


def _wrong(left: int) -> str:
    return ngettext(
        "This is not the code that we sent. You have %(left)s try left.",
        "This is not the code that we sent. You have %(left)s tries left.",
        left,
    ) % {"left": left}
