"""What a site does whose keys do not fit the register: every state of the keys by every operation."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client, override_settings
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from django_twilio_verify import consent, verifications
from django_twilio_verify.checks import configuration
from django_twilio_verify.choices import KeyRecord
from django_twilio_verify.consent import opt_outs, self_service
from django_twilio_verify.core.derived_keys import check_value
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import KeysDoNotFit
from django_twilio_verify.factors import erasure
from django_twilio_verify.ledger import fingerprint_aliases, key_register, retention, rotation, sealing
from django_twilio_verify.ledger.addressees import Addressee
from django_twilio_verify.ledger.export import evidence
from django_twilio_verify.models import (
    ConsentEvent,
    ConsentEvidence,
    FingerprintAlias,
    LegalHold,
    RegisteredKey,
    VerificationAttempt,
)
from tests.support.basics import OTHER_PHONE, PASSWORD, PHONE, agree, make_client, make_secret, make_user
from tests.support.keys import GONE1, GONE2, K1, K2, erase, keys, opt_out, rotate, state, withdraw
from tests.support.rewind import undone

pytestmark = pytest.mark.django_db


# ------------------------------------------------------------------------------------ every state × operation


@dataclass(frozen=True)
class State:
    """``given``: the setting after k1 and then k2 wrote. ``code``: of the refusal; ``None`` where all is well, ``""``
    where the setting itself is refused. ``may_rotate``: the rotation is the cure.
    """

    given: list[Any]
    code: str | None
    may_rotate: bool = False


STATES = {
    "good": State([K2, K1], None),
    "rolled back": State([K1], "missing"),
    "older key missing": State([K2], "missing"),
    "both missing": State([("k3", make_secret("3"))], "missing"),
    "retired early": State([K2, GONE1], "retired_early", may_rotate=True),
    "newest mistyped": State([("k2", make_secret("slip")), K1], "changed"),
    "older mistyped": State([K2, ("k1", make_secret("slip"))], "changed"),
    "secrets exchanged": State([("k2", K1[1]), ("k1", K2[1])], "changed"),
    "renamed": State([("k9", K2[1]), K1], "missing"),
    "line break": State([("k2", f"{K2[1]}\n"), K1], ""),
    "blank": State([K2, ("k1", "")], ""),
    "weak": State([("k3", "a" * 32), K2, K1], ""),
    "one id twice": State([K2, K1, ("k1", make_secret("slip"))], ""),
    "one secret twice": State([("k3", K2[1]), K2, K1], ""),
    "empty list": State([], "missing"),
    "newest retired": State([("k2", "retired"), K1], ""),
}


@dataclass(frozen=True)
class World:
    user: Any
    admin: Client


def _send(world: World) -> object:
    return verifications.start(recipient=OTHER_PHONE, channel="sms", user=world.user, client=make_client())


def _send_to_somebody_new(world: World) -> object:
    agree("+15017122677", user=world.user)
    return verifications.start(recipient="+15017122677", channel="sms", user=world.user, client=make_client())


def _send_to_the_stopped(world: World) -> object:
    # Nothing is on record of this number under the keys of the site that was rolled back.
    return state(PHONE, user=world.user)


def _withdraw(world: World) -> object:
    return consent.withdraw(recipient=OTHER_PHONE, channel="sms", user=world.user, client=make_client())


def _withdraw_nothing(world: World) -> object:
    return consent.withdraw(recipient="+15017122688", channel="sms", user=world.user, client=make_client())


def _opt_out(world: World) -> object:
    return consent.opt_out(recipient=OTHER_PHONE, channel="sms", client=make_client())


def _provider_opt_out(world: World) -> object:
    return opt_outs.opted_out(
        recipient=Recipient.parse(OTHER_PHONE), channel="sms", origin="VL" + "0" * 32, received_at=timezone.now()
    )


def _stop_page(world: World) -> object:
    return self_service.channels_not_opted_out(Recipient.parse(PHONE))


def _list_of_consents(world: World) -> object:
    return consent.list_consents(world.user)


def _hold(world: World) -> object:
    return retention.hold(Addressee.of(OTHER_PHONE), reason="suit", actor="ann")


def _release(world: World) -> object:
    return retention.release(Addressee.of(OTHER_PHONE), reason="over", actor="ann")


def _erase(world: World) -> object:
    return erasure.erase(Addressee.of(OTHER_PHONE), reason="asked for", actor="ann")


def _purge(world: World) -> object:
    return retention.purge(actor="ann", days=1)


def _export(world: World) -> object:
    stream = io.BytesIO()
    selection = evidence.Selection(recipients=(Recipient.parse(OTHER_PHONE),))
    with evidence.exporting(stream, selection, "csv", "asked for", "ann"):  # type: ignore[arg-type]
        return stream


def _rotate(world: World) -> object:
    return rotation.rotate(actor="ann")


def _verify(world: World) -> object:
    if wrong := [str(one) for one in sealing.verify() if one.kind.startswith(("key_", "alias_"))]:
        raise AssertionError(wrong)
    return None


def _search(world: World) -> object:
    answer = world.admin.post("/admin/twilio_verify/consentevent/find/", {"term": PHONE}, follow=True)
    said = [str(one) for one in answer.context["messages"]]
    if said:
        raise AssertionError(said)
    return answer


def _check(world: World) -> object:
    if found := configuration.check_key_register() + configuration.check_security_settings():
        raise AssertionError([one.msg for one in found])
    return None


OPERATIONS: list[Callable[[World], object]] = [
    _send,
    _send_to_somebody_new,
    _send_to_the_stopped,
    _withdraw,
    _withdraw_nothing,
    _opt_out,
    _provider_opt_out,
    _stop_page,
    _list_of_consents,
    _hold,
    _release,
    _erase,
    _purge,
    _export,
    _rotate,
    _verify,
    _search,
    _check,
]
TOLD = (_verify, _search, _check)
"""Those that tell what is wrong instead of raising it."""


@pytest.fixture
def world() -> World:
    """k1 wrote, then k2 in front of it: of PHONE an opt-out under k2, of OTHER_PHONE a live consent under k1."""
    user = make_user()
    get_user_model().objects.create_superuser("root", password=PASSWORD)
    admin = Client()
    assert admin.login(username="root", password=PASSWORD)
    with keys(K1):
        agree(user=user)
        agree(OTHER_PHONE, user=user)
    with keys(K2, K1):
        opt_out()
    return World(user, admin)


def counts() -> list[int]:
    return [
        model._default_manager.count()
        for model in (ConsentEvent, ConsentEvidence, FingerprintAlias, LegalHold, RegisteredKey, VerificationAttempt)
    ]


@pytest.mark.parametrize("name", STATES)
def test_every_operation_is_right_or_refuses(world: World, name: str, subtests: Any) -> None:
    for operation in OPERATIONS:
        with subtests.test(operation.__name__), undone(world.admin):
            _is_right_or_refuses(world, name, operation)


def _is_right_or_refuses(world: World, name: str, operation: Callable[[World], object]) -> None:
    case, before = STATES[name], counts()
    with keys(*case.given):
        if case.code is None:
            if operation is _send_to_the_stopped:  # the stop that another key holds
                assert operation(world) == "consent_opted_out"
            else:
                operation(world)
            return
        if operation is _rotate and case.may_rotate:
            operation(world)
            return
        if operation in TOLD and not (operation is not _check and case.code == ""):
            with pytest.raises(AssertionError) as told:
                operation(world)
            assert case.code == "" or any(f"'{key_id}'" in str(told.value) for key_id in ("k1", "k2"))
        else:
            with pytest.raises(ImproperlyConfigured) as refused:
                operation(world)
            if case.code:
                assert isinstance(refused.value, KeysDoNotFit)
                assert refused.value.code == case.code
            text = str(refused.value)
            assert not any(secret in text for _, secret in (K1, K2))
    assert counts() == before


# ------------------------------------------------------------------------------------------------- the register


def test_a_key_is_registered_by_its_first_record_and_no_secret_is_kept() -> None:
    assert not RegisteredKey.objects.exists()
    with keys(K2, K1):
        agree(user=make_user())
    row = RegisteredKey.objects.get()
    assert (row.key_id, row.kind, row.check_value) == ("k2", "writes", check_value(K2[1].encode()))
    assert K2[1] not in str(vars(row))


def test_a_key_that_waits_behind_another_is_not_registered() -> None:
    user = make_user()
    with keys(K1, K2):  # the first step of a change: every process knows k2, and none writes with it
        agree(user=user)
    with keys(K1):
        assert state(user=user).startswith("live")


def test_the_register_is_append_only() -> None:
    with keys(K1):
        agree()
    for change in (
        lambda: RegisteredKey.objects.update(check_value="x"),
        lambda: RegisteredKey.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    assert RegisteredKey.objects.get().check_value == check_value(K1[1].encode())


def test_two_processes_with_two_secrets_of_one_id_do_not_both_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second registers while the first is between its look and its INSERT."""
    insert, rivals = key_register._insert, []

    def rival(key_id: str, kind: KeyRecord, value: str) -> None:
        if not rivals:
            rivals.append(value)
            insert(key_id, kind, check_value(b"the other process"))
        insert(key_id, kind, value)

    monkeypatch.setattr(key_register, "_insert", rival)
    with keys(K1), pytest.raises(KeysDoNotFit) as refused:
        agree()
    assert (rivals, refused.value.code) == ([check_value(K1[1].encode())], "changed")
    assert not ConsentEvent.objects.exists()


