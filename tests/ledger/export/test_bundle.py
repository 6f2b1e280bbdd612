"""The bundle: what is in it, what is not, and that a stranger can check it with the script and with openssl."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from django_twilio_verify import consent
from django_twilio_verify.conf import settings as our_settings
from django_twilio_verify.consent.carrying_over import carry_over
from django_twilio_verify.core.signing_keys import SigningKey
from django_twilio_verify.factors import erasure
from django_twilio_verify.ledger import disclosure_text, records, sealing
from django_twilio_verify.ledger.addressees import Addressee
from django_twilio_verify.ledger.export import verify_bundle
from django_twilio_verify.ledger.export.evidence import Selection
from django_twilio_verify.models import ConsentEvent, Disclosure, VerificationAttempt
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE, agree, make_client, make_secret, make_user
from tests.support.evidence import (
    SCRIPT,
    exported,
    json_lines,
    new_key,
    openssl,
    packed,
    resigned,
    run_script,
    selected,
    unpacked,
    wrong,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(sealed: User, tmp_path: Path) -> Path:
    found = tmp_path / "bundle.zip"
    found.write_bytes(exported())
    return found


# ------------------------------------------------------------------------------------------------- what is in it


def test_a_bundle_holds_all_that_was_promised(sealed: User) -> None:
    files = unpacked(exported())
    shown = Disclosure.objects.get(channel="sms")
    assert {*files} == {
        "README.txt",
        "index.html",
        "recipients/0001.html",
        "evidence.jsonl",
        f"disclosures/{shown.digest}.json",
        f"disclosures/{shown.digest}.txt",
        "seals.jsonl",
        "keys/k1.pem",
        "verify_bundle.py",
        "manifest.json",
        "manifest.sig",
    }
    assert shown.text.encode() in files[f"disclosures/{shown.digest}.txt"]
    assert files["verify_bundle.py"] == SCRIPT.read_bytes()


def test_the_manifest_says_what_when_how_many_and_by_which_key(sealed: User) -> None:
    files = unpacked(exported(selected(PHONE, "+12025550100")))
    manifest = json.loads(files["manifest.json"])
    assert manifest["signature"] == {"algorithm": "ed25519", "key_id": "k1"}
    assert manifest["filter"] == {"by": "recipients", "asked_for": 2}
    assert manifest["tool"].startswith("django-twilio-verify ")
    assert manifest["counts"] == {
        "events": 3,
        "recipients": 1,
        "sends": 1,
        "erased": 0,
        "withheld": 0,
        "unsealed": 1,
        "disclosures": 1,
        "seals": 1,
        "pages": 1,
    }
    for name, facts in manifest["files"].items():
        assert facts == {"sha256": hashlib.sha256(files[name]).hexdigest(), "bytes": len(files[name])}
    assert {*manifest["files"]} == {*files} - {"manifest.json", "manifest.sig"}


def test_each_line_is_an_event_with_its_person_its_sends_and_its_proof(sealed: User) -> None:
    first, second, third = json_lines(unpacked(exported())["evidence.jsonl"])
    event = ConsentEvent.objects.order_by("pk")[0]
    attempt = VerificationAttempt.objects.get()
    assert hashlib.sha256(first["canonical"].encode()).hexdigest() == first["digest"] == event.digest
    assert first["personal"]["recipient"] == PHONE
    assert first["personal"]["salt"] == event.evidence.salt
    assert first["sends"][0]["attempt_sid"] == attempt.sid
    assert first["sends"][0]["verification_sid"] == attempt.verification.sid
    assert first["proof"]["seal"] == second["proof"]["seal"] == 1
    assert third["proof"] is None
    assert json.loads(second["canonical"])["event"] == "withdrawn"


def test_the_page_says_where_consent_stands_and_escapes_what_was_written(path: Path) -> None:
    page = unpacked(path.read_bytes())["recipients/0001.html"].decode()
    assert "Consent of the account “ann” to get codes by text message stands since" in page
    assert "Standard message and data rates may apply." in page
    assert "Send &lt;code&gt;" in page and "Send <code>" not in page
    assert "Ann&#x27;s browser" in page
    assert VerificationAttempt.objects.get().sid in page
    for asset in ("<script", "<img", "<link", "url(", "src=", "@import"):
        assert asset not in page


def test_the_page_says_that_nothing_may_be_sent(sealed: User) -> None:
    consent.opt_out(recipient=PHONE, channel="sms")
    page = unpacked(exported())["recipients/0001.html"].decode()
    assert "No consent of the account “ann” to get codes by text message: the holder opted out on" in page
    assert "stands" not in page.partition("What was shown")[0].partition("Where consent stands")[2]


def test_a_person_whose_key_was_rotated_does_not_seem_to_agree_still(sealed: User, settings: Any) -> None:
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [
        ("new", make_secret("new")),
        *((k.id, k.secret) for k in our_settings.fingerprint_keys),
    ]
    consent.withdraw(recipient=PHONE, channel="sms", user=sealed, client=make_client())
    files = unpacked(exported())
    page = files["recipients/0001.html"].decode()
    assert "taken back on" in page
    assert "stands since" not in page and "and stands" not in page
    assert len(json_lines(files["evidence.jsonl"])) == 4


def test_an_address_without_evidence_is_named_as_such(sealed: User) -> None:
    index = unpacked(exported(selected(PHONE, "+12025550100")))["index.html"].decode()
    assert "Nothing on record" in index
    assert "202-555-0100" in index


# -------------------------------------------------------------------------------------------- what is not in it


def test_nothing_of_others_is_in_a_recipients_bundle(sealed: User) -> None:
    agree(PHONE, "call", user=make_user("carol"))
    content = b"\n".join(unpacked(exported()).values())
    bobs = [ConsentEvent.objects.get(channel="email"), ConsentEvent.objects.get(evidence__recipient=OTHER_PHONE)]
    secrets = [OTHER_PHONE, OTHER_PHONE[-7:], EMAIL, "bob", "Bob", "198.51.100.9"]
    secrets += [text for event in bobs for text in (event.recipient_fingerprint, event.evidence.salt, event.digest)]
    # The digest of a neighbour in the Merkle tree is hashed before it stands in a proof.
    assert [text for text in secrets if text.encode() in content] == []
    assert b"carol" in content  # the same recipient's


def test_a_persons_bundle_has_what_the_holder_said_without_saying_who(sealed: User) -> None:
    context = consent.ConsentContext(note="please stop, says Mallory", actor_label="mallory")
    consent.opt_out(recipient=PHONE, channel="sms", client=make_client(ip="192.0.2.99"), context=context)
    agree(PHONE, "call", user=make_user("carol"))
    files = unpacked(exported(Selection.of_user(sealed)))
    content = b"\n".join(files.values())
    assert [text for text in (b"Mallory", b"mallory", b"192.0.2.99", b"carol") if text in content] == []
    last = json_lines(files["evidence.jsonl"])[-1]
    assert (last["personal"], last["personal_state"]) == (None, "withheld")
    assert b"the holder opted out" in files["recipients/0001.html"]


def test_a_persons_bundle_has_the_yes_that_was_given_before_the_account(key: SigningKey) -> None:
    client = make_client("before")
    given = agree(client=client)
    ann = make_user()
    carry_over(recipient=selected().recipients[0], visitor=client, user=ann, purpose="enroll")  # type: ignore[index]
    rows = json_lines(unpacked(exported(Selection.of_user(ann)))["evidence.jsonl"])
    assert [row["digest"] for row in rows] == [event.digest for event in ConsentEvent.objects.order_by("pk")]
    assert rows[0]["digest"] == given.digest
    assert rows[0]["personal_state"] == "shown"


def test_a_deleted_account_is_found_by_its_key(sealed: User) -> None:
    pk = sealed.pk
    sealed.delete()
    rows = json_lines(unpacked(exported(Selection.of_account(pk)))["evidence.jsonl"])
    assert len(rows) == 3


# --------------------------------------------------------------------------------------------------- checking it


def test_a_stranger_can_check_it(path: Path, key: SigningKey, tmp_path: Path) -> None:
    public = tmp_path / "public.pem"
    public.write_text(key.public_pem)
    done = run_script(path, "--key", public)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the signature fits manifest.json" in done.stdout
    assert done.stdout.endswith("The bundle is whole and unchanged.\n")


def test_the_script_in_the_bundle_checks_the_bundle(path: Path, tmp_path: Path) -> None:
    script = tmp_path / "taken.py"
    script.write_bytes(unpacked(path.read_bytes())["verify_bundle.py"])
    done = run_script(path, script=script)
    assert done.returncode == 0
    assert "the key came with the bundle" in done.stdout


def test_an_unpacked_bundle_can_be_checked_too(path: Path, tmp_path: Path) -> None:
    folder = unpack(path, tmp_path)
    assert run_script(folder).returncode == 0
    (folder / "extra.txt").write_text("x")
    assert "extra.txt: is not in the manifest" in wrong(folder)


def unpack(path: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "unpacked"
    for name, content in unpacked(path.read_bytes()).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_openssl_checks_it(path: Path, tmp_path: Path) -> None:
    folder = unpack(path, tmp_path)
    command = "pkeyutl -verify -pubin -inkey keys/k1.pem -rawin -in manifest.json -sigfile manifest.sig"
    assert f"openssl {command}" in (folder / "README.txt").read_text()
    done = openssl(*command.split(), cwd=folder)
    assert done.stdout.strip() == "Signature Verified Successfully", done.stderr
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for name, facts in manifest["files"].items():
        assert openssl("dgst", "-sha256", name, cwd=folder).stdout.split()[-1] == facts["sha256"]
    (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes() + b" ")
    assert openssl(*command.split(), cwd=folder).returncode != 0


def test_openssl_checks_an_hmac(ann: User, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(exported())
    folder = unpack(path, tmp_path)
    secret = our_settings.signing_keys[0].secret.hex()
    command = f"dgst -sha256 -mac HMAC -macopt hexkey:{secret} manifest.json"
    assert (
        "openssl dgst -sha256 -mac HMAC -macopt hexkey:HEX -binary manifest.json" in (folder / "README.txt").read_text()
    )
    done = openssl(*command.split(), cwd=folder)
    assert done.stdout.split()[-1] == (folder / "manifest.sig").read_bytes().hex()


def test_without_the_secret_an_hmac_is_not_called_good(ann: User, tmp_path: Path) -> None:
    sealing.seal()
    path = tmp_path / "bundle.zip"
    path.write_bytes(exported())
    done = run_script(path)
    assert done.returncode == 2
    assert "UNKNOWN  manifest.sig" in done.stdout
    secret = our_settings.signing_keys[0].secret.hex()
    assert run_script(path, "--hmac-key", secret).returncode == 0
    assert "wrong key" in wrong(path, "--hmac-key", "00" * 32)


@pytest.mark.parametrize("secret", [make_secret("seals"), "Not hexadecimal, but 32 bytes and more."])
def test_the_settings_own_text_is_taken_as_the_key(ann: User, tmp_path: Path, settings: Any, secret: str) -> None:
    settings.TWILIO_VERIFY_SIGNING_KEYS = [("k1", secret)]
    sealing.seal()
    path = tmp_path / "bundle.zip"
    path.write_bytes(exported())
    for given in (secret, secret.encode().hex()):
        assert run_script(path, "--hmac-key", given).returncode == 0
    assert "wrong key" in wrong(path, "--hmac-key", make_secret("another"))


def test_erased_evidence_is_exported_as_erased_and_still_holds(sealed: User, tmp_path: Path) -> None:
    erasure.erase(Addressee.of(PHONE), reason="asked", actor="root")
    path = tmp_path / "bundle.zip"
    path.write_bytes(exported(pdf=False))
    files = unpacked(path.read_bytes())
    content = b"\n".join(files.values())
    assert [text for text in (PHONE, "501-712", "“ann”", '"ann"', "203.0.113.7") if text.encode() in content] == []
    assert {row["personal_state"] for row in json_lines(files["evidence.jsonl"])} == {"erased"}
    assert b"erased (" in files["recipients/0001.html"]
    done = run_script(path)
    assert done.returncode == 0, done.stdout
    assert "3 events are erased" in done.stdout


def test_seals_of_older_keys_are_vouched_for_by_the_newer_ones(ann: User, settings: Any, tmp_path: Path) -> None:
    sealing.seal()  # by HMAC, which no stranger can check
    key = new_key()
    settings.TWILIO_VERIFY_SIGNING_KEYS = [(key.id, key.secret)]
    agree(user=ann)
    sealing.seal()
    path = tmp_path / "bundle.zip"
    path.write_bytes(exported())
    assert run_script(path).returncode == 0


# ---------------------------------------------------------------------------------------------- when it was changed


def changed(path: Path, tmp_path: Path, **how: Any) -> Path:
    """The bundle with other contents; a name's value is the new bytes, ``None`` takes the file away."""
    files = unpacked(path.read_bytes())
    for name, content in how["files"].items():
        if content is None:
            del files[name]
        else:
            files[name] = content
    return packed(files, tmp_path / "changed.zip")


