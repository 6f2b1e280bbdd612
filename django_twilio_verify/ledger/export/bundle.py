"""The evidence bundle: a zip that a stranger can read, and check without the site, without Django and offline."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from django.template.loader import render_to_string

from ... import __version__
from ...conf import settings
from ...core.signing_keys import SigningKey
from ...models import ConsentEvent, ConsentSeal, Disclosure, VerificationAttempt
from .. import records, seal_records
from ..inclusion import Proof, Prover
from ..sealing import signing_key
from . import pages, verify_bundle
from .evidence import Export, Selection, chunks, count_recipients, exporting, half_of, sends
from .pages import Listed

VERSION = 1
"""Of the bundle's format."""
PAGES = 1000
"""Recipients that get a page where the selection is by period: a page each would let memory grow without end."""


def write(
    stream: BinaryIO,
    selection: Selection,
    reason: str,
    actor: str,
    *,
    pdf: bool = False,
    page_limit: int = PAGES,
) -> Export:
    """Write the bundle of ``selection`` to ``stream``, which need not be able to seek.

    ``reason``: who asked, and why; ``actor``: the name of the account or command: both go into the ``AuditEvent``, not
    into the bundle. ``pdf``: each page as PDF too (needs the extra ``pdf``). ``page_limit``: pages at most where the
    selection is by period alone. Memory does not grow with the number of events. Raises ``NothingToExport`` before
    anything is written, ``ValueError`` without reason or actor, ``ImproperlyConfigured`` without a key that signs.
    """
    key = signing_key()
    if pdf:
        pages.require_pdf()
    with exporting(stream, selection, "bundle", reason, actor) as export:
        with zipfile.ZipFile(cast(IO[bytes], export.stream), "w", zipfile.ZIP_DEFLATED) as archive:
            bundle = _Bundle(archive, export, key)
            bundle.write_evidence()
            bundle.write_disclosures()
            bundle.write_seals()
            bundle.write_pages(page_limit, pdf)
            bundle.write_guide()
            bundle.write_manifest()
        export.counts = bundle.counts
    return export


@dataclass(slots=True)
class _Bundle:
    """A bundle as it is written, member by member."""

    archive: zipfile.ZipFile
    export: Export
    key: SigningKey
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("events", "sends", "erased", "withheld", "unsealed"), 0)
    )
    disclosure_ids: set[int] = field(default_factory=set)
    signers: set[str] = field(default_factory=set)
    prover: Prover = field(default_factory=Prover)
    first_seal: int | None = None
    listed: list[Listed] = field(default_factory=list)

    @property
    def selection(self) -> Selection:
        return self.export.selection

    # ------------------------------------------------------------------------------------------- members

    @contextmanager
    def member(self, name: str) -> Iterator[_Member]:
        """A file of the zip to write to, whose digest goes into the manifest."""
        with self.archive.open(self._info(name), "w", force_zip64=True) as file:
            member = _Member(file)
            yield member
        self.files[name] = {"sha256": member.digest.hexdigest(), "bytes": member.size}

    def add(self, name: str, content: str | bytes) -> None:
        with self.member(name) as file:
            file.write(content.encode() if isinstance(content, str) else content)

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self.export.made_at.timetuple()[:6])
        info.compress_type = zipfile.ZIP_DEFLATED
        return info

    # -------------------------------------------------------------------------------------------- content

    def write_evidence(self) -> None:
        with self.member("evidence.jsonl") as file:
            for events in chunks(self.selection):
                ids = [event.pk for event in events]
                relied, proofs = sends(ids), self.prover.proofs(ids)
                for event in events:
                    file.write(self._line(event, relied.get(event.pk, []), proofs.get(event.pk)))
                self.export.rows += len(events)
        self.counts["recipients"] = count_recipients(self.selection)

    def _line(self, event: ConsentEvent, relied: list[VerificationAttempt], proof: Proof | None) -> bytes:
        personal, state = self._personal(event)
        self._count(event, relied, proof, state)
        row = {
            "event": event.pk,
            "digest": event.digest,
            "canonical": _canonical(event),
            "personal": personal,
            "personal_state": state,
            "sends": [_send(attempt) for attempt in relied],
            "proof": _proof(proof),
        }
        return _json(row) + b"\n"

    def _count(self, event: ConsentEvent, relied: list[VerificationAttempt], proof: Proof | None, state: str) -> None:
        self.counts["events"] += 1
        self.counts["sends"] += len(relied)
        self.counts["unsealed"] += proof is None
        if state != "shown":
            self.counts[state] += 1
        if event.disclosure_id:
            self.disclosure_ids.add(event.disclosure_id)
        if proof is not None:
            self.first_seal = min(self.first_seal or proof.seal_number, proof.seal_number)

    def _personal(self, event: ConsentEvent) -> tuple[dict[str, str | None] | None, str]:
        """The personal half with its salt, and whether it is shown, erased or withheld."""
        half = half_of(event)
        if half is None:
            return None, "erased"
        # SECURITY: without the salt nobody can try numbers against the commitment.
        if self.selection.withholds(event):
            return None, "withheld"
        return {"salt": half.salt} | {name: getattr(half, name) for name in records.EVIDENCE_FIELDS}, "shown"

    def write_disclosures(self) -> None:
        ids = sorted(self.disclosure_ids)
        for start in range(0, len(ids), 500):
            for disclosure in Disclosure.objects.filter(pk__in=ids[start : start + 500]).order_by("pk"):
                self.add(f"disclosures/{disclosure.digest}.json", _words(disclosure))
                shown = render_to_string("twilio_verify/evidence/disclosure.txt", {"disclosure": disclosure})
                self.add(f"disclosures/{disclosure.digest}.txt", shown)
        self.counts["disclosures"] = len(ids)

    def write_seals(self) -> None:
        """The seals from the oldest that is needed to the newest: each vouches for the ones before."""
        self.counts["seals"] = 0
        with self.member("seals.jsonl") as file:
            for seal in self._seals():
                self.counts["seals"] += 1
                self.signers.add(seal.key_id)
                file.write(_seal_line(seal))

    def _seals(self) -> Iterable[ConsentSeal]:
        last = (self.first_seal or 1) - 1
        while self.first_seal is not None:
            some = list(seal_records.seals().filter(number__gt=last)[:500])
            yield from some
            if not some:
                return
            last = some[-1].number

    # ---------------------------------------------------------------------------------------------- pages

    def write_pages(self, limit: int, pdf: bool) -> None:
        for number, page in enumerate(pages.of(self.selection, self.export.made_at, self.prover, limit), 1):
            name = f"recipients/{number:04}"
            html = pages.rendered(page)
            self.add(f"{name}.html", html)
            if pdf:
                self.add(f"{name}.pdf", pages.as_pdf(html))
            self.listed.append(page.listed(f"{name}.html"))
        self.counts["pages"] = len(self.listed)
        self.add("index.html", pages.index(self.listed, self._facts()))

    def _facts(self) -> dict[str, Any]:
        return {
            "made_at": pages.shown_time(self.export.made_at),
            "filter": self.selection.described,
            "counts": self.counts,
            "nothing_on": pages.nothing_on(self.selection),
            "tool": _tool(),
            "key": self.key,
            "key_file": _key_file(self.key.id),
            "is_hmac": not self.key.public_pem,
        }

    def write_guide(self) -> None:
        self.add("README.txt", render_to_string("twilio_verify/evidence/README.txt", self._facts()))
        self.add("verify_bundle.py", Path(verify_bundle.__file__).read_bytes())

    # ------------------------------------------------------------------------------------------- manifest

    def write_manifest(self) -> None:
        keys = self._write_keys()
        content = {
            "format": verify_bundle.FORMAT,
            "version": VERSION,
            "tool": _tool(),
            "made_at": records.timestamp(self.export.made_at),
            "filter": self.selection.described,
            "counts": self.counts,
            "files": self.files,
            "keys": keys,
            "signature": {"algorithm": self.key.algorithm, "key_id": self.key.id},
        }
        encoded = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).encode()
        self.archive.writestr(self._info("manifest.json"), encoded)
        self.archive.writestr(self._info("manifest.sig"), self.key.sign(encoded))

    def _write_keys(self) -> dict[str, str]:
        """The public keys that signed the manifest and the seals, by id: the file of each."""
        written = {}
        for key in (self.key, *settings.signing_keys):
            is_wanted = key.id == self.key.id or key.id in self.signers
            if is_wanted and key.id not in written and not key.problem and (pem := key.public_pem):
                written[key.id] = _key_file(key.id)
                self.add(written[key.id], pem)
        return written


