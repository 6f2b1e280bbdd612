"""Seals: what they cover, who signs them, what waits for whom."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from hypothesis import given
from hypothesis import strategies as st

from django_twilio_verify.checks import configuration
from django_twilio_verify.conf import settings as ours
from django_twilio_verify.core import derived_keys
from django_twilio_verify.core.signing_keys import SigningKey
from django_twilio_verify.ledger import merkle, seal_records, sealing, timestamps
from django_twilio_verify.ledger.id_ranges import Ranges
from django_twilio_verify.models import ConsentEvent, ConsentSeal
from tests.support.basics import agree, make_client, make_secret, race
from tests.support.seals import Authority, drop_triggers, findings, remove, seal, write

_PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PRIVATE = _PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = _PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
OTHER_KIND = (
    x25519.X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
)
SECRET = make_secret("s")


def check_signing() -> list[CheckMessage]:
    """What the table of settings says, and the check of keys of one's own."""
    return [*configuration.check_security_settings(), *configuration.check_signing()]


def digests(*ids: int) -> list[bytes]:
    found = dict(ConsentEvent.objects.values_list("pk", "digest"))
    return [bytes.fromhex(found[number]) for number in ids]


# ---------------------------------------------------------------------------------------------------- one seal


@pytest.mark.django_db
def test_a_seal_covers_what_came_since_the_last() -> None:
    first = write(5)
    one = seal()
    second = write(2, 5)
    two = seal()
    assert (one.number, one.count, one.root) == (1, 5, merkle.root(digests(*first)).hex())
    assert (two.number, two.count, two.root) == (2, 2, merkle.root(digests(*second)).hex())
    assert (two.first_event, two.last_event, two.late) == (first[-1] + 1, second[-1], "")
    assert (one.previous_digest, two.previous_digest) == ("", one.digest)
    assert sealing.seal() is None
    assert findings() == set()


@pytest.mark.django_db
def test_a_seal_says_what_it_is_over_in_plain_json() -> None:
    write(1)
    made = seal()
    content = json.loads(seal_records.canonical(made))
    assert hashlib.sha256(seal_records.canonical(made)).hexdigest() == made.digest
    unsigned = {field.name for field in ConsentSeal._meta.concrete_fields}
    assert unsigned - {*content} == {"id", "digest", "signature", "timestamp_token"}
    assert ConsentSeal.objects.get().digest == seal_records.digest(ConsentSeal.objects.get())


@pytest.mark.django_db
def test_numbers_that_nobody_used_are_written_down() -> None:
    ids = write(6)
    drop_triggers()
    remove(ids[2], ids[3])
    made = seal()
    before = f"1-{ids[0] - 1}," if ids[0] > 2 else "1," if ids[0] == 2 else ""
    assert made.gaps == f"{before}{ids[2]}-{ids[3]}"
    assert made.count == 4
    assert findings() == set()


@pytest.mark.django_db
def test_every_event_has_a_proof_that_the_root_bears_out() -> None:
    ids = write(5)
    drop_triggers()
    remove(ids[2])
    seal()
    ids += write(3, 5)
    made = seal()
    loose = write(1, 9)
    proofs = sealing.inclusions([*ids, *loose, 10**9])
    assert {*proofs} == {*ids} - {ids[2]}
    assert proofs[ids[-1]].seal_number == made.number
    roots = {each.number: bytes.fromhex(each.root) for each in ConsentSeal.objects.all()}
    for number, proof in proofs.items():
        path = [bytes.fromhex(one) for one in proof.path]
        root = roots[proof.seal_number]
        assert merkle.verify_inclusion(digests(number)[0], proof.index, proof.size, path, root)
        assert sealing.inclusion(number) == proof
    assert sealing.inclusions([]) == {}


@pytest.mark.django_db
def test_there_is_no_proof_under_a_seal_that_holds_no_more() -> None:
    ids = write(3)
    seal()
    drop_triggers()
    remove(ids[0])
    assert sealing.inclusion(ids[1]) is None
    ConsentEvent.objects.filter(pk=ids[2]).update(digest="nonsense")
    assert sealing.inclusion(ids[1]) is None


