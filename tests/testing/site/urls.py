"""Views that a site's tests are about."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from django_twilio_verify.decorators import verification_exempt, verification_required


@verification_required(max_age=600)
def payout(request: HttpRequest) -> HttpResponse:
    return HttpResponse("payout")


@verification_required(channels=["totp"])
def keys(request: HttpRequest) -> HttpResponse:
    return HttpResponse("keys")


def public(request: HttpRequest) -> HttpResponse:
    return HttpResponse("public")


@login_required
def account(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username())


@verification_exempt
def state(request: Any) -> JsonResponse:
    login = request.twilio_verify
    return JsonResponse(
        {
            "user": request.user.get_username(),
            "pending": login.is_pending,
            "verified": login.is_verified,
            "trusted": login.is_trusted_browser,
        }
    )


urlpatterns = [
    path("verify/", include("django_twilio_verify.urls")),
    path("login/", LoginView.as_view(template_name="login.html")),
    path("logout/", LogoutView.as_view(next_page="/public/")),
    path("account/", account),
    path("payout/", payout),
    path("public/", public),
    path("keys/", keys),
    path("state/", state),
]
