"""The settings of the tutorial: what ``startproject`` writes, and our additions."""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "django-insecure-for-the-tutorial-only-00000000000000000000"  # noqa: S105
DEBUG = True
ALLOWED_HOSTS: list[str] = []

# apps: begin
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_twilio_verify",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_twilio_verify.middleware.TwoFactorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# apps: end

ROOT_URLCONF = "mysite.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
USE_TZ = True
STATIC_URL = "static/"

# verify: begin
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "home"

TWILIO_VERIFY_BACKENDS = {
    "default": {"BACKEND": "django_twilio_verify.backends.console.ConsoleBackend"},
}
TWILIO_VERIFY_PROGRAM = {
    "name": "My site",
    "terms_url": "https://example.com/terms",
    "privacy_url": "https://example.com/privacy",
    "support": "help@example.com",
    "message_frequency": "One message per request",
}
# verify: end

# policy: begin
TWILIO_VERIFY_REQUIRED_FOR = "staff"
# policy: end
