"""``sync_attempts``: pulled page by page from the real SDK over HTTP, and from memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from itertools import count

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.backends.results import AttemptsPage
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable
from django_twilio_verify.models import AttemptSync, ConsentEvent, ProviderEvent, Verification, VerificationAttempt
from django_twilio_verify.provider import attempt_sync, events
from django_twilio_verify.provider.attempt_sync import Held, Pace, Synced
from django_twilio_verify.testing import VerifyServer
from django_twilio_verify.verifications import lifecycle
from tests.support.attempts import fate, lost_attempt, make_attempt, make_verification
from tests.support.basics import PHONE, agree, make_client, race
from tests.support.cloud_events import event

pytestmark = pytest.mark.django_db
AGO = 3600.0


def an_hour_ago() -> float:
    """So that all of it lies before a run begins."""
    return time.time() - AGO


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["http", "memory"])
def simulator(request, settings):
    """Verify as it was an hour ago."""
    if request.param == "http":
        with VerifyServer(clock=an_hour_ago) as server:
            settings.TWILIO_VERIFY_BACKENDS = server.setting()
            yield server.simulator
    else:
        path = f"{LocMemBackend.__module__}.LocMemBackend"
        settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": path, "OPTIONS": {"timeout": 9}}}
        made = backends["default"].simulator
        made._clock = an_hour_ago
        yield made


@pytest.fixture
def server(settings):
    with VerifyServer(clock=an_hour_ago) as running:
        settings.TWILIO_VERIFY_BACKENDS = running.setting()
        yield running


@pytest.fixture
def run(clock):
    """A run whose pauses cost nothing."""

    def sync(**values) -> Synced:
        return attempt_sync.sync("default", pace=Pace(clock=clock, sleep=clock.sleep), **values)

    return sync


def send(number: int = 61, **values) -> VerificationAttempt:
    recipient = f"+150171226{number}"
    client = make_client(f"session-{number}")
    agree(recipient, client=client)
    started = lifecycle.start(recipient=recipient, channel="sms", client=client, **values)
    return started.verification.attempts.get()


def approve(attempt: VerificationAttempt, simulator) -> None:
    """The person types the right code."""
    simulator.update(attempt.verification.sid, "approved")


def test_all_that_the_provider_knows_is_pulled(simulator, run):
    ours = send()
    approve(ours, simulator)
    simulator.report(ours.sid, "delivered", carried="rbm")
    done = run()
    assert (done.seen, done.changed, done.strangers, done.pages, done.resumed) == (1, 1, 0, 1, False)
    told = fate(ours)
    assert (told["channel_used"], told["delivery"], told["converted"]) == ("rbm", "delivered", True)
    assert told["delivery_at"] is not None
    row = AttemptSync.objects.get()
    assert (row.done_until, row.window_start, row.page, row.lease) == (done.until, None, "", "")


def test_the_price_is_pulled(server, run):
    ours = send()
    run()
    assert (fate(ours)["price"], fate(ours)["currency"]) == (Decimal("0.05000"), "USD")


def test_a_second_run_changes_nothing_and_reads_two_days_again(simulator, run):
    ours = send()
    first = run()
    before = fate(ours)
    second = run()
    assert (second.seen, second.changed) == (1, 0)
    assert second.since == first.until - timedelta(days=2)
    assert fate(ours) == before
    simulator._clock = lambda: an_hour_ago() + 5
    simulator.report(ours.sid, "undelivered", error_code=30005)
    assert run().changed == 1
    assert (fate(ours)["delivery"], fate(ours)["error_code"]) == ("undelivered", 30005)


def test_sends_that_are_not_ours_are_counted_and_left(simulator, run):
    simulator.create("+15017122688", "sms")
    send()
    assert (run().seen, run().strangers) == (2, 1)


def test_a_stop_that_a_run_hears_of_reaches_consent_once(simulator, run):
    ours = send()
    simulator.report(ours.sid, "undelivered", error_code=21610)
    run()
    run()
    assert [one.origin for one in ConsentEvent.objects.filter(event="opted_out")] == [ours.sid]


def test_a_resend_whose_answer_was_lost_is_found_to_be_sent(server, run):
    ours = send()
    Verification.objects.update(resend_at=timezone.now())
    server.reset_next(carried_out=True)
    client = make_client("session-61")
    again = lifecycle.start(recipient="+15017122661", channel="sms", client=client, resend=True)
    assert again.delivery_unknown
    lost = VerificationAttempt.objects.exclude(pk=ours.pk).get()
    assert (lost.status, lost.sid) == ("perhaps_sent", "")
    assert run().changed == 2
    assert fate(lost)["status"] == "sent"
    assert fate(lost)["sid"] not in ("", ours.sid)


def test_pulled_and_pushed_leave_the_same_records(simulator, run, settings):
    """A site without a public address is told by runs what another is told by events."""
    pulled = [send(number) for number in (61, 62, 63)]
    for one in pulled:
        Verification.objects.filter(pk=one.verification_id).update(sid="", backend="default")
    approve(pulled[0], simulator)
    told = [
        simulator.report(pulled[0].sid, "delivered", carried="rbm"),
        simulator.report(pulled[1].sid, "undelivered", error_code=21610),
        simulator.report(pulled[2].sid, "sent"),
    ]
    for one, known in zip(pulled, told, strict=True):
        Verification.objects.filter(pk=one.verification_id).update(sid=known.verification_sid)
    fresh = [(one, fate(one)) for one in pulled]

    def records():
        stopped = ConsentEvent.objects.filter(event="opted_out").values_list(
            "channel", "recipient_fingerprint", "origin"
        )
        return [{**fate(one), "price": None, "currency": ""} for one in pulled], list(stopped)

    run(since=timezone.now() - timedelta(hours=2))
    by_pulling = records()
    # Back to what they were, and the same again by events.
    for one, before in fresh:
        VerificationAttempt.objects.filter(pk=one.pk).update(**before)
    stops = ConsentEvent.objects.filter(event="opted_out").count()
    service = "VA" + "b" * 32
    settings.TWILIO_VERIFY_BACKENDS = {
        "default": {
            "BACKEND": "django_twilio_verify.backends.twilio.TwilioBackend",
            "OPTIONS": {"account_sid": "AC" + "a" * 32, "password": "x", "service_sid": service},
        }
    }
    batch = [
        event(
            f"message.{known.delivery}",
            {
                "service_sid": service,
                "verification_sid": known.verification_sid,
                "attempt_sid": known.sid,
                "channel": {"rbm": "RCS", "sms": "SMS"}[known.carried],
                "error_code": str(known.error_code or ""),
            },
            time=known.updated_at.isoformat(),
        )
        for known in told
    ]
    approved = {"attempts": [{"attempt_sid": told[0].sid, "channel": "SMS", "time": told[0].sent_at.isoformat()}]}
    data = {"service_sid": service, "verification_sid": told[0].verification_sid, "send_code_attempts": approved}
    batch.append(event("verification.approved", data))
    assert events.receive(batch, trusted=["default"]).stored == 4
    by_pushing = records()
    # The list says "unconverted" of sends that were not answered; events are silent of them.
    for one in by_pulling[0]:
        one["converted"] = one["converted"] or None
    if by_pulling[0][0]["delivery_at"] is None or by_pulling[0][0]["delivery_at"].microsecond == 0:
        for one in [*by_pulling[0], *by_pushing[0]]:  # over HTTP the list has whole seconds
            one["delivery_at"] = one["delivery_at"].replace(microsecond=0)
    assert by_pushing[0] == by_pulling[0]
    assert by_pushing[1] == by_pulling[1]
    assert stops == 1  # the second source of the same opt-out made no second event


@pytest.fixture
def seven(server, monkeypatch):
    monkeypatch.setattr(attempt_sync, "PAGE", 2)
    return [send(number) for number in range(61, 68)]


def test_pages_are_read_to_the_end(server, seven, run):
    seen = []
    done = run(progress=seen.append)
    assert (done.seen, done.changed, done.pages) == (7, 7, 4)
    assert seen == [2, 4, 6, 7]
    assert server.count("Attempts") == 4
    assert {fate(one)["delivery"] for one in seven} == {"delivered"}


class Killed(BaseException):
    """What a run cannot catch."""


def killed_after(pages: int):
    calls = count(1)

    def progress(seen: int) -> None:
        if next(calls) == pages:
            raise Killed

    return progress


def test_a_run_that_was_killed_is_gone_on_with(server, seven, run):
    with pytest.raises(Killed):
        run(progress=killed_after(3))
    row = AttemptSync.objects.get()
    assert (row.done_until, row.lease) == (None, "")
    assert row.page
    done = run()
    # The third page was read and not ticked off: it is read again, and says nothing new.
    assert (done.resumed, done.pages, done.seen, done.changed) == (True, 2, 3, 1)
    assert server.count("Attempts") == 3 + 2
    assert {fate(one)["delivery"] for one in seven} == {"delivered"}
    assert (done.since, done.until) == (row.window_start, row.window_end)
    assert AttemptSync.objects.get().done_until == row.window_end


def test_a_run_that_lost_its_power_holds_the_row_for_five_minutes(server, seven, run, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(attempt_sync._Run, "release", lambda run: None)
        with pytest.raises(Killed):
            run(progress=killed_after(2))
    row = AttemptSync.objects.get()
    assert timedelta(minutes=4) < row.leased_until - timezone.now() < timedelta(minutes=5)
    with pytest.raises(Held) as held:
        run()
    assert (held.value.holder, held.value.until) == (row.lease, row.leased_until)
    AttemptSync.objects.update(leased_until=timezone.now())
    assert run().resumed


@pytest.mark.django_db(transaction=True)
def test_a_process_that_is_killed_loses_nothing_but_its_page(server, run, tmp_path):
    """The command itself, in a process of its own, and SIGKILL while it waits for the third page."""
    for number in range(2 * attempt_sync.PAGE + 1):
        server.simulator.create(f"+1501{7_120_000 + number}", "sms")
    (tmp_path / "killed.py").write_text(
        "from tests.settings import *\n"
        f"DATABASES['default']['NAME'] = {str(connection.settings_dict['NAME'])!r}\n"
        f"TWILIO_VERIFY_BACKENDS = {server.setting(timeout=60)!r}\n"
    )
    server.delay(0, times=2)
    server.delay(60)
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "killed", "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.getcwd()}"}
    arguments = [sys.executable, "-W", "ignore", "-m", "django", "sync_attempts"]
    with subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        deadline = time.monotonic() + 60
        while server.count("Attempts") < 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() is None, process.stdout.read()
        process.kill()
    row = AttemptSync.objects.get()
    assert (row.done_until, row.lease.split(":")[1]) == (None, str(process.pid))
    with pytest.raises(Held):
        run()
    AttemptSync.objects.update(leased_until=timezone.now())
    done = run()
    assert (done.resumed, done.pages, done.seen) == (True, 1, 1)
    assert (done.since, done.until) == (row.window_start, row.window_end)


def test_a_run_that_was_taken_over_stops(server, seven, run):
    def taken_over(seen: int) -> None:
        AttemptSync.objects.update(lease="other", leased_until=timezone.now() + timedelta(minutes=5))

    with pytest.raises(Held) as held:
        run(progress=taken_over)
    assert held.value.holder == "other"
    assert server.count("Attempts") == 1
    assert AttemptSync.objects.get().lease == "other"


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_four_runs_at_once_one_reads(server, seven):
    server.delay(0.2, times=4)
    results = race(4, lambda index: attempt_sync.sync("default", pace=Pace(100_000)))
    assert sorted(type(one).__name__ for one in results) == ["Held", "Held", "Held", "Synced"]
    assert len({one.holder for one in results if isinstance(one, Held)}) == 1
    assert server.count("Attempts") == 4
    assert {fate(one)["delivery"] for one in seven} == {"delivered"}


def test_a_page_that_the_provider_forgot_is_no_dead_end(server, seven, run):
    with pytest.raises(Killed):
        run(progress=killed_after(3))
    server.fail_next(status=400, code=20001)
    done = run()
    assert (done.pages, done.seen) == (4, 7)
    server.fail_next(status=400, code=20001)
    with pytest.raises(BackendRejected):
        run()


def test_pages_that_lead_in_a_circle_end(run, settings, monkeypatch, simulator):
    made = backends["default"]
    monkeypatch.setattr(type(made), "attempts_page", lambda self, **values: AttemptsPage((), "1"))
    assert run().pages == 2
    assert AttemptSync.objects.get().window_end is None


def test_calls_keep_to_a_hundred_in_a_minute(clock):
    pace, calls = Pace(clock=clock, sleep=clock.sleep), []
    for number in range(350):
        pace.wait()
        calls.append(clock.now)
        clock.now += 0.01 if number % 7 else 2.5  # a provider that is fast, mostly
    assert all(sum(one <= other < one + 60 for other in calls) <= 100 for one in calls)


def test_pages_are_asked_for_in_pace(server, seven, run, clock):
    run()
    assert clock.now == pytest.approx(3 * 0.6)


def test_too_many_requests_are_waited_for(server, seven, run, clock):
    server.fail_next(status=429, code=20429, times=2)
    assert run().seen == 7
    assert clock.slept.count(60.0) == 2


def test_too_many_requests_again_and_again_end_the_run(server, seven, run):
    server.fail_next(status=429, code=20429, times=4)
    with pytest.raises(BackendRejected):
        run()
    assert server.count("Attempts") == 4
    assert AttemptSync.objects.get().lease == ""
    assert run().seen == 7


def test_a_provider_that_is_down_leaves_the_run_where_it_was(server, seven, run):
    with pytest.raises(Killed):
        run(progress=killed_after(2))
    stood = AttemptSync.objects.get().page
    server.fail_next(status=503, code=20503)
    with pytest.raises(BackendUnavailable):
        run()
    assert AttemptSync.objects.get().page == stood
    assert run().resumed


def test_only_what_twilio_keeps_can_be_asked_for(simulator, run):
    now = timezone.now()
    for since, why in (
        (now - timedelta(days=31), "30 days"),
        (now + timedelta(hours=1), "yet to come"),
        (now.replace(tzinfo=None), "zone"),
    ):
        with pytest.raises(ValueError, match=why):
            run(since=since)
    assert not AttemptSync.objects.exists()
    assert run().since == pytest.approx(timezone.now() - timedelta(days=30), abs=timedelta(minutes=1))


def test_a_window_that_is_too_old_or_too_short_is_begun_anew(simulator, run):
    now = timezone.now()
    AttemptSync.objects.create(
        backend="default", window_start=now - timedelta(days=40), window_end=now - timedelta(days=39), page="7"
    )
    assert run().resumed is False
    long_ago = now - timedelta(days=20)
    AttemptSync.objects.update(window_start=now - timedelta(days=1), window_end=now, page="7")
    done = run(since=long_ago)
    assert (done.since, done.resumed) == (long_ago, False)
    AttemptSync.objects.update(done_until=now - timedelta(days=90))
    assert run().since > now - timedelta(days=31)


def command(*args, **options) -> str:
    out = StringIO()
    call_command("sync_attempts", *args, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def at_once(monkeypatch, clock):
    """The command's own pace, without the waiting."""
    monkeypatch.setattr(attempt_sync.Pace.__init__, "__kwdefaults__", {"clock": clock, "sleep": clock.sleep})


