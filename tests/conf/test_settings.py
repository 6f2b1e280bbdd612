"""The settings: their defaults, read late, and what is said of hopeless ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.utils.translation import gettext_lazy

from django_twilio_verify import conf
from django_twilio_verify.choices import Channel, Purpose
from django_twilio_verify.conf import ChannelRule, Program, ServiceSettings, Settings, Webhook, settings

OURS = sorted(name for name, found in vars(Settings).items() if isinstance(found, property))
DEFAULTS: dict[str, Any] = {
    "backends": {},
    "channels": (Channel.SMS, Channel.CALL, Channel.EMAIL),
    "raw_channels": ("sms", "call", "email"),
    "channel_rules": (),
    "send_options": {},
    "required_for": ("enrolled",),
    "grace_days": 0,
    "policy_recheck_seconds": 300,
    "defer_login_signal": False,
    "program": Program(),
    "limits": {
        "user_hour": 10,
        "ip_hour": 60,
        "owner_hour": 10,
        "owner_day": 20,
        "claim_ten_minutes": 2,
        "claim_hour": 4,
        "claim_day": 8,
        "claim_check_ten_minutes": 3,
        "claim_check_hour": 6,
        "claim_check_day": 12,
        "login_network_hour": 5,
        "login_new_hour": 6,
        "login_new_day": 12,
        "login_app_hour": 10,
        "recovery_hour": 10,
        "recovery_network_hour": 100,
        "push_unanswered": 3,
        "push_unanswered_day": 10,
        "passkey_ip_hour": 300,
        "consent_user_day": 30,
        "consent_ip_day": 300,
        "consent_recipient_day": 30,
        "reopen_day": 2,
    },
    "resend_cooldown_seconds": (30, 40, 60, 90, 120),
    "claimant_backend": "",
    "minimum_assurance": "",
    "pending_login_seconds": 1800,
    "default_region": "",
    "countries": (),
    "proxy_count": 0,
    "exempt_urls": ("logout",),
    "redirect_url": "/account/",
}


async def async_policy(user: Any, request: Any) -> bool:
    return True


def setting(name: str) -> str:
    return "TWILIO_VERIFY_" + {"raw_channels": "channels"}.get(name, name).upper()


def with_setting(name: str, value: Any) -> override_settings:
    return override_settings(**{setting(name): value})


def without(*names: str) -> override_settings:
    """The site's settings without these: removed, not emptied."""
    changed = override_settings()
    changed.enable()
    for name in names:
        if hasattr(conf.django_settings, setting(name)):
            delattr(conf.django_settings, setting(name))
    return changed


def callable_policy(user: object, request: object) -> bool:
    return True


def test_every_setting_has_its_default_here() -> None:
    assert {*DEFAULTS, "fingerprint_keys"} <= {*OURS}


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_each_setting_has_a_default(name: str) -> None:
    changed = without(name)
    try:
        assert getattr(settings, name) == DEFAULTS[name]
    finally:
        changed.disable()


