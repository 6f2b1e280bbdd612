"""Settings of the test site: the database and the cache are chosen by the environment.

``TEST_DATABASE``: ``sqlite`` (default), ``postgres`` or ``mariadb``; ``TEST_DATABASE_NAME``: name of the test
database, so that several runs can stand beside each other; ``TEST_CACHE``: ``locmem`` (default) or ``redis``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

SECRET_KEY = "tests-only"
DEBUG = False
USE_TZ = True
TIME_ZONE = "Europe/Vienna"  # not UTC on purpose: a mix-up of clocks shows
LANGUAGE_CODE = "en"
USE_I18N = True
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_NAME = os.environ.get("TEST_DATABASE_NAME", "twilio_verify")


def _databases() -> dict[str, Any]:
    kind = os.environ.get("TEST_DATABASE", "sqlite")
    if kind == "sqlite":
        # A file, so that threads of a test see one database and wait for each other as in production.
        # Each process its own file, unless a bench keeps its database for the next run.
        owner = "kept" if "BENCH_KEEP" in os.environ else os.getpid()
        name = Path(os.environ.get("TMPDIR", "/tmp")) / f"{_NAME}-{owner}.sqlite3"
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(name),
            "TEST": {"NAME": str(name)},
            # No test asks what a crash of the machine would leave (of the process: nothing changes).
            "OPTIONS": {"timeout": 20, "init_command": "PRAGMA synchronous=OFF"},
        }
    if kind == "postgres":
        return {
            "ENGINE": "tests.support.postgres",
            # No test asks what a crash of the server would leave.
            "OPTIONS": {"options": "-c synchronous_commit=off"},
            "NAME": os.environ.get("PGDATABASE", "postgres"),
            "HOST": os.environ.get("PGHOST", "127.0.0.1"),
            "PORT": os.environ.get("PGPORT", "5432"),
            "USER": os.environ.get("PGUSER", "root"),
            "PASSWORD": os.environ.get("PGPASSWORD", ""),
            "TEST": {"NAME": f"test_{_NAME}"},
        }
    if kind == "mariadb":
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": "test",
            "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
            "PORT": os.environ.get("MYSQL_PORT", "3306"),
            "USER": os.environ.get("MYSQL_USER", "root"),
            "PASSWORD": os.environ.get("MYSQL_PASSWORD", ""),
            "OPTIONS": {"charset": "utf8mb4"},
            "TEST": {"NAME": f"test_{_NAME}", "CHARSET": "utf8mb4"},
        }
    raise ValueError(f"TEST_DATABASE={kind!r}: use sqlite, postgres or mariadb")


def _redis() -> str:
    """Each process of a run has a database of its own, from that of ``REDIS_URL`` on: clearing a cache empties all."""
    given = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
    url, _, first = given.rpartition("/")
    if not first.isdigit():  # the URL names no database
        url, first = given.rstrip("/"), "0"
    process = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return f"{url}/{int(first) + int(process)}"


DATABASES = {"default": _databases()}
CACHES: dict[str, Any] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if os.environ.get("TEST_CACHE") == "redis":
    CACHES["default"] = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": _redis(),
        "KEY_PREFIX": _NAME,
    }
    SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_twilio_verify",
    "tests.support.site",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_twilio_verify.middleware.TwoFactorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "tests.support.site.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/account/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Django 6.1 asks for it; those before do not know it, and tests keep their letters in memory anyway.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": "django_twilio_verify.backends.locmem.LocMemBackend"}}
TWILIO_VERIFY_CHANNELS = ["sms", "call", "whatsapp", "email"]
TWILIO_VERIFY_SUGGEST_STRONGER_FACTOR = (
    False  # but for the tests of it: what comes after a sign-in is then where one was going
)
TWILIO_VERIFY_PROGRAM = {
    "name": "Acme",
    "terms_url": "https://acme.example/terms",
    "privacy_url": "https://acme.example/privacy",
    "support": "help@acme.example",
    "message_frequency": "One message per request",
}