def test_the_command_tells_what_it_did(simulator, at_once):
    send()
    simulator.create("+15017122688", "sms")
    said = command()
    assert said.startswith("default: 2 attempts from ")
    assert said.endswith(" UTC. Changed: 1. Not ours: 1.\n")
    assert "Changed: 0" in command("--days", "30")
    assert "Changed: 0" in command("--since", timezone.now().strftime("%Y-%m-%d"))


def test_the_command_leaves_a_row_that_another_run_holds(simulator):
    until = timezone.now() + timedelta(minutes=3)
    AttemptSync.objects.create(backend="default", lease="web1:77:abcd", leased_until=until)
    assert "another run holds the lease (web1:77:abcd), at least until" in command()


def test_the_command_reads_every_backend_that_lists_attempts(settings, at_once):
    path = f"{LocMemBackend.__module__}.LocMemBackend"
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": path}, "other": {"BACKEND": path}}
    assert [line.partition(":")[0] for line in command().splitlines()] == ["default", "other"]
    assert command("--backend", "other").startswith("other:")
    with pytest.raises(CommandError, match="no backend 'third'"):
        command("--backend", "third")


def test_the_command_refuses_what_cannot_be(simulator, settings):
    with pytest.raises(CommandError, match="30 days"):
        command("--since", "2020-01-01")
    for wrong in (
        ("--days", "31"),
        ("--days", "0"),
        ("--days", "x"),
        ("--since", "x"),
        ("--days", "3", "--since", "2026-11-01"),
    ):
        with pytest.raises(CommandError):
            command(*wrong)
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": "tests.provider.attempts.test_sync.Silent"}}
    with pytest.raises(CommandError, match="keeps a list"):
        command()
    with pytest.raises(CommandError, match="keeps no list"):
        command("--backend", "default")


