"""What a person is told of an answer that was not right."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..choices import CheckOutcome
from ..codes import CodeProblem
from ..conf import settings
from ..results import Checked


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
    }.get(checked.outcome, "")


def _malformed(problem: str) -> str:
    length = settings.code_length
    if problem == CodeProblem.MISSING:
        return _("Enter the code that we sent.")
    if problem == CodeProblem.TOO_SHORT:
        return _("The code has %(length)s digits: some are missing.") % {"length": length}
    if problem == CodeProblem.TOO_LONG:
        return _("The code has %(length)s digits: these are too many.") % {"length": length}
    return _("The code has digits only.")


def _wrong(left: int) -> str:
    return ngettext(
        "This is not the code that we sent. You have %(left)s try left.",
        "This is not the code that we sent. You have %(left)s tries left.",
        left,
    ) % {"left": left}
