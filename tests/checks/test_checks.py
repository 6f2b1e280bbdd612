"""The system checks: each fires, each keeps still, and none crashes on what a site may write."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core import checks as django_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings
from django.utils.translation import gettext_lazy

from django_twilio_verify.backends.base import BaseBackend
from django_twilio_verify.backends.twilio import backend
from django_twilio_verify.checks import configuration, login_urls
from django_twilio_verify.conf import table
from django_twilio_verify.middleware import TwoFactorMiddleware
from django_twilio_verify.provider import service_declaration
from tests.support.basics import make_secret

OURS = "django_twilio_verify.middleware.TwoFactorMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
REMOTE_USER = "django.contrib.auth.middleware.RemoteUserMiddleware"
LOCMEM = "django_twilio_verify.backends.locmem.LocMemBackend"
CONSOLE = "django_twilio_verify.backends.console.ConsoleBackend"
ONE_KEEPS = {"default": {"BACKEND": "tests.views.enroll.backends.CodesOnly"}, "shop": {"BACKEND": LOCMEM}}
TWILIO = "django_twilio_verify.backends.twilio.TwilioBackend"
ACCOUNT = {
    "account_sid": "AC" + "a" * 32,
    "password": "secret",
    "service_sid": "VA" + "b" * 32,
}
FACTS = {
    "name": "Acme",
    "terms_url": "https://acme.example/terms",
    "privacy_url": "https://acme.example/privacy",
    "support": "help@acme.example",
    "message_frequency": "One message per request",
}
# `manage.py check` compares the keys with the register.
pytestmark = pytest.mark.django_db
SECRET, OTHER_SECRET, SIGNING_SECRET = make_secret("s"), make_secret("t"), make_secret("seals")
BAD_SECRETS = (
    "",
    " ",
    "a" * 32,
    "abcdefgh" * 8,
    f"{OTHER_SECRET}\n",
    f" {OTHER_SECRET}",
    f"{OTHER_SECRET}\n".encode(),
)


class SiteMiddleware(TwoFactorMiddleware):
    """A site's own, made of ours."""


class ExplodingBackend(BaseBackend):
    def __init__(self, alias: str, *, token: str = "", timeout: float = 10.0) -> None:
        raise RuntimeError(token)


class ExplodingChecks(BaseBackend):
    def system_checks(self) -> list[django_checks.CheckMessage]:
        raise ValueError("hunter2")


class SpeakingBackend(BaseBackend):
    delivers = False

    def system_checks(self) -> list[django_checks.CheckMessage]:
        return [django_checks.Error("Too slow.", id="site.E001")]


def policy(user: object, request: object) -> bool:
    return True


def found(**settings: Any) -> list[django_checks.CheckMessage]:
    """All that our checks say of the test site with these settings."""
    # Keys of its own, so that W004 is not said each time.
    settings = {"FINGERPRINT_KEYS": [("k1", SECRET)], "SIGNING_KEYS": [("k1", SIGNING_SECRET)], **settings}
    named = {name if name in ("MIDDLEWARE", "DEBUG") else f"TWILIO_VERIFY_{name}": settings[name] for name in settings}
    with override_settings(**named):
        messages = django_checks.run_checks(tags=["security", "twilio_verify"])
    return [message for message in messages if not str(message.id).startswith("security.")]


def ids(**settings: Any) -> list[str]:
    # W001 is said of the test site at all times: its backend keeps codes in memory.
    return sorted(str(message.id).removeprefix("twilio_verify.") for message in found(**settings))


def service(**keys: Any) -> dict[str, Any]:
    """``TWILIO_VERIFY_BACKENDS`` with the facts of a Service."""
    return {"default": {"BACKEND": LOCMEM, **keys}}


def options(**changed: Any) -> dict[str, Any]:
    return {"default": {"BACKEND": TWILIO, "OPTIONS": {**ACCOUNT, **changed}}}


def test_the_test_site_has_no_errors_and_one_warning() -> None:
    assert ids() == ["W001"]


def test_manage_py_check_passes() -> None:
    said = StringIO()
    call_command("check", stdout=said, stderr=said)
    assert "twilio_verify.W001" in said.getvalue()


def test_manage_py_check_fails_on_an_error() -> None:
    with (
        override_settings(TWILIO_VERIFY_BACKENDS=service(CODE_LENGTH=3)),
        pytest.raises(SystemCheckError, match=r"twilio_verify\.E018"),
    ):
        call_command("check", stdout=StringIO(), stderr=StringIO())


def test_an_id_can_be_silenced() -> None:
    with override_settings(
        SILENCED_SYSTEM_CHECKS=["twilio_verify.E018"], TWILIO_VERIFY_BACKENDS=service(CODE_LENGTH=3)
    ):
        call_command("check", stdout=StringIO(), stderr=StringIO())