class Silent(LocMemBackend):
    supports_attempts = False


def test_the_command_ends_with_its_own_status_when_the_provider_fails(server, at_once):
    server.fail_next(status=401, code=20003)
    with pytest.raises(CommandError) as failed:
        command()
    assert failed.value.returncode == 2
    assert "the next run goes on there" in str(failed.value)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_drawn_on_a_terminal(server, seven, at_once, monkeypatch):
    ticks = count(0, 1)
    monkeypatch.setattr("django_twilio_verify.management.progress.time.monotonic", lambda: next(ticks))
    terminal, quiet = Terminal(), StringIO()
    command(stderr=terminal)
    assert "7 attempts, " in terminal.getvalue()
    command(stderr=quiet)
    assert quiet.getvalue() == ""


def test_the_command_prunes_events(simulator, at_once):
    for days in (1, 40):
        received = timezone.now() - timedelta(days=days)
        ProviderEvent.objects.create(event_id=str(days), kind="x", backend="", received_at=received)
    assert "Deleted 1 event(s) received more than 30 days ago." in command("--prune-events", "30")
    assert [one.event_id for one in ProviderEvent.objects.all()] == ["1"]
    with pytest.raises(CommandError, match="max_age"):
        command("--prune-events", "0")


def test_a_lost_first_send_is_no_stranger_once_its_verification_is_named(simulator, run):
    """Known from the answer to a resend, or from an event."""
    agree(PHONE)
    snapshot = simulator.create(PHONE, "sms")
    lost = lost_attempt(make_verification(sid=snapshot.sid))
    make_attempt(make_verification("+15017122699"))
    assert run().changed == 1
    assert (fate(lost)["sid"], fate(lost)["delivery"]) == (snapshot.attempts[0].sid, "delivered")
