"""The compliance officer at work: finding, reading, unmasking, exporting, erasing, and who may do which."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import FileResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_twilio_verify import consent, verifications
from django_twilio_verify.admin import filters, paging
from django_twilio_verify.admin.consent import ConsentEventAdmin
from django_twilio_verify.conf import fingerprint
from django_twilio_verify.conf import settings as ours
from django_twilio_verify.core import derived_keys
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import ConsentRequired
from django_twilio_verify.factors import erasure
from django_twilio_verify.ledger import records, retention, sealing
from django_twilio_verify.ledger.addressees import Addressee
from django_twilio_verify.ledger.export import verify_bundle
from django_twilio_verify.login import impersonation
from django_twilio_verify.models import (
    AuditEvent,
    ConsentEvent,
    ConsentEvidence,
    ConsentSeal,
    Verification,
    VerificationAttempt,
)
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PASSWORD,
    PHONE,
    agree,
    all_permissions,
    last_code,
    make_client,
    make_secret,
    make_user,
)

pytestmark = pytest.mark.django_db
LIST = "/admin/twilio_verify/consentevent/"
CHARTS = f"{LIST}charts/"
FIND = f"{LIST}find/"
PERSONAL = (PHONE, PHONE[1:], "501-712-2661", "5017122661", "198.51.100.77", "private-browser", "private-page")
ACTS = {
    "unmask": "view_unmasked",
    "export": "export_evidence",
    "erase": "erase_evidence",
    "opt_out": "add_consentevent",
}
FORMS: dict[str, dict[str, Any]] = {
    "unmask": {},
    "export": {"reason": "Twilio asked"},
    "erase": {"reason": "Art. 17", "confirmed": "on"},
    "opt_out": {"words": "stop it", "came_by": "letter", "received_at": "2026-01-05T10:00"},
}


@pytest.fixture(autouse=True)
def sessions_in_the_database(settings: Any) -> None:
    """The figures count the session's statements."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"


def page(name: str = "evidence", recipient: str = PHONE) -> str:
    return reverse(f"admin:twilio_verify_consentevent_{name}", args=[fingerprint(Recipient.parse(recipient))])


def browser_of(user: User, **options: Any) -> Client:
    client = Client(**options)
    assert client.login(username=user.get_username(), password=PASSWORD)
    return client


@pytest.fixture
def root() -> Client:
    return browser_of(User.objects.create_superuser("root", password=PASSWORD))


def staff_with(*codenames: str, name: str = "officer") -> Client:
    user = make_user(name, is_staff=True)
    user.user_permissions.set(all_permissions().filter(codename__in=codenames))
    return browser_of(user)


@pytest.fixture
def ann() -> User:
    """Somebody who agreed, got a code, and whose evidence has everything in it."""
    user = make_user()
    client = make_client(ip="198.51.100.77", user_agent="private-browser", page="https://shop.test/private-page")
    context = consent.ConsentContext(control="checkbox", checked_on_submit=True, button_label="Send code")
    agree(user=user, client=client, context=context)
    verifications.start(recipient=PHONE, channel="sms", user=user, client=client)
    return user


