"""``manage.py twilio_service``, through the real SDK, against the loopback server."""

from __future__ import annotations

import copy
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from django_twilio_verify.backends.twilio.errors import row_for
from django_twilio_verify.provider import service_provisioning
from tests.support.service import FULL, Site
from tests.support.services import set_service

ROOT = Path(__file__).resolve().parents[3]
STEPS = 9


def changed(**values: Any) -> dict[str, Any]:
    return {**copy.deepcopy(FULL), **values}


def test_what_is_declared_is_planned_applied_and_then_there(site: Site) -> None:
    before = site.run("check")
    assert before.status == 1
    assert f"{STEPS} differences" in before.err
    assert site.writes() == 0
    applied = site.run("apply", "--yes")
    assert applied.status == 0, applied.err
    assert applied.out.count("done: ") == STEPS
    service, limits, configurations, webhooks = site.state
    assert service["friendly_name"] == "Acme Shop"
    assert service["push"]["apn_credential_sid"] == "CR" + "a" * 32
    assert service["totp"] == {"issuer": "Acme", "time_step": 60, "code_length": 8, "skew": 0}
    assert service["whatsapp"] == {"msg_service_sid": "MG" + "d" * 32, "from": "whatsapp:+12025550143"}
    assert service["passkeys"]["relying_party"]["origins"] == FULL["passkeys_relying_party_origins"]
    assert limits == {"end_user_ip": ("Address", [(60, 10), (3600, 50)]), "country_code": (None, [(3600, 1000)])}
    assert configurations == [("US", "MG" + "e" * 32), ("all", "MG" + "f" * 32)]
    assert webhooks == [
        ("factors", ["factor.verified", "challenge.approved"], FULL["webhooks"][0]["webhook_url"], "enabled", "v2")
    ]


def test_a_second_time_there_is_nothing_to_do(site: Site) -> None:
    assert site.run("apply", "--yes").status == 0
    writes, state = site.writes(), site.state
    again = site.run("apply")
    assert (again.status, again.err) == (0, "")
    assert "is as declared" in again.out
    assert site.run("check").status == 0
    assert (site.writes(), site.state) == (writes, state)


DRIFT: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("name", changed(friendly_name="Acme Store"), ("change", "service", "friendly_name", "Acme Shop", "Acme Store")),
    ("flag", changed(custom_code_enabled=False), ("change", "service", "custom_code_enabled", "True", "False")),
    ("number", changed(totp_skew=2), ("change", "service", "totp_skew", "0", "2")),
    ("to nothing", changed(tts_name=""), ("change", "service", "tts_name", "Polly.Joanna", "-")),
    (
        "list",
        changed(passkeys_relying_party_origins="https://acme.example"),
        (
            "change",
            "service",
            "passkeys_relying_party_origins",
            "https://acme.example, https://login.acme.example:8443",
            "https://acme.example",
        ),
    ),
    (
        "new limit",
        changed(rate_limits={**FULL["rate_limits"], "session": {"buckets": [{"max": 1, "interval": 30}]}}),
        ("create", "rate limit session"),
    ),
    (
        "description",
        changed(rate_limits={"end_user_ip": {"description": "IP", "buckets": [{"max": 10, "interval": 60}]}}),
        ("change", "rate limit end_user_ip", "description", "Address", "IP"),
    ),
    (
        "bucket",
        changed(rate_limits={"end_user_ip": {"buckets": [{"max": 11, "interval": 60}]}}),
        ("change", "bucket end_user_ip: 60 s", "max", "10", "11"),
    ),
    (
        "new bucket",
        changed(rate_limits={"end_user_ip": {"buckets": [{"max": 99, "interval": 86400}]}}),
        ("create", "bucket end_user_ip: 86400 s", "max", "-", "99"),
    ),
    (
        "sender",
        changed(messaging_configurations={"US": "MG" + "9" * 32}),
        ("change", "messaging configuration US", "messaging_service_sid", "MG" + "e" * 32, "MG" + "9" * 32),
    ),
    (
        "country",
        changed(messaging_configurations={"AT": "MG" + "9" * 32}),
        ("create", "messaging configuration AT", "messaging_service_sid", "-", "MG" + "9" * 32),
    ),
    (
        "events",
        changed(webhooks=[{**FULL["webhooks"][0], "event_types": ["*"]}]),
        ("change", "webhook factors", "event_types", "factor.verified, challenge.approved", "*"),
    ),
    (
        "address",
        changed(webhooks=[{**FULL["webhooks"][0], "webhook_url": "https://acme.example/other/"}]),
        (
            "change",
            "webhook factors",
            "webhook_url",
            "https://acme.example/verify/webhooks/factors/",
            "https://acme.example/other/",
        ),
    ),
    (
        "off",
        changed(webhooks=[{**FULL["webhooks"][0], "status": "disabled"}]),
        ("change", "webhook factors", "status", "enabled", "disabled"),
    ),
]


