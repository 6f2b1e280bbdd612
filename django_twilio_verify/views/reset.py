"""Saying no to a reset of one's factors, by the link in the mail or signed in."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from ..flows import resets
from ..models import FactorReset
from .base import PersonMixin, TemplatePage


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
