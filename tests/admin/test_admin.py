"""The records as the compliance officer sees them: all of them, and nothing to press."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_twilio_verify import consent, verifications
from django_twilio_verify.admin.base import event_link
from django_twilio_verify.admin.consent import ConsentEventAdmin
from django_twilio_verify.choices import CheckOutcome
from django_twilio_verify.ledger import retention
from django_twilio_verify.ledger.addressees import Addressee
from django_twilio_verify.models import (
    AuditEvent,
    ConsentEvent,
    ConsentEvidence,
    Disclosure,
    Factor,
    LegalHold,
    Verification,
    VerificationCheck,
)
from django_twilio_verify.verifications import lifecycle
from tests.support.basics import (
    PASSWORD,
    agree,
    all_permissions,
    last_code,
    make_client,
    make_factor,
    make_user,
    sign_in,
    wrong_code,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sessions_in_the_database(settings):
    """Django's default, whatever cache the run has: the figures count the session's statements."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"


MODELS = [ConsentEvent, Disclosure, Verification, Factor, AuditEvent, LegalHold]
NUMBERS = itertools.count(15017122000)
SECRETS = ("user-agent-of-ann", "198.51.100.77", "page-of-ann")


@dataclass(frozen=True)
class Person:
    """Somebody with everything on record, and what must not be seen of it."""

    user: User
    phone: str
    email: str

    @property
    def hidden(self) -> list[str]:
        return [self.phone, self.phone[1:], self.phone[2:], self.phone[-7:], self.email, self.email.partition("@")[0]]


def make_person(name: str) -> Person:
    person = Person(make_user(name), f"+{next(NUMBERS)}", f"private.{name}@example.org")
    client = make_client(name, user_agent=SECRETS[0], ip=SECRETS[1], page=f"https://shop.test/{SECRETS[2]}")
    for recipient, channel in ((person.phone, "sms"), (person.email, "email")):
        agree(recipient, channel, user=person.user, client=client)
        factor = make_factor(person.user, recipient, channel=channel, agreed=False)
        started = lifecycle.start(
            recipient=recipient, channel=channel, user=person.user, purpose="enroll", factor=factor, client=client
        )
        assert not verifications.check(
            started.verification, code=wrong_code(), user=person.user, client=client
        ).approved
        verifications.check(started.verification, code=last_code(), user=person.user, client=client)
    consent.withdraw(recipient=person.phone, channel="sms", user=person.user, client=client)
    retention.hold(Addressee.of(person.phone), reason="case 7", actor="counsel")
    return person


def signed_in(user: User) -> Client:
    client = Client()
    sign_in(client, user.get_username(), url="/admin/login/?next=/admin/")
    return client


@pytest.fixture
def superuser() -> User:
    return User.objects.create_superuser("root", password=PASSWORD)


@pytest.fixture
def officer() -> User:
    """Staff who may look at the records, and nothing else."""
    user = make_user("officer", is_staff=True)
    allowed = all_permissions().filter(content_type__app_label="twilio_verify", codename__startswith="view_")
    user.user_permissions.set(allowed.exclude(codename="view_unmasked"))
    return user


@pytest.fixture(params=["superuser", "officer"])
def browser(request: pytest.FixtureRequest) -> Client:
    return signed_in(request.getfixturevalue(request.param))


@pytest.fixture
def person() -> Person:
    return make_person("ann")


def list_of(model: type, query: str = "") -> str:
    return reverse(f"admin:twilio_verify_{model.__name__.lower()}_changelist") + query


def page_of(row: Any, page: str = "change") -> str:
    return reverse(f"admin:twilio_verify_{type(row).__name__.lower()}_{page}", args=[row.pk])


def add_page(model: type) -> str:
    return reverse(f"admin:twilio_verify_{model.__name__.lower()}_add")


def ours(page: str) -> str:
    """A page without the bar at its side, which lists the site's other models."""
    start = (
        page.find('<div id="main"')
        if '<nav class="sticky' not in page
        else page.index("</nav>", page.index('<nav class="sticky'))
    )
    return page[max(start, 0) :]


def every_page() -> list[str]:
    pages = [list_of(model) for model in MODELS]
    for model in MODELS:
        for row in model._default_manager.all():
            pages += [page_of(row), page_of(row, "history")]
    return pages


# ------------------------------------------------------------------------------------------------ who may look


def test_a_superuser_without_a_factor_signs_in_as_ever(superuser: User) -> None:
    answer = signed_in(superuser).get("/admin/")
    assert answer.status_code == 200
    assert "Consent events" in answer.content.decode()


