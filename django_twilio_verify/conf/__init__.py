"""The settings of the app: typed, read when asked for, never kept.

Every name is ``TWILIO_VERIFY_`` and the property's name in capitals; ``None`` is as good as unset, except for
``TWILIO_VERIFY_REQUIRED_FOR``. What is wrong with a value is reported by the system checks; reading a hopeless one
raises ``ImproperlyConfigured``. The table of them is ``table.Settings``.
"""

from django.conf import settings as django_settings

from ..core.recipients import Recipient
from .channel_settings import ASSURANCE, ChannelRule
from .facts import EVENT_MAX_AGE, EVENT_RETRIES, REQUIRED_FACTS, Program, Webhook
from .keys import RETIRED, retired_key_ids
from .limit_settings import DEFAULT_LIMITS, LIMIT_RULES, RESEND_COOLDOWN_SECONDS, LimitRule
from .policy import POLICY_PREFIXES, POLICY_WORDS, is_exemption, policy_digest
from .service_settings import BACKEND_KEYS, SERVICE_KEYS, ServiceSettings, problems_of_numbers
from .table import CONSOLE_BACKENDS, TABLE, Settings, settings

__all__ = ["ASSURANCE", "CONSOLE_BACKENDS", "DEFAULT_LIMITS", "EVENT_MAX_AGE", "EVENT_RETRIES", "LIMIT_RULES"]
__all__ += ["POLICY_PREFIXES", "POLICY_WORDS", "REQUIRED_FACTS", "RESEND_COOLDOWN_SECONDS"]
__all__ += ["BACKEND_KEYS", "RETIRED", "SERVICE_KEYS", "TABLE", "ServiceSettings", "problems_of_numbers"]
__all__ += ["ChannelRule", "LimitRule", "Program", "Settings", "Webhook", "django_settings", "is_exemption"]
__all__ += ["policy_digest", "retired_key_ids", "settings"]
__all__ += ["fingerprint", "fingerprints", "person_fingerprint", "person_fingerprints"]


def fingerprint(recipient: Recipient) -> str:
    """The recipient's fingerprint under the newest key: what is written."""
    return recipient.fingerprint(settings.fingerprint_keys[0])


def fingerprints(recipient: Recipient) -> list[str]:
    """Return the recipient's fingerprints under every key, newest first.

    The ledger is asked by those of ``ledger.fingerprint_aliases``.
    """
    return [recipient.fingerprint(key) for key in settings.fingerprint_keys]


def person_fingerprint(kind: str, ref: str) -> str:
    """The fingerprint of a person (``kind`` a ``PersonKind``, ``ref`` primary key or session secret)."""
    return settings.fingerprint_keys[0].fingerprint(f"person:{kind}", ref)


def person_fingerprints(kind: str, ref: str) -> list[str]:
    """The fingerprints of a person under every key."""
    return [key.fingerprint(f"person:{kind}", ref) for key in settings.fingerprint_keys]
