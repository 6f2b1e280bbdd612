"""A person's own factors."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from ...conf import settings
from ...factors import own_factors, recovery_codes, resets
from ...ledger.persons import is_account_address
from ...login import session, trusted_browsers
from ...verifications import stale_factors
from ..base import PersonMixin, TemplatePage


class FactorsView(PersonMixin, TemplatePage):
    """What the person has enrolled, and what can be done with each."""

    template_name = "twilio_verify/factors.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        held = own_factors.confirmed(self.person)
        left = recovery_codes.remaining(self.person)
        context = self.get_context_data(
            factors=held,
            one_mailbox=[factor.pk for factor in held if is_account_address(self.person, factor.recipient_value)],
            stale=[factor.pk for factor in held if stale_factors.is_stale(factor)],
            recovery_left=left,
            recovery_low=left <= recovery_codes.LOW,
            recovery_unseen=session.has_unseen_codes(request),
            reset=resets.pending(self.person),
            browsers=bool(settings.trusted_browser_days) or bool(trusted_browsers.listed(self.person)),
        )
        return self.render_to_response(context)
