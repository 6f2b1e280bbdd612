"""The place that a verification occupies while it is pending: the unique column by which there is one of each."""

from __future__ import annotations

import hashlib

from ..conf import fingerprints
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..ledger.persons import Person, session_fingerprints


def slot_keys(person: Person, client: ClientInfo, *what: str, recipient: Recipient | None = None) -> list[str]:
    """The place of ``what``, wanted by ``person`` in the session of ``client``, for ``recipient`` if it goes to one.

    A digest, so that it fits a unique index. Under every fingerprint key, newest first: the first one is written, and
    one that was taken before a rotation stays taken.
    """
    sides = [person.fingerprints, session_fingerprints(client)]
    if recipient is not None:
        sides.append(fingerprints(recipient))
    return [hashlib.sha256("\0".join((*prints, *what)).encode()).hexdigest() for prints in zip(*sides, strict=True)]
