"""Views as a site writes them, fully typed."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST
from django.views.generic import TemplateView

from django_twilio_verify import consent, login, verifications
from django_twilio_verify.choices import ChannelName
from django_twilio_verify.client import aclient_from, client_from
from django_twilio_verify.consent import ConsentContext
from django_twilio_verify.decorators import json_errors, verification_exempt, verification_required
from django_twilio_verify.exceptions import ConsentRequired, TwilioVerifyError
from django_twilio_verify.login import TwilioVerifyHttpRequest
from django_twilio_verify.mixins import VerificationRequiredMixin
from django_twilio_verify.verifications import Payment, VerificationRef


@require_POST
def phone(request: HttpRequest) -> HttpResponse:
    client = client_from(request)
    disclosure = consent.get_disclosure("sms")
    number = request.POST["number"]
    consent.grant(
        recipient=number,
        channel="sms",
        client=client,
        disclosure=disclosure,
        user=request.user,
        context=ConsentContext.checkbox(button_label="Text me a code"),
    )
    started = verifications.start(recipient=number, channel="sms", client=client, user=request.user)
    return redirect("seller_code", started.verification.pk)


@require_POST
def code(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    checked = verifications.check(pk, client=client_from(request), user=request.user, code=request.POST["code"])
    if not (checked.approved or checked.already_approved):
        messages.error(request, checked.user_message)
        return redirect("seller_code", pk)
    assert checked.recipient is not None  # a message was sent
    number: str = checked.recipient.value
    return HttpResponse(number)


@require_POST
def resend(request: HttpRequest, pk: uuid.UUID, channel: ChannelName | None = None) -> HttpResponse:
    try:
        verifications.resend(pk, channel=channel, client=client_from(request), user=request.user)
    except ConsentRequired:
        return redirect("seller_consent", pk, channel)
    except TwilioVerifyError as error:
        messages.error(request, error.user_message)
    return redirect("seller_code", pk)


@verification_exempt
@json_errors
def second_factor(request: HttpRequest, action: str) -> HttpResponse:
    body: dict[str, Any] = json.loads(request.body or "{}")
    if action == "options":
        return JsonResponse({"options": [option.as_dict() for option in login.challenge_options(request)]})
    if action == "start":
        return JsonResponse(login.challenge(request, body["option"], disclosure=body.get("disclosure")).as_dict())
    if action == "resend":
        return JsonResponse(login.resend(request, body["verification"]).as_dict())
    checked = login.check(request, body["verification"], code=body["code"], trust_browser=body.get("trust", False))
    return JsonResponse(checked.as_dict(), status=200 if checked.approved else 400)


@verification_exempt
@json_errors
def recovery(request: HttpRequest) -> HttpResponse:
    checked = login.check_recovery_code(request, json.loads(request.body)["code"])
    return JsonResponse(checked.as_dict(), status=200 if checked.approved else 400)


def cart_total(request: HttpRequest) -> str:
    return str(request.session["total"])


def checkout(request: HttpRequest) -> HttpResponse:
    return login.begin_payment(request, Payment(cart_total(request), "Bazaar GmbH"), next=reverse("paid"))


def paid(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        redeemed = login.redeem_payment(request, Payment(cart_total(request), "Bazaar GmbH"))
        if not redeemed.accepted:
            return HttpResponse(redeemed.user_message, status=409)
    return HttpResponse("paid")


def organization_requires(user: AbstractBaseUser, request: HttpRequest) -> bool:
    return user.get_username().endswith("@bazaar.example")


def trusted_browser_days(user: AbstractBaseUser, request: HttpRequest) -> int:
    return 0 if organization_requires(user, request) else 14


@verification_required(max_age=timedelta(minutes=10))
def payout(request: HttpRequest, amount: int) -> HttpResponse:
    return HttpResponse(f"{amount}")


@verification_required
async def apayout(request: HttpRequest, amount: int) -> HttpResponse:
    return HttpResponse(f"{amount}")


@json_errors
async def download(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    client = await aclient_from(request)
    checked = await verifications.acheck(pk, code=request.POST.get("code", ""), client=client)
    if not (checked.approved or checked.already_approved):
        return JsonResponse(checked.as_dict(), status=400)
    return HttpResponse(f"the file, for {checked.recipient.masked if checked.recipient else 'you'}")


def session(request: TwilioVerifyHttpRequest) -> HttpResponse:
    if request.twilio_verify.is_fresh(max_age=timedelta(minutes=5), channels=["totp", "passkey"]):
        return JsonResponse(request.twilio_verify.as_dict())
    return HttpResponse(request.twilio_verify.status)


class Payout(VerificationRequiredMixin, TemplateView):
    verification_max_age = timedelta(minutes=10)
    verification_channels = ("passkey", "totp")


def kept_types(request: HttpRequest, reference: VerificationRef) -> None:
    """A decorated view takes what it took, and returns what it returned."""
    response: HttpResponse = payout(request, amount=3)
    response = second_factor(request, action="options")
    print(response, reference)


async def kept_async_types(request: HttpRequest, pk: uuid.UUID) -> None:
    response: HttpResponse = await apayout(request, 3)
    response = await download(request, pk)
    print(response)
