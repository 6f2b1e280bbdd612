"""The words that ask for consent, composed from the programme's facts.

Sources: Twilio's Verify consent and opt-in policy (2026-07), CTIA Short Code Monitoring Handbook 1.9, and Twilio's
rejection reasons (``backends.twilio.rejections``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from .. import models
from ..choices import Channel

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True)
class Disclosure:
    """The words that a page shows above the box.

    Args:
        channel: The channel that they are about.
        language: Tag of the language they are in, as ``en-gb``.
        lines: Paragraphs of plain text.
        checkbox_label: The label of the box.
        terms_url: Link to the terms, ``""`` if the site has none.
        privacy_url: Link to the privacy policy.
        terms_digest: SHA-256 of the terms themselves, if the site gives it.
        privacy_digest: SHA-256 of the privacy policy.
    """

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
        """All lines, one below the other."""
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

    def as_dict(self) -> dict[str, Any]:
        """Describe the disclosure as JSON, for pages that are made in the browser."""
        return {
            "digest": self.digest,
            "channel": self.channel.value,
            "language": self.language,
            "lines": [*self.lines],
            "text": self.text,
            "checkbox_label": self.checkbox_label,
            "terms_url": self.terms_url,
            "privacy_url": self.privacy_url,
        }


def shown_in(record: models.Disclosure) -> Disclosure:
    """Return the words that ``record`` keeps."""
    return Disclosure(
        channel=Channel(record.channel),
        language=record.language,
        lines=tuple(record.text.split("\n")),
        checkbox_label=record.checkbox_label,
        terms_url=record.terms_url,
        privacy_url=record.privacy_url,
        terms_digest=record.terms_digest,
        privacy_digest=record.privacy_digest,
    )


def holds(disclosure: models.Disclosure) -> bool:
    """Whether ``disclosure`` still has the words that its digest is over."""
    if disclosure.record_version != RECORD_VERSION or disclosure.channel not in Channel.values:
        return False
    return shown_in(disclosure).digest == disclosure.digest
