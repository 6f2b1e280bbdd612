"""What a person is told of an answer that was not right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..backends.handler import backends
from ..choices import LINK_CHANNELS, Channel, CheckOutcome, Purpose, RedeemProblem
from ..conf import settings
from ..core.codes import TOTP_DIGITS, CodeProblem
from ..exceptions import FactorHeld, FactorNotFound, NotRedeemable, RateLimited, site_message

if TYPE_CHECKING:
    from .results import Checked


def message_for(checked: Checked) -> str:
    """Return the sentence for the user, in the active language; ``""`` for an answer that was right.

    The verification knows what was answered: a code, a link, an authenticator app, a phone or a passkey.
    """
    verification = checked.verification
    if verification.channel in LINK_CHANNELS:
        return link_sentence_for(checked)
    if not verification.is_challenge:
        return sentence_for(checked)
    if verification.purpose == Purpose.ENROLL and verification.channel == Channel.TOTP:
        factor = verification.factor
        return app_enrollment_sentence(checked, length=(factor.digits if factor else 0) or TOTP_DIGITS)
    return challenge_sentence_for(checked)


OUTCOME_PARAMS: Mapping[str, tuple[str, ...]] = {
    CheckOutcome.WRONG.value: ("left",),
    CheckOutcome.MALFORMED.value: ("length",),
}
"""Placeholders that a text of the site's for an outcome may hold: tries that are left, and digits of a code."""


def _site_sentence(checked: Checked, *, length: int) -> str:
    """The site's own sentence (``TWILIO_VERIFY_ERROR_MESSAGES``), of this channel or of all; ``""`` if it has none."""
    outcome, channel = checked.outcome.value, checked.verification.channel
    if outcome == CheckOutcome.APPROVED:
        return ""
    text = str(site_message(f"{channel}.{outcome}"))
    if not text and (channel, outcome) != (Channel.PASSKEY, CheckOutcome.MALFORMED):  # of a passkey nothing is typed
        text = str(site_message(outcome))
    return text % {"left": checked.checks_left, "length": length} if outcome in OUTCOME_PARAMS else text


def sentence_for(checked: Checked) -> str:
    """The sentence beside the code field, in the active language. Empty for an answer that was right."""
    length = settings.service(checked.verification.backend).code_length
    return _site_sentence(checked, length=length) or _sentence(checked)


def _sentence(checked: Checked) -> str:
    if checked.outcome == CheckOutcome.MALFORMED:
        return _malformed(checked)
    if checked.outcome == CheckOutcome.WRONG:
        verification = checked.verification
        is_replaced = verification.sends > 1 and not backends[verification.backend].same_code_on_resend
        return _wrong_or_replaced(checked.checks_left) if is_replaced else _wrong(checked.checks_left)
    return {
        CheckOutcome.EXPIRED: _("This code has expired. Ask for a new one."),
        CheckOutcome.NO_CHECKS_LEFT: _("Too many wrong codes. You can ask for a new code later, or try another way."),
        CheckOutcome.CLOSED: _("This code is no longer valid. Ask for a new one."),
        CheckOutcome.IN_PROGRESS: _(
            "We are still checking the code that you entered before. Wait a moment and try again."
        ),
        CheckOutcome.ALREADY_APPROVED: _("This code has already been used. You are verified."),
        CheckOutcome.NOT_OPENED: _(
            "Your mobile network has not confirmed anything yet. Switch Wi-Fi off, open the check on the phone, and "
            "wait until it says that it is done."
        ),
        CheckOutcome.LINK_FAILED: _("Your mobile network could not confirm the number. Go on by another way."),
        CheckOutcome.WRONG_ANSWER_TYPE: _(
            "No code was sent for this: your mobile network is asked. Check the phone below."
        ),
        CheckOutcome.PAYMENT_CHANGED: _("The amount or the payee has changed since the code was sent. Start again."),
        CheckOutcome.FACTOR_GONE: FactorNotFound().user_message,
    }.get(checked.outcome) or _blocked(checked.outcome)


def _blocked(outcome: CheckOutcome) -> str:
    """The sentence for an answer that was not judged because of wrong ones before it."""
    return {
        CheckOutcome.HELD: FactorHeld().user_message,
        CheckOutcome.TOO_SOON: str(site_message("guesses") or RateLimited.user_messages["guesses"]),
    }.get(outcome, "")


def link_sentence_for(checked: Checked) -> str:
    """As ``sentence_for``, of a question after a link: nobody has typed anything."""
    said = _site_sentence(checked, length=0) or {
        CheckOutcome.EXPIRED: _("This check has expired."),
        CheckOutcome.NO_CHECKS_LEFT: _("There were too many tries. Try again later, or another way."),
        CheckOutcome.CLOSED: _("This check is over. Start again, or go on another way."),
        CheckOutcome.IN_PROGRESS: _("We are still asking your mobile network. Wait a moment and try again."),
    }.get(checked.outcome)
    return said or sentence_for(checked)


def challenge_sentence_for(checked: Checked) -> str:
    """What is told of an answer of an authenticator app, a phone or a passkey that was not right, in the active
    language. Empty for one that was.
    """
    channel = Channel(checked.verification.channel)
    if said := _site_sentence(checked, length=_app_length(checked) if channel == Channel.TOTP else _PUSH_DIGITS):
        return said
    by_kind = {Channel.TOTP: _app_sentence, Channel.PASSKEY: _passkey_sentence}.get(channel, _phone_sentence)
    return by_kind(checked) or _blocked(checked.outcome) or _any_sentence(checked.outcome)


