"""The rules of one Verify Service."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from django_twilio_verify.backends.options import SendOptions
from django_twilio_verify.backends.simulator import verifications as module
from django_twilio_verify.backends.simulator.verifications import Message, VerifySimulator
from django_twilio_verify.backends.twilio.errors import VerifyError

TO = "+12025550143"
MAIL = "ann@example.com"
START = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

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
    codes = iter(f"{number:06}" for number in range(7, 1000))
    return VerifySimulator("shop", clock=clock, deliver=sent.append, make_code=lambda length: next(codes))


def refused(call: object, *args: object, **more: object) -> tuple[int, int]:
    with pytest.raises(VerifyError) as caught:
        call(*args, **more)  # type: ignore[operator]
    return caught.value.status, caught.value.code


def test_a_send_opens_a_verification(service: VerifySimulator, sent: list[Message]) -> None:
    snapshot = service.create(TO, "sms", SendOptions(locale="de"))
    assert snapshot.status == "pending"
    assert len(snapshot.sid) == 34
    assert snapshot.sid.startswith("VE")
    assert snapshot.attempts[0].sid.startswith("VL")
    moment = datetime.fromtimestamp(START, UTC)
    assert sent == [Message("shop", TO, "sms", "000007", snapshot.sid, moment, SendOptions(locale="de"))]


def test_a_resend_keeps_sid_and_code_and_adds_an_attempt(service: VerifySimulator, sent: list[Message]) -> None:
    first = service.create(TO, "sms")
    second = service.create(TO, "call")
    assert second.sid == first.sid
    assert [one.channel for one in second.attempts] == ["sms", "call"]
    assert second.channel == "call"
    assert sent[0].code == sent[1].code


def test_recipients_do_not_share(service: VerifySimulator, sent: list[Message]) -> None:
    assert service.create(TO, "sms").sid != service.create(MAIL, "email").sid
    assert sent[0].code != sent[1].code


def test_the_sixth_send_is_refused_until_expiry(service: VerifySimulator, clock: Clock) -> None:
    for _ in range(5):
        sid = service.create(TO, "sms").sid
    assert refused(service.create, TO, "call") == (429, 60203)
    clock.now += 600
    assert service.create(TO, "sms").sid != sid


def test_the_sixth_answer_is_refused_even_if_right(service: VerifySimulator, sent: list[Message], clock: Clock) -> None:
    sid = service.create(TO, "sms").sid
    statuses = [service.check("999999", sid=sid).status for _ in range(5)]
    assert statuses == ["pending"] * 5
    assert refused(service.check, sent[0].code, sid=sid) == (429, 60202)
    assert service.fetch(sid).status == "max_attempts_reached"
    assert refused(service.create, TO, "sms") == (429, 60202)
    clock.now += 600
    assert service.create(TO, "sms").status == "pending"


def test_the_fifth_answer_may_be_the_right_one(service: VerifySimulator, sent: list[Message]) -> None:
    sid = service.create(TO, "sms").sid
    for _ in range(4):
        service.check("999999", to=TO)
    assert service.check(sent[0].code, sid=sid).status == "approved"


def test_what_is_approved_is_gone(service: VerifySimulator, sent: list[Message]) -> None:
    sid = service.create(TO, "sms").sid
    service.check(sent[0].code, to=TO)
    assert refused(service.check, sent[0].code, to=TO) == (404, 20404)
    assert refused(service.check, sent[0].code, sid=sid) == (404, 20404)
    assert refused(service.fetch, sid) == (404, 20404)
    assert refused(service.update, sid, "canceled") == (404, 20404)
    assert service.create(TO, "sms").sid != sid


def test_the_window_runs_from_the_first_send(service: VerifySimulator, sent: list[Message], clock: Clock) -> None:
    sid = service.create(TO, "sms").sid
    clock.now += 599
    service.create(TO, "sms")
    assert service.fetch(sid).status == "pending"
    clock.now += 1
    assert refused(service.fetch, sid) == (404, 20404)
    assert refused(service.check, sent[1].code, sid=sid) == (404, 20404)
    with pytest.raises(LookupError):
        service.last_code(TO)


def test_only_the_expired_ones_are_forgotten(service: VerifySimulator, clock: Clock) -> None:
    old = service.create(TO, "sms").sid
    clock.now += 300
    young = service.create(MAIL, "email").sid
    clock.now += 300
    assert service.fetch(young).sid == young
    assert refused(service.fetch, old) == (404, 20404)


def test_the_default_clock_is_the_one_of_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    service = VerifySimulator()
    sid = service.create(TO, "sms").sid
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 601)
    assert refused(service.fetch, sid) == (404, 20404)


@pytest.mark.parametrize(("status", "converted"), [("canceled", False), ("approved", True)])
def test_an_update_ends_it(service: VerifySimulator, status: str, converted: bool) -> None:
    sid = service.create(TO, "sms").sid
    assert service.update(TO, status).status == status
    assert refused(service.fetch, sid) == (404, 20404)
    assert [one.converted for one in service.attempts()] == [converted]
    assert service.create(TO, "sms").sid != sid


def test_an_update_knows_two_words(service: VerifySimulator) -> None:
    assert refused(service.update, service.create(TO, "sms").sid, "expired") == (400, 60200)


def test_a_fetch_goes_by_sid_and_by_recipient(service: VerifySimulator) -> None:
    sid = service.create(TO, "sms").sid
    assert service.fetch(sid) == service.fetch(TO)


@pytest.mark.parametrize(
    ("to", "channel", "answer"),
    [
        (TO, "voice", (400, 60200)),  # Verify's word is "call"
        (TO, "rcs", (400, 60200)),
        (TO, "sna", (400, 60204)),
        (TO, "auto", (400, 60204)),
        (TO, "whatsapp", (400, 68008)),
        ("2025550143", "sms", (400, 60200)),
        ("+1", "sms", (400, 60200)),
        ("+12025550143\n", "sms", (400, 60200)),
        ("", "sms", (400, 60200)),
        (MAIL, "sms", (400, 60200)),
        (TO, "email", (400, 60200)),
        ("+390612345678", "sms", (403, 60205)),
        ("+882123456789", "sms", (403, 60410)),
        ("+79161234567", "sms", (403, 60605)),
        ("+79161234567", "call", (403, 60605)),
    ],
)
def test_refusals(
    service: VerifySimulator, sent: list[Message], to: str, channel: str, answer: tuple[int, int]
) -> None:
    service.channels -= {"whatsapp", "sna", "auto"}
    service.landlines.add("+390612345678")
    service.fraud_prefixes.add("+8821")
    service.closed_prefixes.add("+7")
    assert refused(service.create, to, channel) == answer
    assert sent == []
    assert service.attempts() == []


def test_fraud_guard_and_landlines_concern_text_messages_only(service: VerifySimulator) -> None:
    service.landlines.add(TO)
    service.fraud_prefixes.add("+1202")
    assert service.create(TO, "call").status == "pending"
    assert service.create(MAIL, "email").status == "pending"


def test_an_unknown_locale_is_not_found(sent: list[Message]) -> None:
    service = VerifySimulator(locales=["en", "de"], deliver=sent.append)
    assert refused(service.create, TO, "sms", SendOptions(locale="tlh")) == (404, 20404)
    assert service.create(TO, "sms", SendOptions(locale="de")).status == "pending"
    assert [one.locale for one in sent] == ["de"]


@pytest.mark.parametrize("typed", ["", "123", "12345678901", "12 456", "１２３４５６"])
def test_what_is_no_code_is_not_counted(service: VerifySimulator, typed: str) -> None:
    sid = service.create(TO, "sms").sid
    for _ in range(6):
        assert refused(service.check, typed, sid=sid) == (400, 60200)
    assert service.check("999999", sid=sid).status == "pending"


def test_a_check_needs_to_know_of_what(service: VerifySimulator) -> None:
    assert refused(service.check, "123456") == (400, 60221)


@pytest.mark.parametrize("length", [4, 6, 10])
def test_codes_are_digits_of_the_length_asked_for(length: int) -> None:
    service = VerifySimulator(code_length=length)
    codes = set()
    for number in range(100, 120):
        service.create(f"+12025550{number}", "sms")
        codes.add(service.last_code(f"+12025550{number}"))
    assert all(len(code) == length and code.isdecimal() for code in codes)
    assert len(codes) > 10


def test_attempts_are_listed_newest_first_between_two_times(service: VerifySimulator, clock: Clock) -> None:
    for channel in ("sms", "call", "sms"):
        service.create(TO, channel)
        clock.now += 60
    minute = timedelta(minutes=1)
    start = datetime.fromtimestamp(START, UTC)
    listed = service.attempts()
    assert [one.sent_at for one in listed] == [start + 2 * minute, start + minute, start]
    assert service.attempts(after=start + minute) == listed[:2]
    assert service.attempts(before=start + minute) == listed[2:]


def test_the_last_send_converts(service: VerifySimulator, sent: list[Message]) -> None:
    service.create(TO, "sms")
    snapshot = service.create(TO, "call")
    service.check(sent[0].code, sid=snapshot.sid)
    assert [(one.channel, one.converted) for one in service.attempts()] == [
        ("call", True),
        ("sms", False),
    ]


def test_a_conversion_outlives_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_ATTEMPTS", 1)
    service = VerifySimulator()
    service.create(TO, "sms")
    service.create(MAIL, "email")
    assert service.check(service.last_code(TO), to=TO).status == "approved"
    assert [one.to for one in service.attempts()] == [MAIL]


def test_a_reset_forgets(service: VerifySimulator) -> None:
    sid = service.create(TO, "sms").sid
    service.reset()
    assert refused(service.fetch, sid) == (404, 20404)
    assert service.attempts() == []


def test_nothing_shows_codes_or_numbers(service: VerifySimulator, sent: list[Message]) -> None:
    snapshot = service.create(TO, "sms")
    pending = service._find(TO, "Verification")
    shown = f"{service!r} {snapshot!r} {snapshot.attempts!r} {sent!r} {sent[0]}"
    for refusal in (lambda: service.create("+1202555", "fax"), lambda: service.fetch("+1202555")):
        with pytest.raises(VerifyError) as caught:
            refusal()
        shown += f"{caught.value!r} {caught.value} {caught.value.message}"
    for secret in (TO, "2025550143", "202555", sent[0].code):
        assert secret not in shown
    assert sent[0].code not in repr(pending)


def test_threads_share_one_verification() -> None:
    service = VerifySimulator()

    def start(channel: str) -> str:
        try:
            return service.create(TO, channel).sid
        except VerifyError as error:
            return str(error.code)

    with ThreadPoolExecutor(10) as pool:
        answers = [*pool.map(start, ["sms", "call"] * 5)]
    sids = {one for one in answers if one.startswith("VE")}
    assert len(sids) == 1
    assert answers.count("60203") == 5


def test_of_threads_that_answer_one_is_approved() -> None:
    service = VerifySimulator()
    service.create(TO, "sms")
    code = service.last_code(TO)

    def check(number: int) -> str:
        try:
            return service.check(code, to=TO).status
        except VerifyError as error:
            return str(error.code)

    with ThreadPoolExecutor(10) as pool:
        answers = [*pool.map(check, range(10))]
    assert answers.count("approved") == 1
    assert answers.count("20404") == 9
