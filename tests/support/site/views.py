"""Doors and rooms of the test site."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    login,
)
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from django_twilio_verify import verifications
from django_twilio_verify.client import client_from
from django_twilio_verify.decorators import verification_exempt
from django_twilio_verify.login import begin_payment, redeem_payment
from django_twilio_verify.login.signup import sign_up
from django_twilio_verify.verifications import Payment


class Login(LoginView):
    template_name = "tests/login.html"


class Logout(LogoutView):
    pass


@login_required
def account(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"account of {request.user.get_username()}")


def bare_login(request: HttpRequest) -> HttpResponse:
    """A hand-written door: and what the same request sees right after it."""
    user = get_user_model().objects.get(username=request.POST["username"])
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse(f"after login: {request.user.is_authenticated}")


def quiet_login(request: HttpRequest) -> HttpResponse:
    """A door that does not send user_logged_in, as sessions made before the app was installed."""
    user = get_user_model().objects.get(username=request.POST["username"])
    request.session[SESSION_KEY] = str(user.pk)
    request.session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    request.session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    return HttpResponse("in")


def whoami(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"user": request.user.get_username()})


async def awhoami(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    return JsonResponse({"user": user.get_username()})


def context(request: HttpRequest) -> HttpResponse:
    return render(request, "tests/context.html")


def public(request: HttpRequest) -> HttpResponse:
    return HttpResponse("public")


async def apublic(request: HttpRequest) -> HttpResponse:
    return HttpResponse("public")


@verification_exempt
def exempt(request: HttpRequest) -> HttpResponse:
    waiting = request.twilio_verify.pending_user  # type: ignore[attr-defined]
    return HttpResponse(f"waiting: {waiting}, user: {request.user.is_authenticated}")


def forbidden(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        raise PermissionDenied
    return HttpResponse("in")


def signup(request: HttpRequest, verification: UUID) -> HttpResponse:
    user = get_user_model().objects.create_user(request.POST["username"])
    backend = "django.contrib.auth.backends.ModelBackend"
    sign_up(request, user, verification, backend=backend)
    return HttpResponse("welcome")


def start(request: HttpRequest) -> HttpResponse:
    """A site's own view that calls a flow."""
    started = verifications.start(recipient=request.POST["recipient"], channel="sms", client=client_from(request))
    return HttpResponse(str(started.verification.pk))


@login_required
def pay(request: HttpRequest) -> HttpResponse:
    """A checkout: the basket, kept in the session, is what is posted."""
    request.session["cart"] = [request.POST["amount"], request.POST["payee"]]
    return begin_payment(request, Payment(request.POST["amount"], request.POST["payee"]), next="/paid/")


@login_required
def paid(request: HttpRequest) -> HttpResponse:
    """Pays what is in the basket now."""
    redeemed = redeem_payment(request, Payment(*request.session["cart"]))
    return HttpResponse(
        "paid" if redeemed.accepted else redeemed.user_message, status=200 if redeemed.accepted else 409
    )


def set_cart(request: HttpRequest) -> HttpResponse:
    request.session["cart"] = request.POST.getlist("cart") or [1]
    return HttpResponse("ok")