@pytest.mark.django_db
def test_nonsense_is_not_sealed() -> None:
    ids = write(2)
    drop_triggers()
    ConsentEvent.objects.filter(pk=ids[1]).update(digest="nonsense")
    with pytest.raises(CommandError, match=f"Event {ids[1]} "):
        call_command("seal_ledger", stdout=io.StringIO())


@given(st.sets(st.integers(1, 40)))
def test_ranges_are_written_and_read(numbers: set[int]) -> None:
    made = Ranges()
    for number in sorted(numbers):
        made.add(number, number)
    again = Ranges.parse(str(made))
    assert [number for number in range(50) if number in again] == sorted(numbers)
    assert len(again) == len(numbers)
    assert all(again.meets(5, last) == any(5 <= one <= last for one in numbers) for last in range(5, 50))
    assert all(again.below(limit) == len([one for one in numbers if one < limit]) for limit in range(50))


@pytest.mark.parametrize("text", ["x", "3,2", "5-4", "1,,2", "2,2"])
def test_what_are_no_ranges_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Ranges.parse(text)


# ------------------------------------------------------------------------------------------------- signatures


@pytest.mark.django_db
@pytest.mark.parametrize("secret", [PRIVATE, PRIVATE.replace("\n", "\n    "), PRIVATE.encode()])
def test_an_ed25519_key_signs_so_that_openssl_agrees(settings: Any, tmp_path: Path, secret: Any) -> None:
    settings.TWILIO_VERIFY_SIGNING_KEYS = [("k1", secret)]
    write(2)
    made = seal()
    assert (made.algorithm, made.key_id, len(made.signature)) == ("ed25519", "k1", 128)
    assert findings() == set()
    for name, content in (
        ("seal.json", seal_records.canonical(made)),
        ("seal.sig", bytes.fromhex(made.signature)),
        ("key.pem", ours.signing_keys[0].public_pem.encode()),
    ):
        (tmp_path / name).write_bytes(content)
    command = "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in seal.json -sigfile seal.sig"
    done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)
    assert "Signature Verified Successfully" in done.stdout


@pytest.mark.django_db
def test_a_retired_key_goes_on_checking_by_its_public_half(settings: Any) -> None:
    settings.TWILIO_VERIFY_SIGNING_KEYS = [("k1", PRIVATE)]
    write(1)
    seal()
    settings.TWILIO_VERIFY_SIGNING_KEYS = [("k2", SECRET), ("k1", PUBLIC)]
    write(1, 1)
    assert seal().algorithm == "hmac-sha256"
    assert findings() == set()
    settings.TWILIO_VERIFY_SIGNING_KEYS = [("k2", make_secret("t")), ("k1", PUBLIC)]
    assert findings() == {("signature_wrong", None, 2)}


def unchecked() -> list[tuple[bool, str]]:
    """What is said of seals whose key is not listed: whether it counts, and the words."""
    return [(one.is_certain, one.text) for one in sealing.verify() if one.kind == "key_unknown"]


@pytest.mark.django_db
def test_a_dropped_key_leaves_seals_that_a_later_one_covers(settings: Any) -> None:
    for number, key in enumerate(("k1", "k1", "k2", "k3")):
        settings.TWILIO_VERIFY_SIGNING_KEYS = [(key, make_secret(key))]
        write(1, number)
        seal()
    settings.TWILIO_VERIFY_SIGNING_KEYS = [("k3", make_secret("k3"))]
    assert findings() == set()
    behind = "which is not among the keys, so nobody can check it; "
    covered = "by the chain of seals, seal 4 covers that, signed with key 'k3'."
    assert unchecked() == [
        (False, f"Seals 1 to 2 were signed with hmac-sha256 key 'k1', {behind}{covered}"),
        (False, f"Seal 3 was signed with hmac-sha256 key 'k2', {behind}{covered}"),
    ]
    settings.TWILIO_VERIFY_SIGNING_KEYS = [("k2", make_secret("k2"))]
    assert findings() == {("key_unknown", None, 4)}
    alone = "no later seal with a key that is listed covers that."
    assert unchecked()[-1] == (True, f"Seal 4 was signed with hmac-sha256 key 'k3', {behind}{alone}")


