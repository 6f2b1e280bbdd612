"""What a send is told: the call over the site over what is known of the person; refused before anything is written."""

from __future__ import annotations

import json

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.backends.options import IncompatibleOptions, SendOptions, SendRequest
from django_twilio_verify.choices import Channel, Feature
from django_twilio_verify.models import Verification
from django_twilio_verify.testing import outbox
from tests.support.basics import EMAIL, PHONE, agree, make_client, make_user

pytestmark = pytest.mark.django_db

TEMPLATE = "HJ" + "0" * 32


class PlainBackend(LocMemBackend):
    """Somebody's own, which takes a locale and nothing else."""

    features = frozenset({Feature.LOCALE})


def send(verbs, *, recipient=PHONE, channel="sms", client=None, **values):
    client = client or make_client()
    agree(recipient, Channel.parse(channel).consent_channel, client=client, user=values.get("user"))
    return verbs.start(recipient=recipient, channel=channel, client=client, **values)


# Name of the option, what the call gives, by which channel, and what stands in the form that Twilio gets.
REACHABLE = [
    ("locale", "de", "sms", {"Locale": "de"}),
    ("custom_friendly_name", "Acme Shop", "sms", {"CustomFriendlyName": "Acme Shop"}),
    ("custom_message", "Hello {{code}}", "sms", {"CustomMessage": "Hello {{code}}"}),
    ("send_digits", "ww12", "call", {"SendDigits": "ww12"}),
    ("custom_code", "4711", "sms", {"CustomCode": "4711"}),
    ("rate_limits", {"end_user_ip": "h4sh"}, "sms", {"RateLimits": '{"end_user_ip": "h4sh"}'}),
    (
        "channel_configuration",
        {"from_name": "Acme", "substitutions": {"first": "Ann"}},
        "email",
        {"ChannelConfiguration": '{"from_name": "Acme", "substitutions": {"first": "Ann"}}'},
    ),
    ("app_hash", "He42w354ol9", "sms", {"AppHash": "He42w354ol9"}),
    ("template_sid", TEMPLATE, "sms", {"TemplateSid": TEMPLATE}),
    ("templates", [{"sid": TEMPLATE, "substitutions": {"a": "b"}}], "call", {}),
    ("device_ip", "8.8.4.4", "auto", {"DeviceIp": "8.8.4.4"}),
    ("enable_sna_client_token", True, "sna", {"EnableSnaClientToken": "true"}),
    ("risk_check", "disable", "sms", {"RiskCheck": "disable"}),
]


@pytest.mark.parametrize(("name", "value", "channel", "form"), REACHABLE, ids=[row[0] for row in REACHABLE])
def test_every_option_of_the_call_reaches_twilio(verbs, server, name, value, channel, form):
    recipient = EMAIL if channel == "email" else PHONE
    send(verbs, recipient=recipient, channel=channel, options={name: value})
    sent = server.last_form
    for parameter, text in form.items():
        told = sent[parameter]
        assert json.loads(told) == json.loads(text) if text.startswith("{") else told.lower() == text.lower()
    if name == "templates":
        assert json.loads(sent["Templates"]) == value


def test_substitutions_go_with_their_template(verbs, server):
    send(verbs, options=SendOptions(template_sid=TEMPLATE, template_custom_substitutions={"shop": "Acme"}))
    assert json.loads(server.last_form["TemplateCustomSubstitutions"]) == {"shop": "Acme"}


def of_request(request: SendRequest) -> dict[str, object]:
    return {"custom_friendly_name": f"{request.purpose.value} {request.recipient.country}", "locale": "fr"}


