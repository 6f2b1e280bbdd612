"""What people have enrolled: confirmed by an approved verification, and by nothing else."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, router, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from ..backends.handler import backends
from ..choices import FACTOR_CHANNELS, Channel, FactorKind, Purpose, RecipientKind, VerificationStatus
from ..conf import fingerprint, fingerprints
from ..consent import disclosures
from ..consent.carrying_over import carry_over
from ..core import receivers
from ..core.client import ClientInfo
from ..exceptions import FactorNotFound, VerificationNotFound
from ..ledger.disclosure_text import Disclosure
from ..models import Factor, Verification
from ..signals import factor_added
from ..verifications import assurance, channel_plan, checking, outages, stale_factors, throttling
from ..verifications.channel_plan import PlanRequest
from ..verifications.outages import Outages
from . import reset_holds
from .results import Enrolled

USED_WITHIN = timedelta(minutes=10)
"""How long before a session says so, its factor may have been proved (``redeeming.REDEEM_WITHIN``)."""
_KINDS = {
    Channel.TOTP: FactorKind.TOTP,
    Channel.PUSH: FactorKind.PUSH,
    Channel.SILENT: FactorKind.PUSH,
    Channel.PASSKEY: FactorKind.PASSKEY,
}
ENROLL_WITHIN = timedelta(minutes=10)
"""How old an approval may be when it enrolls a factor."""
ATTACH_WITHIN = timedelta(hours=1)
"""How long a proof made without an account waits for the account."""


@dataclass(frozen=True, slots=True)
class ChallengeOption:
    """One way to challenge a user: a factor, and a channel to ask it by.

    All passkeys of a user are one option: the browser says which of them it has.

    Attributes:
        factor: What is asked.
        channel: How.
        is_default: It is asked first.
        needs_consent: Nothing goes out by it before the user agrees to ``disclosure``.
    """

    factor: Factor
    channel: Channel
    is_default: bool = False
    needs_consent: bool = False

    @property
    def id(self) -> str:
        """What URLs and JSON carry: ``"12.sms"``."""
        return f"{self.factor.pk}.{self.channel.value}"

    @property
    def label(self) -> str:
        """What a list calls it, in the active language: "Phone call, ••• ••61", "Approve on Pixel"."""
        row, masked = self.channel.row, self.factor.masked
        if self.factor.recipient_value:
            return f"{row.name}, {masked}"
        return str(row.named) % {"name": masked} if row.named and masked else str(row.name)

    @property
    def hint(self) -> str:
        """What comes of choosing it, in a sentence; ``""`` if that goes without saying."""
        return str(self.channel.row.hint)

    @property
    def disclosure(self) -> Disclosure | None:
        """What the user has to agree to first; ``None`` if nothing."""
        return disclosures.compose(self.channel.consent_channel) if self.needs_consent else None

    def as_dict(self) -> dict[str, Any]:
        """Describe it as JSON."""
        shown = self.disclosure
        return {
            "id": self.id,
            "channel": self.channel.value,
            "label": self.label,
            "hint": self.hint,
            "is_default": self.is_default,
            "needs_consent": self.needs_consent,
            "disclosure": None if shown is None else shown.as_dict(),
        }


def usable(user: AbstractBaseUser) -> list[Factor]:
    """The factors that ``user`` can sign in with, the default one first. One SELECT.

    Without numbers and addresses that were not used for long (``stale_factors.usable``, at most one SELECT more).
    """
    return stale_factors.usable(user, confirmed(user))


def confirmed(user: AbstractBaseUser) -> list[Factor]:
    """All factors that ``user`` has confirmed, the default one first, each with its entity, whether they open anything
    or not. One SELECT.
    """
    return list(Factor.objects.confirmed_for(user.pk).select_related("entity"))


def get(user: AbstractBaseUser, factor_id: int) -> Factor:
    """A confirmed factor of ``user``. Raises ``FactorNotFound`` alike for unknown ones and other people's."""
    found = Factor.objects.confirmed_for(user.pk).filter(pk=factor_id).first()
    if found is None:
        raise FactorNotFound
    return found


def has_factor(user: AbstractBaseUser) -> bool:
    """Whether ``user`` has any factor to sign in with. One SELECT."""
    found: bool = Factor.objects.confirmed_for(user.pk).exists()
    return found


def challenge_options(
    factors: list[Factor],
    *,
    purpose: str = Purpose.LOGIN,
    user: AbstractBaseUser | None = None,
    client: ClientInfo | None = None,
) -> list[ChallengeOption]:
    """Every way to be challenged by ``factors``, in their order: of phones and inboxes the preferred one first, then
    as the site plans it.

    Channels that are out are left out, unless nothing else would be left: nobody is locked out by an outage of an hour.
    Channels that are too weak for the site's policy are left out, even if none is left (``assurance``), and so are
    factors that the provider keeps and does not know any more, and those held after too many wrong codes. ``user``,
    ``client``: for the site's router and policy. One SELECT; two more for a factor that is held.
    """
    held = {one.pk for one in throttling.held(factors)}
    factors = [one for one in factors if one.pk not in held]
    out = outages.current()
    usable = [one for one in factors if one.recipient_value and one.lost_at is None]
    asked = {one.pk: _asked(one, Purpose(purpose), user, client) for one in usable}
    found = _ways(factors, asked, Purpose(purpose), out) or _ways(factors, asked, Purpose(purpose), frozenset())
    least = assurance.minimum(user, purpose, client or ClientInfo())
    return [way for way in found if assurance.level(way.channel) >= least]