def test_the_records_are_named_in_the_index(browser: Client) -> None:
    shown = browser.get("/admin/twilio_verify/").content.decode()
    for model in MODELS:
        assert list_of(model) in shown
        assert add_page(model) not in shown
    assert "evidence" not in shown.lower()


def test_every_list_and_page_opens(browser: Client, person: Person) -> None:
    for url in every_page():
        assert browser.get(url).status_code == 200, url


def test_staff_without_permission_sees_nothing(person: Person) -> None:
    client = signed_in(make_user("clerk", is_staff=True))
    assert client.get("/admin/").status_code == 200
    for url in every_page():
        assert client.get(url).status_code == 403, url


def test_people_who_are_no_staff_are_asked_to_sign_in(person: Person) -> None:
    client = signed_in(make_user("bob"))
    for url in every_page():
        answer = client.get(url)
        assert (answer.status_code, answer["Location"][:14]) == (302, "/admin/login/?"), url


def test_what_is_not_there_is_not_an_error(browser: Client) -> None:
    for model, key in ((ConsentEvent, "99"), (Disclosure, "x"), (Verification, "not-a-uuid"), (Factor, "0")):
        name = f"admin:twilio_verify_{model.__name__.lower()}_change"
        assert browser.get(reverse(name, args=[key])).status_code == 302


# ----------------------------------------------------------------------------------------------- what is shown


def test_no_page_shows_a_whole_address(browser: Client, person: Person) -> None:
    urls = every_page()
    assert len(urls) > 10
    for url in urls:
        answer = browser.get(url)
        assert answer.status_code == 200, (url, answer.status_code, answer.get("Location"))
        shown = answer.content.decode()
        for hidden in (*person.hidden, *SECRETS):
            assert hidden not in shown, (url, hidden)


def test_addresses_are_shown_masked(browser: Client, person: Person) -> None:
    for model in (ConsentEvent, Verification, Factor):
        shown = browser.get(list_of(model)).content.decode()
        assert f"••• ••{person.phone[-2:]}" in shown
        assert "p•••@example.org" in shown


def test_no_page_shows_a_code(browser: Client, person: Person) -> None:
    verification = Verification.objects.filter(recipient_value=person.email).get()
    shown = browser.get(page_of(verification)).content.decode()
    assert last_code() not in shown
    assert verification.sid in shown


def test_a_verification_shows_its_sends_and_answers(browser: Client, person: Person) -> None:
    verification = Verification.objects.get(recipient_value=person.phone)
    shown = browser.get(page_of(verification)).content.decode()
    attempt = verification.attempts.get()
    assert attempt.consent_event_id
    assert f'<a href="{page_of(attempt.consent_event)}">{attempt.consent_event_id}</a>' in shown
    for outcome in (CheckOutcome.WRONG, CheckOutcome.APPROVED):
        assert str(outcome.label) in shown.lower()


def test_an_event_leads_to_the_one_before(browser: Client, person: Person) -> None:
    ended = ConsentEvent.objects.get(event="withdrawn")
    assert ended.previous is not None
    assert (
        f'<a href="{page_of(ended.previous)}">{ended.previous_id}</a>' in browser.get(page_of(ended)).content.decode()
    )


def test_a_site_that_leaves_the_ledger_out_of_its_admin_gets_a_bare_number(settings: Any) -> None:
    settings.ROOT_URLCONF = "django_twilio_verify.urls"
    assert event_link(5, admin.site) == "5"
    assert event_link(None, admin.site) == "–"


def test_the_words_that_were_shown_are_shown_as_text(browser: Client, settings: Any) -> None:
    settings.TWILIO_VERIFY_PROGRAM = {**settings.TWILIO_VERIFY_PROGRAM, "name": "<script>alert(1)</script>"}
    agree()
    disclosure = Disclosure.objects.get()
    for url in (page_of(disclosure), list_of(Disclosure)):
        shown = browser.get(url).content.decode()
        assert "<script>alert(1)" not in shown
        assert "&lt;script&gt;alert(1)" in shown


def test_erased_evidence_is_shown_as_erased(browser: Client, person: Person) -> None:
    event = ConsentEvent.objects.filter(channel="sms").earliest("id")
    ConsentEvidence.objects.filter(event=event).delete()
    for url in (page_of(event), list_of(ConsentEvent)):
        assert "erased" in browser.get(url).content.decode()
    assert unchanged(browser, event) is True


def unchanged(browser: Client, event: ConsentEvent) -> bool:
    """What the event's page says of "unchanged since written"."""
    shown = browser.get(page_of(event)).content.decode()
    _, _, after = shown.partition("field-intact")
    after = after[: after.index("</div>", after.index("readonly"))]
    assert ("icon-yes" in after) != ("icon-no" in after)
    return "icon-yes" in after


