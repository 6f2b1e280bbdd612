"""Each way to tamper with the ledger, done for real, and what is said of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from django_twilio_verify.choices import Channel
from django_twilio_verify.ledger import disclosure_text, seal_records, sealing
from django_twilio_verify.models import ConsentEvent, ConsentEvidence, ConsentSeal, Disclosure
from tests.support.seals import Sealed, findings, forge, redigest, remove, rewrite, seal, swap, write

pytestmark = pytest.mark.django_db

Found = set[tuple[str, int | None, int | None]]
Deed = Callable[[Sealed], Found]


def edit_a_field(at: Sealed) -> Found:
    rewrite(at.first[3], country="XX")
    return {("event_changed", at.first[3], None)}


def edit_an_unsealed_one(at: Sealed) -> Found:
    rewrite(at.loose[0], event="withdrawn")
    return {("event_changed", at.loose[0], None)}


def edit_a_field_and_its_digest(at: Sealed) -> Found:
    rewrite(at.first[3], country="XX")
    redigest(at.first[3])
    return {("seal_not_over", None, 1)}


def edit_only_the_digest(at: Sealed) -> Found:
    rewrite(at.first[3], digest="0" * 64)
    return {("event_changed", at.first[3], None), ("seal_not_over", None, 1)}


def put_nonsense_for_a_digest(at: Sealed) -> Found:
    rewrite(at.first[3], digest="nonsense")
    return {("event_changed", at.first[3], None), ("seal_not_over", None, 1)}


def edit_the_words_shown(at: Sealed) -> Found:
    Disclosure.objects.update(checkbox_label="I agree to everything.")
    return {("disclosure_changed", None, None)}


def edit_the_words_shown_and_their_digest(at: Sealed) -> Found:
    shown = Disclosure.objects.get()
    shown.text = "We will send you offers."
    digest = disclosure_text.Disclosure(
        Channel(shown.channel),
        shown.language,
        (shown.text,),
        shown.checkbox_label,
        shown.terms_url,
        shown.privacy_url,
    ).digest
    Disclosure.objects.update(text=shown.text, digest=digest)
    return {("event_changed", number, None) for number in at.first + at.second + at.loose}


def edit_the_personal_half(at: Sealed) -> Found:
    ConsentEvidence.objects.filter(event_id=at.second[0]).update(recipient="+15017122999")
    return {("evidence_changed", at.second[0], None)}


def edit_the_salt(at: Sealed) -> Found:
    ConsentEvidence.objects.filter(event_id=at.second[0]).update(salt="no hex")
    return {("evidence_changed", at.second[0], None)}


def swap_two(at: Sealed) -> Found:
    swap(at.first[1], at.first[5])
    return {("events_swapped", at.first[1], 1)}


def swap_two_across_seals(at: Sealed) -> Found:
    swap(at.first[1], at.second[1])
    return {("seal_not_over", None, 1), ("seal_not_over", None, 2)}


def delete_the_newest_sealed(at: Sealed) -> Found:
    remove(at.second[2])
    return {("event_missing", at.second[2], 2), ("seal_not_over", None, 2)}


def delete_one_in_the_middle(at: Sealed) -> Found:
    remove(at.first[3])
    return {("event_missing", at.first[3], 1), ("seal_not_over", None, 1)}


def delete_the_oldest(at: Sealed) -> Found:
    remove(at.first[0])
    return {("event_missing", at.first[0], 1), ("seal_not_over", None, 1)}


def delete_two_apart(at: Sealed) -> Found:
    remove(at.first[2], at.first[5])
    return {("event_missing", at.first[2], 1), ("event_missing", at.first[5], 1), ("seal_not_over", None, 1)}


def delete_all_of_a_seal(at: Sealed) -> Found:
    remove(*at.first)
    return {("event_missing", at.first[0], 1), ("seal_not_over", None, 1)}


def delete_the_newest_unsealed(at: Sealed) -> Found:
    remove(at.loose[1])
    # Only SQLite's counter tells it from a write that was rolled back: elsewhere it is a note.
    return {("tail_lost", at.loose[1], None)} if connection.vendor == "sqlite" else set()


def insert_one_back_dated(at: Sealed) -> Found:
    moment = ConsentEvent.objects.get(pk=at.first[0]).occurred_at - timedelta(days=30)
    made = forge(None, at.loose[0], occurred_at=moment)
    return {("event_backdated", made, None)}


def insert_one_back_dated_and_seal_it(at: Sealed) -> Found:
    moment = ConsentEvent.objects.get(pk=at.first[0]).occurred_at - timedelta(days=30)
    made = forge(None, at.loose[0], occurred_at=moment)
    seal()
    return {("event_backdated", made, None)}


def insert_one_in_front(at: Sealed) -> Found:
    # Not 0, which on MariaDB means the next number.
    made = forge(-1, at.loose[0], country="XX")
    return {("event_inserted", made, None)}


def rewrite_a_seal(at: Sealed) -> Found:
    ConsentSeal.objects.filter(number=1).update(root="0" * 64)
    return {("seal_changed", None, 1), ("signature_wrong", None, 1), ("seal_not_over", None, 1)}


def rewrite_a_seal_and_its_digest(at: Sealed) -> Found:
    ConsentSeal.objects.filter(number=1).update(root="0" * 64)
    changed = ConsentSeal.objects.get(number=1)
    ConsentSeal.objects.filter(number=1).update(digest=seal_records.digest(changed))
    return {("signature_wrong", None, 1), ("chain_broken", None, 2), ("seal_not_over", None, 1)}


def make_a_seal_say_nothing(at: Sealed) -> Found:
    ConsentSeal.objects.filter(number=1).update(gaps="x")
    return {("seal_changed", None, 1), ("signature_wrong", None, 1)}


def sign_with_another_key(at: Sealed) -> Found:
    ConsentSeal.objects.filter(number=2).update(key_id="k9")
    return {("seal_changed", None, 2), ("key_unknown", None, 2)}


def break_a_signature(at: Sealed) -> Found:
    ConsentSeal.objects.filter(number=2).update(signature="no hex")
    return {("signature_wrong", None, 2)}


def delete_a_seal_in_the_middle(at: Sealed) -> Found:
    ConsentSeal.objects.filter(number=1)._raw_delete("default")
    return {("seal_missing", None, 1)}


def delete_the_last_seal(at: Sealed) -> Found:
    ConsentSeal.objects.filter(number=2)._raw_delete("default")
    # As with events; --expect-seal tells it everywhere.
    return {("seals_lost", None, None)} if connection.vendor == "sqlite" else set()


DEEDS: list[Deed] = [
    edit_a_field,
    edit_an_unsealed_one,
    edit_a_field_and_its_digest,
    edit_only_the_digest,
    put_nonsense_for_a_digest,
    edit_the_words_shown,
    edit_the_words_shown_and_their_digest,
    edit_the_personal_half,
    edit_the_salt,
    swap_two,
    swap_two_across_seals,
    delete_the_newest_sealed,
    delete_one_in_the_middle,
    delete_the_oldest,
    delete_two_apart,
    delete_all_of_a_seal,
    delete_the_newest_unsealed,
    insert_one_back_dated,
    insert_one_back_dated_and_seal_it,
    insert_one_in_front,
    rewrite_a_seal,
    rewrite_a_seal_and_its_digest,
    make_a_seal_say_nothing,
    sign_with_another_key,
    break_a_signature,
    delete_a_seal_in_the_middle,
    delete_the_last_seal,
]


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_what_was_done_is_named(sealed: Sealed, deed: Deed) -> None:
    expected = deed(sealed)
    assert findings() == expected
    told = io.StringIO()
    if expected:
        with pytest.raises(CommandError) as caught:
            call_command("check_ledger", stdout=told, stderr=io.StringIO())
        assert caught.value.returncode == 1
    else:
        call_command("check_ledger", stdout=told)
        assert "note: The newest" in told.getvalue()
    for kind, event_id, seal_number in expected:
        lines = [line for line in told.getvalue().splitlines() if line.startswith(f"{kind}: ")]
        assert any(str(event_id or seal_number or "") in line for line in lines)


def test_an_event_put_where_a_seal_found_none_is_named(sealed: Sealed) -> None:
    gap = sealed.loose[0]
    copied = sealed.loose[1]
    remove(gap)
    seal()
    moment = ConsentEvent.objects.get(pk=sealed.first[0]).occurred_at - timedelta(days=1)
    forge(gap, copied, occurred_at=moment)
    assert findings() == {("event_inserted", gap, 3)}
    # The next seal takes it up, and so says that it was not there before.
    assert seal().late == str(gap)
    assert findings() == {("event_backdated", gap, None)}


def test_the_last_seal_is_missed_by_who_knows_it(sealed: Sealed) -> None:
    newest = ConsentSeal.objects.get(number=2)
    assert findings(expected=[newest.digest.upper()]) == set()
    ConsentSeal.objects.filter(number=2)._raw_delete("default")
    assert ("seal_lost", None, None) in findings(expected=[newest.digest])
    with pytest.raises(CommandError):
        call_command("check_ledger", "--expect-seal", newest.digest, stdout=io.StringIO())


def test_what_still_speaks_of_a_deleted_event_names_it(sealed: Sealed) -> None:
    with transaction.atomic():
        if connection.vendor == "mysql":
            connection.cursor().execute("SET foreign_key_checks = 0")
        ConsentEvent.objects.filter(pk=sealed.loose[0])._raw_delete("default")
        assert findings() == {("event_missing", sealed.loose[0], None)}
        transaction.set_rollback(True)
    if connection.vendor == "mysql":
        connection.cursor().execute("SET foreign_key_checks = 1")


def test_quick_reads_the_links_alone(sealed: Sealed) -> None:
    rewrite(sealed.first[3], country="XX")
    assert findings(contents=False) == set()
    remove(sealed.second[0])
    assert findings(contents=False) == {("event_missing", sealed.second[0], 2), ("seal_not_over", None, 2)}


def test_the_personal_halves_may_be_left_out(sealed: Sealed) -> None:
    ConsentEvidence.objects.filter(event_id=sealed.second[0]).update(recipient="+15017122999")
    assert findings(personal=False) == set()


def test_since_leaves_out_what_was_sealed_before(sealed: Sealed) -> None:
    rewrite(sealed.first[3], country="XX")
    rewrite(sealed.second[0], country="XX")
    since = ConsentSeal.objects.get(number=2).created_at
    assert findings(since=since) == {("event_changed", sealed.second[0], None)}
    told = io.StringIO()
    call_command("check_ledger", "--since", "2100-01-01", stdout=told)
    assert told.getvalue().startswith("2 events, 2 personal halves and 0 seals checked; 2 events")


def test_erasing_the_personal_half_is_no_finding(sealed: Sealed) -> None:
    ConsentEvidence.objects.filter(event_id__in=sealed.first).delete()
    tally = sealing.Verified()
    assert list(sealing.verify(tally=tally)) == []
    assert (tally.events, tally.personal_halves, tally.seals, tally.unsealed) == (12, 5, 2, 2)


def test_an_empty_ledger_holds() -> None:
    assert findings() == set()


def test_pages_do_not_show(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_twilio_verify.ledger.stream.pages.__defaults__", (2,))
    remove(sealed.first[2], sealed.first[3])
    assert findings() == {("event_missing", sealed.first[2], 1), ("seal_not_over", None, 1)}
    write(1, 50)
