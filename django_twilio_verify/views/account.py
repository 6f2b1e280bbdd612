"""A person's own factors and recovery codes."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from ..flows import factors, recovery, stale
from .base import PageMixin, PersonMixin, TemplatePage


class FactorsView(PersonMixin, TemplatePage):
    """What the person has enrolled, and what can be done with each."""

    template_name = "twilio_verify/factors.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        held = factors.held(self.person)
        context = self.get_context_data(
            factors=held,
            stale=[factor.pk for factor in held if stale.is_stale(factor)],
            recovery_left=recovery.remaining(self.person),
        )
        return self.render_to_response(context)


class RecoveryCodesView(PersonMixin):
    """Make a new set of recovery codes, in place of the old one. POST only: the answer shows them, once."""

    http_method_names = ("post", "options")

    def post(self, request: HttpRequest) -> HttpResponse:
        if not factors.has_factor(self.person):
            return self.go("enrol")
        return recovery_codes_page(self, recovery.issue(self.person))


def recovery_codes_page(page: PageMixin, codes: list[str], *, first: bool = False) -> HttpResponse:
    """The one answer that shows ``codes``. ``first``: there were none before that they replace."""
    context = PageMixin.get_context_data(page, codes=codes, first=first)
    return TemplateResponse(page.request, "twilio_verify/recovery_codes.html", context)