SETTINGS = {
    "values": {"custom_friendly_name": "verify US", "locale": "fr"},
    "callable values": {
        "custom_friendly_name": lambda request: f"{request.purpose.value} {request.recipient.country}",
        "locale": lambda request: "fr" if request.backend == "default" and request.user is None else "",
    },
    "one callable": of_request,
    "dotted path": f"{__name__}.of_request",
    "options": lambda request: SendOptions(custom_friendly_name="verify US", locale="fr"),
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_the_setting_is_told_and_the_call_goes_over_it(verbs, server, settings, setting):
    settings.TWILIO_VERIFY_SEND_OPTIONS = setting
    send(verbs, options={"locale": "it"})
    assert server.last_form["CustomFriendlyName"] == "verify US"
    assert server.last_form["Locale"] == "it"
    other = make_client("session-2", language="pt-br")
    send(verbs, recipient="+15017122662", client=other)
    assert server.last_form["Locale"] == "fr"  # the site's word goes over the person's language


def test_our_tag_stands_beside_the_sites(verbs, server, settings):
    settings.TWILIO_VERIFY_SEND_OPTIONS = {"tags": {"brand": "acme", "verification": "theirs"}}
    verification = send(verbs).verification
    assert json.loads(server.last_form["Tags"]) == {"brand": "acme", "verification": str(verification.pk)}


@pytest.mark.parametrize(
    ("channel", "ip", "told"),
    [("auto", "8.8.8.8", "8.8.8.8"), ("auto", "10.1.2.3", None), ("auto", "", None), ("sms", "8.8.8.8", None)],
)
def test_the_address_of_the_device_is_told_for_auto_if_it_is_public(verbs, server, channel, ip, told):
    send(verbs, channel=channel, client=make_client(ip=ip))
    assert server.last_form.get("DeviceIp") == told


def test_what_the_site_sets_for_text_messages_does_not_break_an_email(verbs, server, settings):
    settings.TWILIO_VERIFY_SEND_OPTIONS = {
        "app_hash": "He42w354ol9",
        "template_sid": TEMPLATE,
        "template_custom_substitutions": {"shop": "Acme"},
        "risk_check": "enable",
        "channel_configuration": {"from_name": "Acme"},
    }
    send(verbs, recipient=EMAIL, channel="email")
    assert "ChannelConfiguration" in server.last_form
    assert not {"AppHash", "TemplateSid", "TemplateCustomSubstitutions", "RiskCheck"} & {*server.last_form}
    send(verbs)
    assert "AppHash" in server.last_form and "ChannelConfiguration" not in server.last_form


REFUSED = [
    ("call", {"app_hash": "x"}, "app_hash does not go with call"),
    ("sms", {"send_digits": "1"}, "only a call"),
    ("sms", {"channel_configuration": {"from_name": "x"}}, "email only"),
    ("whatsapp", {"template_sid": TEMPLATE}, "template_sid does not go with whatsapp"),
    ("sms", {"template_sid": "HJ1"}, "hexadecimal"),
    ("sms", {"custom_code": "123"}, "4 to 10"),
    ("sms", {"custom_code": 123456}, "takes text"),
    ("sna", {"custom_code": "123456"}, "no code"),
    ("sms", {"custom_friendly_name": "Acme 12345"}, "4 of them digits"),
    ("sms", {"tags": {str(number): "x" for number in range(10)}}, "10 pairs"),  # ours is the eleventh
    ("sms", {"tags": ["brand"]}, "takes a dict"),
    ("sms", {"templates": "HJ"}, "list of dicts"),
    ("auto", {"device_ip": "here"}, "IPv4 or IPv6"),
    ("sms", {"enable_sna_client_token": True}, "silent check"),
    ("sna", {"enable_sna_client_token": "yes"}, "True or False"),
    ("sms", {"risk_check": "off"}, "'enable' or 'disable'"),
    ("sms", {"amount": "5 EUR", "payee": "Shop"}, "arguments of start"),
    ("sms", {"colour": "red"}, "no option of a send"),
]


@pytest.mark.parametrize(("channel", "options", "why"), REFUSED)
def test_what_does_not_go_together_is_refused_before_anything_is_written(verbs, channel, options, why):
    with pytest.raises(IncompatibleOptions, match=why):
        send(verbs, channel=channel, options=options)
    assert Verification.objects.count() == 0 and outbox == []


PLAIN = {"default": {"BACKEND": f"{__name__}.PlainBackend"}}


def test_an_option_that_the_backend_lacks_is_refused(verbs, settings):
    settings.TWILIO_VERIFY_BACKENDS = PLAIN
    with pytest.raises(IncompatibleOptions, match="does not take AppHash"):
        send(verbs, options={"app_hash": "x"})
    settings.TWILIO_VERIFY_SEND_OPTIONS = {"rate_limits": {"ip": "x"}}
    with pytest.raises(IncompatibleOptions, match="does not take RateLimits"):
        send(verbs)


def test_a_plain_backend_is_told_what_it_takes(verbs, settings):
    settings.TWILIO_VERIFY_BACKENDS = PLAIN
    send(verbs, client=make_client(language="de", ip="8.8.8.8"))
    assert outbox[-1].options == SendOptions(locale="de")


@pytest.mark.parametrize(
    "setting", [{"colour": "red"}, {"tags": 5}, lambda request: 5, {"amount": "5", "payee": "Shop"}, "nowhere.options"]
)
def test_a_hopeless_setting_sends_nothing(verbs, settings, setting):
    settings.TWILIO_VERIFY_SEND_OPTIONS = setting
    with pytest.raises(ImproperlyConfigured, match="TWILIO_VERIFY_SEND_OPTIONS"):
        send(verbs)
    assert Verification.objects.count() == 0


def test_a_callable_that_fails_leaves_nothing_behind(verbs, settings):
    settings.TWILIO_VERIFY_SEND_OPTIONS = {"locale": lambda request: 1 / 0}
    with pytest.raises(ZeroDivisionError):
        send(verbs)
    assert Verification.objects.count() == 0 and outbox == []


def test_a_callable_may_ask_the_database(verbs, server, settings):
    settings.TWILIO_VERIFY_SEND_OPTIONS = {
        "custom_friendly_name": lambda request: type(request.user).objects.get(pk=request.user.pk).username
    }
    send(verbs, user=make_user("ann"))
    assert server.last_form["CustomFriendlyName"] == "ann"


def test_neither_code_nor_person_stand_in_what_is_printed():
    options = SendOptions(custom_code="471147")
    assert "471147" not in repr(options)
