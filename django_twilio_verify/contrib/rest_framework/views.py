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
from rest_framework.parsers import JSONParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ... import factors
from ...backends.twins import run
from ...choices import Purpose
from ...core import receivers
from ...exceptions import ResetLinkRequired
from ...factors import ChallengeOption, own_factors, reset_holds
from ...login import failures, missing, policy
from ...login.second_factor import SecondFactor
from ...models import Factor
from ...signals import login_completed
from . import pending
from .errors import LoginOver
from .handler import exception_handler
from .models import ProvedToken, digest_of
from .pending import PendingLogin
from .resets import end_tokens
from .serializers import CheckSerializer, PasswordSerializer, StartSerializer


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
            own_factors.hold(user.pk)  # one of them at a time, and no read that SQLite could not write after
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

    @sensitive_variables()
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
            return Response({"code": error.code, "detail": error.user_message, "url": url}, status=403)
        if not factors.has_factor(user):
            # 403: no login goes on from here.
            return Response(missing.describe("enrollment_required", url=reverse("twilio_verify:enroll")), status=403)
        login = pending.begin(user)
        found = _ways(pending.resume(request._request, login))
        body = {**missing.describe("second_factor_required"), "login": login}
        return Response({**body, "ways": [_told(way) for way in found], "recovery": True}, status=401)


class LoginStartView(JsonView):
    """``{"login", "factor", "channel"}``: challenge by that option; ``resend``: the user did not get the code."""

    @sensitive_variables()
    def post(self, request: Request) -> Response:
        given = StartSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        login = _resumed(request, values["login"])
        steps = _second_factor(request, login).challenge_steps(
            f"{values['factor']}.{values['channel']}", disclosure=values.get("disclosure"), resend=values["resend"]
        )
        # ``ConsentRequired`` answers with the words to show beside an unticked box: their digest comes back.
        return Response(run(steps).as_dict())


class LoginCheckView(JsonView):
    """``{"login", "verification", …answer}``: the token, or what is wrong with the answer. 202: nothing is decided yet,
    as on the phone.
    """

    @sensitive_variables()
    def post(self, request: Request) -> Response:
        serializer = CheckSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        login = _resumed(request, given.pop("login"))
        given_out: list[Response] = []
        second_factor = _second_factor(
            request, login, lambda channel, factor: given_out.append(self.complete(request, login, channel))
        )
        if "recovery_code" in given:
            recovered = second_factor.check_recovery_code(given["recovery_code"])
            return given_out[0] if recovered.approved else Response(recovered.as_dict(), status=400)
        verification = given.pop("verification")
        answer = second_factor.check_steps(verification, **given) if given else second_factor.poll_steps(verification)
        checked = run(answer)
        if checked.already_approved:
            raise LoginOver
        if checked.approved:
            return given_out[0]
        return Response(checked.as_dict(), status=202 if checked.is_waiting else 400)

    def complete(self, request: Request, login: PendingLogin, channel: str) -> Response:
        pending.spend(login)
        pending.must_go_on(login)
        response = self.given_out(login.user, channel)
        # SECURITY: a reset in these moments has deleted the tokens that there were. This one is given to nobody.
        if login.is_over:
            end_tokens(type(login.user), user=login.user)
            raise LoginOver
        told = {"request": request._request, "channel": channel, "trusted_browser": None}
        receivers.send(login_completed, type(login.user), user=login.user, client=login.client, **told)
        return response


def _resumed(request: Request, text: str) -> PendingLogin:
    """The login that waits. Raises ``LoginOver``, and ``PermissionDenied`` for somebody who is locked out."""
    login = pending.resume(request._request, text)
    failures.must_not_be_locked(request._request, login.user)
    return login


def _second_factor(
    request: Request, login: PendingLogin, passed: Callable[[str, Factor | None], object] = lambda channel, factor: None
) -> SecondFactor:
    return SecondFactor(request._request, login.user, login.client, Purpose.LOGIN, passed)


def _ways(login: PendingLogin) -> list[ChallengeOption]:
    return factors.challenge_options(login.user, client=login.client, purpose="login")


def _told(way: ChallengeOption) -> dict[str, Any]:
    return {"factor": way.factor.pk, "channel": way.channel.value, "name": way.factor.masked}
