"""django-two-factor-auth's own views: setup, login, backup tokens, disable."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.test import Client, override_settings
from django.utils import timezone
from two_factor.plugins.registry import registry

from django_twilio_verify import consent
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.contrib.otp.models import VerifyDevice
from django_twilio_verify.contrib.two_factor import methods
from django_twilio_verify.exceptions import BackendUnavailable
from django_twilio_verify.factors import devices
from django_twilio_verify.login import ended_sessions
from django_twilio_verify.models import ConsentEvent, Factor, Verification, VerificationCheck
from django_twilio_verify.signals import verification_approved
from django_twilio_verify.testing import Authenticator, outbox
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PASSWORD,
    PHONE,
    code_path,
    last_code,
    make_client,
    make_factor,
    make_user,
    one_moment,
    wrong_code,
)

pytestmark = pytest.mark.django_db(transaction=True)
LOGIN, SETUP, OWN_SETUP = "/account/login/", "/account/two_factor/setup/", "/own/setup/"


@pytest.fixture
def leading_zeros(monkeypatch):
    monkeypatch.setattr("django_twilio_verify.backends.simulator.verifications.secrets.randbelow", lambda bound: 7890)


def text(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def account(client: Client) -> dict:
    response = client.get("/account/")
    return response.json() if response.status_code == 200 else {"user": "", "verified": False, "passed": False}


IN = {"user": "ann", "verified": True, "passed": True}
OUT = {"user": "", "verified": False, "passed": False}


def login(client: Client, username: str = "ann") -> Any:
    values = {"login_view-current_step": "auth", "auth-username": username, "auth-password": PASSWORD}
    return client.post(LOGIN, values)


def token(client: Client, code: str) -> Any:
    return client.post(LOGIN, {"login_view-current_step": "token", "token-otp_token": code})


class Wizard:
    def __init__(self, client: Client, url: str) -> None:
        self.client, self.url = client, url

    def post(self, step: str, **values: str) -> Any:
        named = {f"{step}-{name}": value for name, value in values.items()}
        return self.client.post(self.url, {"setup_view-current_step": step, **named})

    def choose(self, method: str) -> str:
        """To the address step; the digest of the words that it shows."""
        self.client.get(self.url)
        self.post("welcome")
        shown = self.post("method", method=method)
        assert shown.context["wizard"]["steps"].current == f"{method}_address", text(shown)
        return shown.context["form"].initial["disclosure"]


@pytest.fixture(params=[SETUP, OWN_SETUP])
def wizard(request, client) -> Wizard:
    make_user()
    login(client)
    return Wizard(client, request.param)


@pytest.fixture
def ann(client):
    user = make_user()
    make_factor(user)
    return user


def test_setup_by_text_message_from_end_to_end(wizard, client, leading_zeros):
    digest = wizard.choose("sms")
    sent = wizard.post("sms_address", number=PHONE, disclosure=digest, consent="on")
    assert sent.context["wizard"]["steps"].current == "validation" and "We sent you a text message" in text(sent)
    assert [(one.to, one.code) for one in outbox] == [(PHONE, "007890")]
    done = wizard.post("validation", token="007890")
    assert done["Location"] == "/account/two_factor/setup/complete/"
    assert account(client) == IN
    factor = Factor.objects.get()
    assert (factor.recipient_value, factor.channel, factor.is_default) == (PHONE, "sms", True)
    assert VerifyDevice.objects.get().name == "default"
    assert VerificationCheck.objects.count() == 1
    event = ConsentEvent.objects.get()
    assert (event.event, event.purpose, event.medium, event.button_label) == ("granted", "enroll", "web", "Next")
    assert "Primary method: Send a code to ••• ••61" in text(client.get("/account/two_factor/"))
    assert client.get("/account/two_factor/setup/complete/").status_code == 200


@pytest.mark.parametrize(("method", "field", "to"), [("call", "number", PHONE), ("email", "email", EMAIL)])
def test_setup_by_other_ways(wizard, client, method, field, to):
    digest = wizard.choose(method)
    wizard.post(f"{method}_address", **{field: to}, disclosure=digest, consent="on")
    assert (outbox[-1].to, outbox[-1].channel) == (to, method)
    assert wizard.post("validation", token=last_code()).status_code == 302
    assert account(client) == IN and Factor.objects.get().channel == method


def test_the_words_and_an_unticked_box_stand_on_the_page(wizard):
    wizard.choose("sms")
    html = wizard.post("method", method="sms").content.decode()
    assert "Standard message and data rates may apply." in html and "https://acme.example/privacy" in html
    box = re.search(r'<input type="checkbox"[^>]*>', html).group()
    assert "checked" not in box
    described = re.search(r'aria-describedby="([^"]+)"', box).group(1)
    assert f'<div id="{described}">' in html and html.index(f'<div id="{described}">') < html.index(box)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"number": PHONE}, "Tick the box to agree"),
        ({"number": "12", "consent": "on"}, "number"),
        ({"consent": "on"}, "Enter a phone number"),
        ({"number": PHONE, "consent": "on", "disclosure": "f" * 64}, "has changed since"),
        ({"number": "+1800555", "consent": "on"}, "number"),
    ],
)
def test_nothing_is_sent_without_consent_or_to_what_is_no_number(wizard, values, said):
    digest = wizard.choose("sms")
    shown = wizard.post("sms_address", **{"disclosure": digest, **values})
    assert shown.status_code == 200 and said in text(shown)
    assert outbox == [] and not ConsentEvent.objects.exists()


def test_a_wrong_code_ends_nothing_and_enrolls_nothing(wizard, client):
    digest = wizard.choose("sms")
    wizard.post("sms_address", number=PHONE, disclosure=digest, consent="on")
    assert "You have 2 tries left." in text(wizard.post("validation", token=wrong_code()))
    assert not Factor.objects.exists() and not account(client)["verified"]
    wizard.post("validation", token=last_code())
    assert account(client) == IN


def test_going_back_and_on_again_sends_once(wizard):
    digest = wizard.choose("sms")
    for _ in range(3):
        wizard.post("sms_address", number=PHONE, disclosure=digest, consent="on")
    assert len(outbox) == 1 and ConsentEvent.objects.count() == 1


def test_our_wizard_says_why_no_code_could_be_sent(client, settings):
    settings.TWILIO_VERIFY_LIMITS = {"user_hour": 0}
    make_user()
    login(client)
    wizard = Wizard(client, OWN_SETUP)
    digest = wizard.choose("sms")
    shown = wizard.post("sms_address", number=PHONE, disclosure=digest, consent="on")
    assert "You have asked for many codes." in text(shown)
    assert shown.context["wizard"]["steps"].current == "sms_address"


def test_the_stock_wizard_says_that_something_failed(client, settings):
    settings.TWILIO_VERIFY_LIMITS = {"user_hour": 0}
    make_user()
    login(client)
    wizard = Wizard(client, SETUP)
    digest = wizard.choose("sms")
    shown = wizard.post("sms_address", number=PHONE, disclosure=digest, consent="on")
    assert "encountered an issue" in text(shown) and outbox == []
    assert wizard.post("validation", token="123456").status_code == 200
    assert not Factor.objects.exists()


def test_the_code_of_another_number_enrolls_nothing(wizard):
    """SECURITY: a code is bound to the number of this wizard, not to the person."""
    digest = wizard.choose("sms")
    wizard.post("sms_address", number=PHONE, disclosure=digest, consent="on")
    first = last_code()
    wizard.choose("sms")
    wizard.post("sms_address", number=OTHER_PHONE, disclosure=digest, consent="on")
    if first != last_code():
        assert wizard.post("validation", token=first).status_code == 200
    assert wizard.post("validation", token=last_code()).status_code == 302
    assert Factor.objects.get().recipient_value == OTHER_PHONE


@pytest.mark.parametrize("url", [SETUP, OWN_SETUP])
@pytest.mark.parametrize("late", ["before the send", "before the code"])
def test_setup_adds_nothing_after_an_old_proof(client, url, late):
    """A wizard that was opened with a fresh proof, and is finished with an old one."""
    make_factor(make_user())
    with time_machine.travel(timezone.now(), tick=False) as clock:
        login(client)
        token(client, last_code())
        wizard = Wizard(client, url)
        clock.shift(400)
        digest = wizard.choose("sms")
        if late == "before the send":
            clock.shift(300)
        sent = wizard.post("sms_address", number=OTHER_PHONE, disclosure=digest, consent="on")
        clock.shift(300)
        done = wizard.post("validation", token=last_code()) if late == "before the code" else sent
    assert Factor.objects.get().recipient_value == PHONE
    assert len(outbox) == (1 if late == "before the send" else 2)
    if url == OWN_SETUP:
        assert done["Location"].startswith("/verify/step-up/")
    else:  # the stock view says that the challenge failed, and goes on to a step that takes no code
        assert done.status_code == (403 if late == "before the code" else 200)


@pytest.mark.parametrize("url", [SETUP, OWN_SETUP])
def test_setup_adds_nothing_in_a_session_that_ends_while_the_code_is_judged(client, url):
    user = make_user()
    make_factor(user)
    login(client)
    token(client, last_code())
    wizard = Wizard(client, url)
    digest = wizard.choose("sms")
    wizard.post("sms_address", number=OTHER_PHONE, disclosure=digest, consent="on")
    ends = lambda **kwargs: ended_sessions.end_after_reset(None, user=user)  # noqa: E731
    verification_approved.connect(ends)
    try:
        assert wizard.post("validation", token=last_code()).status_code == 400
    finally:
        verification_approved.disconnect(ends)
    assert Factor.objects.get().recipient_value == PHONE


def test_setup_cannot_add_a_factor_beside_one_that_was_not_proved(client):
    """SECURITY: a form that is posted at once, by somebody who was signed in before the factor was enrolled."""
    user = make_user()
    login(client)
    make_factor(user)
    wizard = Wizard(client, SETUP)
    wizard.post("welcome")
    wizard.post("method", method="sms")
    digest = ConsentEvent.objects.get().disclosure.digest
    wizard.post("sms_address", number=OTHER_PHONE, disclosure=digest, consent="on")
    wizard.post("validation", token="123456")
    assert outbox == [] and Factor.objects.count() == 1


def test_login_with_the_device(client, ann, leading_zeros):
    shown = login(client)
    assert "We sent a code to ••• ••61." in text(shown) and len(outbox) == 1
    assert account(client) == OUT
    assert token(client, "007890")["Location"] == "/account/two_factor/"
    assert account(client) == IN
    assert Verification.objects.get().purpose == "login"


def test_three_posts_cause_one_send(client, ann):
    login(client)
    device = VerifyDevice.objects.get()
    for _ in range(3):
        client.post(LOGIN, {"challenge_device": device.persistent_id})
    client.post(LOGIN, {"login_view-current_step": "token", "wizard_goto_step": "token"})
    assert len(outbox) == 1
    token(client, last_code())
    assert account(client) == IN


def test_a_wrong_code_is_refused_and_said_to_be(client, ann):
    login(client)
    assert "You have 4 tries left." in text(token(client, wrong_code()))
    assert account(client) == OUT
    VerifyDevice.objects.update(throttling_failure_timestamp=None)
    token(client, last_code())
    assert account(client) == IN


def test_where_nothing_can_be_sent_the_page_says_so(client, ann):
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))
    assert "The service that sends our codes is not answering." in text(login(client))
    consent.withdraw(recipient=PHONE, channel="sms", client=make_client(), user=ann)
    shown = login(Client())
    assert shown.status_code == 200 and outbox == []


def test_another_device_is_offered_and_works(client, ann):
    make_factor(ann, EMAIL, channel="email")
    assert "Send a code to a•••@example.org" in text(login(client))
    email = VerifyDevice.objects.get(factor__kind="email")
    shown = client.post(LOGIN, {"challenge_device": email.persistent_id})
    assert outbox[-1].to == EMAIL and "a•••@example.org" in text(shown)
    token(client, last_code())
    assert account(client) == IN


def test_an_authenticator_app_that_twilio_keeps(client):
    user, client_info = make_user(), make_client()
    begun = devices.begin_totp(user, client_info, name="ann@shop")
    app = Authenticator.scan(begun.uri)
    with one_moment():
        devices.confirm(begun.verification, client=client_info, user=user, code=app.code(steps=-1))
    assert "Enter the code that your authenticator app shows." in text(login(client))
    token(client, app.code())
    assert account(client) == IN and outbox == []


def test_factors_that_were_enrolled_on_our_pages_are_asked_here_and_the_reverse(client, ann):
    """The wall's own pages still take what two_factor enrolled."""
    client.force_login(ann)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    assert account(client) == IN


