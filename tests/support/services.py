"""Facts of one Service, as a test changes them."""

from __future__ import annotations

from typing import Any


def set_service(settings: Any, alias: str = "default", **keys: Any) -> None:
    """Write ``keys``, as ``CODE_LENGTH=8``, into ``alias`` of ``TWILIO_VERIFY_BACKENDS``."""
    configs = settings.TWILIO_VERIFY_BACKENDS
    settings.TWILIO_VERIFY_BACKENDS = {**configs, alias: {**configs[alias], **keys}}
