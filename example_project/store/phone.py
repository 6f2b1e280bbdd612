"""The phone of the demo: the shop's app on it, and the door by which `manage.py verify_phone` comes in.

For developers, with DEBUG and the console backend only: whoever reaches these pages approves anything.
"""

import json
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from django_twilio_verify import factors, login
from django_twilio_verify.backends import backends
from django_twilio_verify.backends.console import ConsoleBackend
from django_twilio_verify.choices import FactorKind
from django_twilio_verify.client import client_from
from django_twilio_verify.decorators import verification_exempt
from django_twilio_verify.exceptions import TwilioVerifyError
from django_twilio_verify.testing import DeviceRefused, Request, VerifyError
from shop.phone import PhoneBackend

MAX_BODY = 64 * 1024


def app_context(request: HttpRequest, backend: ConsoleBackend) -> dict[str, Any]:
    """What the page shows of the two apps."""
    phones = backend.phones.values() if isinstance(backend, PhoneBackend) else ()
    return {
        "can_push": FactorKind.PUSH in backend.factor_kinds,
        "phones": len(phones),
        "waiting": [{"phone": phone, "challenge": one} for phone in phones for one in _pending(phone)],
        "codes": backend.factor_simulator.authenticator_codes(),
    }


@login_required
@require_POST
def register(request: HttpRequest) -> HttpResponse:
    """Sign in to the app: the site hands it a token, the phone makes its key, and the site asks whether it is there."""
    backend, client = _backend(), client_from(request)
    if FactorKind.PUSH not in backend.factor_kinds:
        raise Http404
    assert request.user.is_authenticated
    if factors.has_factor(request.user) and not request.twilio_verify.is_verified:  # type: ignore[attr-defined]
        # As the app's pages do: a user who has a factor verifies it before adding another one.
        messages.error(request, "Sign in again, with the factor that you have, and then on the phone.")
        return redirect("phone")
    try:
        setup = factors.begin_push(request.user, client=client, name="Demo phone")
        phone = backend.new_phone(setup.identity)
        phone.register(setup.access_token)
        done = login.finish_setup(request, setup.verification)  # the session is verified by it
    except (TwilioVerifyError, DeviceRefused) as error:
        messages.error(request, getattr(error, "user_message", "The phone was refused."))
    else:
        backend.phones[phone.sid] = phone
        messages.success(request, "You are signed in to the app on the phone.")
        if done.is_first:  # an app of one's own shows them: docs/howto/push-app.md
            return redirect(f"{reverse('twilio_verify:recovery_codes')}?{urlencode({'next': reverse('phone')})}")
    return redirect("phone")


@verification_exempt
@require_POST
def answer(request: HttpRequest, factor: str, challenge: str) -> HttpResponse:
    """A press of the app's "Approve" or "Deny"."""
    phone = _backend().phones.get(factor)
    say = request.POST.get("say")
    if phone is None or say not in ("approve", "deny"):
        raise Http404
    try:
        status = phone.approve(challenge) if say == "approve" else phone.deny(challenge)
    except DeviceRefused:
        status = "over already"
    messages.info(request, f"On the phone: {status}.")
    return redirect("phone")


@csrf_exempt
@verification_exempt
def api(request: HttpRequest, rest: str) -> HttpResponse:
    """What Twilio is to a phone, under ``/phone/v2/``. A phone shows its token and no cookie."""
    routes, asked = _backend().routes, _request(request, rest)
    try:
        if not routes.admits(asked):
            raise VerifyError(401, 20003, "Authenticate")
        found = routes.answer(asked)
    except VerifyError as error:
        body = {"code": error.code, "message": error.message, "status": error.status}
        return JsonResponse(body, status=error.status)
    status, answered = found or (404, {"code": 20404, "message": "Not found", "status": 404})
    return HttpResponse(json.dumps(answered), status=status, content_type="application/json")


def _backend() -> PhoneBackend:
    backend = backends["default"]
    if not settings.DEBUG or not isinstance(backend, PhoneBackend):
        raise Http404
    return backend


def _pending(phone: Any) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = phone.pending()
    except DeviceRefused:  # removed by its owner
        return []
    return found


def _request(request: HttpRequest, rest: str) -> Request:
    body = request.read(MAX_BODY)
    form = tuple((name, str(one)) for name, several in _form(request, body) for one in several)
    query = tuple((name, one) for name, several in request.GET.lists() for one in several)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(request.method or "", f"/v2/{rest}", "", query, form, headers, body)


def _form(request: HttpRequest, body: bytes) -> list[tuple[str, list[Any]]]:
    from_form = request.content_type == "application/x-www-form-urlencoded"
    return list(QueryDict(body, encoding="utf-8").lists()) if from_form else []