def lost_sentence(channel: str) -> str:
    """That a device is not known any more."""
    said = site_message(f"{channel}.{CheckOutcome.FACTOR_GONE}") or site_message(CheckOutcome.FACTOR_GONE.value)
    return (
        str(said)
        or {
            Channel.TOTP: _("This authenticator app is not set up any more. Go on another way, and set it up again."),
            Channel.PASSKEY: _("This passkey is not known any more. Go on another way, and make a new one."),
        }.get(Channel(channel))
        or _("This phone is not set up any more. Go on another way, and set it up again.")
    )


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
        CheckOutcome.NO_CHECKS_LEFT: _("Too many wrong codes. Try again later, or try another way."),
        CheckOutcome.EXPIRED: _("This took too long. Enter the code that your app shows now."),
        CheckOutcome.FACTOR_GONE: lost_sentence(Channel.TOTP),
    }.get(checked.outcome, "")


_PUSH_DIGITS = 2
"""Of the number that a phone shows."""


def _app_length(checked: Checked) -> int:
    factor = checked.verification.factor
    return (factor.digits if factor else 0) or TOTP_DIGITS


def _app_malformed(checked: Checked) -> str:
    length = _app_length(checked)
    return {
        CodeProblem.MISSING.value: _("Enter the code that your authenticator app shows."),
        CodeProblem.TOO_SHORT.value: _("The code has %(length)s digits: some are missing.") % {"length": length},
        CodeProblem.TOO_LONG.value: _("The code has %(length)s digits: these are too many.") % {"length": length},
    }.get(checked.reason) or _("The code has digits only.")


def _phone_sentence(checked: Checked) -> str:
    if checked.outcome == CheckOutcome.WAITING and checked.reason == "number":
        return _("Enter the number that your phone shows.")
    return {
        CheckOutcome.WAITING: _("Your phone has not said yes so far. Answer on the phone, then press the button."),
        CheckOutcome.MALFORMED: _("The number has two digits."),
        CheckOutcome.WRONG: _(
            "This is not the number that your phone shows, so the request is over. Ask your phone again."
        ),
        CheckOutcome.DENIED: _("The answer on the phone was no."),
        CheckOutcome.EXPIRED: _("Nobody answered on the phone in time. Ask your phone again."),
        CheckOutcome.FACTOR_GONE: lost_sentence(Channel.PUSH),
        CheckOutcome.CLOSED: _("This request is over. Ask your phone again."),
        CheckOutcome.IN_PROGRESS: _("We are still asking your phone. Wait a moment and try again."),
    }.get(checked.outcome, "")


def _passkey_sentence(checked: Checked) -> str:
    return {
        CheckOutcome.WRONG: _("This passkey could not be confirmed. Try again, or try another way."),
        CheckOutcome.MALFORMED: _("Your browser did not hand over a passkey. Try again, or try another way."),
        CheckOutcome.EXPIRED: _("This took too long. Try your passkey again."),
        CheckOutcome.CLOSED: _("This request is over. Try your passkey again."),
        CheckOutcome.FACTOR_GONE: lost_sentence(Channel.PASSKEY),
    }.get(checked.outcome, "")


def _any_sentence(outcome: CheckOutcome) -> str:
    """For what reads the same of every kind, and for what cannot become of one."""
    if outcome == CheckOutcome.APPROVED:
        return ""
    return {
        CheckOutcome.ALREADY_APPROVED: _("This has been confirmed already."),
        CheckOutcome.NO_CHECKS_LEFT: _("There were too many tries. Try again later, or another way."),
        CheckOutcome.IN_PROGRESS: _("We are still checking your answer before this one. Wait a moment and try again."),
        CheckOutcome.PAYMENT_CHANGED: _("The amount or the payee has changed since you were asked. Start again."),
    }.get(outcome) or _("This could not be confirmed. Try again, or try another way.")


def app_enrollment_sentence(checked: Checked, *, length: int) -> str:
    """As ``sentence_for``, of the first code of an authenticator app, which has ``length`` digits."""
    if site_sentence := _site_sentence(checked, length=length):
        return site_sentence
    if checked.outcome == CheckOutcome.MALFORMED:
        return _malformed_in_app(checked.reason, length)
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
        CheckOutcome.NO_CHECKS_LEFT: _("Too many wrong codes. Start again, with a new QR code."),
        CheckOutcome.CLOSED: _(
            "Setting up was started anew, or canceled. Go on where you started anew, or start again."
        ),
        CheckOutcome.FACTOR_GONE: _("What you were setting up was removed meanwhile. Start again."),
        CheckOutcome.REPLAYED: _("This code was used already. Wait until the app shows the next one."),
    }.get(checked.outcome)
    return said or _sentence(checked)


def redeem_sentence(problem: RedeemProblem) -> str:
    """Why an approval could not be used, in the active language."""
    return NotRedeemable(problem.value).user_message


def _malformed(checked: Checked) -> str:
    problem, length = checked.reason, settings.service(checked.verification.backend).code_length
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


def _wrong_or_replaced(left: int) -> str:
    """As ``_wrong``, where a resend has replaced the code of an earlier message."""
    return ngettext(
        "This is not the newest code. Enter the one in our latest message. You have %(left)s try left.",
        "This is not the newest code. Enter the one in our latest message. You have %(left)s tries left.",
        left,
    ) % {"left": left}
