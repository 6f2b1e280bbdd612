"""Confirming again that it is you, for a page that asks for a fresh proof; and going on with what was posted there."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.views import redirect_to_login
from django.forms.utils import pretty_name
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from ... import factors
from ...choices import Channel, Purpose
from ...factors.own_factors import ChallengeOption
from ...login import redirects, session, step_up
from ...verifications import assurance
from ..base import PageMixin, TemplatePage, must_be_in_session
from ..factors.prove import FactorPage, Offer
from .challenge import RecoveryPage


class SignedInMixin(PageMixin):
    """For who is signed in. A visitor is led to sign in, a person whose sign-in waits to the challenge. 403 for
    somebody whom a token names.
    """

    person: AbstractBaseUser

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            if self.access.is_pending:
                return self.go("challenge")
            return redirect_to_login(self.next or request.get_full_path(), resolve_url(django_settings.LOGIN_URL))
        must_be_in_session(request)
        self.person = request.user
        return super().dispatch(request, *args, **kwargs)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The ways that the page which asks allows; none for all. SECURITY: that page looks again at what was used."""
        return step_up.wanted_channels(self.request)

    @property
    def takes_recovery(self) -> bool:
        return not self.channels or Channel.RECOVERY in self.channels

    def step_up_url(self, name: str, *args: object) -> str:
        """The address of one of these pages, with ``next`` and the allowed ways kept."""
        query = {step_up.CHANNELS: ",".join(self.channels)} if self.channels else {}
        if self.next:
            query[redirects.REDIRECT_FIELD_NAME] = self.next
        return reverse(f"twilio_verify:{name}", args=args) + (f"?{urlencode(query)}" if query else "")


class StepUpView(SignedInMixin, FactorPage):
    """Confirm that it is you, by one of your factors, though you are signed in."""

    template_name = "twilio_verify/step_up.html"
    purpose = Purpose.STEP_UP

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = request.user
        if user.is_authenticated and not self.find_ways(user, self.channels):
            return self.no_way(user)
        return super().dispatch(request, *args, **kwargs)

    def no_way(self, person: AbstractBaseUser) -> HttpResponse:
        """Nothing enrolled: enroll. Else a recovery code may do, or a page says what is missing."""
        if not factors.has_factor(person):
            return self.go("enroll")
        if self.takes_recovery:
            return HttpResponseRedirect(self.step_up_url("step_up_recovery"))
        context = PageMixin.get_context_data(
            self, form=None, channels=sorted(self.channels, key=assurance.level, reverse=True)
        )
        return TemplateResponse(self.request, "twilio_verify/step_up_none.html", context)

    def way_url(self, way: ChallengeOption | Offer) -> str:
        return self.step_up_url("step_up_channel", way.factor.pk, way.channel.value)

    def choice_url(self) -> str:
        return self.step_up_url("step_up")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            recovery_url=self.step_up_url("step_up_recovery") if self.takes_recovery else "",
            is_lost=step_up.NOT_KEPT in self.request.GET,
            **kwargs,
        )


class StepUpRecoveryView(SignedInMixin, RecoveryPage):
    """Confirm it with a recovery code."""

    def redeemed(self) -> HttpResponse:
        return self.go_on()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(back_url=self.step_up_url("step_up"), **kwargs)


class ResumeView(SignedInMixin, TemplatePage):
    """What was posted before a proof was asked for, and a button that sends it once more. Showing it sends nothing."""

    template_name = "twilio_verify/resume.html"

    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        form = session.kept_form(request, key)
        # A form that is posted brings its fields' names and not their labels: what Django makes of such a name.
        shown = [(pretty_name(name), value) for name, value in form.fields] if form else []
        response = self.render_to_response(self.get_context_data(kept=form, shown=shown, key=key))
        if form is None:
            response.status_code = 404
        return response

    def post(self, request: HttpRequest, key: str) -> HttpResponse:
        """On to where it was going, as the POST that it was: once. What is sent is what the page held."""
        form = session.kept_form(request, key)
        if form is None:
            return self.get(request, key)
        session.drop_form(request, key)
        # SECURITY: our own path, as it was asked for; nothing of this request is in it.
        return HttpResponseRedirect(form.path, preserve_request=True)
