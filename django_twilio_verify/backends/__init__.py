"""The backends by alias: ``backends["default"]``. What the author of one imports is in ``.base``."""

from .handler import backends

__all__ = ["backends"]
