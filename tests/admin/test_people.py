"""Beside factors: entities, removals, browsers, resets, what people put off. Read-only, at the same cost for many."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_twilio_verify.models import (
    Entity,
    Factor,
    FactorReset,
    ProviderRemoval,
    TrustedBrowser,
    UserState,
)
from django_twilio_verify.signals import browsers_revoked
from tests.support.basics import all_permissions, make_factor, make_user

pytestmark = pytest.mark.django_db
MODELS = [Entity, TrustedBrowser, UserState, FactorReset, ProviderRemoval]
SECRETS = ("digest-of-the-cookie", "setup-of-the-person", "digest-of-the-link")


@pytest.fixture(autouse=True)
def sessions_in_the_database(settings: Any) -> None:
    """Django's default, whatever cache the run has: the figures count the session's statements."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"


def fill(name: str) -> User:
    """A person with a row of everything."""
    now, user = timezone.now(), make_user(name)
    entity = Entity.objects.create(user=user, backend="default", created_at=now)
    make_factor(user, f"+1501712{Factor.objects.count() + 2000}")
    for number in range(2):
        Factor.objects.create(
            user=user, kind="totp", channel="totp", key=f"{name}{number}", entity=entity, created_at=now
        )
    TrustedBrowser.objects.create(
        user=user,
        token_digest=f"{SECRETS[0]}-{name}",
        setup=SECRETS[1],
        browser="Firefox on Linux",
        ip="203.0.113.7",
        created_at=now,
        last_used_at=now,
        expires_at=now + timedelta(days=1),
    )
    UserState.objects.create(user=user, grace_started_at=now, sessions_ended_at=now, suggestion_dismissed_at=now)
    FactorReset.objects.create(
        user=user,
        pending_for=user,
        reason="lost it",
        cancel_digest=f"{SECRETS[2]}-{name}",
        requested_at=now,
        due_at=now,
    )
    ProviderRemoval.objects.create(
        backend="default", identity=f"identity-of-{name}", factor_sid="YF1", created_at=now, tries=3, next_try_at=now
    )
    return user


@pytest.fixture
def ann() -> User:
    return fill("ann")


def enter(*codenames: str, superuser: bool = False) -> Client:
    user = make_user("sue", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(all_permissions().filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def list_of(model: Any) -> str:
    return f"/admin/twilio_verify/{model.__name__.lower()}/"


def pages() -> list[str]:
    found = [list_of(model) for model in MODELS]
    return found + [f"{list_of(model)}{row.pk}/change/" for model in MODELS for row in model.objects.all()]  # type: ignore[attr-defined]


def test_every_list_and_page_opens_and_shows_no_secret(ann: User) -> None:
    client = enter(superuser=True)
    for page in pages():
        response = client.get(page)
        assert response.status_code == 200, page
        shown = response.content.decode()
        assert not [one for one in SECRETS if one in shown], page
    assert "identity-of-ann" in client.get(list_of(ProviderRemoval)).content.decode()
    assert "Firefox on Linux" in client.get(list_of(TrustedBrowser)).content.decode()


def test_nothing_is_added_changed_or_deleted(ann: User) -> None:
    client = enter(superuser=True)
    for model in MODELS:
        row = model.objects.get()  # type: ignore[attr-defined]
        for page in ("add/", f"{row.pk}/delete/"):
            assert client.get(list_of(model) + page).status_code == 403
            assert client.post(list_of(model) + page, {"post": "yes"}).status_code == 403
        assert client.post(f"{list_of(model)}{row.pk}/change/", {"user": "1"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        client.post(list_of(model), chosen)
        assert model.objects.filter(pk=row.pk).exists()  # type: ignore[attr-defined]


def test_staff_without_permission_sees_nothing(ann: User) -> None:
    client = enter()
    assert {client.get(page).status_code for page in pages()} == {403}


@pytest.mark.parametrize("model", MODELS)
def test_a_list_costs_the_same_however_long_it_is(model: Any, ann: User) -> None:
    client = enter(superuser=True)
    with CaptureQueriesContext(
        connection,
    ) as one:
        client.get(list_of(model))
    for number in range(5):
        fill(f"person{number}")
    with CaptureQueriesContext(connection) as many:
        shown = client.get(list_of(model)).content.decode()
    assert len(many) == len(one)
    assert shown.count('name="_selected_action"') in (0, 6)


def test_how_many_factors_an_entity_has(ann: User) -> None:
    fill("ben")
    shown = enter(superuser=True).get(list_of(Entity)).content.decode()
    assert re.findall(r'field-factor_count">(\d+)<', shown) == ["2", "2"]


def test_a_state_shows_when_the_grace_period_ends(settings: Any) -> None:
    settings.TWILIO_VERIFY_GRACE_DAYS = 14
    settings.TIME_ZONE = "UTC"
    started = datetime(2026, 3, 1, 12, tzinfo=UTC)
    UserState.objects.create(user=make_user("ann"), grace_started_at=started, sessions_ended_at=started)
    UserState.objects.create(user=make_user("ben"))
    client = enter(superuser=True)
    shown = client.get(list_of(UserState)).content.decode()
    assert re.findall(r"field-grace_period_ends[^>]*>([^<]+)<", shown) == ["–", "March 15, 2026, noon"]
    heads = re.findall(r'class="text">(?:<a[^>]*>|<span>)([^<]+)<', shown)
    assert [one for one in heads if one.strip()] == [
        "User",
        "Grace period ends",
        "Sessions ended",
        "Suggestion dismissed",
    ]
    settings.TWILIO_VERIFY_GRACE_DAYS = 0
    assert "March 15" not in client.get(list_of(UserState)).content.decode()


def test_an_account_can_still_be_deleted_with_all_of_it(ann: User) -> None:
    client = enter("delete_user", "view_user", *(f"delete_{model.__name__.lower()}" for model in [*MODELS, Factor]))
    page = f"/admin/auth/user/{ann.pk}/delete/"
    assert "permission" not in client.get(page).content.decode()
    assert client.post(page, {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=ann.pk).exists() and not TrustedBrowser.objects.exists()
    assert not UserState.objects.exists()


def test_staff_ends_the_trust_in_a_browser(ann: User) -> None:
    browser = TrustedBrowser.objects.get()
    chosen = {"action": "revoke", "_selected_action": [browser.pk]}
    enter("view_trustedbrowser").post(list_of(TrustedBrowser), chosen)
    browser.refresh_from_db()
    assert browser.revoked_at is None, "to see is not to end"
    User.objects.filter(username="sue").delete()
    client = enter("view_trustedbrowser", "change_trustedbrowser")
    told: list[tuple[User, int]] = []

    def revoked(user: User, count: int, **kwargs: Any) -> None:
        told.append((user, count))

    browsers_revoked.connect(revoked)
    assert (
        "1 browser is not trusted any more."
        in client.post(list_of(TrustedBrowser), chosen, follow=True).content.decode()
    )
    browser.refresh_from_db()
    assert browser.revoked_at is not None
    assert told == [(ann, 1)], "the site hears of it as of the person's own"
    before = browser.revoked_at
    assert "0 browsers" in client.post(list_of(TrustedBrowser), chosen, follow=True).content.decode()
    browser.refresh_from_db()
    assert browser.revoked_at == before


@pytest.mark.parametrize("term", ["ann", "identity-of-ann", "\0", "x" * 500, "'\"%_"])
def test_any_search_is_answered(term: str, ann: User) -> None:
    client = enter(superuser=True)
    for model in MODELS:
        assert client.get(list_of(model), {"q": term}).status_code == 200
