"""A Service at the loopback server, and the command run against it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.testing import VerifyServer
from django_twilio_verify.testing.verify_server_services import AccountServices

FULL: dict[str, Any] = {
    "friendly_name": "Acme Shop",
    "code_length": 6,
    "lookup_enabled": True,
    "skip_sms_to_landlines": True,
    "dtmf_input_required": False,
    "tts_name": "Polly.Joanna",
    "psd2_enabled": False,
    "do_not_share_warning_enabled": True,
    "custom_code_enabled": True,
    "push_include_date": False,
    "push_apn_credential_sid": "CR" + "a" * 32,
    "push_fcm_credential_sid": "CR" + "b" * 32,
    "totp_issuer": "Acme",
    "totp_time_step": 60,
    "totp_code_length": 8,
    "totp_skew": 0,
    "default_template_sid": "HJ" + "c" * 32,
    "whatsapp_msg_service_sid": "MG" + "d" * 32,
    "whatsapp_from": "whatsapp:+12025550143",
    "passkeys_relying_party_id": "acme.example",
    "passkeys_relying_party_name": "Acme",
    "passkeys_relying_party_origins": ["https://acme.example", "https://login.acme.example:8443"],
    "passkeys_authenticator_attachment": "any",
    "passkeys_discoverable_credentials": "preferred",
    "passkeys_user_verification": "required",
    "verify_event_subscription_enabled": True,
    "rate_limits": {
        "end_user_ip": {
            "description": "Address",
            "buckets": [{"max": 10, "interval": 60}, {"max": 50, "interval": 3600}],
        },
        "country_code": {"buckets": [{"max": 1000, "interval": 3600}]},
    },
    "messaging_configurations": {"US": "MG" + "e" * 32, "all": "MG" + "f" * 32},
    "webhooks": [
        {
            "friendly_name": "factors",
            "event_types": ["factor.verified", "challenge.approved"],
            "webhook_url": "https://acme.example/verify/webhooks/factors/",
        }
    ],
}
"""Every parameter, and two of everything that there can be two of. 1 + 2 + 3 + 2 + 1 steps."""


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass
class Site:
    """``declare`` sets what settings declare; ``run`` runs the command."""

    settings: Any
    server: VerifyServer
    options: Mapping[str, Any]

    def declare(self, service: Any = None, **options: Any) -> None:
        config = {
            "BACKEND": "django_twilio_verify.backends.twilio.TwilioBackend",
            "OPTIONS": {**self.options, **options},
        }
        self.settings.TWILIO_VERIFY_BACKENDS = {
            "default": config if service is None else {**config, "SERVICE": service}
        }

    def run(self, *arguments: str) -> Ran:
        out, err = StringIO(), StringIO()
        try:
            call_command("twilio_service", *arguments, stdout=out, stderr=err, no_color=True)
        except CommandError as error:
            return Ran(error.returncode, out.getvalue(), str(error))
        return Ran(0, out.getvalue(), err.getvalue())

    @property
    def account(self) -> AccountServices:
        return next(one for one in self.server.extended if isinstance(one, AccountServices))

    def there(self, below: str = "") -> list[dict[str, Any]]:
        """What the Service has, as Twilio's JSON."""
        return self.account.bodies(f"Services/{self.server.service_sid}{below}")

    @property
    def state(self) -> Any:
        """All of it, without SIDs and times."""
        service = next(one for one in self.account.bodies("Services") if one["sid"] == self.server.service_sid)
        limits = {
            one["unique_name"]: (
                one["description"],
                sorted(
                    (bucket["interval"], bucket["max"]) for bucket in self.there(f"/RateLimits/{one['sid']}/Buckets")
                ),
            )
            for one in self.there("/RateLimits")
        }
        return (
            {name: value for name, value in service.items() if name not in ("date_created", "date_updated")},
            limits,
            sorted((one["country"], one["messaging_service_sid"]) for one in self.there("/MessagingConfigurations")),
            [
                (one["friendly_name"], one["event_types"], one["webhook_url"], one["status"], one["version"])
                for one in self.there("/Webhooks")
            ],
        )

    def writes(self) -> int:
        return sum(request.method != "GET" for request in self.server.requests)


@pytest.fixture
def site(settings: Any) -> Iterator[Site]:
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "email"]
    with VerifyServer() as server:
        made = Site(settings, server, server.options())
        made.declare(FULL)
        yield made
        made.declare(FULL)
        backends["default"].close()  # type: ignore[attr-defined]
