"""The test site with the shop's phone, and the endpoint that the shop's app asks for its token."""

import json
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

from django_twilio_verify.client import client_from
from django_twilio_verify.factors import devices
from store import phone
from tests.support.site.urls import urlpatterns as of_the_site


@require_POST
def access_token(request: HttpRequest) -> JsonResponse:
    if not request.user.is_authenticated:
        url = "/verify/challenge/"
        return JsonResponse({"code": "x", "detail": "A second factor is required.", "url": url}, status=401)
    name = json.loads(request.body)["name"]
    begun = devices.begin_push(request.user, client_from(request), name=name)
    told: dict[str, Any] = {"token": begun.access_token, "identity": begun.identity, "service_sid": "VA" + "0" * 32}
    return JsonResponse({**told, "verification": str(begun.verification.pk), "expires_in": 60})


@require_POST
def confirm(request: HttpRequest, verification: Any) -> JsonResponse:
    assert request.user.is_authenticated
    done = devices.confirm(verification, client=client_from(request), user=request.user)
    return JsonResponse({"status": "enrolled" if done.factor else "waiting"})


urlpatterns = [
    path("phone/", lambda request: JsonResponse({}), name="phone"),
    path("phone/app/", phone.register, name="phone_register"),
    path("phone/app/<str:factor>/<str:challenge>/", phone.answer, name="phone_answer"),
    path("phone/v2/<path:rest>", phone.api, name="phone_api"),
    path("verify/access-token/", access_token),
    path("verify/access-token/<uuid:verification>/", confirm),
    *of_the_site,
]