@pytest.mark.parametrize("name", sorted({*DEFAULTS} - {"required_for"}))
def test_none_is_as_good_as_unset(name: str) -> None:
    with with_setting(name, None):
        assert getattr(settings, name) == DEFAULTS[name]


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("backends", {"default": {"BACKEND": "a.B"}}, {"default": {"BACKEND": "a.B"}}),
        ("channels", ["email"], (Channel.EMAIL,)),
        ("channels", ("call", "SMS"), (Channel.CALL, Channel.SMS)),
        ("channels", ["voice", "call", "rcs"], (Channel.CALL, Channel.SMS)),
        ("channels", ["pigeon", "sms", "totp"], (Channel.SMS,)),
        ("raw_channels", ["pigeon", "sms"], ("pigeon", "sms")),
        ("channels", ["sna", "auto", "sms"], (Channel.SNA, Channel.AUTO, Channel.SMS)),
        ("channel_rules", [], ()),
        ("channel_rules", [{"channels": ["voice", "sms", "call"]}], (ChannelRule((Channel.CALL, Channel.SMS)),)),
        (
            "channel_rules",
            ({"channels": ("sms",), "countries": {"at"}, "purposes": ["Payment"], "line_types": ["Mobile"]},),
            (ChannelRule((Channel.SMS,), frozenset({"AT"}), frozenset({Purpose.PAYMENT}), frozenset({"mobile"})),),
        ),
        ("send_options", {"app_hash": "x"}, {"app_hash": "x"}),
        ("send_options", callable_policy, callable_policy),
        ("send_options", f"{__name__}.callable_policy", callable_policy),
        ("required_for", "staff", ("staff",)),
        ("required_for", ["staff", "group:Editors. All"], ("staff", "group:Editors. All")),
        ("required_for", ("perm:shop.refund", callable_policy), ("perm:shop.refund", callable_policy)),
        ("required_for", ["superuser", f"{__name__}.callable_policy"], ("superuser", callable_policy)),
        ("grace_days", "14", 14),
        ("policy_recheck_seconds", 0, 0),
        ("defer_login_signal", True, True),
        ("minimum_assurance", "totp", "totp"),
        ("minimum_assurance", callable_policy, callable_policy),
        ("minimum_assurance", f"{__name__}.callable_policy", callable_policy),
        ("required_for", "everyone", ("everyone",)),
        ("required_for", callable_policy, (callable_policy,)),
        ("required_for", f"{__name__}.callable_policy", (callable_policy,)),
        ("program", {"name": "Acme"}, Program(name="Acme")),
        ("program", {"name": "Acme", "terms_url": None}, Program(name="Acme")),
        ("limits", {"ip_hour": 5}, {**DEFAULTS["limits"], "ip_hour": 5}),
        ("resend_cooldown_seconds", [60], (60,)),
        ("resend_cooldown_seconds", ["1", 1, 600], (1, 1, 600)),
        ("resend_cooldown_seconds", [timedelta(minutes=1), 90], (60, 90)),
        ("grace_days", timedelta(weeks=2), 14),
        ("reset_delay_hours", timedelta(days=2), 48),
        ("trusted_browser_days", timedelta(days=30), 30),
        ("step_up_max_age_seconds", timedelta(minutes=5), 300),
        ("webhook", {"max_age": timedelta(days=2)}, Webhook(max_age=172_800)),
        ("pending_login_seconds", 60, 60),
        ("default_region", "at", "AT"),
        ("countries", ["at", "DE"], ("AT", "DE")),
        ("countries", {"AT"}, ("AT",)),
        ("proxy_count", 2, 2),
        ("exempt_urls", ["status", "help"], ("logout", "status", "help")),
        ("redirect_url", "home", "home"),
    ],
)
def test_each_setting_is_read_when_it_is_asked_for(name: str, given: Any, read: Any) -> None:
    before = getattr(settings, name)
    with with_setting(name, given):
        assert getattr(settings, name) == read
    assert getattr(settings, name) == before


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("backends", ["default"], "TWILIO_VERIFY_BACKENDS must be a dict."),
        ("backends", "default", "TWILIO_VERIFY_BACKENDS must be a dict."),
        ("channels", "sms", "TWILIO_VERIFY_CHANNELS must be a list."),
        ("channels", {"sms": True}, "TWILIO_VERIFY_CHANNELS must be a list."),
        ("channels", 5, "TWILIO_VERIFY_CHANNELS must be a list."),
        ("raw_channels", "sms", "TWILIO_VERIFY_CHANNELS must be a list."),
        ("channel_rules", "sms", "TWILIO_VERIFY_CHANNEL_RULES must be a list."),
        ("channel_rules", ["sms"], "TWILIO_VERIFY_CHANNEL_RULES, rule 1: a rule is a dict"),
        ("channel_rules", [{"channels": ["sms"]}, {}], "TWILIO_VERIFY_CHANNEL_RULES, rule 2: channels must name"),
        ("channel_rules", [{"channels": ["recovery"]}], "TWILIO_VERIFY_CHANNEL_RULES, rule 1: channels must name"),
        ("channel_rules", [{"chanels": ["sms"]}], "TWILIO_VERIFY_CHANNEL_RULES, rule 1: 'chanels' is none of"),
        ("channel_rules", [{"channels": ["pigeon"]}], "TWILIO_VERIFY_CHANNEL_RULES, rule 1: 'pigeon' is not"),
        ("channel_rules", [{"channels": ["sms"], "purposes": ["fun"]}], "TWILIO_VERIFY_CHANNEL_RULES, rule 1: 'fun'"),
        ("channel_rules", [{"channels": ["sms"], "countries": "AT"}], "TWILIO_VERIFY_CHANNEL_RULES, rule 1: countries"),
        ("channel_rules", [{"channels": ["sms", 5]}], "TWILIO_VERIFY_CHANNEL_RULES, rule 1: channels must be a list"),
        ("send_options", ["app_hash"], "TWILIO_VERIFY_SEND_OPTIONS must be a dict, a callable"),
        ("send_options", "nowhere.options", "TWILIO_VERIFY_SEND_OPTIONS: No module named 'nowhere'"),
        ("send_options", f"{__name__}.OURS", "TWILIO_VERIFY_SEND_OPTIONS must be a dict, a callable"),
        ("required_for", None, "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", "nobody", "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", "", "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", True, "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", [], "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", ["staff", "nobody"], "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", ["staff", None], "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", [["staff"]], "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", {"staff": True}, "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", "group:", "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", "group: ", "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", "perm:refund", "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", "perm:shop.", "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", async_policy, "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", "nowhere.policy", "TWILIO_VERIFY_REQUIRED_FOR: No module named 'nowhere'"),
        ("required_for", f"{__name__}.nothing", "TWILIO_VERIFY_REQUIRED_FOR: Module"),
        ("required_for", f"{__name__}.DEFAULTS", "TWILIO_VERIFY_REQUIRED_FOR must be"),
        ("required_for", ".policy", "TWILIO_VERIFY_REQUIRED_FOR: "),
        ("required_for", "policy.", "TWILIO_VERIFY_REQUIRED_FOR: "),
        ("required_for", "..policy", "TWILIO_VERIFY_REQUIRED_FOR: "),
        ("program", ["name"], "TWILIO_VERIFY_PROGRAM must be a dict."),
        ("program", {"nmae": "Acme"}, "TWILIO_VERIFY_PROGRAM has no fact 'nmae'. Facts: name, terms_url"),
        ("program", {5: "Acme"}, "TWILIO_VERIFY_PROGRAM has no fact 5."),
        ("limits", [], "TWILIO_VERIFY_LIMITS must be a dict."),
        ("resend_cooldown_seconds", "30,40", "TWILIO_VERIFY_RESEND_COOLDOWN_SECONDS must be a list."),
        ("resend_cooldown_seconds", [30, 40.5], "TWILIO_VERIFY_RESEND_COOLDOWN_SECONDS[1] must be a whole number of"),
        (
            "resend_cooldown_seconds",
            [],
            "TWILIO_VERIFY_RESEND_COOLDOWN_SECONDS must be a list of seconds from 1 to 600",
        ),
        (
            "resend_cooldown_seconds",
            [0, 30],
            "TWILIO_VERIFY_RESEND_COOLDOWN_SECONDS must be a list of seconds from 1 to 600",
        ),
        (
            "resend_cooldown_seconds",
            [601],
            "TWILIO_VERIFY_RESEND_COOLDOWN_SECONDS must be a list of seconds from 1 to 600",
        ),
        (
            "resend_cooldown_seconds",
            [40, 30],
            "TWILIO_VERIFY_RESEND_COOLDOWN_SECONDS must be a list of seconds from 1 to 600",
        ),
        ("trusted_browser_days", "a month", "TWILIO_VERIFY_TRUSTED_BROWSER_DAYS must be a whole number of days"),
        ("grace_days", timedelta(hours=36), "TWILIO_VERIFY_GRACE_DAYS must be a whole number of days, or a timedelta"),
        ("pending_login_seconds", float("inf"), "TWILIO_VERIFY_PENDING_LOGIN_SECONDS must be a whole number of"),
        ("pending_login_seconds", timedelta(milliseconds=1500), "TWILIO_VERIFY_PENDING_LOGIN_SECONDS must be a whole"),
        ("pending_login_seconds", [], "TWILIO_VERIFY_PENDING_LOGIN_SECONDS must be a whole number of seconds"),
        ("proxy_count", True, "TWILIO_VERIFY_PROXY_COUNT must be a whole number."),
        ("countries", "AT", "TWILIO_VERIFY_COUNTRIES must be a list."),
        ("exempt_urls", "status", "TWILIO_VERIFY_EXEMPT_URLS must be a list."),
        ("fingerprint_keys", "secret", "TWILIO_VERIFY_FINGERPRINT_KEYS must be a list."),
        ("fingerprint_keys", {"k1": "secret"}, "TWILIO_VERIFY_FINGERPRINT_KEYS must be a list."),
        ("fingerprint_keys", ["k1"], "TWILIO_VERIFY_FINGERPRINT_KEYS must be a list of (id, secret) pairs"),
        ("fingerprint_keys", [("k1",)], "TWILIO_VERIFY_FINGERPRINT_KEYS must be a list of (id, secret) pairs"),
        ("fingerprint_keys", [("k1", 5)], "TWILIO_VERIFY_FINGERPRINT_KEYS must be a list of (id, secret) pairs"),
        ("fingerprint_keys", [(1, "x" * 32)], "TWILIO_VERIFY_FINGERPRINT_KEYS must be a list of (id, secret) pairs"),
        ("fingerprint_keys", [None], "TWILIO_VERIFY_FINGERPRINT_KEYS must be a list of (id, secret) pairs"),
    ],
)
def test_a_hopeless_value_is_told_by_the_name_of_its_setting(name: str, given: Any, said: str) -> None:
    with with_setting(name, given), pytest.raises(ImproperlyConfigured) as caught:
        getattr(settings, name)
    assert str(caught.value).startswith(said)


