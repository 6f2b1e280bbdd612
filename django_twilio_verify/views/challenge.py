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
from ..flows import factors, plan, recovery
from ..flows.factors import Way
from ..flows.plan import Asked
from ..forms.codes import RecoveryForm
from ..models import Factor
from ..web import access, failures
from .address import named
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


class FactorPage(SendPage):
    """Prove a factor of ``person``: the default one, or the way that the URL names, with links to all others."""

    person: AbstractBaseUser
    ways: list[Way]

    def find_ways(self, person: AbstractBaseUser) -> bool:
        """Look up the ways of ``person`` and choose among them. False if there are none."""
        enrolled = factors.enrolled(person)
        self.ways = factors.ways(enrolled, purpose=self.purpose, user=person, client=self.client)
        if not self.ways:
            return False
        chosen = self.ways[0] if "factor" not in self.kwargs else self._named(enrolled, person)
        self.factor, self.channel = chosen.factor, chosen.channel
        self.recipient = self.factor.recipient
        return True

    def _named(self, enrolled: list[Factor], person: AbstractBaseUser) -> Way:
        """The way of the URL: also one that is out at the moment, which then says so itself. Else 404."""
        # SECURITY: looked up among the person's own factors, so nobody else's can be named.
        for factor in enrolled:
            if factor.pk == self.kwargs["factor"] and factor.recipient_value:
                asked = Asked(
                    factor.recipient, self.purpose, line_type=factor.line_type, user=person, client=self.client
                )
                channel = named(self.kwargs["channel"], plan.among(asked, frozenset()))
                return Way(factor, channel)
        raise Http404

    def sending_for(self) -> AbstractBaseUser | None:
        return self.person

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        here = (self.factor.pk if self.factor else None, self.channel)
        others = [way for way in self.ways if (way.factor.pk, way.channel) != here]
        return super().get_context_data(factor=self.factor, other_ways=others, person=self.person, **kwargs)


class ChallengeView(PendingMixin, FactorPage):
    """Confirm that it is you, by one of your factors."""

    template_name = "twilio_verify/challenge.html"
    purpose = Purpose.LOGIN

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        person = self.access.pending_user
        if person is not None and not self.find_ways(person):
            # SECURITY: somebody whose ways are all too weak, or not asked on these pages, may not enrol with the
            # password alone, and would be sent to and fro.
            return self.go("recovery" if factors.has_factor(person) else "enrol")
        return super().dispatch(request, *args, **kwargs)


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
            failures.factor_failed(self.request, self.person)
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
