"""Pages about a reset of a user's factors: to cancel it, and to enroll again by the mailed link once it is done."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables

from ...factors import reset_holds, resets
from ...login import redirects
from ...login import reset_notice as web_resets
from ...models import FactorReset
from ..base import PersonMixin, TemplatePage


class ResetPage(TemplatePage):
    """Shows where a reset stands; POST cancels it, once or more often."""

    template_name = "twilio_verify/reset_cancel.html"

    def reset(self) -> FactorReset | None:
        """The reset that the page is about; ``None``: there is none."""
        raise NotImplementedError

    def nothing(self) -> HttpResponse:
        """The answer without one."""
        raise Http404

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        reset = self.reset()
        if reset is None:
            return self.nothing()
        return self.render_to_response(self.get_context_data(reset=reset))

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        reset = self.reset()
        if reset is None:
            return self.nothing()
        resets.cancel(reset.pk, actor=reset.user.get_username())
        reset.refresh_from_db(fields=["canceled_at", "done_at", "pending_for"])
        # Not a redirect: signed in, there would be nothing to show any more.
        return self.render_to_response(self.get_context_data(reset=reset))


class ResetCancelView(ResetPage):
    """By the link in the mail. Nobody has to sign in: whoever lost the factors, or fears for them, may not be able to.

    SECURITY: GET changes nothing, for mail programs open links by themselves. Whoever has the link can keep factors
    where they are, and no more. Neither name nor factor is shown.
    """

    def reset(self) -> FactorReset | None:
        return resets.find(self.kwargs["token"])


class ResetView(PersonMixin, ResetPage):
    """For the person, signed in by a factor."""

    def reset(self) -> FactorReset | None:
        return resets.pending(self.person)

    def nothing(self) -> HttpResponse:
        return HttpResponseRedirect(self.url("factors"))


class ResetHeldView(TemplatePage):
    """Tells a user whose factors were reset that the mailed link is needed. Sends nothing."""

    template_name = "twilio_verify/reset_held.html"
    http_method_names = ("get", "head", "options")

    def get(self, request: HttpRequest) -> HttpResponse:
        person = self.access.acting_user
        if person is None:
            return HttpResponseRedirect(redirects.with_next(resolve_url(django_settings.LOGIN_URL), self.next))
        if reset_holds.standing(person) is None:
            return self.go_on()
        return self.render_to_response(self.get_context_data())


class ResetLinkView(TemplatePage):
    """Lets the user enroll a factor in this session. Asks for the password first: the link signs nobody in.

    SECURITY: GET changes nothing, for mail programs open links by themselves. No name is shown, and a link that is not
    known is a 404 whoever asks.
    """

    template_name = "twilio_verify/reset_enroll.html"

    @method_decorator(sensitive_variables("token"))
    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        state = self._state(token)
        status = 200 if state in ("ready", "password") else 410 if state == "over" else 403
        return self._page(state, status)

    @method_decorator(sensitive_variables("token"))
    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        state, person = self._state(token), self.access.acting_user
        if state == "ready" and person is not None:
            if resets.open_link(token, user=person, client=self.client):
                web_resets.note_opened(request, person)
                return self.go("enroll")
            state = "over"  # another browser was faster
        return self._page(state, 410 if state == "over" else 403)

    def _state(self, token: str) -> str:
        """``ready``, ``password`` (give it first), ``other`` (somebody else is signed in) or ``over``."""
        reset = resets.find_link(token)
        if reset is None:
            raise Http404
        if not resets.is_open(reset):
            return "over"
        person = self.access.acting_user
        if person is None:
            return "password"
        return "ready" if person.pk == reset.user_id else "other"

    def _page(self, state: str, status: int) -> HttpResponse:
        login_url = redirects.with_next(resolve_url(django_settings.LOGIN_URL), self.request.path)
        return self.render_to_response(self.get_context_data(state=state, login_url=login_url), status=status)
