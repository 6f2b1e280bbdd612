"""The settings: their defaults, read late, and what is said of hopeless ones."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.utils.translation import gettext_lazy

from django_twilio_verify import conf
from django_twilio_verify.choices import Channel, Purpose
from django_twilio_verify.conf import PlanRule, Program, Settings, settings

OURS = sorted(name for name, found in vars(Settings).items() if isinstance(found, property))
DEFAULTS: dict[str, Any] = {
    "backends": {},
    "channels": (Channel.SMS, Channel.CALL, Channel.EMAIL),
    "raw_channels": ("sms", "call", "email"),
    "channel_plan": (),
    "send_options": {},
    "psd2": (),
    "required_for": ("enrolled",),
    "grace_days": 0,
    "decision_age": 300,
    "defer_login_signal": False,
    "program": Program(),
    "limits": {
        "person_hour": 10,
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
        "consent_person_day": 30,
        "consent_ip_day": 300,
        "consent_recipient_day": 30,
        "reopen_day": 2,
    },
    "resend_spacing": (30, 40, 60, 90, 120),
    "claimant_backend": "",
    "minimum_assurance": "",
    "code_length": 6,
    "code_lifetime": 600,
    "pending_lifetime": 1800,
    "default_region": "",
    "countries": (),
    "trusted_proxies": 0,
    "exempt_url_names": ("logout",),
    "success_url": "/account/",
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
        ("channel_plan", [], ()),
        ("channel_plan", [{"channels": ["voice", "sms", "call"]}], (PlanRule((Channel.CALL, Channel.SMS)),)),
        (
            "channel_plan",
            ({"channels": ("sms",), "countries": {"at"}, "purposes": ["Payment"], "line_types": ["Mobile"]},),
            (PlanRule((Channel.SMS,), frozenset({"AT"}), frozenset({Purpose.PAYMENT}), frozenset({"mobile"})),),
        ),
        ("send_options", {"app_hash": "x"}, {"app_hash": "x"}),
        ("send_options", callable_policy, callable_policy),
        ("send_options", f"{__name__}.callable_policy", callable_policy),
        ("psd2", ["payments"], ("payments",)),
        ("required_for", "staff", ("staff",)),
        ("required_for", ["staff", "group:Editors. All"], ("staff", "group:Editors. All")),
        ("required_for", ("perm:shop.refund", callable_policy), ("perm:shop.refund", callable_policy)),
        ("required_for", ["superuser", f"{__name__}.callable_policy"], ("superuser", callable_policy)),
        ("grace_days", "14", 14),
        ("decision_age", 0, 0),
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
        ("resend_spacing", [60], (60,)),
        ("resend_spacing", ["1", 1, 600], (1, 1, 600)),
        ("code_length", 4, 4),
        ("code_length", "8", 8),
        ("code_lifetime", 300, 300),
        ("pending_lifetime", 60, 60),
        ("default_region", "at", "AT"),
        ("countries", ["at", "DE"], ("AT", "DE")),
        ("countries", {"AT"}, ("AT",)),
        ("trusted_proxies", 2, 2),
        ("exempt_url_names", ["status", "help"], ("logout", "status", "help")),
        ("success_url", "home", "home"),
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
        ("channel_plan", "sms", "TWILIO_VERIFY_CHANNEL_PLAN must be a list."),
        ("channel_plan", ["sms"], "TWILIO_VERIFY_CHANNEL_PLAN, rule 1: a rule is a dict"),
        ("channel_plan", [{"channels": ["sms"]}, {}], "TWILIO_VERIFY_CHANNEL_PLAN, rule 2: channels must name"),
        ("channel_plan", [{"channels": ["recovery"]}], "TWILIO_VERIFY_CHANNEL_PLAN, rule 1: channels must name"),
        ("channel_plan", [{"chanels": ["sms"]}], "TWILIO_VERIFY_CHANNEL_PLAN, rule 1: 'chanels' is none of"),
        ("channel_plan", [{"channels": ["pigeon"]}], "TWILIO_VERIFY_CHANNEL_PLAN, rule 1: 'pigeon' is not"),
        ("channel_plan", [{"channels": ["sms"], "purposes": ["fun"]}], "TWILIO_VERIFY_CHANNEL_PLAN, rule 1: 'fun'"),
        ("channel_plan", [{"channels": ["sms"], "countries": "AT"}], "TWILIO_VERIFY_CHANNEL_PLAN, rule 1: countries"),
        ("channel_plan", [{"channels": ["sms", 5]}], "TWILIO_VERIFY_CHANNEL_PLAN, rule 1: channels must be a list"),
        ("send_options", ["app_hash"], "TWILIO_VERIFY_SEND_OPTIONS must be a dict, a callable"),
        ("send_options", "nowhere.options", "TWILIO_VERIFY_SEND_OPTIONS: No module named 'nowhere'"),
        ("send_options", f"{__name__}.OURS", "TWILIO_VERIFY_SEND_OPTIONS must be a dict, a callable"),
        ("psd2", "default", "TWILIO_VERIFY_PSD2 must be a list."),
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
        ("resend_spacing", "30,40", "TWILIO_VERIFY_RESEND_SPACING must be a list."),
        ("resend_spacing", [30, 40.5], "TWILIO_VERIFY_RESEND_SPACING[1] must be a whole number."),
        ("resend_spacing", [], "TWILIO_VERIFY_RESEND_SPACING must be a list of seconds from 1 to 600"),
        ("resend_spacing", [0, 30], "TWILIO_VERIFY_RESEND_SPACING must be a list of seconds from 1 to 600"),
        ("resend_spacing", [601], "TWILIO_VERIFY_RESEND_SPACING must be a list of seconds from 1 to 600"),
        ("resend_spacing", [40, 30], "TWILIO_VERIFY_RESEND_SPACING must be a list of seconds from 1 to 600"),
        ("code_length", "six", "TWILIO_VERIFY_CODE_LENGTH must be a whole number."),
        ("code_length", 6.5, "TWILIO_VERIFY_CODE_LENGTH must be a whole number."),
        ("code_length", True, "TWILIO_VERIFY_CODE_LENGTH must be a whole number."),
        ("trust_days", "a month", "TWILIO_VERIFY_TRUST_DAYS must be a whole number."),
        ("code_lifetime", float("inf"), "TWILIO_VERIFY_CODE_LIFETIME must be a whole number."),
        ("pending_lifetime", [], "TWILIO_VERIFY_PENDING_LIFETIME must be a whole number."),
        ("trusted_proxies", True, "TWILIO_VERIFY_TRUSTED_PROXIES must be a whole number."),
        ("countries", "AT", "TWILIO_VERIFY_COUNTRIES must be a list."),
        ("exempt_url_names", "status", "TWILIO_VERIFY_EXEMPT_URL_NAMES must be a list."),
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
    assert settings.success_url == "/elsewhere/"


@pytest.mark.parametrize("name", [name for name in dir(Settings) if not name.startswith("_")])
def test_settings_cannot_be_written_to(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(settings, name, "x")
