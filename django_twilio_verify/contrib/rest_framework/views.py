"""Signing in from a program: password, then factor, then a token.

Three steps, each one POST of JSON, none of which needs a cookie: ``LoginView`` takes the password and answers with the
ways to prove a factor, ``LoginStartView`` has one of them asked, ``LoginCheckView`` takes the answer and gives the
token. Sends and answers are limited by the app; no throttle is needed beside that. Guesses of passwords are the site's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import NotFound
from rest_framework.parsers import JSONParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ... import factors, verifications
from ...choices import FACTOR_CHANNELS, Channel, CheckOutcome, ConsentMedium, Purpose
from ...consent import disclosures
from ...consent.api import Act, NewConsent
from ...exceptions import ConsentRequired, ResetLinkRequired
from ...factors import challenges, recovery_codes, reset_holds
from ...factors.api import ChallengeOption
from ...login import failures, policy
from ...login.messages import sentence_for
from ...models import Verification
from ...signals import second_factor_passed
from ...verifications.results import Challenged, Checked, Started
from . import pending
from .errors import LoginOver
from .handler import exception_handler
from .models import ProvedToken, digest_of
from .pending import PendingLogin
from .resets import end_tokens
from .serializers import CheckSerializer, PasswordSerializer, StartSerializer

_WAITING = (CheckOutcome.WAITING, CheckOutcome.NOT_OPENED, CheckOutcome.BUSY)


class JsonView(APIView):
    """What the three steps share. ``give_out`` may be overridden for tokens of another kind."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    parser_classes = (JSONParser,)
    twilio_verify_exempt = True

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        """The view: the domain functions own their transactions, and nobody is signed in yet."""
        view = sensitive_post_parameters()(super().as_view(**initkwargs))
        return login_not_required(transaction.non_atomic_requests(view))

    def get_exception_handler(self) -> Any:
        return exception_handler

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().finalize_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-store, private"
        return response

    def given_out(self, user: Any, channel: str) -> Response:
        """The token of ``user``, who has proved all that is owed. ``channel``: by which way, ``""`` for none."""
        return Response({"token": self.give_out(user, channel)})

    def give_out(self, user: Any, channel: str) -> str:
        """DRF's token of ``user``. SECURITY: one that was given out for a password alone is not made good by a factor
        of today, whoever has it by now: it is replaced. One that was given out after a factor, and is now for a
        password, is proved no more.
        """
        with transaction.atomic():
            factors.hold(user.pk)  # one of them at a time, and no read that SQLite could not write after
            token = Token.objects.select_for_update().filter(user=user).first()
            known = token is not None and ProvedToken.objects.filter(digest=digest_of(token), user_id=user.pk).exists()
            if channel and token is not None and not known:
                token.delete()
                token = None
            if token is None:
                token, _made = Token.objects.get_or_create(user=user)
            if channel:
                ProvedToken.objects.update_or_create(
                    digest=digest_of(token),
                    defaults={"user_id": user.pk, "channel": channel, "proved_at": timezone.now()},
                )
            elif known:
                ProvedToken.objects.filter(digest=digest_of(token)).delete()
        return str(token)


class LoginView(JsonView):
    """``{"username", "password"}``: a token for who owes no factor, else 401 with ``login`` and ``ways``."""

    @sensitive_variables("given")
    def post(self, request: Request) -> Response:
        given = PasswordSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        user = authenticate(request._request, **given.validated_data)
        if user is None:
            return Response({"code": "wrong_password", "detail": _("User name or password is wrong.")}, status=400)
        if not policy.judge(user, request._request).owes:
            return self.given_out(user, "")
        if reset_holds.standing(user) is not None:
            error, url = ResetLinkRequired(), reverse("twilio_verify:reset_held")
            return Response({"code": error.code, "detail": error.sentence, "url": url}, status=403)
        if not factors.has_factor(user):
            return Response(
                {"code": "enrollment_required", "detail": _("Add a second factor on the site.")}, status=403
            )
        login = pending.begin(user)
        found = _ways(pending.resume(request._request, login))
        body = {"code": "second_factor_required", "detail": _("A second factor is required."), "login": login}
        return Response({**body, "ways": [_told(way) for way in found], "recovery": True}, status=401)


class LoginStartView(JsonView):
    """``{"login", "factor", "channel"}``: have that way asked; ``resend``: the person did not get the code."""

    def post(self, request: Request) -> Response:
        given = StartSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        login = _resumed(request, given.validated_data["login"])
        way = _named(login, given.validated_data)
        if way.channel in FACTOR_CHANNELS:
            return Response(_asked(challenges.start(**_ask(login, way))))
        try:
            started = verifications.start(
                **_ask(login, way),
                recipient=way.factor.recipient,
                resend=given.validated_data["resend"],
                new_consent=_agreed(given.validated_data.get("disclosure")),
            )
        except ConsentRequired as error:
            return _asks_consent(way, error)
        return Response(_sent(started))


