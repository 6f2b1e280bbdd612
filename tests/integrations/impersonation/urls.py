"""Its addresses."""

from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from tests.integrations.impersonation.site import AcquireView
from tests.support.site.urls import urlpatterns as pages


def where(request: HttpRequest) -> JsonResponse:
    told = request.twilio_verify  # type: ignore[attr-defined]
    return JsonResponse(
        {
            "user": request.user.get_username(),
            "verified": told.is_verified,
            "impersonated": told.is_impersonated,
            "by": told.impersonator_id,
        }
    )


urlpatterns = [
    path("hijack/acquire/", AcquireView.as_view()),
    path("hijack-stock/", include("hijack.urls")),
    path("hijack/", include("hijack.urls", namespace="recipe")),
    path("loginas/", include("loginas.urls")),
    path("su/", include("django_su.urls")),
    path("impersonate/", include("impersonate.urls")),
    path("where/", where),
    *pages,
]
