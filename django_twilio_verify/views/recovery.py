"""Recovery codes: shown once, made anew, and what is said where nobody seems to have seen them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone

from ..choices import Purpose
from ..flows import factors, recovery
from ..models import Verification
from ..web import session
from .base import PageMixin, PersonMixin, StepUpMixin, TemplatePage

MAKING = timedelta(seconds=30)
"""For so long after an enrolment, the first press of a button may still be making the codes that its answer shows."""


class RecoveryCodesView(StepUpMixin, TemplatePage):
    """Make a new set of recovery codes, in place of the old one. GET says what that means; POST shows them, once."""

    template_name = "twilio_verify/recovery_new.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        if not factors.has_factor(self.person):
            return self.go("enrol")
        return self.render_to_response(self.get_context_data())

    def post(self, request: HttpRequest) -> HttpResponse:
        if not factors.has_factor(self.person):
            return self.go("enrol")
        return recovery_codes_page(self, recovery.renew(self.person, self.client))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            left=recovery.remaining(self.person),
            is_low=recovery.is_low(self.person),
            unseen=session.has_unseen_codes(self.request),
            **kwargs,
        )


class RecoveryCodesKeptView(PersonMixin):
    """The person has the codes: on to where they were going. POST only."""

    http_method_names = ("post", "options")

    def post(self, request: HttpRequest) -> HttpResponse:
        session.note_codes_kept(request)
        return HttpResponseRedirect(self.next or self.url("factors"))


def recovery_codes_page(page: PageMixin, codes: list[str], *, first: bool = False) -> HttpResponse:
    """The one answer that shows ``codes``. ``first``: there were none before that they replace.

    SECURITY: they are in this answer and nowhere else; the session remembers only that there was one.
    """
    session.note_codes_shown(page.request)
    context = PageMixin.get_context_data(page, codes=codes, first=first)
    return TemplateResponse(page.request, "twilio_verify/recovery_codes.html", context)


def codes_may_be_unseen(request: HttpRequest, verification: Verification) -> bool:
    """Whether ``verification``, which was approved before, has made recovery codes that went by unseen.

    So it is where a browser without scripts sent the last answer of a first enrolment twice: it shows what comes of the
    second press, and the codes were in the answer to the first. Up to two SELECTs.
    """
    if verification.purpose != Purpose.ENROL or verification.user is None or session.has_kept_codes(request):
        return False
    if session.has_unseen_codes(request):
        return True
    # The first press may still be at it, and then its session says nothing yet.
    approved_at = verification.approved_at
    just_now = approved_at is not None and timezone.now() - approved_at < MAKING
    return just_now and len(factors.enrolled(verification.user)) <= 1