@pytest.mark.parametrize(("declared", "row"), [case[1:] for case in DRIFT], ids=[case[0] for case in DRIFT])
def test_drift_is_found_and_mended(site: Site, declared: dict[str, Any], row: tuple[str, ...]) -> None:
    site.run("apply", "--yes")
    site.declare(declared)
    found = site.run("check")
    assert found.status == 1
    lines = [tuple(cell for cell in line.split("  ") if cell) for line in found.out.splitlines()]
    assert row in [tuple(cell.strip() for cell in line) for line in lines], found.out
    assert site.run("apply", "--yes").status == 0
    assert site.run("check").status == 0


def test_what_is_not_declared_is_told_and_left_alone(site: Site) -> None:
    site.run("apply", "--yes")
    site.declare(
        {"friendly_name": "Acme Shop", "rate_limits": {"end_user_ip": {"buckets": [{"max": 10, "interval": 60}]}}}
    )
    state = site.state
    for arguments in (("check",), ("apply", "--yes")):
        found = site.run(*arguments)
        assert found.status == 0
        told = [line.partition(": ")[2] for line in found.out.splitlines() if line.startswith("not declared")]
        assert told == [
            "bucket end_user_ip: 3600 s",
            "rate limit country_code",
            "messaging configuration US",
            "messaging configuration all",
            "webhook factors",
        ]
    assert site.state == state


def test_it_is_removed_when_that_is_asked_for(site: Site) -> None:
    site.run("apply", "--yes")
    site.declare({"rate_limits": {"end_user_ip": {"buckets": [{"max": 10, "interval": 60}]}}})
    assert site.run("check", "--prune").status == 1
    assert site.run("apply", "--yes", "--prune").status == 0
    service, *rest = site.state
    assert rest == [{"end_user_ip": ("Address", [(60, 10)])}, [], []]
    assert service["friendly_name"] == "Acme Shop"
    assert site.run("check", "--prune").status == 0


def test_a_bucket_in_a_full_limit_is_changed_in_place(site: Site) -> None:
    full = [{"max": 1, "interval": seconds} for seconds in range(60, 70)]
    site.declare({"rate_limits": {"ip": {"buckets": full}}})
    assert site.run("apply", "--yes").status == 0
    site.declare({"rate_limits": {"ip": {"buckets": [*full[1:], {"max": 5, "interval": 600}]}}})
    refused = site.run("apply", "--yes")
    assert refused.status == 2
    assert "error 60210" in refused.err
    assert site.run("apply", "--yes", "--prune").status == 0
    assert site.state[1]["ip"][1][-1] == (600, 5)


def test_the_code_length_is_the_settings_where_the_declaration_says_nothing(site: Site) -> None:
    site.declare({"friendly_name": "Test"})
    assert site.run("check").status == 0
    set_service(site.settings, CODE_LENGTH=8)
    assert "code_length" in site.run("check").out
    assert site.run("apply", "--yes").status == 0
    assert site.server.simulator.code_length == 8


def test_without_a_declaration_it_is_still_checked_and_never_changed(site: Site) -> None:
    site.declare(None)
    assert site.run("check").status == 0
    assert site.run("apply", "--yes").status == 2
    set_service(site.settings, CODE_LENGTH=8)
    assert site.run("check").status == 1
    assert site.writes() == 0


