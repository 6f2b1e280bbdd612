"""The records. Who writes them: ``flows/``, and nobody else."""

from .alias import FingerprintAlias
from .audit import AuditEvent, LegalHold
from .consent import ConsentEvent, ConsentEvidence, Disclosure
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
    "Factor",
    "FingerprintAlias",
    "LegalHold",
    "LimitCounter",
    "ProviderEvent",
    "RecoveryCode",
    "Verification",
    "VerificationAttempt",
    "VerificationCheck",
]
