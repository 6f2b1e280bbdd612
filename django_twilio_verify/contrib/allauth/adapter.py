"""The account adapter's half of a phone: who has which, sending a code, and what a proof is good for.

In allauth's pages Verify makes the code and judges it (``forms``). Headless compares codes itself and asks no form of
ours, so there the code is the site's own: Verify carries it as ``CustomCode``, which Twilio has to open for the
Service, and is told when it was right.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse, RateLimited
from allauth.core.internal.httpkit import is_headless_request
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from ... import consent, exceptions, factors
from ...choices import Channel, Purpose, VerificationStatus
from ...client import client_from
from ...conf import settings
from ...consent import ConsentContext
from ...consent.gate import NewConsent
from ...exceptions import BackendUnavailable, ConsentRequired, InvalidRecipient, TwilioVerifyError
from ...factors import phones
from ...login import completion, enforcement, own_session
from ...login.session import is_signed_in, may_keep_forms
from ...verifications import Recipient, claimants, lifecycle, routing
from ...views.errors import Refusal
from . import session
from .forms import OwnCodeMixin
from .freshness import require_fresh_proof

logger = logging.getLogger("django_twilio_verify")

_ASKS_FOR_A_NUMBER = (
    "account_signup",
    "socialaccount_signup",
    "account_signup_by_passkey",
    "account_change_phone",
    "account_verify_phone",
    "signup",
    "manage_phone",
    "provider_signup",
)
"""Names of allauth's views, of pages and headless, where a person gives a number: there consent is asked for."""


