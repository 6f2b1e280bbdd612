"""Time-stamps of an authority (RFC 3161) over seals: the word of somebody else that a seal existed by then."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from typing import Any
from urllib.request import Request, urlopen

from django.core.exceptions import ImproperlyConfigured

TIMEOUT = 10
"""Seconds to wait for the authority."""
_LIMIT = 100_000


class StampingFailed(Exception):
    """The authority gave no time-stamp. The text says why."""


def stamp(content: bytes, url: str) -> str:
    """A time-stamp over SHA-256 of ``content`` from the authority at ``url``: its whole answer (``TimeStampResp``), in
    base64. Raises ``StampingFailed``.
    """
    library = _library()
    question = (
        library.TimestampRequestBuilder()
        .data(content)
        .hash_algorithm(library.HashAlgorithm.SHA256)
        .nonce(nonce=True)
        .cert_request(cert_request=True)
        .build()
    )
    try:
        answer = _asked(url, question.as_bytes())
        response = library.decode_timestamp_response(answer)
        if response.status not in (library.PKIStatus.GRANTED, library.PKIStatus.GRANTED_WITH_MODS):
            raise StampingFailed(f"The time-stamping authority refused: status {response.status}.")
        info = response.tst_info
    except (OSError, ValueError) as error:
        raise StampingFailed(f"The time-stamping authority gave no usable answer: {error}") from error
    if info.nonce != question.nonce or info.message_imprint.message != hashlib.sha256(content).digest():
        raise StampingFailed("The time-stamping authority answered another question.")
    return base64.b64encode(answer).decode()


def stamped_at(token: str, content: bytes) -> datetime | None:
    """The time for which ``token`` vouches that ``content`` existed; ``None`` where it is of something else or broken.

    The authority's own signature is not checked here: ``openssl ts -verify`` does that, with its certificate.
    """
    try:
        info = _library().decode_timestamp_response(base64.b64decode(token, validate=True)).tst_info
        matches = bool(info.message_imprint.message == hashlib.sha256(content).digest())
    except ValueError:
        return None
    moment: datetime = info.gen_time
    return moment if matches else None


def is_available() -> bool:
    """Whether the package that reads time-stamps is installed."""
    try:
        _library()
    except ImproperlyConfigured:
        return False
    return True


def _library() -> Any:
    try:
        import rfc3161_client  # noqa: PLC0415  an optional extra
    except ImportError as error:
        message = 'Time-stamps need the package rfc3161-client: install "django-twilio-verify[timestamp]".'
        raise ImproperlyConfigured(message) from error
    return rfc3161_client


def _asked(url: str, question: bytes) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise StampingFailed("TWILIO_VERIFY_TIMESTAMP_URL must begin with http:// or https://.")
    # http is usual here: the answer is signed, and the question is a digest.
    request = Request(url, question, {"Content-Type": "application/timestamp-query"})  # noqa: S310  checked above
    with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
        content: bytes = answer.read(_LIMIT)
        return content