class LoginCheckView(JsonView):
    """``{"login", "verification", …answer}``: the token, or what is wrong with the answer. 202: nobody has answered on
    the phone so far.
    """

    @sensitive_variables("given")
    def post(self, request: Request) -> Response:
        serializer = CheckSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        login = _resumed(request, given.pop("login"))
        if "recovery_code" in given:
            return self.recovered(request, login, given["recovery_code"])
        checked = _checked(login, **given)
        if checked.approved and checked.verification.purpose == Purpose.LOGIN:
            return self.passed(request, login, checked.verification)
        if checked.outcome == CheckOutcome.ALREADY_VERIFIED:
            raise LoginOver
        failures.note(request._request, login.user, checked)
        return _not_approved(checked)

    @sensitive_variables("typed")
    def recovered(self, request: Request, login: PendingLogin, typed: str) -> Response:
        if not recovery_codes.redeem(login.user, typed, login.client):
            failures.factor_failed(request._request, login.user)
            return Response({"code": "wrong", "detail": _("This is not one of your recovery codes.")}, status=400)
        return self.through(request, login, Channel.RECOVERY.value)

    def passed(self, request: Request, login: PendingLogin, verification: Verification) -> Response:
        # SECURITY: of the person whose password was accepted, and of nobody else.
        if verification.user_id != login.user.pk:
            raise LoginOver
        return self.through(request, login, verification.channel)

    def through(self, request: Request, login: PendingLogin, channel: str) -> Response:
        pending.spend(login)
        response = self.given_out(login.user, channel)
        # SECURITY: a reset in these moments has deleted the tokens that there were. This one is given to nobody.
        if login.is_over:
            end_tokens(type(login.user), user=login.user)
            raise LoginOver
        second_factor_passed.send(sender=type(login.user), request=request._request, user=login.user, channel=channel)
        return response


def _resumed(request: Request, text: str) -> PendingLogin:
    """The login that waits. Raises ``LoginOver``, and ``PermissionDenied`` for somebody who is locked out."""
    login = pending.resume(request._request, text)
    failures.must_not_be_locked(request._request, login.user)
    return login


def _ways(login: PendingLogin) -> list[ChallengeOption]:
    enrolled = factors.enrolled(login.user)
    return factors.challenge_options(enrolled, purpose=Purpose.LOGIN, user=login.user, client=login.client)


def _told(way: ChallengeOption) -> dict[str, Any]:
    return {"factor": way.factor.pk, "channel": way.channel.value, "name": way.factor.masked}


def _named(login: PendingLogin, given: dict[str, Any]) -> ChallengeOption:
    """The way that the program names, among the person's own. Else 404."""
    for way in _ways(login):
        if (way.factor.pk, way.channel.value) == (given["factor"], given["channel"]):
            return way
    raise NotFound


def _ask(login: PendingLogin, way: ChallengeOption) -> dict[str, Any]:
    return {
        "channel": way.channel,
        "client": login.client,
        "user": login.user,
        "purpose": Purpose.LOGIN,
        # Any passkey of the person's will do, as on our pages: they are one way, and may be at several Services.
        "factor": None if way.channel == Channel.PASSKEY else way.factor,
    }


def _agreed(digest: str | None) -> NewConsent | None:
    """What the person agrees to with the send."""
    act = Act(ConsentMedium.API, control="checkbox", default=False, final=True, button="Send code")
    return NewConsent(digest, act) if digest else None


def _asks_consent(way: ChallengeOption, error: ConsentRequired) -> Response:
    """The wording to show with an unticked box; its digest comes back with the next ``LoginStartView``."""
    if not error.can_agree:
        return Response({"code": error.code, "detail": error.sentence}, status=403)
    shown = disclosures.compose(way.channel.consent_channel)
    words = {"digest": shown.digest, "text": shown.text, "label": shown.checkbox_label}
    return Response({"code": error.code, "detail": error.sentence, "disclosure": words}, status=403)


def _sent(started: Started) -> dict[str, Any]:
    return {
        "verification": str(started.verification.pk),
        "channel": started.channel.value,
        "resend_at": started.resend_at,
        "expires_at": started.verification.expires_at,
        "link": started.link,
    }


def _asked(asked: Challenged) -> dict[str, Any]:
    return {
        "verification": str(asked.verification.pk),
        "channel": asked.channel.value,
        "expires_at": asked.verification.expires_at,
        "asks_number": asked.asks_number,
        "options": asked.options,
    }


def _checked(login: PendingLogin, *, verification: Any, **answer: Any) -> Checked:
    found = verifications.get(verification, client=login.client, user=login.user)
    own = {"client": login.client, "user": login.user}
    if found.is_challenge:
        return challenges.check(found, **own, **answer) if answer else challenges.poll(found, **own)
    if "code" in answer:
        return verifications.check(found, code=answer["code"], **own)
    return verifications.check_link(found, **own)


def _not_approved(checked: Checked) -> Response:
    body = {"code": checked.outcome.value, "detail": sentence_for(checked), "checks_left": checked.checks_left}
    return Response(body, status=202 if checked.outcome in _WAITING else 400)
