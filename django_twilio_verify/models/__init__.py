"""The records."""

from .account import FactorReset, UserState
from .append_only import LEDGER_MODELS
from .audit import AuditEvent, LegalHold
from .browser import TrustedBrowser
from .consent import ConsentEvent, ConsentEvidence, Disclosure
from .factor import Factor, RecoveryCode
from .fingerprint_alias import FingerprintAlias
from .limits import KnownNetwork, LimitCounter, OptOutAttempt, RecipientLock
from .provider import AttemptSync, ChannelOutage, ProviderEvent
from .provider_entity import Entity, ProviderRemoval
from .registered_key import RegisteredKey
from .seal import ConsentSeal
from .verification import Verification, VerificationAttempt, VerificationCheck

__all__ = [
    "LEDGER_MODELS",
    "AttemptSync",
    "AuditEvent",
    "ChannelOutage",
    "ConsentEvent",
    "ConsentEvidence",
    "ConsentSeal",
    "Disclosure",
    "Entity",
    "Factor",
    "FactorReset",
    "FingerprintAlias",
    "KnownNetwork",
    "LegalHold",
    "LimitCounter",
    "OptOutAttempt",
    "ProviderEvent",
    "ProviderRemoval",
    "RecipientLock",
    "RecoveryCode",
    "RegisteredKey",
    "TrustedBrowser",
    "UserState",
    "Verification",
    "VerificationAttempt",
    "VerificationCheck",
]
