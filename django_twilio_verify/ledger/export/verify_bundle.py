#!/usr/bin/env python3
"""Check an evidence bundle offline: python3 verify_bundle.py bundle.zip [--key public.pem | --hmac-key HEX]

A copy of this script lies in every bundle. Take it from somewhere else (the package django-twilio-verify, or a
colleague) where you do not trust who gave you the bundle. It needs Python 3.9 or later and nothing else.

What it checks, and names where it fails:

- the signature over manifest.json;
- that every file of the manifest is there, unchanged, and no other file is;
- that each event's digest is over its canonical bytes, and fits the events that it follows from;
- that what is shown of a person is what the event committed to when it was written;
- that the words shown are the ones that the event names by digest;
- that each sealed event is in the Merkle tree (RFC 6962) of its seal, and that seals are chained and signed.

Exit status: 0 all is as it should be; 1 something is wrong; 2 nothing is wrong, but a signature could not be checked.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import io
import json
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any, Union

FORMAT = "django-twilio-verify evidence bundle"
VERSIONS = (1,)
PERSONAL_FIELDS = {1: ("recipient", "person_label", "ip", "user_agent", "page", "actor_label", "note")}
"""By record format: the fields of the personal half, in the order in which an event commits to them."""
MOST = 200
"""Lines of what is wrong that are listed."""
ED25519 = "ed25519"
HMAC = "hmac-sha256"
Row = dict[str, Any]
Point = tuple[int, int, int, int]
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


class Report:
    """What was found, in plain sentences."""

    def __init__(self) -> None:
        self.good: list[str] = []
        self.notes: list[str] = []
        self.unchecked: list[str] = []
        self.bad: list[str] = []

    def fail(self, where: str, what: str) -> None:
        if len(self.bad) < MOST:
            self.bad.append(f"{where}: {what}")
        elif len(self.bad) == MOST:
            self.bad.append(f"and more: only the first {MOST} are listed")

    @property
    def status(self) -> int:
        return 1 if self.bad else 2 if self.unchecked else 0

    def lines(self) -> Iterator[str]:
        yield from (f"ok       {line}" for line in self.good)
        yield from (f"note     {line}" for line in self.notes)
        yield from (f"UNKNOWN  {line}" for line in self.unchecked)
        yield from (f"WRONG    {line}" for line in self.bad)
        yield {
            0: "The bundle is whole and unchanged.",
            1: "DO NOT RELY on this bundle: see WRONG above.",
            2: "Nothing is wrong, but who made the bundle was not checked: see UNKNOWN above.",
        }[self.status]


# ------------------------------------------------------------------------------------------------ the container


class ZipBundle:
    """A bundle as it came."""

    def __init__(self, path: str) -> None:
        self._zip = zipfile.ZipFile(path)
        self.listed = [info.filename for info in self._zip.infolist() if not info.is_dir()]

    def open(self, name: str) -> IO[bytes]:
        return self._zip.open(name)


class FolderBundle:
    """A bundle that was unpacked."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.listed: list[str] = []
        for folder, _, files in os.walk(path):
            self.listed += [os.path.relpath(os.path.join(folder, name), path).replace(os.sep, "/") for name in files]

    def open(self, name: str) -> IO[bytes]:
        return open(os.path.join(self._path, *name.split("/")), "rb")


Bundle = Union[ZipBundle, FolderBundle]  # noqa: UP007  Python 3.9


def read(bundle: Bundle, name: str) -> bytes:
    with bundle.open(name) as file:
        return file.read()


def check_files(bundle: Bundle, manifest: Row, report: Report) -> None:
    """Each file of the manifest is there as it was; nothing else is."""
    expected = dict(manifest["files"])
    for name in sorted({name for name in bundle.listed if bundle.listed.count(name) > 1}):
        report.fail(name, "is in the bundle more than once")
    for name in sorted(set(bundle.listed) - set(expected) - {"manifest.json", "manifest.sig"}):
        report.fail(name, "is not in the manifest: an extra file")
    for name in sorted(set(expected) - set(bundle.listed)):
        report.fail(name, "is in the manifest and not in the bundle: a missing file")
    broken = len(report.bad)
    for name in sorted(set(expected) & set(bundle.listed)):
        check_file(bundle, name, expected[name], report)
    if len(report.bad) == broken:
        report.good.append(f"{len(expected)} files have the SHA-256 of the manifest")


def check_file(bundle: Bundle, name: str, expected: Row, report: Report) -> None:
    found, size = hashlib.sha256(), 0
    try:
        with bundle.open(name) as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                found.update(block)
                size += len(block)
    except UNREADABLE as error:
        report.fail(name, f"cannot be read whole ({error}): the file is truncated or damaged")
        return
    if size != expected["bytes"]:
        report.fail(name, f"has {size} bytes, the manifest says {expected['bytes']}: the file was changed")
    elif found.hexdigest() != expected["sha256"]:
        report.fail(name, "does not have the SHA-256 of the manifest: the file was changed")


