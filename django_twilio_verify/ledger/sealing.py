"""Seals: checkpoints over the consent ledger, and the proofs that an event is under one.

A seal is made from what can be read at that time; nothing waits for it and it waits for nothing. An event whose
transaction ends after its number was passed is taken up by the next seal, among the ``late`` ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction
from django.db.models import Max, Q

from ..conf import settings
from ..core.signing_keys import SigningKey
from ..models import ConsentSeal
from ..models.clock import database_now
from . import seal_records
from .id_ranges import Ranges, format_list, parse_list
from .inclusion import Proof, Prover
from .integrity import Extent, Finding, Verified, verify
from .merkle import Tree
from .seal_records import canonical
from .timestamps import StampingFailed, stamp

__all__ = [
    "Extent",
    "Finding",
    "Proof",
    "Sealed",
    "SealedMeanwhile",
    "Verified",
    "canonical",
    "inclusion",
    "inclusions",
    "seal",
    "signing_key",
    "verify",
]

Progress = Callable[[int], object]
"""Called now and then with the number of events done."""


class SealedMeanwhile(Exception):
    """Another process made the seal at the same time. Nothing was written; there may be nothing left to seal."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A seal that was made. ``stamping_problem``: why it bears no time-stamp although one was wanted; else empty."""

    seal: ConsentSeal
    stamping_problem: str = ""


def seal(*, progress: Progress | None = None) -> Sealed | None:
    """Make one seal over all events since the last. Returns ``None`` where there are none.

    Memory does not grow with the number of events. Raises ``SealedMeanwhile``; ``ImproperlyConfigured`` for a key that
    cannot sign; ``ValueError`` for an event whose digest was overwritten by nonsense. An authority that gives no
    time-stamp stops nothing: see ``Sealed``.
    """
    key = signing_key()
    previous = seal_records.seals().last()
    made = _covering(previous, progress or _nothing)
    if made is None:
        return None
    made.record_version = seal_records.RECORD_VERSION
    made.algorithm, made.key_id = key.algorithm, key.id
    made.created_at = database_now(seal_records.database())
    content = canonical(made)
    made.digest, made.signature = seal_records.digest(made), key.sign(content).hex()
    # The authority is asked with no transaction open.
    made.timestamp_token, problem = _stamped(content)
    _insert(made)
    return Sealed(made, problem)


def inclusion(event_id: int) -> Proof | None:
    """The proof that the event is sealed. ``None`` where it is not yet, or where its seal holds no more."""
    return inclusions([event_id]).get(event_id)


def inclusions(event_ids: Iterable[int]) -> dict[int, Proof]:
    """The proofs of several events, by id, without those that ``inclusion`` has none for. Reads each seal once.

    Give some thousands at a time: every proof is kept, about 2 kB each under a seal over a million events. Who has many
    thousands keeps a ``inclusion.Prover``, which remembers what it read.
    """
    return Prover().proofs(event_ids)


# -------------------------------------------------------------------------------------------------- sealing


@dataclass(slots=True)
class _Range:
    """The events behind the last seal, as they are read."""

    first: int
    last: int
    tree: Tree
    gaps: Ranges = field(default_factory=Ranges)

    def read(self, progress: Progress) -> None:
        expected = self.first
        for number, digest in seal_records.numbered(self.first, self.last):
            if number != expected:
                self.gaps.add(expected, number - 1)
            self.tree.append(_leaf(number, digest))
            expected = number + 1
            if not number % seal_records.PAGE:
                progress(self.tree.size)
        if expected <= self.last:
            # The newest event was there a moment ago: somebody takes rows away while we read.
            self.gaps.add(expected, self.last)


def _leaf(number: int, digest: str) -> bytes:
    try:
        return bytes.fromhex(digest)
    except ValueError:
        raise ValueError(f"Event {number} has a digest that is none: it was changed.") from None


def _covering(previous: ConsentSeal | None, progress: Progress) -> ConsentSeal | None:
    """An unsaved seal over what came since ``previous``; ``None`` where nothing did."""
    first = previous.last_event + 1 if previous else 1
    # The end first: what is written while we read belongs to the next seal.
    last = seal_records.events().filter(pk__gte=first).aggregate(last=Max("pk"))["last"] or first - 1
    tree = Tree()
    late = []
    for number, digest in late_events():
        late.append(number)
        tree.append(_leaf(number, digest))
    span = _Range(first, last, tree)
    span.read(progress)
    progress(tree.size)
    if not tree.size:
        return None
    return ConsentSeal(
        number=previous.number + 1 if previous else 1,
        first_event=first,
        last_event=last,
        late=format_list(late),
        gaps=str(span.gaps),
        count=tree.size,
        root=tree.root().hex(),
        previous_digest=previous.digest if previous else "",
    )


def late_events() -> Iterator[tuple[int, str]]:
    """Id and digest of the events that stand where the seals so far found none, and that no seal has taken up since."""
    taken: set[int] = set()
    gaps = []
    for found, late in seal_records.seals().values_list("gaps", "late").iterator():
        gaps += list(Ranges.parse(found))
        taken.update(parse_list(late))
    for start in range(0, len(gaps), 100):
        within = Q()
        for first, last in gaps[start : start + 100]:
            within |= Q(pk__range=(first, last))
        for number, digest in seal_records.events().filter(within).order_by("pk").values_list("pk", "digest"):
            if number not in taken:
                yield number, digest


def signing_key() -> SigningKey:
    """The key that signs what is made now. Raises ``ImproperlyConfigured`` where the newest cannot."""
    key = settings.signing_keys[0]
    if key.problem:
        raise ImproperlyConfigured(f"The signing key {key.id!r} {key.problem}.")
    if not key.can_sign:
        raise ImproperlyConfigured(f"The signing key {key.id!r} is a public one: the newest must be able to sign.")
    return key


def _stamped(content: bytes) -> tuple[str, str]:
    url = settings.timestamp_url
    if not url:
        return "", ""
    try:
        return stamp(content, url), ""
    except (StampingFailed, ImproperlyConfigured) as error:
        return "", str(error)


def _insert(made: ConsentSeal) -> None:
    using = seal_records.database()
    try:
        with transaction.atomic(using=using):
            made.save(using=using, force_insert=True)
    except IntegrityError as error:
        if seal_records.seals().filter(number=made.number).exists():
            raise SealedMeanwhile("Another process made this seal.") from error
        raise


def _nothing(done: int) -> None:
    """No progress is shown."""
