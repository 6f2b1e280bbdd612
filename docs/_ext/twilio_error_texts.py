"""What the table of Twilio's errors says in each cell. Apart from the directive, so that a test needs no Sphinx."""

from __future__ import annotations

import logging

from django_twilio_verify.backends.twilio.error_table import ANY_CHANNEL, Reaction, Row
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable, Retry

AGAIN = {
    Retry.NOW: "at once",
    Retry.AFTER_WAIT: "after a while",
    Retry.AFTER_EXPIRY: "after expiry",
    Retry.NEVER: "not as it is",
}


def texts(code: int, row: Row) -> tuple[str, ...]:
    """The cells of a line."""
    level = logging.getLevelName(row.reaction.level)
    return (str(code), row.sentence, caller_gets(row), person_reads(row), _another(row), AGAIN[row.retry], level)


def caller_gets(row: Row) -> str:
    if row.reaction is Reaction.TRANSIENT:
        return "BackendUnavailable"
    key = row.reaction.key
    return f"BackendRejected, {'recipient, code or ' if row.reaction is Reaction.PARAMETER else ''}{key}"


def person_reads(row: Row) -> str:
    if row.reaction is Reaction.TRANSIENT:
        return str(BackendUnavailable.user_messages["unavailable"])
    return str(BackendRejected.user_messages[row.reaction.key])


def _another(row: Row) -> str:
    if row.off:
        where = "the channel" if row.off == ANY_CHANNEL else " and ".join(sorted(row.off))
        return f"yes; {where} is off"
    return "yes" if row.another_way else "no"