def drop_guard() -> None:
    """What only the owner of the database can do. Undone with the test's transaction, or by ``restore_guard``."""
    on = " ON twilio_verify_consentevent" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER twilio_verify_consentevent_no_update{on}")


def test_an_untouched_event_is_shown_as_unchanged(browser: Client, person: Person) -> None:
    for event in ConsentEvent.objects.all():
        assert unchanged(browser, event) is True


def test_changed_evidence_shows(browser: Client, person: Person) -> None:
    event = ConsentEvent.objects.earliest("id")
    ConsentEvidence.objects.filter(event=event).update(ip="192.0.2.1")
    assert unchanged(browser, event) is False


def test_an_event_that_was_tampered_with_shows(browser: Client, person: Person) -> None:
    event = ConsentEvent.objects.earliest("id")
    if connection.vendor == "mysql":  # its DDL ends the transaction; its session can be told to look away instead
        with connection.cursor() as cursor:
            cursor.execute("SET @twilio_verify_flush = 1")
            ConsentEvent.objects.filter(pk=event.pk).update(control_final=not event.control_final)
            cursor.execute("SET @twilio_verify_flush = NULL")
    else:
        drop_guard()
        ConsentEvent.objects.filter(pk=event.pk).update(control_final=not event.control_final)
    assert unchanged(browser, event) is False


def test_an_event_that_was_made_up_shows(superuser: User) -> None:
    event = agree()
    made_up = ConsentEvent.objects.get(pk=event.pk)
    made_up.event = "renewed"
    assert ConsentEventAdmin(ConsentEvent, admin.site).intact(made_up) is False


# ---------------------------------------------------------------------------------------- nothing can be done


def test_there_is_nothing_to_press(browser: Client, person: Person) -> None:
    for url in every_page():
        shown = ours(browser.get(url).content.decode())
        for button in ("addlink", "deletelink", "_save", "_continue", "_addanother", 'name="action"', "/delete/"):
            # The one act: to ask for a reset, on a page of its own (tests/factors/resets).
            assert button not in shown or (button, url) == ('name="action"', list_of(Factor)), (url, button)
        for model in MODELS:
            assert f"{add_page(model)}" not in shown, url


def snapshot() -> list[Any]:
    return [
        list(model._default_manager.order_by("pk").values()) for model in (*MODELS, ConsentEvidence, VerificationCheck)
    ]


def test_whatever_is_posted_is_refused(browser: Client, person: Person) -> None:
    before = snapshot()
    for model in MODELS:
        assert browser.get(add_page(model)).status_code == 403
        assert browser.post(add_page(model), {"channel": "call"}).status_code == 403
        row = model._default_manager.all()[0]
        assert browser.post(page_of(row), {"channel": "call", "_save": "Save"}).status_code == 403
        assert browser.post(page_of(row), {"attempts-TOTAL_FORMS": "0", "_continue": "x"}).status_code == 403
        for data in ({}, {"post": "yes"}):
            assert browser.post(page_of(row, "delete"), data).status_code == 403
        assert browser.get(page_of(row, "delete")).status_code == 403
    assert snapshot() == before
    assert not LogEntry.objects.exists()


def test_there_are_no_actions(browser: Client, person: Person) -> None:
    before = snapshot()
    for model in MODELS:
        keys = [str(row.pk) for row in model._default_manager.all()]
        for action in ("delete_selected", "anything", ""):
            browser.post(list_of(model), {"action": action, "_selected_action": keys, "post": "yes"})
        browser.post(list_of(model), {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "_save": "Save"})
    assert snapshot() == before


@pytest.mark.parametrize("model", MODELS)
def test_no_model_admin_grants_writing(model: type, superuser: User, rf: Any) -> None:
    request = rf.get("/")
    request.user = superuser
    ours = admin.site.get_model_admin(model)
    assert ours.get_model_perms(request) == {"add": False, "change": False, "delete": False, "view": True}
    assert [*ours.get_actions(request)] == (["reset_factors"] if model is Factor else [])


def test_an_account_can_still_be_deleted_on_its_own_page_with_its_factors(superuser: User, person: Person) -> None:
    client, kept = signed_in(superuser), ConsentEvent.objects.count()
    url = reverse("admin:auth_user_delete", args=[person.user.pk])
    shown = client.get(url).content.decode()
    assert "phone ••• ••" in shown
    assert person.phone not in shown
    assert client.post(url, {"post": "yes"}).status_code == 302
    assert not Factor.objects.exists()
    assert ConsentEvent.objects.count() == kept
    assert not Verification.objects.exclude(user=None).exists()


