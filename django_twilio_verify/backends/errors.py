"""Where Twilio's error numbers meet our words.

The numbers, meanings and HTTP statuses are those of Twilio's error dictionary
(https://www.twilio.com/docs/api/errors) and of the Verify API's own list
(https://www.twilio.com/docs/verify/api/error-codes). What to do about each is ours.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple, TypeVar

from ..exceptions import BackendError, BackendRejected, BackendUnavailable
from ..options import SendOptions
from ..results import ProviderCheck, ProviderStatus

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
    """No answer that makes sense. ``perhaps_done``: the request was written, and may have been
    carried out.
    """

    def __init__(self, *, perhaps_done: bool) -> None:
        self.perhaps_done = perhaps_done
        super().__init__()


class Reaction(Enum):
    """What an error means for us."""

    RECIPIENT = "recipient"  # the person can mend it
    LANDLINE = "landline"
    OPTED_OUT = "opted_out"
    CODE = "code"
    WAIT = "wait"
    BLOCKED = "blocked"
    OPERATOR = "operator"
    GONE = "gone"
    EXHAUSTED = "exhausted"
    TRANSIENT = "transient"
    PARAMETER = "parameter"  # which one is in Twilio's message
    BUG = "bug"

    @property
    def key(self) -> str:
        """The key of ``BackendRejected.sentences``; ``""`` for what is ``BackendUnavailable``."""
        return _KEYS[self]

    @property
    def level(self) -> int:
        """The level of the operator's line in the log."""
        if self in (Reaction.OPERATOR, Reaction.GONE, Reaction.PARAMETER, Reaction.BUG):
            return logging.ERROR
        by_the_person = (Reaction.RECIPIENT, Reaction.LANDLINE, Reaction.OPTED_OUT, Reaction.CODE)
        return logging.INFO if self in by_the_person else logging.WARNING


_KEYS = {
    Reaction.RECIPIENT: "recipient",
    Reaction.LANDLINE: "landline",
    Reaction.OPTED_OUT: "opted_out",
    Reaction.CODE: "code",
    Reaction.WAIT: "wait",
    # SECURITY: reads like any other refusal; who is blocked for fraud learns nothing from the
    # answer.
    Reaction.BLOCKED: "cannot_send",
    Reaction.OPERATOR: "misconfigured",
    # To a question, these two are answers (``standing``). To a send, a 404 means that the Service
    # is not there, and 60202 that the old verification has yet to expire.
    Reaction.GONE: "misconfigured",
    Reaction.EXHAUSTED: "wait",
    Reaction.TRANSIENT: "",
    Reaction.PARAMETER: "cannot_send",
    Reaction.BUG: "cannot_send",
}


class Row(NamedTuple):
    """One error: what we do, and a sentence for the operator's log."""

    reaction: Reaction
    sentence: str


_R = Reaction

