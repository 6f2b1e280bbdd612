"""A login page, our pages, and one to see who is in."""

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import engines
from django.urls import include, path


class Login(LoginView):
    def render_to_response(self, context, **kwargs):
        return HttpResponse(engines["django"].from_string("{{ form }}").render(context, self.request))


def account(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"user": request.user.get_username()})


urlpatterns = [
    path("verify/", include("django_twilio_verify.urls")),
    path("login/", Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("account/", account),
]