def test_a_process_that_is_under_way_notices_a_key_that_another_one_registers() -> None:
    user = make_user()
    with keys(K1):
        agree(user=user)
        assert state(user=user).startswith("live")
    with keys(K2, K1):  # a new deploy
        withdraw(user=user)
    with keys(K1), pytest.raises(KeysDoNotFit) as refused:  # the old process, still running
        state(user=user)
    assert (refused.value.code, refused.value.key_id) == ("missing", "k2")


def test_a_send_costs_no_statement_more(django_assert_num_queries: Any) -> None:
    user = make_user()
    with keys(K2, K1):
        agree(user=user)
        with django_assert_num_queries(1):
            assert state(user=user).startswith("live")


# ------------------------------------------------------------------------------------------ completed and lost


def test_a_rotation_that_broke_off_frees_no_key() -> None:
    users = [make_user(f"user{number}") for number in range(3)]
    with keys(K1):
        for number, user in enumerate(users):
            agree(f"+1501712266{number}", user=user)

    def stop(rotated: rotation.Rotated) -> None:
        raise KeyboardInterrupt

    with keys(K2, K1):
        with pytest.raises(KeyboardInterrupt):
            rotation.rotate(actor="ann", batch=1, progress=stop)
        assert not RegisteredKey.objects.exclude(kind="writes").exists()
    with keys(K2, GONE1), pytest.raises(KeysDoNotFit):
        state("+15017122660", user=users[0])
    with keys(K2, GONE1):
        assert rotate()[0] == 0  # the personal halves say which addresses they are
    assert RegisteredKey.objects.get(kind="rotated").key_id == "k1"


