"""A person's own factors."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from ..flows import factors, recovery
from ..web import session
from .base import PersonMixin, TemplatePage


class FactorsView(PersonMixin, TemplatePage):
    """What the person has enrolled."""

    template_name = "twilio_verify/factors.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        left = recovery.remaining(self.person)
        context = self.get_context_data(
            factors=factors.enrolled(self.person),
            recovery_left=left,
            recovery_low=left <= recovery.LOW,
            recovery_unseen=session.has_unseen_codes(request),
        )
        return self.render_to_response(context)
