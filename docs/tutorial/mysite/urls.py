"""The addresses of the tutorial."""

from django.contrib import admin
from django.urls import include, path

from docs.tutorial.mysite.views import home

urlpatterns = [
    path("", home, name="home"),
    path("admin/", admin.site.urls),
    path("verify/", include("django_twilio_verify.urls")),
]
