"""A site with django-axes."""

from tests.settings import CACHES, DATABASES, TEMPLATES, TWILIO_VERIFY_PROGRAM

__all__ = ["CACHES", "DATABASES", "TEMPLATES", "TWILIO_VERIFY_PROGRAM"]

SECRET_KEY = "tests-only"
USE_TZ = True
ALLOWED_HOSTS = ["testserver"]
STATIC_URL = "/static/"
ROOT_URLCONF = "tests.integrations.axes.urls"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/account/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# -- what a site writes
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "axes",
    "django_twilio_verify",
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
    "django_twilio_verify.contrib.axes.middleware.AxesLockoutMiddleware",
    "axes.middleware.AxesMiddleware",
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 3
AXES_RESET_ON_SUCCESS = True
TWILIO_VERIFY_DEFER_LOGIN_SIGNAL = True
TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": "django_twilio_verify.backends.locmem.LocMemBackend"}}
# -- so much for that

# Programs sign in here too.
INSTALLED_APPS = [
    *INSTALLED_APPS,
    "rest_framework",
    "rest_framework.authtoken",
    "django_twilio_verify.contrib.rest_framework",
]
