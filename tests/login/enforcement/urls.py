"""The test site with more doors and rooms: every way in which a password is taken, and every guard that Django has."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import alogin, authenticate, get_user_model, login, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.mixins import LoginRequiredMixin, PermissionRequiredMixin
from django.contrib.auth.views import LoginView, PasswordResetConfirmView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path, re_path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from django_twilio_verify.decorators import verification_exempt
from tests.support.site.urls import urlpatterns as of_the_test_site

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


async def async_login(request: HttpRequest) -> HttpResponse:
    user = await get_user_model().objects.aget(username=request.POST["username"])
    await alogin(request, user, backend=MODEL_BACKEND)
    after = await request.auser()
    return HttpResponse(f"after login: {after.is_authenticated}")


class RememberingLogin(LoginView):
    """The usual "remember me": the lifetime is set before ``login()`` or after it, as the box of the form says."""

    template_name = "tests/login.html"

    def form_valid(self, form: Any) -> HttpResponse:
        if "before" in self.request.POST:
            self.request.session.set_expiry(int(self.request.POST["before"]))
        response = super().form_valid(form)
        if "after" in self.request.POST:
            self.request.session.set_expiry(int(self.request.POST["after"]))
        return response


class ShyLogin(LoginView):
    template_name = "tests/login.html"
    redirect_authenticated_user = True


@csrf_exempt
def token_login(request: HttpRequest) -> HttpResponse:
    """Signs in by a function of the site's own."""
    user = authenticate(request, username=request.POST["username"], password=request.POST["password"])
    if user is None:
        return HttpResponse(status=403)
    login(request, user)
    return JsonResponse({"user": request.user.get_username()})


class Reset(PasswordResetConfirmView):
    post_reset_login = True
    post_reset_login_backend = MODEL_BACKEND
    template_name = "tests/login.html"
    success_url = "/account/"


class Room(LoginRequiredMixin, View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(f"room of {request.user.get_username()}")


class Safe(PermissionRequiredMixin, View):
    permission_required = "auth.view_user"

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("safe")


class AsyncRoom(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        user = await request.auser()
        return HttpResponse(f"room of {user.get_username()}")


@verification_exempt
class Hall(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("hall")


class Annex(Hall):
    """Inherits the mark."""


@method_decorator(verification_exempt, name="dispatch")
class Porch(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("porch")


@verification_exempt
async def garden(request: HttpRequest) -> HttpResponse:
    return HttpResponse("garden")


def page(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    return HttpResponse("page")


def fresh(request: HttpRequest) -> HttpResponse:
    """What the site learns of the proof, for something that wants one of the last ten minutes."""
    access = request.twilio_verify  # type: ignore[attr-defined]
    return JsonResponse({"verified": access.is_verified, "fresh": access.is_fresh(max_age=600)})


def banner(request: HttpRequest) -> HttpResponse:
    access = request.twilio_verify  # type: ignore[attr-defined]
    who = request.user.get_username()
    return HttpResponse(f"{who}: {access.grace_ends_at.isoformat() if access.grace_ends_at else '-'}")


def change_password(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    user.set_password("another")
    user.save()
    update_session_auth_hash(request, user)
    return HttpResponse("changed")


help_pages = (
    [
        path("start/", page, name="start"),
        path("<int:number>/", page, name="entry"),
        re_path(r"^old-(?P<number>\d+)/$", page, name="old"),
    ],
    "help",
)

urlpatterns = [
    *of_the_test_site,
    path("async-login/", async_login),
    path("remember/", RememberingLogin.as_view()),
    path("shy-login/", ShyLogin.as_view()),
    path("token-login/", login_not_required(token_login)),
    path("reset/<uidb64>/<token>/", Reset.as_view(), name="reset"),
    path("room/", Room.as_view()),
    path("safe/", Safe.as_view()),
    path("async-room/", AsyncRoom.as_view()),
    path("hall/", Hall.as_view()),
    path("annex/", Annex.as_view()),
    path("porch/", Porch.as_view()),
    path("garden/", garden),
    path("fresh/", fresh),
    path("banner/", banner),
    path("change-password/", change_password),
    path("help/", include(help_pages, namespace="help")),
    path("help-desk/", page, name="desk"),
]
