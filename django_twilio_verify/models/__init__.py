"""The records. Who writes them: ``flows/``, and nobody else."""

from .alias import FingerprintAlias
from .audit import AuditEvent, LegalHold
from .consent import ConsentEvent, ConsentEvidence, Disclosure
from .entity import Entity, OfferRefusal, ProviderRemoval
from .factor import Factor, RecoveryCode
from .keys import RegisteredKey
from .limits import KnownNetwork, LimitCounter, OptOutAttempt, RecipientLock
from .policy import EnrolmentGrace, FactorReset, SessionCutoff
from .provider import AttemptSync, ChannelOutage, ProviderEvent
from .seal import ConsentSeal
from .trust import TrustedBrowser
from .verification import Verification, VerificationAttempt, VerificationCheck

__all__ = [
    "AttemptSync",
    "AuditEvent",
    "ChannelOutage",
    "ConsentEvent",
    "ConsentEvidence",
    "ConsentSeal",
    "Disclosure",
    "EnrolmentGrace",
    "Entity",
    "Factor",
    "FactorReset",
    "FingerprintAlias",
    "KnownNetwork",
    "LegalHold",
    "LimitCounter",
    "OfferRefusal",
    "OptOutAttempt",
    "ProviderEvent",
    "ProviderRemoval",
    "RecipientLock",
    "RecoveryCode",
    "RegisteredKey",
    "SessionCutoff",
    "TrustedBrowser",
    "Verification",
    "VerificationAttempt",
    "VerificationCheck",
]