def device_option(factor: Factor, purpose: str) -> ChallengeOption | None:
    """How ``factor`` is asked, if it is one that the provider keeps and that ``purpose`` may be proved with; also one
    that is lost, which then says so itself. Reads the factor's entity.
    """
    channel = Channel(factor.channel)
    if channel not in FACTOR_CHANNELS or factor.entity is None:
        return None
    if channel == Channel.SILENT and purpose == Purpose.PAYMENT:
        return None  # it shows nobody what is paid
    alias = factor.entity.backend
    is_kept = alias in backends and FactorKind(factor.kind) in backends[alias].factor_kinds
    return ChallengeOption(factor, channel) if is_kept else None


def _asked(factor: Factor, purpose: Purpose, user: AbstractBaseUser | None, client: ClientInfo | None) -> PlanRequest:
    return PlanRequest(
        factor.recipient,
        purpose,
        preferred=factor.channel,
        line_type=factor.line_type,
        user=user,
        client=client or ClientInfo(),
    )


def _ways(
    factors: list[Factor], asked: dict[int, PlanRequest], purpose: Purpose, out: Outages
) -> list[ChallengeOption]:
    found: list[ChallengeOption] = []
    for factor in factors:
        if factor.pk in asked:
            found += [ChallengeOption(factor, channel) for channel in channel_plan.plan_among(asked[factor.pk], out)]
        elif factor.lost_at is None and (way := device_option(factor, purpose)) and not _is_second_passkey(way, found):
            found.append(way)
    return found


def _is_second_passkey(way: ChallengeOption, found: list[ChallengeOption]) -> bool:
    return way.channel == Channel.PASSKEY and any(one.channel == Channel.PASSKEY for one in found)


def confirm(verification: Verification, *, client: ClientInfo | None = None) -> Enrolled:
    """Enroll what an approved ``enroll`` verification proved, for the person it is of. ``client``: who the letter that
    tells of it names.

    Calling it again, even at the same instant, gives the same factor with ``created`` false.
    Raises ``VerificationNotFound`` for one that is not approved, not of that purpose, of nobody, or erased, and
    ``ResetLinkRequired`` after a reset, in a session that has not opened the mailed link.
    """
    fresh = proof(verification)
    assert fresh.user_id is not None
    return _enroll(fresh, fresh.user_id, client, uses_up=True)


def use_up(verification: Verification) -> bool:
    """Redeem what enrolls a factor, in the transaction that does. Whether this call did."""
    # SECURITY: once, and lately: or a number that the user has removed since could be enrolled again by what was
    # approved before, without a new code.
    now = timezone.now()
    rows = Verification.objects.filter(pk=verification.pk, approved_at__gt=now - ENROLL_WITHIN)
    return bool(rows.redeem(now))


def proof(verification: Verification) -> Verification:
    """``verification`` as it is on record, if a factor may be enrolled by it. Raises as ``confirm``."""
    fresh = Verification.objects.select_related("user").get(pk=verification.pk)
    # SECURITY: re-read and re-checked here, whatever the caller believes it holds.
    if fresh.status != VerificationStatus.APPROVED or fresh.purpose != Purpose.ENROLL or fresh.user_id is None:
        raise VerificationNotFound
    # SECURITY: erased since: a factor without an address locks its user out, and takes the place of one that works.
    if not fresh.recipient_value:
        raise VerificationNotFound
    assert fresh.user is not None
    # SECURITY: here and not on pages alone, so that no way of enrolling forgets it.
    reset_holds.check_proof(fresh.user, fresh.session)
    return fresh


def attach(verification_id: uuid.UUID, *, user: AbstractBaseUser, client: ClientInfo) -> Enrolled:
    """Give an address that a visitor proved (purpose ``verify``) to the account that was made since, once.

    The visitor's consent is renewed for the account. ``client`` must be the visitor's session.
    Raises ``VerificationNotFound`` for one of another session, not approved, older than an hour, already given away or
    erased.
    """
    now = timezone.now()
    reset_holds.check(user, client)
    verification = checking.load(verification_id, client, None)
    # What was erased is refused as by ``proof``.
    if not Verification.objects.filter(pk=verification.pk).attach(user.pk, now - ATTACH_WITHIN):
        raise VerificationNotFound
    carry_over(recipient=verification.recipient, visitor=client, user=user, purpose=Purpose.ENROLL)
    return _enroll(verification, user.pk, client)


