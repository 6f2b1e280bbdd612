"""A site that has left out a page of ours."""

from __future__ import annotations

from django.urls import include, path

from django_twilio_verify import urls as ours

urlpatterns = [
    path("verify/", include(([one for one in ours.urlpatterns if one.name != "enroll_passkey"], "twilio_verify"))),
]
