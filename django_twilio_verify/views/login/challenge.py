"""Signing in: the second factor of a person whose password was accepted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings as django_settings
from django.contrib.auth import logout
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url

from ... import factors
from ...choices import Channel, Purpose
from ...factors import own_factors, recovery_codes
from ...factors.own_factors import ChallengeOption
from ...forms.verification import RecoveryCodeForm
from ...login import hints, redirects, session
from ...verifications import stale_factors, throttling
from ..base import FormPage, PageMixin
from ..factors.prove import FactorPage, Offer


class PendingMixin(PageMixin):
    """Pages for somebody whose sign-in waits. Others are led to where they belong."""

    person: AbstractBaseUser

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        person = self.access.pending_user
        if person is None:
            # The latter: a second press whose session the first one has just replaced: on to where that one leads.
            if request.user.is_authenticated or (request.method == "POST" and not session.has_secret(request)):
                return self.go_on()
            return HttpResponseRedirect(redirects.with_next(resolve_url(django_settings.LOGIN_URL), self.next))
        self.person = person
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(closed=stale_factors.unusable(self.person), **kwargs)


class ChallengeView(PendingMixin, FactorPage):
    """Confirm that it is you, by one of your factors."""

    template_name = "twilio_verify/challenge.html"
    purpose = Purpose.LOGIN

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        person = self.access.pending_user
        if person is not None and not self.find_ways(person):
            # SECURITY: somebody whose ways are all too weak, or not asked on these pages, may not enroll with the
            # password alone, and would be sent to and fro.
            return self.go("recovery" if factors.has_factor(person) else "enroll")
        return super().dispatch(request, *args, **kwargs)

    def way_url(self, way: ChallengeOption | Offer) -> str:
        return self.url("challenge_channel", way.factor.pk, way.channel.value)

    def choice_url(self) -> str:
        return self.url("challenge")


class RecoveryPage(FormPage):
    """Ask ``person`` for a recovery code."""

    template_name = "twilio_verify/recovery.html"
    form_class = RecoveryCodeForm
    person: AbstractBaseUser

    def form_valid(self, form: forms.Form) -> HttpResponse:
        assert isinstance(form, RecoveryCodeForm)
        if form.check(self.request):
            return self.redeemed()
        return self.form_invalid(form) if form.failure is None else self.refuse(form, form.failure)

    def redeemed(self) -> HttpResponse:
        """Where to, once the code has done what it was for."""
        raise NotImplementedError


class RecoveryView(PendingMixin, RecoveryPage):
    """Sign in with a recovery code."""

    def redeemed(self) -> HttpResponse:
        response = self.go("recovery_codes") if recovery_codes.is_low(self.person) else self.go_on()
        hints.remember(self.request, response, Channel.RECOVERY)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        held = throttling.held(own_factors.confirmed(self.person))
        return super().get_context_data(back_url=self.url("challenge"), held=held, **kwargs)


class CancelView(PageMixin):
    """Give up signing in. POST only."""

    closed_to_others = False  # it signs out, which anybody may
    http_method_names = ("post", "options")

    def post(self, request: HttpRequest) -> HttpResponse:
        logout(request)
        return HttpResponseRedirect(resolve_url(django_settings.LOGIN_URL))
