"""After a reset: the password of before neither signs in nor enrolls, until the mailed link or a new password."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from io import StringIO
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import AsyncClient, Client
from django.utils import timezone

from django_twilio_verify.choices import AuditKind, Purpose
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import ResetLinkRequired
from django_twilio_verify.factors import devices, own_factors, phones, reset_holds, resets
from django_twilio_verify.factors.resets import ResetRefused
from django_twilio_verify.models import AuditEvent, Factor, FactorReset
from django_twilio_verify.urls import urlpatterns
from django_twilio_verify.verifications import lifecycle
from tests.support.basics import (
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
)
from tests.support.races import first

pytestmark = pytest.mark.django_db
SITE = "https://shop.example"
HELD = "/verify/reset/check-email/"


@pytest.fixture
def ann() -> Any:
    person = make_user("ann", email="ann@example.org")
    make_factor(person, PHONE)
    return person


@pytest.fixture
def staff() -> Any:
    return make_user("sue", is_staff=True, is_superuser=True)


def reset(user: Any, staff: Any = None, **options: Any) -> resets.Requested:
    """All factors of ``user`` are gone now."""
    given = {"by": staff, "actor": "" if staff else "helpdesk", "at_once": True, **options}
    return resets.request(user, reason="lost", link=lambda token: f"{SITE}/verify/reset/{token}/", **given)


def link() -> str:
    """The path of the enrollment link in the newest letter."""
    found = re.search(rf"{SITE}(/verify/reset/[\w-]{{43}}/enroll/)", str(mail.outbox[-1].body))
    assert found, mail.outbox[-1].body
    return found.group(1)


def token() -> str:
    return link().split("/")[-3]


def enroll(client: Client, number: str = OTHER_PHONE) -> Any:
    """Press through the page of a text message; the answer to the code, or to whatever came first."""
    page = client.get("/verify/enroll/sms/")
    if page.status_code != 200:
        return page
    digest = re.search(r'name="disclosure" value="(\w+)"', page.content.decode())
    assert digest
    sent = client.post("/verify/enroll/sms/", {"number": number, "consent": "on", "disclosure": digest[1]})
    return client.post(code_path(sent), {"code": last_code()})


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


# ------------------------------------------------------------------------------------------- the old password


@pytest.mark.parametrize("policy", ["enrolled", "everyone", "staff"])
@pytest.mark.parametrize("grace", [0, 30])
@pytest.mark.parametrize("door", ["/login/", "/admin/login/"])
def test_the_old_password_opens_nothing(ann: Any, settings: Any, policy: str, grace: int, door: str) -> None:
    settings.TWILIO_VERIFY_REQUIRED_FOR, settings.TWILIO_VERIFY_GRACE_DAYS = policy, grace
    type(ann).objects.filter(pk=ann.pk).update(is_staff=True)
    reset(ann)
    thief = Client()
    sign_in(thief, url=door)
    assert not is_signed_in(thief)
    assert thief.get("/account/").status_code == 302
    page = thief.get("/verify/challenge/", follow=True)
    assert page.redirect_chain[-1][0].startswith(HELD)
    assert "Check your email" in page.content.decode() and "ann" not in page.content.decode()
    enroll(thief)
    assert not Factor.objects.filter(user=ann).exists() and not is_signed_in(thief)


def test_the_session_engine_does_not_matter(ann: Any, settings: Any) -> None:
    for engine in ("db", "cache", "cached_db", "signed_cookies", "file"):
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        if not Factor.objects.filter(user=ann).exists():
            make_factor(ann, PHONE, agreed=False)
        reset(ann)
        thief = Client()
        sign_in(thief)
        assert thief.get("/account/").status_code == 302, engine
        assert enroll(thief)["Location"].startswith(HELD), engine


def test_no_page_of_this_app_enrolls(ann: Any) -> None:
    """Every address of the app, by GET and POST, page and JSON: none makes a factor or signs in."""
    reset(ann)
    thief = Client(raise_request_exception=False)
    sign_in(thief)
    names = [str(one.pattern) for one in urlpatterns]
    for route in names:
        path = "/verify/" + re.sub(r"<\w+:(\w+)>", _example, route)
        if "cancel/" in path and "challenge" in path:
            continue  # signs out
        for accept in ("text/html", "application/json"):
            for ask in (thief.get, thief.post):
                answer = ask(path, headers={"accept": accept})
                assert answer.status_code < 500, (path, answer.status_code)
        assert not Factor.objects.filter(user=ann).exists() and not is_signed_in(thief), path
        if not thief.session.get("_twilio_verify_pending"):
            sign_in(thief)
    assert len(names) > 50


def _example(found: re.Match[str]) -> str:
    names = {"factor": "1", "browser": "1", "event": "1", "verification": "00000000-0000-4000-8000-000000000000"}
    return names.get(found[1], "sms" if found[1] == "channel" else "x")


def test_programs_are_told_in_json(ann: Any) -> None:
    reset(ann)
    thief = Client()
    sign_in(thief)
    for path in ("/verify/enroll/", "/verify/", "/verify/enroll/totp/", "/verify/recovery-codes/"):
        answer = thief.get(path, headers={"accept": "application/json"})
        assert answer.status_code == 403
        assert (answer.json()["code"], answer.json()["url"]) == ("reset_link_required", HELD)


def test_the_apps_own_phone_is_refused(ann: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_PUSH_APP_NAME = "Acme"
    reset(ann)
    thief = Client()
    sign_in(thief)
    answer = thief.post("/verify/access-token/", json.dumps({}), content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "reset_link_required")


def test_async_views_are_behind_it_too(ann: Any) -> None:
    reset(ann)

    async def attack() -> tuple[int, str]:
        thief = AsyncClient()
        await thief.post("/login/", {"username": "ann", "password": PASSWORD})
        return (await thief.get("/account/")).status_code, (await thief.get("/verify/enroll/"))["Location"]

    status, location = async_to_sync(attack)()
    assert status == 302 and location.startswith(HELD)


def test_the_flows_refuse_by_themselves(ann: Any) -> None:
    """Whichever page, of ours or of another app, calls them."""
    reset(ann)
    client = make_client()
    agree(OTHER_PHONE, user=ann)
    own = {"client": client, "user": ann}
    sent = lifecycle.start(recipient=OTHER_PHONE, channel="sms", purpose=Purpose.ENROLL, **own)
    assert lifecycle.check(sent.verification, code=last_code(), **own).approved
    with pytest.raises(ResetLinkRequired):
        own_factors.confirm(sent.verification)
    with pytest.raises(ResetLinkRequired):
        own_factors.attach(sent.verification.pk, **own)
    with pytest.raises(ResetLinkRequired):
        phones.proved(ann, Recipient.phone(OTHER_PHONE))
    for begin in (devices.begin_totp, devices.begin_passkey, devices.begin_push):
        with pytest.raises(ResetLinkRequired):
            begin(ann, client, name="x")
    assert not Factor.objects.filter(user=ann).exists()


def test_what_was_proved_just_before_enrolls_nothing_after(ann: Any) -> None:
    """The reset falls between the approval and the factor's row."""
    own = {"client": make_client(), "user": ann}
    agree(OTHER_PHONE, user=ann)
    sent = lifecycle.start(recipient=OTHER_PHONE, channel="sms", purpose=Purpose.ENROLL, **own)
    lifecycle.check(sent.verification, code=last_code(), **own)
    reset(ann)
    with pytest.raises(ResetLinkRequired):
        own_factors.confirm(sent.verification)