class _Member:
    """A file of the zip, with the digest and the size (bytes) of what went in."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes) -> None:
        self._file.write(content)
        self.digest.update(content)
        self.size += len(content)


def _canonical(event: ConsentEvent) -> str:
    return records.canonical(
        event,
        disclosure_digest=event.disclosure.digest if event.disclosure else "",
        previous_digest=event.previous.digest if event.previous else "",
    ).decode()


def _words(disclosure: Disclosure) -> bytes:
    """The bytes that a disclosure's digest is over (``Disclosure.digest``)."""
    names = ("channel", "language", "text", "checkbox_label", "terms_url", "terms_digest", "privacy_url")
    content = {name: getattr(disclosure, name) for name in (*names, "privacy_digest")}
    content["version"] = disclosure.record_version
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _send(attempt: VerificationAttempt) -> dict[str, Any]:
    """What is shown of a send: nothing that says to whom."""
    return {
        "attempt_sid": attempt.sid,
        "verification_sid": attempt.verification.sid,
        "channel": attempt.channel,
        "channel_used": attempt.channel_used,
        "purpose": attempt.verification.purpose,
        "status": attempt.status,
        "delivery": attempt.delivery,
        "error_code": attempt.error_code,
        "converted": attempt.converted,
        "reserved_at": records.timestamp(attempt.created_at),
        "settled_at": _moment(attempt.settled_at),
    }


def _moment(moment: datetime | None) -> str | None:
    return records.timestamp(moment) if moment else None


def _proof(proof: Proof | None) -> dict[str, Any] | None:
    if proof is None:
        return None
    return {"seal": proof.seal_number, "index": proof.index, "size": proof.size, "path": proof.path}


def _seal_line(seal: ConsentSeal) -> bytes:
    row = {
        "canonical": seal_records.canonical(seal).decode(),
        "digest": seal.digest,
        "algorithm": seal.algorithm,
        "key_id": seal.key_id,
        "signature": seal.signature,
        "timestamp_token": seal.timestamp_token,
    }
    return _json(row) + b"\n"


def _json(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()


def _key_file(key_id: str) -> str:
    """Where a key lies. Its id may be anything, and a zip knows paths."""
    return f"keys/{re.sub(r'[^A-Za-z0-9_-]', '_', key_id) or 'key'}.pem"


def _tool() -> str:
    return f"django-twilio-verify {__version__}"
