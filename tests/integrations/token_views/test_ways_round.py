"""REST framework's views that let people in by something else than the session are found, and only these."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core import checks as django_checks
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from rest_framework.authentication import BasicAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.authtoken.views import ObtainAuthToken, obtain_auth_token
from rest_framework.decorators import api_view
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from tests.support.basics import make_secret
from tests.support.url_checks import Plain, ids


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("page")


@pytest.fixture
def said(settings):
    def run(*patterns: Any) -> list[django_checks.CheckMessage]:
        settings.ROOT_URLCONF = Plain(*patterns)
        settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k1", make_secret("s"))]
        settings.TWILIO_VERIFY_SIGNING_KEYS = [("k1", make_secret("seals"))]
        found = django_checks.run_checks(tags=["security"])
        return [one for one in found if str(one.id).startswith("twilio_verify.")]

    return run


class Basic(APIView):
    authentication_classes = (BasicAuthentication, SessionAuthentication)


class BySession(APIView):
    authentication_classes = (SessionAuthentication,)


class ByNothing(APIView):
    authentication_classes = ()


class Guarded(TokenAuthentication):
    twilio_verify_guarded = True


class ByGuardedToken(APIView):
    authentication_classes = (Guarded,)


class HasPassed(BasePermission):
    twilio_verify_guarded = True


class ByPermission(Basic):
    permission_classes = (HasPassed,)


class ByBoth(Basic):
    permission_classes = (IsAuthenticated & HasPassed,)


class ByEither(Basic):
    permission_classes = (IsAuthenticated | HasPassed,)


class Set(ViewSet):
    authentication_classes = (TokenAuthentication,)

    def list(self, request: Any) -> Any:
        raise NotImplementedError


@api_view(["GET"])
def of_the_defaults(request: Any) -> Any:
    raise NotImplementedError


BASIC = "rest_framework.authentication.BasicAuthentication"
TOKEN = "rest_framework.authentication.TokenAuthentication"


@pytest.mark.parametrize(
    ("view", "named"),
    [
        (Basic.as_view(), [BASIC]),
        (Basic.as_view(authentication_classes=[SessionAuthentication]), []),
        (BySession.as_view(), []),
        (BySession.as_view(authentication_classes=[TokenAuthentication]), [TOKEN]),
        (ByNothing.as_view(), []),
        (ByGuardedToken.as_view(), []),
        (ByPermission.as_view(), []),
        (ByBoth.as_view(), []),
        (ByEither.as_view(), [BASIC]),
        (Set.as_view({"get": "list"}), [TOKEN]),
        (of_the_defaults, [BASIC]),
        (page, []),
    ],
)
def test_views_that_know_people_by_something_else_than_the_session(said, view, named):
    found = said(path("api/", view))
    assert ids(found) == ["W073"] * len(named)
    for message, name in zip(found, named, strict=True):
        assert message.msg == f"{name} lets people in without a second factor: /api/."


def test_many_such_views_are_one_warning_for_a_class(said):
    (found,) = said(*(path(f"api/{number}/", Basic.as_view()) for number in range(5)))
    assert found.msg.endswith("/api/0/, /api/1/, /api/2/ and 2 more.")


class Tokens(ObtainAuthToken):
    """A site's own."""


@pytest.mark.parametrize("view", [obtain_auth_token, Tokens.as_view()])
def test_views_that_hand_out_tokens(said, view):
    found = said(path("api/", include([path("token/", view)])))
    assert ids(found)[-1] == "W074"
    assert found[-1].msg.startswith("/api/token/ hands out tokens for a password")


def test_the_command_names_them(settings):
    settings.ROOT_URLCONF = Plain(path("api/", of_the_defaults), path("token/", obtain_auth_token))
    out = StringIO()
    with pytest.raises(CommandError, match=r"2 URL\(s\)") as found:
        call_command("check_login_urls", "--state", "round", stdout=out)
    assert found.value.returncode == 1
    assert [line.split() for line in out.getvalue().splitlines()[1:3]] == [
        ["round", "/api/", "-", BASIC],
        ["round", "/token/", "-", "rest_framework.authtoken.views.ObtainAuthToken"],
    ]