def test_a_key_that_was_rotated_away_writes_no_more() -> None:
    user = make_user()
    with keys(K1):
        agree(user=user)
    with keys(K2, K1):
        rotate()
    with keys(K1, K2), pytest.raises(KeysDoNotFit) as refused:
        agree(OTHER_PHONE, user=user)
    assert refused.value.code == "rotated_away"


def test_the_next_key_that_waits_behind_is_not_rotated_away() -> None:
    """The first step of a change puts it behind; somebody, or a timer, rotates before the second."""
    user = make_user()
    with keys(K1):
        agree(user=user)
    with keys(K1, K2):
        assert rotate()[0] == 0
    assert [*RegisteredKey.objects.values_list("key_id", "kind")] == [("k1", "writes")]
    with keys(K2, K1):
        assert state(user=user).startswith("live")
        assert rotate()[0] == 0
    with keys(K2, GONE1):
        assert state(user=user).startswith("live")


def test_nor_is_a_key_that_was_put_behind_again() -> None:
    user = make_user()
    with keys(K1):
        agree(user=user)
    with keys(K2, K1):
        agree(OTHER_PHONE, user=user)
    with keys(K1, K2):
        assert rotate()[0] == 0
        assert state(OTHER_PHONE, user=user).startswith("live")
    with keys(K2, K1):
        assert state(user=user).startswith("live")
        assert state(OTHER_PHONE, user=user).startswith("live")
    with keys(K1, GONE2):  # who gives it up for good says so
        assert rotate()[0] == 0
        assert state(OTHER_PHONE, user=user).startswith("live")


