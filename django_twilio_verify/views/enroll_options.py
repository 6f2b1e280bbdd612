"""What a user can enroll, and what is too weak to be worth it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..choices import Channel, FactorKind, Purpose
from ..conf import settings
from ..core.client import ClientInfo
from ..verifications import assurance, channel_plan

_PAGES: Mapping[FactorKind, str] = {
    FactorKind.PASSKEY: "enroll_passkey",
    FactorKind.TOTP: "enroll_totp",
    FactorKind.PUSH: "enroll_push",
}
_NAMES: Mapping[FactorKind, Any] = {
    FactorKind.PASSKEY: gettext_lazy("Passkey"),
    FactorKind.TOTP: gettext_lazy("Authenticator app"),
}
_HINTS: Mapping[FactorKind, Any] = {
    FactorKind.PASSKEY: gettext_lazy(
        "Your fingerprint, your face or the screen lock of your device. Nothing to type, and of no use to a false site."
    ),
    FactorKind.TOTP: gettext_lazy("An app on your phone shows a new code every half minute, without any reception."),
    FactorKind.PUSH: gettext_lazy("The app asks you on your phone. You type a number here that it shows, and say yes."),
}


@dataclass(frozen=True, slots=True)
class DeviceOption:
    """A way that the provider keeps: what the page calls it, what it is in a sentence, and the name of its page."""

    kind: FactorKind
    name: str
    hint: str
    page: str


@dataclass(frozen=True, slots=True)
class EnrollOptions:
    """What a person can add, the strongest first. ``too_weak``: names of ways that the site offers, but that are not
    good enough to sign in by.
    """

    devices: tuple[DeviceOption, ...]
    channels: tuple[Channel, ...]
    too_weak: tuple[Channel, ...]


def enroll_options(user: AbstractBaseUser, client: ClientInfo) -> EnrollOptions:
    """What ``user`` can add. One SELECT."""
    least = assurance.minimum(user, Purpose.LOGIN, client)
    offered = channel_plan.offered()
    return EnrollOptions(
        devices=tuple(way for way in device_options(user, client) if assurance.level(way.kind.value) >= least),
        channels=tuple(one for one in offered if assurance.level(one) >= least),
        too_weak=tuple(one for one in offered if assurance.level(one) < least),
    )


def enroll_channels(user: AbstractBaseUser, client: ClientInfo) -> tuple[Channel, ...]:
    """The ``channels`` of ``enroll_options`` alone, for which no router is asked. One SELECT."""
    return tuple(one for one in channel_plan.offered() if is_strong_enough(one, user, client))


def is_strong_enough(channel: Channel, user: AbstractBaseUser, client: ClientInfo) -> bool:
    """Whether ``user`` could sign in by ``channel`` once it is enrolled."""
    return assurance.is_enough(channel, user=user, purpose=Purpose.LOGIN, client=client)


def device_options(user: AbstractBaseUser, client: ClientInfo) -> list[DeviceOption]:
    """The ways that the provider keeps and that have a page here, the strongest first."""
    kinds = sorted(_PAGES, key=lambda kind: assurance.level(kind.value), reverse=True)
    pages = [(kind, page_of(kind, user, client)) for kind in kinds]
    return [DeviceOption(kind, _name(kind), str(_HINTS[kind]), page) for kind, page in pages if page]


def page_of(kind: FactorKind, user: AbstractBaseUser | None, client: ClientInfo) -> str:
    """The name of the page that enrolls ``kind``; ``""`` if the provider keeps none where the router has ``user``
    enroll it (for ``None``: nowhere that it may name), or the site does not offer it.
    """
    name = _PAGES.get(kind, "")
    if kind == FactorKind.PUSH and not settings.push_app_name:
        return ""
    if not assurance.is_enrollable(kind, user=user, client=client):
        return ""
    try:
        reverse(f"twilio_verify:{name}")
    except NoReverseMatch:  # a site may include less than all pages
        return ""
    return name


def _name(kind: FactorKind) -> str:
    if kind == FactorKind.PUSH:
        return _("%(app)s on your phone") % {"app": settings.push_app_name}
    return str(_NAMES[kind])