TABLE: Mapping[int, Row] = {
    # The transport and the account
    20003: Row(_R.OPERATOR, "Authentication failed: look at account_sid, username and password."),
    20005: Row(_R.OPERATOR, "The Twilio account is not active."),
    20006: Row(_R.OPERATOR, "These credentials may not use this resource."),
    20008: Row(_R.OPERATOR, "Test credentials do not work with Verify: use live ones."),
    20010: Row(_R.OPERATOR, "This action is disabled for the Twilio account."),
    20403: Row(_R.OPERATOR, "Twilio forbids this request to these credentials."),
    # Three meanings: a closed verification, an unknown Service, an unknown locale. The caller knows
    # which.
    20404: Row(_R.GONE, "Twilio did not find it: look at service_sid, account_sid and region."),
    20409: Row(_R.BUG, "Twilio reports a conflict with another request."),
    20410: Row(_R.BUG, "Twilio says that the resource is gone for good."),
    20422: Row(_R.PARAMETER, "Twilio did not accept a parameter."),
    20423: Row(_R.BUG, "Twilio did not accept a SID."),
    # Never processed, so it is safe to come back; never done by ourselves, the person does.
    20429: Row(_R.WAIT, "Too many requests: a Service rate limit, or the account's concurrency."),
    20500: Row(_R.TRANSIENT, "Twilio had an error of its own."),
    20503: Row(_R.TRANSIENT, "Twilio is unavailable."),
    # The messaging layer below Verify
    21211: Row(_R.RECIPIENT, "The number is not valid."),
    21217: Row(_R.RECIPIENT, "The number does not look valid."),
    21408: Row(_R.OPERATOR, "Messaging Geo-Permissions do not allow this country."),
    21608: Row(_R.OPERATOR, "A trial account sends only to numbers verified in the Console."),
    # Mostly seen on an attempt, after the send was taken.
    21610: Row(_R.OPTED_OUT, "The recipient has sent STOP to the sender."),
    21614: Row(_R.RECIPIENT, "The number cannot get text messages."),
    575001: Row(_R.OPERATOR, "Verify is not available to this trial account."),
    # Below the channel
    60001: Row(_R.OPERATOR, "A downstream service refused Twilio's credentials."),
    60002: Row(_R.TRANSIENT, "The person's device did not answer in time."),
    60003: Row(_R.TRANSIENT, "A downstream service had no data."),
    60004: Row(_R.OPERATOR, "A downstream service is not configured."),
    60005: Row(_R.TRANSIENT, "The carrier had an error."),
    60006: Row(_R.TRANSIENT, "The carrier did not answer as expected."),
    60007: Row(_R.RECIPIENT, "The carrier does not accept the number."),
    60008: Row(_R.OPERATOR, "The carrier is not supported."),
    # Verifications and checks
    60200: Row(_R.PARAMETER, "Twilio did not accept a parameter."),
    60201: Row(_R.OPERATOR, "The template is not approved."),
    60202: Row(_R.EXHAUSTED, "Five answers were judged; the verification has to expire first."),
    60203: Row(_R.WAIT, "Five messages were sent; the verification has to expire first."),
    60204: Row(_R.OPERATOR, "The feature is not enabled for the Service."),
    60205: Row(_R.LANDLINE, "A landline cannot get text messages."),
    60206: Row(_R.BUG, "The Service is set to PSD2 and wants an amount and a payee."),
    # A burst for one number: a person in a hurry, or somebody pumping.
    60212: Row(_R.WAIT, "Too many concurrent requests for one number."),
    60214: Row(_R.OPERATOR, "Phone calls are not possible while the Service is set to PSD2."),
    60216: Row(_R.OPERATOR, "Twilio could not use the API key of the email integration."),
    60217: Row(_R.OPERATOR, "The Service has no email integration."),
    60218: Row(_R.OPERATOR, "The SendGrid template is not active."),
    60219: Row(_R.OPERATOR, "The SendGrid template lacks the placeholder for the code."),
    60220: Row(_R.OPERATOR, "Messages to China need vetting by Twilio first."),
    60221: Row(_R.BUG, "Neither a recipient nor a verification SID was given."),
    60222: Row(_R.OPERATOR, "The sender of the email is not verified at SendGrid."),
    60223: Row(_R.OPERATOR, "The channel is switched off in the Service."),
    60224: Row(_R.OPERATOR, "Values for the template are missing."),
    60226: Row(_R.OPERATOR, "Messages to China need a friendly name."),
    60227: Row(_R.OPERATOR, "The template does not fit the channel."),
    60228: Row(_R.OPERATOR, "The template was not found."),
    60229: Row(_R.OPERATOR, "The template has no such translation."),
    60230: Row(_R.OPERATOR, "The template cannot be used as it is."),
    60236: Row(_R.RECIPIENT, "The domain of the email address cannot be read."),
    # The deny list is Twilio's or the account's; the person can only use another address.
    60237: Row(_R.RECIPIENT, "The domain of the email address is on a deny list."),
    60238: Row(_R.BLOCKED, "Twilio blocked the verification: account under review, or the country."),
    60239: Row(_R.OPERATOR, "The message cannot be sent as configured."),
    60240: Row(_R.OPERATOR, "The message cannot be sent as configured."),
    60241: Row(_R.OPERATOR, "The message cannot be sent as configured."),
    60242: Row(_R.OPERATOR, "There is no WhatsApp template for this language."),
    60243: Row(_R.OPERATOR, "Custom messages are not enabled."),
    60245: Row(_R.WAIT, "The account's messaging limit is exceeded."),
    60247: Row(_R.OPERATOR, "The message is longer than 500 characters."),
    60248: Row(_R.OPERATOR, "The friendly name holds a restricted word."),
    60250: Row(_R.OPERATOR, "The sender has to be registered for Australia."),
    60252: Row(_R.OPERATOR, "None of the templates can be used."),
    60253: Row(_R.OPERATOR, "The email settings of the Service are incomplete."),
    60329: Row(_R.OPERATOR, "Silent network authentication does not work with PSD2."),
    60331: Row(_R.OPERATOR, "There is no voice for the language of the call."),
    60408: Row(_R.BUG, "A template was given for a channel that takes none."),
    # Blocks by prefix last from five minutes to twelve hours.
    60410: Row(_R.BLOCKED, "Fraud Guard blocks the number's prefix."),
    60412: Row(_R.BLOCKED, "Blocked by Fraudulent Signup Prevention."),
    60550: Row(_R.OPERATOR, "The automatic choice found no channel to use."),
    60602: Row(_R.BUG, "An app hash was given for a channel other than sms."),
    60603: Row(_R.OPERATOR, "The SendGrid account has no credits left."),
    60604: Row(_R.OPERATOR, "The SendGrid API key lacks rights."),
    # Our settings decide which countries are open, so this is an operator's slip as often as an
    # attack.
    60605: Row(_R.BLOCKED, "Verify Geo-Permissions do not allow the country for this channel."),
    # Newer words for older errors
    60623: Row(_R.GONE, "Twilio did not find the verification."),
    60624: Row(_R.WAIT, "The rate limit of a trial account is reached."),
    60626: Row(_R.WAIT, "The rate limit for the number is reached."),
    68008: Row(_R.OPERATOR, "The WhatsApp channel of the Service is not configured."),
}

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


