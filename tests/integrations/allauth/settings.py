"""A site whose accounts are allauth's, in its pages and headless, with phones verified through Verify."""

from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE, TEMPLATES

INSTALLED_APPS = [
    "django_twilio_verify.contrib.allauth",
    *INSTALLED_APPS,
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.headless",
]
MIDDLEWARE = [*MIDDLEWARE, "allauth.account.middleware.AccountMiddleware"]
TEMPLATES = [{**TEMPLATES[0], "DIRS": [Path(__file__).parent / "templates"]}]
ROOT_URLCONF = "tests.integrations.allauth.urls"
LOGIN_URL = "/accounts/login/"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
ACCOUNT_ADAPTER = "django_twilio_verify.contrib.allauth.adapter.TwilioVerifyAccountAdapterMixin"
ACCOUNT_FORMS = {
    "verify_phone": "django_twilio_verify.contrib.allauth.forms.VerifyPhoneForm",
    "confirm_login_code": "django_twilio_verify.contrib.allauth.forms.ConfirmLoginCodeForm",
}
ACCOUNT_SIGNUP_FIELDS = ["username*", "phone*", "password1*"]
ACCOUNT_LOGIN_METHODS = {"username", "phone"}
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PHONE_VERIFICATION_SUPPORTS_CHANGE = True
ACCOUNT_PHONE_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_REAUTHENTICATION_REQUIRED = False
HEADLESS_ONLY = False
ACCOUNT_RATE_LIMITS = False
