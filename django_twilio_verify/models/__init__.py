"""The records. Who writes them: ``flows/``, and nobody else."""

from .alias import FingerprintAlias
from .audit import AuditEvent, LegalHold
from .consent import ConsentEvent, ConsentEvidence, Disclosure
from .entity import Entity, OfferRefusal, ProviderRemoval
from .factor import Factor, RecoveryCode
from .limits import LimitCounter
from .provider import AttemptSync, ChannelOutage, ProviderEvent
from .seal import ConsentSeal
from .verification import Verification, VerificationAttempt, VerificationCheck

__all__ = [
    "AttemptSync",
    "AuditEvent",
    "ChannelOutage",
    "ConsentEvent",
    "ConsentEvidence",
    "ConsentSeal",
    "Disclosure",
    "Entity",
    "Factor",
    "FingerprintAlias",
    "LegalHold",
    "LimitCounter",
    "OfferRefusal",
    "ProviderEvent",
    "ProviderRemoval",
    "RecoveryCode",
    "Verification",
    "VerificationAttempt",
    "VerificationCheck",
]
