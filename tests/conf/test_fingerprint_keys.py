"""Keys for fingerprints: written under the newest, looked up under all, changed without losing an opt-out."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import override_settings

from django_twilio_verify import conf, consent
from django_twilio_verify.conf import settings
from django_twilio_verify.core import derived_keys
from django_twilio_verify.core.client import ClientInfo
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import KeysDoNotFit
from django_twilio_verify.models import ConsentEvent
from tests.support.basics import EMAIL, PHONE, agree, make_client, make_secret, make_user

DERIVED = derived_keys.fingerprint_key("tests-only")
OLD, NEW = ("k1", make_secret("o")), ("k2", make_secret("n").encode())


def keys(*given: tuple[str, str | bytes]) -> override_settings:
    return override_settings(TWILIO_VERIFY_FINGERPRINT_KEYS=[*given])


def live(user: Any = None, client: ClientInfo | None = None, recipient: str = PHONE) -> ConsentEvent | None:
    return consent.find(recipient=recipient, channel="sms", user=user, client=client or make_client())


def test_without_the_setting_there_is_one_key_of_the_sites_own() -> None:
    (derived,) = settings.fingerprint_keys
    assert (derived.id, derived.secret) == derived_keys.fingerprint_key("tests-only")
    assert derived.id[1:] == derived_keys.check_value(derived.secret)[:10]
    assert len(derived.secret) == 32
    with override_settings(SECRET_KEY="another"):
        assert settings.fingerprint_keys[0].secret != derived.secret
        assert settings.fingerprint_keys[0].id != derived.id


def test_keys_are_text_or_bytes_and_keep_their_order() -> None:
    with keys(NEW, OLD):
        assert [(key.id, key.secret) for key in settings.fingerprint_keys] == [
            ("k2", make_secret("n").encode()),
            ("k1", make_secret("o").encode()),
        ]


def test_an_empty_list_is_as_good_as_none() -> None:
    with override_settings(TWILIO_VERIFY_FINGERPRINT_KEYS=[]):
        assert [(key.id, key.secret) for key in settings.fingerprint_keys] == [DERIVED]


def test_the_newest_key_writes_and_every_key_looks_up() -> None:
    recipient = Recipient.phone(PHONE)
    with keys(NEW, OLD):
        assert conf.fingerprint(recipient).startswith("k2.")
        assert [print_[:3] for print_ in conf.fingerprints(recipient)] == ["k2.", "k1."]
        assert conf.person_fingerprint("user", "1").startswith("k2.")
        assert [print_[:3] for print_ in conf.person_fingerprints("user", "1")] == ["k2.", "k1."]
    with keys(OLD):
        written = conf.fingerprint(recipient)
    with keys(NEW, OLD):
        assert written in conf.fingerprints(recipient)


def test_a_person_of_one_kind_is_not_a_person_of_the_other() -> None:
    assert conf.person_fingerprint("user", "1") != conf.person_fingerprint("session", "1")


@pytest.mark.django_db
def test_consent_outlives_a_new_key() -> None:
    user = make_user()
    with keys(OLD):
        given = agree(user=user)
    with keys(NEW, OLD):
        assert live(user) == given
        renewed = agree("+1 501 712 2661", user=user)
        assert renewed == given
    with keys(NEW), pytest.raises(KeysDoNotFit):
        live(user)


@pytest.mark.django_db
def test_an_opt_out_outlives_a_new_key() -> None:
    user = make_user()
    with keys(OLD):
        agree(user=user)
        consent.opt_out(recipient=PHONE, channel="sms", client=make_client("session-2"))
    with keys(NEW, OLD):
        assert live(user) is None


@pytest.mark.django_db
def test_what_is_withdrawn_under_the_new_key_ends_what_was_given_under_the_old() -> None:
    user = make_user()
    with keys(OLD):
        given = agree(user=user)
    with keys(NEW, OLD):
        ended = consent.withdraw(recipient=PHONE, channel="sms", user=user, client=make_client())
        assert ended is not None
        assert ended.previous == given
        assert ended.recipient_fingerprint.startswith("k2.")
        assert live(user) is None


@pytest.mark.django_db
def test_consent_outlives_a_new_secret_key_that_the_site_falls_back_from() -> None:
    user = make_user()
    given = agree(user=user)
    with override_settings(SECRET_KEY="rotated", SECRET_KEY_FALLBACKS=["tests-only"]):
        assert live(user) == given
        ids = [key.id for key in settings.fingerprint_keys]
        assert ids == [derived_keys.fingerprint_key("rotated")[0], DERIVED[0]]
    with override_settings(SECRET_KEY="rotated", SECRET_KEY_FALLBACKS=[]), pytest.raises(KeysDoNotFit):
        live(user)


@pytest.mark.django_db
def test_records_hold_no_address_of_their_own() -> None:
    user = make_user(email=EMAIL)
    event = agree(user=user)
    held = " ".join(str(getattr(event, field.attname)) for field in ConsentEvent._meta.concrete_fields)
    assert PHONE.lstrip("+") not in held
    assert user.get_username() not in held.split()
    assert get_user_model().objects.count() == 1
