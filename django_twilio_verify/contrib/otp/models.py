"""A device of django-otp for each factor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.db import models
from django.db.models import Exists, F, OuterRef
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from django_otp.models import CooldownMixin, Device, DeviceManager, GenerateNotAllowed, ThrottlingMixin, TimestampMixin

from ...choices import FactorKind
from ...conf import settings
from ...factors import devices, own_factors
from ...models import Factor
from . import proving
from .outside import is_within_transaction

TYPED = (FactorKind.PHONE, FactorKind.EMAIL, FactorKind.TOTP)
"""The kinds that a person proves by typing: all that django-otp knows of."""


class VerifyDeviceQuerySet(models.QuerySet["VerifyDevice"]):
    """Devices, never locked."""

    def select_for_update(self, *args: Any, **kwargs: Any) -> VerifyDeviceQuerySet:
        """The same: django-otp locks a device while its token is verified, which here is while the provider is asked.

        SECURITY: what the lock is for is done by conditional UPDATEs (``proving``).
        """
        return self


class VerifyDeviceManager(DeviceManager.from_queryset(VerifyDeviceQuerySet)):  # type: ignore[misc]  # untyped
    """``VerifyDevice.objects``."""

    def get_queryset(self) -> Any:
        return super().get_queryset().select_related("factor")

    def devices_for_user(self, user: Any, confirmed: bool | None = None) -> Any:
        """The devices that ``user`` can be asked a token of, the default factor's first. Those of passkeys and of push
        are not among them: they say that somebody is verified, and are asked on pages of ours.
        """
        found = super().devices_for_user(user, confirmed=confirmed)
        found = found.filter(factor__kind__in=TYPED, factor__lost_at=None, factor__confirmed_at__isnull=False)
        return found.order_by(F("factor__default_for").desc(nulls_last=True), "pk")


class VerifyDevice(TimestampMixin, CooldownMixin, ThrottlingMixin, Device):  # untyped
    """One factor, as django-otp wants it. Made and removed with the factor (``agreement``), never by itself.

    ``proved_by``: the channel by which this very object has just verified a token; ``""`` for one that was loaded.
    ``problem``: what to tell the person of the token that was refused last; ``said``: what the last challenge came to.
    """

    factor = models.OneToOneField(Factor, models.CASCADE, related_name="otp_device", verbose_name=_("factor"))

    objects = VerifyDeviceManager()

    proved_by: str = ""
    problem: str = ""
    said: str = ""

    class Meta:
        verbose_name = _("OTP device")
        verbose_name_plural = _("OTP devices")

    def __str__(self) -> str:
        return f"{self.factor}"

    @property
    def name(self) -> str:  # not a column: the factor's own name changes
        """What people choose by: ``default`` where django-two-factor-auth looks for that, else the masked factor."""
        if self.factor.is_default and apps.is_installed("django_twilio_verify.contrib.two_factor"):
            return "default"
        return f"{self.factor.get_kind_display()} {self.factor.masked}".strip()

    def is_interactive(self) -> bool:
        """Whether something is sent before there is a token: to phones and inboxes."""
        return self.factor.kind in (FactorKind.PHONE, FactorKind.EMAIL)

    def get_throttle_factor(self) -> float:
        """Return ``OTP_TWILIO_VERIFY_THROTTLE_FACTOR``, 0 by default.

        ``verifications.throttling`` counts by network instead.
        """
        # SECURITY: django-otp counts by device and doubles the wait each time. Somebody who knows the password could
        # keep the owner out for days, even with malformed tokens.
        return getattr(django_settings, "OTP_TWILIO_VERIFY_THROTTLE_FACTOR", 0)

    def get_cooldown_duration(self) -> float:
        """``OTP_TWILIO_VERIFY_COOLDOWN_DURATION``, by default the time before a first resend. It counts in all of a
        person's sessions; in one of them the longer one counts of this and our own.
        """
        return getattr(django_settings, "OTP_TWILIO_VERIFY_COOLDOWN_DURATION", settings.resend_cooldown_seconds[0])

    def generate_is_allowed(self) -> tuple[bool, dict[str, Any] | None]:
        """Whether a code may be sent now, by django-otp's cooldown and by our limits."""
        allowed, why = super().generate_is_allowed()
        wait = proving.resend_at(self)
        if wait is None:
            return allowed, why
        until: datetime = wait if allowed else max(wait, why["next_generation_at"])
        return False, {"reason": GenerateNotAllowed.COOLDOWN_DURATION_PENDING, "next_generation_at": until}

    def generate_challenge(self) -> str | None:
        """Have a code sent, unless one counts already, and say so: a sentence for the person, also where nothing could
        be sent. ``None`` where nothing is sent at all. Raises only for a transaction on SQLite (``outside``).
        """
        self.said = proving.challenge(self) if self.is_interactive() else ""
        return self.said or None

    def verify_is_allowed(self) -> tuple[bool, dict[str, Any] | None]:
        """Whether a token may be tried now, by django-otp's throttle and by the tries that a code has."""
        allowed, why = super().verify_is_allowed()
        used_up = proving.used_up(self) if allowed else ""
        return (False, {"error_message": used_up}) if used_up else (allowed, why)

    @sensitive_variables("token")
    def verify_token(self, token: Any) -> bool:
        """Whether ``token`` is right: to exactly one call. The provider is asked only where an answer is waited for."""
        return proving.answer(self, token)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Remove the factor, here and at the provider, and this with it."""
        gone = (1, {self._meta.label: 1})
        if is_within_transaction(kwargs.get("using") or self._state.db or "default"):
            # What is to be removed at the provider is written down in the caller's transaction (``provider.removals``).
            self.factor.delete()
            own_factors.choose_default(self.user_id)
            return gone
        devices.remove(self.user, self.factor_id)
        return gone


def add(found: Iterable[Factor], *, using: str | None = None) -> int:
    """Make the devices of factors that have none; how many were asked for."""
    missing = [VerifyDevice(factor=factor, user_id=factor.user_id) for factor in found]
    return len(VerifyDevice.objects.using(using).bulk_create(missing, ignore_conflicts=True))


def add_missing(
    *, using: str = "default", at_once: int = 1000, progress: Callable[[int], object] = lambda done: None
) -> int:
    """Make a device for every confirmed factor that has none; how many were made. One SELECT and one INSERT for each
    ``at_once``, after which ``progress`` is called with the number so far. Safe to run twice at once.
    """
    known = VerifyDevice.objects.using(using).filter(factor=OuterRef("pk"))
    lacking = Factor.objects.using(using).filter(~Exists(known), confirmed_at__isnull=False).order_by("pk")
    made, after = 0, 0
    while found := list(lacking.filter(pk__gt=after)[:at_once]):
        made, after = made + add(found, using=using), found[-1].pk
        progress(made)
    return made
