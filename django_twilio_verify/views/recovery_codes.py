"""Showing new recovery codes, once."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from ..choices import Purpose
from ..factors import own_factors
from ..login import session
from ..models import Verification
from .base import PageMixin

MAKING = timedelta(seconds=30)
"""For so long after an enrollment, the first press of a button may still be making the codes that its answer shows."""


def recovery_codes_page(page: PageMixin, codes: list[str], *, first: bool = False) -> HttpResponse:
    """The one answer that shows ``codes``. ``first``: there were none before that they replace.

    SECURITY: they are in this answer and nowhere else; the session remembers only that there was one.
    """
    session.note_codes_shown(page.request)
    context = PageMixin.get_context_data(page, codes=codes, first=first)
    return TemplateResponse(page.request, "twilio_verify/recovery_codes.html", context)


def codes_may_be_unseen(request: HttpRequest, verification: Verification) -> bool:
    """Whether ``verification``, which was approved before, has made recovery codes that went by unseen.

    So it is where a browser without scripts sent the last answer of a first enrollment twice: it shows what comes of
    the second press, and the codes were in the answer to the first. Up to two SELECTs.
    """
    if verification.purpose != Purpose.ENROLL or verification.user is None or session.has_kept_codes(request):
        return False
    if session.has_unseen_codes(request):
        return True
    # The first press may still be at it, and then its session says nothing yet.
    approved_at = verification.approved_at
    just_now = approved_at is not None and timezone.now() - approved_at < MAKING
    return just_now and len(own_factors.usable(verification.user)) <= 1
