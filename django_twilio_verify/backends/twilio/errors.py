"""Twilio's error numbers in our words: which of them are answers, and which answers.

The numbers and their meanings: https://www.twilio.com/docs/verify/api/error-codes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ...choices import FactorKind
from ...exceptions import BackendError, BackendRejected, BackendUnavailable, Sentence, site_message
from ..factor_results import ChallengeStatus, FactorStatus, ProviderChallenge, ProviderFactor
from ..options import SendOptions
from ..results import ProviderCheck, ProviderStatus
from .error_table import (
    ALREADY_THERE,
    CHALLENGE_NOT_FOUND,
    LINK_PENDING,
    NOT_FOUND,
    SENDS_USED_UP,
    SILENT,
    TABLE,
    Reaction,
    Row,
)

__all__ = [
    "ALREADY_THERE",
    "TABLE",
    "DeliveryMeaning",
    "Reaction",
    "Row",
    "Unanswered",
    "VerifyError",
    "called",
    "check_of",
    "delivery_meaning",
    "error_for",
    "in_some_language",
    "judged",
    "row_for",
    "standing",
    "status_of",
]

logger = logging.getLogger("django_twilio_verify")


T = TypeVar("T")


class VerifyError(Exception):
    """Twilio, or who stands in for it, said no. Never leaves the backends.

    ``status``: of HTTP; ``code``: Twilio's number, 0 if it gave none; ``message``: its sentence.
    SECURITY: that repeats numbers and codes, so it is in neither ``str()`` nor ``args``.
    """

    def __init__(self, status: int, code: int, message: str = "") -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(status, code)


class Unanswered(Exception):
    """No answer that makes sense. ``may_have_been_done``: the request was written, and may have been
    carried out.
    """

    def __init__(self, *, may_have_been_done: bool) -> None:
        self.may_have_been_done = may_have_been_done
        super().__init__()


_NOT_SPOKEN = frozenset({60229, 60242, 60331})  # no such translation, WhatsApp template, voice
_PARAMETERS = {"To": Reaction.RECIPIENT, "Code": Reaction.CODE}
_NAMED = re.compile(r"\b(To|Code)\b")  # Twilio's own capitals: "Invalid parameter `To`: …"

_WORDS = {
    "pending": ProviderStatus.PENDING,
    "approved": ProviderStatus.APPROVED,
    "canceled": ProviderStatus.CANCELED,
    "max_attempts_reached": ProviderStatus.EXHAUSTED,
    # Named in the API's text, never seen in an answer: such verifications are a 404 in practice.
    "expired": ProviderStatus.GONE,
    "deleted": ProviderStatus.GONE,
    "failed": ProviderStatus.GONE,
}


def status_of(word: object) -> ProviderStatus:
    """What Twilio's ``status`` means. SECURITY: only the very word ``approved`` is proof; ``valid``
    is not read.
    """
    known = _WORDS.get(word) if isinstance(word, str) else None
    return known or ProviderStatus.UNKNOWN


def check_of(word: object, sid: str, link_errors: tuple[int, ...] = ()) -> ProviderCheck:
    """The judgement that Twilio's ``status`` and the numbers of openings that failed make."""
    # The last opening may be under way: as long as Twilio names a link that is not opened yet, none of them is final.
    failed = bool(link_errors) and LINK_PENDING not in link_errors
    return ProviderCheck(status_of(word), sid, link_failed=failed, link_errors=link_errors)


def row_for(status: int, code: int) -> Row:
    """The row of an error; one not in the table is judged by its family or by its HTTP status."""
    if code in TABLE:
        return TABLE[code]
    if 60500 <= code < 60550:
        return SILENT  # Twilio adds to these, and asks not to tell them apart
    if status >= 500:
        return Row(Reaction.TRANSIENT, "Twilio had an error of its own.")
    if status == 401:
        return Row(Reaction.OPERATOR, "Twilio refuses the credentials.", elsewhere=False)
    if status == 403:
        return Row(Reaction.OPERATOR, "Twilio forbids the request.")
    if status == 404:
        return TABLE[NOT_FOUND]
    if status == 429:
        return Row(Reaction.WAIT, "Too many requests.")
    return Row(Reaction.BUG, "Twilio refused for a reason that this version does not know.")