@pytest.mark.django_db
@pytest.mark.parametrize("broken", [1, 2, 3])
def test_what_is_not_chained_is_covered_by_nothing(settings: Any, broken: int) -> None:
    """A seal of the dropped key is made anew by somebody who has the database and not the later key."""
    for number, key in enumerate(("k1", "k1", "k2")):
        settings.TWILIO_VERIFY_SIGNING_KEYS = [(key, make_secret(key))]
        write(1, number)
        seal()
    drop_triggers()
    forged = ConsentSeal.objects.get(number=broken)
    forged.root = "0" * 64
    ConsentSeal.objects.filter(number=broken).update(root=forged.root, digest=seal_records.digest(forged))
    settings.TWILIO_VERIFY_SIGNING_KEYS = [("k2", make_secret("k2"))]
    assert any(certain for certain, _ in unchecked())
    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute("SET @twilio_verify_flush = NULL")


@pytest.mark.django_db
def test_the_derived_key_lives_on_among_the_fallbacks(settings: Any) -> None:
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k1", make_secret("prints"))]
    write(1)
    assert seal().key_id == derived_keys.signing_key(settings.SECRET_KEY)[0]
    old = settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [old]
    assert findings() == set()
    settings.SECRET_KEY_FALLBACKS = []
    assert findings() == {("key_unknown", None, 1)}
    settings.TWILIO_VERIFY_SIGNING_KEYS = [("k1", SECRET), derived_keys.signing_key(old)]
    assert findings() == set()


@pytest.mark.django_db
@pytest.mark.parametrize("secret", [PUBLIC, "short", OTHER_KIND, "-----BEGIN PRIVATE KEY-----\nx"])
def test_a_key_that_cannot_sign_seals_nothing(settings: Any, secret: str) -> None:
    settings.TWILIO_VERIFY_SIGNING_KEYS = [("k1", secret)]
    write(1)
    with pytest.raises(CommandError, match=r"(?i)signing.key.*'k1'"):
        call_command("seal_ledger", stdout=io.StringIO())
    assert not ConsentSeal.objects.exists()


def test_a_public_key_signs_nothing() -> None:
    key = SigningKey("k1", PUBLIC.encode())
    assert key.public_pem == PUBLIC == SigningKey("k1", PRIVATE.encode()).public_pem
    assert SigningKey("k1", SECRET.encode()).public_pem == ""
    assert repr(key) == "<SigningKey k1>"
    with pytest.raises(TypeError):
        key.sign(b"x")
    assert key.verifies(_PRIVATE.sign(b"x"), b"x")
    assert not key.verifies(_PRIVATE.sign(b"x"), b"y")
    assert not key.verifies(b"", b"y")


CHECKED = [
    ([("k1", PRIVATE)], ""),
    ([("k1", SECRET)], ""),
    ([("k2", PRIVATE), ("k1", PUBLIC)], ""),
    ([("k1", PUBLIC)], "public"),
    ([("k1", "short")], "fewer than 32 bytes"),
    ([("k1", OTHER_KIND)], "not of an Ed25519 key"),
    ([("k1", SECRET), ("k1", PRIVATE)], "twice"),
    ([("k-1", SECRET)], "1 to 12 letters and digits"),
    ([("k" * 13, SECRET)], "1 to 12 letters and digits"),
    ("k1", "must be a list"),
    ([SECRET], "pairs"),
]


