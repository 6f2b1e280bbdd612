"""The test site, with a page to step up on, whoever makes it, and pages of its own that sign out and prove."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from django_twilio_verify import urls as ours
from django_twilio_verify.login import completion, ended_sessions
from tests.support.site.urls import urlpatterns as site


def step_up(request: HttpRequest) -> HttpResponse:
    return HttpResponse("prove it")


def everywhere(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(ended_sessions.end(request, request.user)))  # type: ignore[arg-type]


def own_proof(request: HttpRequest) -> HttpResponse:
    """A page of the site's that has proved a factor by a way of its own."""
    completion.mark_passed(request, "sms")
    return HttpResponse("proved")


_missing = [] if any(one.name == "step_up" for one in ours.urlpatterns) else [path("step-up/", step_up, name="step_up")]
urlpatterns = [
    path("verify/", include(([*ours.urlpatterns, *_missing], "twilio_verify"))),
    path("everywhere/", everywhere),
    path("own-proof/", own_proof),
    *site,
]