# --------------------------------------------------------------------------------------------------- the link


def test_link_and_password_enroll_once(ann: Any, staff: Any) -> None:
    reset(ann, staff)
    path = link()
    owner = Client()
    asked = owner.get(path)
    assert asked.status_code == 200 and "Sign in with your password" in asked.content.decode()
    assert asked["Cache-Control"] == "no-store, private" and "ann" not in asked.content.decode()
    assert f"/login/?next={quote(path, safe='')}" in asked.content.decode()
    sign_in(owner, url=f"/login/?next={path}")
    assert owner.get(path).status_code == 200 and FactorReset.objects.get().link_opened_at is None
    assert owner.post(path)["Location"] == "/verify/enroll/"
    done = enroll(owner)
    assert done.status_code == 200 and "recovery" in done.content.decode()
    assert is_signed_in(owner) and owner.get("/account/").status_code == 200
    row = FactorReset.objects.get()
    assert row.held_for is None and row.released_at is not None
    kinds = list(AuditEvent.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == [AuditKind.RESET_ASKED, AuditKind.RESET_DONE, AuditKind.RESET_OPENED]
    # From here on it is the new factor that is owed, and the link is dead.
    thief = Client()
    sign_in(thief)
    assert thief.get("/verify/challenge/").status_code == 200
    assert thief.post(path).status_code == 410


def test_who_signs_in_first_is_led_back_to_the_link(ann: Any) -> None:
    reset(ann)
    owner = Client()
    sign_in(owner, url=f"/login/?next={link()}")
    assert owner.get(f"/verify/enroll/?next={link()}")["Location"] == link()


def test_the_link_alone_signs_nobody_in(ann: Any) -> None:
    reset(ann)
    finder = Client()
    assert finder.post(link()).status_code == 403
    assert not is_signed_in(finder) and FactorReset.objects.get().link_opened_at is None
    ben = make_user("ben")
    for name in ("ben",):
        sign_in(finder, name)
        assert finder.get(link()).status_code == 403 and finder.post(link()).status_code == 403
    assert FactorReset.objects.get().link_opened_at is None and not Factor.objects.filter(user=ben).exists()


def test_opening_it_lets_no_other_session_enroll(ann: Any) -> None:
    reset(ann)
    path = link()
    owner, thief = Client(), Client()
    sign_in(owner)
    sign_in(thief)
    assert owner.post(path).status_code == 302
    assert enroll(thief)["Location"].startswith(HELD)
    assert thief.post(path).status_code == 410
    assert not Factor.objects.exists()
    assert enroll(owner).status_code == 200


def test_a_sign_in_that_waited_too_long_may_begin_again(ann: Any) -> None:
    """The password is typed again in the browser that opened the link: another session secret, the same one.

    Where the site keeps something in the session, which would else end with the sign-in.
    """
    reset(ann)
    owner = Client()
    kept = owner.session
    kept["basket"] = 1
    kept.save()
    sign_in(owner)
    owner.post(link())
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        assert owner.get("/verify/challenge/").status_code == 302, "it has waited too long"
        sign_in(owner)
        assert enroll(owner).status_code == 200
    assert Factor.objects.filter(user=ann).exists()


def test_of_two_browsers_one_opens_it(ann: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rival opens it after this request has looked and before it writes."""
    reset(ann)
    first, second = Client(), Client()
    sign_in(first)
    sign_in(second)
    path, seam, answers = link(), resets.session_fingerprint, []

    def meanwhile(client: Any) -> str:
        monkeypatch.setattr(resets, "session_fingerprint", seam)
        answers.append(second.post(path).status_code)
        return seam(client)

    monkeypatch.setattr(resets, "session_fingerprint", meanwhile)
    answers.append(first.post(path).status_code)
    assert answers == [302, 410]
    assert enroll(first)["Location"].startswith(HELD) and enroll(second).status_code == 200


def test_it_expires(ann: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_RESET_LINK_HOURS = 5
    reset(ann)
    path = link()
    with time_machine.travel(timezone.now() + timedelta(hours=5, seconds=1)):
        owner = Client()
        sign_in(owner)
        assert owner.get(path).status_code == 410 and owner.post(path).status_code == 410
        assert enroll(owner)["Location"].startswith(HELD)


@pytest.mark.parametrize("given", ["x", "x" * 43, "%00", "a" * 3000])
def test_another_link_is_none(ann: Any, given: str) -> None:
    reset(ann)
    row = FactorReset.objects.get()
    owner = Client()
    sign_in(owner)
    for guess in (given, str(row.link_digest), row.cancel_digest):
        path = f"/verify/reset/{guess}/enroll/"
        assert owner.get(path).status_code == owner.post(path).status_code == 404


def test_neither_table_nor_audit_nor_log_holds_it(ann: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="django_twilio_verify")
    reset(ann)
    secret = token()
    assert len(secret) == 43  # 256 bits
    stored = str(list(FactorReset.objects.values())) + str(list(AuditEvent.objects.values()))
    assert secret not in stored and secret not in caplog.text
    assert secret not in repr(resets.send_link(FactorReset.objects.get().pk, actor="x"))


def test_the_scheduled_command_mails_it_too(ann: Any, staff: Any) -> None:
    reset(ann, staff, at_once=False)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        out = StringIO()
        call_command("reset_factors", "--due", stdout=out)
        path = link()
        assert token() not in out.getvalue()
        owner = Client()
        sign_in(owner)
        assert owner.post(path).status_code == 302 and enroll(owner).status_code == 200


# --------------------------------------------------------------------------------------------- a new password


def test_a_new_password_is_as_good(ann: Any, settings: Any) -> None:
    reset(ann)
    ann.set_password("another horse")
    ann.save()
    owner = Client()
    owner.post("/login/", {"username": "ann", "password": "another horse"})
    assert owner.get("/account/").status_code == 200, "no factor is demanded of her"
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    second = Client()
    second.post("/login/", {"username": "ann", "password": "another horse"})
    assert enroll(second).status_code == 200
    path = link_of(mail.outbox)
    assert second.post(path).status_code == 410, "the link is of no use any more"


def link_of(letters: list[Any]) -> str:
    bodies = "\n".join(str(one.body) for one in letters)
    found = re.search(rf"{SITE}(/verify/reset/[\w-]{{43}}/enroll/)", bodies)
    assert found
    return found[1]


def test_a_password_that_is_only_hashed_anew_is_the_old_one(ann: Any, settings: Any) -> None:
    """SECURITY: Django does that at a sign-in, of whoever knows the password of before."""
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 0
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    type(ann).objects.filter(pk=ann.pk).update(password=make_password(PASSWORD, hasher="md5"))
    ann.refresh_from_db()
    reset(ann)
    for _time in range(2):
        thief = Client()
        sign_in(thief)
        assert thief.get("/account/").status_code == 302 and enroll(thief)["Location"].startswith(HELD)
    ann.refresh_from_db()
    assert ann.password.startswith("pbkdf2"), "it was written anew"


# -------------------------------------------------------------------------------------------- sent once more


def test_a_new_link_ends_the_old_one_and_its_opening(ann: Any, staff: Any) -> None:
    reset(ann)
    old = link()
    thief = Client()
    sign_in(thief)
    assert thief.post(old).status_code == 302
    sent = resets.send_link(FactorReset.objects.get().pk, by=staff)
    assert (sent.letters, sent.link) == (1, "")
    assert mail.outbox[-1].subject == "Acme: set up two-step verification again"
    assert enroll(thief)["Location"].startswith(HELD), "what was opened before is over"
    owner = Client()
    sign_in(owner)
    assert owner.get(old).status_code == 404
    assert owner.post(link()).status_code == 302 and enroll(owner).status_code == 200
    last = AuditEvent.objects.filter(kind=AuditKind.RESET_LINK).get()
    assert last.actor_label == "sue"
    with pytest.raises(ResetRefused) as refused:
        resets.send_link(FactorReset.objects.get().pk, by=staff)
    assert refused.value.code == "released"


def test_no_link_before_it_is_done_or_without_a_reset(ann: Any, staff: Any) -> None:
    waiting = reset(ann, staff, at_once=False).reset
    for pk in (waiting.pk, 999_999):
        with pytest.raises(ResetRefused) as refused:
            resets.send_link(pk, by=staff)
        assert refused.value.code == "released"


def test_an_account_without_an_address(staff: Any) -> None:
    """Staff hands it over: told once to whoever asked at once, and never by a scheduled command."""
    ben = make_user("ben")
    make_factor(ben)
    given = reset(ben, staff)
    assert given.letters == 0 and given.link.startswith(f"{SITE}/verify/reset/") and given.link not in repr(given)
    owner = Client()
    sign_in(owner, "ben")
    assert owner.post(given.link.removeprefix(SITE)).status_code == 302
    assert enroll(owner).status_code == 200
    reset(ben, staff, at_once=False)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        out, err = StringIO(), StringIO()
        with pytest.raises(CommandError, match="--link") as unmailed:
            call_command("reset_factors", "--due", stdout=out, stderr=err)
        assert unmailed.value.returncode == 1
        assert "/enroll/" not in f"{out.getvalue()}{err.getvalue()}{unmailed.value}"
        assert FactorReset.objects.latest("pk").link_digest is None
        out = StringIO()
        call_command("reset_factors", "ben", "--link", by="Sue", stdout=out)
        found = re.search(rf"{SITE}(\S+/enroll/)", out.getvalue())
        assert found
        second = Client()
        sign_in(second, "ben")
        assert second.post(found[1]).status_code == 302
    with pytest.raises(CommandError, match="needs no link"):
        call_command("reset_factors", "sue", "--link", by="Sue")


def test_a_factor_that_staff_imported_is_owed_instead(ann: Any) -> None:
    """The hold is for accounts without a factor."""
    reset(ann)
    make_factor(ann, OTHER_PHONE)
    owner = Client()
    sign_in(owner)
    owner.post(code_path(owner.post("/verify/challenge/")), {"code": last_code()})
    assert owner.get("/account/").status_code == 200
    assert enroll(owner, PHONE).status_code == 302 and Factor.objects.filter(user=ann).count() == 2


# ---- The order is forced: what the rival does is done right before the UPDATE


RIVALS: dict[str, dict[str, Any]] = {
    "another browser": {"link_opened_at": timezone.now(), "opened_by": "k1.of-another-session"},
    "another link": {"link_digest": "0" * 64},
    "a factor": {"held_for": None},
    "late": {"link_expires_at": timezone.now() - timedelta(hours=1)},
}


@pytest.mark.parametrize("rival", RIVALS)
def test_a_link_is_opened_once_while_it_is_the_newest_and_holds(ann: Any, rival: str) -> None:
    found = reset(ann).reset
    mailed = token()
    rows = FactorReset.objects.filter(pk=found.pk)
    with first("factorreset", "link_opened_at", lambda: rows.update(**RIVALS[rival])) as came:
        assert not resets.open_link(mailed, user=ann, client=make_client())
    assert came == [1]
    found.refresh_from_db()
    assert not reset_holds.is_opened_by(found, make_client())


def test_no_link_is_made_for_whom_nothing_holds_any_more(ann: Any) -> None:
    found = reset(ann).reset
    letters = len(mail.outbox)
    release = lambda: reset_holds.release(ann.pk)  # noqa: E731
    with first("factorreset", "link_digest", release) as came, pytest.raises(ResetRefused) as refused:
        resets.send_link(found.pk, actor="sue")
    assert came and refused.value.code == "released" and len(mail.outbox) == letters
