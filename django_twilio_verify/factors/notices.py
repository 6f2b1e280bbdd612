"""Telling people what was done to their account, by another way than the one it was done on.

By email: to the account's address, and to an address that was itself removed. Verify carries codes and nothing else, so
no text message of ours goes to an old number; ``notice_sent`` lets a site send one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import timezone

from ..choices import Purpose, RecipientKind
from ..conf import settings
from ..core import receivers
from ..core.browser_names import browser_name
from ..core.client import ClientInfo
from ..ledger.persons import email_of
from ..models import Factor, Verification
from ..signals import (
    Signal,
    default_factor_changed,
    factor_added,
    factor_removed,
    login_denied,
    notice_sent,
    verification_sent,
)
from ..verifications import stale_factors, throttling

logger = logging.getLogger("django_twilio_verify")


class Notice(StrEnum):
    """What people are told of. Each has the templates ``twilio_verify/mail/<value>.txt`` and ``…_subject.txt``."""

    FACTOR_ADDED = "factor_added"
    FACTOR_REMOVED = "factor_removed"
    FACTOR_REPLACED = "factor_replaced"
    DEFAULT_CHANGED = "default_changed"
    STALE_FACTOR_ASKED = "stale_factor_asked"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    RECOVERY_CODE_USED = "recovery_code_used"
    LOGIN_DENIED = "login_denied"
    BROWSER_TRUSTED = "browser_trusted"
    WRONG_CODES = "wrong_codes"
    RESET_REQUESTED = "reset_requested"
    RESET_CANCELED = "reset_canceled"
    RESET_DONE = "reset_done"
    RESET_LINK = "reset_link"


_TO_THE_OLD_ONE = (Notice.FACTOR_REMOVED, Notice.FACTOR_REPLACED)


def connect() -> None:
    """Listen for what people are told of. Called once, when the app is ready."""
    listening: tuple[tuple[Signal, Any], ...] = (
        (factor_added, _tell_of_confirmed),
        (factor_removed, _tell_of_removed),
        (default_factor_changed, _tell_of_default),
        (login_denied, _tell_of_denied),
        (verification_sent, _tell_of_stale),
        (throttling.failures_reached, _tell_of_failures),
    )
    for signal, receiver in listening:
        signal.connect(receiver, dispatch_uid="twilio_verify.notices")


def send(
    notice: Notice,
    user: AbstractBaseUser,
    *,
    factor: Factor | None = None,
    client: ClientInfo | None = None,
    values: Mapping[str, Any] | None = None,
) -> int:
    """Tell ``user`` of ``notice``; how many letters went out (0 for an account without an address).

    ``factor``: what it is about; an email factor that was removed or replaced is written to at its own address as
    well. ``client``: where it was done
    from. ``values``: more for the template. To be called outside of transactions, after the fact has been written. What
    was done stays done if the mail server is down: that is logged as an error, and ``notice_sent`` says
    ``emails_sent=0``. A template that comes out empty sends nothing.
    """
    context = {
        "user": user,
        "factor": factor,
        "what": described(factor) if factor is not None else "",
        "client": client,
        "browser": browser_name(client.user_agent) if client is not None else "",
        "program": settings.program,
        "at": timezone.now(),
        **(values or {}),
    }
    letters = 0
    addresses = _addresses(notice, user, factor)
    if addresses:
        subject = " ".join(render_to_string(f"twilio_verify/mail/{notice}_subject.txt", context).split())
        body = render_to_string(f"twilio_verify/mail/{notice}.txt", context).strip()
        if subject and body:
            letters = sum(_letter(notice, subject, body + "\n", address) for address in addresses)
    receivers.send(notice_sent, Notice, user=user, client=client, notice=notice, factor=factor, emails_sent=letters)
    return letters


def described(factor: Factor) -> str:
    """What a letter calls ``factor``: its kind, and so much of it as may be shown."""
    kind = str(factor.get_kind_display())
    if factor.recipient_value:
        return f"{kind} {factor.masked}"
    # SECURITY: a name is whatever somebody typed who is perhaps not the person: no mail program makes a link of it.
    return f"{kind} “{factor.label}”" if re.fullmatch(r"[\w '’()+-]+", factor.label) else kind


def _addresses(notice: Notice, user: AbstractBaseUser, factor: Factor | None) -> list[str]:
    """SECURITY: only an address that was the person's until now, and not one that somebody has just added, or that may
    be a stranger's by now.
    """
    account = email_of(user)
    is_old = notice in _TO_THE_OLD_ONE and factor is not None and factor.kind == RecipientKind.EMAIL
    own = factor.recipient_value if factor is not None and is_old else ""
    return list(dict.fromkeys(address for address in (account, own) if address))


def _letter(notice: Notice, subject: str, body: str, address: str) -> int:
    """One letter each, so that no address sees another."""
    try:
        # Answered by no machine (RFC 3834).
        headers = {"Auto-Submitted": "auto-generated"}
        return EmailMessage(subject, body, None, [address], headers=headers).send()
    except Exception as error:
        # Whatever the site's mail backend raises: each has its own, and what the letter tells of is done.
        # SECURITY: without the address and the text, which errors of SMTP quote.
        logger.error("A notice could not be mailed: notice=%s error=%s", notice.value, type(error).__name__)
        return 0


def _tell_of_confirmed(
    sender: Any, factor: Factor, user: AbstractBaseUser, client: ClientInfo | None = None, **kwargs: Any
) -> None:
    """Also of the very first one: somebody else may have been quicker than the person."""
    if kwargs.get("replaced") is None:  # else one letter tells of both
        send(Notice.FACTOR_ADDED, user, factor=factor, client=client)


def _tell_of_removed(
    sender: Any, factor: Factor, user: AbstractBaseUser, client: ClientInfo | None = None, **kwargs: Any
) -> None:
    if kwargs.get("reset") is not None:
        return  # one letter tells of all of them
    replaced_by: Factor | None = kwargs.get("replaced_by")
    if replaced_by is None:
        send(Notice.FACTOR_REMOVED, user, factor=factor, client=client)
    else:
        values = {"replaced_by": replaced_by, "instead": described(replaced_by)}
        send(Notice.FACTOR_REPLACED, user, factor=factor, client=client, values=values)


def _tell_of_default(
    sender: Any, factor: Factor, user: AbstractBaseUser, client: ClientInfo | None = None, **kwargs: Any
) -> None:
    send(Notice.DEFAULT_CHANGED, user, factor=factor, client=client)


def _tell_of_denied(sender: Any, verification: Verification, user: AbstractBaseUser | None, **kwargs: Any) -> None:
    if user is not None:
        send(Notice.LOGIN_DENIED, user, factor=verification.factor)


def _tell_of_failures(
    sender: Any, user: AbstractBaseUser, factor: Factor | None, count: int, client: ClientInfo, **kwargs: Any
) -> None:
    values = {"count": count, "is_held": factor is not None and count >= throttling.MAX_FAILURES}
    send(Notice.WRONG_CODES, user, factor=factor, client=client, values=values)


def _tell_of_stale(sender: Any, verification: Verification, **kwargs: Any) -> None:
    """A sign-in by a number that nobody used for long is about to be possible: told before, not after. Once for each
    verification.
    """
    if not settings.reverify_days or verification.purpose != Purpose.LOGIN or verification.sends != 1:
        return
    factor = verification.factor
    if factor is not None and stale_factors.is_stale(factor):
        send(Notice.STALE_FACTOR_ASKED, factor.user, factor=factor)
