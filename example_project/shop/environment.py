"""Which Verify backend the environment asks for: Twilio's where it names an account, the console otherwise."""

import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

# Codes for a payment name amount and payee. A real Service must be set to PSD2 for that, and then takes nothing else.
CONSOLE = {"BACKEND": "shop.phone.PhoneBackend", "PSD2": True}
TWILIO = "django_twilio_verify.backends.twilio.TwilioBackend"

PREFIXES = {"TWILIO_ACCOUNT_SID": "AC", "TWILIO_API_KEY": "SK", "VERIFY_SERVICE_SID": "VA"}
NAMES = (*PREFIXES, "TWILIO_AUTH_TOKEN", "TWILIO_API_SECRET")


def verify_backend(environ: Mapping[str, str]) -> dict[str, Any]:
    """The value of ``TWILIO_VERIFY_BACKENDS["default"]``. Raises ``ImproperlyConfigured``, in one sentence."""
    given = {name: environ[name].strip() for name in NAMES if environ.get(name, "").strip()}
    if not given:
        return CONSOLE
    needed = ["TWILIO_ACCOUNT_SID", "VERIFY_SERVICE_SID"]
    if "TWILIO_API_KEY" in given or "TWILIO_API_SECRET" in given:
        needed += ["TWILIO_API_KEY", "TWILIO_API_SECRET"]
    else:
        needed += ["TWILIO_AUTH_TOKEN"]
    if missing := [name for name in needed if name not in given]:
        raise ImproperlyConfigured(
            f"To send real messages, set {' and '.join(missing)} too; "
            f"to show the codes on the phone page instead, unset {' and '.join(given)}."
        )
    for name, prefix in PREFIXES.items():
        if name in given and not re.fullmatch(prefix + "[0-9a-fA-F]{32}", given[name]):
            # The value is not repeated: it may be a secret that was put in the wrong place.
            raise ImproperlyConfigured(
                f"{name} must be {prefix} and 32 hexadecimal digits, as the Twilio Console shows it."
            )
    return {
        "BACKEND": TWILIO,
        "OPTIONS": {
            "account_sid": given["TWILIO_ACCOUNT_SID"],
            "username": given.get("TWILIO_API_KEY", given["TWILIO_ACCOUNT_SID"]),
            "password": given.get("TWILIO_API_SECRET") or given["TWILIO_AUTH_TOKEN"],
            "service_sid": given["VERIFY_SERVICE_SID"],
        },
    }
