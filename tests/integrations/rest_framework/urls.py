"""Its addresses."""

from django.urls import path
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from django_twilio_verify.contrib.rest_framework.authentication import GuardedBasicAuthentication
from django_twilio_verify.contrib.rest_framework.permissions import IsVerified
from django_twilio_verify.contrib.rest_framework.views import LoginCheckView, LoginStartView, LoginView
from tests.support.site.urls import urlpatterns as pages


class Lately(IsVerified):
    max_age = 300


class ByApp(IsVerified):
    channels = ("totp", "passkey")


@api_view()
def orders(request: Request) -> Response:
    return Response({"user": request.user.get_username()})


@api_view(["GET", "POST"])
@permission_classes([IsVerified])
def secrets(request: Request) -> Response:
    return Response({"secret": 1})


@api_view()
@permission_classes([Lately])
def lately(request: Request) -> Response:
    return Response({})


@api_view()
@permission_classes([ByApp])
def by_app(request: Request) -> Response:
    return Response({})


@api_view()
@authentication_classes([GuardedBasicAuthentication])
@permission_classes([IsVerified])
def by_password(request: Request) -> Response:
    return Response({})


urlpatterns = [
    *pages,
    path("api/login/", LoginView.as_view()),
    path("api/login/start/", LoginStartView.as_view()),
    path("api/login/check/", LoginCheckView.as_view()),
    path("api/orders/", orders),
    path("api/secrets/", secrets),
    path("api/lately/", lately),
    path("api/by-app/", by_app),
    path("api/by-password/", by_password),
]
