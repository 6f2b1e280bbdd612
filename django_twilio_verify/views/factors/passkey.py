"""What a browser is asked, where the person is known: for the script of a page that asks for a passkey."""

# MERGED DOC: """Approving a payment: which one, shown word for word, and one of the person's factors."""
from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

from ...choices import Channel, Purpose
from ...exceptions import FactorNotFound, TwilioVerifyError
from ...login import session
from ...verifications import challenges
from ...verifications.messages import lost_sentence
from ...verifications.options import Payment
from ..base import PageMixin
from .enroll_passkey import options_answer, problem_answer


class PasskeyOptionsView(PageMixin):
    """Begin to ask for a passkey. POST, JSON: ``verification`` and ``options``, or ``problem``, a sentence.

    401: nobody is signed in, or waits; 409: there is no passkey to ask for; 429 and 503 with ``Retry-After``.
    """

    http_method_names = ("post", "options")

    def post(self, request: HttpRequest, purpose: str) -> HttpResponse:
        if purpose not in (Purpose.LOGIN, Purpose.STEP_UP, Purpose.PAYMENT):
            raise Http404
        person = self._person(Purpose(purpose))
        if person is None:
            return _problem(_("You are not signed in any more. Load the page again."), 401)
        payment = self._payment(Purpose(purpose))
        try:
            started = challenges.start(
                channel=Channel.PASSKEY,
                client=self.client,
                user=person,
                purpose=purpose,
                amount=payment.amount,
                payee=payment.payee,
            )
        except FactorNotFound:
            return _problem(lost_sentence(Channel.PASSKEY), 409)
        except TwilioVerifyError as error:
            return problem_answer(error)
        return options_answer(started.verification, started.browser_options)

    def _person(self, purpose: Purpose) -> AbstractBaseUser | None:
        # SECURITY: a password alone is asked for the sign-in that waits, and for nothing else.
        if purpose == Purpose.LOGIN:
            return self.access.pending_user
        return self.request.user if self.request.user.is_authenticated else None

    def _payment(self, purpose: Purpose) -> Payment:
        if purpose != Purpose.PAYMENT:
            return Payment()
        # SECURITY: what is paid, by our own record, and nothing that the browser says.
        found = session.payment(self.request, self.request.GET.get(PAYMENT, ""))
        if found is None:
            raise Http404
        return found


def _problem(sentence: str, status: int) -> HttpResponse:
    return JsonResponse({"problem": sentence}, status=status)


PAYMENT = "payment"
"""The query's name for the payment's key, where options of a passkey are asked for."""
