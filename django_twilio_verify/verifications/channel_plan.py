"""Which ways lead to somebody, and in which order: what pages offer, and what "try another way" tries.

The site's plan (``TWILIO_VERIFY_CHANNEL_RULES``) gives the order; the person's own preferred way goes first; a landline
is called; what the provider does not carry at the moment is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import phonenumbers
from django.contrib.auth.base_user import AbstractBaseUser
from phonenumbers import PhoneNumberType

from ..backends.handler import backends
from ..choices import LINK_CHANNELS, Channel, Purpose
from ..conf import settings
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..models import Factor, Verification
from . import outages, routing
from .outages import Outages
from .routing import RouteRequest

CALL_AFTER = 3
"""From this send on a call is offered beside it: whoever got none of three messages will not get the fourth."""

_LINE_TYPES = {
    PhoneNumberType.FIXED_LINE: "landline",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.TOLL_FREE: "tollfree",
    PhoneNumberType.PERSONAL_NUMBER: "personal",
    PhoneNumberType.UAN: "uan",
    PhoneNumberType.VOICEMAIL: "voicemail",
    PhoneNumberType.PAGER: "pager",
}


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Whom the ways are for.

    ``preferred``: the way that goes first, if it is among them; ``line_type``: as a look-up told it, ``""`` to go by
    the number; ``backend``: an alias, ``None`` to ask the router.
    """

    recipient: Recipient
    purpose: Purpose = Purpose.VERIFY
    preferred: str = ""
    line_type: str = ""
    backend: str | None = None
    user: AbstractBaseUser | None = field(default=None, repr=False)
    client: ClientInfo = field(default_factory=ClientInfo)


def plan(
    *,
    recipient: Recipient,
    purpose: str = Purpose.VERIFY,
    preferred: str = "",
    line_type: str = "",
    user: AbstractBaseUser | None = None,
    client: ClientInfo | None = None,
    backend: str | None = None,
) -> tuple[Channel, ...]:
    """The channels that lead to ``recipient``, the best one first; none if all that would are out.

    ``preferred``: the person's own way (``Factor.channel``). ``line_type``: of the number, as a look-up told it
    (``Factor.line_type``, ``Verification.line_type``). ``user``, ``client``: for the router, where ``backend`` names
    no alias. One SELECT.
    """
    asked = PlanRequest(recipient, Purpose(purpose), preferred, line_type, backend, user, client or ClientInfo())
    return plan_among(asked, outages.current())


def offered(*, backend: str | None = None) -> tuple[Channel, ...]:
    """The channels to offer while nobody has said where to: the site's, without those that are out at ``backend``
    (``None``: the default one, since a router looks at the recipient). All of them where nothing else would be left.
    One SELECT.
    """
    out = outages.current()
    alias = backend or routing.DEFAULT
    return tuple(one for one in settings.channels if (alias, one.value) not in out) or settings.channels


def other_channels(verification: Verification) -> tuple[Channel, ...]:
    """The ways by which ``verification`` can go on, the next one first: those behind its own in the plan, then those
    before. One SELECT.

    After a link another one is not among them: the carrier would say the same again.
    """
    asked = PlanRequest(
        verification.recipient,
        Purpose(verification.purpose),
        line_type=verification.line_type,
        backend=verification.backend,
    )
    return _behind(Channel(verification.channel), plan_among(asked, outages.current()))


def next_channel(verification: Verification) -> Channel | None:
    """The way that "try another way" means for ``verification``, ``None`` if there is no other. One SELECT."""
    return next(iter(other_channels(verification)), None)


def can_call(verification: Verification) -> bool:
    """Whether a call could be made instead of what ``verification`` does. No SELECT: pages that link to it are told of
    an outage when they follow the link.
    """
    alias, purpose = verification.backend, Purpose(verification.purpose)
    return (
        verification.recipient_kind == Channel.CALL.recipient_kind
        and verification.channel != Channel.CALL
        and Channel.CALL in settings.channels
        and _carries(alias, Channel.CALL, purpose)
    )


def remember(verification: Verification, now: datetime) -> None:
    """Note that ``verification`` was approved at ``now``, if it is of a factor: the way that worked goes first from
    here on. One UPDATE.
    """
    if verification.factor_id is None:
        return
    factor = Factor.objects.filter(pk=verification.factor_id)
    factor.record_way(now, channel=verification.channel, line_type=verification.line_type)


def line_type_of(recipient: Recipient, told: str = "") -> str:
    """The kind of line, in lower case: ``mobile``, ``landline``, ``voip`` …; ``""`` if the number does not say.

    ``told``: what a look-up said, in Twilio's words (``fixedVoip`` and ``nonFixedVoip`` are ``voip``).
    """
    known = told.lower()
    if known and known != "unknown":
        return "voip" if known.endswith("voip") else known
    if not recipient.is_phone:
        return ""
    return _LINE_TYPES.get(phonenumbers.number_type(phonenumbers.parse(recipient.value)), "")


def plan_among(asked: PlanRequest, out: Outages) -> tuple[Channel, ...]:
    """As ``plan``, with the outages that are known already. No SELECT, unless the site's router makes one."""
    line_type = line_type_of(asked.recipient, asked.line_type)
    fitting = [channel for channel in _planned(asked, line_type) if channel.recipient_kind == asked.recipient.kind]
    if asked.recipient.is_phone and (line_type == "landline" or not asked.recipient.can_take_text):
        fitting = _first(Channel.CALL, [channel for channel in fitting if channel.row.reaches_landlines])
    else:
        fitting = _first(asked.preferred, fitting)
    return tuple(channel for channel in fitting if _is_usable(asked, channel, out))


def _planned(asked: PlanRequest, line_type: str) -> tuple[Channel, ...]:
    """The channels of the first rule that fits, without those that the site does not offer."""
    for rule in settings.channel_rules:
        if rule.fits(asked.recipient.country, asked.purpose, line_type):
            return tuple(channel for channel in rule.channels if channel in settings.channels)
    return settings.channels


def _is_usable(asked: PlanRequest, channel: Channel, out: Outages) -> bool:
    alias = asked.backend or routing.choose(
        RouteRequest(asked.recipient, channel, asked.purpose, asked.user, asked.client)
    )
    return _carries(alias, channel, asked.purpose) and (alias, channel.value) not in out


def _carries(alias: str, channel: Channel, purpose: Purpose) -> bool:
    if channel not in backends[alias].channels:
        return False
    if purpose != Purpose.PAYMENT:
        return True
    # A link shows nobody what is paid. With PSD2, Verify tells amount and payee in text messages only.
    return channel == Channel.SMS if settings.service(alias).psd2 else channel not in LINK_CHANNELS


def _first(wanted: str, channels: Iterable[Channel]) -> list[Channel]:
    return sorted(channels, key=lambda channel: channel.value != wanted)


def _behind(here: Channel, found: tuple[Channel, ...]) -> tuple[Channel, ...]:
    place = found.index(here) if here in found else -1
    turned = (*found[place + 1 :], *found[: max(place, 0)])
    return tuple(one for one in turned if not (here in LINK_CHANNELS and one in LINK_CHANNELS))
