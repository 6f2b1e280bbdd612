"""Who may reset whom: nobody an account that outranks them, and only with a fresh proof."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_twilio_verify import factors
from django_twilio_verify.choices import AuditKind
from django_twilio_verify.conf import fingerprint
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.factors import resets
from django_twilio_verify.factors.resets import ResetRefused
from django_twilio_verify.models import AuditEvent, ConsentEvidence, Factor, FactorReset
from tests.support.basics import PHONE, all_permissions, code_path, last_code, make_factor, make_user, sign_in

pytestmark = pytest.mark.django_db
FORM = {"reason": "Called back.", "confirmed": "on"}


@pytest.fixture
def ann() -> Any:
    person = make_user("ann", email="ann@example.org")
    make_factor(person, PHONE)
    return person


@pytest.fixture
def hal() -> Any:
    user = make_user("hal", is_staff=True)
    grant(user, "view_factor", "view_factorreset", "reset_factors")
    return user


def grant(user: Any, *codenames: str) -> None:
    user.user_permissions.add(*all_permissions().filter(codename__in=codenames))


def ask(user: Any, by: Any) -> FactorReset:
    return resets.request(user, reason="lost", by=by, link=lambda token: f"https://shop.example/r/{token}/").reset


def refusal(user: Any, by: Any) -> str:
    try:
        resets.cancel(ask(user, by).pk, actor="test")
    except ResetRefused as error:
        return error.code
    return ""


def verified(user: Any) -> Client:
    if not factors.has_factor(user):
        make_factor(user, "+15017122665")
    client = Client()
    sign_in(client, user.username)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    return client


def always(staff: Any, user: Any) -> bool:
    return bool(staff.username == "hal")


def test_the_table(ann: Any, hal: Any, settings: Any) -> None:
    root = make_user("root", is_staff=True, is_superuser=True)
    other = make_user("rut", is_staff=True, is_superuser=True)
    clerk = make_user("cleo", is_staff=True)
    buyer = make_user("bea")
    group = Group.objects.create(name="buyers")
    group.permissions.set(all_permissions().filter(codename="add_user"))
    buyer.groups.add(group)
    dormant = make_user("dora", is_active=False)
    grant(dormant, "add_user")
    helper = make_user("hans", is_staff=True)
    grant(helper, "add_user", "reset_factors")
    for index, user in enumerate((root, other, clerk, buyer, dormant)):
        make_factor(user, f"+1501712267{index}")
    rows = [
        (ann, hal, ""),
        (root, hal, "superuser"),
        (clerk, hal, "staff"),
        (buyer, hal, "outranked"),
        (dormant, hal, "outranked"),
        (buyer, helper, ""),
        (clerk, helper, "staff"),
        *((user, root, "") for user in (ann, other, clerk, buyer, dormant)),
        (root, root, "own"),
        (hal, hal, "own"),
    ]
    assert [refusal(user, by) for user, by, _ in rows] == [code for *_, code in rows]
    settings.TWILIO_VERIFY_MAY_RESET = f"{__name__}.always"
    widened = [
        (clerk, hal, ""),
        (buyer, hal, ""),
        (root, hal, "superuser"),
        (clerk, helper, "staff"),
        (hal, hal, "own"),
    ]
    assert [refusal(user, by) for user, by, _ in widened] == [code for *_, code in widened]


@pytest.mark.parametrize(
    "change",
    [{"is_staff": True}, {"is_superuser": True}, {"permission": "add_user"}],
)
@pytest.mark.parametrize("gone", [False, True])
def test_somebody_was_promoted_meanwhile(ann: Any, hal: Any, change: dict[str, Any], gone: bool) -> None:
    reset = ask(ann, hal)
    if "permission" in change:
        grant(ann, change["permission"])
    else:
        type(ann).objects.filter(pk=ann.pk).update(**change)
    if gone:
        hal.delete()
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        assert resets.carry_out(reset.pk, actor="cron") is None
        assert resets.due() == [] and factors.has_factor(ann)
    reset.refresh_from_db()
    assert reset.canceled_at is not None and reset.done_at is None and reset.held_for is None
    assert AuditEvent.objects.latest("pk").kind == AuditKind.RESET_HALTED
    assert mail.outbox[-1].subject == "Acme: your second factors stay"


def test_who_asked_may_leave_where_nobody_is_outranked(ann: Any, hal: Any) -> None:
    reset = ask(ann, hal)
    hal.delete()
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        assert resets.carry_out(reset.pk, actor="cron")


def test_a_command_outranks_everybody() -> None:
    root = make_user("root", is_superuser=True, is_staff=True)
    make_factor(root, "+15017122670")
    made = resets.request(root, reason="x", actor="op", at_once=True, link=lambda token: f"https://s.example/{token}/")
    assert made.done


def test_the_page_and_the_link_ask_the_same(ann: Any, hal: Any) -> None:
    clerk = make_user("cleo", is_staff=True, email="cleo@example.org")
    make_factor(clerk, "+15017122670")
    desk = verified(hal)
    page = f"/admin/twilio_verify/factorreset/of/{clerk.pk}/"
    said = desk.post(page, FORM, follow=True).content.decode()
    assert "Only a superuser" in said and not FactorReset.objects.exists()
    made = resets.request(clerk, reason="x", actor="op", at_once=True, link=lambda token: f"https://s.example/{token}/")
    letters = len(mail.outbox)
    chosen = {"action": "send_links", "_selected_action": [made.reset.pk]}
    said = desk.post("/admin/twilio_verify/factorreset/", chosen, follow=True).content.decode()
    assert "Only a superuser" in said and len(mail.outbox) == letters


def test_a_fresh_proof_is_asked(ann: Any, hal: Any, settings: Any) -> None:
    page = f"/admin/twilio_verify/factorreset/of/{ann.pk}/"
    none = Client()
    none.force_login(hal)
    assert none.get(page)["Location"].startswith("/verify/enroll/"), "who has no factor enrolls one"
    assert none.post(page, FORM).status_code == 302 and not FactorReset.objects.exists()
    desk = verified(hal)
    with time_machine.travel(timezone.now() + timedelta(seconds=settings_age() + 5)):
        assert desk.get(page)["Location"].startswith("/verify/step-up/")
        kept = desk.post(page, FORM)["Location"]
        assert kept.startswith("/verify/step-up/") and not FactorReset.objects.exists()
        chosen = {"action": "send_links", "_selected_action": ["1"]}
        assert desk.post("/admin/twilio_verify/factorreset/", chosen)["Location"].startswith("/verify/step-up/")
        desk.post(code_path(desk.post(kept)), {"code": last_code()})
        assert desk.post(page, FORM).status_code == 302 and FactorReset.objects.count() == 1


def settings_age() -> int:
    from django_twilio_verify.conf import settings  # noqa: PLC0415

    return settings.step_up_max_age_seconds


def test_the_admin_sends_a_link_again_and_shows_it_without_an_address(ann: Any, hal: Any) -> None:
    ben = make_user("ben")
    make_factor(ben, "+15017122671")
    site = "https://shop.example"
    made = [
        resets.request(user, reason="x", by=hal, at_once=True, link=lambda token: f"{site}/{token}/").reset
        for user in (ann, ben)
    ]
    desk = verified(hal)

    def send(*chosen: int) -> Any:
        return desk.post(
            "/admin/twilio_verify/factorreset/", {"action": "send_links", "_selected_action": chosen}, follow=True
        )

    assert "Choose one reset." in send(made[0].pk, made[1].pk).content.decode()
    mailed = send(made[0].pk).content.decode()
    assert "A new link was mailed." in mailed and "/enroll/" not in mailed
    shown = send(made[1].pk)
    assert f"{site}/verify/reset/" in shown.content.decode() and "no-store" in shown["Cache-Control"]
    assert "/enroll/" not in desk.get("/admin/twilio_verify/factorreset/").content.decode()


# ------------------------------------------------------------------------------- factors that an erasure deletes


def erasing(browser: Client, factors: bool = True) -> Any:
    address = reverse("admin:twilio_verify_consentevent_erase", args=[fingerprint(Recipient.parse(PHONE))])
    return browser.post(address, {"reason": "Art. 17", "confirmed": "on", **({"factors": "on"} if factors else {})})


@pytest.fixture
def officer(hal: Any) -> Any:
    grant(hal, "view_consentevent", "erase_evidence")
    return hal


@pytest.mark.parametrize("rank", ["superuser", "staff", "outranked", ""])
def test_an_erasure_deletes_the_factors_of_whom_staff_may_reset(ann: Any, officer: Any, rank: str) -> None:
    """The phone of an account that rules over the officer's stays, and so does all the rest."""
    ann.is_superuser, ann.is_staff = rank == "superuser", rank in ("superuser", "staff")
    ann.save()
    if rank == "outranked":
        grant(ann, "add_user")
    browser, evidence = verified(officer), ConsentEvidence.objects.count()
    assert erasing(browser).status_code == 302
    assert Factor.objects.filter(user=ann).exists() is bool(rank)
    assert (ConsentEvidence.objects.count() == evidence) is bool(rank)
    assert AuditEvent.objects.filter(kind=AuditKind.ERASED).exists() is not bool(rank)


def test_an_erasure_of_factors_wants_a_fresh_proof(ann: Any, officer: Any) -> None:
    browser = verified(officer)
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        assert erasing(browser)["Location"].startswith("/verify/step-up/")
        assert Factor.objects.filter(user=ann).exists()
        assert not erasing(browser, factors=False)["Location"].startswith("/verify/")
        assert AuditEvent.objects.filter(kind=AuditKind.ERASED).exists()


def test_an_officer_deletes_no_factor_of_their_own(officer: Any) -> None:
    make_factor(officer, PHONE)
    assert erasing(verified(officer)).status_code == 302
    assert Factor.objects.filter(user=officer).exists()