class TwilioVerifyAccountAdapterMixin(DefaultAccountAdapter):  # type: ignore[misc,unused-ignore]
    """For ``ACCOUNT_ADAPTER``: fills all that allauth wants of a site with phones. A proved phone is a factor here too.

    ``phone_channel``: by which way codes go.
    """

    phone_channel = Channel.SMS

    # Who has which

    def get_phone(self, user: Any) -> tuple[str, bool] | None:
        factor = phones.phone_of(user)
        return (factor.recipient_value, factor.confirmed_at is not None) if factor else None

    def get_user_by_phone(self, phone: str) -> Any:
        recipient = _parsed(phone)
        return phones.holder_of(recipient) if recipient else None

    def set_phone(self, user: Any, phone: str, verified: bool) -> None:
        own_session.must_be_own_session(context.request)
        recipient = Recipient.phone(phone)
        if verified:
            phones.proved(user, recipient, channel=self.phone_channel)
        else:
            phones.claim(user, recipient, channel=self.phone_channel)

    def set_phone_verified(self, user: Any, phone: str) -> None:
        """allauth has found the code right. Raises ``PermissionDenied`` if the code did not go to ``phone``, and
        ``ImmediateHttpResponse`` for a user who is signed in and has a factor that was not proved lately.
        """
        request = context.request
        own_session.must_be_own_session(request)
        recipient = Recipient.phone(phone)
        require_fresh_proof(request)
        # SECURITY: by our own record: allauth's state of the session may name another number by now.
        if not _is_proved(request, user, recipient):
            raise PermissionDenied("The code was not sent to this number.")
        opened = session.recall(request, "opens")
        session.forget(request)
        enforcement.must_go_on(request)
        if opened:
            # SECURITY: promise 3. The number was a factor of the user when the code went there: the code opens the
            # account while it still is, and never makes it one again. One conditional UPDATE.
            is_stale = not is_signed_in(request, user) and not claimants.is_owner(user, recipient)
            if is_stale or not phones.used(user, recipient):
                raise PermissionDenied("The number does not open the account any more.")
            return
        if _is_owed(request, user) and not phones.is_fresh(user, recipient):
            # SECURITY: on the way in there is a password, or a number that the person claims: neither adds a factor
            # beside those that there are, nor puts one in their place. It stays a claim.
            if request.user.is_authenticated:
                raise PermissionDenied("A factor has to be passed first.")
            return
        first = phones.proved(user, recipient, channel=self.phone_channel, client=client_from(request))
        if first and not request.user.is_authenticated:
            # SECURITY: only a first factor. A phone that signs in by code alone is no second factor of itself. And only
            # for the sign-in that is under way: a later one with the password has proved nothing.
            until = int(time.time()) + settings.pending_login_seconds
            session.remember(request, enrolled=str(user.pk), enrolled_until=until)

    def login(self, request: HttpRequest, user: Any) -> None:
        """As allauth; who has enrolled a first factor on the way in is not asked for it again at once."""
        until = session.recall(request, "enrolled_until") or 0
        enrolled = session.recall(request, "enrolled") == str(user.pk) and until > time.time()
        try:
            super().login(request, user)
        except ImmediateHttpResponse:  # the way to the challenge
            if not (enrolled and request.twilio_verify.is_pending):  # type: ignore[attr-defined]
                raise
            session.forget(request)
            completion.complete(request, user, self.phone_channel.value)

    # Asking for a number

    def clean_phone(self, phone: str) -> str:
        """The number in E.164. Raises ``ValidationError`` for what is none, and where consent was not given."""
        try:
            recipient = Recipient.phone(super().clean_phone(phone))
        except InvalidRecipient as error:
            raise ValidationError(error.user_message, code=error.code) from None
        self._require_consent(recipient)
        return recipient.value

    def _require_consent(self, recipient: Recipient) -> None:
        request = context.request
        match = request.resolver_match
        if match is None or match.url_name not in _ASKS_FOR_A_NUMBER or _agreed(request):
            return
        user = request.user if request.user.is_authenticated else None
        live = consent.find(recipient=recipient, channel=self.phone_channel, client=client_from(request), user=user)
        if live is None:
            raise ValidationError(_("Tick the box to agree, or choose another way."), code="consent_required")

    # Sending

    def generate_phone_verification_code(self, *, user: Any, phone: str) -> str:
        """``""`` where Verify makes the code. Else ours, the same one while it lives: Verify sends that one again."""
        request = context.request
        if self._verify_makes_codes(request):
            return ""
        refuse_readable(request)
        known = session.recall(request, "code")
        if known and session.recall(request, "phone") == phone and session.recall(request, "until") > time.time():
            return str(known)
        service = settings.service(routing.DEFAULT)  # which backend will carry it is not known yet
        code = "".join(secrets.choice("0123456789") for _place in range(service.code_length))
        session.remember(request, code=code, phone=phone, until=int(time.time()) + service.code_lifetime_seconds)
        return code

    def generate_login_code(self) -> str:
        """As allauth, but not where the code would stand in the visitor's own cookie."""
        refuse_readable(context.request)
        return str(super().generate_login_code())

    def generate_password_reset_code(self) -> str:
        """As allauth, but not where the code would stand in the visitor's own cookie."""
        refuse_readable(context.request)
        return str(super().generate_password_reset_code())

    def generate_email_verification_code(self) -> str:
        """As allauth, but not where the code would stand in the visitor's own cookie."""
        refuse_readable(context.request)
        return str(super().generate_email_verification_code())

    def send_verification_code_sms(self, user: Any, phone: str, code: str, **kwargs: Any) -> None:
        """Have the code sent. Raises allauth's ``RateLimited``, and ``ImmediateHttpResponse`` with what went wrong, or
        with the way to a fresh proof for somebody who is signed in and changes what protects the account.
        """
        request = context.request
        own_session.must_be_own_session(request)
        require_fresh_proof(request)
        try:
            self._send(request, user, Recipient.phone(phone), code)
        except TwilioVerifyError as error:
            if not _is_login_code(request, kwargs):
                _tell(request, error)
            self._tell_all_alike(request, phone, error)

    def send_unknown_account_sms(self, phone: str, **kwargs: Any) -> None:
        """Nothing is sent to a number without an account, and the visitor cannot tell."""
        request = context.request
        try:
            self._pretend(request, phone)
        except TwilioVerifyError as error:
            _tell(request, error)

    def send_account_already_exists_sms(self, phone: str) -> None:
        """Send nothing when somebody signs up with the number of an existing account. The visitor cannot tell."""
        self.send_unknown_account_sms(phone)

    def _pretend(self, request: HttpRequest, phone: str) -> None:
        # SECURITY: the same limits, the same call to the provider, and the same answers to a code.
        pretended = lifecycle.pretend(
            recipient=Recipient.phone(phone),
            channel=self.phone_channel,
            client=client_from(request),
            resend=session.verification_of(request) is not None,
        )
        session.remember(request, verification=str(pretended.verification.pk), opens=False)

    def _tell_all_alike(self, request: HttpRequest, phone: str, error: TwilioVerifyError) -> None:
        """Have a visitor who asked for a login code answered as of a number without an account."""
        if isinstance(error, (exceptions.RateLimited, BackendUnavailable)):
            # These meet both alike. And allauth compares codes of ours: a new try at the same code wants a new send.
            _tell(request, error)
        logger.info("No login code was sent: error=%s", error.code)
        if isinstance(error, ConsentRequired):  # raised before anything was counted
            self.send_unknown_account_sms(phone)

    def _send(self, request: HttpRequest, user: Any, recipient: Recipient, code: str) -> None:
        client = client_from(request)
        ticked, digest = ConsentContext.checkbox(button_label="Send code"), _agreed(request)
        # SECURITY: read before the code leaves: whatever removes the number afterwards is seen when it comes back.
        opens = phones.is_fresh(user, recipient)
        is_own = is_signed_in(request, user)
        if opens and not is_own:
            digest = ""  # SECURITY: a visitor agrees to nothing in the name of the account whose number was typed
        started = lifecycle.start(
            recipient=recipient,
            channel=self.phone_channel,
            client=client,
            user=user,
            purpose=Purpose.VERIFY,
            options={"custom_code": code} if code else None,
            resend=session.verification_of(request) is not None,
            new_consent=NewConsent(digest, ticked, purpose=Purpose.ENROLL) if digest else None,
            unproved=not is_own,
        )
        session.remember(request, verification=str(started.verification.pk), opens=opens)

    def _verify_makes_codes(self, request: HttpRequest) -> bool:
        if is_headless_request(request):
            return False
        named = (app_settings.FORMS.get(name) for name in ("verify_phone", "confirm_login_code"))
        return all(_is_ours(form) for form in named)