def test_a_tampered_file_is_named(path: Path, tmp_path: Path) -> None:
    page = unpacked(path.read_bytes())["recipients/0001.html"].replace(b"stands since", b"ended on....")
    said = wrong(changed(path, tmp_path, files={"recipients/0001.html": page}))
    assert said == "WRONG    recipients/0001.html: does not have the SHA-256 of the manifest: the file was changed"


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_zip_is_named(path: Path, tmp_path: Path, kept: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert "bundle.zip: is not a whole zip file" in wrong(path)


def test_a_damaged_zip_is_named(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"evidence.jsonl") + 200] ^= 1
    path.write_bytes(content)
    assert "evidence.jsonl: cannot be read whole" in wrong(path)


def test_a_swapped_disclosure_is_named_even_if_the_forger_can_sign(path: Path, key: SigningKey, tmp_path: Path) -> None:
    files = unpacked(path.read_bytes())
    name = next(name for name in files if name.startswith("disclosures/") and name.endswith(".json"))
    files[name] = files[name].replace(b"may apply", b"never apply")
    assert f"{name}: has {len(files[name])} bytes" in wrong(packed(files, tmp_path / "1.zip"))
    forged = packed(resigned(files, key.sign), tmp_path / "2.zip")
    assert f"{name}: does not hold the words that it is named after" in wrong(forged)


