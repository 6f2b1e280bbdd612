"""Invented input is tried without a stopwatch: a busy machine is no failure."""

import hypothesis

hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")
