"""A ledger with something in it, and a key to sign with."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from django_twilio_verify import consent, verifications
from django_twilio_verify.core.signing_keys import SigningKey
from django_twilio_verify.ledger import sealing
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE, agree, make_client, make_user
from tests.support.evidence import new_key


@pytest.fixture
def key(settings: Any) -> SigningKey:
    """An Ed25519 key of the site's."""
    made = new_key()
    settings.TWILIO_VERIFY_SIGNING_KEYS = [(made.id, made.secret)]
    return made


@pytest.fixture
def ann(db: None) -> User:
    """She agreed, got a message and took it back; Bob has another number; all of that is sealed, her new yes is not."""
    ann, bob = make_user(), make_user("bob")
    context = consent.ConsentContext.checkbox(button_label="Send <code>")
    agree(user=ann, context=context, client=make_client(ip="203.0.113.7", user_agent="Ann's browser"))
    agree(OTHER_PHONE, user=bob, client=make_client("session-2", ip="198.51.100.9", user_agent="Bob's browser"))
    agree(EMAIL, "email", user=bob, client=make_client("session-2", ip="198.51.100.9"))
    verifications.start(recipient=PHONE, channel="sms", user=ann, client=make_client())
    consent.withdraw(recipient=PHONE, channel="sms", user=ann, client=make_client())
    return ann


@pytest.fixture
def sealed(key: SigningKey, ann: User) -> User:
    sealing.seal()
    agree(user=ann)
    return ann
