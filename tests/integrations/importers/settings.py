"""A site that used five other apps before: each keeps its tables, and ours stands beside them."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "tests.integrations.importers",
    "django_otp",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_email",
    "two_factor",
    "two_factor.plugins.phonenumber",
    "two_factor.plugins.email",
    "otp_twilio",
    "phone_verify",
    "trench",
    "allauth",
    "allauth.account",
]
AUTH_USER_MODEL = "importers.Customer"
MIDDLEWARE = [*MIDDLEWARE, "allauth.account.middleware.AccountMiddleware"]
ACCOUNT_ADAPTER = "tests.integrations.importers.adapter.Adapter"
PHONE_VERIFICATION = {
    "BACKEND": "phone_verify.backends.twilio.TwilioBackend",
    "OPTIONS": {"SID": "fake", "SECRET": "fake", "FROM": "+15017122661", "SANDBOX_TOKEN": "123456"},
    "TOKEN_LENGTH": 6,
    "MESSAGE": "{security_code}",
    "APP_NAME": "Shop",
    "SECURITY_CODE_EXPIRATION_SECONDS": 3600,
    "VERIFY_SECURITY_CODE_ONLY_ONCE": False,
}
TRENCH_AUTH = {
    "MFA_METHODS": {
        "sms_twilio": {"HANDLER": "trench.backends.twilio.TwilioMessageDispatcher", "SOURCE_FIELD": "phone"},
        "email": {"HANDLER": "trench.backends.basic_mail.SendMailMessageDispatcher", "SOURCE_FIELD": "email"},
        "app": {"HANDLER": "trench.backends.application.ApplicationMessageDispatcher"},
    }
}