# ---------------------------------------------------------------------------------------------------- signatures


class Keys:
    """The keys to check signatures with: what the command line gives, and what the bundle brings."""

    def __init__(self, bundle: Bundle, manifest: Row, given: bytes | None, secret: bytes | None) -> None:
        self._bundle, self._own = bundle, manifest.get("keys", {})
        self._given, self._secret, self._secret_id = given, secret, manifest["signature"]["key_id"]
        self.is_given = bool(given or secret)

    def check_manifest(self, content: bytes, signature: Row) -> bool | None:
        """True or False; None where there is no key to check with. ``signature``: algorithm, key_id and hex."""
        if self._given is not None:
            # A bundle that says it was signed in another way than the key that was given is a forgery.
            made = bytes.fromhex(signature["signature"])
            return signature["algorithm"] == ED25519 and ed25519_verifies(self._given, content, made)
        if self._secret is not None and signature["algorithm"] != HMAC:
            return False
        return self.check(content, signature)

    def check(self, content: bytes, signature: Row) -> bool | None:
        """The same for a seal, which may have an older key: the bundle's keys are under the manifest's signature."""
        made, key_id = bytes.fromhex(signature["signature"]), signature["key_id"]
        if signature["algorithm"] == HMAC:
            if self._secret is None or key_id != self._secret_id:
                return None
            return hmac.compare_digest(hmac_sha256(self._secret, content), made)
        if signature["algorithm"] != ED25519 or self._own.get(key_id) not in self._bundle.listed:
            return None
        return ed25519_verifies(public_key(read(self._bundle, self._own[key_id])), content, made)


def hmac_sha256(secret: bytes, content: bytes) -> bytes:
    return hmac.new(secret, content, hashlib.sha256).digest()


def public_key(pem: bytes) -> bytes:
    """The 32 bytes of an Ed25519 key in PEM (RFC 8410). Raises ValueError for anything else."""
    text = pem.decode("ascii", "replace")
    found = re.search(r"-----BEGIN PUBLIC KEY-----(.+?)-----END PUBLIC KEY-----", text, re.DOTALL)
    der = base64.b64decode("".join(found.group(1).split())) if found else b""
    if len(der) != 44 or not der.startswith(bytes.fromhex("302a300506032b6570032100")):
        raise ValueError("not an Ed25519 public key in PEM")
    return der[12:]


# Ed25519 after RFC 8032 section 5.1. Nothing here is secret, so it need not take the same time for every input.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def point_add(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_times(number: int, point: Point) -> Point:
    result = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = point_add(result, point)
        point = point_add(point, point)
        number >>= 1
    return result


def recover_x(y: int, sign: int) -> int | None:
    """The x of a point, None where there is none."""
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != sign else x


