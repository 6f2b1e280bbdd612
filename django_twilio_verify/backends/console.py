"""The backend for development: prints what it would have sent."""

from __future__ import annotations

import sys
from collections import deque
from typing import TextIO

from ..choices import Channel
from .locmem import LocMemBackend
from .simulator.factor_records import Notification
from .simulator.verifications import KNOWN, LINK_BASE, Message

RULE = "-" * 64
KEPT = 100
"""Messages kept in ``sent``; the oldest go first."""


class ConsoleBackend(LocMemBackend):
    """As ``LocMemBackend``, and writes each message, code and all, to ``stream``: standard output
    unless given.

    ``sent`` holds the latest messages, oldest first, for a page that plays the phone. Nothing goes
    to ``outbox``. This is the one place where a code is shown, for a developer at their own screen:
    ``delivers`` is false, and a system check warns of it outside ``DEBUG``.
    """

    delivers = False

    def __init__(
        self,
        alias: str,
        *,
        timeout: float = 10.0,
        channels: tuple[str, ...] | list[str] = KNOWN,
        link_base: str = LINK_BASE,
        stream: TextIO | None = None,
    ) -> None:
        super().__init__(alias, timeout=timeout, channels=channels, link_base=link_base)
        self._stream = stream
        self.sent: deque[Message] = deque(maxlen=KEPT)

    def deliver(self, message: Message) -> None:
        """Print the message and keep it."""
        self.sent.append(message)
        self._write(self._printed(message))

    def notified(self, notification: Notification) -> None:
        """Print the push notification and keep it."""
        super().notified(notification)
        where = f"{notification.platform} of {notification.factor_sid}"
        self._write(
            f"{RULE}\ntwilio verify ({self.alias}): {Channel.PUSH.label} to {where}\n"
            f"{notification.message} ({notification.challenge_sid})\n{RULE}\n"
        )

    def _write(self, text: str) -> None:
        # Looked up late: test runners and reloaders replace sys.stdout. One write, so that the
        # lines of two threads do not mix.
        stream = self._stream or sys.stdout
        stream.write(text)
        stream.flush()

    def reset(self) -> None:
        """Forget all verifications, sends, messages and failures to come."""
        super().reset()
        self.sent.clear()

    def _printed(self, message: Message) -> str:
        way = Channel.parse(message.channel).label
        return f"{RULE}\ntwilio verify ({message.alias}): {way} to {message.to}\n{self._text(message)}\n{RULE}\n"

    def _text(self, message: Message) -> str:
        if message.link:
            return f"The phone opens {message.link}, once, over its mobile network."
        options = message.options
        payment = f" for {options.amount} to {options.payee}" if options.amount else ""
        minutes = round(self.simulator.ttl / 60)
        return f"Your code{payment} is {message.code}. It can be used for {minutes} minutes."
