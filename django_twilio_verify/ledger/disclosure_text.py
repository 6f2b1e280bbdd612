"""The words that ask for consent, composed from the programme's facts.

Sources: Twilio's Verify consent and opt-in policy (2026-07), CTIA Short Code Monitoring Handbook 1.9, and Twilio's
rejection reasons 30544 (purpose), 30545 (frequency), 30551 (names the way), 30556 (one box a way), 30569 (rates),
30570 (help), 30841 (apart from the terms).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from ..choices import Channel
from ..models import Disclosure

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True)
class DisclosureText:
    """What a page shows before it asks for a number. ``lines``: paragraphs of plain text."""

    channel: Channel
    language: str
    lines: tuple[str, ...]
    checkbox_label: str
    terms_url: str = ""
    privacy_url: str = ""
    terms_digest: str = ""
    privacy_digest: str = ""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def digest(self) -> str:
        """SHA-256 in hex over everything shown: the name of this wording."""
        content = {
            "version": RECORD_VERSION,
            "channel": self.channel.value,
            "language": self.language,
            "text": self.text,
            "checkbox_label": self.checkbox_label,
            "terms_url": self.terms_url,
            "privacy_url": self.privacy_url,
            "terms_digest": self.terms_digest,
            "privacy_digest": self.privacy_digest,
        }
        encoded = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(encoded.encode()).hexdigest()


def holds(disclosure: Disclosure) -> bool:
    """Whether ``disclosure`` still has the words that its digest is over."""
    if disclosure.record_version != RECORD_VERSION or disclosure.channel not in Channel.values:
        return False
    shown = DisclosureText(
        channel=Channel(disclosure.channel),
        language=disclosure.language,
        lines=(disclosure.text,),
        checkbox_label=disclosure.checkbox_label,
        terms_url=disclosure.terms_url,
        privacy_url=disclosure.privacy_url,
        terms_digest=disclosure.terms_digest,
        privacy_digest=disclosure.privacy_digest,
    )
    return shown.digest == disclosure.digest
