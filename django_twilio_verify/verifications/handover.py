"""Handing a link from the screen that asked for it to the phone that can open it, by a QR code.

The asking screen shows a number of two digits; the phone offers three and lets only one choose. SECURITY: that is for
people who were sent a stranger's QR code or link: they do not see the stranger's screen, and a wrong choice ends it. It
does not stop somebody who sends them the carrier's link itself; only ``enable_sna_client_token`` does, and that wants
an app which reads the link's answer.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import signing
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.debug import sensitive_variables

from ..backends.threads import query_twin_of
from ..backends.twins import Steps, verb, verb_twin_of
from ..choices import Purpose
from ..core.client import ClientInfo
from ..exceptions import VerificationNotFound
from ..models import Verification
from . import answers, checking
from .checking import LinkQuestion
from .results import Checked, Handover, Offered

LIFETIME = 600
"""Seconds that a token is good for: as long as the carrier's link itself."""
CHOICES = 3

_SALT = "django_twilio_verify.handover"


def offer(
    verification: Verification | uuid.UUID, *, client: ClientInfo, user: AbstractBaseUser | None = None
) -> Handover:
    """What the asking screen shows. Writes nothing: asked again, the number is the same, and the token new.

    Raises ``VerificationNotFound`` for a verification that is not the caller's, or that waits for no link.
    """
    found = checking.load(_id(verification), client, user)
    if not _has_link(found):
        raise VerificationNotFound
    numbers = _Numbers.of(found, django_settings.SECRET_KEY)
    return Handover(_token(found), numbers.match, numbers.choices)


@sensitive_variables("token")
def read(token: str) -> Offered:
    """What the phone that scanned the code shows before anything else.

    Raises ``VerificationNotFound`` for a token that is none, too old, or whose link is over.
    """
    found, key = _found(token)
    return Offered(
        choices=_Numbers.of(found, key).choices,
        recipient=found.recipient.masked,
        purpose=Purpose(found.purpose),
    )


@sensitive_variables("token", "match")
def accept(token: str, match: str) -> str:
    """The link for the phone to open, if ``match`` is the number on the asking screen.

    ``""`` for any other number, and then the link is over: there is one choice. Raises as ``read``. Call it for a POST.
    """
    found, key = _found(token)
    # SECURITY: as bytes: digits of other scripts would make the comparison raise.
    if constant_time_compare(match.strip().encode(), _Numbers.of(found, key).match.encode()):
        return found.link
    checking.refuse_link(found, timezone.now())
    return ""


aaccept = query_twin_of(accept)


@verb
def finish(token: str, *, sna_client_token: str = "") -> Steps[Checked]:
    """As ``verifications.check_link``, from the phone, once it has opened the link.

    The phone proves and is let in nowhere: what the proof is for happens on the asking screen, which waits with
    ``verifications.status`` and then redeems it. Raises ``VerificationNotFound`` for a token that is none or too old.
    """
    return answers.link_checked(LinkQuestion(_read(token).verification_id, None, token=sna_client_token))


afinish = verb_twin_of(finish)


@dataclass(frozen=True, slots=True)
class _Content:
    """What a token holds: whose link, and which one (a digest), so that it dies with the link."""

    verification_id: uuid.UUID
    link: str


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers of one link: made of it and of the site's key, so that nothing has to be kept. ``key``: the secret
    that the token was made with, so that a new ``SECRET_KEY`` does not change the number on an open page.
    """

    match: str
    choices: tuple[str, ...]

    @classmethod
    @sensitive_variables("key")
    def of(cls, verification: Verification, key: str | bytes) -> _Numbers:
        content = f"{verification.pk}\0{verification.link}"
        digest = salted_hmac(_SALT, content, secret=key, algorithm="sha256").digest()
        found: dict[str, None] = {}
        for byte in digest:  # 32 bytes; that they hold fewer than three numbers does not happen
            found[f"{10 + byte % 90}"] = None
        picked = [*found][:CHOICES]
        return cls(picked[0], tuple(sorted(picked)))


def _token(verification: Verification) -> str:
    digest = _digest(verification.link, django_settings.SECRET_KEY)
    return signing.dumps([verification.pk.hex, digest], salt=_SALT)


@sensitive_variables("token")
def _read(token: str) -> _Content:
    try:
        verification_id, link = signing.loads(token, salt=_SALT, max_age=LIFETIME)
    except signing.BadSignature:  # SignatureExpired too
        raise VerificationNotFound from None
    return _Content(uuid.UUID(hex=verification_id), link)


@sensitive_variables("token", "keys", "fitting")
def _found(token: str) -> tuple[Verification, str | bytes]:
    """The verification of ``token``, and the secret that the token was made with: ``SECRET_KEY`` or a fallback."""
    content = _read(token)
    found = Verification.objects.filter(pk=content.verification_id).first()
    if found is None or not _has_link(found):
        raise VerificationNotFound
    keys = [django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS]
    fitting = [key for key in keys if constant_time_compare(_digest(found.link, key), content.link)]
    if not fitting:
        raise VerificationNotFound
    return found, fitting[0]


def _has_link(verification: Verification) -> bool:
    return checking.waits_for_link(verification) and verification.is_open(timezone.now())


@sensitive_variables("key")
def _digest(link: str, key: str | bytes) -> str:
    # SECURITY: keyed: the token shows nothing by which the link could be told.
    return salted_hmac(f"{_SALT}.link", link, secret=key, algorithm="sha256").hexdigest()[:16]


def _id(verification: Verification | uuid.UUID) -> uuid.UUID:
    return verification if isinstance(verification, uuid.UUID) else verification.pk
