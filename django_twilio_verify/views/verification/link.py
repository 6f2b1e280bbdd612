"""The check without a code: the phone opens a link over its mobile network, and the page goes on by itself.

SECURITY: whoever opens the link first proves the number. It stands on these two pages only, which no cache keeps and
no ``Referer`` names to the carrier, and nothing but a press follows it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.functional import cached_property

from ... import login, verifications
from ...choices import LINK_CHANNELS, CheckOutcome, Purpose
from ...exceptions import BackendError, NotRedeemable, VerificationNotFound
from ...login import session, trust_cookie
from ...verifications import channel_plan, handover, lifecycle
from ...verifications.messages import link_sentence_for
from ...verifications.results import Checked, VerificationState
from ..base import FormPage
from ..qr import svg
from .approved import RedeemMixin, VerificationMixin
from .restart import restart_of


class LinkView(RedeemMixin, FormPage):
    """Open the link on this phone, or hand it to the phone by a QR code. POST asks what came of it."""

    template_name = "twilio_verify/link.html"
    form_class = forms.Form

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.progress.redeemed:
            return self.already_approved()
        if self.verification.channel not in LINK_CHANNELS:
            return self.go("code", self.verification.pk)
        return super().get(request, *args, **kwargs)

    @cached_property
    def progress(self) -> VerificationState:
        return lifecycle.status(self.verification, client=self.client, user=self.person)

    def form_valid(self, form: forms.Form) -> HttpResponse:
        if self.verification.channel not in LINK_CHANNELS:  # another tab went on by a code
            return self.go("code", self.verification.pk)
        try:
            checked = self.asked()
        except BackendError as error:
            return self.refuse(form, error)
        except NotRedeemable as error:
            return self.told(form, error.user_message)
        self.verification = checked.verification
        if checked.approved or self.is_repeatable(checked):
            return self.approved(again=checked.already_approved)
        if checked.already_approved:
            return self.already_approved()
        return self.told(form, checked.user_message, checked)

    def asked(self) -> Checked:
        """What came of the link; the phone may have told us already."""
        if self.is_second_factor:
            return login.poll(self.request, self.verification, trust_browser=trust_cookie.is_wished(self.request))
        return verifications.poll(self.verification, client=self.client, user=self.person)

    def told(self, form: forms.Form, problem: str, checked: Checked | None = None) -> HttpResponse:
        self.__dict__.pop("progress", None)  # has changed since it was read
        context = self.get_context_data(
            form=form, problem=problem, retry_at=checked.retry_at if checked is not None else None
        )
        return self.render_to_response(context)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        verification = self.verification
        link = _safe(verification.link) if self.progress.link_pending else ""
        others = channel_plan.other_channels(verification)
        is_over = not lifecycle.is_open(verification) and not self.progress.approved
        return super().get_context_data(
            verification=verification,
            recipient=verification.recipient,
            is_enrolling=verification.purpose in (Purpose.ENROLL, Purpose.VERIFY),
            progress=self.progress,
            restart=restart_of(self, verification) if is_over else None,
            link=link,
            next_channel=others[0] if others else None,
            other_channels=others[1:],
            at_computer=self.at_computer,
            **(self.handed_over() if link else {}),
            **kwargs,
        )

    @property
    def at_computer(self) -> bool:
        """Which of the two ways is unfolded: the one last used here, else by what the browser says of itself."""
        used = self.request.POST.get("at")
        return used == "computer" if used else self.request.headers.get("Sec-CH-UA-Mobile") == "?0"

    def handed_over(self) -> dict[str, Any]:
        """The QR code and the number beside it. Writes nothing."""
        offer = handover.offer(self.verification, client=self.client, user=self.person)
        address = reverse("twilio_verify:handover", args=[offer.token])
        return {"match": offer.match, "qr": svg(self.request.build_absolute_uri(address))}


class StatusView(VerificationMixin):
    """Where a verification stands, as JSON, for the page that waits: ``status``, and ``next``, where to go on.

    ``status``: ``pending``, ``approved`` …, or ``link_failed``; ``next`` is ``""`` while there is nothing to do but
    wait. Reads our own record only, however often it is asked.
    """

    http_method_names = ("get", "head", "options")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not session.has_secret(request):
            raise VerificationNotFound  # programs are led nowhere
        return super().dispatch(request, *args, **kwargs)

    def barred(self) -> None:
        """Nobody: it does nothing, and leads to the page that looks."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        progress = lifecycle.status(kwargs["verification"], client=self.client, user=self.person)
        status = "link_failed" if progress.link_failed else progress.status.value
        going_on = "" if status == "pending" else self.url("link", kwargs["verification"])
        return JsonResponse({"status": status, "next": going_on})


class HandoverView(FormPage):
    """On the phone that scanned the code: pick the number that the other screen shows, open the link, say so.

    For whoever has the token. SECURITY: it lets in nobody here: the proof is for the other screen's session.
    """

    template_name = "twilio_verify/handover.html"
    form_class = forms.Form

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return self.shown(offered=handover.read(kwargs["token"]))
        except VerificationNotFound:
            return self.gone()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return self.finish() if "opened" in request.POST else self.pick()
        except VerificationNotFound:
            return self.gone()

    def pick(self, problem: str = "") -> HttpResponse:
        """One choice: any other number than the right one ends it."""
        match = self.request.POST.get("match", "")
        link = _safe(handover.accept(self.kwargs["token"], match))
        return self.shown(link=link, match=match, problem=problem) if link else self.shown(refused=match)

    def finish(self) -> HttpResponse:
        try:
            checked = handover.finish(self.kwargs["token"])
        except BackendError as error:
            return self.pick(error.user_message)
        if checked.outcome in (CheckOutcome.NOT_OPENED, CheckOutcome.IN_PROGRESS):
            return self.pick(link_sentence_for(checked))
        return self.shown(outcome=checked.outcome.value)

    def shown(self, **context: Any) -> HttpResponse:
        host = self.request.get_host()
        return self.render_to_response(self.get_context_data(form=forms.Form(), host=host, **context))

    def gone(self) -> HttpResponse:
        """SECURITY: the same for a forged token, an old one and one that was used."""
        response = self.shown(gone=True)
        response.status_code = 404
        return response


def _safe(link: str) -> str:
    """``link`` if a browser may follow it, else ``""``. SECURITY: what the provider says ends in an ``href``."""
    return link if urlsplit(link).scheme in ("https", "http", "") else ""