@pytest.mark.parametrize(("keys", "problem"), CHECKED)
def test_unusable_keys_are_reported(settings: Any, keys: Any, problem: str) -> None:
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k1", make_secret("prints"))]
    settings.TWILIO_VERIFY_SIGNING_KEYS = keys
    found = check_signing()
    assert [one.id for one in found] == (["twilio_verify.E020"] if problem else [])
    assert all(problem in one.msg and SECRET not in one.msg for one in found)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ((), "TWILIO_VERIFY_FINGERPRINT_KEYS and TWILIO_VERIFY_SIGNING_KEYS"),
        (("SIGNING",), "TWILIO_VERIFY_FINGERPRINT_KEYS"),
        (("FINGERPRINT",), "TWILIO_VERIFY_SIGNING_KEYS"),
        (("FINGERPRINT", "SIGNING"), ""),
    ],
)
def test_leaning_on_the_secret_key_is_reported_outside_debug(settings: Any, names: Any, told: str) -> None:
    for name in names:
        setattr(settings, f"TWILIO_VERIFY_{name}_KEYS", [("k1", make_secret(name))])
    found = check_signing()
    assert [one.id for one in found] == (["twilio_verify.W004"] if told else [])
    assert all(f"{told} unset" in one.msg for one in found)
    settings.DEBUG = True
    assert check_signing() == []


def test_an_extra_that_is_not_installed_is_named(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rfc3161_client", None)
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.asymmetric", None)
    settings.TWILIO_VERIFY_SIGNING_KEYS = [("k1", PRIVATE)]
    assert "[crypto]" in check_signing()[0].msg
    assert not timestamps.is_available()
    with pytest.raises(ImproperlyConfigured, match=r"\[timestamp\]"):
        timestamps.stamp(b"x", "http://127.0.0.1/")


# ------------------------------------------------------------------------------------------------ time-stamps


@pytest.mark.django_db
def test_an_authority_stamps_the_seal_so_that_openssl_agrees(
    settings: Any, authority: Authority, tmp_path: Path
) -> None:
    settings.TWILIO_VERIFY_TIMESTAMP_URL = authority.url
    write(1)
    call_command("seal_ledger", stdout=io.StringIO())
    made = ConsentSeal.objects.get()
    stamped = timestamps.stamped_at(made.timestamp_token, seal_records.canonical(made))
    assert stamped is not None and abs((stamped - made.created_at).total_seconds()) < 60
    assert findings() == set()
    (tmp_path / "seal.json").write_bytes(seal_records.canonical(made))
    (tmp_path / "seal.tsr").write_bytes(base64.b64decode(made.timestamp_token))
    command = f"openssl ts -verify -in seal.tsr -data seal.json -CAfile {authority.certificate}"
    done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)
    assert "Verification: OK" in done.stdout + done.stderr
    drop_triggers()
    other = base64.b64encode(b"nonsense").decode()
    ConsentSeal.objects.update(timestamp_token=other)
    assert findings() == {("timestamp_wrong", None, 1)}


@pytest.mark.django_db
@pytest.mark.parametrize("failure", ["down", "status", "nonsense", "another's", "scheme"])
def test_a_seal_is_made_without_a_time_stamp_and_the_command_says_so(
    settings: Any, authority: Authority, failure: str
) -> None:
    settings.TWILIO_VERIFY_TIMESTAMP_URL = authority.url
    if failure == "down":
        settings.TWILIO_VERIFY_TIMESTAMP_URL = "http://127.0.0.1:9/"
    elif failure == "scheme":
        settings.TWILIO_VERIFY_TIMESTAMP_URL = "ftp://127.0.0.1/"
    elif failure == "status":
        authority.status = 500
    elif failure == "nonsense":
        authority.body = b"nonsense"
    else:
        authority.body = base64.b64decode(timestamps.stamp(b"something else", authority.url))
    write(1)
    with pytest.raises(CommandError, match="without a time-stamp") as caught:
        call_command("seal_ledger", stdout=io.StringIO())
    assert caught.value.returncode == 1
    assert ConsentSeal.objects.get().timestamp_token == ""
    assert findings() == set()


