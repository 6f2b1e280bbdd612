"""Owners and claimants: whose verification of a recipient goes first, and what each may use up.

Twilio keeps one pending verification for a recipient and Service, with its own count of sends and answers, whoever
asked for it. So a claimant's (somebody who has not confirmed the recipient as a factor) gives way to the owner's, and
claimants share small budgets of their own, whether there is an owner or not: what they are answered does not tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from ..backends.handler import backends
from ..choices import Channel, Precedence, Purpose, VerificationStatus
from ..conf import fingerprint, fingerprints, settings
from ..core.client import ClientInfo
from ..core.recipients import FingerprintKey, Recipient
from ..ledger.persons import Person, session_fingerprints
from ..models import Factor, KnownNetwork, Verification
from ..models.transactions import short_transaction
from . import stale_factors

KNOWN_FOR = timedelta(days=90)
"""How long a network is known after the last second factor that was passed from it."""

_AT_PROVIDER = (VerificationStatus.PENDING, VerificationStatus.MAX_ATTEMPTS_REACHED)
"""What is pending at the provider. Used up is: it takes no answers, and neither does a send begin a new one."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """Other sessions' verifications of the same recipient at the same Service.

    ``outranked_until``: when the last of those that go first expires, ``None`` if there is none; ``giving_way``: the
    ids of claimants' that do not, ``ending``: sign-ins that do not, and ``sids``: by which of these the provider knows
    them.
    """

    outranked_until: datetime | None = None
    giving_way: tuple[object, ...] = ()
    ending: tuple[Verification, ...] = ()
    sids: tuple[str, ...] = ()


def is_owner(user: AbstractBaseUser | None, recipient: Recipient | None) -> bool:
    """Return whether ``recipient`` is a confirmed factor of ``user`` that opens the account now.

    One SELECT, or none for a visitor; more where the factor is stale.
    """
    if user is None or user.pk is None or recipient is None:
        return False
    held = list(Factor.objects.confirmed_for(user.pk).filter(key__in=fingerprints(recipient)))
    if not held or any(not stale_factors.is_stale(factor) for factor in held):
        return bool(held)
    opening = {factor.pk for factor in stale_factors.usable(user, list(Factor.objects.confirmed_for(user.pk)))}
    return any(factor.pk in opening for factor in held)


def precedence(user: AbstractBaseUser | None, purpose: str, client: ClientInfo, *, owns: bool) -> Precedence:
    """Return the precedence of a verification that ``user`` starts. One SELECT for an owner who signs in."""
    if not owns or user is None:
        return Precedence.CLAIMANT
    if purpose == Purpose.LOGIN and not is_known(user, client):
        # SECURITY: all that was shown so far is the password.
        return Precedence.NEW_NETWORK
    return Precedence.OWNER


def is_proved(user: AbstractBaseUser | None, client: ClientInfo, *, unproved: bool) -> bool:
    """Return whether the send counts as asked for by ``user``; always, unless the caller says ``unproved``.

    SECURITY: an app that signs in by a code alone names the account that a visitor has typed the number of. Only the
    network tells the owner then from a stranger. One SELECT where ``unproved``.
    """
    return not unproved or (user is not None and is_known(user, client))


def send_subjects(
    rank: Precedence, user: AbstractBaseUser | None, client: ClientInfo, recipient: Recipient
) -> dict[str, str]:
    """Return whom a send counts for, by rule. ``user``: who asks, ``None`` for a visitor.

    SECURITY: the three kinds share no counter, so that none uses up what another one needs.
    """
    person, where = Person.of(user, client).fingerprint, fingerprint(recipient)
    if rank == Precedence.CLAIMANT or user is None:
        claimed = dict.fromkeys(("claim_ten_minutes", "claim_hour", "claim_day"), where)
        return {"user_hour": person, "ip_hour": client.ip, **claimed}
    if rank == Precedence.NEW_NETWORK:
        return {**new_network_subjects(user, client), "ip_hour": _owners(client.ip)}
    owned = f"{user.pk}|{where}"
    return {"user_hour": _owners(person), "ip_hour": _owners(client.ip), "owner_hour": owned, "owner_day": owned}


def challenge_subjects(
    user: AbstractBaseUser | None, client: ClientInfo, channel: Channel, purpose: str
) -> dict[str, str]:
    """Return whom a challenge to a factor that the provider keeps counts for, by rule. One SELECT for a push."""
    if user is None:
        return {"passkey_ip_hour": client.ip}
    if channel == Channel.PASSKEY:
        # SECURITY: nobody can guess a passkey, so that no number of tries elsewhere may take it from the owner.
        return {"passkey_ip_hour": f"{user.pk}|{client.ip}"}
    owners_ip = {"ip_hour": _owners(client.ip)}
    if purpose == Purpose.LOGIN and channel == Channel.TOTP:
        # SECURITY: nothing is sent, and wrong codes are counted by themselves: only the network that asks slows down.
        return {"login_app_hour": f"{user.pk}|{client.network}", **owners_ip}
    if purpose == Purpose.LOGIN and not is_known(user, client):
        return {**new_network_subjects(user, client), **owners_ip}
    return {"user_hour": _owners(Person.of(user, client).fingerprint), **owners_ip}


def new_network_subjects(user: AbstractBaseUser, client: ClientInfo) -> dict[str, str]:
    """Return whom a sign-in from a network that is not known counts for, by rule."""
    everywhere = str(user.pk)
    network = f"{user.pk}|{client.network}"
    return {"login_network_hour": network, "login_new_hour": everywhere, "login_new_day": everywhere}


def check_subjects(verification: Verification) -> dict[str, str]:
    """Return whom an answer counts for, by rule: nobody, but for a claimant's."""
    if not verification.is_claim or verification.is_challenge:
        return {}
    rules = ("claim_check_ten_minutes", "claim_check_hour", "claim_check_day")
    return dict.fromkeys(rules, fingerprint(verification.recipient))


