"""The demo's phone: on its page, and on the command line over HTTP with real keys and signatures."""

from __future__ import annotations

import json
import re
import stat
import time
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import CheckOutcome
from django_twilio_verify.factors import devices
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.testing import Authenticator
from django_twilio_verify.verifications import challenges
from store.management.commands.verify_phone import Command
from store.phone import app_context
from tests.support.basics import PASSWORD, make_client, make_user, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("example")]


@pytest.fixture
def ann() -> Any:
    return make_user("ann")


@pytest.fixture
def run(live_server: Any, tmp_path: Any) -> Any:
    """``verify_phone``, with its key in a folder of the test's."""

    def command(*arguments: str) -> str:
        out = StringIO()
        given = [*arguments, "--site", live_server.url, "--state", str(tmp_path / "phone.json")]
        call_command(Command(), *given, stdout=out)
        return out.getvalue()

    return command


def begin(user: Any) -> Any:
    return devices.begin_push(user, make_client(), name="Pixel")


def start(user: Any) -> Any:
    return challenges.start(
        channel="push", user=user, purpose="login", client=make_client(), factor=Factor.objects.get()
    )


def register(run: Any, user: Any) -> None:
    begun = begin(user)
    # In one argument: a token may begin with a hyphen.
    said = run("register", f"--token={begun.access_token}", "--identity", begun.identity)
    assert "Registered as YF" in said
    assert devices.confirm(begun.verification, client=make_client(), user=user).factor is not None


def finish(user: Any, started: Any, number: str = "") -> Any:
    Verification.objects.filter(pk=started.verification.pk).update(poll_after=None)
    given = {"number": number} if number else {}
    asked = challenges.check if number else challenges.poll
    return asked(started.verification, client=make_client(), user=user, **given)


def test_a_phone_registers_is_asked_and_approves(run: Any, ann: Any, tmp_path: Any) -> None:
    register(run, ann)
    assert stat.S_IMODE((tmp_path / "phone.json").stat().st_mode) == 0o600
    assert "Nobody is asking." in run("list")
    started = start(ann)
    shown = run("list")
    number = re.search(r"Number: (\d\d)", shown)
    assert number and "Sign in to Acme?" in shown
    assert run("approve").rstrip().endswith("approved")
    assert finish(ann, started, number[1]).approved


def test_it_denies_the_one_that_is_named(run: Any, ann: Any) -> None:
    register(run, ann)
    started = start(ann)
    sid = Verification.objects.get(pk=started.verification.pk).sid
    with pytest.raises(CommandError, match="no such challenge"):
        run("deny", "YC" + "0" * 32)
    assert "denied" in run("deny", sid)
    assert finish(ann, started).outcome == CheckOutcome.DENIED
    with pytest.raises(CommandError, match="Nobody is asking"):
        run("approve")


def test_it_is_removed(run: Any, ann: Any, tmp_path: Any) -> None:
    register(run, ann)
    assert "Removed." in run("remove")
    assert not (tmp_path / "phone.json").exists()
    with pytest.raises(CommandError, match="register one first"):
        run("list")


def test_signing_in_as_the_app_would(run: Any, ann: Any) -> None:
    assert "Registered as YF" in run("register", "--user", "ann", "--password", PASSWORD, "--name", "Mine")
    factor = Factor.objects.get(user=ann)
    assert factor.label == "Mine" and factor.confirmed_at is not None
    with pytest.raises(
        CommandError, match=r"HTTP 401\): A second factor is required. Go to http\S+/verify/challenge/ first"
    ):
        run("register", "--user", "ann", "--password", PASSWORD)