def test_what_an_older_key_writes_until_the_register_closes_it_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rival has the older key in front, and writes after all rows were counted."""
    user, original = make_user(), key_register.record_closed
    with keys(K1):
        agree(user=user)

    def rival(key_id: str) -> bool:
        with keys(K1, K2):
            opt_out(OTHER_PHONE)
        closed = original(key_id)
        with keys(K1, K2), pytest.raises(KeysDoNotFit):
            opt_out("+15017122699")
        return closed

    monkeypatch.setattr(key_register, "record_closed", rival)
    with keys(K2, K1):
        assert rotate()[0] == 0
    with keys(K2, GONE1):
        assert state(OTHER_PHONE, user=user) == "consent_opted_out"
        assert not [one.kind for one in sealing.verify() if one.kind.startswith(("key_", "alias_"))]


def test_what_it_writes_and_erases_until_then_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    original = key_register.record_closed
    with keys(K1):
        agree(user=make_user())

    def rival(key_id: str) -> bool:
        with keys(K1, K2):
            opt_out(OTHER_PHONE)
            erase(OTHER_PHONE)
        return original(key_id)

    monkeypatch.setattr(key_register, "record_closed", rival)
    with keys(K2, K1):
        status, said = rotate()
    assert (status, "k1: 1 erased suppressions" in said) == (1, True)
    with keys(K2, GONE1), pytest.raises(KeysDoNotFit) as refused:
        state(OTHER_PHONE)
    assert refused.value.code == "retired_early"


def test_a_dry_run_frees_no_key() -> None:
    with keys(K1):
        agree(user=make_user())
    with keys(K2, K1):
        rotate(dry_run=True)
    assert [*RegisteredKey.objects.values_list("key_id", "kind")] == [("k1", "writes"), ("k2", "writes")]


def test_a_lost_secret_is_given_up_by_name_and_on_record() -> None:
    user = make_user()
    with keys(K1):
        opt_out()
        erase()
        agree(OTHER_PHONE, user=user)
    with keys(K2):
        assert rotate(lost=["k1"]) == (2, keyregister_text("missing"))
    with keys(K2, GONE1):
        assert rotate()[0] == 1
        with pytest.raises(KeysDoNotFit):
            state(OTHER_PHONE, user=user)
        assert rotate(lost=["k1"], reason="the vault burnt")[0] == 0
        agree(OTHER_PHONE, user=user)
        assert state(OTHER_PHONE, user=user).startswith("live")
    assert RegisteredKey.objects.get(kind="lost").key_id == "k1"


def keyregister_text(code: str) -> str:
    return f"{KeysDoNotFit(code, 'k1')}\n"


def test_only_a_retired_key_can_be_given_up() -> None:
    with keys(K2, K1):
        assert rotate(lost=["k1"]) == (2, 'List the key first, as ("k1", "retired").\n')


# -------------------------------------------------------------------------------------- found by the address


@pytest.fixture
def stray() -> None:
    """A number in clear whose alias is gone: no fingerprint leads to it."""
    with keys(K1):
        agree(user=make_user())
    with keys(K2, K1):
        rotate()
    FingerprintAlias.objects.all().delete()


COMMANDS = {
    "erase": ["erase_recipient", PHONE, "--reason", "asked", "--by", "ann"],
    "hold": ["hold_evidence", PHONE, "--reason", "suit", "--by", "ann"],
    "export": ["export_evidence", "--recipient", PHONE, "--reason", "asked", "--by", "ann"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_number_that_no_fingerprint_leads_to_is_not_said_to_be_gone(stray: None, tmp_path: Any, name: str) -> None:
    more = ["--out", str(tmp_path / "bundle.zip")] if name == "export" else []
    with keys(K2, GONE1), pytest.raises((CommandError, KeysDoNotFit), match="still holds this address"):
        call_command(*COMMANDS[name], *more, stdout=io.StringIO(), stderr=io.StringIO())
    assert ConsentEvidence.objects.filter(recipient=PHONE).exists()
    with keys(K2, GONE1):
        rotate()  # the cure that the error names: it makes the alias again
        erase()
    assert not ConsentEvidence.objects.exists()


def test_the_cure_for_a_false_alias_loses_nothing() -> None:
    """What a process with another secret for k2 wrote, before there was a register that refuses it."""
    user = make_user()
    with keys(K1):
        agree(user=user)
        opt_out()
    wrong = ("k2", make_secret("slip"))
    with keys(wrong, K1):
        false = Recipient.parse(PHONE).fingerprint(_newest())
        true = ConsentEvent.objects.latest("pk").recipient_fingerprint
    FingerprintAlias.objects.create(current=false, earlier=true)
    with keys(K2, K1):
        assert [one.kind for one in sealing.verify() if one.is_certain] == ["alias_false"]
        assert rotate()[0] == 0
        FingerprintAlias.objects.filter(current=false).delete()
        assert [one.kind for one in sealing.verify() if one.is_certain] == []
    with keys(K2, GONE1):
        assert state(user=user) == "consent_opted_out"


def test_a_rotation_compares_rows_and_not_the_names_of_keys() -> None:
    """An event under the newest id and another secret, as of before there was a register, gets its alias too."""
    user = make_user()
    with keys(K1):
        agree(user=user)
    with keys(("k1", make_secret("slip")), ("k0", K1[1])):
        assert [*rotation._pairs_of([*_rows()], rotation.Rotated("k1", False))] == [
            (Recipient.parse(PHONE).fingerprint(_newest()), ConsentEvent.objects.get().recipient_fingerprint)
        ]


def _rows() -> list[Any]:
    columns = ("pk", "recipient_kind", "recipient_fingerprint", "evidence__recipient")
    return [*ConsentEvent.objects.values_list(*columns)]


def _newest() -> Any:
    from django_twilio_verify.conf import settings  # noqa: PLC0415  read under the keys of the caller

    return settings.fingerprint_keys[0]


# ------------------------------------------------------------------------------------------------ the check


def test_a_recipients_page_says_that_its_holds_cannot_be_known(world: World) -> None:
    with keys(K1):
        page = f"/admin/twilio_verify/consentevent/evidence/{_print_of(OTHER_PHONE)}/"
        answer = world.admin.get(page)
        assert "Key &#x27;k2&#x27; wrote" in answer.content.decode()
        before = ConsentEvidence.objects.count()
        erased = world.admin.post(f"{page}erase/", {"reason": "asked for", "confirmed": "on"}, follow=True)
        assert "Key &#x27;k2&#x27; wrote" in erased.content.decode()
    assert ConsentEvidence.objects.count() == before
    with keys(K2, K1):
        assert "wrote opt-outs" not in world.admin.get(page).content.decode()


@pytest.mark.parametrize("number", [PHONE, OTHER_PHONE])
def test_no_page_of_the_ledger_fails_over_the_keys(world: World, number: str) -> None:
    """Read from the admin's own URLs: a new page is asked as well."""
    event = ConsentEvent.objects.filter(evidence__recipient=number).first()
    assert event is not None
    posted = {"reason": "asked for", "confirmed": "on", "term": number, "recipient": number, "channels": "sms"}
    before = counts()
    asked = set()
    with keys(K1):
        for name in OWN_PAGES:
            for arguments in ((), (event.pk,), (event.recipient_fingerprint,)):
                try:
                    url = reverse(f"admin:{name}", args=arguments)
                except NoReverseMatch:
                    continue
                asked.add(name)
                for answer in (world.admin.get(url), world.admin.post(url, posted)):
                    assert answer.status_code in (200, 302, 403, 404, 405), url
    assert asked == set(OWN_PAGES)
    assert counts() == before


