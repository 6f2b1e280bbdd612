"""A failed factor is a failed login: told by Django's own signal, which apps that count failures listen to."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from ..choices import CheckOutcome, Purpose
from ..verifications.results import Checked

FAILED = (CheckOutcome.WRONG, CheckOutcome.NO_CHECKS_LEFT, CheckOutcome.REPLAYED, CheckOutcome.DENIED)
"""What is somebody's guess, or a no: not what came too late, was no code, or was not judged."""

_LOCK = "_twilio_verify_lock"
_PURPOSES = (Purpose.LOGIN, Purpose.STEP_UP)


def note(request: HttpRequest | None, user: AbstractBaseUser | None, checked: Checked) -> None:
    """Tell of ``checked`` if it is a failed answer of somebody who signs in or steps up. ``user``: who that is."""
    if checked.outcome in FAILED and checked.verification.purpose in _PURPOSES:
        factor_failed(request, user)


def note_polled(request: HttpRequest, user: AbstractBaseUser | None, checked: Checked, before: str) -> None:
    """As ``note``, of a page that asks again and again: an end that is on record already is told no more.

    Args:
        before: The status of the verification before the call that gave ``checked``.
    """
    if checked.verification.status != before:
        note(request, user, checked)


def factor_failed(request: HttpRequest | None, user: AbstractBaseUser | None) -> None:
    """Send ``user_login_failed`` for a second factor that ``user`` got wrong, as ``authenticate()`` does for passwords.

    Nothing is sent without a request, of which receivers want the address, or where nobody is known.
    """
    if request is None or user is None:
        return
    user_login_failed.send(sender=__name__, credentials=credentials_of(user), request=request)


def guard(request: HttpRequest, is_locked: Callable[[AbstractBaseUser], bool]) -> None:
    """Have ``is_locked`` asked before a factor of somebody is asked or judged in ``request``, where only its view finds
    out who that is: a program that signs somebody in keeps no session.
    """
    setattr(request, _LOCK, is_locked)


def must_not_be_locked(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Raise ``PermissionDenied`` if ``user`` is locked out, by what ``guard`` was given."""
    is_locked: Callable[[AbstractBaseUser], bool] | None = getattr(request, _LOCK, None)
    if is_locked is not None and is_locked(user):
        raise PermissionDenied("Locked out after too many failures.")


def credentials_of(user: AbstractBaseUser) -> dict[str, str]:
    """What a login form would have given to ``authenticate()`` for ``user``, but for the password."""
    name = user.get_username()
    # Both names: Django's login form says "username" whatever the field is called.
    return {"username": name, get_user_model().USERNAME_FIELD: name}