def test_what_goes_wrong_is_a_sentence(run: Any, ann: Any, live_server: Any, tmp_path: Any) -> None:
    for arguments, said in (
        (["register"], "--user and --password, or --token"),
        (["register", "--user", "ann", "--token", "x"], "--user and --password, or --token"),
        (["register", "--user", "ann", "--password", "wrong"], "does not know this user name"),
        (["register", "--token", "forged", "--identity", "nobody-at-all"], "refused"),
        (["list"], "register one first"),
    ):
        with pytest.raises(CommandError, match=said) as refused:
            run(*arguments)
        assert "forged" not in str(refused.value)
    (tmp_path / "phone.json").write_text("{}")
    with pytest.raises(CommandError, match="is no phone"):
        run("list")
    for site, said in (("http://127.0.0.1:9", "does not answer"), ("localhost", "must be an address")):
        with pytest.raises(CommandError, match=said):
            call_command(Command(), "register", "--user", "ann", "--password", "x", "--site", site)


def test_a_token_is_for_one_person_and_for_phones(run: Any, ann: Any, live_server: Any) -> None:
    """SECURITY: the door of the demo is guarded as Twilio's: without a token of the simulator nothing is answered."""
    client = Client()
    service = backends["default"].factor_simulator.place.service_sid
    for path in (f"Services/{service}/Entities", f"Services/{service}/AccessTokens", "Services", "%00"):
        for method in ("get", "post", "delete"):
            assert getattr(client, method)(f"/phone/v2/{path}").status_code == 401
    begun, other = begin(ann), begin(make_user("ben"))
    with pytest.raises(CommandError, match="HTTP 403"):
        run("register", "--token", begun.access_token, "--identity", other.identity)


@pytest.mark.parametrize("change", [{"DEBUG": False}, {"TWILIO_VERIFY_BACKENDS": None}])
def test_elsewhere_than_in_the_demo_there_is_no_phone(ann: Any, settings: Any, change: dict[str, Any]) -> None:
    if "DEBUG" in change:
        settings.DEBUG = False
    else:
        path = "django_twilio_verify.backends.console.ConsoleBackend"
        settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": path}}
    client = Client()
    client.force_login(ann)
    for path in ("/phone/v2/Services", "/phone/app/", "/phone/app/YF1/YC1/"):
        assert client.post(path).status_code == 404, path


def test_the_phone_of_the_page(ann: Any, client: Client) -> None:
    assert "/login/" in client.post("/phone/app/")["Location"]
    earlier = Client()
    for browser in (earlier, client):
        sign_in(browser)
    assert client.post("/phone/app/")["Location"] == "/verify/recovery-codes/?next=%2Fphone%2F"
    factor = Factor.objects.get(user=ann)
    assert factor.kind == "push" and factor.confirmed_at
    earlier.post("/phone/app/")
    assert Factor.objects.count() == 1, "whoever has a factor passes it before there is another one"
    started = start(ann)
    [phone] = backends["default"].phones.values()
    [challenge] = phone.pending()
    visitor = Client()
    path = f"/phone/app/{phone.sid}/{challenge['sid']}/"
    assert visitor.post(path, {"say": "perhaps"}).status_code == 404
    assert visitor.get(path).status_code == 405
    assert visitor.post("/phone/app/YF1/YC1/", {"say": "deny"}).status_code == 404
    for _press in range(2):
        assert visitor.post(path, {"say": "approve"}).status_code == 302
    number = Verification.objects.get(pk=started.verification.pk).match_number
    assert finish(ann, started, number).approved


def test_what_the_page_shows(ann: Any, rf: Any) -> None:
    backend = backends["default"]
    begun = devices.begin_totp(ann, make_client(), name="ann@shop")
    shown = app_context(rf.get("/"), backend)
    code = Authenticator.scan(begun.uri).code()
    assert shown["codes"] == [("ann@shop", code)] and shown["can_push"] and shown["waiting"] == []
    done = devices.confirm(begun.verification, client=make_client(), user=ann, code=code)
    assert done.factor is not None, time.time()


def test_passkeys_of_the_demo_are_localhosts(ann: Any) -> None:
    begun = devices.begin_passkey(ann, make_client(), name="Laptop")
    assert json.loads(json.dumps(begun.browser_options))["rp"] == {"id": "localhost", "name": "Corner Shop"}
