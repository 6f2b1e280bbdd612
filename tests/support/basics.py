"""Builders and helpers that tests share."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import time_machine
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from django_twilio_verify import consent
from django_twilio_verify.choices import Actor, ConsentMedium
from django_twilio_verify.conf import fingerprint
from django_twilio_verify.consent import endings
from django_twilio_verify.consent.recording import Subject
from django_twilio_verify.core.client import ClientInfo
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.models import ConsentEvent, Factor
from django_twilio_verify.testing import outbox

PHONE = "+15017122661"
OTHER_PHONE = "+15017122662"
EMAIL = "ann@example.org"
PASSWORD = "correct horse"

T = TypeVar("T")


def make_secret(name: str) -> str:
    """A secret for a key, the same for the same name, as random as ``secrets.token_hex(32)`` looks."""
    return hashlib.sha256(name.encode()).hexdigest()


def make_client(session: str = "session-1", **values: str) -> ClientInfo:
    defaults = {"ip": "203.0.113.7", "user_agent": "Test/1", "page": "https://shop.test/enroll/", "language": "en"}
    return ClientInfo(session=session, **{**defaults, **values})


@contextmanager
def one_moment() -> Iterator[None]:
    """Time stands still. For codes of the step before: a moment later they may be of two steps before, and too old."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


def make_user(username: str = "ann", **values: Any) -> User:
    return get_user_model().objects.create_user(username, password=PASSWORD, **values)


def all_permissions() -> QuerySet[Permission]:
    """What Django makes for the models; made anew where the tables were emptied (``conftest``)."""
    if not Permission.objects.exists():
        for config in apps.get_app_configs():
            create_permissions(config, verbosity=0)
    return Permission.objects.all()


def agree(
    recipient: str = PHONE, channel: str = "sms", *, user: Any = None, client: ClientInfo | None = None, **values: Any
) -> ConsentEvent:
    return consent.grant(
        recipient=recipient,
        channel=channel,
        user=user,
        client=client or make_client(),
        disclosure=consent.get_disclosure(channel),  # type: ignore[arg-type]
        **values,
    )


def release_opt_out(recipient: str = PHONE, channel: str = "sms") -> ConsentEvent | None:
    """End the holder's opt-out, as staff would."""
    context = consent.ConsentContext(
        medium=ConsentMedium.ADMIN, actor=Actor.STAFF, note="The holder asked at the counter."
    )
    return endings.release(Subject.of_holder(recipient, channel, None), context)


def make_factor(user: Any, recipient: str = PHONE, *, channel: str = "sms", agreed: bool = True) -> Factor:
    """A confirmed factor; the first one is the default."""
    parsed = Recipient.parse(recipient)
    now = timezone.now()
    first = not Factor.objects.filter(user=user).exists()
    if agreed:
        agree(recipient, channel, user=user)
    return Factor.objects.create(
        user=user,
        default_for=user if first else None,
        kind=parsed.kind.value,
        channel=channel,
        key=fingerprint(parsed),
        recipient_value=parsed.value,
        created_at=now,
        confirmed_at=now,
    )


def last_code() -> str:
    """The code of the newest message."""
    return outbox[-1].code


def wrong_code(code: str | None = None) -> str:
    right = code or last_code()
    return "".join(str((int(digit) + 1) % 10) for digit in right)


def code_path(response: Any) -> str:
    """The code page that a redirect leads to."""
    assert response.status_code == 302, (response.status_code, response.content[:3000])
    found = re.search(r"/verify/code/[0-9a-f-]{36}/", response["Location"])
    assert found, response["Location"]
    return found.group()


def sign_in(client: Client, username: str = "ann", *, url: str = "/login/") -> Any:
    return client.post(url, {"username": username, "password": PASSWORD})


def race(count: int, work: Callable[[int], T]) -> list[T | BaseException]:
    """Run ``work(index)`` in ``count`` threads that start at the same instant; what each returned or raised."""
    barrier = threading.Barrier(count)

    def run(index: int) -> T | BaseException:
        try:
            barrier.wait(timeout=30)
            return work(index)
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