def standing(status: int, code: int) -> ProviderStatus | None:
    """What an error says of a verification that was asked about, ``None`` if it says nothing of
    it.
    """
    reaction = row_for(status, code).reaction
    if reaction is Reaction.GONE:
        return ProviderStatus.GONE
    return ProviderStatus.EXHAUSTED if reaction is Reaction.EXHAUSTED else None


def error_for(status: int, code: int = 0, message: str = "", channel: str = "") -> BackendError:
    """The exception for an error of Twilio's, after a line in the log for the operator.

    ``status``: of HTTP; ``code``: Twilio's number, 0 if it gave none; ``message``: its sentence,
    read only for the name of a parameter; ``channel``: the one that was asked for. Returns ``BackendUnavailable`` or
    ``BackendRejected``, to be raised by the caller.
    """
    row = row_for(status, code)
    named = _NAMED.search(message) if row.reaction is Reaction.PARAMETER else None
    if named:
        row = row._replace(reaction=_PARAMETERS[named[1]])
    # SECURITY: Twilio's message is not logged: it repeats numbers and codes.
    logger.log(row.reaction.level, "Twilio error %s (HTTP status %s): %s", code or "-", status, row.sentence)
    if row.reaction is Reaction.TRANSIENT:
        # An answer of 5xx may come after the message went out: there is no idempotency key to ask
        # by.
        return BackendUnavailable(may_have_been_done=True, provider_code=code)
    return BackendRejected(
        row.reaction.key,
        provider_code=code,
        try_another_channel=row.another_way,
        channel_off=row.channel_off(channel),
        retry=row.retry,
        sends_used_up=code == SENDS_USED_UP,
        not_found=code == NOT_FOUND,
    )


@dataclass(frozen=True, slots=True)
class DeliveryMeaning:
    """What a report of a message that was taken and did not arrive means.

    ``opted_out``: the recipient told the sender to stop, which is a withdrawal of consent. ``try_another_channel``:
    another channel may reach the user. ``sentence``: for the user; ``operator``: for the log. Both may be shown:
    neither holds anything of the message.
    """

    opted_out: bool
    try_another_channel: bool
    sentence: Sentence
    operator: str


def delivery_meaning(code: int) -> DeliveryMeaning:
    """What the ``error_code`` of an attempt or of an event means. Any number may come, also one that nobody knows."""
    row = TABLE.get(code) or Row(Reaction.UNDELIVERED, "Not delivered, for a reason that this version does not know.")
    sentences = BackendRejected.user_messages
    # A carrier that had an error is told of like a message that was lost.
    key = row.reaction.key if row.reaction.key in sentences else "undelivered"
    sentence = site_message(key) or sentences[key]
    return DeliveryMeaning(row.reaction is Reaction.OPTED_OUT, row.another_way, sentence, row.sentence)


def called(action: Callable[[], T], channel: str = "") -> T:
    """What ``action`` returns; its ``VerifyError`` or ``Unanswered`` becomes a ``BackendError``. ``channel``: the one
    that is asked for.
    """
    try:
        return action()
    except (VerifyError, Unanswered) as error:
        failure = _failure(error, channel)
    # SECURITY: outside the `except`, so that the traceback begins here: neither Twilio's message
    # nor the SDK's frames, with their numbers and codes, come along, not even as the context.
    raise failure


def in_some_language(send: Callable[[SendOptions], T], options: SendOptions) -> T:
    """What ``send`` returns for ``options``, or without their locale if that is not spoken.

    Nothing was sent by a request that was refused so, so asking again is safe.
    """
    if options.locale:
        try:
            return send(options)
        except VerifyError as error:
            if error.status != 404 and error.code not in _NOT_SPOKEN:
                raise
        # 404 is documented for a language that Verify does not speak (verify/supported-languages). If it was the
        # Service that is missing, the second request ends in a 404 as well.
    return send(options.without("locale"))


def judged(action: Callable[[], ProviderCheck], sid: str = "") -> ProviderCheck:
    """As ``called``, for a question about the verification ``sid``: that it is gone or used up is
    an answer.
    """
    try:
        return action()
    except (VerifyError, Unanswered) as error:
        if isinstance(error, VerifyError) and (answer := standing(error.status, error.code)):
            return ProviderCheck(answer, sid, error.code)
        failure = _failure(error)
    raise failure