def test_no_message_quotes_a_secret() -> None:
    with (
        with_setting("fingerprint_keys", [("k1", "hunter2", "more")]),
        pytest.raises(ImproperlyConfigured) as caught,
    ):
        _ = settings.fingerprint_keys
    assert "hunter2" not in str(caught.value)


@override_settings(TWILIO_VERIFY_BACKENDS=None, DEBUG=True)
def test_while_debugging_the_console_serves() -> None:
    assert settings.backends == conf.CONSOLE_BACKENDS


@override_settings(TWILIO_VERIFY_BACKENDS={}, DEBUG=True)
def test_an_empty_list_of_backends_is_meant() -> None:
    assert settings.backends == {}


@override_settings(TWILIO_VERIFY_PROGRAM={"name": gettext_lazy("phone")})
def test_facts_of_the_programme_may_be_translated_late() -> None:
    assert str(settings.program.name) == "phone"


@override_settings(LOGIN_REDIRECT_URL="/elsewhere/")
def test_people_go_where_sign_ins_go() -> None:
    assert settings.redirect_url == "/elsewhere/"


@pytest.mark.parametrize("name", [name for name in dir(Settings) if not name.startswith("_")])
def test_settings_cannot_be_written_to(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(settings, name, "x")


def backend_of(**keys: Any) -> override_settings:
    return override_settings(TWILIO_VERIFY_BACKENDS={"default": {"BACKEND": "a.B", **keys}})


@pytest.mark.parametrize(
    ("keys", "read"),
    [
        ({}, ServiceSettings(6, 600, None)),
        ({"CODE_LENGTH": None, "CODE_LIFETIME_SECONDS": None, "PSD2": None}, ServiceSettings(6, 600, None)),
        ({"CODE_LENGTH": "8", "PSD2": True}, ServiceSettings(8, 600, True)),
        ({"CODE_LIFETIME_SECONDS": timedelta(minutes=5), "PSD2": False}, ServiceSettings(6, 300, False)),
    ],
)
def test_the_facts_of_a_service_are_keys_of_its_alias(keys: dict[str, Any], read: ServiceSettings) -> None:
    with backend_of(**keys):
        assert settings.service("default") == read
        assert settings.service("removed") == ServiceSettings()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"CODE_LENGTH": "six"}, "['CODE_LENGTH'] must be a whole number."),
        ({"CODE_LENGTH": 6.5}, "['CODE_LENGTH'] must be a whole number."),
        ({"CODE_LENGTH": True}, "['CODE_LENGTH'] must be a whole number."),
        ({"CODE_LIFETIME_SECONDS": float("nan")}, "['CODE_LIFETIME_SECONDS'] must be a whole number of seconds"),
        ({"PSD2": "yes"}, "['PSD2'] must be True or False."),
    ],
)
def test_a_hopeless_fact_of_a_service_is_told_by_its_alias(keys: dict[str, Any], said: str) -> None:
    with backend_of(**keys), pytest.raises(ImproperlyConfigured) as caught:
        settings.service("default")
    assert str(caught.value).startswith(f"TWILIO_VERIFY_BACKENDS['default']{said}")
