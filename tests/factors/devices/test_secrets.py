"""What goes wrong shows no secret, code, token, number or signature; and nothing runs in a caller's transaction."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import transaction

from django_twilio_verify.backends.factor_options import TotpOptions
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable, TwilioVerifyError
from django_twilio_verify.models import Verification
from django_twilio_verify.testing import Authenticator, Browser
from django_twilio_verify.testing.factor_contract import ORIGIN, PARTY
from tests.support.basics import make_client
from tests.support.devices import World
from tests.support.tracebacks import everything_shown

pytestmark = pytest.mark.django_db
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def fail(world: World) -> None:
    """The next request fails, at the provider or as the backend tells it."""
    if world.server is not None:
        world.server.fail_next(status=500)
    else:
        backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))


def a_moved_secret(world: World, ann: Any) -> None:
    fail(world)
    world.flow("devicefactors.begin_totp", ann, make_client(), name="app", options=TotpOptions(secret=SECRET))


def a_first_code(world: World, ann: Any) -> None:
    begun = world.flow("devicefactors.begin_totp", ann, make_client(), name="app")
    fail(world)
    code = Authenticator.scan(begun.uri).code()
    SHOWN.extend([begun.secret, begun.uri, code])
    world.flow("devicefactors.confirm", begun.verification, client=make_client(), user=ann, code=code)


def a_code(world: World, ann: Any) -> None:
    _, app = world.totp(ann)
    row = world.flow("challenges.start", channel="totp", client=make_client(), user=ann).verification
    fail(world)
    code = app.code()
    SHOWN.append(code)
    world.flow("challenges.check", row, client=make_client(), code=code)


def an_assertion(world: World, ann: Any) -> None:
    _, browser = world.passkey(ann)
    started = world.flow("challenges.start", channel="passkey", client=make_client(), user=ann)
    fail(world)
    credential = browser.get(started.browser_options)
    SHOWN.extend([credential["id"], credential["response"]["signature"]])
    world.flow("challenges.check", started.verification, client=make_client(), credential=credential)


def a_registration(world: World, ann: Any) -> None:
    begun = world.flow("devicefactors.begin_passkey", ann, make_client(), name="Key", options=PARTY)
    fail(world)
    credential = Browser(ORIGIN).create(begun.browser_options)
    SHOWN.extend([credential["id"], credential["response"]["attestationObject"]])
    world.flow("devicefactors.confirm", begun.verification, client=make_client(), user=ann, credential=credential)


def a_number(world: World, ann: Any) -> None:
    world.phone(ann)
    started = world.flow("challenges.start", channel="push", client=make_client(), user=ann)
    Verification.objects.filter(pk=started.verification.pk).update(match_number="Q7")
    fail(world)
    SHOWN.append("'Q7'")
    world.flow("challenges.poll", started.verification, client=make_client())


SHOWN: list[str] = []


@pytest.mark.parametrize(
    "case", [a_moved_secret, a_first_code, a_code, an_assertion, a_registration, a_number], ids=lambda one: one.__name__
)
def test_nothing_secret_is_shown(world: World, ann: Any, caplog: Any, case: Any) -> None:
    caplog.set_level(0)
    SHOWN[:] = [SECRET]
    with pytest.raises(TwilioVerifyError) as caught:
        case(world, ann)
    # The frames of the test itself hold what it plays with: ours begin where the flow does.
    shown = everything_shown(caught.value) + caplog.text
    for secret in SHOWN:
        assert secret not in shown, case.__name__


def test_options_are_public_json(local: World, ann: Any) -> None:
    local.passkey(ann)
    started = local.flow("challenges.start", channel="passkey", client=make_client(), user=ann)
    row = Verification.objects.get(pk=started.verification.pk)
    assert json.loads(row.browser_options) == started.browser_options


def test_not_in_a_transaction_of_the_callers(local: World, ann: Any) -> None:
    factor, app = local.totp(ann)
    row = local.flow("challenges.start", channel="totp", client=make_client(), user=ann).verification
    works = [
        lambda: local.flow("challenges.start", channel="totp", client=make_client("2"), user=ann),
        lambda: local.flow("challenges.check", row, client=make_client(), code=app.code()),
        lambda: local.flow("devicefactors.begin_totp", ann, make_client(), name="app"),
        lambda: local.flow("devicefactors.remove", ann, factor.pk),
    ]
    for work in works:
        with pytest.raises(RuntimeError), transaction.atomic():
            work()


def test_too_many_factors_at_the_provider(world: World, ann: Any) -> None:
    if world.server is not None:
        world.server.fail_next(status=400, code=60315)
    else:
        backends["default"].fail_next(code=60315)
    with pytest.raises(BackendRejected) as caught:
        world.flow("devicefactors.begin_totp", ann, make_client(), name="app")
    assert caught.value.provider_code == 60315
    assert Verification.objects.get().status == "failed" and Verification.objects.get().pending_key is None
