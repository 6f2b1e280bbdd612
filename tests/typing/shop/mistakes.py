"""Mistakes that type checkers find: each marked line is an error for both of them, and no other line is."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse

from django_twilio_verify import consent, factors, login, verifications
from django_twilio_verify.client import Client, client_from
from django_twilio_verify.core.client import ClientInfo
from django_twilio_verify.decorators import json_errors, verification_required
from django_twilio_verify.verifications import Payment


def functions(request: HttpRequest, client: Client, visitor: ClientInfo, pk: str) -> None:
    verifications.start(recipient="+12025550143", channel="smss", client=client)  # error
    verifications.start(recipient="+12025550143", channel="sms", client=client, purpose="login")  # error
    verifications.start(recipient="+12025550143", channel="sms", client=request)  # error
    verifications.start(recipient="+12025550143", channel="sms", client=visitor)  # error
    verifications.start("+12025550143", channel="sms", client=client)  # error
    verifications.start(recipient="+12025550143", channel="sms")  # error
    verifications.check(7, client=client, code="123456")  # error
    verifications.check(pk, client=client, code=123456)  # error
    verifications.redeem(pk, purpose="verifi", client=client)  # error
    verifications.redeem(pk, purpose="verify", client=client, user="ann")  # error
    consent.get_disclosure("fax")  # error
    consent.grant(recipient="+12025550143", channel="sms", client=client)  # error
    factors.challenge_options(request.user, client=client, purpose="verify")  # error
    factors.list_factors(7)  # error
    login.begin_payment(request, Payment("1 EUR", "Bazaar"))  # error
    login.check(client, pk, code="123456")  # error
    Client(ip="192.0.2.1")  # error: mypy


def results(request: HttpRequest, pk: str) -> str:
    checked = verifications.check(pk, client=client_from(request), code="123456")
    checked.aproved  # error
    checked.approved = True  # error
    return checked.outcome_text  # error


def truth(request: HttpRequest, pk: str) -> str:
    checked = verifications.check(pk, client=client_from(request), code="123456")
    if checked:  # error: pyright
        return "in"  # error: mypy
    return "out"  # error: mypy


async def twins(request: HttpRequest, client: Client, pk: str) -> None:
    await verifications.astart(recipient="+12025550143", channel="smss", client=client)  # error
    checked = await verifications.acheck(pk, client=client, code="123456")
    checked.aproved  # error
    await login.acheck(request, pk, code=123456)  # error


@verification_required(max_age="10 minutes")  # error
def text_for_age(request: HttpRequest) -> HttpResponse:
    return HttpResponse("")


@verification_required(max_age=timedelta(minutes=10), channels=["fax"])  # error
def unknown_channel(request: HttpRequest) -> HttpResponse:
    return HttpResponse("")


@json_errors
@verification_required
def decorated(request: HttpRequest, amount: int) -> HttpResponse:
    return HttpResponse(f"{amount}")


def decorated_views(request: HttpRequest) -> int:
    decorated(request, amount="3")  # error
    return decorated(request, amount=3)  # error
