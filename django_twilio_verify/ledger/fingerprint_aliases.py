"""Every fingerprint that a recipient or a person may have in the ledger: what events are looked up by.

Under each key whose secret is listed it is computed. Under a retired key it is looked up among the aliases: one SELECT
more for each lookup, and none on a site that has retired no key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import router
from django.db.models import QuerySet

from ..conf import fingerprints, retired_key_ids, settings
from ..core.recipients import Recipient
from ..models import FingerprintAlias
from .persons import Person

Pair = tuple[str, str]
"""A fingerprint under a newer key, and the same one's under an older key."""


def of_recipient(recipient: Recipient) -> list[str]:
    """The recipient's fingerprints, the newest key's first."""
    return known(fingerprints(recipient))


def of_person(person: Person) -> list[str]:
    """The person's fingerprints, the newest key's first."""
    return known(person.fingerprints)


def known(prints: Sequence[str]) -> list[str]:
    """``prints``, and behind them those under retired keys that are of the same recipients or persons."""
    return widened(prints)[0]


def widened(*groups: Sequence[str]) -> list[list[str]]:
    """Each of ``groups`` as ``known`` would have it. One SELECT for them all."""
    earlier = _earlier(one for group in groups for one in group) if retired_key_ids() else {}
    return [list(dict.fromkeys([*group, *(old for one in group for old in earlier.get(one, ()))])) for group in groups]


def under_the_newest(prints: Iterable[str]) -> dict[str, str]:
    """Each of ``prints`` as the newest key has it, where an alias says so, else as it is. At most one SELECT."""
    asked = set(prints)
    found = dict(zip(asked, asked, strict=True))
    if len(settings.fingerprint_keys) + len(retired_key_ids()) > 1:
        newest = rows().filter(earlier__in=asked, current__startswith=f"{settings.fingerprint_keys[0].id}.")
        found |= dict(newest.values_list("earlier", "current"))
    return found


def learn(pairs: Iterable[Pair]) -> int:
    """Keep ``pairs``, and that what was an alias of the older one is an alias of the newer. How many were new.

    Two that learn the same at once do not clash. Part of the caller's transaction, if there is one.
    """
    new = missing(pairs)
    write(new)
    return len(new)


def write(pairs: Iterable[Pair]) -> None:
    """Write ``pairs``, of which some may have been written meanwhile."""
    rows().bulk_create([FingerprintAlias(current=new, earlier=old) for new, old in pairs], ignore_conflicts=True)


def missing(pairs: Iterable[Pair]) -> list[Pair]:
    """What ``learn`` would write, in order, so that no two writers wait for each other. Two SELECTs, none for none."""
    wanted = {pair for pair in pairs if pair[0] != pair[1]}
    before = _earlier(old for _, old in wanted)
    wanted |= {(new, oldest) for new, old in wanted for oldest in before.get(old, ()) if oldest != new}
    kept = rows().filter(earlier__in={old for _, old in wanted}).values_list("current", "earlier")
    return sorted(wanted - {*kept})


def rows() -> QuerySet[FingerprintAlias]:
    """Every alias, from the database that is written to: a replica that lags must not hide an opt-out."""
    return FingerprintAlias.objects.using(database())


def database() -> str:
    """Where aliases are written: beside the events."""
    return router.db_for_write(FingerprintAlias)


def _earlier(prints: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for current, earlier in rows().filter(current__in=set(prints)).order_by("pk").values_list("current", "earlier"):
        found.setdefault(current, []).append(earlier)
    return found
