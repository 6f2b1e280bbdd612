"""A new fingerprint key, the rotation, and the old key gone: consents and stops hold all the way."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import Error
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone

from django_twilio_verify import conf, consent, verifications
from django_twilio_verify.admin import search
from django_twilio_verify.checks import configuration
from django_twilio_verify.consent import importing, self_service
from django_twilio_verify.core import derived_keys
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import ConsentRequired, KeysDoNotFit, RateLimited
from django_twilio_verify.factors import erasure, own_factors
from django_twilio_verify.ledger import audit, fingerprint_aliases, retention, rotation, sealing
from django_twilio_verify.ledger.addressees import Addressee
from django_twilio_verify.ledger.export import evidence
from django_twilio_verify.models import (
    AuditEvent,
    ConsentEvent,
    ConsentEvidence,
    Factor,
    FingerprintAlias,
    LegalHold,
    Verification,
)
from django_twilio_verify.verifications import lifecycle
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PHONE,
    agree,
    last_code,
    make_client,
    make_factor,
    make_secret,
    make_user,
    release_opt_out,
)
from tests.support.keys import GONE1, GONE2, K1, K2, K3, erase, keys, opt_out, rotate, state, withdraw

pytestmark = pytest.mark.django_db


def key_ids(model: Any, field: str) -> set[str]:
    return {value.partition(".")[0] for value in model.objects.values_list(field, flat=True)}


# ------------------------------------------------------------------------------------ consent, before and after


def agreed(user: Any) -> None:
    agree(user=user)


def agreed_and_renewed(user: Any) -> None:
    agree(user=user)
    with override_settings(TWILIO_VERIFY_PROGRAM={"name": "Other words"}):
        agree(user=user)


def taken_back(user: Any) -> None:
    agree(user=user)
    withdraw(user=user)


def agreed_again(user: Any) -> None:
    taken_back(user)
    agree(user=user)


def stopped_by_the_holder(user: Any) -> None:
    agree(user=user)
    opt_out()


def stopped_without_consent(user: Any) -> None:
    opt_out()


def try_to_agree(user: Any) -> None:
    with pytest.raises(ConsentRequired):
        agree(user=user)


def stopped_and_agreed_again(user: Any) -> None:
    stopped_by_the_holder(user)
    release_opt_out()
    agree(user=user)


def void(user: Any) -> None:
    agree(user=user)
    consent.invalidate(recipient=PHONE, channel="sms", reason="changed hands")


def run_out(user: Any) -> None:
    consent.expire(agree(user=user))


def by_email(user: Any) -> None:
    agree("Ann@Example.ORG", "email", user=user)
    agree(EMAIL, "email", user=user)


def of_somebody_else(user: Any) -> None:
    agree(user=make_user("bob"))


def of_a_visitor(user: Any) -> None:
    agree(client=make_client("session-9"))


def of_two_addresses(user: Any) -> None:
    agree(user=user)
    agree(OTHER_PHONE, user=user)
    opt_out(OTHER_PHONE)


CASES = [
    agreed,
    agreed_and_renewed,
    taken_back,
    agreed_again,
    stopped_by_the_holder,
    stopped_without_consent,
    stopped_and_agreed_again,
    void,
    run_out,
    by_email,
    of_somebody_else,
    of_a_visitor,
    of_two_addresses,
]


def states(user: Any) -> dict[str, str]:
    asked = {"sms": PHONE, "call": PHONE, "other": OTHER_PHONE, "email": EMAIL}
    channels = {"other": "sms"}
    return {name: state(to, channels.get(name, name), user=user) for name, to in asked.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_consent_stands_as_it_stood_once_the_old_key_is_gone(case: Callable[[Any], None]) -> None:
    user = make_user()
    with keys(K1):
        case(user)
        before = states(user)
        listed = [(one.event.pk, one.is_live) for one in consent.list_consents(user)]
    with keys(K2, K1):
        assert states(user) == before
        rotate()
        assert states(user) == before
    with keys(K2, GONE1):
        assert states(user) == before
        assert [(one.event.pk, one.is_live) for one in consent.list_consents(user)] == listed
        assert {*sealing.verify()} == set()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_and_after_a_second_rotation(case: Callable[[Any], None]) -> None:
    user = make_user()
    with keys(K1):
        case(user)
        before = states(user)
    with keys(K2, K1):
        rotate()
    with keys(K3, K2, GONE1):
        assert states(user) == before
        rotate()
        assert states(user) == before
    with keys(K3, GONE2, GONE1):
        assert states(user) == before


@pytest.mark.parametrize("case", [taken_back, stopped_by_the_holder, void])
def test_what_comes_after_follows_from_what_the_old_key_wrote(case: Callable[[Any], None]) -> None:
    user = make_user()
    with keys(K1):
        case(user)
        stop = ConsentEvent.objects.latest("pk")
    with keys(K2, K1):
        rotate()
    with keys(K2, GONE1):
        if case is stopped_by_the_holder:
            released = release_opt_out()
            assert released is not None and released.previous == stop
            stop = released
        again = agree(user=user)
        assert again.previous == stop
        assert again.recipient_fingerprint.startswith("k2.")
        assert state(user=user) == f"live by {again.pk}"


def test_without_the_rotation_a_retired_key_sends_nothing() -> None:
    """It would find nothing, and so it refuses; or else the tests above would prove nothing."""
    user = make_user()
    with keys(K1):
        stopped_by_the_holder(user)
    with keys(K2, GONE1), pytest.raises(KeysDoNotFit) as refused:
        state(user=user)
    assert refused.value.code == "retired_early"


# --------------------------------------------------------------------------------------------- what is rewritten


def test_verifications_factors_and_holds_get_the_newest_keys_fingerprint() -> None:
    user, client = make_user(), make_client()
    with keys(K1):
        make_factor(user)
        verifications.start(recipient=PHONE, channel="sms", user=user, client=client)
        retention.hold(Addressee.of(PHONE), reason="suit", actor="ann")
        hashed = list(ConsentEvent.objects.values())
    with keys(K2, K1):
        _, said = rotate()
        assert "Put under key k2: 1 verifications, 1 factors, 1 legal holds. Aliases" in said
        assert key_ids(Verification, "recipient_fingerprint") == {"k2"}
        assert key_ids(Factor, "key") == {"k2"}
        assert key_ids(LegalHold, "recipient_fingerprint") == {"k2"}
        assert Factor.objects.get().key == conf.fingerprint(Recipient.parse(PHONE))
        assert list(ConsentEvent.objects.values()) == hashed
        with pytest.raises(erasure.LegallyHeld):
            erase()


def test_a_second_run_does_nothing() -> None:
    user = make_user()
    with keys(K1):
        make_factor(user)
    with keys(K2, K1):
        rotate(reason="k1 leaked", by="ann")
        before = list(FingerprintAlias.objects.values())
        status, said = rotate()
        assert (status, said.splitlines()[0]) == (
            0,
            "Put under key k2: 0 verifications, 0 factors, 0 legal holds. Aliases of the ledger's fingerprints: 0.",
        )
        assert list(FingerprintAlias.objects.values()) == before
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor_label, event.reason) == ("rotated", "ann", "k1 leaked")
    assert json.loads(event.details) == {"aliases": 2, "factors": 1, "holds": 0, "key": "k2", "verifications": 0}


def test_a_dry_run_tells_and_writes_nothing() -> None:
    user = make_user()
    with keys(K1):
        make_factor(user)
    with keys(K2, K1):
        status, said = rotate(dry_run=True)
        assert said.startswith("Would be put under key k2: 0 verifications, 1 factors, 0 legal holds. Aliases")
        assert (status, said.count("\n")) == (0, 1)
        assert "fingerprints: at most 3." in said
        assert key_ids(Factor, "key") == {"k1"}
    assert not FingerprintAlias.objects.exists()
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("batch_size", [1, 2, 500])
def test_batches_make_no_difference(batch_size: int) -> None:
    people = [make_user(f"user{number}") for number in range(5)]
    with keys(K1):
        for number, user in enumerate(people):
            make_factor(user, f"+1501712266{number}")
            opt_out(f"+1501712267{number}")
    with keys(K2, K1):
        assert rotate(batch_size=batch_size)[0] == 0
        assert key_ids(Factor, "key") == {"k2"}
    with keys(K2, GONE1):
        assert all(state(f"+1501712266{n}", user=user).startswith("live") for n, user in enumerate(people))
        assert {state(f"+1501712267{n}", user=people[0]) for n in range(5)} == {"consent_opted_out"}


def test_a_run_that_is_cut_short_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    people = [make_user(f"user{number}") for number in range(4)]
    with keys(K1):
        for number, user in enumerate(people):
            make_factor(user, f"+1501712266{number}")
        before = [state(f"+1501712266{n}", user=user) for n, user in enumerate(people)]
    with keys(K2, K1):
        for stop_after in range(1, 12):
            calls = []

            def stop(rotated: rotation.Rotated, calls: list[int] = calls, most: int = stop_after) -> None:
                calls.append(rotated.looked_at)
                if len(calls) == most:
                    raise KeyboardInterrupt

            with suppress(KeyboardInterrupt):
                rotation.rotate(actor="ann", batch=1, progress=stop)
        assert rotate(batch_size=1)[0] == 0
    with keys(K2, GONE1):
        assert [state(f"+1501712266{n}", user=user) for n, user in enumerate(people)] == before
    written = [json.loads(details) for details in AuditEvent.objects.values_list("details", flat=True)]
    assert sum(one["factors"] for one in written) == 4
    assert sum(one["aliases"] for one in written) == FingerprintAlias.objects.count() == 8


def test_a_factor_that_stands_under_both_keys_is_left() -> None:
    user = make_user()
    with keys(K1):
        make_factor(user)
    with keys(K2):  # a process that did not know the old key
        make_factor(user, agreed=False)
        make_factor(user, OTHER_PHONE, agreed=False)
    with keys(K1):
        other = Factor.objects.filter(recipient_value=OTHER_PHONE)
        other.update(key=conf.fingerprint(Recipient.parse(OTHER_PHONE)))
    with keys(K2, K1):
        _, said = rotate()
    assert "1 factors were left: the same person has the same address under k2 too." in said
    assert sorted(key.partition(".")[0] for key in Factor.objects.values_list("key", flat=True)) == ["k1", "k2", "k2"]


def test_keys_derived_from_the_secret_key_are_not_rotated() -> None:
    assert rotate() == (2, "Give the fingerprints a key of their own first: TWILIO_VERIFY_FINGERPRINT_KEYS.\n")


def test_from_derived_keys_to_one_of_its_own() -> None:
    """SECRET_KEY was rotated once, with a fallback, and people stopped messages before and after."""
    user = make_user()
    with override_settings(SECRET_KEY="older"):
        opt_out(OTHER_PHONE)
        erase(OTHER_PHONE)
    with override_settings(SECRET_KEY="newer", SECRET_KEY_FALLBACKS=["older"]):
        assert state(OTHER_PHONE, user=user) == "consent_opted_out"
        agree(user=user)
        opt_out(channel="call")
    newer, older = derived_keys.fingerprint_key("newer"), derived_keys.fingerprint_key("older")
    with keys(K2, newer, older), override_settings(SECRET_KEY="the one after that"):
        assert state(OTHER_PHONE, user=user) == "consent_opted_out"
        assert configuration.check_ledger_keys(databases=["default"]) == configuration.check_key_register() == []
        status, said = rotate()
        assert status == 1  # from an erased number nobody can make the new fingerprint: that key is kept
        assert f"{older[0]}: 1 erased suppressions can only be matched" in said
        assert f'{newer[0]}: may be retired, as ("{newer[0]}", "retired").' in said
    with keys(K2, (newer[0], "retired"), older), override_settings(SECRET_KEY="the one after that"):
        assert state(user=user).startswith("live")
        assert state(channel="call", user=user) == "consent_opted_out"
        assert state(OTHER_PHONE, user=user) == "consent_opted_out"


@pytest.mark.parametrize("size", [0, -1, 2001])
def test_a_batch_has_bounds(size: int) -> None:
    assert rotate(batch_size=size) == (2, "--batch-size must be from 1 to 2000.\n")


def test_somebody_does_it() -> None:
    with keys(K2, K1):
        assert rotate(by=" ")[0] == 2


# ----------------------------------------------------------------------------------------- codes under way


def test_a_code_under_way_can_be_answered_after_the_rotation() -> None:
    user, client = make_user(), make_client()
    with keys(K1):
        agree(user=user)
        started = verifications.start(recipient=PHONE, channel="sms", user=user, client=client)
    with keys(K2, K1):
        rotate()
        assert verifications.check(started.verification, code=last_code(), client=client, user=user).approved


@pytest.mark.parametrize("rotated", [False, True])
def test_a_code_under_way_is_not_sent_a_second_time_beside_itself(rotated: bool) -> None:
    user, client = make_user(), make_client()
    with keys(K1):
        agree(user=user)
        first = verifications.start(recipient=PHONE, channel="sms", user=user, client=client)
    with keys(K2, K1):
        if rotated:
            rotate()
        again = verifications.start(recipient=PHONE, channel="sms", user=user, client=client)
        assert (again.verification, again.reused) == (first.verification, True)
        with pytest.raises(RateLimited):
            lifecycle.start(recipient=PHONE, channel="sms", user=user, client=client, resend=True)
        Verification.objects.update(resend_at=timezone.now() - timedelta(seconds=1))
        resent = lifecycle.start(recipient=PHONE, channel="sms", user=user, client=client, resend=True)
        assert (resent.verification.pk, resent.verification.sends) == (first.verification.pk, 2)
        Verification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        new = verifications.start(recipient=PHONE, channel="sms", user=user, client=client)
        assert new.verification.pk != first.verification.pk
        assert Verification.objects.get(pk=first.verification.pk).pending_key is None


def test_a_code_under_way_keeps_its_key_from_being_retired() -> None:
    user, client = make_user(), make_client()
    with keys(K1):
        agree(user=user)
        verifications.start(recipient=PHONE, channel="sms", user=user, client=client)
    with keys(K2, K1):
        status, said = rotate()
        assert status == 1
        assert "k1: 1 codes are under way in sessions of key k1: run this again in an hour." in said
        Verification.objects.update(expires_at=timezone.now())
        assert rotate()[0] == 0


# ---------------------------------------------------------------------------------------------- what is erased


def test_an_erased_suppression_needs_its_key() -> None:
    user = make_user()
    with keys(K1):
        opt_out()
        agree(OTHER_PHONE, user=user)
        erase()
        erase(OTHER_PHONE)
    with keys(K2, K1):
        status, said = rotate()
        assert status == 1
        assert "k1: 1 erased suppressions can only be matched with key k1: keep it in the list.\n" in said
        assert "k1: 1 that stopped nothing are found by this key alone (1 erased recipients, 0 visitors, 0 del" in said
        assert state(user=user) == "consent_opted_out"
    with keys(K2, GONE1):
        _, said = rotate()
        assert "k1: 1 erased suppressions can only be matched with key k1: list it with its secret again.\n" in said


def test_an_erased_suppression_is_learned_when_its_address_comes_again() -> None:
    user = make_user()
    with keys(K1):
        opt_out()
        opt_out(channel="call")
        erase()
    with keys(K2, K1):
        assert state(user=user) == "consent_opted_out"
        try_to_agree(user)  # to text messages: refused, but it says whose the fingerprint is
        assert rotate()[0] == 0
    with keys(K2, GONE1):
        assert state(channel="call", user=user) == "consent_opted_out"


def test_it_is_learned_too_when_it_is_asked_for_again() -> None:
    user = make_user()
    with keys(K1):
        opt_out()
        erase()
    with keys(K2, K1):
        assert consent.opt_out(recipient=PHONE, channel="sms") is None
        assert consent.opt_out(recipient=PHONE, channel="sms") is None
        assert rotate()[0] == 0
    assert FingerprintAlias.objects.count() == 1
    with keys(K2, GONE1):
        assert state(user=user) == "consent_opted_out"


def test_an_import_does_not_undo_an_erased_suppression(tmp_path: Any) -> None:
    file = tmp_path / "consents.csv"
    file.write_text(
        f"recipient,channel,granted_at,user\n{PHONE},sms,2020-01-01,ann\n{OTHER_PHONE},sms,2020-01-01,ann\n"
    )
    user = make_user()
    with keys(K1):
        opt_out()
        agree(OTHER_PHONE, user=user)
        withdraw(OTHER_PHONE, user=user)
        erase()
    with keys(K2, K1):
        consent.opt_out(recipient=PHONE, channel="sms")
        assert rotate()[0] == 0
    with keys(K2, GONE1):
        report = importing.run(importing.Source(file, "crm", "ann", ""))
        assert (report.new, report.stopped) == (0, 2)


def test_evidence_that_is_purged_is_known_by_a_factor_with_the_same_address() -> None:
    user = make_user()
    with keys(K1):
        make_factor(user)
        opt_out()
        ConsentEvidence.objects.all().delete()
    with keys(K2, K1):
        assert rotate()[0] == 0
    with keys(K2, GONE1):
        assert state(user=user) == "consent_opted_out"


def test_what_was_learned_before_it_was_erased_stays_known() -> None:
    user = make_user()
    with keys(K1):
        opt_out()
    with keys(K2, K1):
        rotate()
        erase()
        assert rotate()[0] == 0
    with keys(K2, GONE1):
        assert state(user=user) == "consent_opted_out"
    with keys(K3, K2, GONE1):
        assert state(user=user) == "consent_opted_out"
        status, said = rotate()
        assert status == 1  # nobody knows the address, so k2 is what leads to k1
        assert "k2: 1 erased suppressions can only be matched with key k2: keep it in the list.\n" in said
        assert "k1: 1 erased suppressions" in said


def test_an_address_that_comes_again_links_every_older_key() -> None:
    user = make_user()
    with keys(K1):
        opt_out(channel="call")
    with keys(K2, K1):
        opt_out()
        rotate()
        erase()
    with keys(K3, K2, GONE1):
        try_to_agree(user)
        assert rotate()[0] == 0
    with keys(K3, GONE2, GONE1):
        assert state(channel="call", user=user) == "consent_opted_out"


def test_a_hold_on_an_erased_number_needs_its_key() -> None:
    with keys(K1):
        retention.hold(Addressee.of(PHONE), reason="suit", actor="ann")
    with keys(K2, K1):
        status, said = rotate()
        assert status == 1
        assert "k1: 1 legal holds can only be matched with key k1: keep it in the list.\n" in said
        retention.release(Addressee.of(PHONE), reason="over", actor="ann")
        assert rotate()[0] == 0


def test_visitors_are_asked_again_without_their_key() -> None:
    with keys(K1):
        agree(client=make_client("session-9"))
    with keys(K2, K1):
        assert state(client=make_client("session-9")).startswith("live")
        status, said = rotate()
        assert status == 0
        assert 'k1: may be retired, as ("k1", "retired").\nk1: 1 that stopped nothing' in said
        assert "1 visitors" in said
    with keys(K2, GONE1):
        assert state(client=make_client("session-9")) == "consent_required"


def test_consent_that_is_carried_over_makes_no_alias_of_a_visitor_and_an_account() -> None:
    user, client = make_user(), make_client()
    with keys(K1):
        agree(client=client)
        started = verifications.start(recipient=PHONE, channel="sms", client=client)
        verifications.check(started.verification, code=last_code(), client=client)
    with keys(K2, K1):
        own_factors.attach(started.verification.pk, user=user, client=client)
        recipient = Recipient.parse(PHONE).fingerprint
        assert list(FingerprintAlias.objects.values_list("current", "earlier")) == [
            tuple(recipient(key) for key in conf.settings.fingerprint_keys)
        ]


def test_a_deleted_account_is_told() -> None:
    user = make_user()
    with keys(K1):
        agree(user=user)
    user.delete()
    with keys(K2, K1):
        assert "1 deleted accounts" in rotate()[1]


# -------------------------------------------------------------------------------- search, export, erasure, holds


def retired_ledger() -> Any:
    user = make_user()
    with keys(K1):
        agree(user=user)
        opt_out()
    with keys(K2, K1):
        rotate()
    return user


def test_evidence_is_found_by_recipient_and_by_account() -> None:
    user = retired_ledger()
    with keys(K2, GONE1):
        release_opt_out()
        by_recipient = evidence.Selection(recipients=(Recipient.parse(PHONE),))
        for selection in (by_recipient, evidence.Selection.of_user(user)):
            assert sum(len(chunk) for chunk in evidence.chunks(selection)) == 3
        old = ConsentEvent.objects.first()
        assert old is not None
        assert {*Addressee.by_fingerprint(old.recipient_fingerprint).fingerprints} == {
            *Addressee.of(PHONE).fingerprints
        }


def test_erasure_finds_what_the_old_key_wrote() -> None:
    retired_ledger()
    with keys(K2, GONE1):
        erase()
    assert not ConsentEvidence.objects.exists()


def test_open_ways_and_the_list_of_consents() -> None:
    user = retired_ledger()
    with keys(K2, GONE1):
        assert "sms" not in self_service.channels_not_opted_out(Recipient.parse(PHONE))
        assert [one.is_live for one in consent.list_consents(user)] == [False]


def test_consent_that_ended_under_the_old_key_and_is_live_under_the_new_is_kept() -> None:
    user = make_user()
    with keys(K1):
        agree(user=user)
        withdraw(user=user)
    with keys(K2, K1):
        rotate()
    with keys(K2, GONE1):
        agree(user=user)
        later = timezone.now() + timedelta(days=3)
        purged = retention.Purged(before=later, dry_run=False)
        for batch in retention._batches(later):
            retention._purge_batch(batch, purged)
        assert (purged.looked_at, purged.over) == (3, 0)


def test_the_admin_leads_from_a_number_to_what_the_old_key_wrote(admin_client: Any) -> None:
    retired_ledger()
    with keys(K2, GONE1):
        assert {*search.terms_for(PHONE)} == {*Addressee.of(PHONE).fingerprints}
        assert ConsentEvent.objects.filter(search.matching(" ".join(search.terms_for("ann")))).count() == 1
        old = ConsentEvent.objects.latest("pk").recipient_fingerprint
        answer = admin_client.get(f"/admin/twilio_verify/consentevent/evidence/{old}/")
        assert "the holder opted out" in answer.content.decode()


# ------------------------------------------------------------------------------------------------- what it costs


def test_lookups_cost_nothing_more_without_a_retired_key(django_assert_num_queries: Any) -> None:
    user = make_user()
    with keys(K1):
        agree(user=user)
    with keys(K2, K1):
        opt_out(OTHER_PHONE)  # its first record registers k2
    with keys(K2, K1), django_assert_num_queries(1):
        assert state(user=user).startswith("live")
    with keys(K2, K1):
        rotate()
    with keys(K2, GONE1), django_assert_num_queries(2):
        assert state(user=user).startswith("live")


# -------------------------------------------------------------------------------------------------- the settings


def test_a_retired_key_is_no_key_to_write_or_compare_with() -> None:
    with keys(K2, GONE1):
        assert [key.id for key in conf.settings.fingerprint_keys] == ["k2"]
        assert conf.retired_key_ids() == ("k1",)
    assert conf.retired_key_ids() == ()


def said(*given: tuple[str, str]) -> list[tuple[str, str]]:
    with keys(*given):
        return [(one.id or "", one.msg) for one in configuration.check_security_settings()]


def test_the_newest_key_is_not_retired() -> None:
    text = "TWILIO_VERIFY_FINGERPRINT_KEYS begins with a retired key: the newest must have its secret."
    assert said(GONE1, K2) == [("twilio_verify.E005", text)]


@pytest.mark.parametrize("given", [(K1, GONE1), (K1, ("K1", make_secret("x"))), (K2, GONE1, GONE1)])
def test_an_id_is_given_once(given: Any) -> None:
    assert said(*given) == [("twilio_verify.E005", "TWILIO_VERIFY_FINGERPRINT_KEYS has an id twice.")]


def test_a_secret_that_is_not_set_retires_nothing() -> None:
    text = "TWILIO_VERIFY_FINGERPRINT_KEYS must be a list of (id, secret) pairs, newest first."
    assert said(K2, ("k1", None)) == [("twilio_verify.E005", text)]  # type: ignore[arg-type]
    assert said(K2, GONE1) == []


UNFIT = {
    "has a secret with blanks or a line break around it ('k1')": [
        f"{K1[1]}\n",
        f" {K1[1]}",
        f"{K1[1]}\r\n".encode(),
        f"\ufeff{K1[1]}",  # a file with a byte order mark
        f"{K1[1]}\u00a0",  # copied from a web page
        f"{K1[1]}\u200b",
        f"\u00e9{K1[1]}\n",
    ],
    "has a secret of fewer than 32 bytes ('k1')": ["", "a" * 31],
    "has a secret that repeats itself: take a random one ('k1')": ["a" * 32, "abcdefgh" * 4],
}


@pytest.mark.parametrize(("problem", "secret"), [(one, secret) for one, given in UNFIT.items() for secret in given])
def test_a_secret_that_must_not_be_used_is_refused_at_run_time(problem: str, secret: Any) -> None:
    with keys(("k1", secret)):
        with pytest.raises(ImproperlyConfigured) as refused:
            conf.settings.fingerprint_keys  # noqa: B018  reading it raises
        assert str(refused.value) == f"TWILIO_VERIFY_FINGERPRINT_KEYS {problem}."


@pytest.mark.parametrize(
    "others",
    [
        {"SECRET_KEY": K1[1]},
        {"SECRET_KEY_FALLBACKS": ["another", K1[1]]},
        {"TWILIO_VERIFY_SIGNING_KEYS": [("s1", K1[1])]},
        {"TWILIO_VERIFY_WEBHOOK": {"username": "sink", "password": K1[1]}},
        {"TWILIO_VERIFY_WEBHOOK": {"username": "sink", "password": [K2[1], K1[1]]}},
        {"TWILIO_VERIFY_BACKENDS": {"default": {"OPTIONS": {"password": K1[1]}}}},
        {"TWILIO_VERIFY_BACKENDS": {"default": {"OPTIONS": {"auth_token": [K2[1], K1[1]]}}}},
        {"TWILIO_VERIFY_BACKENDS": {"default": {"OPTIONS": {"shared_keys": {"key": K1[1]}}}}},
    ],
    ids=str,
)
def test_one_text_is_no_key_and_something_else(others: dict[str, Any]) -> None:
    with keys(K1), override_settings(**others), pytest.raises(ImproperlyConfigured, match="another setting has too"):
        conf.settings.fingerprint_keys  # noqa: B018  reading it raises


def test_random_bytes_may_begin_with_a_blank() -> None:
    with keys(("k1", b" " + bytes(range(128, 160)) + b"\n")):
        assert conf.settings.fingerprint_keys[0].id == "k1"


# ---------------------------------------------------------------------------------------- the check of the ledger


def told(*given: tuple[str, str]) -> list[tuple[str, str]]:
    with keys(*given):
        found = configuration.check_ledger_keys(databases=["default"])
    assert all(isinstance(one, Error) for one in found)
    return [(one.id or "", one.msg) for one in found]


LOST = "The consent ledger has fingerprints of key 'k1', which {} (TWILIO_VERIFY_FINGERPRINT_KEYS)."


def test_a_key_of_the_ledger_that_is_not_listed_is_an_error() -> None:
    with keys(K1):
        opt_out()
    assert told(K1) == told(K2, K1) == []
    assert told(K2) == [("twilio_verify.E021", LOST.format("is not listed"))]
    assert told(K2, GONE1) == [("twilio_verify.E021", LOST.format("was retired before they were rotated"))]
    with keys(K2, K1):
        rotate()
    assert told(K2, GONE1) == told(K2, K1) == []


def test_a_listed_key_with_another_secret_is_an_error() -> None:
    with keys(K1):
        opt_out()
    other = ("k1", make_secret("x"))
    text = LOST.format("another secret made than the one that is listed")
    assert told(other) == told(K2, other) == [("twilio_verify.E022", text)]


def test_a_changed_secret_key_is_noticed() -> None:
    opt_out()
    assert configuration.check_ledger_keys(databases=["default"]) == []
    with override_settings(SECRET_KEY="another"):
        assert [one.id for one in configuration.check_ledger_keys(databases=["default"])] == ["twilio_verify.E021"]
    with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=["tests-only"]):
        assert configuration.check_ledger_keys(databases=["default"]) == []


def test_keys_of_similar_names_are_told_apart() -> None:
    names = ["k1", "k10", "k1a", "a", "z9", "K2"]
    for number in range(len(names)):
        with keys(*((name, make_secret(name)) for name in reversed(names[: number + 1]))):
            opt_out(f"+1501712266{number}")
    with keys(("n", make_secret("n"))):
        lost = [one.msg.split("'")[1] for one in configuration.check_ledger_keys(databases=["default"])]
    assert lost == sorted(names)


def test_the_check_looks_at_no_database_that_is_not_asked_for(django_assert_num_queries: Any) -> None:
    with keys(K1):
        opt_out()
    with keys(K2), django_assert_num_queries(0):
        assert configuration.check_ledger_keys() == []
        assert configuration.check_ledger_keys(databases=["other"]) == []


def test_the_check_runs_with_manage_py_check() -> None:
    with keys(K1):
        opt_out()
    with keys(K2), pytest.raises(Exception, match="E021"):
        call_command("check", databases=["default"], tags=["database"], stderr=io.StringIO())


# -------------------------------------------------------------------------------------------- what verifying finds


def found(*given: tuple[str, str]) -> list[str]:
    with keys(*given):
        return [str(one) for one in sealing.verify() if one.is_certain]


def test_an_alias_to_somebody_elses_events_is_found() -> None:
    user = make_user()
    with keys(K1):
        agree(user=user)
        agree(OTHER_PHONE, user=user)
        opt_out(OTHER_PHONE)
    with keys(K2, K1):
        rotate()
        one, other = (conf.fingerprint(Recipient.parse(each)) for each in (PHONE, OTHER_PHONE))
    assert found(K2, GONE1) == []
    swapped = FingerprintAlias.objects.get(current=other)
    FingerprintAlias.objects.filter(pk=swapped.pk).update(earlier=FingerprintAlias.objects.get(current=one).earlier)
    assert found(K2, GONE1) == [
        f"alias_false: Alias {swapped.pk} leads to the events of another recipient.",
        "alias_missing: 1 recipients are not found any more: key 'k1' is retired, and they have no alias.",
    ]


def test_an_alias_that_is_gone_is_found() -> None:
    user = make_user()
    with keys(K1):
        agree(user=user)
        opt_out(OTHER_PHONE)
    with keys(K2, K1):
        rotate()
    FingerprintAlias.objects.all().delete()
    assert found(K2, K1) == []
    (line,) = found(K2, GONE1)
    assert line.startswith("alias_missing: 2 recipients")
    with keys(K2, GONE1):
        rotate()  # puts back those of recipients: the commitments vouch for their addresses
    assert found(K2, GONE1) == []


def test_evidence_that_was_exchanged_teaches_no_alias() -> None:
    """Or a stop could be moved to another number, by who may write to the erasable half alone."""
    with keys(K1):
        opt_out()
    ConsentEvidence.objects.update(recipient=OTHER_PHONE)
    for given in ((K2, K1), (K2, GONE1)):
        with keys(*given):
            status, text = rotate()
        assert status == 1
        assert "1 events were left: their evidence was changed. See check_ledger." in text
    assert not FingerprintAlias.objects.exists()


def test_many_that_are_known_already_are_not_written_again() -> None:
    with keys(K2, K1):
        pairs = [("k2.a", "k1.a"), ("k2.b", "k1.b"), ("k2.a", "k2.a")]
        assert fingerprint_aliases.learn(pairs) == 2
        assert fingerprint_aliases.learn(pairs) == 0
        assert fingerprint_aliases.learn([("k3.a", "k2.a")]) == 2
        assert fingerprint_aliases.learn([]) == 0
    assert audit.database() == fingerprint_aliases.database()
