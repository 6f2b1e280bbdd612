"""A backend whose provider has other rules than Twilio Verify."""

from __future__ import annotations

from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.backends.options import NO_OPTIONS, SendOptions
from django_twilio_verify.backends.results import ProviderCheck, ProviderSend
from django_twilio_verify.choices import Channel
from django_twilio_verify.core.recipients import Recipient
from tests.support.basics import wrong_code


class StrictBackend(LocMemBackend):
    """A provider with rules of its own: fewer sends and answers, a new code each time, and no search by recipient."""

    max_sends = 2
    max_checks = 3
    same_code_on_resend = False
    finds_by_recipient = False

    def start(self, recipient: Recipient, channel: Channel, options: SendOptions = NO_OPTIONS) -> ProviderSend:
        pending = self.simulator._pending.get(recipient.value)
        if pending is not None and len(pending.attempts) < self.max_sends:
            pending.code = options.custom_code or wrong_code(pending.code)
        return super().start(recipient, channel, options)

    def check(self, recipient: Recipient, code: str, *, sid: str = "", **more: str) -> ProviderCheck:
        assert sid, "asked by recipient"
        return super().check(recipient, code, sid=sid, **more)