def shown(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, answer
    return answer.content.decode()


# -------------------------------------------------------------------------------------------- what is shown


def test_the_page_says_where_consent_stands(root: Client, ann: User) -> None:
    text = shown(root, page())
    assert "Consent to text messages is valid since" in text
    assert "under wording 1 below." in text
    assert "The box was empty at first, and was ticked. Button pressed: “Send code”." in text
    assert "Standard message and data rates may apply." in text
    assert "1 send relied on it" in text
    attempt = VerificationAttempt.objects.get()
    assert attempt.sid in text
    assert f"/verification/{attempt.verification_id}/change/" in text
    assert "Every event is as it was written." in text


@pytest.mark.parametrize(
    ("stop", "sentence"),
    [
        ("withdraw", "Consent to text messages was taken back on"),
        ("opt_out", "Stopped: the holder opted out of text messages on"),
        ("invalidate", "Consent to text messages was declared void on"),
    ],
)
def test_the_page_says_that_it_was_stopped(root: Client, ann: User, stop: str, sentence: str) -> None:
    values: dict[str, Any] = {"user": ann, "client": make_client()} if stop == "withdraw" else {}
    if stop == "invalidate":
        values = {"reason": "the form was broken"}
    getattr(consent, stop)(recipient=PHONE, channel="sms", **values)
    text = shown(root, page())
    assert sentence in text
    assert "is valid since" not in text


def test_each_person_and_way_has_a_sentence(root: Client, ann: User) -> None:
    agree(user=make_user("bob"))
    agree(PHONE, "call", user=ann)
    consent.withdraw(recipient=PHONE, channel="sms", user=ann, client=make_client())
    text = shown(root, page())
    assert text.count("is valid since") == 2
    assert text.count("was taken back") == 1


def test_it_is_masked(root: Client, ann: User) -> None:
    consent.opt_out(recipient=PHONE, channel="sms", context=consent.ConsentContext(note="private words"))
    text = shown(root, page())
    assert "••• ••61" in text
    for hidden in (*PERSONAL, "private words", last_code()):
        assert hidden not in text


def test_unmasked_it_shows_who_and_leaves_a_trace_first(root: Client, ann: User) -> None:
    answer = root.post(page("unmask"))
    text = answer.content.decode()
    for known in ("+1 501-712-2661", "198.51.100.77", "private-browser", "private-page", "account ann"):
        assert known in text
    assert last_code() not in text
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor_label) == ("unmasked", "root")
    assert event.recipient_fingerprint == fingerprint(Recipient.parse(PHONE))
    assert "no-store" in answer["Cache-Control"]
    assert "shown unmasked, root" in text


def test_seals_are_named(root: Client, ann: User) -> None:
    consent.withdraw(recipient=PHONE, channel="sms", user=ann, client=make_client())
    first, second = ConsentEvent.objects.order_by("id")
    assert "2 events are not yet sealed." in shown(root, page())
    seal = {
        "count": 1,
        "root": "0" * 64,
        "created_at": timezone.now(),
        "record_version": 1,
        "algorithm": "hmac",
        "key_id": "k",
    }
    ConsentSeal.objects.create(number=7, first_event=first.pk, last_event=first.pk, digest="1" * 64, **seal)
    text = shown(root, page())
    assert "sealed in seal 7" in text
    assert "1 event is not yet sealed." in text
    late = {"first_event": second.pk + 1, "last_event": second.pk + 5, "late": str(second.pk)}
    ConsentSeal.objects.create(number=8, digest="2" * 64, **late, **seal)
    text = shown(root, page())
    assert "sealed in seal 8" in text
    assert "All of them are sealed." in text


def test_a_change_shows(root: Client, ann: User) -> None:
    ConsentEvidence.objects.update(ip="192.0.2.9")
    text = shown(root, page())
    assert "CHANGED since it was written" in text
    assert "An event was changed after it was written" in text


def test_what_was_said_is_shown_as_text(root: Client) -> None:
    consent.opt_out(recipient=PHONE, channel="sms", context=consent.ConsentContext(note="<script>alert(1)</script>"))
    text = root.post(page("unmask")).content.decode()
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text


@pytest.mark.parametrize("print_", ["s0." + "0" * 40, "x", "s0.zz", "..", "%00", "k1." + "a" * 41, "é.x"])
def test_an_unknown_fingerprint_is_not_found(root: Client, ann: User, print_: str) -> None:
    for name in ("", "unmask/", "export/", "erase/", "opt-out/"):
        url = f"{LIST}evidence/{quote(print_)}/{name}"
        answer = root.get(url)
        assert answer.status_code in (302, 404, 405), url
        assert root.post(url, FORMS["erase"]).status_code in (302, 404), url
    assert not AuditEvent.objects.exists()


def test_pages_carry_no_inline_style_or_script(root: Client, ann: User) -> None:
    for url in (page(), page("erase"), page("opt_out"), CHARTS, f"{LIST}stop/"):
        text = shown(root, url)
        content = text[text.index('id="content"') :]
        assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:", content), url
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", content)), url


# -------------------------------------------------------------------------------------- who may do what


