"""System checks."""

from . import configuration, login_urls


def register_all() -> None:
    """Register every system check."""
    configuration.register_all()
    login_urls.register_all()
