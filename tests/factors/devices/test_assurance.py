"""Which ways are good enough, which comes first, and when a stronger one is offered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from django_twilio_verify.choices import Channel, FactorKind
from django_twilio_verify.conf import ASSURANCE
from django_twilio_verify.exceptions import ChannelTooWeak
from django_twilio_verify.factors import own_factors
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.verifications import assurance, challenges, lifecycle
from django_twilio_verify.verifications.assurance import AssuranceRequest
from tests.support.basics import EMAIL, PHONE, make_client, make_factor
from tests.support.devices import World

pytestmark = pytest.mark.django_db


def test_every_channel_has_its_place() -> None:
    assert set(ASSURANCE) == {channel.value for channel in Channel}
    order = ["email", "sms", "sna", "totp", "passkey"]
    assert [one for one in sorted(ASSURANCE, key=lambda one: ASSURANCE[one]) if one in order] == order


@pytest.mark.parametrize(
    ("least", "channel", "purpose", "is_enough"),
    [
        (None, "email", "login", True),
        ("sms", "email", "login", False),
        ("sms", "call", "login", True),
        ("totp", "sms", "step_up", False),
        ("totp", "push", "payment", True),
        ("totp", "silent", "login", False),
        ("passkey", "totp", "login", False),
        ("passkey", "recovery", "login", True),
        ("passkey", "email", "enroll", True),
        ("passkey", "email", "verify", True),
        (lambda asked: "passkey" if asked.user.is_staff else None, "sms", "login", True),
        (f"{__name__}.only_payments", "sms", "payment", False),
        (f"{__name__}.only_payments", "sms", "login", True),
    ],
)
def test_minimum(ann: Any, settings: Any, least: Any, channel: str, purpose: str, is_enough: bool) -> None:
    settings.TWILIO_VERIFY_MINIMUM_ASSURANCE = least
    assert assurance.is_enough(channel, user=ann, purpose=purpose, client=make_client()) is is_enough


def only_payments(asked: AssuranceRequest) -> str | None:
    return "totp" if asked.purpose == "payment" else None


@pytest.mark.parametrize("least", ["strong", 7, lambda asked: "strong"])
def test_words_that_are_none(ann: Any, settings: Any, least: Any) -> None:
    settings.TWILIO_VERIFY_MINIMUM_ASSURANCE = least
    with pytest.raises(ImproperlyConfigured, match="MINIMUM_ASSURANCE"):
        assurance.is_enough("sms", user=ann, purpose="login", client=make_client())


def test_a_weak_way_is_refused_before_anything_is_written(local: World, ann: Any, settings: Any, clock: Any) -> None:
    factor = make_factor(ann)
    local.totp(ann)
    settings.TWILIO_VERIFY_MINIMUM_ASSURANCE = "passkey"
    before = Verification.objects.count()
    with pytest.raises(ChannelTooWeak) as caught:
        lifecycle.start(recipient=PHONE, channel="sms", client=make_client(), user=ann, purpose="login")
    with pytest.raises(ChannelTooWeak):
        challenges.start(channel="totp", client=make_client(), user=ann)
    assert "stronger" in caught.value.user_message
    assert Verification.objects.count() == before
    assert own_factors.challenge_options([factor], user=ann) == [] and assurance.channels(ann, make_client()) == []
    settings.TWILIO_VERIFY_MINIMUM_ASSURANCE = "totp"
    assert assurance.channels(ann, make_client()) == [Channel.TOTP]


def test_the_default_is_the_strongest_that_worked_lately(local: World, ann: Any, clock: Any) -> None:
    email, totp = make_factor(ann, EMAIL, channel="email"), local.totp(ann)[0]
    assert Factor.objects.get(default_for=ann) == totp
    passkey, _ = local.passkey(ann)
    assert Factor.objects.get(default_for=ann) == passkey
    now = timezone.now()
    held = lambda: Factor.objects.filter(user=ann)  # noqa: E731
    Factor.objects.filter(pk=passkey.pk).update(last_used_at=now - timedelta(days=91))
    assert assurance.strongest(held()) == totp
    Factor.objects.filter(pk=totp.pk).update(lost_at=now)
    assert assurance.strongest(held()) == email
    assert assurance.strongest([]) is None


def test_a_stronger_factor_is_offered(local: World, ann: Any, clock: Any) -> None:
    assert assurance.offer(ann, "sms") == FactorKind.PASSKEY
    assurance.not_now(ann)
    assert assurance.offer(ann, "sms") is None
    clock.shift(timedelta(days=30, seconds=1))
    assert assurance.offer(ann, "sms") == FactorKind.PASSKEY
    assurance.not_now(ann)
    clock.shift(timedelta(days=31))
    local.totp(ann)
    assert assurance.offer(ann, "sms") == FactorKind.PASSKEY
    local.passkey(ann)
    assert assurance.offer(ann, "sms") is None
    assert assurance.offer(ann, "passkey") is None
