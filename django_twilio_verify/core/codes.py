"""Codes as people type them: cleaned, never guessed at."""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

MIN_LENGTH, MAX_LENGTH = 4, 10  # what Verify's CodeLength allows
TOTP_DIGITS = 6
"""Digits of an authenticator app's code where the factor does not say (RFC 6238, and Verify's default)."""

_NOISE = re.compile(r"[\s\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff.\-\u2010-\u2015\u2212]+")
_PREFIX = re.compile(r"^[Gg](?=\d)")  # the "G-" that some senders print before the digits


def make_code(length: int) -> str:
    """Make a code of ``length`` random digits."""
    return "".join(secrets.choice("0123456789") for _ in range(length))


class CodeProblem(StrEnum):
    """Why what was typed is not a code."""

    MISSING = "missing"
    NOT_DIGITS = "not_digits"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NOT_LIKE_OURS = "not_like_ours"  # of a code that the site made itself: no 4 to 10 letters and digits


@dataclass(frozen=True, slots=True)
class TypedCode:
    """What was typed, cleaned: ``digits`` holds ASCII digits if ``problem`` is ``None``, else it is empty."""

    digits: str
    problem: CodeProblem | None = None

    def __repr__(self) -> str:
        return f"<TypedCode problem={self.problem}>"  # SECURITY: codes never reach a traceback

    @classmethod
    def parse(cls, typed: str, *, length: int) -> TypedCode:
        """Read ``typed`` as a code of ``length`` digits.

        Spaces, hyphens, dots, a leading ``G-`` and digits of other scripts or widths are accepted; it stays text, so
        leading zeros count.
        """
        text = _PREFIX.sub("", _NOISE.sub("", unicodedata.normalize("NFKC", typed[:200])))
        if not text:
            return cls("", CodeProblem.MISSING)
        if not text.isdecimal():
            return cls("", CodeProblem.NOT_DIGITS)
        digits = "".join(str(unicodedata.decimal(char)) for char in text)
        if len(digits) < length:
            return cls("", CodeProblem.TOO_SHORT)
        if len(digits) > length:
            return cls("", CodeProblem.TOO_LONG)
        return cls(digits)

    @classmethod
    def parse_custom(cls, typed: str) -> TypedCode:
        """Read ``typed`` as a code that the site made itself (``SendOptions.custom_code``): 4 to 10 letters or digits.

        ``digits`` holds it in capitals: telephones write the first letter large by themselves.
        """
        text = _NOISE.sub("", unicodedata.normalize("NFKC", typed[:200])).upper()
        if not text:
            return cls("", CodeProblem.MISSING)
        if not (text.isascii() and text.isalnum() and MIN_LENGTH <= len(text) <= MAX_LENGTH):
            return cls("", CodeProblem.NOT_LIKE_OURS)
        return cls(text)
