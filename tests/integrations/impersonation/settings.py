"""A site whose staff act as users: by django-hijack, django-loginas, django-su and django-impersonate."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE

_WALL = "django_twilio_verify.middleware.TwoFactorMiddleware"
_AFTER = MIDDLEWARE.index(_WALL) + 1

# -- what a site writes
INSTALLED_APPS = [*INSTALLED_APPS, "hijack", "loginas", "django_su", "impersonate"]
MIDDLEWARE = [
    *MIDDLEWARE[:_AFTER],  # TwoFactorMiddleware is the last of them
    "hijack.middleware.HijackUserMiddleware",
    "impersonate.middleware.ImpersonateMiddleware",
    *MIDDLEWARE[_AFTER:],
]
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "django_su.backends.SuBackend"]
CAN_LOGIN_AS = "tests.integrations.impersonation.site.can_login_as"
SU_CUSTOM_LOGIN_ACTION = "tests.integrations.impersonation.site.su_login"
# -- so much for that
ROOT_URLCONF = "tests.integrations.impersonation.urls"
LOGINAS_LOGOUT_REDIRECT_URL = LOGINAS_REDIRECT_URL = "/account/"
