"""A receiver of the site's that fails changes nothing: every flow, under every signal."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model, login
from django.core import mail
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import include, path
from django.views.debug import ExceptionReporter

from django_twilio_verify import signals
from django_twilio_verify.choices import CheckOutcome, Purpose
from django_twilio_verify.exceptions import BackendRejected, RateLimited
from django_twilio_verify.factors import devices, recovery_codes, resets
from django_twilio_verify.login import impersonation, trusted_browsers
from django_twilio_verify.models import (
    ConsentEvent,
    Factor,
    RecoveryCode,
    TrustedBrowser,
    Verification,
    VerificationCheck,
)
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import challenges, throttling
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PASSWORD,
    PHONE,
    agree,
    code_path,
    last_code,
    make_client,
    make_factor,
    make_user,
    sign_in,
    wrong_code,
)
from tests.support.changes import INBOX, address, proved, replace, signed_in
from tests.support.changes import path as factor_path
from tests.support.devices import World
from tests.support.receivers import Broken, Heard, broken, listening

pytestmark = pytest.mark.django_db

ROBUST = [signal for signal in signals.ALL if signal is not signals.login_deciding]
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


def switch(request: HttpRequest) -> HttpResponse:
    user = get_user_model().objects.get(username=request.POST["username"])
    impersonation.act_as(request, user)
    login(request, user, backend=MODEL_BACKEND)
    return HttpResponse("acting")


urlpatterns = [path("switch/", switch), path("", include("tests.factors.changes.urls"))]


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30


@pytest.fixture
def phone() -> Factor:
    return make_factor(make_user("ann", email=INBOX))


@pytest.fixture
def inbox(phone: Factor) -> Factor:
    return make_factor(phone.user, EMAIL, channel="email")


# ---- the flows: each says what it sends, and is right although every receiver fails


def begun(browser: Client, **values: str) -> str:
    """The page that takes the code of a login."""
    sign_in(browser)
    return code_path(browser.post("/verify/challenge/", values))


def log_in(phone: Factor) -> None:
    browser = Client()
    page, other = begun(browser), Client()
    code = last_code()
    assert browser.post(page, {"code": code}).status_code == 302 and signed_in(browser)
    assert Verification.objects.get().status == "approved"
    sign_in(other)
    assert other.post(page, {"code": code}).status_code in (302, 404) and not signed_in(other)
    assert VerificationCheck.objects.filter(outcome=CheckOutcome.APPROVED).count() == 1


def log_in_and_trust_the_browser(phone: Factor) -> None:
    browser = Client()
    page = begun(browser, trust="yes")
    assert browser.post(page, {"code": last_code()}).status_code == 302 and signed_in(browser)
    assert TrustedBrowser.objects.count() == 1 and "twilio_verify_browser" in browser.cookies
    assert [letter.subject for letter in mail.outbox] == ["Acme: a browser that you trust"]


def log_in_by_recovery_code(phone: Factor) -> None:
    browser = Client()
    code = recovery_codes.issue(phone.user)[0]
    sign_in(browser)
    assert browser.post("/verify/challenge/recovery/", {"code": code}).status_code == 302 and signed_in(browser)
    assert RecoveryCode.objects.exclude(used_at=None).count() == 1 and len(mail.outbox) == 1


def log_in_by_passkey(phone: Factor) -> None:
    world = World("sync", None)
    _, browser = world.passkey(phone.user)
    started = challenges.start(channel="passkey", client=make_client(), user=phone.user)
    answer = {"client": make_client(), "user": phone.user, "credential": browser.get(started.browser_options)}
    assert challenges.check(started.verification, **answer).approved
    assert challenges.check(started.verification, **answer).outcome == CheckOutcome.ALREADY_APPROVED


def give_a_wrong_code(phone: Factor) -> None:
    browser = Client()
    page = begun(browser)
    code = last_code()
    assert browser.post(page, {"code": wrong_code(code)}).status_code == 200 and not signed_in(browser)
    assert browser.post(page, {"code": code}).status_code == 302 and signed_in(browser)


def give_a_wrong_recovery_code(phone: Factor) -> None:
    browser = Client()
    recovery_codes.issue(phone.user)
    sign_in(browser)
    assert browser.post("/verify/challenge/recovery/", {"code": "abcd-efgh-jkmn-pqrs"}).status_code == 200
    assert not signed_in(browser)


def use_up_the_answers(phone: Factor) -> None:
    browser = Client()
    page = begun(browser)
    code = last_code()
    for _ in range(5):
        assert browser.post(page, {"code": wrong_code(code)}).status_code == 200
    assert browser.post(page, {"code": code}).status_code == 200 and not signed_in(browser)


def be_held(phone: Factor) -> None:
    Factor.objects.update(failures=throttling.MAX_FAILURES - 1, failures_told=25)
    browser = Client()
    page = begun(browser)
    assert browser.post(page, {"code": wrong_code()}).status_code == 200
    phone.refresh_from_db()
    assert phone.held_at is not None and len(mail.outbox) == 1


def reach_a_limit(phone: Factor) -> None:
    recovery_codes.issue(phone.user)
    for _ in range(10):
        recovery_codes.redeem(phone.user, "abcd-efgh-jkmn-pqrs", make_client())
    for _ in range(3):
        with pytest.raises(RateLimited) as limited:
            recovery_codes.redeem(phone.user, "abcd-efgh-jkmn-pqrs", make_client())
        assert limited.value.code == "recovery_hour"


def enroll_the_first(phone: Factor) -> None:
    make_user("ben")
    browser = Client()
    sign_in(browser, "ben")
    page = code_path(browser.post("/verify/enroll/sms/", address(to="+15017122668")))
    shown = browser.post(page, {"code": last_code()})
    assert shown.status_code == 200 and RecoveryCode.objects.count() == 10
    assert Factor.objects.filter(user__username="ben").count() == 1 and signed_in(browser)


def replace_a_factor(phone: Factor) -> None:
    browser = proved(Client())
    page = replace(browser, phone)
    assert browser.post(page, {"code": last_code()}).status_code == 302
    assert [one.recipient_value for one in Factor.objects.all()] == [OTHER_PHONE]
    assert not ConsentEvent.objects.filter(event="withdrawn").exclude(channel="sms").exists()


def remove_a_factor(phone: Factor) -> None:
    make_factor(phone.user, OTHER_PHONE)
    browser, other = proved(Client()), proved(Client())
    assert browser.post(factor_path(phone, "remove"), {"sign_out": "on"}).status_code == 302
    assert [one.recipient_value for one in Factor.objects.all()] == [OTHER_PHONE]
    assert signed_in(browser) and not signed_in(other)


def choose_another_default(phone: Factor) -> None:
    other = make_factor(phone.user, OTHER_PHONE)
    browser = proved(Client())
    assert browser.post(factor_path(other, "default")).status_code == 302
    assert Factor.objects.get(default_for=phone.user) == other


def make_new_recovery_codes(phone: Factor) -> None:
    browser = proved(Client())
    assert browser.post("/verify/recovery-codes/").status_code == 200
    assert RecoveryCode.objects.count() == 10 and len(mail.outbox) == 1


def reset_the_factors(phone: Factor) -> None:
    browser = proved(Client())
    mail.outbox.clear()
    resets.request(phone.user, reason="Lost", actor="sue", at_once=True, link=lambda token: f"https://a/{token}/")
    assert not Factor.objects.exists() and not signed_in(browser)
    assert [one.to for one in mail.outbox] == [[phone.user.email]], "with the link that brings the user back"


def revoke_browsers(phone: Factor) -> None:
    people = [make_user(name) for name in ("cat", "dan", "eli")]
    browsers = [trusted_browsers.trust(person, make_client(person.username), days=30).browser for person in people]
    assert trusted_browsers.revoke_each([browser.pk for browser in browsers]) == len(people)
    assert not TrustedBrowser.objects.filter(revoked_at=None).exists()


def deny_on_the_phone(phone: Factor) -> None:
    world = World("sync", None)
    _, device = world.phone(phone.user)
    mail.outbox.clear()
    started = challenges.start(channel="push", client=make_client(), user=phone.user)
    device.deny(device.pending()[0]["sid"])
    polled = challenges.poll(started.verification, client=make_client(), user=phone.user)
    assert polled.outcome == CheckOutcome.DENIED
    assert [letter.subject for letter in mail.outbox] == ["Acme: somebody may know your password"]


def act_as_another(phone: Factor) -> None:
    make_user("ben")
    browser = proved(Client())
    assert browser.post("/switch/", {"username": "ben"}).content == b"acting"
    assert browser.get("/account/").content == b"account of ben"
    assert browser.post("/switch/", {"username": "ann"}).content == b"acting"
    assert browser.get("/account/").content == b"account of ann" and browser.get("/verify/").status_code == 200


_LOGIN = {"login_deciding": 1, "verification_sent": 1, "verification_approved": 1, "login_completed": 1}
_STEP = {"verification_sent": 1, "verification_approved": 1}
_ENROLLED = {"factor_added": 1, "notice_sent": 1}

FLOWS: list[tuple[Callable[[Factor], None], dict[str, int]]] = [
    (log_in, {**_LOGIN, "login_deciding": 2}),
    (log_in_and_trust_the_browser, {**_LOGIN, "browser_trusted": 1, "notice_sent": 1}),
    (
        log_in_by_recovery_code,
        {
            **{"recovery_codes_created": 1, "login_deciding": 1, "recovery_code_used": 1, "notice_sent": 1},
            "login_completed": 1,
        },
    ),
    (log_in_by_passkey, {"verification_sent": 1, "verification_approved": 2, **_ENROLLED}),
    (give_a_wrong_code, {**_LOGIN, "check_failed": 1}),
    (give_a_wrong_recovery_code, {"recovery_codes_created": 1, "login_deciding": 1, "check_failed": 1}),
    (
        use_up_the_answers,
        {"login_deciding": 1, "verification_sent": 1, "check_failed": 6, "locked_out": 1, "notice_sent": 1},
    ),
    (be_held, {"login_deciding": 1, "verification_sent": 1, "check_failed": 1, "locked_out": 1, "notice_sent": 1}),
    (reach_a_limit, {"recovery_codes_created": 1, "check_failed": 10, "locked_out": 1, "notice_sent": 1}),
    (
        enroll_the_first,
        {
            **{"login_deciding": 1, "consent_recorded": 1, "step_up_completed": 1, "recovery_codes_created": 1},
            **{**_STEP, **_ENROLLED},
        },
    ),
    (
        replace_a_factor,
        {
            **_LOGIN,
            **{"verification_sent": 2, "verification_approved": 2, "consent_recorded": 2, "step_up_completed": 1},
            **{"factor_removed": 1, "factor_added": 1, "notice_sent": 1},
        },
    ),
    (
        remove_a_factor,
        {**dict.fromkeys(_LOGIN, 2), "consent_recorded": 2, "factor_removed": 1, "notice_sent": 1},
    ),
    (choose_another_default, {**_LOGIN, "default_factor_changed": 1, "notice_sent": 1, "consent_recorded": 1}),
    (make_new_recovery_codes, {**_LOGIN, "recovery_codes_created": 1, "notice_sent": 1}),
    (reset_the_factors, {**_LOGIN, "factor_removed": 1, "factors_reset": 1, "notice_sent": 1}),
    (revoke_browsers, {"browser_trusted": 3, "browsers_revoked": 3, "notice_sent": 3}),
    (
        deny_on_the_phone,
        {"verification_sent": 1, "verification_approved": 1, "login_denied": 1, "check_failed": 1}
        | {"factor_added": 1, "notice_sent": 2},
    ),
    (act_as_another, {**_LOGIN, "impersonation_started": 1, "impersonation_ended": 1}),
]
"""Each flow, and how often it sends which signal. ``channel_unavailable`` has a test of its own, with both twins."""


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """The senders and the arguments of each signal, as the reference says."""
    text = (Path(__file__).parents[2] / "docs/reference/signals.md").read_text(encoding="utf-8")
    found = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {
        cells[0].strip("`"): ({one.strip("`") for one in cells[1].split(", ")}, {*re.findall(r"`(\w+)`", cells[2])})
        for cells in found
        if len(cells) == 4
    }


DOCUMENTED = documented()


def test_the_reference_lists_every_signal_and_its_arguments() -> None:
    """What each flow sends is compared with the reference below."""
    assert [*DOCUMENTED] == [signal.name for signal in signals.ALL]
    for name, (senders, arguments) in DOCUMENTED.items():
        assert senders and arguments and {"user", "client"}.isdisjoint(arguments), name


def test_every_signal_has_a_flow() -> None:
    told = {name for _flow, names in FLOWS for name in names} | {"channel_unavailable"}
    assert told == {signal.name for signal in signals.ALL}


@pytest.mark.parametrize("debug", [False, True], ids=["", "DEBUG"])
@pytest.mark.parametrize(("flow", "names"), FLOWS, ids=[flow.__name__ for flow, _names in FLOWS])
def test_a_flow_goes_on_whichever_receiver_fails(
    phone: Factor,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    flow: Callable[[Factor], None],
    names: dict[str, int],
    debug: bool,
) -> None:
    settings.DEBUG = debug
    caplog.set_level(logging.DEBUG)
    with broken(*ROBUST), listening(signals.ALL) as heard:
        flow(phone)
    assert heard.names == Counter(names)
    assert_complete(heard)
    assert_logged_once(caplog, heard)


def assert_complete(heard: Heard) -> None:
    for signal, named in heard.told:
        senders, arguments = DOCUMENTED[signal.name]
        assert named.keys() == {"sender", "user", "client"} | arguments, signal
        assert ("User class" if named["sender"] is get_user_model() else named["sender"].__name__) in senders, signal
        assert signal is signals.channel_unavailable or named["user"] is not None, signal


def assert_logged_once(caplog: pytest.LogCaptureFixture, heard: Heard) -> None:
    """One line for each failure, with the receiver's traceback, and without what the flow knows."""
    failures = [record for record in caplog.records if "receiver" in record.getMessage().lower()]
    expected = [signal.name for signal, _named in heard.told if signal is not signals.login_deciding]
    lines = Counter(record.args[0] for record in failures if isinstance(record.args, tuple))
    assert lines == Counter(expected)
    assert {(record.name, record.levelname) for record in failures} <= {("django_twilio_verify", "ERROR")}
    assert not [record for record in caplog.records if record.name == "django.dispatch"]
    secrets = {message.code for message in outbox} | {wrong_code(message.code) for message in outbox} | {PASSWORD}
    for record in failures:
        assert record.exc_info is not None and isinstance(record.exc_info[1], Broken)
        shown = everything_shown(record.exc_info[1])
        assert "Broken" in shown and not [one for one in secrets if one in shown]


