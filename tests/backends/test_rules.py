"""What the pretended Service refuses, how it sends, and what a link and a payment are there."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from django_twilio_verify.backends.options import NO_OPTIONS, SendOptions
from django_twilio_verify.backends.simulator.rules import Template
from django_twilio_verify.backends.simulator.verifications import LINK_TTL, Message, VerifySimulator
from django_twilio_verify.backends.twilio.errors import VerifyError
from django_twilio_verify.choices import Feature

TO = "+12025550143"
MAIL = "ann@example.com"
TEMPLATE = "HJ" + "1" * 32
OTHER = "HJ" + "2" * 32
PAYMENT = SendOptions(amount="39.90", payee="Acme")


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sent() -> list[Message]:
    return []


@pytest.fixture
def service(clock: Clock, sent: list[Message]) -> VerifySimulator:
    return VerifySimulator("shop", clock=clock, deliver=sent.append)


def refused(call: Any, *args: Any, **more: Any) -> int:
    with pytest.raises(VerifyError) as caught:
        call(*args, **more)
    return caught.value.code


def link_of(service: VerifySimulator, options: SendOptions = NO_OPTIONS) -> str:
    link = service.create(TO, "sna", options).link
    assert link.startswith("https://sna.invalid/")
    return link


# ------------------------------------------------------------------------------------------- links


def test_a_link_that_is_opened_proves_the_number(service: VerifySimulator, sent: list[Message]) -> None:
    snapshot = service.create(TO, "sna")
    assert (snapshot.channel, snapshot.status) == ("sna", "pending")
    assert [(one.channel, one.code, one.link) for one in sent] == [("sna", "", snapshot.link)]
    answer = service.open_link(snapshot.link)
    assert answer == "ErrorCode=0&ErrorDescription=Success&Carrier=VZW"
    approved = service.check("", sid=snapshot.sid)
    assert (approved.status, approved.link_errors) == ("approved", ())
    assert refused(service.check, "", sid=snapshot.sid) == 20404


def test_a_link_that_nobody_has_opened_proves_nothing(service: VerifySimulator) -> None:
    snapshot = service.create(TO, "sna")
    for _ in range(5):
        answer = service.check("", to=TO)
        assert (answer.status, answer.link_errors) == ("pending", ((snapshot.attempts[0].sid, 60519),))
    assert refused(service.check, "", to=TO) == 60202


def test_a_link_works_once_and_not_for_ever(service: VerifySimulator, clock: Clock) -> None:
    first = link_of(service)
    service.open_link(first, error=60510)
    assert service.open_link(first) == "ErrorCode=-10&ErrorDescription=Failure"
    assert service.check("", to=TO).status == "pending"
    service.ttl = 2 * LINK_TTL
    second = link_of(service)
    clock.now += LINK_TTL
    assert service.open_link(second) == "ErrorCode=-10&ErrorDescription=Failure"
    assert service.open_link("https://sna.invalid/another") == "ErrorCode=-10&ErrorDescription=Failure"
    assert [code for _, code in service.check("", to=TO).link_errors] == [60510, 60519]


@pytest.mark.parametrize(("code", "told"), [(60500, "0"), (60517, "-10"), (60540, "-10")])
def test_a_silent_check_can_fail_for_a_number(service: VerifySimulator, code: int, told: str) -> None:
    service.sna_failures[TO] = code
    answer = service.open_link(link_of(service))
    assert parse_qs(answer)["ErrorCode"] == [told]  # whether it is the phone's own number, the phone is not told
    checked = service.check("", to=TO)
    assert (checked.status, [one for _, one in checked.link_errors]) == ("pending", [code])


def test_a_second_link_may_succeed_where_the_first_failed(service: VerifySimulator) -> None:
    service.open_link(link_of(service), error=60533)
    service.open_link(link_of(service))
    answer = service.check("", to=TO)
    assert (answer.status, [code for _, code in answer.link_errors]) == ("approved", [60533])


@pytest.mark.parametrize("token", ["", "another", "ä"])
def test_without_the_right_token_nothing_is_approved(service: VerifySimulator, token: str) -> None:
    answer = service.open_link(link_of(service, SendOptions(enable_sna_client_token=True)))
    right = parse_qs(answer)["SnaClientToken"][0]
    assert service.check("", to=TO, sna_client_token=token).status == "pending"
    assert service.check("", to=TO, sna_client_token=right).status == "approved"


def test_a_person_can_go_on_with_a_code(service: VerifySimulator, sent: list[Message]) -> None:
    sid = service.create(TO, "sna").sid
    assert service.create(TO, "sms").sid == sid
    assert service.check(sent[-1].code, sid=sid).status == "approved"


def test_questions_about_a_link_use_up_no_answer(service: VerifySimulator, sent: list[Message]) -> None:
    sid = service.create(TO, "sna").sid
    for _ in range(5):
        service.check("", sid=sid)
    service.create(TO, "sms")
    assert service.check(sent[-1].code, sid=sid).status == "approved"


def test_an_empty_code_is_no_question_where_there_is_no_link(service: VerifySimulator) -> None:
    service.create(TO, "sms")
    assert refused(service.check, "", to=TO) == 60200


def test_the_list_of_attempts_has_no_silent_ones(service: VerifySimulator) -> None:
    service.create(TO, "sna")
    service.create(TO, "sms")
    assert [one.channel for one in service.attempts()] == ["sms"]


def test_nothing_shows_a_link_or_a_token(service: VerifySimulator, sent: list[Message]) -> None:
    snapshot = service.create(TO, "sna", SendOptions(enable_sna_client_token=True))
    shown = f"{snapshot!r} {sent!r} {snapshot.attempts!r} {service!r} {service._find(TO, 'Verification')!r}"
    token = parse_qs(service.open_link(snapshot.link))["SnaClientToken"][0]
    assert snapshot.link.rpartition("/")[2] not in shown
    assert token not in shown


# ------------------------------------------------------------------------------------ the way it goes


def test_the_automatic_choice(service: VerifySimulator, sent: list[Message]) -> None:
    assert (service.create(TO, "auto").channel, sent[-1].link) == ("sms", "")
    service.sna_numbers.add(TO)
    assert service.create(TO, "auto").channel == "sna"
    assert sent[-1].link
    service.channels -= {"sna"}
    assert service.create(TO, "auto").channel == "sms"
    service.channels -= {"sms"}
    assert refused(service.create, TO, "auto") == 60550


def test_whatsapp_becomes_a_text_message(service: VerifySimulator, sent: list[Message]) -> None:
    service.without_whatsapp.add(TO)
    assert service.create(TO, "whatsapp").channel == "sms"
    assert sent[-1].channel == "sms"
    service.channels -= {"sms"}
    attempt = service.create(TO, "whatsapp").attempts[-1]
    assert (attempt.channel, attempt.delivery, attempt.error_code) == ("whatsapp", "undelivered", 63024)
    assert len(sent) == 1


def test_whatsapp_without_the_fallback_is_not_delivered(service: VerifySimulator, sent: list[Message]) -> None:
    service.without_whatsapp.add(TO)
    service.whatsapp_fallback = False
    assert service.create(TO, "whatsapp").channel == "whatsapp"
    assert [(one.delivery, one.error_code) for one in service.attempts()] == [("undelivered", 63024)]
    assert sent == []


def test_a_text_message_goes_as_rcs(service: VerifySimulator) -> None:
    service.rcs_numbers.add(TO)
    assert service.create(TO, "sms").channel == "sms"
    assert [(one.channel, one.carried) for one in service.attempts()] == [("sms", "rbm")]


def test_a_message_that_never_arrives(service: VerifySimulator, sent: list[Message]) -> None:
    service.undelivered[TO] = 21610
    service.create(TO, "sms")
    assert [one.error_code for one in service.attempts()] == [21610]
    assert sent == []


def test_news_of_a_send_come_later(service: VerifySimulator, clock: Clock) -> None:
    sid = service.create(TO, "sms").attempts[0].sid
    clock.now += 60
    told = service.report(sid, "read", carried="rbm")
    assert service.attempts() == [told]
    assert (told.delivery, told.carried, told.error_code) == ("read", "rbm", 0)
    assert (told.updated_at - told.sent_at).total_seconds() == 60
    assert service.fetch(TO).attempts == (told,)
    with pytest.raises(LookupError):
        service.report("VL1", "read")


def test_a_look_up_tells_the_kind_of_line(service: VerifySimulator) -> None:
    assert service.create("+12025550100", "call").line_type == ""
    service.lookup_enabled = True
    service.landlines.add("+12025550101")
    service.line_types["+12025550102"] = "fixedVoip"
    found = [service.create(f"+1202555010{last}", "call").line_type for last in (1, 2, 3)]
    assert found == ["landline", "fixedVoip", "mobile"]
    assert service.create(MAIL, "email").line_type == ""


# ------------------------------------------------------------------------------------------ options


def test_a_message_keeps_what_was_asked_for(service: VerifySimulator, sent: list[Message]) -> None:
    options = SendOptions(tags={"a": "b"}, custom_friendly_name="Acme", app_hash="x")
    service.create(TO, "sms", options)
    assert sent[0].options == service.attempts()[0].options == options


def test_a_code_of_the_sites_own(service: VerifySimulator, sent: list[Message]) -> None:
    options = SendOptions(custom_code="4711ab")
    sid = service.create(TO, "sms", options).sid
    service.create(TO, "sms", SendOptions(custom_code="0815xy"))
    assert [one.code for one in sent] == ["4711ab", "4711ab"], "a fresh code needs a cancel first"
    assert "4711" not in f"{sent!r} {sent[0].options!r} {service.attempts()!r}"
    assert service.update(sid, "approved").status == "approved"


def test_a_payment_is_bound_to_amount_and_payee(service: VerifySimulator, sent: list[Message]) -> None:
    sid = service.create(TO, "sms", PAYMENT).sid
    code = sent[0].code
    assert refused(service.check, code, sid=sid) == 60206
    assert refused(service.check, code, sid=sid, amount="39.90") == 60206
    for amount, payee in [("39.91", "Acme"), ("39.90", "Acne")]:
        assert service.check(code, sid=sid, amount=amount, payee=payee).status == "pending"
    approved = service.check(code, sid=sid, amount="39.90", payee="Acme")
    assert (approved.status, approved.amount, approved.payee) == ("approved", "39.90", "Acme")


def test_one_code_is_not_for_two_payments(service: VerifySimulator) -> None:
    service.create(TO, "sms", PAYMENT)
    assert refused(service.create, TO, "sms", SendOptions(amount="1", payee="Acme")) == 60200
    assert refused(service.create, TO, "sms") == 60200
    assert service.create(TO, "sms", PAYMENT).status == "pending"


@pytest.mark.parametrize(
    ("channel", "options", "code"),
    [
        ("sms", NO_OPTIONS, 60206),
        ("sms", SendOptions(amount="1"), 60206),
        ("call", PAYMENT, 60214),
        ("sna", PAYMENT, 60329),
        ("auto", NO_OPTIONS, 60329),
        ("whatsapp", PAYMENT, 60200),
    ],
)
def test_a_service_that_is_set_to_psd2(service: VerifySimulator, channel: str, options: SendOptions, code: int) -> None:
    service.psd2_required = True
    assert refused(service.create, TO, channel, options) == code
    assert service.create(TO, "sms", PAYMENT).status == "pending"


@pytest.mark.parametrize(
    ("channel", "options", "code"),
    [
        ("sms", SendOptions(custom_friendly_name="A" * 31), 60200),
        ("sms", SendOptions(custom_friendly_name="Shop 12345"), 60200),
        ("sms", SendOptions(custom_code="123"), 60200),
        ("sms", SendOptions(risk_check="off"), 60200),
        ("sms", SendOptions(tags={str(number): "" for number in range(11)}), 60200),
        ("sms", SendOptions(tags={"a": "b" * 129}), 60200),
        ("sms", SendOptions(templates=[{"sid": TEMPLATE}] * 11), 60200),
        ("email", SendOptions(channel_configuration={"from": "nobody"}), 60200),
        ("call", SendOptions(app_hash="x"), 60602),
        ("whatsapp", SendOptions(template_sid=TEMPLATE), 60408),
        ("sms", SendOptions(rate_limits={"unknown": "x"}), 60200),
        ("sms", SendOptions(template_sid=OTHER), 60228),
        ("sms", SendOptions(template_sid=TEMPLATE), 60224),
        ("call", SendOptions(template_sid=TEMPLATE), 60227),
        (
            "sms",
            SendOptions(template_sid=TEMPLATE, template_custom_substitutions={"name": "x"}, locale="it"),
            60229,
        ),
        ("sms", SendOptions(templates=[{"sid": OTHER}, {"sid": TEMPLATE}]), 60252),
    ],
)
def test_what_is_refused(
    service: VerifySimulator, sent: list[Message], channel: str, options: SendOptions, code: int
) -> None:
    service.rate_limits = {"ip": [(1, 60)]}
    service.templates = {TEMPLATE: Template(frozenset({"name"}), frozenset({"sms"}), frozenset({"en"}))}
    assert refused(service.create, MAIL if channel == "email" else TO, channel, options) == code
    assert sent == []


def test_a_template_is_found_among_several(service: VerifySimulator, sent: list[Message]) -> None:
    service.templates = {TEMPLATE: Template(frozenset({"name"})), OTHER: Template(approved=False)}
    both = [{"sid": OTHER}, {"sid": TEMPLATE, "substitutions": {"name": "Ann"}}]
    service.create(TO, "sms", SendOptions(templates=both))
    assert len(sent) == 1
    assert refused(service.create, TO, "sms", SendOptions(template_sid=OTHER)) == 60201


@pytest.mark.parametrize(
    ("feature", "options", "code"),
    [
        (Feature.CUSTOM_CODE, SendOptions(custom_code="1234"), 60204),
        (Feature.CUSTOM_FRIENDLY_NAME, SendOptions(custom_friendly_name="Acme"), 60204),
        (Feature.CUSTOM_MESSAGE, SendOptions(custom_message="Hi"), 60243),
        (Feature.PSD2, PAYMENT, 60204),
    ],
)
def test_a_feature_that_is_not_enabled(
    service: VerifySimulator, feature: Feature, options: SendOptions, code: int
) -> None:
    service.features.discard(feature)
    assert refused(service.create, TO, "sms", options) == code


@pytest.mark.parametrize(
    ("channel", "code"),
    [("sms", 60223), ("call", 60223), ("whatsapp", 68008), ("email", 60217), ("sna", 60204), ("auto", 60204)],
)
def test_a_channel_that_is_off(service: VerifySimulator, channel: str, code: int) -> None:
    service.channels.discard(channel)
    assert refused(service.create, MAIL if channel == "email" else TO, channel) == code


def test_rate_limits_of_the_service(service: VerifySimulator, clock: Clock) -> None:
    service.rate_limits = {"ip": [(2, 60), (3, 3600)], "user": []}
    numbers = iter(range(100, 200))

    def send(**limits: str) -> str:
        return service.create(f"+12025550{next(numbers)}", "sms", SendOptions(rate_limits=limits)).status

    assert [send(ip="a", user="x"), send(ip="a"), send(ip="b")] == ["pending"] * 3
    assert refused(send, ip="a") == 20429
    clock.now += 60
    assert send(ip="a") == "pending"
    clock.now += 60
    assert refused(send, ip="a") == 20429, "three in an hour"
    clock.now += 3600
    assert send(ip="a") == "pending"


def test_a_refusal_by_a_rate_limit_counts_nowhere(service: VerifySimulator) -> None:
    service.rate_limits = {"ip": [(1, 60)], "user": [(1, 60)]}
    service.create(TO, "sms", SendOptions(rate_limits={"ip": "a"}))
    both = SendOptions(rate_limits={"user": "x", "ip": "a"})
    assert refused(service.create, "+12025550100", "sms", both) == 20429
    assert refused(service.fetch, "+12025550100") == 20404
    assert service.create(TO, "sms", SendOptions(rate_limits={"user": "x"})).status == "pending"


def test_trust_passes_by_fraud_guard_and_geo_permissions(service: VerifySimulator) -> None:
    service.fraud_prefixes.add("+1202")
    service.closed_prefixes.add("+7")
    trusted = SendOptions(risk_check="disable")
    assert refused(service.create, TO, "sms", SendOptions(risk_check="enable")) == 60410
    assert service.create(TO, "sms", trusted).status == "pending"
    assert refused(service.create, "+79161234567", "call") == 60605
    assert service.create("+79161234567", "sms", trusted).status == "pending"
    assert service.create("+79161234568", "whatsapp").status == "pending"
