"""Help for whoever has lost every factor: asked for by staff, told to the person, who can say no, and done later."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from django_twilio_verify import factors
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import AuditKind
from django_twilio_verify.exceptions import BackendUnavailable
from django_twilio_verify.factors import recovery_codes, resets
from django_twilio_verify.factors.resets import ResetRefused
from django_twilio_verify.models import AuditEvent, Factor, FactorReset, ProviderRemoval, RecoveryCode, TrustedBrowser
from django_twilio_verify.signals import factor_removed, factors_reset
from tests.support.basics import PHONE, all_permissions, code_path, last_code, make_factor, make_user, race, sign_in
from tests.support.devices import World

pytestmark = pytest.mark.django_db
SITE = "https://shop.example"
REASON = "Called from the number on file; showed her passport."


@pytest.fixture
def ann() -> Any:
    person = make_user("ann", email="ann@example.org")
    make_factor(person, PHONE)
    return person


@pytest.fixture
def staff() -> Any:
    return make_user("sue", is_staff=True, is_superuser=True)


def ask(user: Any, staff: Any = None, **options: Any) -> resets.Requested:
    given = {"reason": REASON, "by": staff, "link": lambda token: f"{SITE}/verify/reset/{token}/", **options}
    return resets.request(user, **{"actor": "" if staff else "helpdesk", **given})


def link() -> str:
    """The path of the link in the newest letter."""
    found = re.search(r"https?://[^/\s]+(/verify/reset/\S+/)", str(mail.outbox[-1].body))
    assert found, mail.outbox[-1].body
    return found.group(1)


def trust(user: Any) -> TrustedBrowser:
    now = timezone.now()
    return TrustedBrowser.objects.create(
        user=user, token_digest="d" * 64, setup="s", created_at=now, last_used_at=now, expires_at=now + timedelta(1)
    )


def kinds() -> list[str]:
    return list(AuditEvent.objects.order_by("pk").values_list("kind", flat=True))


def later(hours: float = 24.1) -> Any:
    return time_machine.travel(timezone.now() + timedelta(hours=hours), tick=True)


def run(*arguments: str, **options: Any) -> str:
    out, err = StringIO(), StringIO()
    call_command("reset_factors", *arguments, stdout=out, stderr=err, **options)
    return out.getvalue() + err.getvalue()


def pass_factor(client: Any) -> None:
    sign_in(client)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    assert client.get("/account/").status_code == 200


# ------------------------------------------------------------------------------------------------- asking


def test_the_person_is_told_at_once(ann: Any, staff: Any) -> None:
    asked = ask(ann, staff)
    assert asked.letters == 1 and not asked.done
    [letter] = mail.outbox
    assert letter.to == ["ann@example.org"] and letter.subject == "Acme: your second factors are about to be removed"
    assert f"{SITE}{link()}" in letter.body and "help@acme.example" in letter.body
    assert REASON not in letter.body, "what staff wrote down is for staff"
    reset = FactorReset.objects.get()
    assert (reset.requested_by, reset.reason, reset.user) == (staff, REASON, ann)
    assert reset.due_at - reset.requested_at == timedelta(hours=24)
    token = link().split("/")[-2]
    assert token not in str(FactorReset.objects.values()) and len(token) == 32
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor_label, event.reason) == (AuditKind.RESET_ASKED, "sue", REASON)
    assert f'"reset": {reset.pk}' in event.details
    assert factors.has_factor(ann), "nothing is removed yet"


def test_the_delay_is_the_sites(ann: Any, staff: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_RESET_DELAY_HOURS = 72
    reset = ask(ann, staff).reset
    assert reset.due_at - reset.requested_at == timedelta(hours=72)


@pytest.mark.parametrize("at_once", [True, False])
def test_without_a_delay(ann: Any, staff: Any, settings: Any, at_once: bool) -> None:
    if not at_once:
        settings.TWILIO_VERIFY_RESET_DELAY_HOURS = 0
    asked = ask(ann, staff, at_once=at_once)
    assert asked.done and asked.letters == 1 and not factors.has_factor(ann)
    assert [one.subject for one in mail.outbox] == ["Acme: your second factors were removed"]
    assert kinds() == ["reset_asked", "reset_done"]


@pytest.mark.parametrize("reason", ["", "  \0 ", "x" * 501])
def test_a_reason_is_needed(ann: Any, staff: Any, reason: str) -> None:
    with pytest.raises(ValueError, match="Say why"):
        ask(ann, staff, reason=reason)
    assert not FactorReset.objects.exists() and not mail.outbox


def test_somebody_must_ask(ann: Any) -> None:
    with pytest.raises(ValueError, match="Say who"):
        ask(ann, None, actor=" ")
    assert not FactorReset.objects.exists(), "written with its audit event, or not at all"


def test_nobody_resets_themselves(staff: Any) -> None:
    make_factor(staff)
    with pytest.raises(ResetRefused, match="colleague"):
        ask(staff, staff)
    assert not FactorReset.objects.exists()


def test_a_helpdesk_does_not_reset_a_superuser(staff: Any) -> None:
    make_factor(staff)
    helper = make_user("hal", is_staff=True)
    with pytest.raises(ResetRefused, match="superuser"):
        ask(staff, helper)
    assert ask(staff, make_user("sam", is_superuser=True)).reset.pending_for == staff


def test_nothing_to_reset(staff: Any) -> None:
    with pytest.raises(ResetRefused, match="no factor"):
        ask(make_user("ben"), staff)


def test_one_at_a_time(ann: Any, staff: Any) -> None:
    first = ask(ann, staff).reset
    with pytest.raises(ResetRefused, match="under way"):
        ask(ann, staff)
    assert len(mail.outbox) == 1
    assert resets.cancel(first.pk, actor="sue")
    assert ask(ann, staff).reset.pk != first.pk


def test_without_an_address_nobody_is_told_and_staff_knows(staff: Any) -> None:
    ben = make_user("ben")
    make_factor(ben)
    assert ask(ben, staff).letters == 0 and not mail.outbox


# ------------------------------------------------------------------------------------------------- saying no


def test_the_link_shows_and_then_cancels(ann: Any, staff: Any, client: Client) -> None:
    ask(ann, staff)
    path = link()
    for method in ("get", "head"):
        response = getattr(client, method)(path)
        assert response.status_code == 200 and response["Cache-Control"] == "no-store, private"
    page = client.get(path).content.decode()
    assert "Keep them" in page and "ann" not in page and PHONE[-4:] not in page
    assert resets.pending(ann) is not None, "a mail program that opens links changes nothing"
    done = client.post(path)
    assert done.status_code == 200 and "They stay" in done.content.decode()
    reset = FactorReset.objects.get()
    assert reset.canceled_at and reset.pending_for is None and reset.done_at is None
    assert mail.outbox[-1].subject == "Acme: your second factors stay"
    assert kinds() == ["reset_asked", "reset_halted"]
    assert AuditEvent.objects.last().actor_label == "ann"  # type: ignore[union-attr]
    again = client.post(path)
    assert "They stay" in again.content.decode() and len(mail.outbox) == 2 and len(kinds()) == 2
    assert "They stay" in client.get(path).content.decode()
    with later():
        assert resets.due() == [] and resets.carry_out(reset.pk, actor="x") is None
    assert factors.has_factor(ann)


def test_the_link_needs_no_sign_in_and_takes_no_forgery(ann: Any, staff: Any) -> None:
    ask(ann, staff)
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(link()).status_code == 403 and resets.pending(ann)
    shown = strict.get(link()).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', shown)
    assert token
    assert strict.post(link(), {"csrfmiddlewaretoken": token[1]}).status_code == 200
    assert resets.pending(ann) is None


@pytest.mark.parametrize("token", ["x", "x" * 32, "\ud800".encode("utf-8", "surrogatepass").hex(), "%00", "a" * 3000])
def test_another_link_is_none(ann: Any, staff: Any, client: Client, token: str) -> None:
    reset = ask(ann, staff).reset
    for path in (f"/verify/reset/{token}/", f"/verify/reset/{reset.cancel_digest}/"):
        assert client.get(path).status_code == client.post(path).status_code == 404
    assert resets.pending(ann)


def test_too_late(ann: Any, staff: Any, client: Client) -> None:
    ask(ann, staff)
    path = link()
    with later():
        assert resets.carry_out(FactorReset.objects.get().pk, actor="x")
        page = client.post(path).content.decode()
    assert "Already removed" in page and "They stay" not in page


def test_signed_in_by_a_factor(ann: Any, staff: Any, client: Client) -> None:
    ask(ann, staff)
    assert client.get("/verify/reset/")["Location"].startswith("/login/")
    sign_in(client)
    assert "/verify/challenge/" in client.post("/verify/reset/")["Location"] and resets.pending(ann)
    pass_factor(client)
    told = client.get("/verify/reset/")
    assert "Keep them" in told.content.decode()
    assert next(str(one) for one in told.context["messages"]).endswith('<a href="/verify/reset/">Keep them?</a>')
    assert resets.pending(ann), "signing in does not cancel it: the thief of the phone can do that too"
    assert "They stay" in client.post("/verify/reset/").content.decode()
    assert client.get("/verify/reset/")["Location"] == "/verify/"
    assert client.post("/verify/reset/").status_code == 302


def test_it_is_the_own_one_only(ann: Any, staff: Any, client: Client) -> None:
    ben = make_user("ben")
    make_factor(ben)
    ask(ben, staff)
    pass_factor(client)
    assert client.post("/verify/reset/")["Location"] == "/verify/" and resets.pending(ben)


# ------------------------------------------------------------------------------------------------- doing it


def test_all_goes(ann: Any, staff: Any) -> None:
    make_factor(ann, "ann@example.org", channel="email")
    recovery_codes.issue(ann)
    browser = trust(ann)
    other = make_user("ben")
    make_factor(other, "+15017122669")
    reset = ask(ann, staff).reset
    assert resets.carry_out(reset.pk, actor="cron") is None, "not before it is due"
    told: list[Any] = []
    receiver = lambda **values: told.append((values["factor"].kind, values["user"]))  # noqa: E731
    factor_removed.connect(receiver)
    try:
        with later():
            assert resets.due() == [reset.pk]
            done = resets.carry_out(reset.pk, actor="cron")
            assert resets.carry_out(reset.pk, actor="cron") is None and resets.due() == []
    finally:
        factor_removed.disconnect(receiver)
    assert done and (done.factors, done.recovery_codes, done.browsers, done.letters) == (2, 10, 1, 1)
    assert told == [("phone", ann), ("email", ann)]
    assert not Factor.objects.filter(user=ann).exists() and factors.has_factor(other)
    assert not RecoveryCode.objects.filter(user=ann).exists()
    browser.refresh_from_db()
    assert browser.revoked_at is not None
    assert [one.subject for one in mail.outbox][1:] == ["Acme: your second factors were removed"]
    assert kinds() == ["reset_asked", "reset_done"]
    last = AuditEvent.objects.last()
    assert last and '"factors": 2' in last.details and last.actor_label == "cron" and last.reason == REASON


def test_at_the_provider_too(ann: Any, staff: Any) -> None:
    world = World("sync", None)
    factor, _ = world.totp(ann)
    assert factor.entity
    with later():
        backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))
        ask(ann, staff, at_once=True)
        removal = ProviderRemoval.objects.get()
        assert removal.factor_sid == factor.sid, "it did not answer, and will be asked again"
        call_command("sync_factors", stdout=StringIO()) if removal.next_try_at <= timezone.now() else None
    with later(48):
        call_command("sync_factors", stdout=StringIO())
    assert not ProviderRemoval.objects.exists()
    assert world.simulator.factors(factor.entity.identity) == []


def test_a_code_that_was_under_way_opens_nothing(ann: Any, staff: Any, client: Client) -> None:
    """SECURITY: whoever has the lost phone and the password at the instant of the reset is not let in by the phone."""
    sign_in(client)
    path = code_path(client.post("/verify/challenge/"))
    ask(ann, staff, at_once=True)
    client.post(path, {"code": last_code()})
    assert "_auth_user_id" not in client.session
    assert client.get("/account/").status_code == 302


def test_deleting_the_account_leaves_the_trail(ann: Any, staff: Any) -> None:
    ask(ann, staff)
    ann.delete()
    assert not FactorReset.objects.exists() and kinds() == ["reset_asked"]


def test_whoever_asked_may_leave(ann: Any, staff: Any) -> None:
    ask(ann, staff)
    staff.delete()
    assert FactorReset.objects.get().requested_by is None


# ------------------------------------------------------------------------------------------------- races


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_cancel_or_carry_out_but_not_both(ann: Any, staff: Any, settings: Any) -> None:
    for _round in range(3):
        Factor.objects.filter(user=ann).delete()
        make_factor(ann, PHONE, agreed=False)
        mail.outbox.clear()
        reset = ask(ann, staff).reset
        FactorReset.objects.update(due_at=timezone.now())

        def work(index: int, pk: int = reset.pk) -> bool:
            if index % 2:
                return resets.cancel(pk, actor="ann")
            return resets.carry_out(pk, actor="cron") is not None

        answers = race(6, work)
        assert sorted(map(str, answers)) == ["False"] * 5 + ["True"], answers
        reset.refresh_from_db()
        assert (reset.canceled_at is None) != (reset.done_at is None) and reset.pending_for is None
        assert factors.has_factor(ann) == (reset.canceled_at is not None)
        assert len(mail.outbox) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_many_requests_one_is_taken(ann: Any, staff: Any) -> None:
    answers = race(6, lambda index: ask(ann, staff).letters)
    assert sorted(str(type(one).__name__) for one in answers) == ["ResetRefused"] * 5 + ["int"], answers
    assert FactorReset.objects.count() == len(mail.outbox) == len(kinds()) == 1


# ------------------------------------------------------------------------------------------------- the command


def test_the_command(ann: Any) -> None:
    said = run("ann", reason=REASON, by="root", site=SITE + "/")
    assert "by reset_factors --due" in said
    assert f"{SITE}{link()}" in mail.outbox[0].body
    assert AuditEvent.objects.get().actor_label == "root" and FactorReset.objects.get().requested_by is None
    assert "0 reset(s) carried out" in run(due=True)
    with later():
        assert "1 reset(s) carried out, 1 factor(s) removed." in run(due=True)
        assert "0 reset(s) carried out" in run(due=True)
    assert not factors.has_factor(ann)


def test_the_command_cancels(ann: Any, staff: Any) -> None:
    ask(ann, staff)
    assert "Canceled" in run("ann", by="root", cancel=True)
    with pytest.raises(CommandError, match="no pending reset"):
        run("ann", by="root", cancel=True)


def test_the_command_at_once(ann: Any) -> None:
    with pytest.raises(CommandError, match="add --yes"):
        run("ann", reason=REASON, by="root", now=True, site=SITE)
    assert factors.has_factor(ann)
    assert "Done." in run("ann", reason=REASON, by="root", now=True, yes=True, site=SITE)
    assert not factors.has_factor(ann)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"username": "ann", "by": "root", "reason": REASON}, "--site"),
        ({"username": "ann", "by": "root", "reason": REASON, "site": "shop.example"}, "--site"),
        ({"username": "ann", "by": "root", "reason": REASON, "site": "https://["}, "--site"),
        ({"username": "ann", "by": "root", "site": SITE}, "Say why"),
        ({"username": "ann", "reason": REASON, "site": SITE}, "--by"),
        ({"username": "nobody", "by": "root", "reason": REASON, "site": SITE}, "no such user"),
        ({}, "--due"),
        ({"username": "ann", "due": True}, "--due"),
        ({"username": "sue", "by": "root", "reason": REASON, "site": SITE}, "no factor"),
    ],
)
def test_the_command_wants_it_right(ann: Any, staff: Any, options: dict[str, Any], said: str) -> None:
    name = [options.pop("username")] if "username" in options else []
    with pytest.raises(CommandError, match=said):
        run(*name, **options)
    assert not FactorReset.objects.exists()


def test_nobody_is_told_without_an_address(staff: Any) -> None:
    make_factor(make_user("ben"))
    assert "No mail went out" in run("ben", reason=REASON, by="root", site=SITE)


# ------------------------------------------------------------------------------------------------- the admin


def staff_client(*codenames: str, superuser: bool = False) -> Client:
    user = make_user("hal", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(all_permissions().filter(codename__in=codenames))
    return verified(user)


def verified(user: Any) -> Client:
    """A browser in which ``user`` has just passed a factor."""
    if not factors.has_factor(user):
        make_factor(user, "+15017122665")
    client = Client()
    sign_in(client, user.username)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    assert client.session["_auth_user_id"]
    return client


ALL = ("view_factor", "view_factorreset", "reset_factors")


def test_the_admins_action_leads_to_the_form_and_the_form_asks(ann: Any) -> None:
    client = staff_client(*ALL)
    factor = Factor.objects.get(user=ann)
    chosen = {"action": "reset_factors", "_selected_action": [factor.pk]}
    to = client.post("/admin/twilio_verify/factor/", chosen)["Location"]
    assert to == f"/admin/twilio_verify/factorreset/of/{ann.pk}/"
    page = client.get(to).content.decode()
    assert "after 24 hours" in page and PHONE not in page and not FactorReset.objects.exists()
    for wrong in ({}, {"reason": REASON}, {"confirmed": "on"}, {"reason": "x" * 501, "confirmed": "on"}):
        assert client.post(to, wrong).status_code == 200 and not FactorReset.objects.exists()
    done = client.post(to, {"reason": REASON, "confirmed": "on"}, follow=True)
    assert "will be removed when it is due" in done.content.decode()
    assert FactorReset.objects.get().requested_by.username == "hal"  # type: ignore[union-attr]
    assert "http://testserver" + link() in mail.outbox[0].body
    again = client.post(to, {"reason": REASON, "confirmed": "on"}, follow=True)
    assert "under way already" in again.content.decode() and FactorReset.objects.count() == 1
    listed = client.get("/admin/twilio_verify/factorreset/").content.decode()
    assert REASON.split(";")[0] in listed and "under way" in listed
    assert client.get(f"/admin/twilio_verify/factorreset/{FactorReset.objects.get().pk}/change/").status_code == 200


def test_the_admin_takes_one_person_at_a_time(ann: Any) -> None:
    client = staff_client(*ALL)
    make_factor(make_user("ben"), "+15017122669")
    found = Factor.objects.exclude(user__username="hal").values_list("pk", flat=True)
    chosen = {"action": "reset_factors", "_selected_action": list(found)}
    response = client.post("/admin/twilio_verify/factor/", chosen, follow=True)
    assert "Choose the factors of one person." in response.content.decode()


@pytest.mark.parametrize("missing", ALL)
def test_each_permission_is_needed(ann: Any, missing: str) -> None:
    client = staff_client(*(set(ALL) - {missing}))
    chosen = {"action": "reset_factors", "_selected_action": [Factor.objects.get(user=ann).pk]}
    assert client.post("/admin/twilio_verify/factor/", chosen).get("Location", "") in (
        "",
        "/admin/twilio_verify/factor/",
    )
    if missing != "view_factor":
        form = client.post(f"/admin/twilio_verify/factorreset/of/{ann.pk}/", {"reason": REASON, "confirmed": "on"})
        assert form.status_code == 403
        assert client.get(f"/admin/twilio_verify/factorreset/of/{ann.pk}/").status_code == 403
    assert not FactorReset.objects.exists()


def test_the_admin_refuses_oneself_and_nobody(ann: Any) -> None:
    client = staff_client(*ALL)
    for nobody in ("0", "x", "9" * 40, "1/2"):
        assert client.get(f"/admin/twilio_verify/factorreset/of/{nobody}/").status_code == 404
    hal = type(ann).objects.get(username="hal")
    response = client.post(
        f"/admin/twilio_verify/factorreset/of/{hal.pk}/", {"reason": REASON, "confirmed": "on"}, follow=True
    )
    assert "let a colleague do it" in response.content.decode() and not FactorReset.objects.exists()


def test_the_admin_cancels(ann: Any, staff: Any) -> None:
    reset = ask(ann, staff).reset
    chosen = {"action": "cancel_resets", "_selected_action": [reset.pk]}
    stranger = staff_client("view_factorreset")
    stranger.post("/admin/twilio_verify/factorreset/", chosen)
    assert resets.pending(ann)
    client = Client()
    client.force_login(staff)
    said = client.post("/admin/twilio_verify/factorreset/", chosen, follow=True).content.decode()
    assert "1 reset was canceled." in said and resets.pending(ann) is None
    assert (
        "0 resets were canceled."
        in client.post("/admin/twilio_verify/factorreset/", chosen, follow=True).content.decode()
    )
    assert AuditEvent.objects.last().actor_label == "sue"  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------------- open sessions


def carried_out_by(how: str, ann: Any, staff: Any, settings: Any) -> None:
    """Every way by which a reset comes to be done."""
    if how == "due":
        ask(ann, staff)
        FactorReset.objects.update(due_at=timezone.now())
        call_command("reset_factors", due=True, stdout=StringIO())
    elif how == "command":
        call_command("reset_factors", "ann", reason=REASON, by="sue", now=True, yes=True, site=SITE, stdout=StringIO())
    elif how == "admin":
        settings.TWILIO_VERIFY_RESET_DELAY_HOURS = 0
        desk = verified(staff)
        done = desk.post(
            f"/admin/twilio_verify/factorreset/of/{ann.pk}/", {"reason": REASON, "confirmed": "on"}, follow=True
        )
        assert "The factors are removed." in done.content.decode()
    else:
        ask(ann, staff, at_once=True)
    assert not factors.has_factor(ann)


AT_ONCE = ["db", "cached_db"]
SOON = ["cache", "file", "signed_cookies"]


@pytest.mark.parametrize("how", ["due", "command", "admin", "code"])
@pytest.mark.parametrize("engine", [*AT_ONCE, *SOON])
def test_open_sessions_end_with_the_factors(
    ann: Any, staff: Any, settings: Any, tmp_path: Any, engine: str, how: str
) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    make_user("ben")
    through, waiting, other = Client(), Client(), Client()
    pass_factor(through)
    sign_in(waiting)
    sign_in(other, "ben")
    carried_out_by(how, ann, staff, settings)
    assert waiting.get("/verify/challenge/")["Location"].startswith("/login/"), "at once, with every engine"
    if engine in SOON:
        assert through.get("/account/").status_code == 200
    with later(hours=0.1 if engine in SOON else 0):
        for ended in (through, waiting):
            assert ended.get("/account/").status_code == 302
            assert ended.get("/verify/challenge/")["Location"].startswith("/login/"), "no sign-in waits there either"
        assert other.get("/account/").status_code == 200
        sign_in(through)
        assert through.get("/account/").status_code == 302, "the password alone opens nothing"


@pytest.mark.parametrize(("engine", "minutes"), [("signed_cookies", 5), ("cache", 5), ("db", 0)])
def test_staff_is_told_how_long_open_sessions_last(
    ann: Any, staff: Any, settings: Any, engine: str, minutes: int
) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    told = StringIO()
    call_command("reset_factors", due=True, stdout=told)
    assert "Open sessions" not in told.getvalue(), "nothing was due"
    call_command("reset_factors", "ann", reason=REASON, by="sue", now=True, yes=True, site=SITE, stdout=told)
    assert ("Open sessions end within 5 minute(s)." in told.getvalue()) is bool(minutes)
    make_factor(ann, PHONE, agreed=False)
    settings.TWILIO_VERIFY_RESET_DELAY_HOURS = 0
    desk = verified(staff)
    done = desk.post(
        f"/admin/twilio_verify/factorreset/of/{ann.pk}/", {"reason": REASON, "confirmed": "on"}, follow=True
    )
    assert ("end with the factors, within 5 minutes." in done.content.decode()) is bool(minutes)


def test_a_reset_says_of_each_factor_that_it_was_a_reset(ann: Any, staff: Any) -> None:
    make_factor(ann, "ann@example.org", channel="email")
    told: list[Any] = []
    removed = lambda **values: told.append((values["factor"].kind, values["reset"].pk))  # noqa: E731
    reset = lambda **values: told.append((values["user"], values["reset"].pk))  # noqa: E731
    factor_removed.connect(removed)
    factors_reset.connect(reset)
    try:
        made = ask(ann, staff, at_once=True).reset
        assert resets.carry_out(made.pk, actor="cron") is None
    finally:
        factor_removed.disconnect(removed)
        factors_reset.disconnect(reset)
    assert told == [("phone", made.pk), ("email", made.pk), (ann, made.pk)]


def test_the_list_of_factors_leads_to_a_reset_that_is_under_way(ann: Any, staff: Any, client: Client) -> None:
    pass_factor(client)
    assert "/verify/reset/" not in client.get("/verify/").content.decode()
    ask(ann, staff)
    page = client.get("/verify/").content.decode()
    assert 'href="/verify/reset/"' in page and "Our staff was told that you lost all of this" in page
    client.post("/verify/reset/")
    assert "/verify/reset/" not in client.get("/verify/").content.decode()
