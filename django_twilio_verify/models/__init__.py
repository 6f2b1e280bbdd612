"""The records. Who writes them: ``flows/``, and nobody else."""

from .alias import FingerprintAlias
from .audit import AuditEvent, LegalHold
from .consent import ConsentEvent, ConsentEvidence, Disclosure
from .factor import Factor, RecoveryCode
from .limits import LimitCounter
from .seal import ConsentSeal
from .verification import Verification, VerificationAttempt, VerificationCheck

__all__ = [
    "AuditEvent",
    "ConsentEvent",
    "ConsentEvidence",
    "ConsentSeal",
    "Disclosure",
    "Factor",
    "FingerprintAlias",
    "LegalHold",
    "LimitCounter",
    "RecoveryCode",
    "Verification",
    "VerificationAttempt",
    "VerificationCheck",
]
