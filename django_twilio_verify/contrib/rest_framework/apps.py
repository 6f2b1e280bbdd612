"""The app that remembers which tokens were given out after a second factor."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RestFrameworkConfig(AppConfig):
    """Django app ``django_twilio_verify.contrib.rest_framework``, label ``twilio_verify_rest_framework``."""

    name = "django_twilio_verify.contrib.rest_framework"
    label = "twilio_verify_rest_framework"
    verbose_name = _("Verification of tokens")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen for resets of factors."""
        # Here and not above: Django imports this file before models may be imported.
        from ...factors import resets  # noqa: PLC0415
        from .resets import end_tokens  # noqa: PLC0415

        resets.carried_out.connect(end_tokens, dispatch_uid="twilio_verify.tokens_after_reset")
