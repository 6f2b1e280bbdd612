"""Approving a payment: which one, shown word for word, and one of the person's factors."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import urlencode

from ...choices import Purpose
from ...factors.own_factors import ChallengeOption
from ...login import redirects, session
from ..factors.passkey import PAYMENT
from ..factors.prove import FactorPage, Offer


class PaymentView(FactorPage):
    """What is to be paid to whom, and what asks one of the person's factors. Begun by ``login.payments.begin``."""

    template_name = "twilio_verify/payment.html"
    purpose = Purpose.PAYMENT

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:  # SECURITY: a password alone approves nothing
            return redirect_to_login(request.get_full_path(), str(django_settings.LOGIN_URL))
        found = session.payment(request, kwargs["key"])
        if found is None:
            raise Http404
        self.payment, self.person = found, request.user
        if not self.find_ways(self.person):
            return self.enroll_first()
        return super().dispatch(request, *args, **kwargs)

    def enroll_first(self) -> HttpResponse:
        """To where a phone or an address is added, and then back here."""
        return HttpResponseRedirect(redirects.with_next(reverse("twilio_verify:enroll"), self.request.get_full_path()))

    def way_url(self, way: ChallengeOption | Offer) -> str:
        return self.url("payment_channel", self.kwargs["key"], way.factor.pk, way.channel.value)

    def choice_url(self) -> str:
        return self.url("payment", self.kwargs["key"])

    def options_url(self) -> str:
        return f"{super().options_url()}?{urlencode({PAYMENT: self.kwargs['key']})}"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(payment=self.payment, key=self.kwargs["key"], **kwargs)
