"""The page that asks for one factor that the provider keeps: authenticator app, push or passkey.

``FactorPage`` knows the user, the factor and the purpose; its askers know the form and the verbs of each channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.functional import cached_property

from ... import login, verifications
from ...choices import Channel, Purpose
from ...core.codes import TOTP_DIGITS
from ...exceptions import FactorNotFound, TwilioVerifyError, VerificationNotFound
from ...factors import own_factors
from ...factors.own_factors import ChallengeOption
from ...forms.passkeys import CredentialForm
from ...forms.verification import AppCodeForm
from ...login import hints, session, trust_cookie
from ...models import Factor, Verification
from ...verifications import challenges, channel_plan, lifecycle, throttling
from ...verifications.channel_plan import PlanRequest
from ...verifications.messages import lost_sentence
from ...verifications.results import Checked, Started
from ..verification.approved import go_on_from
from ..verification.restart import GONE, with_gone
from ..verification.send import SendPage, named


@dataclass(frozen=True, slots=True)
class Offer:
    """Another way, and the page that asks by it."""

    factor: Factor
    channel: Channel
    url: str


class FactorPage(SendPage):
    """Prove a factor of ``person``: the first one, or the way that the URL names."""

    person: AbstractBaseUser
    ways: list[ChallengeOption]
    is_gone = False
    """Whether the URL names a factor that is not among the person's own (any more)."""
    held: list[Factor]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if self.is_gone:
            return self.gone()
        if request.method == "POST" and not session.has_secret(request):
            # A second press whose session the first one has just replaced: on to where the first one leads.
            return self.go_on()
        return super().dispatch(request, *args, **kwargs)

    def find_ways(self, person: AbstractBaseUser, channels: Sequence[Channel] = ()) -> bool:
        """Look up the ways of ``person``, of ``channels`` if there are any, and choose among them. False if there are
        none.
        """
        enrolled = own_factors.usable(person)
        self.held = throttling.held(enrolled)
        found = own_factors.challenge_options(enrolled, purpose=self.purpose, user=person, client=self.client)
        self.ways = [way for way in found if not channels or way.channel in channels]
        if hints.prefers_passkey(self.request):
            self.ways.sort(key=lambda way: way.channel != Channel.PASSKEY)
        chosen = self._named(enrolled, person) if "factor" in self.kwargs else None
        if chosen is None:
            # SECURITY: alike for those that were removed, other people's, and those that never were.
            self.is_gone = "factor" in self.kwargs
            if not self.ways:
                return False
            chosen = self.ways[0]
        self.factor, self.channel = chosen.factor, chosen.channel
        if self.factor.recipient_value:
            self.recipient = self.factor.recipient
        return True

    def _named(self, enrolled: list[Factor], person: AbstractBaseUser) -> ChallengeOption | None:
        """The way of the URL: also one that is out at the moment or lost, which then says so itself. ``None`` for a
        factor that is not there; 404 for a way that leads to none like it.
        """
        # SECURITY: looked up among the person's own factors, so nobody else's can be named.
        for factor in enrolled:
            if factor.pk != self.kwargs["factor"]:
                continue
            if factor.recipient_value:
                asked = PlanRequest(
                    factor.recipient, self.purpose, line_type=factor.line_type, user=person, client=self.client
                )
                return ChallengeOption(
                    factor, named(self.kwargs["channel"], channel_plan.plan_among(asked, frozenset()))
                )
            way = own_factors.device_option(factor, self.purpose)
            if way is not None and way.channel.value == self.kwargs["channel"]:
                return way
            raise Http404
        return None

    def sending_for(self) -> AbstractBaseUser | None:
        return self.person

    @cached_property
    def asker(self) -> Prompt | None:
        """What asks, if it is a factor that the provider keeps."""
        asker = ASKERS.get(self.channel)
        return asker(self) if asker else None

    def get_form(self, form_class: type[forms.Form] | None = None) -> forms.Form:
        if self.asker is None:
            return super().get_form(form_class)
        return self.asker.form_class(**self.get_form_kwargs())

    def form_valid(self, form: forms.Form) -> HttpResponse:
        if self.asker is None:
            return super().form_valid(form)
        try:
            return self.asker.answer(form)
        except FactorNotFound:  # removed a moment ago, or lost
            return self.render_to_response(self.get_context_data(form=form, problem=lost_sentence(self.channel)))
        except TwilioVerifyError as error:
            return self.refuse(form, error)

    def start_challenge(self) -> Started:
        """Have the factor asked. Raises as ``challenges.start``."""
        return challenges.start(
            channel=self.channel,
            client=self.client,
            user=self.person,
            purpose=self.purpose,
            # Any passkey of the person's will do.
            factor=None if self.channel == Channel.PASSKEY else self.factor,
            amount=self.payment.amount,
            payee=self.payment.payee,
        )

    def check(self, verification: Verification, **answer: Any) -> Checked:
        """Have an answer judged; one that is right completes the login, or the step-up."""
        if self.purpose == Purpose.PAYMENT:
            return verifications.check(
                verification, client=self.client, user=self.person, payment=self.payment, **answer
            )
        return login.check(self.request, verification, **answer, trust_browser=trust_cookie.is_wished(self.request))

    def judged(self, form: forms.Form, checked: Checked, field: str | None = None) -> HttpResponse:
        """What an answer comes to: on, or the page again with a sentence, beside ``field`` if it has one."""
        if checked.approved:
            return go_on_from(self, checked.verification)
        if checked.already_approved:
            return self.go_on()
        sentence = checked.user_message
        if field is not None:
            form.add_error(field, sentence)
        problem = "" if field is not None else sentence
        return self.render_to_response(self.get_context_data(form=form, problem=problem, retry_at=checked.retry_at))

    def way_url(self, way: ChallengeOption | Offer) -> str:
        """The page that asks by ``way``."""
        raise NotImplementedError

    def choice_url(self) -> str:
        """This page without a way named, where the others are offered."""
        raise NotImplementedError

    def gone(self) -> HttpResponse:
        """To what is left, and why: the factor was removed or replaced since the page was shown."""
        return HttpResponseRedirect(with_gone(self.choice_url()))

    def options_url(self) -> str:
        """Where the script of a passkey's page gets what to ask the browser."""
        return reverse("twilio_verify:passkey_options", args=[self.purpose.value])

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        assert self.factor is not None  # ``find_ways`` found one
        here = ChallengeOption(self.factor, self.channel)
        others = [Offer(way.factor, way.channel, self.way_url(way)) for way in self.ways if not _same(way, here)]
        if GONE in self.request.GET and not self.request.POST:
            kwargs.setdefault("problem", FactorNotFound().user_message)
        if self.asker is None:
            kwargs = {"part": "twilio_verify/_ask_send.html", **kwargs}
        else:
            kwargs = {**self.asker.context(), **kwargs}
        return super().get_context_data(
            factor=self.factor,
            person=self.person,
            held=self.held,
            purpose=self.purpose.value,
            other_channels=others,
            way_url=self.way_url(here),
            **kwargs,
        )