OWN_PAGES = [pattern.name for pattern in site.get_model_admin(ConsentEvent).get_urls() if getattr(pattern, "name", "")]


PAGES = ("", "unmask/", "export/", "erase/", "opt-out/", "release/")
POSTED = {
    "reason": "asked",
    "confirmed": "on",
    "channels": ["call"],
    "words": "Stop.",
    "came_by": "letter",
    "received_at": "2026-01-02T10:00",
}


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("page", PAGES)
def test_no_page_of_a_recipient_fails_or_does_anything_with_such_keys(world: World, page: str, method: str) -> None:
    with keys(K2, K1):
        opt_out(OTHER_PHONE, "call")
    before = counts()
    with keys(K1):
        address = f"/admin/twilio_verify/consentevent/evidence/{_print_of(OTHER_PHONE)}/{page}"
        answer = getattr(world.admin, method)(address, POSTED if method == "post" else {}, follow=True)
    assert answer.status_code in (200, 405)
    assert method == "get" or "Key &#x27;k2&#x27; wrote" in answer.content.decode()
    assert counts() == before


def _print_of(number: str) -> str:
    return Recipient.parse(number).fingerprint(_newest())


def test_plain_check_tells_and_names_the_key() -> None:
    with keys(K2, K1):
        agree(user=make_user())
    with keys(K1), pytest.raises(Exception, match=r"E023.*Key 'k2' wrote"):
        call_command("check", stdout=io.StringIO(), stderr=io.StringIO())


