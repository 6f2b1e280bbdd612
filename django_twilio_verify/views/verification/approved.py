"""What all pages of one verification share, and what an approved one is good for."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.functional import cached_property

from ... import factors, verifications
from ...choices import LINK_CHANNELS, Purpose, VerificationStatus
from ...exceptions import VerificationNotFound
from ...factors import changes, devices, recovery_codes
from ...factors.api import Confirmed
from ...login import completion, enforcement, hints, redirects, session, sign_out_everywhere
from ...login.messages import redeem_sentence
from ...models import Factor, Verification
from ...verifications.results import Checked, RedeemProblem
from ..base import PageMixin, demand_proof, missing_proof, must_prove_first
from ..recovery_codes import codes_may_be_unseen, recovery_codes_page
from ..upgrade_offer import after_sign_in

ONCE = (Purpose.LOGIN, Purpose.ENROLL, Purpose.STEP_UP)
"""What our own pages do with a proof, and so use it up. Of other purposes, whoever asked for the proof does."""


def act(page: PageMixin, verification: Verification, person: AbstractBaseUser | None) -> HttpResponse:
    """What ``verification``, approved, opens for ``person``, unless it enrolls: then on to where the person was going.

    SECURITY: reached by exactly one request for each verification.
    """
    if verification.purpose == Purpose.LOGIN:
        return signed_in(page, verification, person)
    if verification.purpose == Purpose.STEP_UP:
        step_up(page, verification)
    if verification.purpose == Purpose.PAYMENT:
        enforcement.must_go_on(page.request)
        session.add_payment_proof(page.request, verification.pk)
    return page.go_on()


def signed_in(page: PageMixin, verification: Verification, person: AbstractBaseUser | None) -> HttpResponse:
    """Complete the sign-in that waits for this proof; then on, by what is asked of who has just signed in."""
    completed = sign_in(page, verification, person)
    response = after_sign_in(page, verification.channel) if completed else page.go_on()
    hints.remember(page.request, response, verification.channel)
    return response


def sign_in(page: PageMixin, verification: Verification, person: AbstractBaseUser | None) -> bool:
    """Complete the sign-in that waits for this proof; whether one did. A proof for one that is over changes nothing."""
    if person is None or not page.access.is_pending:
        return False
    completion.complete(page.request, person, verification.channel)
    return True


def step_up(page: PageMixin, verification: Verification) -> None:
    """Note in the session that the person has just proved a factor.

    SECURITY: the one who is signed in, and nobody else: the session may have changed hands since the proof was begun.
    """
    user = page.request.user
    if user.is_authenticated and verification.user_id == user.pk:
        completion.mark_passed(page.request, verification.channel)


def must_go_on(page: PageMixin, person: AbstractBaseUser, factor: Factor) -> None:
    """Remove ``factor``, enrolled just now, and raise ``SessionInterrupted`` if the login would not go on by now.

    For devices, which the provider judges and the flow enrolls in one step.
    """
    try:
        enforcement.must_go_on(page.request)
    except SessionInterrupted:
        devices.remove(person, factor.pk)
        raise


def removed_again(page: PageMixin, person: AbstractBaseUser, factor: Factor) -> bool:
    """Whether ``factor``, enrolled just now, had to go again, because the person has another one by now.

    SECURITY: that one has not been passed in this session, so this session had no right to add any: a password and any
    phone must not. Asked when the factor is there, so that of two that are enrolled at one instant at most one stays.
    """
    if page.access.is_verified or all(other.pk == factor.pk for other in factors.enrolled(person)):
        return False
    devices.remove(person, factor.pk)
    return True


class VerificationMixin(PageMixin):
    """Pages about one verification of this very session; 404 alike for unknown ones and other people's.

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
        if self.person is None:  # the sign-in that waited, or the session, is over
            return self.signed_out()
        if verification.purpose == Purpose.ENROLL:
            return missing_proof(self, self.person, back=self.own_url())
        return None

    def is_of_use(self) -> bool:
        """Whether something can still come of the verification: a send, an answer, or what it was for."""
        return verifications.is_open(self.verification) or (
            self.verification.status == VerificationStatus.APPROVED and not self.is_spent()
        )

    def is_spent(self) -> bool:
        """Whether an approved verification has been used for what it was for. Codes are by who types them."""
        return self.verification.approved_at is not None

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
        found = verifications.get(self.kwargs["verification"], client=self.client, user=self.person)
        if not self.is_about(found):
            raise VerificationNotFound
        return found

    def is_about(self, verification: Verification) -> bool:
        """Whether these pages are about such a one: here, one that brings a code or a link."""
        return not verification.is_challenge

    def sending_for(self) -> AbstractBaseUser | None:
        """Whose proof it is: nobody's account where a visitor began it, even if she is signed in by now."""
        return self.person if self.verification.user_id is not None else None


class ProofMixin(VerificationMixin):
    """What an approved verification is good for."""

    def approved(self) -> HttpResponse:
        """What this proof is for. SECURITY: reached by exactly one request for each verification."""
        if self.verification.purpose == Purpose.ENROLL and self.person is not None:
            # SECURITY: asked again here: since this enrollment began, the person may have got a factor elsewhere, and
            # then a password and any phone must not add another one, nor sign in.
            if must_prove_first(self, self.person):
                return demand_proof(self)
            enforcement.must_go_on(self.request)
            confirmed = self.confirm(self.person)
            if confirmed.created and removed_again(self, self.person, confirmed.factor):
                return demand_proof(self)
            return self.enrolled(confirmed)
        return act(self, self.verification, self.person)

    def already_approved(self) -> HttpResponse:
        """A second press: on to where the first one leads, by the recovery codes if that one's answer held them."""
        if codes_may_be_unseen(self.request, self.verification):
            return self.go("recovery_codes")
        return self.go_on()

    def confirm(self, person: AbstractBaseUser) -> Confirmed:
        """Enroll what was proved; in the place of another one, if that is what this session asked for."""
        asked = session.take_replacement(self.request, self.verification.pk)
        if asked is None:
            return factors.confirm(self.verification, client=self.client)
        end = partial(sign_out_everywhere.end, self.request, person) if asked.sign_out else None
        return changes.replace(self.verification, asked.factor_id, client=self.client, then=end)

    def enrolled(self, confirmed: Confirmed) -> HttpResponse:
        if self.access.is_pending:
            sign_in(self, self.verification, self.person)
        else:
            completion.mark_passed(self.request, self.verification.channel)
        if confirmed.first and self.person is not None:
            return recovery_codes_page(self, recovery_codes.issue(self.person), first=True)
        return HttpResponseRedirect(self.next or self.url("factors"))


class RedeemMixin(ProofMixin):
    """Pages that several requests may reach with one approval: it was given on a phone, and each learns of it."""

    def is_spent(self) -> bool:
        return self.verification.redeemed_at is not None

    def proved(self) -> HttpResponse:
        """SECURITY: the approval signs in, enrolls or steps up where it is used up, once."""
        if self.verification.purpose not in ONCE:
            return self.approved()
        redeemed = verifications.redeem(
            self.verification, purpose=self.verification.purpose, client=self.client, user=self.person
        )
        if redeemed:
            return self.approved()
        if redeemed.problem is None or redeemed.problem == RedeemProblem.USED:
            return self.already_approved()
        return self.told(forms.Form(), redeem_sentence(redeemed.problem))

    def told(self, form: forms.Form, problem: str, checked: Checked | None = None) -> HttpResponse:
        """The page again, with ``problem``."""
        raise NotImplementedError
