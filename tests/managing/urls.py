"""The test site, with a page to step up on, whoever makes it."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from django_twilio_verify import urls as ours
from tests.site.urls import urlpatterns as site


def step_up(request: HttpRequest) -> HttpResponse:
    return HttpResponse("prove it")


_missing = [] if any(one.name == "step_up" for one in ours.urlpatterns) else [path("step-up/", step_up, name="step_up")]
urlpatterns = [path("verify/", include(([*ours.urlpatterns, *_missing], "twilio_verify"))), *site]
