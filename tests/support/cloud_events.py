"""Events as Twilio's documentation shows them, and requests that bring them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from django_twilio_verify.models import VerificationAttempt

PATH = "/verify/webhooks/verify/"
PREFIX = "com.twilio.accountsecurity.verify."
ACCOUNT = "AC" + "a" * 32
KEY = "SK" + "e" * 32
SERVICE = "VA" + "b" * 32
TOKEN = "7" * 32
LATELY = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
"""When what events tell of happened: what is older than ``max_age`` changes nothing."""
CREDENTIALS = {"username": "sink", "password": "pass word: ü"}


def backend(**options: Any) -> dict[str, Any]:
    """A ``TwilioBackend`` that could call nobody, with an API key: by that alone no signature can be checked."""
    given = {
        "account_sid": ACCOUNT,
        "username": KEY,
        "password": "x",
        "service_sid": SERVICE,
        "base_url": "http://127.0.0.1:9",
    }
    path = "django_twilio_verify.backends.twilio.TwilioBackend"
    return {"BACKEND": path, "OPTIONS": {**given, **options}}


def event(kind: str, data: dict[str, Any], *, at: datetime | None = None, **envelope: Any) -> dict[str, Any]:
    """https://www.twilio.com/docs/verify/verify-events"""
    moment = at or timezone.now()
    return {
        "specversion": "1.0",
        "type": kind if kind.startswith("com.") else PREFIX + kind,
        "source": f"/v1/Accounts/{ACCOUNT}/Services/{SERVICE}",
        "id": secrets.token_hex(32),
        "dataschema": "https://events-schemas.twilio.com/AccountSecurity.MessageStatusEvent/1",
        "datacontenttype": "application/json",
        "time": moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {"account_sid": ACCOUNT, "service_sid": SERVICE, **data},
        **envelope,
    }


def of_message(attempt: VerificationAttempt, word: str, *, family: str = "message", **values: Any) -> dict[str, Any]:
    envelope = {name: values.pop(name) for name in ("at", "id", "time") if name in values}
    data = {
        "channel": "SMS",
        "verification_sid": attempt.verification.sid,
        "attempt_sid": attempt.sid,
        "to": attempt.verification.recipient_value,
        "mcc": "310",
        "mnc": "260",
        "number_segments": 1,
        "created_at": "2026-02-17T09:20:25.336Z",
        "has_fallback": False,
        "is_fallback": False,
        "dlr_status" if family == "attempt-dlr" else "message_status": word.upper(),
        "error_code": "",
        "tags": {"verification": str(attempt.verification_id)},
        **values,
    }
    return event(f"{family}.{word}", data, **envelope)


def of_verification(*attempts: VerificationAttempt, word: str, **values: Any) -> dict[str, Any]:
    envelope = {name: values.pop(name) for name in ("at", "id", "time") if name in values}
    began = timezone.now() - timedelta(minutes=1)
    sends = [
        {
            "time": (began + timedelta(seconds=number)).isoformat(),
            "channel": "SMS",
            "attempt_sid": one.sid,
            "locale": "en",
            "tags": {"verification": str(one.verification_id)},
        }
        for number, one in enumerate(attempts)
    ]
    data = {
        "verification_sid": attempts[0].verification.sid,
        "friendly_name": "Acme",
        "created_at": "2022-02-02T09:20:25.336676Z",
        "to": attempts[0].verification.recipient_value,
        "verification_status": word.upper().replace("-", "_"),
        "country": "US",
        "code_length": 6,
        "custom_code_enabled": False,
        "send_code_attempts": {"count": len(sends), "attempts": sends},
        "check_attempts": {"count": 0},
        **values,
    }
    return event(f"verification.{word}", data, **envelope)


def basic(username: str = CREDENTIALS["username"], password: str = CREDENTIALS["password"]) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def deliver(batch: Any, *, client: Client | None = None, **extra: Any) -> Any:
    """Post ``batch`` as the sink with its credentials does; bytes go as they are."""
    body = batch if isinstance(batch, bytes) else json.dumps(batch).encode()
    given = {"content_type": "application/json", "headers": {"Authorization": basic()}, **extra}
    return (client or Client(enforce_csrf_checks=True)).post(given.pop("path", PATH), body, **given)


def signed(body: bytes, *, url: str, token: str = TOKEN) -> tuple[str, str]:
    """Query and signature of a JSON request, by hand, as Twilio documents it
    (https://www.twilio.com/docs/usage/security#validating-requests): HMAC-SHA1 over the address, whose query holds
    the SHA-256 of the body.
    """
    query = "bodySHA256=" + hashlib.sha256(body).hexdigest()
    mac = hmac.new(token.encode(), f"{url}?{query}".encode(), hashlib.sha1)
    return query, base64.b64encode(mac.digest()).decode()