def test_backup_tokens(client, ann):
    login(client)
    token(client, last_code())
    client.post("/account/two_factor/backup/tokens/")
    code = ann.staticdevice_set.get().token_set.first().token
    other = Client()
    login(other)
    other.post(LOGIN, {"wizard_goto_step": "backup", "login_view-current_step": "token"})
    other.post(LOGIN, {"login_view-current_step": "backup", "backup-otp_token": code})
    assert account(other) == IN


def test_disable(client, ann):
    login(client)
    token(client, last_code())
    make_factor(ann, EMAIL, channel="email")
    assert client.post("/account/two_factor/disable/", {"understand": "on"}).status_code == 302
    assert not Factor.objects.exists() and not VerifyDevice.objects.exists()
    fresh = Client()
    login(fresh)
    assert account(fresh)["user"] == "ann"


@pytest.mark.parametrize("page", ["/own/disable/", "/own/backup/tokens/"])
def test_with_the_guard_an_old_session_disables_nothing(client, page):
    """As the documentation has it."""
    make_factor(make_user())
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        login(client)
        token(client, last_code())
    assert account(client) == IN
    asked = client.post(page, {"understand": "on"})
    assert asked["Location"].startswith("/verify/step-up/") and Factor.objects.exists()
    sent = client.post("/verify/step-up/")
    client.post(code_path(sent), {"code": last_code()})
    assert client.get(page).status_code == 200