def test_nothing_is_changed_where_nobody_can_be_asked(site: Site) -> None:
    shown = site.run("apply")
    assert shown.status == 1
    assert "create  rate limit country_code" in shown.out
    assert "--yes" in shown.err
    assert site.writes() == 0


def test_what_is_there_is_shown_and_what_the_api_lacks(site: Site) -> None:
    site.run("apply", "--yes")
    shown = site.run("show")
    assert shown.status == 0
    for text in ("Acme Shop", "bucket end_user_ip: 60 s", "MG" + "e" * 32, "Fraud Guard level", "Twilio Support"):
        assert text in shown.out


def test_json_says_the_same(site: Site) -> None:
    planned = site.run("check", "--json")
    assert planned.status == 1
    assert (planned.data["backend"], planned.data["service_sid"]) == ("default", site.server.service_sid)
    assert (planned.data["result"], planned.data["reason"]) == ("found", "differs")
    first = planned.data["plan"]["steps"][0]
    assert (first["action"], first["kind"]) == ("change", "service")
    assert first["changes"]["friendly_name"] == {"old": "Test", "new": "Acme Shop"}
    assert site.run("apply", "--json").status == 1
    applied = site.run("apply", "--json", "--yes")
    assert (applied.status, applied.data["result"], len(applied.data["done"])) == (0, "fine", STEPS)
    shown = site.run("show", "--json").data
    assert [one["name"] for one in shown["resources"] if one["kind"] == "webhook"] == ["factors"]
    assert "Geo permissions" in shown["outside_the_api"]


def test_secrets_are_neither_shown_nor_in_json(site: Site) -> None:
    hook = {**FULL["webhooks"][0], "webhook_url": "https://user:hunter2@acme.example/hook?token=sesame"}
    site.declare(changed(webhooks=[hook]))
    ran = [
        site.run("check"),
        site.run("check", "--json"),
        site.run("apply", "--yes"),
        site.run("show"),
        site.run("show", "--json"),
    ]
    hook["webhook_url"] = "https://user:hunter3@acme.example/hook?token=sesame2"
    site.declare(changed(webhooks=[hook]))
    ran.append(site.run("check"))
    assert "other in what is not shown" in ran[-1].out
    for one in ran:
        for secret in ("hunter", "sesame", site.server.password):
            assert secret not in one.out + one.err
    assert "https://…@acme.example/hook?…" in ran[0].out
    assert site.there("/Webhooks")[0]["webhook_url"].endswith("token=sesame")


def test_lists_are_read_to_their_last_page(site: Site) -> None:
    declared = {"messaging_configurations": {}, "webhooks": []}
    for number in range(120):
        declared["webhooks"].append({**FULL["webhooks"][0], "friendly_name": f"hook {number}"})  # type: ignore[attr-defined]
    site.declare(declared)
    assert site.run("apply", "--yes").status == 0
    assert site.run("check").status == 0


def test_of_two_webhooks_of_a_name_one_is_left_over(site: Site) -> None:
    site.run("apply", "--yes")
    twin = dict(site.there("/Webhooks")[0], sid="YW" + "0" * 32)
    site.account._there[f"Services/{site.server.service_sid}/Webhooks"][twin["sid"]] = twin
    found = site.run("check")
    assert (found.status, "not declared, and left alone without --prune: webhook factors" in found.out) == (0, True)


WARNINGS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"psd2_enabled": True}, {"PSD2": True}, "codes for signing in are refused"),
    ({}, {"PSD2": True}, "codes for signing in are refused"),
    ({}, {}, "has no whatsapp_from."),
]


@pytest.mark.parametrize(("declared", "keys", "warning"), WARNINGS)
def test_settings_that_get_in_its_way_are_told(
    site: Site, declared: dict[str, Any], keys: dict[str, Any], warning: str
) -> None:
    site.declare(declared)
    set_service(site.settings, **keys)
    site.settings.TWILIO_VERIFY_CHANNELS = ["sms", "whatsapp"]
    assert site.run("apply", "--yes").status == 0
    found = site.run("check")
    assert found.status == 0
    assert warning in found.out


