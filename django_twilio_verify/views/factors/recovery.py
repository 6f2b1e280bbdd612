"""Recovery codes: shown once, made anew, and what is said where nobody seems to have seen them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from ... import factors
from ...factors import recovery_codes
from ...login import session
from ..base import PersonMixin, StepUpMixin, TemplatePage
from ..recovery_codes import recovery_codes_page


class RecoveryCodesView(StepUpMixin, TemplatePage):
    """Make a new set of recovery codes, in place of the old one. GET says what that means; POST shows them, once."""

    template_name = "twilio_verify/recovery_new.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        if not factors.has_factor(self.person):
            return self.go("enroll")
        return self.render_to_response(self.get_context_data())

    def post(self, request: HttpRequest) -> HttpResponse:
        if not factors.has_factor(self.person):
            return self.go("enroll")
        return recovery_codes_page(self, recovery_codes.renew(self.person, self.client))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            left=recovery_codes.remaining(self.person),
            is_low=recovery_codes.is_low(self.person),
            unseen=session.has_unseen_codes(self.request),
            **kwargs,
        )


class RecoveryCodesKeptView(PersonMixin):
    """The person has the codes: on to where they were going. POST only."""

    http_method_names = ("post", "options")

    def post(self, request: HttpRequest) -> HttpResponse:
        session.note_codes_kept(request)
        return HttpResponseRedirect(self.next or self.url("factors"))
