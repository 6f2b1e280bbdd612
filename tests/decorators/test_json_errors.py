"""``json_errors``: what programs are told where a view raises an error of this app."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.generic import View

from django_twilio_verify.decorators import json_errors, verification_exempt
from django_twilio_verify.exceptions import (
    BackendUnavailable,
    InvalidRecipient,
    NoPendingLogin,
    RateLimited,
    TwilioVerifyError,
    VerificationNotFound,
)


def raising(error: Exception) -> HttpResponse:
    raise error


@json_errors
def plain(request: HttpRequest, error: Exception | None = None) -> HttpResponse:
    return raising(error) if error else HttpResponse("fine")


@json_errors
async def awaited(request: HttpRequest, error: Exception | None = None) -> HttpResponse:
    return raising(error) if error else HttpResponse("fine")


class OfMethod(View):
    @json_errors
    def get(self, request: HttpRequest, error: Exception | None = None) -> HttpResponse:
        return raising(error) if error else HttpResponse("fine")


class AOfMethod(View):
    @json_errors
    async def get(self, request: HttpRequest, error: Exception | None = None) -> HttpResponse:
        return raising(error) if error else HttpResponse("fine")


class Open(View):
    def get(self, request: HttpRequest, error: Exception | None = None) -> HttpResponse:
        return raising(error) if error else HttpResponse("fine")


class AOpen(View):
    async def get(self, request: HttpRequest, error: Exception | None = None) -> HttpResponse:
        return raising(error) if error else HttpResponse("fine")


@method_decorator(json_errors, name="dispatch")
class OfDispatch(Open):
    pass


@method_decorator(json_errors, name="dispatch")
class AOfDispatch(AOpen):
    pass


VIEWS: dict[str, Any] = {
    "function": plain,
    "async function": awaited,
    "method": OfMethod.as_view(),
    "async method": AOfMethod.as_view(),
    "dispatch": OfDispatch.as_view(),
    "async dispatch": AOfDispatch.as_view(),
    "as_view": json_errors(Open.as_view()),
    "async as_view": json_errors(AOpen.as_view()),
}


def call(name: str, error: Exception | None = None) -> HttpResponse:
    view = VIEWS[name]
    assert iscoroutinefunction(view) is name.startswith("async")
    request = RequestFactory().get("/")
    response: HttpResponse = (async_to_sync(view) if name.startswith("async") else view)(request, error=error)
    return response


@pytest.mark.parametrize("name", VIEWS)
def test_every_sort_of_view(name: str) -> None:
    assert call(name).content == b"fine"
    error = NoPendingLogin()
    response = call(name, error)
    assert (response.status_code, response["Content-Type"]) == (401, "application/json")
    assert json.loads(response.content) == {
        "code": "no_pending_login",
        "detail": "You're not signed in. Sign in first.",
    }
    assert response["Cache-Control"] == "no-store"
    assert "Retry-After" not in response


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("error", [json.JSONDecodeError("Expecting value", "x", 0), Http404("gone"), ValueError("no")])
def test_other_errors_are_raised(name: str, error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        call(name, error)
    assert raised.value is error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRecipient("phone_invalid"), 400),
        (VerificationNotFound(), 404),
        (BackendUnavailable(may_have_been_done=False), 503),
    ],
)
def test_the_status_is_the_errors(error: TwilioVerifyError, status: int) -> None:
    response = call("function", error)
    assert response.status_code == status
    assert json.loads(response.content) == error.as_dict()


@pytest.mark.parametrize("name", ["function", "async function"])
def test_a_time_is_in_the_header_too(name: str) -> None:
    error = RateLimited("cooldown", retry_at=timezone.now() + timedelta(seconds=30))
    response = call(name, error)
    assert response.status_code == 429
    assert response["Retry-After"] in ("29", "30", "31")
    assert json.loads(response.content)["retry_after"] == int(response["Retry-After"])


def test_marks_and_names_of_the_view_stay() -> None:
    marked = json_errors(verification_exempt(plain))
    assert marked.twilio_verify_exempt is True  # type: ignore[attr-defined]
    assert marked.__name__ == "plain"
