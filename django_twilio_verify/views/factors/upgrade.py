"""Offering something stronger to a person who has just signed in by a code, and taking no for an answer."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from ...choices import FactorKind
from ...login import redirects, session
from ...verifications import assurance
from ..base import PersonMixin, TemplatePage
from ..enroll_options import page_of
from ..upgrade_offer import offered


class OfferView(PersonMixin, TemplatePage):
    """ "Use a passkey next time?" POST means: not now."""

    template_name = "twilio_verify/offer.html"
    kind: FactorKind | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if self.access.is_pending:
            return self.go("challenge")
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        settled = session.verified_session(request)
        self.kind = offered(self, settled.channel) if settled is not None and settled.channel else None
        if self.kind is None:
            return self.go_on()
        return self.render_to_response(self.get_context_data())

    def post(self, request: HttpRequest) -> HttpResponse:
        assurance.not_now(self.person)
        return self.go_on()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        name = page_of(self.kind, self.person, self.viewer) if self.kind is not None else ""
        return super().get_context_data(
            kind=self.kind,
            add_url=self.url(name) if name else "",
            go_on_url=redirects.success_url(self.request),
            **kwargs,
        )