def test_what_is_applied_takes_effect(site: Site) -> None:
    site.declare({"code_length": 8, "rate_limits": {"ip": {"buckets": [{"max": 1, "interval": 60}]}}})
    set_service(site.settings, CODE_LENGTH=8)
    assert site.run("apply", "--yes").status == 0
    assert site.server.simulator.code_length == 8
    assert site.server.simulator.rate_limits == {"ip": [(1, 60)]}


# Make one


def test_a_service_is_made_and_its_sid_is_told(site: Site) -> None:
    site.declare(FULL, service_sid="")
    made = site.run("create", "--yes", "--json")
    assert made.status == 0, made.err
    sid = made.data["service_sid"]
    assert sid.startswith("VA") and sid != site.server.service_sid
    site.declare(FULL, service_sid=sid)
    assert site.run("check").status == 0
    assert len(site.account.bodies(f"Services/{sid}/RateLimits")) == 2


def test_the_line_for_settings_is_told(site: Site) -> None:
    site.declare({"friendly_name": "Acme"}, service_sid="")
    made = site.run("create", "--yes")
    sid = site.account.bodies("Services")[-1]["sid"]
    assert f"TWILIO_VERIFY_BACKENDS['default']['OPTIONS']['service_sid'] = '{sid}'" in made.out
    assert f"VERIFY_SERVICE_SID={sid}" in made.out
    assert site.server.password not in made.out


def test_there_is_no_second_one_unless_asked_for(site: Site) -> None:
    existing = site.run("create", "--yes")
    assert existing.status == 2
    assert site.server.service_sid in existing.err
    site.declare({"friendly_name": "Test"}, service_sid="")
    namesake = site.run("create", "--yes")
    assert namesake.status == 2
    assert site.server.service_sid in namesake.err
    assert len(site.account.bodies("Services")) == 1
    assert site.run("create", "--yes", "--another").status == 0
    assert len(site.account.bodies("Services")) == 2


def test_it_needs_a_name(site: Site) -> None:
    site.declare({"code_length": 6}, service_sid="")
    made = site.run("create", "--yes")
    assert (made.status, "friendly_name" in made.err) == (2, True)


def test_without_a_sid_nothing_else_is_done(site: Site) -> None:
    site.declare(FULL, service_sid="")
    for verb in ("show", "check", "apply"):
        ran = site.run(verb, "--yes")
        assert (ran.status, "twilio_service create" in ran.err) == (2, True)
    assert site.server.requests == []


# What goes wrong


@pytest.mark.parametrize(
    ("options", "reason", "told"),
    [
        ({"service_sid": "VA" + "0" * 32}, "no_answer", "another account's"),
        ({"password": "wrong"}, "no_answer", "Authentication failed"),
        ({"password": ""}, "wrong", "password is missing"),
        ({"service_sid": "VA../AC"}, "wrong", "service_sid must be"),
        ({"account_sid": "AC" + "0" * 32, "username": "SK" + "0" * 32}, "no_answer", "Authentication failed"),
        ({"bogus": 1}, "wrong", "bogus"),
    ],
)
def test_options_that_are_wrong_are_told(site: Site, options: dict[str, Any], reason: str, told: str) -> None:
    site.declare(FULL, **options)
    for verb in ("show", "check", "apply"):
        ran = site.run(verb, "--yes", "--json")
        assert (ran.status, ran.data["reason"], told in ran.err) == (2, reason, True), ran.err
    assert site.writes() == 0


def test_a_key_of_another_account_is_told(site: Site) -> None:
    site.declare(FULL, account_sid="AC" + "0" * 32, username=site.server.key_sid)
    ran = site.run("check")
    assert (ran.status, site.server.account_sid in ran.err) == (2, True)


FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("fail_next", {"status": 429, "code": 20429}, "Too many requests"),
    ("fail_next", {"status": 503, "code": 20503}, "unavailable"),
    ("fail_next", {"status": 500, "body": "<html>"}, "error of its own"),
    ("fail_next", {"status": 403, "code": 20403}, "forbids"),
    ("fail_next", {"status": 200, "body": "[]"}, "did not answer"),
    ("fail_next", {"status": 200, "body": "{}"}, "not about the Service"),
    ("garble_next", {}, "did not answer"),
    ("reset_next", {}, "did not answer"),
    ("drop_next", {}, "did not answer"),
]


