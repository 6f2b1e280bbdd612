"""A backend for an SMS gateway with an HTTP API."""

from __future__ import annotations

import requests

from django_twilio_verify.backends.base import (
    BackendRejected,
    BackendUnavailable,
    Channel,
    CodeBackend,
    Recipient,
    RejectCode,
    SendOptions,
)

TEXTS = {"de": "{code} ist Ihr Code für Bazaar.", "en": "{code} is your Bazaar code."}

# What Pigeon answers instead of sending, and what the user reads.
REASONS = {
    "bad_number": RejectCode.RECIPIENT,
    "landline": RejectCode.LANDLINE,
    "stopped": RejectCode.OPTED_OUT,
    "slow_down": RejectCode.WAIT,
    "bad_key": RejectCode.MISCONFIGURED,
    "no_credit": RejectCode.MISCONFIGURED,
}


class PigeonBackend(CodeBackend):
    """Text messages and calls through Pigeon."""

    channels = frozenset({"sms", "call"})

    def __init__(self, alias: str, *, url: str, key: str, timeout: float = 10.0) -> None:
        super().__init__(alias, timeout=timeout)
        self.url = url
        self.headers = {"Authorization": f"Bearer {key}"}

    def send_code(self, recipient: Recipient, channel: Channel, code: str, options: SendOptions) -> str:
        text = TEXTS.get(options.locale[:2], TEXTS["en"]).format(code=code)
        message = {"to": recipient.value, "by": channel.value, "text": text}
        try:
            response = requests.post(self.url, json=message, headers=self.headers, timeout=self.timeout)
        except requests.ConnectTimeout:
            raise BackendUnavailable(may_have_been_done=False) from None
        if response.status_code >= 500:
            raise BackendUnavailable(may_have_been_done=True)
        answer = response.json()
        if "refused" in answer:
            raise BackendRejected(REASONS.get(answer["refused"], RejectCode.CANNOT_SEND))
        return answer["id"]