@pytest.mark.parametrize(
    ("tag", "expected"), [("security", {"E001", "E003", "E004", "E005", "W004"}), ("twilio_verify", {"E018", "W001"})]
)
def test_checks_can_be_run_by_tag(tag: str, expected: set[str]) -> None:
    with override_settings(
        MIDDLEWARE=[],
        TWILIO_VERIFY_REQUIRED_FOR="nobody",
        TWILIO_VERIFY_LIMITS=[],
        TWILIO_VERIFY_FINGERPRINT_KEYS=["x"],
        TWILIO_VERIFY_BACKENDS=service(CODE_LENGTH=3),
    ):
        messages = django_checks.run_checks(tags=[tag])
    said = {str(message.id).removeprefix("twilio_verify.") for message in messages}
    assert {one for one in said if not one.startswith("security.")} == expected


# What a site may write, and what is said of it beside the W001 of the test site.
CASES: list[tuple[dict[str, Any], list[str]]] = [
    # ---- E001, E002
    ({"MIDDLEWARE": [AUTHENTICATION]}, ["E001"]),
    ({"MIDDLEWARE": []}, ["E001"]),
    ({"MIDDLEWARE": [AUTHENTICATION, OURS + "x"]}, ["E001"]),
    ({"MIDDLEWARE": [AUTHENTICATION, "nowhere", ".", "", None, 5, "django.nothing.Here", OURS]}, []),
    ({"MIDDLEWARE": [AUTHENTICATION, OURS]}, []),
    ({"MIDDLEWARE": [AUTHENTICATION, f"{__name__}.SiteMiddleware"]}, []),
    ({"MIDDLEWARE": [OURS, AUTHENTICATION]}, ["E002"]),
    ({"MIDDLEWARE": [OURS]}, ["E002"]),
    ({"MIDDLEWARE": [f"{__name__}.SiteMiddleware", AUTHENTICATION]}, ["E002"]),
    # ---- E003
    ({"REQUIRED_FOR": "staff"}, []),
    ({"REQUIRED_FOR": policy}, []),
    ({"REQUIRED_FOR": f"{__name__}.policy"}, []),
    ({"REQUIRED_FOR": "nobody"}, ["E003"]),
    ({"REQUIRED_FOR": None}, ["E003"]),
    ({"REQUIRED_FOR": ["staff", "superuser", "group:Editors", "perm:shop.refund", policy]}, []),
    ({"REQUIRED_FOR": []}, ["E003"]),
    ({"REQUIRED_FOR": ["staff", "nobody"]}, ["E003"]),
    ({"REQUIRED_FOR": "group:"}, ["E003"]),
    ({"REQUIRED_FOR": "perm:refund"}, ["E003"]),
    # ---- W075
    ({"MIDDLEWARE": [AUTHENTICATION, OURS, AUTHENTICATION]}, ["W075"]),
    ({"MIDDLEWARE": [AUTHENTICATION, OURS, REMOTE_USER]}, ["W075"]),
    ({"MIDDLEWARE": [AUTHENTICATION, REMOTE_USER, OURS, "nowhere"]}, []),
    ({"REQUIRED_FOR": "nowhere.policy"}, ["E003"]),
    ({"REQUIRED_FOR": "..policy"}, ["E003"]),
    # ---- E004
    ({"LIMITS": {"ip_hour": 0}}, []),
    ({"LIMITS": None}, []),
    ({"LIMITS": {"ip_day": 5}}, ["E004"]),
    ({"LIMITS": {5: 5}}, ["E004"]),
    ({"LIMITS": {"ip_hour": -1}}, ["E004"]),
    ({"LIMITS": {"ip_hour": "5"}}, ["E004"]),
    ({"LIMITS": {"ip_hour": None}}, ["E004"]),
    ({"LIMITS": {"ip_hour": True}}, ["E004"]),
    ({"LIMITS": {"ip_hour": 5.0, "ip_day": 5}}, ["E004", "E004"]),
    ({"LIMITS": []}, ["E004"]),
    ({"LIMITS": 5}, ["E004"]),
    # ---- E024
    ({"RESEND_COOLDOWN_SECONDS": [60, 60, "90"]}, []),
    ({"RESEND_COOLDOWN_SECONDS": None}, []),
    ({"RESEND_COOLDOWN_SECONDS": []}, ["E024"]),
    ({"RESEND_COOLDOWN_SECONDS": 30}, ["E024"]),
    ({"RESEND_COOLDOWN_SECONDS": [0]}, ["E024"]),
    ({"RESEND_COOLDOWN_SECONDS": [60, 30]}, ["E024"]),
    # ---- E035, W035
    ({"CLAIMANT_BACKEND": None}, []),
    ({"CLAIMANT_BACKEND": "nowhere"}, ["E035"]),
    ({"CLAIMANT_BACKEND": "default"}, ["E035"]),
    # ---- E005
    ({"FINGERPRINT_KEYS": [("k2", SECRET), ("k1", OTHER_SECRET.encode())]}, []),
    ({"FINGERPRINT_KEYS": []}, ["W004"]),
    ({"FINGERPRINT_KEYS": None}, ["W004"]),
    ({"FINGERPRINT_KEYS": [("k1", "short")]}, ["E005"]),
    ({"FINGERPRINT_KEYS": [("", SECRET)]}, ["E005"]),
    ({"FINGERPRINT_KEYS": [("k.1", SECRET)]}, ["E005"]),
    ({"FINGERPRINT_KEYS": [("ключ", SECRET)]}, ["E005"]),
    ({"FINGERPRINT_KEYS": [("k" * 13, SECRET)]}, ["E005"]),
    ({"FINGERPRINT_KEYS": [("k1", SECRET), ("k1", make_secret("t"))]}, ["E005"]),
    ({"FINGERPRINT_KEYS": [("k1", 5)]}, ["E005"]),
    ({"FINGERPRINT_KEYS": [SECRET]}, ["E005"]),
    ({"FINGERPRINT_KEYS": {"k1": SECRET}}, ["E005"]),
    ({"FINGERPRINT_KEYS": SECRET}, ["E005"]),
    ({"FINGERPRINT_KEYS": 5}, ["E005"]),
    # ---- E008, E009, W002
    ({"CHANNELS": ["sms", "voice"]}, []),
    ({"CHANNELS": {"sms", "call"}}, []),
    ({"CHANNELS": ["email"]}, []),
    ({"CHANNELS": None}, []),
    ({"CHANNELS": ["pigeon", "sms"]}, ["E008"]),
    ({"CHANNELS": [None, "sms"]}, ["E008"]),
    ({"CHANNELS": []}, ["E008"]),
    ({"CHANNELS": "sms"}, ["E008"]),
    ({"CHANNELS": 5}, ["E008"]),
    ({"CHANNELS": {"sms": True}}, ["E008"]),
    ({"CHANNELS": ["sms", "totp"]}, ["E009"]),
    ({"CHANNELS": ["pigeon", "push"]}, ["E008", "E009"]),
    ({"CHANNELS": ["sms"]}, ["W002"]),
    ({"CHANNELS": ["rcs", "SMS"]}, ["W002"]),
    # ---- E015, E016, W003
    ({"PROGRAM": FACTS}, []),
    ({"PROGRAM": {**FACTS, "nmae": "Acme"}}, ["E015"]),
    ({"PROGRAM": {**FACTS, 5: "Acme"}}, ["E015"]),
    ({"PROGRAM": ["Acme"]}, ["E015"]),
    ({"PROGRAM": "Acme"}, ["E015"]),
    ({"PROGRAM": {**FACTS, "terms_url": ""}}, ["E016"]),
    ({"PROGRAM": {**FACTS, "terms_url": None}}, ["E016"]),
    ({"PROGRAM": {}}, ["E016"]),
    ({"PROGRAM": None}, ["E016"]),
    # ---- E017
    ({"COUNTRIES": ["AT", "de"], "DEFAULT_REGION": "at"}, []),
    ({"COUNTRIES": None, "DEFAULT_REGION": None}, []),
    ({"COUNTRIES": ["UK"]}, ["E017"]),
    ({"COUNTRIES": ["AT", "ZZ", None]}, ["E017", "E017"]),
    ({"COUNTRIES": "AT"}, ["E017"]),
    ({"COUNTRIES": 43}, ["E017"]),
    ({"DEFAULT_REGION": "Austria"}, ["E017"]),
    ({"DEFAULT_REGION": 43}, ["E017"]),
    ({"COUNTRIES": "AT", "DEFAULT_REGION": "UK"}, ["E017", "E017"]),
    # ---- E018
    ({"BACKENDS": service(CODE_LENGTH=4)}, ["W006"]),
    ({"BACKENDS": service(CODE_LENGTH=5)}, ["W006"]),
    ({"BACKENDS": service(CODE_LENGTH=6)}, []),
    ({"BACKENDS": service(CODE_LENGTH=10)}, []),
    ({"BACKENDS": service(CODE_LENGTH="8")}, []),
    (
        {
            "BACKENDS": service(CODE_LENGTH=None, CODE_LIFETIME_SECONDS=None),
            "PENDING_LOGIN_SECONDS": None,
            "PROXY_COUNT": None,
        },
        [],
    ),
    ({"BACKENDS": service(CODE_LENGTH=3)}, ["E018"]),
    ({"BACKENDS": service(CODE_LENGTH=11)}, ["E018"]),
    ({"BACKENDS": service(CODE_LENGTH="six")}, ["E018"]),
    ({"BACKENDS": service(CODE_LENGTH=[])}, ["E018"]),
    ({"BACKENDS": service(CODE_LENGTH=6.5)}, ["E018"]),
    ({"BACKENDS": service(CODE_LIFETIME_SECONDS=120)}, []),
    ({"BACKENDS": service(CODE_LIFETIME_SECONDS=86_400)}, []),
    ({"BACKENDS": service(CODE_LIFETIME_SECONDS=119)}, ["E018"]),
    ({"BACKENDS": service(CODE_LIFETIME_SECONDS=86_401)}, ["E018"]),
    ({"BACKENDS": service(CODE_LIFETIME_SECONDS=float("inf"))}, ["E018"]),
    ({"BACKENDS": service(CODE_LIFETIME_SECONDS=float("nan"))}, ["E018"]),
    ({"PENDING_LOGIN_SECONDS": 60}, []),
    ({"PENDING_LOGIN_SECONDS": timedelta(minutes=30), "GRACE_DAYS": timedelta(days=14)}, []),
    ({"PENDING_LOGIN_SECONDS": timedelta(seconds=-60)}, ["E018"]),
    ({"PENDING_LOGIN_SECONDS": timedelta.max}, ["E018"]),
    ({"GRACE_DAYS": timedelta(hours=30)}, ["E018"]),
    ({"RESEND_COOLDOWN_SECONDS": [timedelta(minutes=1), timedelta(0)]}, ["E024"]),
    ({"PENDING_LOGIN_SECONDS": 59}, ["E018"]),
    ({"PROXY_COUNT": 10}, []),
    ({"PROXY_COUNT": -1}, ["E018"]),
    ({"REVERIFY_DAYS": 0}, []),
    ({"REVERIFY_DAYS": "3650"}, []),
    ({"REVERIFY_DAYS": -1}, ["E018"]),
    ({"REVERIFY_DAYS": 3651}, ["E018"]),
    ({"REVERIFY_DAYS": "a year"}, ["E018"]),
    ({"STEP_UP_MAX_AGE_SECONDS": 60}, []),
    ({"STEP_UP_MAX_AGE_SECONDS": 59}, ["E018"]),
    ({"RESET_DELAY_HOURS": 0}, []),
    ({"RESET_DELAY_HOURS": -1}, ["E018"]),
    ({"RESET_LINK_HOURS": 8760}, []),
    ({"RESET_LINK_HOURS": 0}, ["E018"]),
    ({"MAY_RESET": policy}, []),
    ({"MAY_RESET": "nowhere.rule"}, ["E072"]),
    ({"MAY_RESET": 7}, ["E072"]),
    ({"PROXY_COUNT": True}, ["E018"]),
    ({"TRUSTED_BROWSER_DAYS": 365}, []),
    ({"TRUSTED_BROWSER_DAYS": lambda user, request: 30}, []),
    ({"TRUSTED_BROWSER_DAYS": 366}, ["E018"]),
    ({"TRUSTED_BROWSER_DAYS": -1}, ["E018"]),
    ({"TRUSTED_BROWSER_DAYS": "no.such.path"}, ["E018"]),
    ({"BACKENDS": service(CODE_LENGTH=3, CODE_LIFETIME_SECONDS=1), "GRACE_DAYS": -1, "PROXY_COUNT": 11}, ["E018"] * 4),
    # ---- W005, and silence where another check speaks
    ({"PROGRAM": {**FACTS, "terms_url": "https://localhost/terms"}}, ["W005", "W005"]),
    ({"PROGRAM": {**FACTS, "message_frequency": "As we like"}}, ["W005", "W005", "W005"]),
    ({"PROGRAM": {**FACTS, "message_frequency": "As we like"}, "CHANNELS": ["sms"]}, ["W002"]),
    ({"PROGRAM": {**FACTS, "message_frequency": "As we like", "support": ""}}, ["E016"]),
    # ---- E019
    ({"EXEMPT_URLS": ["account", "logout", "/account/", "admin:login"]}, []),
    ({"EXEMPT_URLS": None}, []),
    ({"EXEMPT_URLS": ["/"]}, ["E019"]),
    ({"EXEMPT_URLS": ["/account"]}, []),
    ({"EXEMPT_URLS": ["/acc"]}, ["W070"]),
    *(
        ({"EXEMPT_URLS": [prefix]}, ["E019"])
        for prefix in ("//", "//account", "/a//b", "/a/../b", "/a?b", "/%61", "/a#")
    ),
    # ---- W070, W071, W072
    ({"EXEMPT_URLS": ["status"]}, ["W070"]),
    ({"EXEMPT_URLS": ["/nowhere/", "shop:account"]}, ["W070", "W070"]),
    ({"EXEMPT_URLS": ["admin:index"]}, ["W071"]),
    ({"EXEMPT_URLS": ["/admin/auth/"]}, ["W071"]),
    ({"EXEMPT_URLS": ["login"]}, ["W072"]),
    ({"EXEMPT_URLS": "status"}, ["E019"]),
    ({"EXEMPT_URLS": {"status": 1}}, ["E019"]),
    ({"EXEMPT_URLS": 5}, ["E019"]),
    ({"EXEMPT_URLS": [policy]}, ["E019"]),
    ({"EXEMPT_URLS": [""]}, ["E019"]),
    ({"EXEMPT_URLS": "status", "REQUIRED_FOR": "nobody"}, ["E003", "E019"]),
    # ---- E050, W050 (what can be wrong with it is in tests/provider/webhooks)
    ({"WEBHOOK": {}}, []),
    ({"WEBHOOK": {"username": "sink", "password": "x"}}, []),
    ({"WEBHOOK": {"username": "sink"}}, ["E050"]),
    ({"WEBHOOK": {"username": ["new", "old"], "password": ("new", "old")}}, []),
    ({"WEBHOOK": {"username": "sink", "password": ["new", ""]}}, ["E050"]),
    ({"WEBHOOK": {"username": "sink", "password": {"new": "old"}}}, ["E050"]),
    ({"WEBHOOK": {"username": ["a:b"], "password": "x"}}, ["E050"]),
    ({"WEBHOOK": "https://shop.example/"}, ["E050"]),
    ({"WEBHOOK": {"max_age": 86_400}}, ["W050"]),
    # ---- E040, E041, W040
    ({"CHANNEL_RULES": [{"countries": ["at"], "channels": ["call", "voice"]}, {"channels": ["sms"]}]}, []),
    ({"CHANNEL_RULES": [{"line_types": ["landline"], "purposes": ["login"], "channels": ["call"]}]}, []),
    ({"CHANNEL_RULES": None}, []),
    ({"CHANNEL_RULES": "sms"}, ["E040"]),
    ({"CHANNEL_RULES": [["sms"]]}, ["E040"]),
    ({"CHANNEL_RULES": [{"channel": ["sms"]}]}, ["E040"]),
    ({"CHANNEL_RULES": [{"countries": ["AT"]}]}, ["E040"]),
    ({"CHANNEL_RULES": [{"channels": ["pigeon"]}]}, ["E040"]),
    ({"CHANNEL_RULES": [{"channels": ["totp"]}]}, ["E040"]),
    ({"CHANNEL_RULES": [{"channels": "sms"}]}, ["E040"]),
    ({"CHANNEL_RULES": [{"channels": ["sms"], "purposes": ["fun"]}]}, ["E040"]),
    ({"CHANNEL_RULES": [{"channels": ["sms"], "countries": [43]}]}, ["E040"]),
    ({"CHANNEL_RULES": [{"channels": ["sms", "auto"]}]}, ["E041"]),
    ({"CHANNELS": ["sna", "email"]}, ["W040"]),
    ({"CHANNELS": ["sna", "auto", "email"]}, ["W040"]),
    ({"CHANNELS": ["sna", "auto", "sms"]}, []),
    ({"CHANNELS": ["auto", "sms"]}, ["W002"]),
    # ---- E042, E043, E044
    ({"SEND_OPTIONS": {"app_hash": "x", "tags": lambda request: {}, "send_digits": "1w2"}}, []),
    ({"SEND_OPTIONS": lambda request: {}}, []),
    ({"SEND_OPTIONS": None}, []),
    ({"SEND_OPTIONS": ["app_hash"]}, ["E042"]),
    ({"SEND_OPTIONS": "nowhere.options"}, ["E042"]),
    ({"SEND_OPTIONS": {"colour": "red"}}, ["E042"]),
    ({"SEND_OPTIONS": {"colour": lambda request: "red"}}, ["E042"]),
    ({"SEND_OPTIONS": {"tags": "red"}}, ["E042"]),
    ({"SEND_OPTIONS": {"amount": "5", "payee": "Shop"}}, ["E042"]),
    ({"SEND_OPTIONS": {"amount": lambda request: "5"}}, ["E042"]),
    ({"SEND_OPTIONS": {"custom_friendly_name": "12345"}}, ["E042"]),
    ({"BACKENDS": service(PSD2="default")}, ["E044"]),
    ({"BACKENDS": service(PSD2=True)}, []),
    ({"BACKENDS": service(PSD2=False)}, []),
    (
        {
            "BACKENDS": {"default": {"BACKEND": f"{__name__}.SpeakingBackend", "PSD2": True}},
            "SEND_OPTIONS": {"app_hash": lambda request: "x"},
        },
        ["E043", "E044", "site.E001"],
    ),
    # ---- E030
    ({"ROUTER": policy, "TENANT": f"{__name__}.policy"}, []),
    ({"ROUTER": "nowhere.router"}, ["E030"]),
    ({"ROUTER": 5, "TENANT": 5}, ["E030", "E030"]),
    # ---- E060
    ({"MINIMUM_ASSURANCE": "strong"}, ["E060"]),
    ({"MINIMUM_ASSURANCE": 5}, ["E060"]),
    ({"MINIMUM_ASSURANCE": "nowhere.policy"}, ["E060"]),
    ({"MINIMUM_ASSURANCE": "totp"}, []),
    # ---- E067
    ({"ERROR_MESSAGES": {"phone_invalid": "No.", "wrong": gettext_lazy("No, 100%%: %(left)s left.")}}, []),
    (
        {"ERROR_MESSAGES": {"expired": "100% late", "totp.wrong": "%(left)s", "too_late": "Late.", "factor_held": "x"}},
        [],
    ),
    ({"ERROR_MESSAGES": {"email_typo": "%(suggestion)s?"}}, []),
    ({"ERROR_MESSAGES": None}, []),
    ({"ERROR_MESSAGES": ["phone_invalid"]}, ["E067"]),
    ({"ERROR_MESSAGES": {"phone_invlid": "No."}}, ["E067"]),
    ({"ERROR_MESSAGES": {"approved": "Yes."}}, ["E067"]),
    ({"ERROR_MESSAGES": {5: "No.", "fax.wrong": "No."}}, ["E067", "E067"]),
    ({"ERROR_MESSAGES": {"phone_invalid": 5, "expired": ""}}, ["E067", "E067"]),
    (
        {"ERROR_MESSAGES": {"email_typo": "%(suggested)s?", "wrong": "%(length)s", "malformed": "100% %(length)s"}},
        ["E067"] * 3,
    ),
    ({"ERROR_MESSAGES": {"phone_invalid": "%(suggestion)s?"}}, ["E067"]),
    # ---- E065, W065
    ({"PUSH_APP_NAME": "Acme Go", "SUGGEST_STRONGER_FACTOR": False}, []),
    ({"PUSH_APP_NAME": "Acme Go", "BACKENDS": {"default": {"BACKEND": LOCMEM}, "brand": {}}}, ["E007"]),
    ({"PUSH_APP_NAME": 5}, ["E065"]),
    ({"SUGGEST_STRONGER_FACTOR": "0"}, ["E065"]),
    # ---- E066
    ({"DEVICE_FACTORS": ["totp", "push", "passkey"]}, []),
    ({"DEVICE_FACTORS": ()}, []),
    ({"DEVICE_FACTORS": None}, []),
    ({"DEVICE_FACTORS": ["totp", "phone"]}, ["E066"]),
    ({"DEVICE_FACTORS": ["TOTP"]}, ["E066"]),
    ({"DEVICE_FACTORS": "totp"}, ["E066"]),
    ({"DEVICE_FACTORS": [5]}, ["E066"]),
    ({"DEVICE_FACTORS": 5}, ["E066"]),
    (
        {
            "PUSH_APP_NAME": "Acme Go",
            "BACKENDS": {"default": {"BACKEND": f"{__name__}.SpeakingBackend"}},
        },
        ["W065", "site.E001"],
    ),
    ({"PUSH_APP_NAME": "Acme Go", "BACKENDS": ONE_KEEPS}, ["W001", "W065"]),
    ({"PUSH_APP_NAME": "Acme Go", "BACKENDS": ONE_KEEPS, "ROUTER": policy}, ["W001"]),
    ({"PUSH_APP_NAME": "Acme Go", "BACKENDS": ONE_KEEPS, "ROUTER": 5}, ["E030", "W001"]),
    # ---- E020, W004 (what can be wrong with a key is in tests/ledger/seals)
    ({"SIGNING_KEYS": [("k2", SIGNING_SECRET), ("k1", OTHER_SECRET.encode())]}, []),
    ({"SIGNING_KEYS": [("k1", "short")]}, ["E020"]),
    ({"SIGNING_KEYS": [("k1", SIGNING_SECRET), ("k1", OTHER_SECRET)]}, ["E020"]),
    # ---- secrets that must not be used
    *(
        ({f"{name}_KEYS": [("k1", bad)]}, [check])
        for name, check in (("FINGERPRINT", "E005"), ("SIGNING", "E020"))
        for bad in BAD_SECRETS
    ),
    ({"FINGERPRINT_KEYS": [("k2", SECRET), ("k1", "")]}, ["E005"]),
    ({"FINGERPRINT_KEYS": [("k2", SECRET), ("k1", SECRET)]}, ["E005"]),
    ({"SIGNING_KEYS": [("k2", SIGNING_SECRET), ("k1", SIGNING_SECRET)]}, ["E020"]),
    ({"FINGERPRINT_KEYS": [("k1", SECRET)], "SIGNING_KEYS": [("k1", SECRET)]}, ["E005", "E020"]),
    ({"FINGERPRINT_KEYS": [("k1", SECRET)], "WEBHOOK": {"username": "u", "password": SECRET}}, ["E005"]),
    ({"SIGNING_KEYS": [("k1", SIGNING_SECRET)], "WEBHOOK": {"username": "u", "password": SIGNING_SECRET}}, ["E020"]),
    ({"SIGNING_KEYS": SECRET}, ["E020"]),
    ({"SIGNING_KEYS": {"k1": SECRET}}, ["E020"]),
    ({"SIGNING_KEYS": 5}, ["E020"]),
    ({"SIGNING_KEYS": None}, ["W004"]),
    ({"SIGNING_KEYS": [], "FINGERPRINT_KEYS": None}, ["W004"]),
]
BACKENDS: list[tuple[Any, list[str]]] = [
    # ---- E006, E007, E010 to E014, W001
    (options(), []),
    ({"default": {"BACKEND": LOCMEM}}, ["W001"]),
    ({"default": {"BACKEND": LOCMEM}, "brand": {"BACKEND": CONSOLE}}, ["W001", "W001"]),
    (None, ["E006"]),
    ({}, ["E006"]),
    ({"brand": {"BACKEND": LOCMEM}}, ["E006"]),
    (["default"], ["E006"]),
    ("default", ["E006"]),
    (5, ["E006"]),
    ({"default": LOCMEM}, ["E007"]),
    ({"default": None}, ["E007"]),
    ({"default": []}, ["E007"]),
    ({"default": {}}, ["E007"]),
    ({"default": {"BACKEND": None}}, ["E007"]),
    ({"default": {"BACKEND": BaseBackend}}, ["E007"]),
    ({"default": {"BACKEND": "nowhere.Backend"}}, ["E007"]),
    ({"default": {"BACKEND": "."}}, ["E007"]),
    ({"default": {"BACKEND": LOCMEM + "x"}}, ["E007"]),
    ({"default": {"BACKEND": "collections.OrderedDict"}}, ["E007"]),
    ({"default": {"BACKEND": LOCMEM, "OPTION": {}}}, ["E007"]),
    ({"default": {"BACKEND": LOCMEM, "OPTIONS": None}}, ["E007"]),
    ({"default": {"BACKEND": LOCMEM, "OPTIONS": ["x"]}}, ["E007"]),
    ({"default": {"BACKEND": LOCMEM, "OPTIONS": {"colour": "red"}}}, ["E007"]),
    ({"default": {"BACKEND": f"{__name__}.ExplodingBackend", "OPTIONS": {"token": "hunter2"}}}, ["E007"]),
    ({"default": {"BACKEND": f"{__name__}.ExplodingChecks"}}, ["E007"]),
    ({"default": {"BACKEND": TWILIO}}, ["E007"]),
    ({"default": {"BACKEND": LOCMEM}, "shop": {"BACKEND": LOCMEM, "CODE_LIFETIME": 600}}, ["E007", "W001"]),
    ({"default": {"BACKEND": LOCMEM}, "brand": {"BACKEND": "nowhere.Backend"}}, ["E007", "W001"]),
    ({"default": {"BACKEND": f"{__name__}.SpeakingBackend"}}, ["W001", "site.E001"]),
    # ---- E031 to E034, W030 (what can be wrong with a declared Service is in tests/provider/service)
    ({"default": {"BACKEND": LOCMEM, "SERVICE": {"ttl": 600}}}, ["E031", "W001"]),
    ({"default": {"BACKEND": LOCMEM, "SERVICE": {"code_length": 3}}}, ["E032", "W001"]),
    ({"default": {"BACKEND": LOCMEM, "SERVICE": []}}, ["E032", "W001"]),
    ({"default": {"BACKEND": LOCMEM, "SERVICE": {"skip_sms_to_landlines": True}}}, ["E033", "W001"]),
    ({"default": {"BACKEND": LOCMEM, "SERVICE": {"code_length": 8}}}, ["E034", "W001"]),
    ({"default": {"BACKEND": LOCMEM, "SERVICE": {"psd2_enabled": True}}}, ["E034", "W001"]),
    (service(SERVICE={"psd2_enabled": True}, PSD2=True), ["W001", "W030"]),
    (options(account_sid="AC1"), ["E010"]),
    (options(service_sid=""), ["E011"]),
    (options(username="ann"), ["E012"]),
    (options(password=""), ["E013"]),
    (options(timeout=0), ["E014"]),
    (options(auth_token=["new", "old"], password=("new", "old")), []),
    (options(auth_token=["new", ""]), ["E051"]),
    (options(auth_token={"new": "old"}), ["E051"]),
    (options(auth_token=[]), ["E051"]),
    (options(password=[None]), ["E051"]),
    (options(password=7), ["E051"]),
]


