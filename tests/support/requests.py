"""Fields that nobody asked for."""

from __future__ import annotations

from tests.support.basics import OTHER_PHONE

UNKNOWN = "3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2"


# --------------------------------------------------------------------------------------- fields that nobody asked for


EXTRA = {
    "user": "1",
    "user_id": "1",
    "person": "1",
    "factor": "1",
    "purpose": "verify",
    "channel": "email",
    "amount": "1 EUR",
    "payee": "evil",
    "status": "approved",
    "session": "x",
    "verification": UNKNOWN,
    "recipient": OTHER_PHONE,
    "to": OTHER_PHONE,
    "number": OTHER_PHONE,
    "email": "eve@example.org",
    "is_default": "on",
    "confirmed_at": "2020-01-01",
    "backend": "evil",
    "custom_code": "123456",
    "resend": "1",
    "is_verified": "1",
    "days": "9999",
}