@pytest.mark.parametrize(("fault", "values", "told"), FAULTS)
def test_twilio_that_cannot_be_asked_is_another_status(
    site: Site, fault: str, values: dict[str, Any], told: str
) -> None:
    for arguments in (("check",), ("show",), ("apply", "--yes")):
        getattr(site.server, fault)(**values)
        ran = site.run(*arguments)
        assert (ran.status, told in ran.err) == (2, True), ran.err
    assert site.run("check", "--json").data["reason"] == "differs"
    getattr(site.server, fault)(**values)
    assert site.run("check", "--json").data["reason"] == "no_answer"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rate_limits": None},
        {"rate_limits": ["x"]},
        {"rate_limits": "x", "meta": {"key": "rate_limits"}},
        {"rate_limits": [{"sid": 5}], "meta": {"key": "rate_limits", "next_page_url": 5}},
        {"meta": {"key": "other"}},
    ],
)
def test_lists_that_cannot_be_read_are_no_traceback(site: Site, body: dict[str, Any]) -> None:
    site.server.delay(0)
    site.server.fail_next(status=200, body=json.dumps(body))
    ran = site.run("check")
    assert ran.status == 2
    assert ran.err


def test_a_slow_twilio_is_not_waited_for(site: Site) -> None:
    site.declare(FULL, timeout=0.2)
    site.server.delay(5)
    assert site.run("check").status == 2


@pytest.mark.parametrize("code", [60207, 60208, 60209, 60210, 60211, 60213, 60204, 60200])
def test_a_refusal_stops_with_the_operators_sentence(site: Site, code: int) -> None:
    site.server.delay(0, times=6)  # four to look, two steps
    site.server.fail_next(status=400, code=code)
    ran = site.run("apply", "--yes")
    assert ran.status == 2
    assert row_for(400, code).sentence in ran.err
    assert f"errors/{code}" in ran.err
    assert "bucket end_user_ip: 60 s" in ran.err
    assert ran.out.count("done: ") == 2
    assert site.run("apply", "--yes").status == 0
    assert site.run("check").status == 0


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("step", range(STEPS))
def test_a_run_cut_short_anywhere_is_finished_by_the_next(site: Site, step: int, carried_out: bool) -> None:
    site.server.delay(0, times=4 + step)
    site.server.reset_next(carried_out=carried_out)
    cut = site.run("apply", "--yes")
    assert (cut.status, cut.out.count("done: ")) == (2, step)
    assert site.run("apply", "--yes").status == 0
    _, limits, configurations, webhooks = site.state
    assert [len(limits["end_user_ip"][1]), len(limits), len(configurations), len(webhooks)] == [2, 2, 2, 1]
    # What was done once is not done again.
    assert site.writes() == STEPS + 1 - carried_out


@pytest.mark.parametrize("step", range(STEPS))
def test_a_service_half_made_is_finished_by_apply(site: Site, step: int) -> None:
    site.declare(FULL, service_sid="")
    site.server.delay(0, times=1 + step)
    site.server.reset_next(carried_out=True)
    cut = site.run("create", "--yes")
    assert cut.status == 2
    sid = site.account.bodies("Services")[-1]["sid"]
    assert (sid in cut.out) is (step > 0)
    again = site.run("create", "--yes")  # which finds it by its name
    assert (again.status, sid in again.err) == (2, True)
    site.declare(FULL, service_sid=sid)
    assert site.run("apply", "--yes").status == 0
    assert site.run("check").status == 0


def test_what_twilio_takes_and_does_not_keep_is_told(site: Site) -> None:
    site.declare({"friendly_name": "Acme"})
    site.server.delay(0, times=4)
    site.server.fail_next(status=200, body=json.dumps({"sid": site.server.service_sid}))  # says yes, does nothing
    ran = site.run("apply", "--yes")
    assert (ran.status, "still says otherwise" in ran.err) == (1, True)


