"""Its addresses."""

from django.urls import include, path

from django_twilio_verify.contrib.allauth.views import phone_disclosure
from tests.login.enforcement.urls import urlpatterns as pages

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("_allauth/", include("allauth.headless.urls")),
    path("phone-disclosure/", phone_disclosure),
    *pages,
]