def test_a_password_alone_disables_nothing(client, ann):
    login(client)
    client.post("/account/two_factor/disable/", {"understand": "on"})
    assert Factor.objects.exists()


@override_settings(TWO_FACTOR_REMEMBER_COOKIE_AGE=3600)
def test_its_cookie_that_remembers_a_browser_is_no_proof_to_the_wall(client, ann):
    login(client)
    values = {"login_view-current_step": "token", "token-otp_token": last_code(), "token-remember": "on"}
    client.post(LOGIN, values)
    assert account(client) == IN
    client.post("/logout/")
    login(client)
    assert account(client) == OUT
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")


def test_the_methods_follow_the_channels(settings):
    assert [one.code for one in registry.get_methods()] == ["generator", "sms", "call", "email"]
    with override_settings(TWILIO_VERIFY_CHANNELS=["email", "sms"]):
        assert [one.code for one in registry.get_methods()] == ["generator", "email", "sms"]


def test_a_method_of_another_app_is_an_error_of_the_checks():
    class Other(methods.SmsMethod):
        pass

    registry.unregister("sms")
    registry.register(Other())
    try:
        assert "twilio_verify_two_factor.E002" in [one.id for one in run_checks()]
    finally:
        methods.register_all()
    assert not [one for one in run_checks() if one.id.startswith("twilio_verify_two")]


