"""The records."""

from .account import EnrollmentGrace, FactorReset, SessionCutoff
from .audit import AuditEvent, LegalHold
from .browser import TrustedBrowser
from .consent import ConsentEvent, ConsentEvidence, Disclosure
from .factor import Factor, RecoveryCode
from .fingerprint_alias import FingerprintAlias
from .limits import KnownNetwork, LimitCounter, OptOutAttempt, RecipientLock
from .provider import AttemptSync, ChannelOutage, ProviderEvent
from .provider_entity import Entity, OfferRefusal, ProviderRemoval
from .registered_key import RegisteredKey
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
    "EnrollmentGrace",
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