def everything_shown(error: BaseException) -> str:
    """What a log, and Django's report with the values of every frame, show of ``error``."""
    assert error.__traceback__ is not None and error.__context__ is None and error.__cause__ is None
    assert error.__traceback__.tb_frame.f_code.co_name == "fail", "from the receiver on"
    report = ExceptionReporter(RequestFactory().get("/"), type(error), error, error.__traceback__)
    return f"{report.get_traceback_text()} {report.get_traceback_html()} {error!r}"


# ---- with both twins, and where the provider fails


def test_a_send_is_told_with_both_twins(verbs: Any, caplog: pytest.LogCaptureFixture) -> None:
    agree()
    with broken(*ROBUST), listening(signals.ALL) as heard:
        started = verbs.start(recipient=PHONE, channel="sms", client=make_client())
        checked = verbs.check(started.verification, code=last_code(), client=make_client())
        again = verbs.check(started.verification, code=last_code(), client=make_client())
    assert checked.approved and again.outcome == CheckOutcome.ALREADY_APPROVED and len(outbox) == 1
    assert heard.names == Counter(verification_sent=1, verification_approved=1)
    assert_logged_once(caplog, heard)
    assert [(named["user"], named["client"]) for _signal, named in heard.told] == [(None, make_client())] * 2


def test_a_channel_that_is_off_is_told_with_both_twins(verbs: Any, server: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "whatsapp"]
    server.simulator.channels.discard("whatsapp")
    agree(PHONE, "whatsapp")
    with broken(*ROBUST), listening(signals.ALL) as heard, pytest.raises(BackendRejected) as refused:
        verbs.start(recipient=PHONE, channel="whatsapp", client=make_client())
    assert refused.value.channel_off and heard.names == Counter(channel_unavailable=1)
    assert_complete(heard)


