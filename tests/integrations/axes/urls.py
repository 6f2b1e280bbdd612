"""A login page, our pages, and one to see who is in."""

from django.contrib.auth import views as auth_views
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import engines
from django.urls import include, path

from django_twilio_verify.contrib.rest_framework.views import LoginCheckView, LoginStartView, LoginView


class Login(auth_views.LoginView):
    def render_to_response(self, context, **kwargs):
        return HttpResponse(engines["django"].from_string("{{ form }}").render(context, self.request))


def account(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"user": request.user.get_username()})


urlpatterns = [
    path("verify/", include("django_twilio_verify.urls")),
    path("login/", Login.as_view(), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("account/", account),
    path("api/login/", LoginView.as_view()),
    path("api/login/start/", LoginStartView.as_view()),
    path("api/login/check/", LoginCheckView.as_view()),
]