def point_from(data: bytes) -> Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = recover_x(BASE_Y, 0) or 0
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def ed25519_verifies(key: bytes, content: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (64 bytes) over ``content`` was made with the private half of ``key`` (32 bytes)."""
    if len(signature) != 64 or len(key) != 32:
        return False
    signer, r = point_from(key), point_from(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if signer is None or r is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + content).digest(), "little") % ORDER
    left, right = point_times(s, BASE), point_add(r, point_times(h, signer))
    same_x = (left[0] * right[2] - right[0] * left[2]) % P == 0
    return same_x and (left[1] * right[2] - right[1] * left[2]) % P == 0


def check_manifest_signature(bundle: Bundle, content: bytes, manifest: Row, keys: Keys, report: Report) -> None:
    signature = dict(manifest["signature"])
    try:
        signature["signature"] = read(bundle, "manifest.sig").hex()
    except (KeyError, FileNotFoundError):
        report.fail("manifest.sig", "is missing: the bundle is not signed")
        return
    fits = keys.check_manifest(content, signature)
    name = f"{signature['algorithm']}, key {signature['key_id']!r}"
    if fits is None:
        report.unchecked.append(f"manifest.sig: no key to check the signature with ({name})")
    elif not fits:
        report.fail("manifest.sig", f"the signature does not fit manifest.json ({name}): wrong key, or changed")
    else:
        report.good.append(f"the signature fits manifest.json ({name})")
        if not keys.is_given:
            file = manifest["keys"][signature["key_id"]]
            digest = hashlib.sha256(read(bundle, file)).hexdigest()
            report.notes.append(f"the key came with the bundle: compare its file {file} with what its owner publishes")
            report.notes.append(f"the SHA-256 of {file} is {digest}")


# ------------------------------------------------------------------------------------------------- seals and events


def canonical_json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256_hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def json_lines(bundle: Bundle, name: str) -> Iterator[Row]:
    with bundle.open(name) as file, io.TextIOWrapper(file, encoding="utf-8", newline="\n") as text:
        for line in text:
            yield json.loads(line)


def check_seals(bundle: Bundle, keys: Keys, report: Report) -> dict[int, Row]:
    """The seals by number, each checked by itself and against the one before."""
    seals: dict[int, Row] = {}
    before: tuple[int, str] | None = None
    unsigned: list[int] = []
    for row in json_lines(bundle, "seals.jsonl"):
        content = json.loads(row["canonical"])
        where = f"seals.jsonl: seal {content['number']}"
        if sha256_hex(row["canonical"].encode()) != row["digest"]:
            report.fail(where, "its digest is not over its bytes: the seal was changed")
        if before and (content["number"], content["previous_digest"]) != before:
            report.fail(where, "does not follow from the seal before it: the chain is broken")
        fits = keys.check(row["canonical"].encode(), row)
        if fits is False:
            report.fail(where, f"its signature does not fit (key {row['key_id']!r}): wrong key, or changed")
        # A good signature vouches for all seals before it: each names the digest of the one before.
        unsigned = [] if fits else [*unsigned, content["number"]] if fits is None else unsigned
        before = (content["number"] + 1, row["digest"])
        seals[content["number"]] = content
    if unsigned:
        report.unchecked.append(f"seals.jsonl: no key to check the signatures from seal {unsigned[0]} on with")
    if seals:
        report.good.append(f"{len(seals)} seals read, number {min(seals)} to {max(seals)}")
    return seals


def included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether ``path`` leads from ``leaf`` to ``root`` (RFC 9162 section 2.1.3.2; all bytes)."""
    if not 0 <= index < size:
        return False
    node, last = hashlib.sha256(b"\0" + leaf).digest(), size - 1
    for sibling in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            node = hashlib.sha256(b"\1" + sibling + node).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\1" + node + sibling).digest()
        index, last = index >> 1, last >> 1
    return last == 0 and node == root


def commitment(version: int, personal: Row) -> str:
    """What an event commits to of its personal half: one salted digest a field, and one over those."""
    salt, parts = bytes.fromhex(personal["salt"]), b""
    for name in PERSONAL_FIELDS[version]:
        field_salt = hmac_sha256(salt, name.encode())
        parts += hmac_sha256(field_salt, (personal[name] or "").encode())
    return sha256_hex(parts)


class Events:
    """Checks evidence.jsonl line by line and counts. Memory: the digests of disclosures, nothing of events."""

    def __init__(self, bundle: Bundle, seals: dict[int, Row], report: Report) -> None:
        self.bundle, self.seals, self.report = bundle, seals, report
        self.counts = dict.fromkeys(("events", "sends", "erased", "withheld", "unsealed"), 0)
        self.disclosures: set[str] = set()

    def check(self) -> None:
        for number, row in enumerate(json_lines(self.bundle, "evidence.jsonl"), 1):
            where = f"evidence.jsonl line {number} (event {row.get('event', '?')})"
            self.counts["events"] += 1
            self.counts["sends"] += len(row["sends"])
            content = self.event(where, row)
            self.personal(where, row, content)
            self.proof(where, row)
            if content["disclosure"]:
                self.disclosures.add(content["disclosure"])

    def event(self, where: str, row: Row) -> Row:
        content: Row = json.loads(row["canonical"])
        if sha256_hex(row["canonical"].encode()) != row["digest"]:
            self.report.fail(where, "its digest is not over its canonical bytes: the event was edited")
        if canonical_json(content) != row["canonical"].encode():
            self.report.fail(where, "its bytes are not in canonical form")
        return content

    def personal(self, where: str, row: Row, content: Row) -> None:
        if row["personal"] is None:
            self.counts[row["personal_state"]] += 1
        elif content["record_version"] not in PERSONAL_FIELDS:
            self.report.fail(where, f"has record format {content['record_version']}, which this script does not know")
        elif commitment(content["record_version"], row["personal"]) != content["commitment"]:
            self.report.fail(where, "the personal half is not what the event committed to: it was edited")

    def proof(self, where: str, row: Row) -> None:
        proof = row["proof"]
        if proof is None:
            self.counts["unsealed"] += 1
            return
        seal = self.seals.get(proof["seal"])
        if seal is None:
            self.report.fail(where, f"seal {proof['seal']} is not in the bundle")
            return
        path = [bytes.fromhex(step) for step in proof["path"]]
        leaf, root = bytes.fromhex(row["digest"]), bytes.fromhex(seal["root"])
        if seal["count"] != proof["size"] or not included(leaf, proof["index"], proof["size"], path, root):
            self.report.fail(where, f"is not in seal {proof['seal']}: the event was edited, or the proof")


def check_disclosures(bundle: Bundle, digests: set[str], report: Report) -> None:
    """The words named by events are there, and each file holds the words that it is named after."""
    named = {name: name[len("disclosures/") : -len(".json")] for name in bundle.listed if is_disclosure(name)}
    for digest in sorted(digests - set(named.values())):
        report.fail(f"disclosures/{digest}.json", "is missing: events name these words")
    for name, digest in sorted(named.items()):
        if sha256_hex(read(bundle, name)) != digest:
            report.fail(name, "does not hold the words that it is named after: the disclosure was swapped or edited")


def is_disclosure(name: str) -> bool:
    return name.startswith("disclosures/") and name.endswith(".json")


# ----------------------------------------------------------------------------------------------------------- all of it


def verify(path: str, pem: bytes | None = None, secret: bytes | None = None) -> Report:
    """Check the bundle at ``path``: a zip, or the folder it was unpacked to. ``pem``: bytes; ``secret``: bytes."""
    report = Report()
    try:
        bundle = FolderBundle(path) if os.path.isdir(path) else ZipBundle(path)
    except UNREADABLE as error:
        report.fail(os.path.basename(path), f"is not a whole zip file ({error}): truncated or damaged")
        return report
    try:
        content = read(bundle, "manifest.json")
        manifest = read_manifest(content)
    except (KeyError, FileNotFoundError):
        report.fail("manifest.json", "is missing: not a bundle, or not all of it")
    except (ValueError, *UNREADABLE) as error:
        report.fail("manifest.json", f"cannot be read ({error})")
    else:
        check_all(bundle, content, manifest, Keys(bundle, manifest, public_key(pem) if pem else None, secret), report)
    return report


def read_manifest(content: bytes) -> Row:
    """The manifest in ``content``. Raises ValueError for what is none."""
    manifest: Row = json.loads(content)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError("not the manifest of an evidence bundle")
    if manifest.get("version") not in VERSIONS:
        raise ValueError(f"format version {manifest.get('version')!r}, which this script does not know")
    if not {"files", "counts", "signature", "keys"} <= set(manifest):
        raise ValueError("parts of it are missing")
    return manifest


def check_all(bundle: Bundle, content: bytes, manifest: Row, keys: Keys, report: Report) -> None:
    try:
        check_files(bundle, manifest, report)
        check_manifest_signature(bundle, content, manifest, keys, report)
        check_content(bundle, manifest, keys, report)
    except (KeyError, ValueError, TypeError, AttributeError, *UNREADABLE) as error:
        # What a changed file holds may be anything; check_files has named it.
        report.fail("contents", f"cannot be read ({type(error).__name__}: {error})")


def check_content(bundle: Bundle, manifest: Row, keys: Keys, report: Report) -> None:
    seals = check_seals(bundle, keys, report)
    events = Events(bundle, seals, report)
    events.check()
    check_disclosures(bundle, events.disclosures, report)
    for name, found in events.counts.items():
        if manifest["counts"][name] != found:
            report.fail("manifest.json", f"says {manifest['counts'][name]} {name}, evidence.jsonl has {found}")
    count = events.counts
    report.good.append(f"{count['events']} events read, {count['sends']} sends that relied on them")
    if count["erased"]:
        report.notes.append(f"{count['erased']} events are erased: who it was is gone, that it happened still holds")
    if count["withheld"]:
        report.notes.append(f"{count['withheld']} events were said by a holder of the address: who is not shown")
    if count["unsealed"]:
        report.notes.append(f"{count['unsealed']} events are under no seal yet: only the signature dates them")


def hmac_secrets(text: str | None) -> list[bytes | None]:
    """Return what ``--hmac-key`` may mean: the setting's own text, which is taken as it is, or the secret in hex."""
    if not text:
        return [None]
    try:
        return [text.encode(), bytes.fromhex(text)]
    except ValueError:
        return [text.encode()]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check an evidence bundle offline.")
    parser.add_argument("bundle", help="the zip, or the folder it was unpacked to")
    parser.add_argument("--key", metavar="FILE", help="public key (PEM) that the bundle must be signed with")
    parser.add_argument("--hmac-key", metavar="HEX", help="secret key, as in the setting or in hex")
    options = parser.parse_args(arguments)
    try:
        with open(options.key or os.devnull, "rb") as file:
            pem = file.read()
        if options.key:
            public_key(pem)
    except (OSError, ValueError) as error:
        parser.error(f"the key cannot be read: {error}")
    for secret in hmac_secrets(options.hmac_key):
        report = verify(options.bundle, pem or None, secret)
        if not report.status:
            break
    for line in report.lines():
        print(line)
    return report.status


if __name__ == "__main__":
    sys.exit(main())
