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
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from django_twilio_verify import factors
from django_twilio_verify.backends.console import ConsoleBackend
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.backends.twilio.errors import VerifyError
from django_twilio_verify.choices import FactorKind
from django_twilio_verify.decorators import verification_exempt
from django_twilio_verify.exceptions import TwilioVerifyError
from django_twilio_verify.factors import devices
from django_twilio_verify.login import completion, redirects
from django_twilio_verify.login.client import client_from
from django_twilio_verify.testing.phone import DeviceRefused
from django_twilio_verify.testing.verify_server import MAX_BODY, Request
from shop.phone import PhoneBackend


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
        # As the pages of django-twilio-verify have it: whoever has a factor passes it before there is another one.
        messages.error(request, "Sign in again, with the factor that you have, and then on the phone.")
        return redirect("phone")
    try:
        begun = devices.begin_push(request.user, client, name="Demo phone")
        phone = backend.new_phone(begun.identity)
        phone.register(begun.access_token)
        done = devices.confirm(begun.verification, client=client, user=request.user)
    except (TwilioVerifyError, DeviceRefused) as error:
        messages.error(request, getattr(error, "sentence", "The phone was refused."))
    else:
        backend.phones[phone.sid] = phone
        # The proof is one of this session, begun and ended in this request.
        completion.mark_passed(request, done.checked.verification.channel)
        messages.success(request, "You are signed in to the app on the phone.")
        if done.first:  # an app of one's own shows them: docs/howto/push-app.md
            return redirect(redirects.with_next(reverse("twilio_verify:recovery_codes"), reverse("phone")))
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