@pytest.mark.parametrize(("written", "said"), CASES)
def test_what_is_said_of_a_setting(written: dict[str, Any], said: list[str]) -> None:
    assert ids(**written) == sorted([*said, "W001"])


@pytest.mark.parametrize(("written", "said"), BACKENDS)
def test_what_is_said_of_backends(written: Any, said: list[str]) -> None:
    assert ids(BACKENDS=written) == said


@pytest.mark.parametrize(("sid", "said"), [("b", ["W035"]), ("c", [])])
def test_claimants_want_a_service_of_their_own(sid: str, said: list[str]) -> None:
    both = {**options(), "claimants": options(service_sid="VA" + sid * 32)["default"]}
    assert ids(BACKENDS=both, CLAIMANT_BACKEND="claimants") == said


def test_while_debugging_less_is_asked() -> None:
    assert ids(DEBUG=True) == []
    assert ids(DEBUG=True, BACKENDS=None, PROGRAM={}) == ["W003"]
    assert ids(DEBUG=True, PROGRAM=FACTS) == []
    assert ids(DEBUG=True, BACKENDS={}) == ["E006"]


def test_everything_wrong_at_once_is_all_told() -> None:
    names = (
        "REQUIRED_FOR",
        "LIMITS",
        "FINGERPRINT_KEYS",
        "SIGNING_KEYS",
        "BACKENDS",
        "CHANNELS",
        "PROGRAM",
        "COUNTRIES",
        "EXEMPT_URLS",
    )
    said = ids(MIDDLEWARE=[], GRACE_DAYS=-1, **dict.fromkeys(names, 5))
    assert said == ["E001", "E003", "E004", "E005", "E006", "E008", "E015", "E017", "E018", "E019", "E020"]


