"""A Service at the loopback server, and the command run against it."""

from tests.support.service import site

__all__ = ["site"]
