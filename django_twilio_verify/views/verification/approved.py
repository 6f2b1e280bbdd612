"""What all pages of one verification share, and what an approved one is good for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.functional import cached_property

from ...choices import LINK_CHANNELS, Purpose, VerificationStatus
from ...exceptions import VerificationNotFound, VerificationRequired
from ...factors import recovery_codes
from ...factors.results import Enrolled
from ...login import enforcement, enrollment, hints, redirects, session
from ...models import Verification
from ...verifications import lifecycle
from ...verifications.results import Checked
from ..base import PageMixin, demand_proof, missing_proof
from ..recovery_codes import codes_may_be_unseen, recovery_codes_page
from ..upgrade_offer import after_sign_in

SECOND_FACTORS = (Purpose.LOGIN, Purpose.STEP_UP)
"""The purposes whose approval ``login.check`` and ``login.poll`` redeem, and complete."""


def go_on_from(page: PageMixin, verification: Verification) -> HttpResponse:
    """On to where the user was going, once ``verification`` was approved and has done what it was for."""
    if verification.purpose == Purpose.LOGIN:
        response = after_sign_in(page, verification.channel)
        hints.remember(page.request, response, verification.channel)
        return response
    if verification.purpose == Purpose.PAYMENT:
        enforcement.must_go_on(page.request)
        session.add_payment_proof(page.request, verification.pk)
    return page.go_on()


class VerificationMixin(PageMixin):
    """Pages about one verification of this very session; 404 alike for unknown ones and other users'.

    SECURITY: whatever a page of these does, whoever asks for it must be the one for whom it may be done at this moment
    (``barred``): a code page stays open for days, and has buttons that send.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not session.has_secret(request):
            # A second press whose session the first one has just replaced, or nobody at all: on to where the first one
            # leads. SECURITY: the same whichever verification is named.
            return self.go("recovery_codes") if "enrolling" in request.POST else self.go_on()
        return self.barred() or super().dispatch(request, *args, **kwargs)

    def barred(self) -> HttpResponse | None:
        """The answer to a request that may not go on with this verification, ``None`` to one that may.

        Asked before anything is judged: a code that has just arrived is good after the way round by a fresh proof.
        """
        verification = self.verification
        if verification.user_id is None or verification.purpose == Purpose.VERIFY or not self.is_of_use():
            return None
        if self.person is None:  # the pending login, or the session, is over
            return self.signed_out()
        if verification.purpose == Purpose.ENROLL:
            return missing_proof(self, self.person, back=self.own_url())
        if self.request.method == "POST" and not self.is_owed():
            return self.go_on()
        return None

    def is_owed(self) -> bool:
        """Whether the session is in the state that the verification is for: a pending login, or a user to step up."""
        purpose = self.verification.purpose
        if purpose not in SECOND_FACTORS:
            return True
        return self.access.is_pending == (purpose == Purpose.LOGIN)

    def is_of_use(self) -> bool:
        """Whether something can still come of the verification: a send, an answer, or what it was for."""
        return lifecycle.is_open(self.verification) or (
            self.verification.status == VerificationStatus.APPROVED and not self.is_spent()
        )

    def is_spent(self) -> bool:
        """Whether an approved verification has been used for what it was for."""
        verification = self.verification
        enrolls_address = verification.purpose == Purpose.ENROLL and not verification.is_challenge
        is_redeemed_here = verification.purpose in SECOND_FACTORS or enrolls_address
        return (verification.redeemed_at if is_redeemed_here else verification.approved_at) is not None

    def signed_out(self) -> HttpResponse:
        """The answer where nobody is signed in, nor waits to be, any more."""
        return HttpResponseRedirect(redirects.with_next(resolve_url(str(django_settings.LOGIN_URL)), self.next))

    def own_url(self) -> str:
        """The page on which the verification is answered."""
        return self.url("link" if self.verification.channel in LINK_CHANNELS else "code", self.verification.pk)

    @cached_property
    def person(self) -> AbstractBaseUser | None:
        return self.access.acting_user

    @cached_property
    def verification(self) -> Verification:
        """404 for one that is not the caller's, or not of these pages."""
        found = lifecycle.get(self.kwargs["verification"], client=self.client, user=self.person)
        if not self.is_about(found):
            raise VerificationNotFound
        return found

    def is_about(self, verification: Verification) -> bool:
        """Whether these pages are about such a one: here, one that brings a code or a link."""
        return not verification.is_challenge

    def sending_for(self) -> AbstractBaseUser | None:
        """Whose verification it is: nobody's account where a visitor began it, even if she is signed in by now."""
        return self.person if self.verification.user_id is not None else None


class ProofMixin(VerificationMixin):
    """What an approved verification is good for."""

    @property
    def is_second_factor(self) -> bool:
        """Whether an answer completes a login, or a step-up. Where that is over, it only says what came of it."""
        return self.verification.purpose in SECOND_FACTORS and self.person is not None and self.is_owed()

    def is_repeatable(self, checked: Checked) -> bool:
        """Whether an approval of before goes the whole way again, in case that a worker died on it.

        What it is for happens once all the same: enrolling and paying redeem it.
        """
        return checked.already_approved and self.verification.purpose not in SECOND_FACTORS

    def approved(self, *, again: bool = False) -> HttpResponse:
        """What this approval is for. ``again``: it was given before, perhaps to the first press of a double click."""
        if self.verification.purpose != Purpose.ENROLL or self.person is None:
            return go_on_from(self, self.verification)
        try:
            enrolled = enrollment.enroll(self.request, self.person, self.verification, None)
        except VerificationRequired:
            return self.already_approved() if again else demand_proof(self)
        return self.enrolled(enrolled) if enrolled.accepted else self.already_approved()

    def already_approved(self) -> HttpResponse:
        """A second press: on to where the first one leads, by the recovery codes if that one's answer held them."""
        if codes_may_be_unseen(self.request, self.verification):
            return self.go("recovery_codes")
        return self.go_on()

    def enrolled(self, enrolled: Enrolled) -> HttpResponse:
        """Where to, once the factor is there and what it completes is done."""
        if enrolled.is_first and self.person is not None:
            return recovery_codes_page(self, recovery_codes.issue(self.person, self.client), first=True)
        return HttpResponseRedirect(self.next or self.url("factors"))


class RedeemMixin(ProofMixin):
    """Pages that several requests may reach with one approval: it was given on a phone, and each learns of it."""

    def is_spent(self) -> bool:
        return self.verification.redeemed_at is not None

    def told(self, form: forms.Form, problem: str, checked: Checked | None = None) -> HttpResponse:
        """The page again, with ``problem``."""
        raise NotImplementedError
