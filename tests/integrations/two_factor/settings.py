"""A site with django-two-factor-auth."""

from tests.settings import CACHES, DATABASES, TEMPLATES, TWILIO_VERIFY_PROGRAM

__all__ = ["CACHES", "DATABASES", "TEMPLATES", "TWILIO_VERIFY_PROGRAM"]

SECRET_KEY = "tests-only"
USE_TZ = True
ALLOWED_HOSTS = ["testserver"]
STATIC_URL = "/static/"
ROOT_URLCONF = "tests.integrations.two_factor.urls"
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
    "django_otp",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
    "two_factor",
    "django_twilio_verify",
    "django_twilio_verify.contrib.otp",
    "django_twilio_verify.contrib.two_factor",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_twilio_verify.middleware.TwoFactorMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django_twilio_verify.contrib.otp.middleware.VerifyDeviceMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
LOGIN_URL = "two_factor:login"
LOGIN_REDIRECT_URL = "two_factor:profile"
LOGOUT_REDIRECT_URL = "two_factor:login"
TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": "django_twilio_verify.backends.locmem.LocMemBackend"}}
# -- so much for that
