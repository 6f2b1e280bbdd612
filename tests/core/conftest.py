"""Invented input is tried without a stopwatch: a busy machine is no failure."""

import hypothesis

from tests.support.provider import server

__all__ = ["server"]

hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")
