"""The pages of the shop. Of verification speak ``checkout``, ``paid``, ``delivery``, ``sign_up`` and
``sign_up_finish``."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from django_twilio_verify import factors, login, verifications
from django_twilio_verify.backends import backends
from django_twilio_verify.backends.console import ConsoleBackend
from django_twilio_verify.choices import VerificationStatus
from django_twilio_verify.client import client_from, region_from
from django_twilio_verify.decorators import verification_exempt, verification_required
from django_twilio_verify.exceptions import VerificationNotFound
from django_twilio_verify.forms import PhoneForm
from django_twilio_verify.models import Verification
from django_twilio_verify.verifications import Payment

from . import basket
from .phone import app_context

PAYEE = "The Corner Shop"


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "store/home.html", {"products": basket.PRODUCTS.values()})


@require_POST
def add_to_basket(request: HttpRequest, product: str) -> HttpResponse:
    if product not in basket.PRODUCTS:
        raise Http404
    basket.add(request, basket.PRODUCTS[product])
    messages.success(request, f"{basket.PRODUCTS[product].name} is in your basket.")
    return redirect("home")


@login_required
def checkout(request: HttpRequest) -> HttpResponse:
    if request.method == "POST" and basket.lines(request):
        # To the pages of django-twilio-verify, and from there, approved, to paid().
        return login.begin_payment(request, Payment(basket.amount(request), PAYEE), next=reverse("paid"))
    context = {"lines": basket.lines(request), "total": basket.total(request)}
    return render(request, "store/checkout.html", context)


@login_required
def paid(request: HttpRequest) -> HttpResponse:
    """Take the money for what is in the basket now, if that was approved: once, however often this is loaded."""
    if not basket.lines(request):
        return redirect("home")
    redeemed = login.redeem_payment(request, Payment(basket.amount(request), PAYEE))
    if not redeemed.accepted:
        context = {"problem": redeemed.user_message, "amount": basket.amount(request)}
        return render(request, "store/not_paid.html", context, status=409)
    # Here a real shop charges the card and writes the order, in one transaction with redeem_payment().
    messages.success(request, f"Thank you! {basket.amount(request)} are paid. We are packing your bag.")
    basket.empty(request)
    return redirect("home")


@login_required
def account(request: HttpRequest) -> HttpResponse:
    assert request.user.is_authenticated
    context = {
        "factors": factors.list_factors(request.user),
        "recovery_left": factors.count_recovery_codes(request.user),
    }
    return render(request, "store/account.html", context)


@login_required
@verification_required(max_age=600)
def delivery(request: HttpRequest) -> HttpResponse:
    """Where the bag goes. Whoever finds the shop open on somebody's screen does not send it elsewhere."""
    if request.method == "POST":
        request.session["delivery"] = request.POST.get("address", "")[:500]
        messages.success(request, "We deliver there from now on.")
        return redirect("account")
    return render(request, "store/delivery.html", {"address": request.session.get("delivery", "")})


def sign_up(request: HttpRequest) -> HttpResponse:
    """Step 1: a phone number, and consent to text it. The proof itself happens on the pages of django-twilio-verify."""
    if request.user.is_authenticated:
        return redirect("account")
    # Made when the page is shown, so that both halves of a double click on its button come from one session.
    client_from(request)
    form = PhoneForm(request.POST or None, channel="sms", region=region_from(request))
    if form.is_valid() and (started := form.send(request, button_label="Send code")):
        proof = started.verification.pk
        request.session["sign_up"] = str(proof)
        ask_for_code = reverse("twilio_verify:code", args=[proof])
        return redirect(f"{ask_for_code}?{urlencode({'next': reverse('sign_up_finish')})}")
    return render(request, "store/sign_up.html", {"form": form})


def sign_up_finish(request: HttpRequest) -> HttpResponse:
    """Step 2, once the number is proved: a user name and a password."""
    proof = _proof(request)
    if proof is None:
        return redirect("sign_up")
    form: UserCreationForm[User] = UserCreationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                user = form.save()
                # Her number is her first factor, and she has just proved it: signing in, she is not asked for it again.
                login.sign_up(request, user, proof)
        except VerificationNotFound as error:  # more than an hour has gone by
            messages.error(request, error.user_message)
            return redirect("sign_up")
        del request.session["sign_up"]
        messages.success(request, f"Welcome, {user.get_username()}!")
        return redirect("account")
    return render(request, "store/sign_up_finish.html", {"form": form, "proof": proof})


def _proof(request: HttpRequest) -> Verification | None:
    """The approved verification of the number that this visitor signs up with."""
    if "sign_up" not in request.session:
        return None
    try:
        proof = verifications.get(request.session["sign_up"], client=client_from(request))
    except VerificationNotFound:
        return None
    return proof if proof.status == VerificationStatus.APPROVED else None


# People who still owe their second factor may read these three.


@verification_exempt
def terms(request: HttpRequest) -> HttpResponse:
    return render(request, "store/terms.html")


@verification_exempt
def privacy(request: HttpRequest) -> HttpResponse:
    return render(request, "store/privacy.html")


@verification_exempt
def phone(request: HttpRequest) -> HttpResponse:
    """What would have been sent, drawn as a phone. For developers: it shows everybody's codes."""
    backend = backends["default"]
    if not settings.DEBUG or not isinstance(backend, ConsoleBackend):
        raise Http404
    context = {"received": reversed(list(backend.sent)), **app_context(request, backend)}
    return render(request, "store/phone.html", context)


@verification_exempt
def phone_link(request: HttpRequest, token: str) -> HttpResponse:
    """The carrier, played: whoever opens a link of the silent check proves the number that it was made for."""
    backend = backends["default"]
    if not settings.DEBUG or not isinstance(backend, ConsoleBackend):
        raise Http404
    answer = backend.simulator.open_link(request.path)
    return render(request, "store/phone_link.html", {"answer": answer, "is_done": answer.startswith("ErrorCode=0")})
