"""Proofs made chunk by chunk are the ones that a whole tree gives."""

from __future__ import annotations

import random
from typing import Any

import pytest

from django_twilio_verify.ledger import inclusion, merkle, sealing
from django_twilio_verify.ledger.export import verify_bundle
from django_twilio_verify.models import ConsentEvent, ConsentSeal
from tests.support.basics import agree, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ids(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[int]:
    settings.TWILIO_VERIFY_LIMITS = {"consent_user_day": 1000}
    monkeypatch.setattr(inclusion, "BLOCK", 4)
    ann = make_user()
    for size in (1, 4, 21, 8):
        for number in range(size):
            agree(f"+1202555{random.Random(number).randint(1000, 9999)}", user=ann, client=None)
            agree(f"+1303{ConsentEvent.objects.count():03}{number:04}", user=ann)
        sealing.seal()
    agree("+12025550000", user=ann)
    return [*ConsentEvent.objects.order_by("pk").values_list("pk", flat=True)]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_they_are_the_same_and_hold(ids: list[int], size: int) -> None:
    prover, found = inclusion.Prover(), {}
    for start in range(0, len(ids), size):
        found |= prover.proofs(ids[start : start + size])
    assert found == sealing.inclusions(ids)
    assert {*ids} - {*found} == {ids[-1]}
    digests = dict(ConsentEvent.objects.values_list("pk", "digest"))
    roots = dict(ConsentSeal.objects.values_list("number", "root"))
    for event_id, proof in found.items():
        path = [bytes.fromhex(step) for step in proof.path]
        leaf, root = bytes.fromhex(digests[event_id]), bytes.fromhex(roots[proof.seal_number])
        assert verify_bundle.included(leaf, proof.index, proof.size, path, root)
        assert not verify_bundle.included(leaf, proof.index + 1, proof.size, path, root)


def test_gaps_and_late_events_have_their_place(ids: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A seal that found numbers unused, and one that took their events up later."""
    fake = FakeBook({number: f"{number:064x}" for number in range(1, 31)})
    monkeypatch.setattr(inclusion.seal_records, "numbered", fake.numbered)
    monkeypatch.setattr(inclusion.seal_records, "chosen", fake.chosen)
    for late, first, last, gaps in [
        ("", 1, 12, "3,5-7"),
        ("3,5,6,7", 13, 30, "14"),
        ("3,5,6,7,14", 15, 14, ""),
    ]:
        covered = [int(each) for each in late.split(",") if each]
        unused = {3, 5, 6, 7} if gaps == "3,5-7" else {14} if gaps else set()
        covered += [number for number in range(first, last + 1) if number not in unused]
        entries = [bytes.fromhex(f"{number:064x}") for number in covered]
        seal = ConsentSeal(
            number=1,
            first_event=first,
            last_event=last,
            late=late,
            gaps=gaps,
            count=len(entries),
            root=merkle.root(entries).hex(),
        )
        monkeypatch.setattr(inclusion, "_reaching", lambda wanted, seal=seal: iter([seal]))
        found = inclusion.Prover().proofs(range(1, 31))
        assert {*found} == {*covered}
        for place, number in enumerate(covered):
            assert found[number].index == place
            assert [bytes.fromhex(step) for step in found[number].path] == merkle.inclusion(entries, place)


class FakeBook:
    def __init__(self, rows: dict[int, str]) -> None:
        self.rows = rows

    def numbered(self, first: int, last: int) -> Any:
        return ((number, digest) for number, digest in self.rows.items() if first <= number <= last)

    def chosen(self, ids: list[int]) -> Any:
        return ((number, self.rows[number]) for number in ids if number in self.rows)


def test_a_seal_that_no_longer_fits_proves_nothing(ids: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    honest = inclusion.seal_records.numbered

    def forged(first: int, last: int) -> Any:
        return ((number, "00" * 32 if number == ids[0] else digest) for number, digest in honest(first, last))

    monkeypatch.setattr(inclusion.seal_records, "numbered", forged)
    found = inclusion.Prover().proofs(ids)
    assert ids[0] not in found and ids[5] in found


def test_only_so_many_seals_are_kept(ids: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inclusion, "KEPT", 1)
    prover = inclusion.Prover()
    assert prover.proofs(ids) == sealing.inclusions(ids)
    assert len(prover._known) == 1