def _failure(error: VerifyError | Unanswered, channel: str = "") -> BackendError:
    if isinstance(error, Unanswered):
        return BackendUnavailable(may_have_been_done=error.may_have_been_done)
    return error_for(error.status, error.code, error.message, channel)


KINDS: Mapping[str, FactorKind] = {
    "totp": FactorKind.TOTP,
    "push": FactorKind.PUSH,
    "passkeys": FactorKind.PASSKEY,
}
TYPES: Mapping[FactorKind, str] = {kind: word for word, kind in KINDS.items()}
"""Our kinds, and Twilio's ``FactorType``."""

_NOT_FOUND = frozenset({NOT_FOUND, 60390, CHALLENGE_NOT_FOUND, 60392})
"""Factor, challenge, entity; the documentation has the general number and, newer, one for each."""
_UNACCEPTABLE = frozenset({*range(60374, 60384), *range(60385, 60389)} - {60382})
"""What a browser's answer can be wrong in: id, attachment, authenticator data, client data, signature, attestation. The
settings of the relying party (60371 to 60373, 60382, 60384, 60393) are the operator's and not among them.
"""
_WRONG = frozenset({60311, 60324}) | _UNACCEPTABLE

_FACTOR: Mapping[int, FactorStatus] = {
    **dict.fromkeys(_NOT_FOUND, FactorStatus.GONE),
    **dict.fromkeys(_WRONG, FactorStatus.UNVERIFIED),
    60310: FactorStatus.EXHAUSTED,
}
_CHALLENGE: Mapping[int, ChallengeStatus] = {
    **dict.fromkeys(_NOT_FOUND, ChallengeStatus.GONE),
    **dict.fromkeys(_WRONG, ChallengeStatus.PENDING),
    60308: ChallengeStatus.EXHAUSTED,
    60318: ChallengeStatus.GONE,
    60322: ChallengeStatus.ANSWERED,
    60323: ChallengeStatus.EXPIRED,
    60535: ChallengeStatus.GONE,  # as 60318, in newer words
}


def factor_status(word: object) -> FactorStatus:
    """What Twilio's ``status`` of a factor means. SECURITY: only the very word ``verified`` counts."""
    if word in ("verified", "unverified"):
        return FactorStatus(word)
    return FactorStatus.UNKNOWN


def challenge_status(word: object) -> ChallengeStatus:
    """What Twilio's ``status`` of a challenge means. SECURITY: only the very word ``approved`` is proof."""
    if word in ("pending", "approved", "denied", "expired"):
        return ChallengeStatus(word)
    return ChallengeStatus.UNKNOWN


def judged_factor(action: Callable[[], ProviderFactor], sid: str) -> ProviderFactor:
    """As ``errors.called``, for a question about the factor ``sid``: a wrong answer and one too many are answers."""

    def asked() -> ProviderFactor:
        try:
            return action()
        except VerifyError as error:
            status = _standing(error, _FACTOR)
            if status is None:
                raise
            return ProviderFactor(sid, status, provider_code=error.code)

    return called(asked)


def judged_challenge(action: Callable[[], ProviderChallenge], sid: str = "") -> ProviderChallenge:
    """As ``errors.called``, for a question about the challenge ``sid``."""

    def asked() -> ProviderChallenge:
        try:
            return action()
        except VerifyError as error:
            status = _standing(error, _CHALLENGE)
            if status is None:
                raise
            missing = error.code == CHALLENGE_NOT_FOUND
            return ProviderChallenge(sid, status, provider_code=error.code, challenge_missing=missing)

    return called(asked)


def found(action: Callable[[], T]) -> T | None:
    """As ``errors.called``; ``None`` where what was asked about is not there."""

    def asked() -> T | None:
        try:
            return action()
        except VerifyError as error:
            if _is_missing(error):
                return None
            raise

    return called(asked)


def _standing(error: VerifyError, table: Mapping[int, T]) -> T | None:
    # A 404 without a number is a missing resource as well.
    return table.get(NOT_FOUND if _is_missing(error) else error.code)


def _is_missing(error: VerifyError) -> bool:
    return error.code in _NOT_FOUND or (error.status == 404 and not error.code)
