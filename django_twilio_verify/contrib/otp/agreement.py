"""What has passed our wall is verified to django-otp, and what django-otp has verified has passed our wall."""

from __future__ import annotations

from functools import partial
from typing import Any

import django_otp
from django.apps import AppConfig
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections
from django.db.models import F
from django.db.models.signals import post_migrate, post_save
from django.http import HttpRequest
from django_otp.middleware import is_verified

from ...choices import Purpose
from ...client import client_from
from ...login import completion, session
from ...models import Factor
from ...signals import factor_added, impersonation_ended, login_completed, login_deciding, step_up_completed
from ...verifications import assurance
from .models import VerifyDevice, add, add_missing


def connect(config: AppConfig) -> None:
    """Listen. Called once, when the app is ready."""
    uid = "twilio_verify_otp"
    factor_added.connect(_on_confirmed, dispatch_uid=f"{uid}.confirmed")
    post_save.connect(_on_saved, sender=Factor, dispatch_uid=f"{uid}.saved")
    post_migrate.connect(_on_migrated, sender=config, dispatch_uid=f"{uid}.migrated")
    login_deciding.connect(_on_deciding, dispatch_uid=f"{uid}.deciding")
    login_completed.connect(_on_passed, dispatch_uid=f"{uid}.passed")
    step_up_completed.connect(_on_proved, dispatch_uid=f"{uid}.proved")
    impersonation_ended.connect(_on_returned, dispatch_uid=f"{uid}.returned")


def agree(request: HttpRequest) -> None:
    """Let a device that was verified without a sign-in, as django-two-factor-auth does at the end of its setup, count
    as passed. One SELECT, where that is so.
    """
    if may_disagree(request):
        _count(request, request.user, getattr(request.user, "otp_device", None))  # type: ignore[arg-type]


def may_disagree(request: HttpRequest) -> bool:
    """Whether django-otp has verified somebody whom our wall has not. Reads nothing that was not read."""
    if not hasattr(request, "twilio_verify") or not hasattr(request.session, "_session_cache"):
        return False
    if django_otp.DEVICE_ID_SESSION_KEY not in request.session or session.signed_in_id(request) is None:
        return False
    return not request.twilio_verify.is_verified


def _count(request: HttpRequest, user: AbstractBaseUser, device: Any) -> None:
    if device is None or device.user_id != user.pk or not device.confirmed:
        return
    channel = _proof(request, user, device)
    if channel is not None:
        completion.mark_passed(request, channel, device.factor if isinstance(device, VerifyDevice) else None)


def _proof(request: HttpRequest, user: AbstractBaseUser, device: Any) -> str | None:
    """The channel by which ``device`` was proved just now, ``""`` for one that is not ours; ``None``: it was not.

    SECURITY: a device of ours that was loaded and not asked, as by a cookie that remembers a browser, is no proof. Of
    others nobody knows, nor how strong they are: they count once, and not where the site asks for strength.
    """
    own = getattr(device, "proved_by", None)
    if own is not None:
        return own or None
    if request.twilio_verify.is_verified:  # type: ignore[attr-defined]
        return None
    return None if assurance.minimum(user, Purpose.LOGIN, client_from(request)) else ""


def _on_deciding(request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> None:
    """A form of django-otp has verified a device of ``user`` together with the password."""
    if hasattr(request, "twilio_verify") and session.is_signed_in(request, user):
        _count(request, user, getattr(user, "otp_device", None))


def _on_passed(request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> None:
    """The wall has let somebody through: django-otp is told which device it was."""
    # SECURITY: a program may have proved the factor of one user in a browser that another one uses.
    if not hasattr(request, "session") or not session.is_signed_in(request, user):
        return
    devices = VerifyDevice.objects.filter(user=user, confirmed=True)
    # A recovery code is no device, and django-otp knows nothing else: the one used last stands for it.
    device = devices.order_by(F("factor__last_used_at").desc(nulls_last=True), "pk").first()
    if device is not None:
        django_otp.login(request, device)
        request.user.is_verified = partial(is_verified, request.user)  # type: ignore[union-attr]


def _on_proved(request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> None:
    if getattr(user, "otp_device", None) is None:
        _on_passed(request=request, user=user)


def _on_returned(request: HttpRequest, impersonator: AbstractBaseUser, **kwargs: Any) -> None:
    """A staff member is back in a verified session: ``login()`` has emptied what django-otp kept there."""
    _on_passed(request=request, user=impersonator)


def _on_confirmed(factor: Factor, **kwargs: Any) -> None:
    add([factor])


def _on_saved(instance: Factor, raw: bool = False, **kwargs: Any) -> None:
    """Factors of importers and of site code, of which no signal of ours tells."""
    if instance.confirmed_at is not None and not raw:
        add([instance])


def _on_migrated(using: str, **kwargs: Any) -> None:
    """Factors from before this app was installed."""
    # Also sent where another app alone was migrated, and for databases that have no table of ours.
    if VerifyDevice._meta.db_table in connections[using].introspection.table_names():
        add_missing(using=using)
