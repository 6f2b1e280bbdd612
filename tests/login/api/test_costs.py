"""How many SQL statements the second factor costs a request. Figures to keep; a rise wants a reason."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_twilio_verify import factors
from django_twilio_verify.testing import last_code
from tests.support.basics import make_factor, make_user, sign_in, wrong_code
from tests.support.challenges import Holder
from tests.support.devices import World
from tests.support.own_site import OwnSite

pytestmark = pytest.mark.django_db

# Of the whole request: reading and writing the session, savepoints of the test's own transaction not counted.
MOST: dict[tuple[str, str], dict[str, int]] = {
    ("login", "sms"): {"challenge_options": 9, "challenge": 21, "wrong": 15, "check": 23},
    ("login", "totp"): {"challenge_options": 4, "challenge": 11, "wrong": 23, "check": 30},
    ("step_up", "sms"): {"challenge_options": 9, "challenge": 20, "wrong": 14, "check": 15},
    ("step_up", "totp"): {"challenge_options": 4, "challenge": 11, "wrong": 23, "check": 23},
}


def statements(site: OwnSite, browser: Client, name: str, *args: Any, **named: Any) -> tuple[int, Any]:
    with CaptureQueriesContext(connection) as captured:
        value = getattr(site, name)(browser, *args, **named)
    return len([one for one in captured if "SAVEPOINT" not in one["sql"]]), value


@pytest.mark.parametrize(("purpose", "channel"), MOST)
def test_statements(settings: Any, client: Client, purpose: str, channel: str) -> None:
    settings.ROOT_URLCONF = "tests.support.own_site"
    site, ann = OwnSite(False), make_user()
    holder = Holder(ann, World("sync", None), client)
    if channel == "totp":
        holder.hold("totp")
    else:
        make_factor(ann)
    sign_in(client)
    if purpose == "step_up":
        site.check_recovery_code(client, factors.create_recovery_codes(ann)[0])
    code = holder.app.code if holder.app is not None else last_code
    found: dict[str, int] = {}
    found["challenge_options"], [option, *_] = statements(site, client, "challenge_options")
    found["challenge"], started = statements(site, client, "challenge", option)
    found["wrong"], wrong = statements(site, client, "check", started.verification, code=wrong_code(code()))
    found["check"], checked = statements(site, client, "check", started.verification, code=code())
    assert not wrong.approved and checked.approved
    most = MOST[purpose, channel]
    assert {name: count for name, count in found.items() if count > most[name]} == {}
