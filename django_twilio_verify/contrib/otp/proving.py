"""What a device has sent and judged: verifications, asked outside of django-otp's transaction.

SECURITY: django-otp serializes tries by a row lock, which would be held while the provider is asked. Here a try is
charged to the device before it is judged, by one conditional UPDATE, and given back if it was not: of simultaneous
tries one is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ... import consent
from ...choices import CODE_CHANNELS, Channel, CheckOutcome, FactorKind, Purpose, VerificationStatus
from ...client import Client
from ...conf import settings
from ...core.codes import TOTP_DIGITS
from ...exceptions import BackendRejected, RateLimited, TwilioVerifyError
from ...factors import own_factors
from ...ledger.persons import session_fingerprints
from ...login import failures, own_session
from ...models import Verification
from ...verifications import Checked, challenges, lifecycle
from . import clients
from .outside import outside

if TYPE_CHECKING:
    from .models import VerifyDevice

_CHARGED = (*failures.FAILED, CheckOutcome.MALFORMED)
"""What django-otp counts as a failed try. The rest was not judged."""


@dataclass(frozen=True, slots=True)
class _Charge:
    """A try that was charged to a device: how the device stood before."""

    count: int
    since: datetime | None


def client_of(device: VerifyDevice) -> Client:
    """Who asks ``device``."""
    return clients.client_for(device.persistent_id)


def standing(device: VerifyDevice, client: Client) -> Verification | None:
    """What was sent to the device for this very session and still counts, used up or not. One SELECT."""
    found = Verification.objects.filter(
        factor_id=device.factor_id,
        user_id=device.user_id,
        purpose=Purpose.LOGIN,
        channel__in=CODE_CHANNELS,
        session__in=session_fingerprints(client),
        status__in=(VerificationStatus.PENDING, VerificationStatus.MAX_ATTEMPTS_REACHED),
        expires_at__gt=timezone.now(),
    )
    return found.order_by("-created_at").first()


def resend_at(device: VerifyDevice) -> datetime | None:
    """From when our limits let another code be sent; ``None`` for now."""
    current = standing(device, client_of(device)) if device.is_interactive() else None
    if current is None:
        return None
    if current.status != VerificationStatus.PENDING:
        return current.expires_at
    until = lifecycle.describe(current).resend_at or current.expires_at
    return until if until > timezone.now() else None


def used_up(device: VerifyDevice) -> str:
    """The sentence for a code that was answered too often, ``""`` unless that is so."""
    current = standing(device, client_of(device)) if device.is_interactive() else None
    if current is None or current.status == VerificationStatus.PENDING:
        return ""
    return RateLimited("no_checks_left", retry_at=current.expires_at).user_message


def challenge(device: VerifyDevice) -> str:
    """Have a code sent; what to tell the person, in the active language."""
    _must_be_own_session()
    return outside(partial(_challenge, device, client_of(device)))


def _challenge(device: VerifyDevice, client: Client) -> str:
    allowed, why = device.generate_is_allowed()
    if not allowed:
        assert why is not None
        current = standing(device, client)
        if current is not None and current.status == VerificationStatus.PENDING:
            return _sent(device)
        return RateLimited("cooldown", retry_at=why["next_generation_at"]).user_message
    channel = _way(device, client)
    if channel is None:
        return BackendRejected().user_message
    try:
        lifecycle.start(
            recipient=device.factor.recipient,
            channel=channel,
            client=client,
            user=device.user,
            purpose=Purpose.LOGIN,
            factor=device.factor,
        )
    except TwilioVerifyError as error:
        return error.user_message
    _write(device, last_generated_timestamp=timezone.now())
    return _sent(device)


def _sent(device: VerifyDevice) -> str:
    return _("We sent a code to %(recipient)s.") % {"recipient": device.factor.masked}


def _way(device: VerifyDevice, client: Client) -> Channel | None:
    """The first way that brings a code and that the person has agreed to; else the first, which then says so."""
    planned = own_factors.challenge_options([device.factor], purpose=Purpose.LOGIN, user=device.user, client=client)
    ways = [way.channel for way in planned if way.channel in CODE_CHANNELS]
    recipient, user = device.factor.recipient, device.user
    agreed = (one for one in ways if consent.find(recipient=recipient, channel=one, client=client, user=user))
    return next(agreed, None) or next(iter(ways), None)


@sensitive_variables("token", "code")
def answer(device: VerifyDevice, token: Any) -> bool:
    """Whether ``token`` proves the factor of ``device``. What went wrong otherwise is in ``device.problem``."""
    device.problem = device.proved_by = ""
    _must_be_own_session()
    allowed, why = device.verify_is_allowed()
    if not allowed:
        device.problem = (why or {}).get("error_message", "")
        return False
    client, by_app = client_of(device), device.factor.kind == FactorKind.TOTP
    current = None if by_app else standing(device, client)
    if current is None and not by_app:
        return False  # nothing was asked of this device: ``match_token`` over many of them costs no call
    code = _text_of(token, device, current)
    checked = outside(partial(_charged, device, client, current, code))
    if checked is None:
        return False
    failures.note(clients.request_now(), device.user, checked)
    device.problem = "" if checked.approved else checked.user_message
    device.proved_by = checked.verification.channel if checked.approved else ""
    return checked.approved


def _must_be_own_session() -> None:
    request = clients.request_now()
    if request is not None:
        # SECURITY: django-otp would take a session for verified in which somebody acts as the user.
        own_session.must_be_own_session(request)


def _text_of(token: Any, device: VerifyDevice, current: Verification | None) -> str:
    """``token`` as text: forms for numbers drop leading zeros, which are part of a code."""
    if isinstance(token, int) and not isinstance(token, bool) and token >= 0:
        app = device.factor.digits or TOTP_DIGITS
        return str(token).zfill(app if current is None else settings.service(current.backend).code_length)
    return token if isinstance(token, str) else ""


@sensitive_variables("code")
def _charged(device: VerifyDevice, client: Client, current: Verification | None, code: str) -> Checked | None:
    """What came of a try that was charged to the device; ``None`` if it was not judged at all."""
    charge = _charge(device)
    if charge is None:
        return None
    try:
        checked = _judged(device, client, current, code)
    except TwilioVerifyError as error:
        _write(device, **_before(charge))
        device.problem = error.user_message
        return None
    if checked.approved:
        now = timezone.now()
        _write(
            device,
            throttling_failure_count=0,
            throttling_failure_timestamp=None,
            last_generated_timestamp=None,
            last_used_at=now,
        )
    elif checked.outcome not in _CHARGED:
        _write(device, **_before(charge))
    return checked


@sensitive_variables("code")
def _judged(device: VerifyDevice, client: Client, current: Verification | None, code: str) -> Checked:
    if current is not None:
        return lifecycle.check(current, code=code, client=client, user=device.user)
    asked = challenges.start(
        channel=Channel.TOTP, client=client, user=device.user, purpose=Purpose.LOGIN, factor=device.factor
    )
    return challenges.check(asked.verification, client=client, user=device.user, code=code)


def _charge(device: VerifyDevice) -> _Charge | None:
    before = _Charge(device.throttling_failure_count, device.throttling_failure_timestamp)
    if not device.throttling_enabled:
        return before
    row = type(device).objects.filter(pk=device.pk, throttling_failure_count=before.count)
    values = {"throttling_failure_count": before.count + 1, "throttling_failure_timestamp": timezone.now()}
    if not row.update(**values):
        return None
    _set(device, values)
    return before


def _before(charge: _Charge) -> dict[str, Any]:
    return {"throttling_failure_count": charge.count, "throttling_failure_timestamp": charge.since}


def _write(device: VerifyDevice, **values: Any) -> None:
    """Write just these: ``save()`` would undo what others wrote meanwhile."""
    type(device).objects.filter(pk=device.pk).update(**values)
    _set(device, values)


def _set(device: VerifyDevice, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(device, name, value)