def row_for(status: int, code: int) -> Row:
    """The row of an error; one not in the table is judged by its HTTP status."""
    if code in TABLE:
        return TABLE[code]
    if status >= 500:
        return Row(Reaction.TRANSIENT, "Twilio had an error of its own.")
    if status in (401, 403):
        return Row(Reaction.OPERATOR, "Twilio refuses the credentials or forbids the request.")
    if status == 404:
        return TABLE[20404]
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


def error_for(status: int, code: int = 0, message: str = "") -> BackendError:
    """The exception for an error of Twilio's, after a line in the log for the operator.

    ``status``: of HTTP; ``code``: Twilio's number, 0 if it gave none; ``message``: its sentence,
    read only for the name of a parameter. Returns ``BackendUnavailable`` or ``BackendRejected``, to
    be raised by the caller.
    """
    row = row_for(status, code)
    reaction = row.reaction
    if reaction is Reaction.PARAMETER:
        named = _NAMED.search(message)
        reaction = _PARAMETERS[named[1]] if named else reaction
    # SECURITY: Twilio's message is not logged: it repeats numbers and codes.
    logger.log(reaction.level, "Twilio error %s (HTTP status %s): %s", code or "-", status, row.sentence)
    if reaction is Reaction.TRANSIENT:
        # An answer of 5xx may come after the message went out: there is no idempotency key to ask
        # by.
        return BackendUnavailable(perhaps_done=True, provider_code=code)
    return BackendRejected(reaction.key, provider_code=code)


def called(action: Callable[[], T]) -> T:
    """What ``action`` returns; its ``VerifyError`` or ``Unanswered`` becomes a ``BackendError``."""
    try:
        return action()
    except (VerifyError, Unanswered) as error:
        failure = _failure(error)
    # SECURITY: outside the `except`, so that the traceback begins here: neither Twilio's message
    # nor the SDK's frames, with their numbers and codes, come along, not even as the context.
    raise failure


def in_some_language(send: Callable[[SendOptions], T], options: SendOptions) -> T:
    """What ``send`` returns for ``options``, or without their locale if that is not spoken."""
    if options.locale:
        try:
            return send(options)
        except VerifyError as error:
            if error.status != 404:
                raise
        # Documented for a language that Verify does not speak (verify/supported-languages). Nothing was sent, so
        # asking again is safe; if it was the Service that is missing, this is a 404 as well.
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


def _failure(error: VerifyError | Unanswered) -> BackendError:
    if isinstance(error, Unanswered):
        return BackendUnavailable(perhaps_done=error.perhaps_done)
    return error_for(error.status, error.code, error.message)
