"""What the setup wizard takes for a device: a factor that is being enrolled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from ... import factors, verifications
from ...choices import Channel, Purpose, VerificationStatus
from ...client import Client, client_from
from ...conf import fingerprints
from ...consent import ConsentContext
from ...consent.gate import NewConsent
from ...exceptions import TwilioVerifyError, VerificationNotFound
from ...factors import own_factors
from ...ledger.persons import session_fingerprints
from ...login import enforcement, own_session
from ...models import Verification
from ...verifications import Checked, Recipient, lifecycle
from ..otp.models import VerifyDevice
from ..otp.outside import outside


class Enrollment:
    """One run of the wizard. ``given``: what its address step took; each request makes its own of these.

    Only what the wizard and ``django_otp.login`` ask of a device: from ``save()`` on it stands for the real one.
    """

    def __init__(self, request: HttpRequest, channel: Channel, given: Mapping[str, Any] | None) -> None:
        self.request, self.channel, self.given = request, channel, given or {}
        self.user: Any = request.user
        self.confirmed = False
        self.problem = self.proved_by = ""
        self.device: VerifyDevice | None = None
        self._proved: Verification | None = None

    @property
    def user_id(self) -> Any:
        return self.user.pk

    @property
    def method(self) -> str:
        """The wizard's template knows ``sms`` and ``call``."""
        return self.channel.value

    @property
    def persistent_id(self) -> str:
        return self.device.persistent_id if self.device is not None else ""

    def generate_challenge(self) -> None:
        """Have a code sent, and put consent on record with it. Raises what ``verifications.start`` does, and
        ``PermissionDenied`` for somebody who has not lately proved the factor that they have.
        """
        self._guard()
        client, given = client_from(self.request), self.given
        recipient, digest = Recipient.parse(given["address"]), given["disclosure"]

        def work() -> None:
            context = ConsentContext.checkbox(button_label="Next")
            lifecycle.start(
                recipient=recipient,
                channel=self.channel,
                client=client,
                user=self.user,
                purpose=Purpose.ENROLL,
                new_consent=NewConsent(digest, context),
            )

        outside(work)

    @sensitive_variables("token")
    def verify_token(self, token: Any) -> bool:
        """Whether ``token`` is the code that was sent, to one call. Raises ``PermissionDenied`` as
        ``generate_challenge``.
        """
        self._guard()  # before the code is judged: it is good after the way round by a fresh proof
        client = client_from(self.request)
        current = self._pending(client)
        if current is None:
            return False

        @sensitive_variables()
        def work() -> Checked:
            return verifications.check(current, code=str(token), client=client, user=self.user)

        try:
            checked = outside(work)
        except TwilioVerifyError as error:
            self.problem = error.user_message
            return False
        self.problem = "" if checked.approved else checked.user_message
        self._proved = checked.verification if checked.approved else None
        return checked.approved

    def save(self) -> None:
        """Enroll the factor. Raises ``VerificationNotFound`` unless this very object has proved it."""
        if self._proved is None:
            raise VerificationNotFound
        self._guard()
        enforcement.must_go_on(self.request)
        confirmed = own_factors.confirm(self._proved)
        self.device = VerifyDevice.objects.get(factor=confirmed.factor)
        self.proved_by = self._proved.channel

    def _guard(self) -> None:
        # SECURITY: nobody enrolls or agrees in the name of a user as whom they act.
        own_session.must_be_own_session(self.request)
        # SECURITY: the wizard turns such people away from its first page, but not from a form that is posted at once;
        # and as on our own pages, a session that was left open adds nothing: the proof must be one of the last minutes.
        proved = self.request.twilio_verify.may_change_factors()  # type: ignore[attr-defined]
        if factors.has_factor(self.user) and not proved:
            raise PermissionDenied

    def _pending(self, client: Client) -> Verification | None:
        """What was sent to the address of this very wizard, in this session."""
        if "address" not in self.given:
            return None
        found = Verification.objects.filter(
            user_id=self.user.pk,
            purpose=Purpose.ENROLL,
            session__in=session_fingerprints(client),
            recipient_fingerprint__in=fingerprints(Recipient.parse(self.given["address"])),
            status__in=(VerificationStatus.PENDING, VerificationStatus.MAX_ATTEMPTS_REACHED),
        )
        return found.order_by("-created_at").first()