def test_the_flows_own_error_is_no_part_of_the_log(verbs: Any, server: Any, caplog: pytest.LogCaptureFixture) -> None:
    """``verification_sent`` is sent while the error of the provider is handled, whose frames know the code."""
    agree()
    server.fail("500")
    with broken(*ROBUST), listening(signals.ALL) as heard:
        started = verbs.start(recipient=PHONE, channel="sms", client=make_client(), options={"custom_code": "qx7Q91Zb"})
    assert started.delivery_unknown and heard.names == Counter(verification_sent=1)
    (record,) = [one for one in caplog.records if one.getMessage().startswith("A receiver failed")]
    assert record.exc_info is not None and record.exc_info[1] is not None
    assert "qx7Q91Zb" not in everything_shown(record.exc_info[1])


def test_what_led_to_the_receivers_error_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    def fail(**named: Any) -> None:
        try:
            raise LookupError("in the receiver")
        except LookupError:
            raise Broken  # noqa: B904  as a site may

    def handled() -> None:
        try:
            raise ValueError("of the caller")
        except ValueError:
            agree()

    signals.consent_recorded.connect(fail)
    try:
        handled()
    finally:
        signals.consent_recorded.disconnect(fail)
    assert "Broken" in caplog.text and "in the receiver" in caplog.text and "of the caller" not in caplog.text


