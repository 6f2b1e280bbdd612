"""Signing in: the second factor of a person whose password was accepted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings as django_settings
from django.contrib.auth import logout
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url

from ..choices import Channel, Purpose
from ..exceptions import RateLimited
from ..flows import factors, recovery
from ..flows.factors import Way
from ..forms.codes import RecoveryForm
from ..web import access
from .base import FormPage, PageMixin
from .ways import SendPage


class PendingMixin(PageMixin):
    """Pages for somebody whose sign-in waits. Others are led to where they belong."""

    person: AbstractBaseUser

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        person = self.access.pending_user
        if person is None:
            if request.user.is_authenticated:
                return self.go_on()
            return HttpResponseRedirect(access.with_next(resolve_url(django_settings.LOGIN_URL), self.next))
        self.person = person
        return super().dispatch(request, *args, **kwargs)


class ChallengeView(PendingMixin, SendPage):
    """The default factor, or the way that the URL names, with links to all others."""

    template_name = "twilio_verify/challenge.html"
    purpose = Purpose.LOGIN

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.ways: list[Way] = []
        person = self.access.pending_user
        if person is not None:
            self.ways = factors.ways(factors.enrolled(person))
            if not self.ways:
                return self.go("enrol")
            self._choose(kwargs)
        return super().dispatch(request, *args, **kwargs)

    def _choose(self, kwargs: dict[str, Any]) -> None:
        # SECURITY: looked up among the person's own ways, so nobody else's factor can be named.
        wanted = (kwargs.get("factor"), kwargs.get("channel"))
        chosen = self.ways[:1] if wanted == (None, None) else self._named(wanted)
        if not chosen:
            raise Http404
        self.factor, self.channel = chosen[0].factor, chosen[0].channel
        self.recipient = self.factor.recipient

    def _named(self, wanted: tuple[Any, Any]) -> list[Way]:
        return [way for way in self.ways if (way.factor.pk, way.channel.value) == wanted]

    def sending_for(self) -> AbstractBaseUser | None:
        return self.person

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        here = (self.factor.pk if self.factor else None, self.channel)
        others = [way for way in self.ways if (way.factor.pk, way.channel) != here]
        return super().get_context_data(factor=self.factor, other_ways=others, person=self.person, **kwargs)


class RecoveryView(PendingMixin, FormPage):
    """Sign in with a recovery code."""

    template_name = "twilio_verify/recovery.html"
    form_class = RecoveryForm

    def form_valid(self, form: forms.Form) -> HttpResponse:
        try:
            redeemed = recovery.redeem(self.person, form.cleaned_data["code"])
        except RateLimited as error:
            return self.refuse(form, error)
        if not redeemed:
            form.add_error("code", str(RecoveryForm.not_one))
            return self.form_invalid(form)
        access.complete(self.request, self.person, Channel.RECOVERY.value)
        return self.go_on()


class CancelView(PageMixin):
    """Give up signing in. POST only."""

    http_method_names = ("post", "options")

    def post(self, request: HttpRequest) -> HttpResponse:
        logout(request)
        return HttpResponseRedirect(resolve_url(django_settings.LOGIN_URL))
