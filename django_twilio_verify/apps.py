"""The app."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.utils.translation import gettext_lazy as _

from .signals import login_completed


class TwilioVerifyConfig(AppConfig):
    """Django app ``django_twilio_verify``, label ``twilio_verify``."""

    name = "django_twilio_verify"
    label = "twilio_verify"
    verbose_name = _("Verification")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen for sign-ins, whichever door they come by, and register the system checks."""
        # Here and not above: Django imports this file before models may be imported.
        from . import checks  # noqa: PLC0415
        from .factors import notices, resets  # noqa: PLC0415
        from .login import trusted_browsers  # noqa: PLC0415
        from .login.ended_sessions import end_after_reset  # noqa: PLC0415
        from .login.enforcement import on_login  # noqa: PLC0415
        from .login.login_signal import LoginSignal  # noqa: PLC0415
        from .login.reset_notice import on_passed  # noqa: PLC0415
        from .provider import removals  # noqa: PLC0415

        user_logged_in.connect(on_login, dispatch_uid="twilio_verify.on_login")
        login_completed.connect(on_passed, dispatch_uid="twilio_verify.reset_under_way")
        resets.carried_out.connect(end_after_reset, dispatch_uid="twilio_verify.sessions_after_reset")
        LoginSignal.take_over(user_logged_in)
        removals.connect()
        notices.connect()
        trusted_browsers.connect()
        checks.register_all()
