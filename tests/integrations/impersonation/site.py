"""The recipe of docs/howto/impersonation.md."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import login
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from hijack.views import AcquireUserView

from django_twilio_verify.login import act_as


class AcquireView(AcquireUserView):
    """django-hijack: in the place of its own view."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        act_as(request, self.get_object())
        return super().post(request, *args, **kwargs)


def can_login_as(request: HttpRequest, target_user: AbstractBaseUser) -> bool:
    """django-loginas: ``CAN_LOGIN_AS``."""
    if not request.user.is_superuser:
        return False
    act_as(request, target_user)
    return True


def su_login(request: HttpRequest, user: AbstractBaseUser) -> None:
    """django-su: ``SU_CUSTOM_LOGIN_ACTION``."""
    act_as(request, user)
    login(request, user)