def test_accounts_can_still_be_deleted_from_their_list(superuser: User, person: Person) -> None:
    client = signed_in(superuser)
    data = {"action": "delete_selected", "_selected_action": [str(person.user.pk)], "post": "yes"}
    assert client.post(reverse("admin:auth_user_changelist"), data).status_code == 302
    assert not Factor.objects.exists()
    assert not User.objects.filter(pk=person.user.pk).exists()


def test_staff_who_may_not_delete_accounts_deletes_no_factors(officer: User, person: Person) -> None:
    client = signed_in(officer)
    assert client.post(reverse("admin:auth_user_delete", args=[person.user.pk]), {"post": "yes"}).status_code == 403
    assert Factor.objects.count() == 2


# ------------------------------------------------------------------------------------------ search and filters

SEARCHES = ["ann", "x' OR 1=1 --", "%", "\0", "é" * 300, "00000000-0000-4000-8000-000000000000", '"unclosed', "a b c d"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("term", SEARCHES)
def test_any_search_is_answered(model: type, term: str, superuser: User, person: Person) -> None:
    assert signed_in(superuser).get(list_of(model, f"?q={quote(term)}")).status_code == 200


FILTERS = [
    "?event__exact=granted",
    "?channel__exact=sms",
    "?medium__exact=api",
    "?status__exact=approved",
    "?purpose__exact=enroll",
    "?kind__exact=phone",
    "?channel__exact=pigeon",
    "?p=99",
    "?p=x",
    "?o=1.-2.3",
    "?o=99",
    "?all=",
    "?recipient_value__startswith=%2B1501",
    "?evidence__recipient=%2B15017122000",
    "?user__password__startswith=md5",
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("query", FILTERS)
def test_any_filter_is_answered(model: type, query: str, superuser: User, person: Person) -> None:
    answer = signed_in(superuser).get(list_of(model, query))
    # 400: a look-up that Django disallows; 302: one that means nothing.
    assert answer.status_code in (200, 302, 400)
    if "startswith" in query or "evidence" in query:
        assert answer.status_code != 200, "a list that can be filtered by it tells addresses apart digit by digit"


def found(browser: Client, model: type, term: str) -> set[Any]:
    answer = browser.get(list_of(model, f"?q={quote(term)}"))
    return {row.pk for row in answer.context["cl"].result_list}


def test_records_are_found_by_what_an_officer_knows(browser: Client, person: Person) -> None:
    other = make_person("bob")
    event = ConsentEvent.objects.filter(channel="sms").earliest("id")
    verification = Verification.objects.get(recipient_value=other.phone)
    assert found(browser, Verification, "bob") == {row.pk for row in Verification.objects.filter(user=other.user)}
    assert found(browser, Verification, str(verification.pk)) == {verification.pk}
    assert found(browser, Verification, verification.sid) == {verification.pk}
    assert found(browser, Factor, "ann") == {row.pk for row in Factor.objects.filter(user=person.user)}
    assert found(browser, ConsentEvent, event.digest) == {event.pk}
    assert found(browser, ConsentEvent, event.digest[:12]) == {event.pk}
    same = ConsentEvent.objects.filter(recipient_fingerprint=event.recipient_fingerprint)
    assert found(browser, ConsentEvent, event.recipient_fingerprint) == {row.pk for row in same}
    assert found(browser, ConsentEvent, "5017122") == set()


# ---------------------------------------------------------------------------------------------- what it costs


def statements(client: Client, url: str) -> int:
    client.get(url)  # content types are read once in a process
    with CaptureQueriesContext(
        connection,
    ) as captured:
        answer = client.get(url)
    assert answer.status_code == 200
    return len(captured)


@pytest.mark.parametrize(
    ("model", "exactly"),
    [(ConsentEvent, 4), (Disclosure, 4), (Verification, 5), (Factor, 4), (AuditEvent, 4), (LegalHold, 4)],
)
def test_a_list_costs_the_same_however_long_it_is(model: type, exactly: int, superuser: User) -> None:
    client = signed_in(superuser)
    make_person("ann")
    few = statements(client, list_of(model))
    for number in range(14):
        make_person(f"person{number}")
    if model is not Disclosure:
        assert model._default_manager.count() >= 15
    assert (few, statements(client, list_of(model))) == (exactly, exactly)


def test_a_page_costs_the_same_however_many_sends_and_answers_it_has(superuser: User, person: Person) -> None:
    client = signed_in(superuser)
    verification = Verification.objects.get(recipient_value=person.phone)
    few = statements(client, page_of(verification))
    attempt = verification.attempts.get()
    for _ in range(27):
        attempt.pk = None
        attempt._state.adding = True
        attempt.save()
        VerificationCheck.objects.create(verification=verification, outcome="wrong", created_at=attempt.created_at)
    assert verification.attempts.count() == 28
    assert statements(client, page_of(verification)) == few
