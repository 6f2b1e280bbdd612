"""Telling people what was done to their account, by another way than the one it was done on.

By email: to the account's address, and to an address that was itself removed. Verify carries codes and nothing else, so
no text message of ours goes to an old number; ``notice_sent`` lets a site send one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import StrEnum
from smtplib import SMTPException
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import timezone

from ..choices import RecipientKind
from ..clientinfo import ClientInfo
from ..conf import settings
from ..models import Factor
from ..signals import notice_sent

logger = logging.getLogger("django_twilio_verify")


class Notice(StrEnum):
    """What people are told of. Each has the templates ``twilio_verify/mail/<value>.txt`` and ``…_subject.txt``."""

    FACTOR_ADDED = "factor_added"
    FACTOR_REMOVED = "factor_removed"
    FACTOR_REPLACED = "factor_replaced"
    DEFAULT_CHANGED = "default_changed"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    RECOVERY_CODE_USED = "recovery_code_used"
    LOGIN_DENIED = "login_denied"
    BROWSER_TRUSTED = "browser_trusted"
    RESET_REQUESTED = "reset_requested"
    RESET_CANCELED = "reset_canceled"
    RESET_DONE = "reset_done"


def send(
    notice: Notice,
    user: AbstractBaseUser,
    *,
    factor: Factor | None = None,
    client: ClientInfo | None = None,
    values: Mapping[str, Any] | None = None,
) -> int:
    """Tell ``user`` of ``notice``; how many letters went out (0 for an account without an address).

    ``factor``: what it is about; an email factor's own address is written to as well. ``client``: where it was done
    from. ``values``: more for the template. To be called outside of transactions, after the fact has been written. What
    was done stays done if the mail server is down: that is logged as an error, and ``notice_sent`` says ``letters=0``.
    """
    context = {
        "user": user,
        "factor": factor,
        "client": client,
        "program": settings.program,
        "at": timezone.now(),
        **(values or {}),
    }
    letters = 0
    addresses = _addresses(user, factor)
    if addresses:
        subject = " ".join(render_to_string(f"twilio_verify/mail/{notice}_subject.txt", context).split())
        body = render_to_string(f"twilio_verify/mail/{notice}.txt", context)
        letters = sum(_letter(notice, subject, body, address) for address in addresses)
    notice_sent.send(sender=Notice, notice=notice, user=user, factor=factor, letters=letters)
    return letters


def _addresses(user: AbstractBaseUser, factor: Factor | None) -> list[str]:
    account = str(getattr(user, user.get_email_field_name(), "") or "")
    own = factor.recipient_value if factor is not None and factor.kind == RecipientKind.EMAIL else ""
    return list(dict.fromkeys(address for address in (account, own) if address))


def _letter(notice: Notice, subject: str, body: str, address: str) -> int:
    """One letter each, so that no address sees another."""
    try:
        return EmailMessage(subject, body, None, [address]).send()
    except (OSError, SMTPException):
        # SECURITY: without the address and without the text.
        logger.exception("A notice could not be mailed: notice=%s", notice.value)
        return 0