@pytest.mark.parametrize("act", ACTS)
def test_each_act_has_a_permission_of_its_own(ann: User, act: str) -> None:
    others = [codename for name, codename in ACTS.items() if name != act]
    before = ConsentEvidence.objects.count(), AuditEvent.objects.count()
    without = staff_with("view_consentevent", *others)
    assert without.post(page(act), FORMS[act]).status_code == 403
    assert page(act) not in shown(without, page())
    alone = staff_with(ACTS[act], name="alone")  # without the ledger itself
    assert alone.post(page(act), FORMS[act]).status_code == 403
    assert (ConsentEvidence.objects.count(), AuditEvent.objects.count()) == before
    allowed = staff_with("view_consentevent", ACTS[act], name="allowed")
    text = shown(allowed, page())
    assert [name for name in ACTS if page(name) in text.replace(f'href="{page()}"', "")] == [act]
    answer = allowed.post(page(act), FORMS[act])
    assert answer.status_code in (200, 302)
    assert not answer.streaming or b"".join(answer.streaming_content)  # which closes the file
    assert (ConsentEvidence.objects.count(), AuditEvent.objects.count()) != before


def test_an_officer_who_may_only_look_has_nothing_to_press(ann: User) -> None:
    officer = staff_with("view_consentevent")
    text = shown(officer, page())
    assert not [name for name in ACTS if page(name) in text]
    assert shown(officer, CHARTS)
    assert officer.post(FIND, {"term": PHONE}).status_code == 302
    assert officer.get(f"{LIST}stop/").status_code == 403


def test_nobody_else_sees_anything(ann: User) -> None:
    for client, code in ((staff_with("view_factor"), 403), (Client(), 302)):
        for url in (page(), CHARTS, f"{LIST}stop/", *(page(name) for name in ACTS)):
            assert client.get(url).status_code == code, url
            assert client.post(url, FORMS["erase"]).status_code == code, url
        assert client.post(FIND, {"term": PHONE}).status_code == code
    assert ConsentEvidence.objects.count() == 1
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("act", ["unmask", "export"])
def test_acts_are_posted(root: Client, ann: User, act: str) -> None:
    assert root.get(page(act)).status_code == 405
    assert root.get(FIND).status_code == 405
    assert not AuditEvent.objects.exists()


def test_a_get_erases_and_records_nothing(root: Client, ann: User) -> None:
    assert root.get(page("erase") + "?reason=x&confirmed=on").status_code == 200
    assert root.get(page("opt_out") + "?words=x").status_code == 200
    assert ConsentEvidence.objects.count() == 1
    assert ConsentEvent.objects.count() == 1


@pytest.mark.parametrize("act", [*ACTS, "find"])
def test_acts_want_the_csrf_token(ann: User, act: str) -> None:
    user = User.objects.create_superuser("root", password=PASSWORD)
    client = browser_of(user, enforce_csrf_checks=True)
    url = FIND if act == "find" else page(act)
    assert client.post(url, FORMS.get(act, {"term": PHONE})).status_code == 403
    assert ConsentEvidence.objects.count() == 1
    assert not AuditEvent.objects.exists()


# -------------------------------------------------------------------------------------- export, erase, record


def test_the_bundle_is_handed_out_with_its_reason_kept(root: Client, ann: User) -> None:
    answer = root.post(page("export"), {"reason": "Twilio asked, case 9"})
    assert answer["Content-Type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
    assert archive.testzip() is None
    assert "manifest.json" in archive.namelist()
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor_label, event.reason) == ("exported", "root", "Twilio asked, case 9")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_an_export_wants_a_reason(root: Client, ann: User, reason: str) -> None:
    answer = root.post(page("export"), {"reason": reason})
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert not AuditEvent.objects.exists()


def test_erasing_leaves_the_proof(root: Client, ann: User) -> None:
    answer = root.post(page("erase"), FORMS["erase"], follow=True)
    text = answer.content.decode()
    assert "the personal half of 1 event." in text
    assert "The personal half was erased." in text
    assert "an erased address" in text
    assert not ConsentEvidence.objects.exists()
    assert records.holds(ConsentEvent.objects.get())
    assert AuditEvent.objects.get().reason == "Art. 17"
    assert root.get(page("opt_out")).status_code == 404
    assert "Nothing was left to erase." in root.post(page("erase"), FORMS["erase"], follow=True).content.decode()


