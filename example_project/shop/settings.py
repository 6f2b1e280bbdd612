"""Settings of the Corner Shop, an example of a site that uses django-twilio-verify."""

import os
from pathlib import Path

import django

from shop.environment import verify_backend

BASE_DIR = Path(__file__).resolve().parent.parent

# For an example only. A real site keeps its key secret and runs with DEBUG off.
SECRET_KEY = "corner-shop-example-key-that-is-known-to-everybody"
DEBUG = os.environ.get("DEBUG", "1") == "1"
HOST = os.environ.get("HOST") or "127.0.0.1"
ALLOWED_HOSTS = ["*"] if HOST in ("0.0.0.0", "::") else ["127.0.0.1", "localhost", "[::1]", HOST]  # noqa: S104

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_twilio_verify",
    "store",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "shop.middleware.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_twilio_verify.middleware.TwoFactorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "shop.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "store.basket.in_templates",
            ]
        },
    }
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE") or BASE_DIR / "db.sqlite3",
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL",
        },
    }
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "account"
LOGOUT_REDIRECT_URL = "home"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Letters, as about a reset of factors, are printed on the terminal.
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.console.EmailBackend"}}
else:
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

# With nothing set in the environment, messages are not sent: the page /phone/ shows them.
TWILIO_VERIFY_BACKENDS = {"default": verify_backend(os.environ)}
TWILIO_VERIFY_CHANNELS = ["sms", "call", "whatsapp", "email", "sna", "auto"]
TWILIO_VERIFY_REQUIRED_FOR = "enrolled"
TWILIO_VERIFY_SUGGEST_STRONGER_FACTOR = os.environ.get("SUGGEST_STRONGER_FACTOR", "1") == "1"
# "Do not ask again on this browser for 30 days", on the pages where a sign-in is confirmed.
TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = int(os.environ.get("TRUSTED_BROWSER_DAYS", "30"))
# The app that people approve a sign-in with. In the demo the page /phone/ and `manage.py verify_phone` play it.
TWILIO_VERIFY_PUSH_APP_NAME = "Corner Shop app"
TWILIO_VERIFY_PROGRAM = {
    "name": "Corner Shop",
    "terms_url": "/terms/",
    "privacy_url": "/privacy/",
    "support": "help@cornershop.example",
    "message_frequency": "One message per request",
}