def most_checks(verification: Verification) -> int:
    """Return how many answers ``verification`` takes: as many as its backend judges; of a claimant's, no more than
    claimants have together.
    """
    backend = backends[verification.backend]
    if verification.is_challenge:
        return backend.max_challenge_checks
    if not verification.is_claim:
        return backend.max_checks
    return min(backend.max_checks, settings.limits["claim_check_ten_minutes"])


def rivals(
    rank: Precedence, recipient: Recipient, alias: str, client: ClientInfo, now: datetime, own: Verification | None
) -> Rivals:
    """Return what else is under way to ``recipient`` at the Service of ``alias``, in other sessions. One SELECT.

    Nothing where the app makes the codes: each verification has its own, so none gives way to another.
    """
    if not backends[alias].makes_codes:
        return Rivals()
    sessions = {*session_fingerprints(client)} - {""}
    found = [
        row
        for row in _under_way(recipient, alias, now)
        if (own is None or row.pk != own.pk) and row.session not in sessions
    ]
    lower = [row for row in found if row.precedence < rank and not row.withheld]
    # Of two that did not see each other start, the provider has made one, which is not the claimant's alone.
    shared = {row.sid for row in found if row.precedence >= rank} | {own.sid if own is not None else "", ""}
    return Rivals(
        outranked_until=max((row.expires_at for row in found if row.precedence > rank), default=None),
        giving_way=tuple(row.pk for row in lower if row.is_claim),
        ending=tuple(row for row in lower if not row.is_claim),
        sids=tuple({row.sid for row in lower} - shared),
    )


def is_outranked(verification: Verification, now: datetime) -> bool:
    """Return whether no answer to ``verification`` may be put to the provider. One SELECT, unless it is the owner's.

    SECURITY: asked again at each answer: the owner's start and this one may not have seen each other.
    """
    if verification.precedence == Precedence.OWNER or verification.is_challenge:
        return False
    if not backends[verification.backend].makes_codes:
        return verification.withheld
    found = _under_way(verification.recipient, verification.backend, now)
    higher = [row for row in found if row.precedence > verification.precedence and row.session != verification.session]
    return verification.withheld or bool(higher)


def withhold(ids: Iterable[object]) -> None:
    """Put nothing of these verifications to the provider any more. Those who started them are not told."""
    short_transaction(Verification.objects.filter(pk__in=list(ids)).withhold)


def is_known(user: AbstractBaseUser, client: ClientInfo) -> bool:
    """Return whether ``user`` has lately passed a second factor from the network of ``client``. One SELECT."""
    if not client.network:
        return False
    known = KnownNetwork.objects.filter(key__in=_network_keys(user.pk, client), seen_at__gt=timezone.now() - KNOWN_FOR)
    found: bool = known.exists()
    return found


def remember(verification: Verification, client: ClientInfo | None, now: datetime) -> None:
    """Note that the account of an approved ``verification`` has passed a second factor from the network of ``client``.

    One statement, two for a network that is new.
    """
    if verification.user_id is None or verification.purpose == Purpose.VERIFY:
        return
    remember_user(verification.user_id, client, now)


def remember_user(user_id: object, client: ClientInfo | None, now: datetime) -> None:
    """Note that the account ``user_id`` has passed a second factor from the network of ``client``."""
    if client is None or not client.network:
        return
    key = _network_keys(user_id, client)[0]
    if not KnownNetwork.objects.filter(key=key).update(seen_at=now):
        KnownNetwork.objects.bulk_create([KnownNetwork(key=key, seen_at=now)], ignore_conflicts=True)


def purge(now: datetime, *, dry_run: bool = False) -> int:
    """Delete networks from which no second factor was passed for ``KNOWN_FOR``. Return how many; a ``dry_run`` deletes
    none.
    """
    rows = KnownNetwork.objects.filter(seen_at__lt=now - KNOWN_FOR)
    deleted: int = rows.count() if dry_run else rows.delete()[0]
    return deleted


def _under_way(recipient: Recipient, alias: str, now: datetime) -> list[Verification]:
    rows = Verification.objects.filter(
        recipient_fingerprint__in=fingerprints(recipient),
        expires_at__gt=now,
        status__in=_AT_PROVIDER,
        backend__in=_same_service(alias),
    )
    return list(rows.only("pk", "precedence", "withheld", "sid", "session", "channel", "expires_at"))


def _same_service(alias: str) -> list[str]:
    """Return the aliases whose backends are one Service, that of ``alias``."""
    service = backends[alias].service_sid
    others = [one for one in settings.backends if one != alias and service and backends[one].service_sid == service]
    return [alias, *others]


def _network_keys(user_id: object, client: ClientInfo) -> list[str]:
    # SECURITY: keyed: nobody who reads the table learns where somebody signs in.
    subject = f"{user_id}|{client.network}"
    return [_network_key(key, subject) for key in settings.fingerprint_keys]


def _network_key(key: FingerprintKey, subject: str) -> str:
    return key.fingerprint("network", subject)


def _owners(subject: str) -> str:
    """Return ``subject`` as owners are counted, apart from claimants; ``""`` as it is."""
    return f"owner:{subject}" if subject else ""