def test_what_is_left_of_an_erased_address_can_be_exported(root: Client, ann: User, tmp_path: Path) -> None:
    agree(OTHER_PHONE, user=ann)
    sealing.seal()
    erasure.erase(Addressee.of(PHONE), reason="Art. 17", actor="root")
    print_ = fingerprint(Recipient.parse(PHONE))
    erased = reverse("admin:twilio_verify_consentevent_evidence", args=[print_])
    assert f'action="{erased}export/"' in root.get(erased).content.decode()
    answer = root.post(f"{erased}export/", FORMS["export"])
    assert isinstance(answer, FileResponse)
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(b"".join(answer.streaming_content))  # type: ignore[arg-type]
    with zipfile.ZipFile(bundle) as archive:
        (row,) = map(json.loads, archive.read("evidence.jsonl").splitlines())
        assert (row["personal_state"], row["proof"]["seal"]) == ("erased", 1)
        everything = b"".join(archive.read(name) for name in archive.namelist()).decode(errors="replace")
    assert not any(word in everything for word in PERSONAL)
    secret = ours.signing_keys[0].secret.hex()
    assert verify_bundle.main([str(bundle), "--hmac-key", secret]) == 0
    trace = AuditEvent.objects.get(kind="exported")
    assert trace.recipient_fingerprint == print_
    assert json.loads(trace.details)["filter"] == {"asked_for": 1, "by": "recipients"}


@pytest.mark.parametrize("values", [{}, {"reason": "x"}, {"confirmed": "on"}, {"reason": " ", "confirmed": "on"}])
def test_erasing_wants_a_reason_and_a_yes(root: Client, ann: User, values: dict[str, str]) -> None:
    answer = root.post(page("erase"), values)
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert ConsentEvidence.objects.exists()


def test_a_legal_hold_is_shown_and_kept(root: Client, ann: User) -> None:
    retention.hold(Addressee.of(PHONE), reason="case 7", actor="counsel")
    assert "Legal hold since" in shown(root, page())
    assert "A legal hold of" in root.post(page("erase"), FORMS["erase"], follow=True).content.decode()
    assert ConsentEvidence.objects.exists()


def test_a_request_in_somebodys_own_words_is_recorded(root: Client, ann: User) -> None:
    answer = root.post(page("opt_out"), FORMS["opt_out"], follow=True)
    assert "nothing is sent there any more" in answer.content.decode()
    event = ConsentEvent.objects.filter(event="opted_out", channel="sms").get()
    assert (event.actor, event.medium) == ("staff", "admin")
    assert event.evidence.note == "stop it"
    assert (event.evidence.actor_label, event.honour_by is not None) == ("root", True)
    again = root.post(page("opt_out"), FORMS["opt_out"], follow=True).content.decode()
    assert "nothing new was recorded" in again
    assert ConsentEvent.objects.filter(event="opted_out", channel="sms").count() == 1


def test_a_request_of_somebody_unknown_is_recorded(root: Client) -> None:
    values = {**FORMS["opt_out"], "recipient": OTHER_PHONE}
    answer = root.post(f"{LIST}stop/", values)
    assert answer.status_code == 302
    assert OTHER_PHONE[1:] not in answer["Location"]
    assert "the holder opted out" in shown(root, answer["Location"])
    assert root.post(f"{LIST}stop/", {**values, "recipient": "no number"}).status_code == 200


# ------------------------------------------------------------------------------------------------- search


def find(client: Client, term: str) -> set[int]:
    """What a search for ``term`` finds; nothing of it stands in the address."""
    answer = client.post(FIND, {"term": term})
    assert answer.status_code == 302
    assert not term.strip() or term.strip() not in answer["Location"] or re.fullmatch(r"[0-9a-z.]+", term.strip())
    if not urlsplit(answer["Location"]).query:
        return set()
    return {row.pk for row in client.get(answer["Location"]).context["cl"].result_list}


