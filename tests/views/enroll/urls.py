"""The test site with every page that ours lead to, also where an installation includes them from elsewhere."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, include, path

from django_twilio_verify import urls as ours
from django_twilio_verify.decorators import verification_exempt
from tests.support.site import urls as site


@verification_exempt
def elsewhere(request: HttpRequest) -> HttpResponse:
    return HttpResponse("a page of another part")


_KNOWN = {pattern.name for pattern in ours.urlpatterns if isinstance(pattern, URLPattern)}
_OTHERS = {"enroll_passkey": "enroll/passkey/", "step_up": "step-up/"}
_FIRST = [path(where, elsewhere, name=name) for name, where in _OTHERS.items() if name not in _KNOWN]

urlpatterns = [path("verify/", include(([*_FIRST, *ours.urlpatterns], "twilio_verify"))), *site.urlpatterns]
