"""What a person is told of an answer that was not right."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..choices import Channel, CheckOutcome
from ..conf import settings
from ..core.codes import CodeProblem
from ..exceptions import FactorHeld, FactorNotFound, RateLimited
from ..factors.totp import TOTP_DIGITS
from ..verifications.results import Checked, RedeemProblem


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
        CheckOutcome.LOST: FactorNotFound().sentence,
    }.get(checked.outcome) or _blocked(checked.outcome)


def _blocked(outcome: CheckOutcome) -> str:
    """The sentence for an answer that was not judged because of wrong ones before it."""
    return {
        CheckOutcome.HELD: FactorHeld().sentence,
        CheckOutcome.TOO_SOON: str(RateLimited.sentences["guesses"]),
    }.get(outcome, "")


def link_sentence_for(checked: Checked) -> str:
    """As ``sentence_for``, of a question after a link: nobody has typed anything."""
    said = {
        CheckOutcome.EXPIRED: _("This check has expired."),
        CheckOutcome.USED_UP: _("There were too many tries. Try again later, or another way."),
        CheckOutcome.CLOSED: _("This check is over. Start again, or go on another way."),
        CheckOutcome.BUSY: _("We are still asking your mobile network. Wait a moment and try again."),
    }.get(checked.outcome)
    return said or sentence_for(checked)


def challenge_sentence_for(checked: Checked) -> str:
    """What is told of an answer of an authenticator app, a phone or a passkey that was not right, in the active
    language. Empty for one that was.
    """
    channel = Channel(checked.verification.channel)
    by_kind = {Channel.TOTP: _app_sentence, Channel.PASSKEY: _passkey_sentence}.get(channel, _phone_sentence)
    return by_kind(checked) or _blocked(checked.outcome) or _any_sentence(checked.outcome)


def lost_sentence(channel: str) -> str:
    """That a device is not known any more."""
    return {
        Channel.TOTP: _("This authenticator app is not set up any more. Go on another way, and set it up again."),
        Channel.PASSKEY: _("This passkey is not known any more. Go on another way, and make a new one."),
    }.get(Channel(channel)) or _("This phone is not set up any more. Go on another way, and set it up again.")


def _app_sentence(checked: Checked) -> str:
    if checked.outcome == CheckOutcome.MALFORMED:
        return _app_malformed(checked)
    if checked.outcome == CheckOutcome.WRONG:
        return ngettext(
            "This is not the code that your app shows now. You have %(left)s try left.",
            "This is not the code that your app shows now. You have %(left)s tries left.",
            checked.checks_left,
        ) % {"left": checked.checks_left}
    return {
        CheckOutcome.REPLAYED: _("This code was used already. Wait until your app shows the next one, and enter that."),
        CheckOutcome.USED_UP: _("Too many wrong codes. Try again later, or try another way."),
        CheckOutcome.EXPIRED: _("This took too long. Enter the code that your app shows now."),
        CheckOutcome.LOST: lost_sentence(Channel.TOTP),
    }.get(checked.outcome, "")


def _app_malformed(checked: Checked) -> str:
    factor = checked.verification.factor
    length = (factor.digits if factor else 0) or TOTP_DIGITS
    return {
        CodeProblem.MISSING.value: _("Enter the code that your authenticator app shows."),
        CodeProblem.TOO_SHORT.value: _("The code has %(length)s digits: some are missing.") % {"length": length},
        CodeProblem.TOO_LONG.value: _("The code has %(length)s digits: these are too many.") % {"length": length},
    }.get(checked.problem) or _("The code has digits only.")


def _phone_sentence(checked: Checked) -> str:
    if checked.outcome == CheckOutcome.WAITING and checked.problem == "number":
        return _("Enter the number that your phone shows.")
    return {
        CheckOutcome.WAITING: _("Your phone has not said yes so far. Answer on the phone, then press the button."),
        CheckOutcome.MALFORMED: _("The number has two digits."),
        CheckOutcome.WRONG: _(
            "This is not the number that your phone shows, so the request is over. Ask your phone again."
        ),
        CheckOutcome.DENIED: _("The answer on the phone was no."),
        CheckOutcome.EXPIRED: _("Nobody answered on the phone in time. Ask your phone again."),
        CheckOutcome.LOST: lost_sentence(Channel.PUSH),
        CheckOutcome.CLOSED: _("This request is over. Ask your phone again."),
        CheckOutcome.BUSY: _("We are still asking your phone. Wait a moment and try again."),
    }.get(checked.outcome, "")


def _passkey_sentence(checked: Checked) -> str:
    return {
        CheckOutcome.WRONG: _("This passkey could not be confirmed. Try again, or try another way."),
        CheckOutcome.MALFORMED: _("Your browser did not hand over a passkey. Try again, or try another way."),
        CheckOutcome.EXPIRED: _("This took too long. Try your passkey again."),
        CheckOutcome.CLOSED: _("This request is over. Try your passkey again."),
        CheckOutcome.LOST: lost_sentence(Channel.PASSKEY),
    }.get(checked.outcome, "")


def _any_sentence(outcome: CheckOutcome) -> str:
    """For what reads the same of every kind, and for what cannot become of one."""
    if outcome == CheckOutcome.APPROVED:
        return ""
    return {
        CheckOutcome.ALREADY_VERIFIED: _("This has been confirmed already."),
        CheckOutcome.USED_UP: _("There were too many tries. Try again later, or another way."),
        CheckOutcome.BUSY: _("We are still checking your answer before this one. Wait a moment and try again."),
        CheckOutcome.CHANGED: _("The amount or the payee has changed since you were asked. Start again."),
    }.get(outcome) or _("This could not be confirmed. Try again, or try another way.")


def app_enrollment_sentence(checked: Checked, *, length: int) -> str:
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
        RedeemProblem.FACTOR_GONE: FactorNotFound().sentence,
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
        return _("Enter the code that your authenticator app shows.")
    if problem in (CodeProblem.TOO_SHORT, CodeProblem.TOO_LONG):
        return _("The app shows a code of %(length)s digits. Enter it whole, and nothing else.") % {"length": length}
    return _("The code has digits only.")


def _wrong(left: int) -> str:
    return ngettext(
        "This is not the code that we sent. You have %(left)s try left.",
        "This is not the code that we sent. You have %(left)s tries left.",
        left,
    ) % {"left": left}