def _same(one: ChallengeOption, other: ChallengeOption) -> bool:
    if one.channel == other.channel == Channel.PASSKEY:
        return True
    return (one.factor.pk, one.channel) == (other.factor.pk, other.channel)


class Prompt:
    """One way of asking. ``part``: the template of what the page shows; ``form_class``: of what it posts."""

    part: ClassVar[str]
    form_class: ClassVar[type[forms.Form]] = forms.Form

    def __init__(self, page: FactorPage) -> None:
        self.page = page

    def answer(self, form: forms.Form) -> HttpResponse:
        """What becomes of the posted ``form``. Raises ``TwilioVerifyError`` and ``FactorNotFound``."""
        raise NotImplementedError

    def context(self) -> dict[str, Any]:
        return {"part": self.part}


class TotpPrompt(Prompt):
    """An authenticator app: nobody is asked before the code is there, so the page has its field at once."""

    part = "twilio_verify/_ask_totp.html"
    form_class = AppCodeForm

    def answer(self, form: forms.Form) -> HttpResponse:
        page = self.page
        started = page.start_challenge()
        checked = page.check(started.verification, code=form.cleaned_data["code"])
        return page.judged(form, checked, field="code")

    def context(self) -> dict[str, Any]:
        factor = self.page.factor
        return {**super().context(), "digits": (factor.digits if factor else 0) or TOTP_DIGITS}


class PushPrompt(Prompt):
    """Push and silent approval: a button has the phone asked, and the page of the request waits for the answer."""

    part = "twilio_verify/_ask_push.html"

    def answer(self, form: forms.Form) -> HttpResponse:
        return self.page.go("push", self.page.start_challenge().verification.pk)


class PasskeyPrompt(Prompt):
    """A passkey: the page's script fetches the options (``passkey.PasskeyOptionsView``) and posts what came of it."""

    part = "twilio_verify/_ask_passkey.html"
    form_class = CredentialForm

    def answer(self, form: forms.Form) -> HttpResponse:
        page = self.page
        verification = lifecycle.get(form.cleaned_data["verification"], client=page.client, user=page.person)
        # SECURITY: what was begun for something else, or for nobody, proves nothing here.
        fits = verification.channel == Channel.PASSKEY and verification.purpose == page.purpose
        if not fits or verification.user_id != page.person.pk:
            raise VerificationNotFound
        return page.judged(form, page.check(verification, credential=form.cleaned_data["credential"]))

    def context(self) -> dict[str, Any]:
        return {**super().context(), "options_url": self.page.options_url()}


ASKERS: Mapping[Channel, type[Prompt]] = {
    Channel.TOTP: TotpPrompt,
    Channel.PUSH: PushPrompt,
    Channel.SILENT: PushPrompt,
    Channel.PASSKEY: PasskeyPrompt,
}
"""The channels that are not here send something to an address (``ways.SendPage``)."""
