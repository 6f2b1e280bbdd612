"""Sends of ours, as they stand in the records, and what the provider says of them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from django_twilio_verify.backends.results import ProviderAttempt
from django_twilio_verify.choices import AttemptStatus, ConsentEventType
from django_twilio_verify.conf import fingerprint
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.models import ConsentEvent, Verification, VerificationAttempt
from tests.support.basics import PHONE, agree

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def make_verification(recipient: str = PHONE, **values: Any) -> Verification:
    parsed, now = Recipient.parse(recipient), timezone.now()
    given = {
        "purpose": "verify",
        "recipient_kind": parsed.kind.value,
        "recipient_value": parsed.value,
        "recipient_fingerprint": fingerprint(parsed),
        "country": parsed.country,
        "channel": "sms",
        "sid": sid("VE"),
        "pending_key": secrets.token_hex(32),
        "sends": 1,
        "created_at": now,
        "expires_at": now + timedelta(minutes=10),
        "resend_at": now + timedelta(seconds=30),
    }
    return Verification.objects.create(**{**given, **values})


def make_attempt(verification: Verification | None = None, **values: Any) -> VerificationAttempt:
    consent = ConsentEvent.objects.filter(event=ConsentEventType.GRANTED).first() or agree()
    given = {
        "channel": "sms",
        "channel_used": "sms",
        "status": AttemptStatus.SENT.value,
        "sid": sid("VL"),
        "consent_event_id": consent.pk,
        "created_at": timezone.now(),
        "settled_at": timezone.now(),
    }
    return VerificationAttempt.objects.create(verification=verification or make_verification(), **{**given, **values})


def lost_attempt(verification: Verification | None = None, **values: Any) -> VerificationAttempt:
    """A send whose answer was lost."""
    given = {"sid": "", "channel_used": "", "status": AttemptStatus.PERHAPS_SENT.value, "error_code": 20500}
    return make_attempt(verification, **{**given, **values})


def news_of(attempt: VerificationAttempt, word: str = "", **values: Any) -> ProviderAttempt:
    given = {
        "sid": attempt.sid,
        "verification_sid": attempt.verification.sid,
        "channel": "sms",
        "converted": None,
        "message_status": word,
        "at": NOON,
    }
    return ProviderAttempt(**{**given, **values})


def fate(attempt: VerificationAttempt) -> dict[str, Any]:
    """What the row says of the fate of the send, read anew."""
    names = ("sid", "status", "channel_used", "delivery", "delivery_at", "error_code", "converted", "price", "currency")
    return VerificationAttempt.objects.values(*names).get(pk=attempt.pk)