def _is_login_code(request: HttpRequest, kwargs: Mapping[str, Any]) -> bool:
    """Whether a visitor asked for a code to sign in by: allauth says of those alone whether they reauthenticate."""
    return "reauthentication" in kwargs and not request.user.is_authenticated


class _TooMany(RateLimited, ImmediateHttpResponse):
    """For the views of allauth that answer to too many sends themselves, and for those that would fail over it."""


def _tell(request: HttpRequest, error: TwilioVerifyError) -> NoReturn:
    """Have allauth answer with ``error``."""
    response = _problem(request, error)
    raise (_TooMany if isinstance(error, exceptions.RateLimited) else ImmediateHttpResponse)(response) from error


def refuse_readable(request: HttpRequest) -> None:
    """Raise ``ImproperlyConfigured`` if codes would be kept where the visitor reads them.

    SECURITY: allauth keeps the codes that it compares in the session; with ``signed_cookies`` that is a cookie, signed
    and not encrypted: whoever asks for a code needs no message to know it.
    """
    if not may_keep_forms(request):
        raise ImproperlyConfigured("Codes of allauth cannot be kept in signed cookies: change SESSION_ENGINE.")


def _is_proved(request: HttpRequest, user: Any, recipient: Recipient) -> bool:
    """Whether what this session had sent to ``recipient`` is approved: by Verify, or by allauth if the code is ours."""
    sent = session.verification_of(request)
    if sent is None:
        return False
    client = client_from(request)
    if session.recall(request, "code"):
        lifecycle.accept(sent, client=client, user=user, recipient=recipient)
    found = lifecycle.get(sent, client=client, user=user)
    return found.status == VerificationStatus.APPROVED and found.recipient == recipient


def _is_owed(request: HttpRequest, user: Any) -> bool:
    """Whether ``user`` has a factor and has not passed one in this session, in the last minutes."""
    # SECURITY: asked again where the code is found right: a session may have been left open since it was sent.
    access_of: Any = request.twilio_verify  # type: ignore[attr-defined]
    passed = is_signed_in(request, user) and access_of.may_change_factors()
    return not passed and factors.has_factor(user)


def _is_ours(form: Any) -> bool:
    found = import_string(form) if isinstance(form, str) else form
    return isinstance(found, type) and issubclass(found, OwnCodeMixin)


def _agreed(request: HttpRequest) -> str:
    """The digest of the wording that the request's person agreed to, ``""`` if they did not."""
    given: Any = request.POST
    if request.content_type == "application/json":
        try:
            given = json.loads(request.body or b"{}")
        except ValueError:  # allauth answers that
            given = {}
    if not hasattr(given, "get") or not given.get("consent"):
        return ""
    digest = given.get("disclosure")
    return digest if isinstance(digest, str) else ""


def _parsed(phone: str) -> Recipient | None:
    try:
        return Recipient.phone(phone)
    except InvalidRecipient:
        return None


def _problem(request: HttpRequest, error: TwilioVerifyError) -> HttpResponse:
    """Why nothing was sent: a page, or the errors of allauth's headless answers."""
    refusal = Refusal.of(error, otherwise=403 if isinstance(error, ConsentRequired) else 400)
    if is_headless_request(request):
        body = {"status": refusal.status, "errors": [{"code": error.code, "message": error.user_message}]}
        return refusal.tell(JsonResponse(body, status=refusal.status))
    words = {"problem": error.user_message, "program": settings.program}
    return refusal.tell(render(request, "twilio_verify/allauth_problem.html", words, status=refusal.status))


def disclosure(channel: Channel) -> dict[str, Any]:
    """What a headless client shows above its box: ``text``, ``label``, ``digest``, ``terms_url``, ``privacy_url``."""
    shown = consent.get_disclosure(channel)
    return {
        "text": shown.text,
        "label": shown.checkbox_label,
        "digest": shown.digest,
        "terms_url": shown.terms_url,
        "privacy_url": shown.privacy_url,
    }