def test_every_message_names_the_setting_it_is_about() -> None:
    for written, _ in [*CASES, *[({"BACKENDS": given}, said) for given, said in BACKENDS]]:
        for message in found(**written):
            if message.id in ("twilio_verify.W001", "site.E001"):
                continue
            assert any(name in message.msg for name in written), message


def test_no_message_quotes_a_secret() -> None:
    secrets = [
        {"BACKENDS": {"default": {"BACKEND": LOCMEM, "OPTIONS": {"password": "hunter2"}}}},
        {"BACKENDS": {"default": {"BACKEND": f"{__name__}.ExplodingBackend", "OPTIONS": {"token": "hunter2"}}}},
        {"BACKENDS": {"default": {"BACKEND": f"{__name__}.ExplodingChecks"}}},
        {"BACKENDS": options(account_sid="hunter2", username="hunter2", service_sid="hunter2")},
        {"FINGERPRINT_KEYS": [("k1", "hunter2")]},
        {"FINGERPRINT_KEYS": ["hunter2"]},
        {"FINGERPRINT_KEYS": "hunter2"},
        {"SIGNING_KEYS": [("k1", "hunter2")]},
        {"SIGNING_KEYS": [("k1", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----")]},
        {"SIGNING_KEYS": ["hunter2"]},
    ]
    for written in secrets:
        messages = found(**written)
        assert [message for message in messages if message.is_serious()]
        assert "hunter2" not in "".join(map(str, messages))


def ids_in(module: Any) -> list[str]:
    """The check ids written in a module's code: each ``E001`` or ``W001`` of a string that is no docstring."""
    written: list[str] = []
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.removeprefix("twilio_verify.")
            if len(name) == 4 and name[0] in "EW" and name[1:].isdigit():
                written.append(name)
    return written


def test_every_id_is_tested_here() -> None:
    known = {*ids_in(table), *ids_in(configuration), *ids_in(login_urls)}
    known |= {*ids_in(service_declaration), *ids_in(backend)}
    fired = {name for _, said in [*CASES, *BACKENDS] for name in said if "." not in name} | {"W003"}
    fired |= {"W035"}  # of two Services: above
    fired |= {"E021", "E022", "E023"}  # these ask the ledger: tests/ledger/keys
    # These ask urls, a signal, a table, middleware: tests/login/enforcement/test_url_checks.py.
    fired |= {"E070", "E071", *(f"W07{place}" for place in (*range(7), 9))}
    assert fired == known
    errors = (*range(1, 25), *range(30, 36), *range(40, 45), 50, 51, 60, *range(65, 68), 70, 71, 72)
    warnings = (*range(1, 7), 30, 35, 40, 50, 65, *range(70, 77), 79)
    assert known == {f"E{number:03}" for number in errors} | {f"W{number:03}" for number in warnings}


def test_no_id_serves_two_files() -> None:
    counted = Counter([*{*ids_in(table), *ids_in(configuration)}, *{*ids_in(backend)}])
    assert [name for name, times in counted.items() if times > 1] == []