def test_a_declaration_that_is_wrong_is_told_whole_and_nobody_is_asked(site: Site) -> None:
    site.declare({"ttl": 600, "code_length": 3})
    for verb in ("check", "apply"):
        ran = site.run(verb, "--yes")
        assert ran.status == 2
        assert "['SERVICE']: 'ttl': only Twilio Support" in ran.err
        assert "['SERVICE']: 'code_length': must be a whole number from 4 to 10" in ran.err
    assert site.writes() == 0


def test_other_backends_have_no_service(site: Site) -> None:
    site.settings.TWILIO_VERIFY_BACKENDS = {
        "default": {"BACKEND": "django_twilio_verify.backends.locmem.LocMemBackend", "SERVICE": FULL}
    }
    ran = site.run("check")
    assert (ran.status, "no Verify Service" in ran.err) == (2, True)
    assert (site.run("check", "--backend", "shop").status, site.run("show").status) == (2, 2)
    site.declare(FULL)


# As a person or a script runs it

SETTINGS = """
from tests.settings import *
TWILIO_VERIFY_BACKENDS = {"default": {
    "BACKEND": "django_twilio_verify.backends.twilio.TwilioBackend",
    "OPTIONS": %(options)r, "SERVICE": %(service)r}}
TWILIO_VERIFY_CHANNELS = ["sms", "email"]
"""


def program(site: Site, tmp_path: Path, *arguments: str) -> dict[str, Any]:
    module = tmp_path / "settings_for_twilio_service.py"
    module.write_text(SETTINGS % {"options": dict(site.options), "service": FULL})
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "DJANGO_SETTINGS_MODULE": module.stem}
    return {"args": [sys.executable, "-m", "django", "twilio_service", *arguments], "env": environ}


def run_as_a_program(site: Site, tmp_path: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = program(site, tmp_path, *arguments)
    return subprocess.run(**command, capture_output=True, text=True, check=False, timeout=120, **more)


def start_as_a_program(site: Site, tmp_path: Path, *arguments: str, **more: Any) -> subprocess.Popen[bytes]:
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(**program(site, tmp_path, *arguments), **{**quiet, **more})


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_as_a_program_its_status_tells(site: Site, tmp_path: Path) -> None:
    drift = run_as_a_program(site, tmp_path, "check", stdin=subprocess.DEVNULL)
    assert (drift.returncode, f"{STEPS} differences" in drift.stderr) == (1, True)
    assert run_as_a_program(site, tmp_path, "apply", stdin=subprocess.DEVNULL).returncode == 1
    site.server.garble_next()
    broken = run_as_a_program(site, tmp_path, "check")
    assert (broken.returncode, "Traceback" in broken.stderr) == (2, False)
    assert run_as_a_program(site, tmp_path, "wrong").returncode == 2


@pytest.mark.parametrize(("answer", "status"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1), (b"\x04", 1)])
def test_on_a_terminal_it_asks(site: Site, tmp_path: Path, answer: bytes, status: int) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, answer)
    ran = run_as_a_program(site, tmp_path, "apply", stdin=theirs)
    os.close(theirs)
    os.close(ours)
    assert ran.returncode == status, ran.stderr
    assert f"Carry out {STEPS} steps at Twilio? [y/N]" in ran.stdout
    assert site.writes() == (STEPS if status == 0 else 0)


def test_a_run_that_was_killed_is_finished_by_the_next(site: Site, tmp_path: Path) -> None:
    site.server.delay(0, times=4 + 3)
    site.server.delay(60)
    killed = start_as_a_program(site, tmp_path, "apply", "--yes")
    wait_until(lambda: site.writes() == 4)
    killed.kill()
    killed.wait(30)
    assert run_as_a_program(site, tmp_path, "apply", "--yes").returncode == 0
    assert site.writes() == STEPS
    assert site.run("check").status == 0


