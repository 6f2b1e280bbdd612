"""A provider of the site's own, and its signals."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from django_twilio_verify import signals
from django_twilio_verify.backends.base import BackendRejected, Channel, CodeBackend, Recipient, SendOptions
from django_twilio_verify.choices import RecipientKind

log: list[str] = []


class PigeonBackend(CodeBackend):
    channels = frozenset({"sms"})

    def __init__(self, alias: str, *, key: str, timeout: float = 10.0) -> None:
        super().__init__(alias, timeout=timeout)
        self.key = key

    def send_code(self, recipient: Recipient, channel: Channel, code: str, options: SendOptions) -> str:
        if recipient.kind != RecipientKind.PHONE:
            raise BackendRejected("recipient")
        return f"{self.key}-{recipient.value}"


@receiver(signals.ALL)
def audit(sender: Any, signal: signals.Signal, user: Any, client: Any, **kwargs: Any) -> None:
    log.append(signal.name)


@receiver(signals.locked_out)
def tell_slack(sender: Any, user: Any, reason: str, **kwargs: Any) -> None:
    log.append(f"{user or 'A visitor'} is locked out ({reason})")