def test_a_wrong_key_is_named(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(new_key().public_pem)
    assert "manifest.sig: the signature does not fit manifest.json (ed25519, key 'k1'): wrong key" in wrong(
        path, "--key", other
    )


def test_a_bundle_signed_by_somebody_else_does_not_pass_with_the_sites_key(
    path: Path, key: SigningKey, tmp_path: Path
) -> None:
    forger = new_key()
    files = {**unpacked(path.read_bytes()), "keys/k1.pem": forger.public_pem.encode()}
    forged = packed(resigned(files, forger.sign), tmp_path / "forged.zip")
    public = tmp_path / "public.pem"
    public.write_text(key.public_pem)
    assert "wrong key" in wrong(forged, "--key", public)
    # Without the site's key the seals give it away: they were signed by the real one.
    assert "seals.jsonl: seal 1: its signature does not fit" in wrong(forged)


def test_a_bundle_that_claims_a_weaker_signature_does_not_pass(path: Path, key: SigningKey, tmp_path: Path) -> None:
    files = unpacked(path.read_bytes())
    manifest = json.loads(files["manifest.json"])
    manifest["signature"] = {"algorithm": "hmac-sha256", "key_id": "k1"}
    files["manifest.json"] = json.dumps(manifest).encode()
    public = tmp_path / "public.pem"
    public.write_text(key.public_pem)
    assert "manifest.sig" in wrong(packed(files, tmp_path / "forged.zip"), "--key", public)


EDITS = {
    "the event": (
        lambda row: row.update(canonical=row["canonical"].replace("granted", "renewed")),
        "the event was edited",
    ),
    "its digest too": (
        lambda row: row.update(
            canonical=(text := row["canonical"].replace("granted", "renewed")),
            digest=hashlib.sha256(text.encode()).hexdigest(),
        ),
        "is not in seal 1",
    ),
    "the number": (lambda row: row["personal"].update(recipient=OTHER_PHONE), "is not what the event committed to"),
    "the salt": (lambda row: row["personal"].update(salt="00" * 32), "is not what the event committed to"),
    "the proof": (lambda row: row["proof"].update(index=row["proof"]["index"] + 1), "is not in seal 1"),
    "the seal": (lambda row: row["proof"].update(seal=9), "seal 9 is not in the bundle"),
    "the form": (
        lambda row: row.update(
            canonical=(text := row["canonical"].replace(",", ", ")), digest=hashlib.sha256(text.encode()).hexdigest()
        ),
        "not in canonical form",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_event_is_named_even_if_the_forger_can_sign(
    path: Path, key: SigningKey, tmp_path: Path, edit: str
) -> None:
    change, sentence = EDITS[edit]
    files = unpacked(path.read_bytes())
    rows = json_lines(files["evidence.jsonl"])
    change(rows[0])
    files["evidence.jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    said = wrong(packed(resigned(files, key.sign), tmp_path / "forged.zip"))
    assert f"evidence.jsonl line 1 (event {rows[0]['event']}): " in said
    assert sentence in said


def test_an_event_that_was_taken_out_shows_in_the_count(path: Path, key: SigningKey, tmp_path: Path) -> None:
    files = unpacked(path.read_bytes())
    files["evidence.jsonl"] = b"".join(files["evidence.jsonl"].splitlines(keepends=True)[:-1])
    said = wrong(packed(resigned(files, key.sign), tmp_path / "forged.zip"))
    assert "manifest.json: says 3 events, evidence.jsonl has 2" in said


def test_a_broken_chain_of_seals_is_named(path: Path, key: SigningKey, sealed: User, tmp_path: Path) -> None:
    sealing.seal()
    files = unpacked(exported())
    rows = json_lines(files["seals.jsonl"])
    assert len(rows) == 2
    files["seals.jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in (rows[1], rows[0]))
    said = wrong(packed(resigned(files, key.sign), tmp_path / "forged.zip"))
    assert "seals.jsonl: seal 1: does not follow from the seal before it" in said


@pytest.mark.parametrize("name", ["evidence.jsonl", "seals.jsonl", "README.txt", "keys/k1.pem"])
def test_a_missing_file_is_named(path: Path, tmp_path: Path, name: str) -> None:
    said = wrong(changed(path, tmp_path, files={name: None}))
    assert f"{name}: is in the manifest and not in the bundle: a missing file" in said


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig"])
def test_a_missing_manifest_or_signature_is_named(path: Path, tmp_path: Path, name: str) -> None:
    assert f"{name}: is missing" in wrong(changed(path, tmp_path, files={name: None}))


def test_an_extra_file_is_named(path: Path, tmp_path: Path) -> None:
    said = wrong(changed(path, tmp_path, files={"recipients/0002.html": b"Bob agreed too."}))
    assert said == "WRONG    recipients/0002.html: is not in the manifest: an extra file"


def test_a_file_that_is_there_twice_is_named(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("index.html", b"another")
    assert "index.html: is in the bundle more than once" in wrong(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"format": "x"}'])
def test_a_manifest_that_is_none_is_named(path: Path, tmp_path: Path, content: bytes) -> None:
    assert "manifest.json: cannot be read" in wrong(changed(path, tmp_path, files={"manifest.json": content}))


def test_what_is_no_bundle_at_all_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("hello")
    assert "x.zip: is not a whole zip file" in wrong(tmp_path / "x.zip")
    assert "absent.zip" in wrong(tmp_path / "absent.zip")


def test_a_key_that_is_none_is_refused(path: Path) -> None:
    done = run_script(path, "--key", path)
    assert done.returncode == 2
    assert "the key cannot be read" in done.stderr


# --------------------------------------------------------------------------------------------- script and package agree


def test_the_script_knows_the_fields_of_the_record_format() -> None:
    assert verify_bundle.PERSONAL_FIELDS[records.RECORD_VERSION] == records.EVIDENCE_FIELDS
    assert disclosure_text.RECORD_VERSION == 1


def test_the_script_checks_ed25519_as_rfc_8032_has_it() -> None:
    # RFC 8032 section 7.1, tests 1 to 3.
    vectors = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ]
    for key, message, signature in vectors:
        made, content = bytes.fromhex(signature), bytes.fromhex(message)
        assert verify_bundle.ed25519_verifies(bytes.fromhex(key), content, made)
        assert not verify_bundle.ed25519_verifies(bytes.fromhex(key), content + b"x", made)
        for place in (0, 31, 32, 63):
            other = bytearray(made)
            other[place] ^= 1
            assert not verify_bundle.ed25519_verifies(bytes.fromhex(key), content, bytes(other))
        # A signature with the group order added to its second half is the same point, and is refused (section 5.1.7).
        bent = int.from_bytes(made[32:], "little") + verify_bundle.ORDER
        assert not verify_bundle.ed25519_verifies(bytes.fromhex(key), content, made[:32] + bent.to_bytes(32, "little"))
