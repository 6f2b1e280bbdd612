"""Somebody who knows the password begins sign-ins from everywhere: the owner's other factors stay open."""

from __future__ import annotations

import pytest

from django_twilio_verify.exceptions import RateLimited
from django_twilio_verify.verifications import challenges, lifecycle
from tests.support.basics import PHONE, make_client, make_factor, one_moment

pytestmark = pytest.mark.django_db


def everything_is_tried(world, user) -> set[str]:
    """From twenty networks, four times each; which limits stopped it."""
    met = set()
    for index in range(20):
        thief = make_client(f"thief-{index}", ip=f"192.0.{index}.9")
        for turn in range(4):
            for channel in ("sms", "totp", "passkey"):
                client = make_client(f"{thief.session}-{turn}", ip=thief.ip)
                try:
                    if channel == "sms":
                        lifecycle.start(recipient=PHONE, channel="sms", user=user, purpose="login", client=client)
                    else:
                        challenges.start(channel=channel, user=user, client=client)
                except RateLimited as refused:
                    met.add(refused.code)
    return met


@pytest.fixture
def besieged(local, ann):
    make_factor(ann)
    _, app = local.totp(ann)
    _, browser = local.passkey(ann)
    assert "login_new_hour" in everything_is_tried(local, ann)
    return app, browser


def test_a_passkey_stays_open_to_the_owner_anywhere(local, ann, besieged):
    _, browser = besieged
    client = make_client("travelling", ip="192.0.250.1")
    begun = challenges.start(channel="passkey", user=ann, client=client)
    answer = browser.get(begun.browser_options)
    assert challenges.check(begun.verification, client=client, user=ann, credential=answer).approved


def test_an_authenticator_app_stays_open_to_the_owner_anywhere(local, ann, besieged):
    app, _ = besieged
    client = make_client("travelling", ip="192.0.250.1")
    begun = challenges.start(channel="totp", user=ann, client=client)
    with one_moment():
        assert challenges.check(begun.verification, client=client, user=ann, code=app.code()).approved


def test_sign_ins_by_app_slow_down_the_network_that_begins_them(local, ann, besieged):
    client = make_client("thief", ip="192.0.30.9")
    for index in range(10):
        challenges.start(channel="totp", user=ann, client=make_client(f"thief-x{index}", ip=client.ip))
    with pytest.raises(RateLimited) as refused:
        challenges.start(channel="totp", user=ann, client=make_client("thief-x10", ip=client.ip))
    assert refused.value.code == "login_app_hour"
