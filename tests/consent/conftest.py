"""Fixtures of a provider that can be made to fail."""

from tests.support.provider import clock, server, verbs

__all__ = ["clock", "server", "verbs"]