def test_an_event_is_found_by_all_that_an_officer_knows(root: Client, ann: User, settings: Any) -> None:
    settings.TWILIO_VERIFY_DEFAULT_REGION = "US"
    event = ConsentEvent.objects.get()
    other = agree(EMAIL, "email", user=make_user("bob"))
    verification = Verification.objects.get()
    attempt_sid = "VL" + "0" * 32
    VerificationAttempt.objects.update(sid=attempt_sid)
    for term in (PHONE, "tel:+1-501-712-2661", "(501) 712-2661", "0115017122661"[3:], " ann ", verification.sid,
                 attempt_sid, event.digest, event.digest[:8].upper(), event.recipient_fingerprint,
                 event.person_fingerprint):  # fmt: skip
        assert find(root, term) == {event.pk}, term
    for term in (EMAIL, EMAIL.upper().replace("EXAMPLE.ORG", "example.org"), "bob"):
        assert find(root, term) == {other.pk}, term


NOTHING = ["", " ", "nobody", "+15017122699", "501", "x" * 5000, "\0", "' OR 1=1 --", "%", "VE" + "9" * 32, "é", "a,b"]


@pytest.mark.parametrize("term", NOTHING)
def test_what_is_not_on_record_is_not_found(root: Client, ann: User, term: str) -> None:
    assert find(root, term) == set()


def test_a_whole_number_in_an_address_finds_nothing(root: Client, ann: User) -> None:
    answer = root.get(LIST, {"q": PHONE})
    assert not answer.context["cl"].result_list


def test_it_is_found_under_every_key(root: Client, settings: Any) -> None:
    old, new = ("k1", make_secret("1")), ("k2", make_secret("2"))
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [old]
    first = agree(user=make_user())
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [new, old]
    consent.opt_out(recipient=PHONE, channel="sms")
    assert find(root, PHONE) == {row.pk for row in ConsentEvent.objects.all()}
    assert len(ConsentEvent.objects.all()) == 2
    for print_ in {row.recipient_fingerprint for row in ConsentEvent.objects.all()}:
        text = shown(root, f"{LIST}evidence/{print_}/")
        assert "the holder opted out" in text
        assert first.digest in text


# ------------------------------------------------------------------------------------------------ filters


def listed(client: Client, query: str) -> set[str]:
    answer = client.get(f"{LIST}?{query}")
    assert answer.status_code == 200, answer
    return {f"{row.event} {row.channel}" for row in answer.context["cl"].result_list}


def test_filters(root: Client, ann: User) -> None:
    agree(EMAIL, "email", user=ann)
    agree(OTHER_PHONE, "call", user=ann)
    consent.opt_out(recipient=EMAIL, channel="email")
    today, yesterday = timezone.localdate(), timezone.localdate() - timedelta(days=1)
    digest = ConsentEvent.objects.filter(channel="sms").get().disclosure.digest  # type: ignore[union-attr]
    everything = {"granted sms", "granted email", "granted call", "opted_out email"}
    assert listed(root, "") == everything
    assert listed(root, f"since={today}&until={today}") == everything
    assert listed(root, f"until={yesterday}") == set()
    assert (
        listed(root, "since=nonsense") == listed(root, "since=9999-99-99") == listed(root, "until=0001-01-01") == set()
    )
    assert listed(root, "country=US") == {"granted sms", "granted call"}
    assert listed(root, "country=%27") == set()
    assert listed(root, "state=live") == {"granted sms", "granted call"}
    assert listed(root, "state=stopped") == {"opted_out email"}
    assert listed(root, "stop=any") == {"opted_out email"}
    assert listed(root, "stop=overdue") == set()
    assert listed(root, f"disclosure={digest[:9]}") == {"granted sms"}
    assert listed(root, "disclosure=zz") == set()
    assert listed(root, f"since={today}&event__exact=granted&channel__exact=call") == {"granted call"}
    text = shown(root, "/admin/twilio_verify/disclosure/")
    assert f"?disclosure={digest[:16]}" in text