@pytest.fixture
def heeded() -> Iterator[None]:
    """Control-C reaches what is started here, also where a shell runs the tests in the background, deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_control_c_at_the_question_changes_nothing(site: Site, tmp_path: Path, heeded: None) -> None:
    ours, theirs = pty.openpty()
    asked = start_as_a_program(site, tmp_path, "apply", stdin=theirs, stdout=subprocess.PIPE)
    assert asked.stdout is not None
    while b"[y/N]" not in (line := asked.stdout.read1()):
        assert line
    asked.send_signal(signal.SIGINT)
    assert asked.wait(30) == 1
    asked.stdout.close()
    os.close(theirs)
    os.close(ours)
    assert site.writes() == 0


def test_progress_is_drawn_on_a_terminal_and_taken_away(site: Site, tmp_path: Path) -> None:
    site.server.delay(0.25, times=4)
    ours, theirs = pty.openpty()
    drawn = start_as_a_program(site, tmp_path, "check", stderr=theirs)
    drawn.wait(60)
    shown = os.read(ours, 10_000).decode()
    os.close(theirs)
    os.close(ours)
    assert -1 < shown.find("parts of the Service read") < shown.find("differences")


# Somebody else at the same time


def test_what_somebody_else_removed_meanwhile_is_gone_all_the_same(site: Site) -> None:
    site.run("apply", "--yes")
    site.declare({"messaging_configurations": {"all": "MG" + "f" * 32}, "rate_limits": {}, "webhooks": []})
    site.server.delay(0, times=6)  # the Service, its limits, two times buckets, senders, webhooks
    site.server.fail_next(status=404, code=20404, carried_out=True)
    assert site.run("apply", "--yes", "--prune").status == 0
    assert site.run("check", "--prune").status == 0


def test_an_answer_that_names_nothing_stops_the_run(site: Site) -> None:
    site.server.delay(0, times=5)
    site.server.fail_next(status=201, body="{}")
    ran = site.run("apply", "--yes")
    assert (ran.status, "does not name what was made" in ran.err) == (2, True)
    assert site.run("apply", "--yes").status == 0


def test_a_service_is_never_removed(site: Site) -> None:
    admin = service_provisioning.administration("default")
    with pytest.raises(ValueError, match="Console"):
        admin.remove(service_provisioning.look(admin)[0])
    assert site.writes() == 0


# Two runs at once


def with_a_rival(site: Site, monkeypatch: pytest.MonkeyPatch, *rival: str) -> list[int]:
    """Have another run done, from beginning to end, right before this one's first step. Its status, once it is over."""
    statuses: list[int] = []
    carry_out = service_provisioning.Run.carry_out

    def first(run: service_provisioning.Run, step: service_provisioning.Step) -> None:
        monkeypatch.setattr(service_provisioning.Run, "carry_out", carry_out)
        statuses.append(site.run(*rival).status)
        carry_out(run, step)

    monkeypatch.setattr(service_provisioning.Run, "carry_out", first)
    return statuses


def test_of_two_that_create_at_once_the_last_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.declare({"friendly_name": "Twins"}, service_sid="")
    rival = with_a_rival(site, monkeypatch, "create", "--yes")
    ran = site.run("create", "--yes", "--json")
    assert rival == [0]
    assert (ran.status, ran.data["reason"]) == (1, "differs")
    others = [one["sid"] for one in site.account.bodies("Services") if one["friendly_name"] == "Twins"]
    assert sorted(others) == sorted([ran.data["service_sid"], *(sid for sid in others if sid in ran.data["message"])])
    assert len(others) == 2


def test_two_that_apply_at_once_end_with_what_is_declared(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    rival = with_a_rival(site, monkeypatch, "apply", "--yes")
    ran = site.run("apply", "--yes")
    assert rival == [0]
    assert ran.status in (1, 2), "a webhook twice, or a name that Twilio knows already"
    assert site.run("apply", "--yes", "--prune").status == 0
    assert site.run("check", "--prune").status == 0


def test_a_webhook_that_two_runs_made_is_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.declare({"webhooks": FULL["webhooks"]})
    rival = with_a_rival(site, monkeypatch, "apply", "--yes")
    ran = site.run("apply", "--yes")
    assert (rival, ran.status, "webhook factors" in ran.err) == ([0], 1, True)
    assert site.run("apply", "--yes", "--prune").status == 0
    assert len(site.there("/Webhooks")) == 1