def test_the_check_is_silent_before_migrate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(connection.introspection), "table_names", lambda *args, **values: [])
    with keys(K2):
        assert configuration.check_key_register() == []


def test_the_check_is_silent_without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> bool:
        raise DatabaseError("no server")

    monkeypatch.setattr(key_register, "is_there", down)
    with keys(K2):
        assert configuration.check_key_register() == []


def test_a_changed_secret_key_refuses_until_it_is_listed_among_the_fallbacks() -> None:
    user = make_user()
    agree(user=user)
    with override_settings(SECRET_KEY="another"), pytest.raises(KeysDoNotFit):
        state(user=user)
    with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=["tests-only"]):
        assert state(user=user).startswith("live")


@pytest.mark.parametrize("given", [(K2, K1), (K2, GONE1)], ids=["listed", "retired"])
def test_a_number_is_found_by_an_older_keys_fingerprint_whose_evidence_is_erased(given: tuple[Any, ...]) -> None:
    """As on the page that an old event leads to: the number stands in clear in what came since, and is held."""
    user = make_user()
    with keys(K1):
        agree(user=user)
        older = _print_of(PHONE)
        erase()
    with keys(K2, K1):
        agree(user=user)
        assert rotate()[0] == 0
        retention.hold(Addressee.of(PHONE), reason="suit", actor="ann")
    with keys(*given):
        found = Addressee.by_fingerprint(older)
        assert (found.recipient, {*found.fingerprints}) == (Recipient.parse(PHONE), {older, _print_of(PHONE)})
        with pytest.raises(erasure.LegallyHeld):
            erasure.erase(found, reason="asked for", actor="ann")
    assert ConsentEvidence.objects.count() == 1


@pytest.mark.parametrize("given", [(K2, K1), (K2, GONE1)], ids=["listed", "retired"])
def test_an_older_consent_does_not_expire_for_the_newer_one_of_another_key(given: tuple[Any, ...]) -> None:
    user = make_user()
    with keys(K1):
        first = agree(user=user)
    with keys(K2, K1):
        withdraw(user=user)
        second = agree(user=user)
        assert rotate()[0] == 0
    with keys(*given):
        assert consent.expire(first) is None and state(user=user).startswith("live")
        expired = consent.expire(second)
        assert expired is not None and expired.person_fingerprint.startswith("k2.")
        assert state(user=user) == "consent_required"


def test_times_are_of_the_database() -> None:
    with keys(K1):
        agree()
    assert abs(RegisteredKey.objects.get().recorded_at - timezone.now()) < timedelta(minutes=5)
    assert fingerprint_aliases.database() == key_register.database()