# ----------------------------------------------------------------------------------------------- at the same time


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_sealers_at_once_one_wins_and_one_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    write(4)
    both = threading.Barrier(2)
    read = sealing._covering

    def slowly(*args: Any) -> Any:
        made = read(*args)
        both.wait(timeout=20)
        return made

    monkeypatch.setattr(sealing, "_covering", slowly)
    done = race(2, lambda _: sealing.seal())
    assert sorted(type(one).__name__ for one in done) == ["Sealed", "SealedMeanwhile"]
    assert ConsentSeal.objects.count() == 1
    assert findings() == set()


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_writers_and_sealers_do_not_wait_for_each_other() -> None:
    write(20)

    def work(index: int) -> int:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '100ms'")
        if index == 0:
            made = [sealing.seal() for _ in range(5)]
            return len(made)
        count = 10 if connection.vendor == "postgresql" else 2
        for number in range(count):
            agree(f"+1501713{index}{number:03}", client=make_client(session=f"w{index}"))
        return count

    assert not [one for one in race(9, work) if isinstance(one, BaseException)]
    sealing.seal()
    assert findings() == set()
    assert sum(ConsentSeal.objects.values_list("count", flat=True)) == ConsentEvent.objects.count()
    assert {*sealing.inclusions(ConsentEvent.objects.values_list("pk", flat=True))} == {
        *ConsentEvent.objects.values_list("pk", flat=True)
    }


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_an_event_committed_late_is_taken_up_by_the_next_seal() -> None:
    if connection.vendor == "sqlite":
        return  # one writer at a time: nothing is ever late
    write(2)
    wrote, sealed = threading.Event(), threading.Event()
    late: list[int] = []

    def slow_writer() -> None:
        try:
            with transaction.atomic():
                late.extend(write(1, 2))
                wrote.set()
                sealed.wait(timeout=20)
        finally:
            connections.close_all()

    thread = threading.Thread(target=slow_writer)
    thread.start()
    assert wrote.wait(timeout=20)
    after = write(2, 3)
    first = seal()
    assert first.gaps.endswith(str(late[0])) and first.count == 4
    sealed.set()
    thread.join()
    # It is there now, and nobody takes it for one that was put there.
    assert findings() == set()
    assert sealing.inclusion(late[0]) is None
    second = seal()
    assert (second.late, second.count, second.first_event) == (str(late[0]), 1, after[-1] + 1)
    proof = sealing.inclusion(late[0])
    assert proof is not None and (proof.seal_number, proof.index, proof.size) == (2, 0, 1)
    assert {*sealing.inclusions(after)} == {*after}
    write(1, 9)
    third = seal()
    assert (third.late, third.count) == ("", 1)
    assert findings() == set()


# --------------------------------------------------------------------------------------------------- commands


@pytest.mark.django_db
def test_the_commands_say_what_they_did() -> None:
    told = io.StringIO()
    call_command("seal_ledger", stdout=told)
    write(3)
    call_command("seal_ledger", stdout=told)
    call_command("check_ledger", stdout=told)
    lines = told.getvalue().splitlines()
    assert lines == [
        "Nothing to seal.",
        f"Seal 1 over 3 events, hmac-sha256 key {derived_keys.signing_key('tests-only')[0]}.",
        f"Digest {ConsentSeal.objects.get().digest}",
        "3 events, 3 personal halves and 1 seals checked; 0 events are not sealed yet.",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.django_db
def test_progress_is_drawn_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    write(3)
    clock = iter(range(10_000))
    monkeypatch.setattr("django_twilio_verify.management.progress.time.monotonic", lambda: next(clock))
    terminal, file = Terminal(), io.StringIO()
    call_command("check_ledger", stdout=io.StringIO(), stderr=terminal)
    call_command("check_ledger", stdout=io.StringIO(), stderr=file)
    assert "\r3 events, 3 a second" in terminal.getvalue()
    assert terminal.getvalue().rstrip(" ").endswith("\r")
    assert file.getvalue() == ""


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(CommandError):
        call_command("check_ledger", "--since", text)
