"""A site with pages that ask for a fresh proof: each sort of view that Django knows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import View

from django_twilio_verify.decorators import verification_required
from django_twilio_verify.mixins import VerificationRequiredMixin
from tests.support.site.urls import urlpatterns as usual


def told(request: HttpRequest) -> HttpResponse:
    fields = {name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"}
    return HttpResponse(f"{request.method} {request.get_full_path()} {fields}")


@verification_required
def once(request: HttpRequest) -> HttpResponse:
    return told(request)


@verification_required(max_age=600)
def fresh(request: HttpRequest) -> HttpResponse:
    return told(request)


@verification_required(max_age=timedelta(minutes=10))
async def afresh(request: HttpRequest) -> HttpResponse:
    return told(request)


@verification_required(channels=["passkey", "totp"])
def strong(request: HttpRequest) -> HttpResponse:
    return told(request)


@sensitive_post_parameters()
@verification_required(max_age=600)
def marked(request: HttpRequest) -> HttpResponse:
    return told(request)


@csrf_exempt
@verification_required(max_age=600)
def unchecked(request: HttpRequest) -> HttpResponse:
    return told(request)


class Mixed(VerificationRequiredMixin, View):
    verification_max_age = 600

    def get(self, request: HttpRequest) -> HttpResponse:
        return told(request)

    def post(self, request: HttpRequest) -> HttpResponse:
        return told(request)


class AMixed(VerificationRequiredMixin, View):
    verification_max_age = timedelta(minutes=10)

    async def get(self, request: HttpRequest) -> HttpResponse:
        return told(request)

    async def post(self, request: HttpRequest) -> HttpResponse:
        return told(request)


@method_decorator(verification_required(max_age=600), name="dispatch")
class Decorated(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return told(request)

    def post(self, request: HttpRequest) -> HttpResponse:
        return told(request)


@method_decorator(verification_required(max_age=600), name="dispatch")
class ADecorated(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return told(request)


class ADispatch(ADecorated):
    @verification_required(max_age=600)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return View.dispatch(self, request, *args, **kwargs)


class AMethod(View):
    @verification_required(max_age=600)
    async def get(self, request: HttpRequest) -> HttpResponse:
        return told(request)


class Method(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("open")

    @verification_required(max_age=600)
    def post(self, request: HttpRequest) -> HttpResponse:
        return told(request)


class Plain(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return told(request)


class APlain(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return told(request)


def template(request: HttpRequest) -> HttpResponse:
    return render(request, "tests/is_fresh.html")


@admin.action(description="Rename")
@verification_required(max_age=600)
def rename(modeladmin: Any, request: HttpRequest, queryset: Any) -> None:
    queryset.update(first_name="Renamed")


class People(admin.ModelAdmin):
    actions = (rename,)

    @verification_required(max_age=600)
    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().change_view(request, object_id, *args, **kwargs)


office = admin.AdminSite("office")
office.register(User, People)

urlpatterns = [
    path("once/", once),
    path("fresh/", fresh),
    path("afresh/", afresh),
    path("strong/", strong),
    path("marked/", marked),
    path("unchecked/", unchecked),
    path("mixed/", Mixed.as_view()),
    path("amixed/", AMixed.as_view()),
    path("decorated/", Decorated.as_view()),
    path("adecorated/", ADecorated.as_view()),
    path("adispatch/", ADispatch.as_view()),
    path("amethod/", AMethod.as_view()),
    path("awrapped/", verification_required(max_age=600)(APlain.as_view())),
    path("method/", Method.as_view()),
    path("wrapped/", verification_required(max_age=600)(Plain.as_view())),
    path("template/", template),
    path("office/", office.urls),
    path("", include(usual)),  # type: ignore[arg-type]
]
