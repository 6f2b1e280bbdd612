"""The setup wizard, which tells people why no code could be sent. The stock one says that something failed."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from two_factor.views import SetupView as StockSetupView

from ... import factors
from ...exceptions import TwilioVerifyError
from ...login import step_up
from ...login.step_up import Proof
from .methods import VerifyMethod


class SetupView(StockSetupView):  # untyped
    """django-two-factor-auth's, under its own name: the prefix of its fields is made of that.

    Who has a factor confirms it before any step, as on our own pages (``TWILIO_VERIFY_STEP_UP_MAX_AGE_SECONDS``).
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = request.user
        asks = user.is_authenticated and factors.has_factor(user)
        elsewhere = step_up.demand(request, Proof.of_change()) if asks else None
        return elsewhere or super().dispatch(request, *args, **kwargs)

    def render_next_step(self, form: Any, **kwargs: Any) -> HttpResponse:
        """On to the code, once one is sent; else the address step again, with the reason."""
        if self.steps.next != "validation" or not isinstance(self.get_method(), VerifyMethod):
            return super().render_next_step(form, **kwargs)
        try:
            self.get_device().generate_challenge()
        except TwilioVerifyError as error:
            form.add_error(None, error.user_message)
            return self.render(form)
        # Not its parent's, which would have a code sent too.
        return super(StockSetupView, self).render_next_step(form, challenge_succeeded=True, **kwargs)
