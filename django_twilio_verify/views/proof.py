"""What all pages of one verification share, and what an approved one is good for."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.functional import cached_property

from ..choices import Purpose
from ..exceptions import VerificationNotFound
from ..flows import factors, recovery, verifications
from ..flows.factors import Confirmed
from ..models import Verification
from ..web import access, session
from .base import PageMixin, demand_proof, must_prove_first
from .offer import is_offered
from .recovery import codes_may_be_unseen, recovery_codes_page


class VerificationMixin(PageMixin):
    """Pages about one verification of this very session; 404 alike for unknown ones and other people's."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not session.has_secret(request):
            # A second press whose session the first one has just replaced, or nobody at all: on to where the first one
            # leads. SECURITY: the same whichever verification is named.
            return self.go("recovery_codes") if "enrolling" in request.POST else self.go_on()
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


class MessageMixin(VerificationMixin):
    """Pages about what was sent to an address. Enrolling a device has pages of its own, and is not there on these."""

    @cached_property
    def verification(self) -> Verification:
        found: Verification = super().verification
        if found.is_challenge and found.purpose == Purpose.ENROL:
            raise VerificationNotFound
        return found


class ProofMixin(VerificationMixin):
    """What an approved verification is good for."""

    def approved(self) -> HttpResponse:
        """What this proof is for. SECURITY: reached by exactly one request for each verification."""
        if self.verification.purpose == Purpose.ENROL and self.person is not None:
            # SECURITY: asked again here: since this enrolment began, the person may have got a factor elsewhere, and
            # then a password and any phone must not add another one, nor sign in.
            if must_prove_first(self, self.person):
                return demand_proof(self)
            return self.enrolled(factors.confirm(self.verification))
        if self.verification.purpose == Purpose.LOGIN:
            waited = self.access.is_pending
            self.sign_in()
            if waited and is_offered(self, self.verification.channel):
                return self.go("offer")
        if self.verification.purpose == Purpose.PAYMENT:
            session.add_payment_proof(self.request, self.verification.pk)
        return self.go_on()

    def already_approved(self) -> HttpResponse:
        """A second press: on to where the first one leads, by the recovery codes if that one's answer held them."""
        if codes_may_be_unseen(self.request, self.verification):
            return self.go("recovery_codes")
        return self.go_on()

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
