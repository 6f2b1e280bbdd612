"""The app that holds the templates and tags."""

from django.apps import AppConfig


class AllauthConfig(AppConfig):
    """Django app ``django_twilio_verify.contrib.allauth``, label ``twilio_verify_allauth``."""

    name = "django_twilio_verify.contrib.allauth"
    label = "twilio_verify_allauth"

    def ready(self) -> None:
        """Register the system checks."""
        from . import checks  # noqa: PLC0415

        checks.register_all()
