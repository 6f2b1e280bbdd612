"""What a site installs, includes and runs."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.signals import user_logged_in
from django.core.management import call_command
from django.urls import NoReverseMatch, URLPattern, reverse

import django_twilio_verify
from django_twilio_verify import urls
from django_twilio_verify.login.enforcement import on_login


def test_the_app_has_a_short_label() -> None:
    config = apps.get_app_config("twilio_verify")
    assert config.name == "django_twilio_verify"
    assert str(config.verbose_name)
    assert config.default_auto_field == "django.db.models.BigAutoField"


def test_the_version_is_written_once() -> None:
    assert django_twilio_verify.__version__.count(".") == 2


def test_every_table_is_named_after_the_label() -> None:
    tables = {model._meta.db_table for model in apps.get_app_config("twilio_verify").get_models()}
    assert tables
    assert all(table.startswith("twilio_verify_") for table in tables)


def test_sign_ins_are_heard_once() -> None:
    heard = [receiver for receiver in user_logged_in._live_receivers(sender=None)[0] if receiver is on_login]
    assert len(heard) == 1


def test_readiness_twice_registers_nothing_twice() -> None:
    apps.get_app_config("twilio_verify").ready()
    test_sign_ins_are_heard_once()


ARGUMENTS: dict[str, Any] = {
    "verification": "00000000-0000-4000-8000-000000000000",
    "channel": "sms",
    "factor": 1,
    "event": 1,
    "token": "signed:token",
    "key": "abc",
    "browser": 1,
    "purpose": "login",
}


@pytest.mark.parametrize("pattern", urls.urlpatterns, ids=lambda pattern: pattern.name)
def test_every_url_has_a_name_in_the_namespace(pattern: URLPattern) -> None:
    needed = {name: ARGUMENTS[name] for name in pattern.pattern.converters}
    assert reverse(f"twilio_verify:{pattern.name}", kwargs=needed).startswith("/verify/")


def test_names_are_unique() -> None:
    names = [pattern.name for pattern in urls.urlpatterns]
    assert len({*names}) == len(names)


def test_names_live_in_the_namespace_alone() -> None:
    with pytest.raises(NoReverseMatch):
        reverse("challenge")


START = """
import sys, time
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="x", INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_twilio_verify"],
)
django.setup()
loaded = [name for name in sys.modules if name.partition(".")[0] in ("twilio", "requests", "aiohttp")]
assert not loaded, loaded
assert "django_twilio_verify.testing" not in sys.modules
"""


def test_starting_a_site_loads_no_sdk() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", START], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


BARE = """
import django
from django.conf import settings
from django.core.management import call_command
from django.urls import include, path
settings.configure(
    DEBUG=True,
    SECRET_KEY="x",
    INSTALLED_APPS=[
        "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django_twilio_verify",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django_twilio_verify.middleware.TwoFactorMiddleware",
    ],
    ROOT_URLCONF="__main__",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()
urlpatterns = [path("verify/", include("django_twilio_verify.urls"))]
call_command("check", fail_level="ERROR")
call_command("migrate", verbosity=0)
from django_twilio_verify.backends.handler import backends
print(type(backends["default"]).__name__)
"""


def test_a_site_without_a_single_setting_of_ours_runs_on_the_console_backend() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", BARE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("ConsoleBackend")
    assert "W003" in done.stderr


def test_flush_is_ours() -> None:
    said = StringIO()
    with pytest.raises(SystemExit):
        call_command("flush", "--help", stdout=said)


def test_every_model_and_field_has_a_name_to_be_shown_by() -> None:
    for model in apps.get_app_config("twilio_verify").get_models():
        assert str(model._meta.verbose_name)
        assert str(model._meta.verbose_name) != model.__name__
