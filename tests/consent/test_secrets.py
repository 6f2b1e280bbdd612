"""What goes wrong with consent shows no recipient in full."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection

from django_twilio_verify import consent, verifications
from django_twilio_verify.consent import ConsentContext, get_disclosure
from django_twilio_verify.exceptions import InvalidRecipient
from tests.support.basics import PHONE, make_client, make_user
from tests.support.tracebacks import everything_shown

pytestmark = pytest.mark.django_db

WRONG = "+15017122"


class Broken(Exception):
    """The database is gone."""


def breaks(*args: Any) -> Any:
    raise Broken


CALLS: dict[str, Callable[[], dict[str, Any]]] = {
    "grant": lambda: {"client": make_client(), "disclosure": get_disclosure("sms")},
    "find": lambda: {"client": make_client()},
    "require": lambda: {"client": make_client()},
    "withdraw": lambda: {"client": make_client()},
    "opt_out": dict,
    "release_opt_out": lambda: {"staff": make_user(), "reason": "The holder asked."},
    "invalidate": lambda: {"reason": "The number has changed hands."},
    "record": lambda: {"event": "imported", "context": ConsentContext.imported(origin="list.csv")},
}


@pytest.mark.parametrize("twin", ["", "a"])
@pytest.mark.parametrize("name", CALLS)
def test_no_report_shows_the_recipient(name: str, twin: str) -> None:
    verb, values = getattr(consent, twin + name), CALLS[name]()
    call = async_to_sync(verb) if asyncio.iscoroutinefunction(verb) else verb
    with pytest.raises(InvalidRecipient) as wrong:
        call(recipient=WRONG, channel="sms", **values)
    with connection.execute_wrapper(breaks), pytest.raises(Broken) as broken:
        call(recipient=PHONE, channel="sms", **values)
    shown = everything_shown(wrong.value) + everything_shown(broken.value)
    assert all(number not in shown for number in (WRONG, PHONE, WRONG[2:], PHONE[2:]))


def test_nor_what_was_typed() -> None:
    with pytest.raises(InvalidRecipient) as wrong:
        verifications.parse_recipient(WRONG, channel="sms")
    assert WRONG[2:] not in everything_shown(wrong.value)
