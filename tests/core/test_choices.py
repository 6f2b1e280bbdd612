"""The closed lists."""

from __future__ import annotations

import enum

import pytest
from django.db.models import TextChoices

from django_twilio_verify import choices
from django_twilio_verify.choices import (
    CODE_CHANNELS,
    CONSENT_CHANNELS,
    LIVE_CONSENT,
    VERIFICATION_CHANNELS,
    Channel,
    ConsentEventType,
    RecipientKind,
    VerificationStatus,
)

LISTS = [
    found
    for found in vars(choices).values()
    if isinstance(found, enum.EnumMeta) and issubclass(found, TextChoices) and found is not TextChoices
]


@pytest.mark.parametrize(
    ("written", "channel"),
    [
        ("sms", Channel.SMS),
        ("SMS", Channel.SMS),
        (" sms ", Channel.SMS),
        ("rcs", Channel.SMS),
        ("RCS", Channel.SMS),
        ("call", Channel.CALL),
        ("voice", Channel.CALL),
        ("Voice", Channel.CALL),
        ("whatsapp", Channel.WHATSAPP),
        ("email", Channel.EMAIL),
        ("totp", Channel.TOTP),
        (Channel.SMS, Channel.SMS),
    ],
)
def test_a_channel_is_read_in_any_spelling(written: str, channel: Channel) -> None:
    assert Channel.parse(written) is channel


@pytest.mark.parametrize("written", ["", " ", "pigeon", "s m s", "sms\0", "ſms", "none", "None"])
def test_an_unknown_channel_is_a_value_error(written: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Channel"):
        Channel.parse(written)


@pytest.mark.parametrize("channel", Channel)
def test_every_channel_is_read_back(channel: Channel) -> None:
    assert Channel.parse(channel.value) is channel


def test_channels_carry_to_a_phone_an_inbox_or_nowhere() -> None:
    carried = {channel: channel.recipient_kind for channel in Channel}
    phone = {Channel.SMS, Channel.CALL, Channel.WHATSAPP, Channel.SNA, Channel.AUTO}
    assert {channel for channel, kind in carried.items() if kind == RecipientKind.PHONE} == phone
    assert {channel for channel, kind in carried.items() if kind == RecipientKind.EMAIL} == {Channel.EMAIL}
    assert all(channel.recipient_kind is not None for channel in CODE_CHANNELS)


def test_auto_goes_by_the_consent_to_text_messages_and_every_other_by_its_own() -> None:
    others = {channel: channel.consent_channel for channel in Channel if channel != Channel.AUTO}
    assert Channel.AUTO.consent_channel is Channel.SMS
    assert all(channel is agreed for channel, agreed in others.items())
    assert {channel.consent_channel for channel in VERIFICATION_CHANNELS} == {*CONSENT_CHANNELS}


def test_only_what_was_agreed_to_is_live() -> None:
    assert set(ConsentEventType) - set(LIVE_CONSENT) == {
        ConsentEventType.WITHDRAWN,
        ConsentEventType.GRANTED_ONCE,
        ConsentEventType.RELEASED,
        ConsentEventType.OPTED_OUT,
        ConsentEventType.EXPIRED,
        ConsentEventType.INVALIDATED,
    }


@pytest.mark.parametrize("words", LISTS, ids=lambda words: words.__name__)
def test_stored_words_are_plain_and_each_has_a_name(words: type[TextChoices]) -> None:
    for word in words:
        assert word.value == word.name.lower()
        assert str(word.label)
        assert word.value != str(word.label) or "_" not in word.value


def test_nothing_but_approved_counts_as_proof() -> None:
    assert [status for status in VerificationStatus if status == "approved"] == [VerificationStatus.APPROVED]