def test_overdue_opt_outs_stand_out(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    late = timezone.now() - timedelta(days=40)
    consent.opt_out(recipient=PHONE, channel="sms", context=consent.ConsentContext(received_at=late))
    consent.opt_out(recipient=OTHER_PHONE, channel="call")
    assert listed(root, "stop=overdue") == {"opted_out sms"}
    with monkeypatch.context() as patched:  # many of them are asked for in another way
        patched.setattr(filters, "FEW", 0)
        assert listed(root, "stop=overdue") == {"opted_out sms"}
    assert "in time" in shown(root, LIST)
    assert "overdue</strong>" in shown(root, LIST)


def test_filters_keep_each_other(root: Client, ann: User) -> None:
    text = shown(root, f"{LIST}?since=2020-01-01&country=US&q=abcdef12")
    assert text.count('type="hidden" name="since" value="2020-01-01"') == 2  # in the other two forms
    assert 'name="q" value="abcdef12"' in text
    assert '<option value="US" selected>' in text


def test_hostile_filters_are_text(root: Client, ann: User) -> None:
    evil = quote('"><script>alert(1)</script>')
    for name in ("since", "until", "country", "disclosure", "q", "state", "stop"):
        answer = root.get(f"{LIST}?{name}={evil}")
        assert answer.status_code in (200, 302)
        assert "<script>alert(1)" not in answer.content.decode()


# ------------------------------------------------------------------------------------------------- counting


def test_a_long_list_is_reckoned(root: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(paging, "BOUND", 4)
    for number in range(7):
        agree(f"+1501712210{number}")
    text = shown(root, LIST)
    assert "more than 4 consent events" in text or "about " in text
    monkeypatch.setattr(ConsentEventAdmin, "list_per_page", 2)
    assert root.get(f"{LIST}?p=2").status_code == 200
    assert root.get(f"{LIST}?p=3").status_code == 302  # nobody pages through a million rows
    assert "more than 4 consent events" in shown(root, f"{LIST}?event__exact=granted")
    assert "1 consent event" in shown(root, f"{LIST}?q={ConsentEvent.objects.all()[0].digest}")


def test_no_filter_counts_its_choices(root: Client, ann: User) -> None:
    assert cost(root, f"{LIST}?_facets=True") == cost(root, LIST)


def test_no_list_is_counted_in_full(root: Client, ann: User) -> None:
    root.get(LIST)
    with CaptureQueriesContext(connection) as captured:
        root.get(LIST)
    counts = [query["sql"] for query in captured if "count(" in query["sql"].lower()]
    assert len(counts) == 1
    assert "LIMIT 5001" in counts[0]


def cost(client: Client, url: str) -> int:
    client.get(url)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def test_the_pages_cost_the_same_for_little_and_much(root: Client, settings: Any) -> None:
    """Of each, two are Django's: the session and the account."""
    settings.TWILIO_VERIFY_LIMITS = {"consent_recipient_day": 100}

    def more(times: int) -> None:
        for number in range(times):
            user = make_user(f"user{User.objects.count()}")
            agree(user=user)
            agree(f"+150171231{number:02}", user=user)
            client = make_client(f"s{user.pk}")
            verifications.start(recipient=f"+150171231{number:02}", channel="sms", user=user, client=client)
            consent.withdraw(recipient=PHONE, channel="sms", user=user, client=make_client())

    more(3)
    urls = (LIST, f"{LIST}?state=live", f"{LIST}?stop=overdue&country=US", page(), CHARTS)
    few = [cost(root, url) for url in urls]
    more(30)
    assert [cost(root, url) for url in urls] == few
    # Of the page of a recipient, two are for the register of keys, and two for opt-outs and attempts against them.
    assert few == [4, 4, 3, 12, 3]


def test_what_staff_record_while_they_act_as_another_names_both(
    root: Client, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impersonation, "actor_label", lambda request: "user 7 as root")
    stop = {"words": "Stop.", "came_by": "letter", "received_at": "2026-01-02T10:00", "channels": ["sms"]}
    assert root.post(page("opt_out"), stop).status_code == 302
    assert root.post(page("release"), {"channels": ["sms"], "reason": "at the counter"}).status_code == 302
    for event in ("opted_out", "released"):
        assert ConsentEvent.objects.get(event=event).evidence.actor_label == "user 7 as root"
    assert AuditEvent.objects.get(kind="opt_released").actor_label == "user 7 as root"


# -------------------------------------------------------------------------------------------------- charts


def test_the_charts_have_the_same_figures_beside_them(root: Client, ann: User) -> None:
    agree(EMAIL, "email", user=ann)
    consent.opt_out(recipient=EMAIL, channel="email")
    answer = root.get(CHARTS)
    text = answer.content.decode()
    by = {chart.id: chart for chart in answer.context["charts"]}
    assert sum(row.consents for row in by["time"].rows) == 2
    assert sum(row.stops for row in by["time"].rows) == 1
    assert [(row.name, row.consents, row.stops) for row in by["channel"].rows] == [
        ("text message", 1, 0),
        ("email", 1, 1),
    ]
    assert [(row.name, row.consents, row.stops) for row in by["country"].rows] == [
        ("none (email)", 1, 1),
        ("United States", 1, 0),
    ]
    text = text[text.index('id="content"') :]
    assert text.count("<svg viewBox") == text.count('role="img"') == text.count("<caption>") == 3
    assert text.count("<title id=") == text.count("<desc id=") == 3


@pytest.mark.parametrize(
    "query", ["since=x", "since=2026-02-01&until=2026-01-01", "since=1900-01-01", "until=9000-01-01"]
)
def test_any_period_is_answered(root: Client, ann: User, query: str) -> None:
    assert "<table" in shown(root, f"{CHARTS}?{query}")


def test_an_empty_period_says_so(root: Client) -> None:
    assert "Nothing happened in this period." in shown(root, CHARTS)


@pytest.mark.parametrize("language", ["de", "ar"])
def test_drawings_are_numbers_in_every_language(root: Client, ann: User, settings: Any, language: str) -> None:
    settings.LANGUAGE_CODE = language
    text = root.get(CHARTS, headers={"accept-language": language}).content.decode()
    assert not re.search(r'(?:x|y|width|height)="[\d]+,', text)


# -------------------------------------------------------------------------------------------------- audit


def test_the_audit_events_are_listed(root: Client, ann: User) -> None:
    erasure.erase(Addressee.of(PHONE), reason="asked", actor="dpo")
    text = shown(root, "/admin/twilio_verify/auditevent/")
    assert "evidence: 1, factors: 0, verifications: 0" in text
    assert page() in text
    event = AuditEvent.objects.get()
    assert json.loads(event.details)
    listed = root.get(f"/admin/twilio_verify/auditevent/?q={event.recipient_fingerprint}").context["cl"].result_list
    assert [row.pk for row in listed] == [event.pk]


def test_the_terms_of_a_search_are_fingerprints_of_every_key(root: Client, ann: User, settings: Any) -> None:
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k2", make_secret("2")), derived_keys.fingerprint_key("tests-only")]
    location = root.post(FIND, {"term": PHONE})["Location"]
    assert [one[:3] for one in parse_qs(urlsplit(location).query)["q"][0].split(",")] == [
        "k2.",
        f"{derived_keys.fingerprint_key('tests-only')[0]}."[:3],
    ]


def test_staff_release_an_opt_out_with_a_reason_and_a_permission() -> None:
    agree(user=make_user())
    consent.opt_out(recipient=PHONE, channel="sms")
    with pytest.raises(ConsentRequired):
        agree(user=make_user("bob"))
    officer = make_user("officer", is_staff=True)
    officer.user_permissions.add(all_permissions().get(codename="view_consentevent"))
    client = browser_of(officer)
    shown = client.get(page()).content.decode()
    assert "1 attempt to agree again although the holder had opted out" in shown and "release/" not in shown
    assert client.post(page("release"), {"channels": ["sms"], "reason": "at the counter"}).status_code == 403
    officer.user_permissions.add(all_permissions().get(codename="release_opt_out"))
    assert "release/" in client.get(page()).content.decode()
    assert client.post(page("release"), {"channels": ["sms"]}).status_code == 200
    assert not ConsentEvent.objects.filter(event="released").exists()
    assert client.post(page("release"), {"channels": ["sms"], "reason": "at the counter"})["Location"] == page()
    event = ConsentEvent.objects.get(event="released")
    assert (event.actor, event.evidence.actor_label, event.evidence.note) == ("staff", "officer", "at the counter")
    audited = AuditEvent.objects.get(kind="opt_released")
    assert (audited.actor_label, audited.reason) == ("officer", "at the counter")
    assert agree(user=make_user("carla"))
