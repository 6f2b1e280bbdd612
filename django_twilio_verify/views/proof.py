"""What all pages of one verification share, and what an approved one is good for."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.functional import cached_property

from ..choices import Purpose
from ..flows import factors, managing, recovery, verifications
from ..flows.factors import Confirmed
from ..models import Verification
from ..web import access, othersessions, session
from .account import recovery_codes_page
from .base import PageMixin, demand_proof, must_prove_first


class VerificationMixin(PageMixin):
    """Pages about one verification of this very session; 404 alike for unknown ones and other people's."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not session.has_secret(request):
            # A second press whose session the first one has just replaced, or nobody at all: on to where the first one
            # leads. SECURITY: the same whichever verification is named.
            return self.go_on()
        return super().dispatch(request, *args, **kwargs)

    @cached_property
    def person(self) -> AbstractBaseUser | None:
        return self.access.acting_user

    @cached_property
    def verification(self) -> Verification:
        return verifications.get(self.kwargs["verification"], client=self.client, user=self.person)

    def sending_for(self) -> AbstractBaseUser | None:
        """Whose proof it is: nobody's account where a visitor began it, even if she is signed in by now."""
        return self.person if self.verification.user_id is not None else None


class ProofMixin(VerificationMixin):
    """What an approved verification is good for."""

    def approved(self) -> HttpResponse:
        """What this proof is for. SECURITY: reached by exactly one request for each verification."""
        if self.verification.purpose == Purpose.ENROL and self.person is not None:
            # SECURITY: asked again here: since this enrolment began, the person may have got a factor elsewhere, and
            # then a password and any phone must not add another one, nor sign in.
            if must_prove_first(self, self.person):
                return demand_proof(self)
            return self.enrolled(self.confirm(self.person))
        if self.verification.purpose == Purpose.LOGIN:
            self.sign_in()
        if self.verification.purpose == Purpose.PAYMENT:
            session.add_payment_proof(self.request, self.verification.pk)
        return self.go_on()

    def confirm(self, person: AbstractBaseUser) -> Confirmed:
        """Enrol what was proved; in the place of another one, if that is what this session asked for."""
        asked = session.take_replacement(self.request, self.verification.pk)
        if asked is None:
            return factors.confirm(self.verification, client=self.client)
        confirmed = managing.replace(self.verification, asked.factor_id, client=self.client)
        if asked.sign_out:
            othersessions.end(self.request, person)
        return confirmed

    def sign_in(self) -> None:
        """Complete the sign-in that waits for this proof; a proof for a sign-in that is over changes nothing."""
        if self.person is not None and self.access.is_pending:
            access.complete(self.request, self.person, self.verification.channel)

    def enrolled(self, confirmed: Confirmed) -> HttpResponse:
        if self.access.is_pending:
            self.sign_in()
        else:
            access.mark_passed(self.request, self.verification.channel)
        if confirmed.first and self.person is not None:
            return recovery_codes_page(self, recovery.issue(self.person), first=True)
        return HttpResponseRedirect(self.next or self.url("factors"))