@pytest.mark.parametrize("url", [SETUP, OWN_SETUP])
def test_an_old_proof_adds_no_factor(client, url):
    """A session that was left open: neither the wizard's steps nor a form that is posted at once."""
    make_user()
    login(client)
    wizard = Wizard(client, url)
    digest = wizard.choose("sms")
    wizard.post("sms_address", number=PHONE, disclosure=digest, consent="on")
    # Meanwhile there is a factor from elsewhere, and this session has passed one, long ago.
    make_factor(get_user_model().objects.get(), OTHER_PHONE)
    session = client.session
    passed = {"passed": True, "at": int(time.time()) - 700, "channel": "sms"}
    session["_twilio_verify_settled"] = {**session["_twilio_verify_settled"], **passed}
    session.save()
    sent, code = len(outbox), last_code()
    for step, values in (
        ("validation", {"token": code}),
        ("sms_address", {"number": PHONE, "disclosure": digest, "consent": "on"}),
    ):
        answer = wizard.post(step, **values)
        if url == OWN_SETUP:
            assert answer["Location"].startswith("/verify/step-up/")
        assert len(outbox) == sent
        assert [one.recipient_value for one in Factor.objects.all()] == [OTHER_PHONE], (step, answer.status_code)


def test_nobody_enrolls_for_a_user_as_whom_they_act(wizard, client):
    """Staff would enroll their own phone, and the ledger would say that the user agreed."""
    digest = wizard.choose("sms")
    session = client.session
    session["hijack_history"] = ["1"]
    session.save()
    answer = wizard.post("sms_address", number=PHONE, disclosure=digest, consent="on")
    # The stock wizard catches all that goes wrong with a device, and says so on its page.
    assert answer.status_code == (403 if wizard.url == OWN_SETUP else 200)
    assert not outbox and not ConsentEvent.objects.exists() and not Factor.objects.exists()
