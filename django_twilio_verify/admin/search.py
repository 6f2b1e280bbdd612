"""From what an officer types to what the ledger can be asked for: fingerprints and digests."""

from __future__ import annotations

import re

from django.contrib.auth import get_user_model
from django.db.models import Q

from ..choices import PersonKind
from ..exceptions import InvalidRecipient
from ..ledger import fingerprint_aliases, key_register
from ..ledger.addressees import Addressee
from ..ledger.persons import Person
from ..models import Verification, VerificationAttempt
from .filters import begins_with

FINGERPRINT = re.compile(r"[A-Za-z0-9]{1,12}\.[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{6,64}")
_VERIFICATION = re.compile(r"VE[0-9a-fA-F]{32}")
_ATTEMPT = re.compile(r"VL[0-9a-fA-F]{32}")
TERMS = 50
"""Fingerprints in one address at most: a person and a recipient under every key are far fewer."""


def terms_for(typed: str) -> list[str]:
    """The fingerprints, or the digest, that ``typed`` means; none where it means nothing on record.

    A number in any format, an email address, a user name, a SID of a verification or an attempt, or what the ledger's
    pages show: a fingerprint, the digest of an event or its beginning. Raises ``KeysDoNotFit``: "nothing on record"
    would be false.
    """
    key_register.require()
    text = typed.replace("\0", "").strip()
    if not text or len(text) > 400:
        return []
    if FINGERPRINT.fullmatch(text):
        return [text]
    if _VERIFICATION.fullmatch(text) or _ATTEMPT.fullmatch(text):
        return _by_sid(text)
    found = _by_address(text) + _by_user_name(text)
    return found or ([text.lower()] if _DIGEST.fullmatch(text.lower()) else [])


def matching(terms: str) -> Q:
    """The events that ``terms``, as an address of a page has them, stand for."""
    condition = Q(pk__in=[])
    words = re.split(r"[\s,]+", terms.replace("\0", ""))[:TERMS]
    if prints := [word for word in words if FINGERPRINT.fullmatch(word)]:
        condition |= Q(recipient_fingerprint__in=prints) | Q(person_fingerprint__in=prints)
    for word in words:
        if _DIGEST.fullmatch(word):
            condition |= begins_with("digest", word)
    return condition


def _by_sid(sid: str) -> list[str]:
    if sid.startswith("VE"):
        return sorted({one.recipient_fingerprint for one in Verification.objects.filter(sid=sid)})
    attempts = VerificationAttempt.objects.filter(sid=sid).select_related("verification")
    return sorted({attempt.verification.recipient_fingerprint for attempt in attempts})


def _by_address(text: str) -> list[str]:
    # Digits that make no number are perhaps a digest or a user name.
    try:
        return list(Addressee.of(text).fingerprints)
    except InvalidRecipient:
        return []


def _by_user_name(name: str) -> list[str]:
    model = get_user_model()
    key = model._default_manager.filter(**{model.USERNAME_FIELD: name}).values_list("pk", flat=True).first()
    return [] if key is None else fingerprint_aliases.of_person(Person(PersonKind.USER, str(key)))