# ---- what may raise, and when receivers run


def test_login_deciding_alone_ends_the_login(phone: Factor) -> None:
    browser = Client()
    with broken(signals.login_deciding), pytest.raises(Broken):
        sign_in(browser)
    assert not signed_in(browser)


def test_the_sites_other_receivers_hear_of_it(phone: Factor) -> None:
    """Also one that Django asks after the one that fails, and our own that write the emails."""
    with broken(signals.factor_removed), listening([signals.factor_removed]) as heard:
        devices.remove(phone.user, phone.pk, client=make_client())
    assert [named["factor"].pk for named in heard.of("factor_removed")] == [phone.pk] and len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fails", [False, True])
def test_in_a_transaction_receivers_wait_for_its_commit(fails: bool) -> None:
    """A receiver that fails in the database would break the transaction, and what is rolled back was not done."""
    ann = make_user("ann")
    with broken(*ROBUST), listening(signals.ALL) as heard:
        try:
            with transaction.atomic():
                recovery_codes.issue(ann)
                trusted_browsers.revoke_all(ann)
                assert heard.told == [] and connection.in_atomic_block
                if fails:
                    raise Broken
        except Broken:
            assert fails
    assert heard.names == ({} if fails else {"recovery_codes_created": 1})


def test_a_recovery_code_that_is_wrong_is_told_with_its_purpose(phone: Factor) -> None:
    with listening([signals.check_failed]) as heard:
        recovery_codes.redeem(phone.user, "abcd", make_client(), purpose=Purpose.STEP_UP)
    (told,) = heard.of("check_failed")
    assert told["sender"] is RecoveryCode and (told["verification"], told["checks_left"]) == (None, None)
    assert (told["outcome"], told["purpose"], told["user"]) == (CheckOutcome.WRONG, Purpose.STEP_UP, phone.user)
