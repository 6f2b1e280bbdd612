"""django-two-factor-auth's own addresses; its setup once as it is, and once by our view."""

from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from two_factor.urls import urlpatterns as two_factor_urls
from two_factor.views import BackupTokensView, DisableView

from django_twilio_verify.contrib.two_factor.views import SetupView
from django_twilio_verify.decorators import verification_required

fresh = verification_required(max_age=600)


def account(request: HttpRequest) -> JsonResponse:
    user = request.user
    return JsonResponse(
        {"user": user.get_username(), "verified": user.is_verified(), "passed": request.twilio_verify.is_verified}
    )


urlpatterns = [
    path("own/setup/", SetupView.as_view()),
    path("own/disable/", fresh(DisableView.as_view())),
    path("own/backup/tokens/", fresh(BackupTokensView.as_view())),
    path("", include(two_factor_urls)),
    path("verify/", include("django_twilio_verify.urls")),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("account/", account),
]
