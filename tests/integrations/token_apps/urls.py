"""Its addresses."""

from django.urls import include, path
from knox.views import LoginView

from tests.support.site.urls import urlpatterns as pages

urlpatterns = [
    path("djoser/", include("djoser.urls.authtoken")),
    path("knox/login/", LoginView.as_view()),
    *pages,
]
