"""A site with an API: sessions for its pages, tokens for its app, passwords for people without a second factor."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "rest_framework",
    "rest_framework.authtoken",
    "django_twilio_verify.contrib.rest_framework",
]
ROOT_URLCONF = "tests.integrations.rest_framework.urls"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "django_twilio_verify.contrib.rest_framework.authentication.GuardedTokenAuthentication",
        "django_twilio_verify.contrib.rest_framework.authentication.GuardedBasicAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "EXCEPTION_HANDLER": "django_twilio_verify.contrib.rest_framework.handler.exception_handler",
}
