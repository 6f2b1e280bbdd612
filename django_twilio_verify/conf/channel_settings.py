"""The ways in which a proof is carried: which are offered, in which order, and how strong each is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from ..channels import CHANNELS
from ..choices import DEVICE_KINDS, VERIFICATION_CHANNELS, Channel, FactorKind, Purpose
from ..core.countries import NAMES
from . import readers
from .setting import Problem

OFFERED = ("sms", "call", "email")
"""The ways offered unless the site says otherwise."""

ASSURANCE: Mapping[str, int] = {
    channel.value: row.assurance for channel, row in sorted(CHANNELS.items(), key=lambda entry: entry[1].assurance)
}
"""How strong each channel is, the words of ``TWILIO_VERIFY_MINIMUM_ASSURANCE``. A recovery code is as good as any:
there is nothing behind it.
"""


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """One rule of ``TWILIO_VERIFY_CHANNEL_RULES``: which ways, and in which order, for sends that it fits.

    ``countries`` (ISO 3166 alpha-2), ``purposes`` and ``line_types`` (lower case, as ``mobile``, ``landline``,
    ``voip``): a send has to be one of each; an empty one fits every send.
    """

    channels: tuple[Channel, ...]
    countries: frozenset[str] = frozenset()
    purposes: frozenset[Purpose] = frozenset()
    line_types: frozenset[str] = frozenset()

    def fits(self, country: str, purpose: Purpose, line_type: str) -> bool:
        """Whether it is for a send to ``country``, for ``purpose``, to a number with such a line."""
        asked = ((self.countries, country), (self.purposes, purpose), (self.line_types, line_type))
        return all(not wanted or given in wanted for wanted, given in asked)


def channels(name: str, value: Any) -> tuple[Channel, ...]:
    """Read the ways, each once, in their order. Unknown words are left out here and reported by a check."""
    offered: dict[Channel, None] = {}
    for word in readers.several(name, value):
        try:
            offered[Channel.parse(word)] = None
        except ValueError:
            continue
    return tuple(channel for channel in offered if channel in VERIFICATION_CHANNELS)


def channel_rules(name: str, value: Any) -> tuple[ChannelRule, ...]:
    """Read the rules. An error names the place of the one that is none, from 1."""
    return tuple(
        _channel_rule(f"{name}, rule {number}", rule) for number, rule in enumerate(readers.several(name, value), 1)
    )


_RULE = ("channels", "countries", "purposes", "line_types")


def _channel_rule(where: str, rule: Any) -> ChannelRule:
    if not isinstance(rule, Mapping):
        raise ImproperlyConfigured(f"{where}: a rule is a dict of {', '.join(_RULE)}.")
    if unknown := [name for name in rule if name not in _RULE]:
        raise ImproperlyConfigured(f"{where}: {unknown[0]!r} is none of {', '.join(_RULE)}.")
    words = {name: readers.words(f"{where}: {name}", rule.get(name, ())) for name in _RULE}
    try:
        channels = tuple(dict.fromkeys(Channel.parse(word) for word in words["channels"]))
        purposes = frozenset(Purpose(word.lower()) for word in words["purposes"])
    except ValueError as error:
        raise ImproperlyConfigured(f"{where}: {error}.") from None
    if not channels or any(channel not in VERIFICATION_CHANNELS for channel in channels):
        raise ImproperlyConfigured(f"{where}: channels must name some of {', '.join(VERIFICATION_CHANNELS)}.")
    return ChannelRule(
        channels=channels,
        countries=frozenset(word.upper() for word in words["countries"]),
        purposes=purposes,
        line_types=frozenset(word.lower() for word in words["line_types"]),
    )


def factors(name: str, value: Any) -> tuple[FactorKind, ...]:
    """Read the kinds of factors that are offered, each once."""
    words = readers.words(name, value)
    if unknown := [word for word in words if word not in DEVICE_KINDS]:
        raise ImproperlyConfigured(f"{name} names {unknown[0]!r}, which is none of {', '.join(DEVICE_KINDS)}.")
    return tuple(dict.fromkeys(FactorKind(word) for word in words))


def minimum_assurance(name: str, value: Any) -> str | Callable[..., object]:
    """Read a word of ``ASSURANCE`` or ``""``, a callable, or the dotted path of one."""
    if isinstance(value, str) and (not value or value in ASSURANCE):
        return value
    if isinstance(value, str) and "." in value:
        value = readers.imported(name, value)
    if callable(value):
        return value  # type: ignore[no-any-return]
    raise ImproperlyConfigured(f"{name} must be one of {', '.join(ASSURANCE)}, or a callable.")


def send_options(name: str, value: Any) -> Mapping[str, Any] | Callable[..., object]:
    """Read a dict of options, a callable that gives one, or the dotted path of either."""
    if isinstance(value, str):
        value = readers.imported(name, value)
    if isinstance(value, Mapping) or callable(value):
        return value  # type: ignore[no-any-return]
    raise ImproperlyConfigured(f"{name} must be a dict, a callable or the dotted path of one.")


def region(name: str, value: Any) -> str:
    """Read the code of a country, or ``""`` for none."""
    return str(value).upper()


def problems_of_countries(name: str, codes: str | tuple[str, ...]) -> Iterator[Problem]:
    """Find codes of no country: in several, or in one that may be empty."""
    for code in (codes,) if isinstance(codes, str) else codes:
        if code not in NAMES and codes:
            yield Problem(f"{name}: {code!r} is not the ISO 3166 code of a country.", "As in 'AT'.")
