"""Flows and the provider behind them, with both twins."""

from tests.factors.devices.conftest import ann, ben, world
from tests.support.provider import clock, server, verbs

__all__ = ["ann", "ben", "clock", "server", "verbs", "world"]
