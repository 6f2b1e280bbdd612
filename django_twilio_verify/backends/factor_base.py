"""What a backend does about factors: authenticator apps, push approvals and passkeys, each kept by the provider.

An *identity* names a person to the provider: ``factor_options.is_identity``; stable, opaque, no personal data. A person
needs no making: the first factor makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..choices import FactorKind
from .factor_options import NO_DETAILS, ChallengeDetails, FactorOptions
from .factor_results import (
    AccessToken,
    ChallengeStatus,
    EntitiesPage,
    ProviderChallenge,
    ProviderEntity,
    ProviderFactor,
    ProviderNotification,
)
from .threads import twin_of

Answer = str | Mapping[str, Any]
"""A TOTP code, a phone's signed answer, or what the browser's ``credential.toJSON()`` gave for a passkey."""


class FactorBackend:
    """The half of ``BaseBackend`` that is about factors: ``factor_kinds`` says which it can keep, none unless told.

    Every method may block for ``timeout`` seconds and raises only ``BackendUnavailable`` and ``BackendRejected``, and
    ``IncompatibleOptions`` for what could not be told to any provider. What is wrong, late, gone or used up is an
    answer, not an error. SECURITY: an answer about another factor or challenge than the one that was asked about is
    ``UNKNOWN``, never a proof.

    Each method ``x`` has a twin ``ax``, as ``BaseBackend`` says.
    """

    factor_kinds: ClassVar[frozenset[FactorKind]] = frozenset()
    """Which factors can it keep?"""
    max_challenge_checks: ClassVar[int] = 5
    """How many answers does one challenge take?"""

    def enroll(
        self, identity: str, kind: FactorKind, *, name: str, options: FactorOptions | None = None
    ) -> ProviderFactor:
        """Make a factor of ``kind`` for ``identity``; it is unverified until ``confirm``.

        ``name``: up to 64 characters, for the person; an authenticator app shows it as the account. Raises
        ``BackendRejected`` where the person has too many (60315) or made too many (60326).
        """
        raise NotImplementedError

    def confirm(self, identity: str, factor_sid: str, answer: Answer) -> ProviderFactor:
        """Have the first answer of a new factor judged. ``UNVERIFIED`` with a ``provider_code`` is a wrong one."""
        raise NotImplementedError

    def challenge(
        self,
        identity: str,
        kind: FactorKind,
        *,
        factor_sid: str = "",
        code: str = "",
        details: ChallengeDetails = NO_DETAILS,
    ) -> ProviderChallenge:
        """Ask the holder of a verified factor for a proof.

        TOTP: ``code`` is judged at once; without one, and after a wrong one, it stays pending for ``answer``. Push: the
        phone is notified with ``details``, whose ``message`` is needed; ask ``poll`` what became of it. Passkey:
        ``options`` are for the browser; ``factor_sid`` may be left out to allow every one of the person, and
        ``identity`` too, for the browser to say who it is. ``GONE`` if the factor is not there or was never confirmed.
        """
        raise NotImplementedError

    def answer(
        self,
        identity: str,
        challenge_sid: str,
        answer: Answer,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> ProviderChallenge:
        """Have ``answer`` to a pending challenge judged. ``PENDING`` with a ``provider_code`` is a wrong one.

        A phone answers by itself, from outside; ``metadata`` is for who does it for it. ``identity`` is ``""`` for a
        passkey that the browser chose: whose it is, is then for the caller to know, by the credential's ``id``.
        """
        raise NotImplementedError

    def poll(self, identity: str, challenge_sid: str) -> ProviderChallenge:
        """Where a challenge stands, without counting as an answer."""
        raise NotImplementedError

    def notify(self, identity: str, challenge_sid: str, *, ttl: int | None = None) -> ProviderNotification:
        """Push once more, three times at most (60309). ``ttl``: seconds for which delivery is tried, 0 to 300.

        Raises ``BackendRejected`` where no more goes out, also for a phone that is never notified (60307).
        """
        raise NotImplementedError

    def factor(self, identity: str, factor_sid: str) -> ProviderFactor:
        """One factor; ``GONE`` if it is not there."""
        raise NotImplementedError

    def factors(self, identity: str) -> tuple[ProviderFactor, ...]:
        """Every factor of a person, unverified ones too; none if the provider does not know the person."""
        raise NotImplementedError

    def update_factor(
        self, identity: str, factor_sid: str, *, name: str = "", options: FactorOptions | None = None
    ) -> ProviderFactor:
        """Give a factor another ``name``; or other options: of a push factor its ``token``, ``platform`` and
        ``sdk_version``, of a TOTP factor all but ``secret`` and ``metadata``.
        """
        raise NotImplementedError

    def remove(self, identity: str, factor_sid: str) -> bool:
        """Remove a factor. True if this call did, false if there was none: both leave none."""
        raise NotImplementedError

    def challenges(
        self, identity: str, *, factor_sid: str = "", status: ChallengeStatus | None = None, limit: int = 50
    ) -> tuple[ProviderChallenge, ...]:
        """The latest challenges of a person, newest first, ``limit`` at most."""
        raise NotImplementedError

    def create_entity(self, identity: str) -> ProviderEntity:
        """Make a person known without a factor. Not needed before ``enroll``; harmless if they are known."""
        raise NotImplementedError

    def entity(self, identity: str) -> ProviderEntity | None:
        """The person, or ``None``."""
        raise NotImplementedError

    def entities(self, *, page: str = "", size: int = 200) -> EntitiesPage:
        """One page of all persons. ``page``: ``""`` for the first, then what the one before gave as ``next_page``."""
        raise NotImplementedError

    def remove_entity(self, identity: str) -> bool:
        """Remove a person with every factor and challenge. True if this call did, false if there was none."""
        raise NotImplementedError

    def access_token(self, identity: str, *, name: str = "", ttl: int | None = None) -> AccessToken:
        """What the site's app on a phone registers with, as push factor ``name``. ``ttl``: 60 to 300 seconds, else 60.

        SECURITY: for this person's own authenticated phone only.
        """
        raise NotImplementedError

    def fetch_access_token(self, sid: str) -> AccessToken | None:
        """A token that was made (``YK…``), or ``None``."""
        raise NotImplementedError

    aenroll = twin_of(enroll)
    aconfirm = twin_of(confirm)
    achallenge = twin_of(challenge)
    aanswer = twin_of(answer)
    apoll = twin_of(poll)
    anotify = twin_of(notify)
    afactor = twin_of(factor)
    afactors = twin_of(factors)
    aupdate_factor = twin_of(update_factor)
    aremove = twin_of(remove)
    achallenges = twin_of(challenges)
    acreate_entity = twin_of(create_entity)
    aentity = twin_of(entity)
    aentities = twin_of(entities)
    aremove_entity = twin_of(remove_entity)
    aaccess_token = twin_of(access_token)
    afetch_access_token = twin_of(fetch_access_token)