def used(factor_id: int, now: datetime) -> None:
    """Note that the factor was proved at ``now``."""
    Factor.objects.filter(pk=factor_id).record_use(now)


def _enroll(verification: Verification, user_id: int, client: ClientInfo | None, *, uses_up: bool = False) -> Enrolled:
    known = enrolled_by(verification, user_id)
    if known is not None:
        accepted = not uses_up or use_up(verification)
        if accepted:
            used(known.pk, timezone.now())
        return Enrolled(known, created=False, accepted=accepted)
    first = not Factor.objects.confirmed_for(user_id).exists()
    try:
        with transaction.atomic(using=router.db_for_write(Factor)):
            if uses_up and not use_up(verification):
                raise VerificationNotFound
            factor = create(verification, user_id)
    except (IntegrityError, VerificationNotFound):
        # The same verification in another request, a moment earlier.
        known = enrolled_by(verification, user_id)
        if known is None:
            raise
        return Enrolled(known, created=False, accepted=False)
    if first:
        make_default(factor)
    announce(factor, client)
    return Enrolled(factor, created=True, is_first=first)


def announce(factor: Factor, client: ClientInfo | None, *, replaced: Factor | None = None) -> None:
    """Tell the site of a factor that was confirmed. To be called outside of transactions."""
    reset_holds.release(factor.user_id)
    told = {"factor": factor, "replaced": replaced, "shared_with": _others(factor)}
    receivers.send(factor_added, Factor, user=factor.user, client=client, **told)


def _others(factor: Factor) -> int:
    """How many other people have confirmed the same number or address."""
    if not factor.recipient_value:
        return 0
    same = Factor.objects.filter(key__in=fingerprints(factor.recipient), confirmed_at__isnull=False)
    return same.exclude(user_id=factor.user_id).values("user_id").distinct().count()


def enrolled_by(verification: Verification, user_id: int) -> Factor | None:
    """The person's factor of the number or address that ``verification`` is about, if there is one already."""
    return Factor.objects.filter(user_id=user_id, key__in=fingerprints(verification.recipient)).first()


def create(verification: Verification, user_id: int) -> Factor:
    """The row of a factor that ``verification`` has proved. Raises ``IntegrityError`` if the person has it already."""
    is_phone = verification.recipient_kind == RecipientKind.PHONE
    now = timezone.now()
    return Factor.objects.create(
        user_id=user_id,
        kind=FactorKind.PHONE if is_phone else FactorKind.EMAIL,
        channel=verification.channel,
        key=fingerprint(verification.recipient),
        recipient_value=verification.recipient_value,
        line_type=verification.line_type,
        created_at=now,
        confirmed_at=now,
        last_used_at=now,
    )


def make_default(factor: Factor) -> None:
    """The first factor is the default; of two enrolled at the same instant, the one that is written first."""
    try:
        with transaction.atomic(using=router.db_for_write(Factor)):
            Factor.objects.filter(pk=factor.pk).make_default(factor.user_id)
    except IntegrityError:
        return
    factor.default_for_id = factor.user_id


def choose_default(user_id: Any) -> None:
    """Make the strongest factor of a person, that worked lately, the default; unless the one that the person chose
    still works.
    """
    with transaction.atomic(using=router.db_for_write(Factor)):
        hold(user_id)
        held = list(Factor.objects.confirmed_for(user_id))
        current = next((factor for factor in held if factor.is_default), None)
        if current is not None and current.chosen_at is not None and current.lost_at is None:
            return
        best = assurance.strongest(held)
        if best is None or best.is_default:
            return
        Factor.objects.clear_default(user_id)
        make_default(best)


def still_has(user: Any, channel: str, proved_at: datetime) -> bool:
    """Whether the factor that ``user`` proved by ``channel``, in a session that says so since ``proved_at``, is still
    there. True for recovery codes, and for what others have verified. One SELECT.
    """
    if channel in ("", Channel.RECOVERY):
        return True
    way = Channel(channel)
    kind = _KINDS.get(way) or (FactorKind.EMAIL if way == Channel.EMAIL else FactorKind.PHONE)
    # SECURITY: a factor of that kind which was not used since, or was added since, was not the one that was proved.
    # (``proved_at`` has no fraction; what is dated later than now is of a server whose clock is ahead.)
    added = Q(confirmed_at__gt=proved_at + timedelta(seconds=1), confirmed_at__lte=timezone.now())
    found = Factor.objects.confirmed_for(user.pk).filter(kind=kind, lost_at=None).exclude(added)
    used = found.annotate(used=Coalesce("last_used_at", "confirmed_at"))
    return bool(used.filter(used__gte=proved_at - USED_WITHIN).exists())


def hold(user_id: Any) -> None:
    """In a transaction: let no other one remove, replace or choose among the person's factors until it ends.

    By writing them as they are. The first statement writes, so that SQLite takes its lock at once and waits its turn.
    """
    Factor.objects.hold(user_id)
