"""Time to enroll: told once a sign-in, with a way to do it now and a way to go on."""

from __future__ import annotations

import math
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from ...login import session
from ..base import PersonMixin, TemplatePage

SECONDS_OF_A_DAY = 86_400


class GraceView(PersonMixin, TemplatePage):
    """Say how long the person may go on without a factor. POST: not again in this session."""

    template_name = "twilio_verify/grace.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        ends = self.access.grace_ends_at
        if ends is None:
            return self.go_on()
        context = self.get_context_data(ends=ends, days_left=days_until(ends), person=self.person)
        return self.render_to_response(context)

    def post(self, request: HttpRequest) -> HttpResponse:
        session.note_reminded(request)
        return self.go("enroll") if "now" in request.POST else self.go_on()


def days_until(moment: datetime) -> int:
    """Days left, of which the last is told to its end: "0 days left" would be wrong until they are over."""
    return max(1, math.ceil((moment - timezone.now()).total_seconds() / SECONDS_OF_A_DAY))
