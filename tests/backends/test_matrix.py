"""The tables of channels and options in the reference say what the flags and the rules say."""

from __future__ import annotations

from pathlib import Path

import pytest

from django_twilio_verify.backends.base import BaseBackend
from django_twilio_verify.backends.console import ConsoleBackend
from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.backends.options import IncompatibleOptions, SendOptions
from django_twilio_verify.backends.simulator.verifications import VerifySimulator
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.backends.twilio.errors import VerifyError
from django_twilio_verify.choices import VERIFICATION_CHANNELS, Channel, Feature
from django_twilio_verify.core.recipients import RecipientKind
from django_twilio_verify.testing.contract import SAMPLES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "backends.md"


def table(first: str) -> list[list[str]]:
    """The rows of the table of the page whose head begins with ``first``, without code marks."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(first))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")])
    return [rows[0], *rows[2:]]


def fits(options: SendOptions, channel: Channel) -> str:
    try:
        options.check(channel)
    except IncompatibleOptions:
        return "–"
    return "yes"


def test_the_matrix_has_every_feature_and_every_channel() -> None:
    head, *rows = table("| Feature |")
    assert head[2:] == [channel.value for channel in VERIFICATION_CHANNELS]
    assert [row[0] for row in rows] == [feature.value for feature in Feature]
    assert [row[1] for row in rows] == [str(feature.label) for feature in Feature]


@pytest.mark.parametrize("feature", Feature)
def test_the_matrix_says_what_is_refused(feature: Feature) -> None:
    row = next(row for row in table("| Feature |") if row[0] == feature.value)
    _, options = SAMPLES[feature]
    assert row[2:] == [fits(options, channel) for channel in VERIFICATION_CHANNELS]


@pytest.mark.parametrize("backend", [TwilioBackend, ConsoleBackend, LocMemBackend])
def test_the_table_says_what_the_flags_say(backend: type[BaseBackend]) -> None:
    _, channels, features = next(row for row in table("| Backend | Channels") if row[0] == backend.__name__)
    assert {*channels.split()} == {channel.value for channel in backend.channels}
    flagged = {*Feature} if features == "all" else {Feature(word) for word in features.split()}
    assert flagged == backend.features


@pytest.mark.parametrize("channel", VERIFICATION_CHANNELS)
def test_the_table_says_how_a_channel_that_is_off_answers(channel: Channel) -> None:
    row = next(row for row in table("| Channel | Comes as") if row[0] == channel.value)
    service = VerifySimulator(channels=())
    to = "ann@example.com" if channel.recipient_kind == RecipientKind.EMAIL else "+12025550143"
    with pytest.raises(VerifyError) as caught:
        service.create(to, channel.value)
    assert str(caught.value.code) in row[3]


@pytest.mark.parametrize("channel", VERIFICATION_CHANNELS)
def test_what_the_package_refuses_the_simulator_refuses_too(channel: Channel) -> None:
    """Where Twilio has a number for it; what merely has no effect there is refused here alone."""
    to = "ann@example.com" if channel.recipient_kind == RecipientKind.EMAIL else "+12025550143"
    answered = {Feature.APP_HASH: 60602, Feature.TEMPLATE: 60408, Feature.TEMPLATES: 60408}
    for feature, code in answered.items():
        _, options = SAMPLES[feature]
        if fits(options, channel) == "yes":
            assert VerifySimulator().create(to, channel.value, options).status == "pending"
            continue
        with pytest.raises(VerifyError) as caught:
            VerifySimulator().create(to, channel.value, options)
        assert caught.value.code == code
