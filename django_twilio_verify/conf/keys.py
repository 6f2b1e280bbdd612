"""Keys of fingerprints and of seals: given or derived, and refused where they must not be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from ..core import derived_keys
from ..core.recipients import FingerprintKey
from ..core.signing_keys import HMAC_SHA256, SigningKey
from . import readers
from .setting import Problem

RETIRED = "retired"
"""Instead of a fingerprint key's secret: it is gone, and ``FingerprintAlias`` finds what was written with it. A word
and not ``None``, which is what an environment variable that nobody set reads as."""
_FINGERPRINTS, _SIGNING = "TWILIO_VERIFY_FINGERPRINT_KEYS", "TWILIO_VERIFY_SIGNING_KEYS"


def fingerprint_keys(name: str, value: Any) -> tuple[FingerprintKey, ...]:
    """Read keys for fingerprints, or derive them. An error for a list that begins with a retired key, too."""
    given = readers.several(name, value)
    if not given:
        return tuple(FingerprintKey(*pair) for pair in _derived(derived_keys.fingerprint_key))
    if _is_retired(given[0]):
        raise ImproperlyConfigured(f"{name} begins with a retired key: the newest must have its secret.")
    keys = tuple(FingerprintKey(*_pair(name, pair)) for pair in given if not _is_retired(pair))
    # SECURITY: at run time too, not by a check alone: an empty or mistyped secret writes fingerprints that nobody
    # finds again, and with them opt-outs.
    retired = tuple(str(pair[0]) for pair in given if _is_retired(pair))
    pairs = tuple((key.id, key.secret) for key in keys)
    if problem := _problem_of_keys(pairs, retired, _other_secrets(_SIGNING)):
        raise ImproperlyConfigured(f"{name} {problem}.")
    return keys


def retired_key_ids() -> tuple[str, ...]:
    """The ids of the fingerprint keys whose secret is gone. Errors as ``Settings.fingerprint_keys``."""
    given = readers.several(_FINGERPRINTS, readers.written(_FINGERPRINTS, ()))
    return tuple(FingerprintKey(*_pair(_FINGERPRINTS, pair)).id for pair in given if _is_retired(pair))


def signing_keys(name: str, value: Any) -> tuple[SigningKey, ...]:
    """Read keys for seals, or derive them. An error for an HMAC secret that must not be used."""
    given = readers.several(name, value)
    if not given:
        return tuple(SigningKey(*pair) for pair in _derived(derived_keys.signing_key))
    keys = tuple(SigningKey(*_pair(name, pair)) for pair in given)
    hmac_keys = tuple((key.id, key.secret) for key in keys if key.algorithm == HMAC_SHA256)
    if problem := _problem_of_secrets(hmac_keys, _other_secrets(_FINGERPRINTS)):
        raise ImproperlyConfigured(f"{name} {problem}.")
    return keys


def problems_of_signing_keys(name: str, keys: Sequence[SigningKey]) -> Iterator[Problem]:
    """Find keys that cannot be used; derived ones can."""
    if not readers.written(name, ()):
        return
    problems = [f"{key.problem} ({key.id!r})" for key in keys if key.problem]
    if any(not _is_id(key.id) for key in keys):
        problems.append("has an id that is not 1 to 12 letters and digits")
    if len({key.id for key in keys}) < len(keys):
        problems.append("has an id twice")
    if not problems and not keys[0].can_sign:
        problems.append("begins with a public key: the newest must be able to sign")
    yield from (Problem(f"{name} {problem}.") for problem in problems)


def _is_id(word: str) -> bool:
    return word.isascii() and word.isalnum() and len(word) <= 12


def _is_retired(pair: Any) -> bool:
    return isinstance(pair, Sequence) and len(pair) == 2 and pair[1] == RETIRED


def _pair(name: str, pair: Any) -> tuple[str, bytes]:
    try:
        key_id, secret = pair
    except (TypeError, ValueError):
        key_id, secret = None, None
    secret = secret.encode() if isinstance(secret, str) else secret
    if isinstance(pair, str) or not isinstance(key_id, str) or not isinstance(secret, bytes):
        # SECURITY: what was given is not shown: it holds the secret.
        raise ImproperlyConfigured(f"{name} must be a list of (id, secret) pairs, newest first.")
    return key_id, secret


def _derived(derive: Callable[[Any], tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
    """The derived keys, each once, the one of ``SECRET_KEY`` first."""
    secrets = (django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS)
    return tuple(dict(derive(secret) for secret in secrets).items())


_FEWEST_BYTES = 32
_FEWEST_SYMBOLS = 8
"""Different bytes in a secret at least: 64 random hex digits have 15 or 16, and one in 10^20 has fewer than this."""


def _other_secrets(keys: str) -> tuple[bytes, ...]:
    """Every secret text that a key must differ from: of ``keys``, another setting of pairs, Django's and ours."""
    others: list[Any] = [django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS]
    given = readers.written(keys, ())
    if isinstance(given, list | tuple):
        others += [pair[1] for pair in given if isinstance(pair, list | tuple) and len(pair) == 2]
    if isinstance(webhook := readers.written("TWILIO_VERIFY_WEBHOOK", {}), Mapping):
        others.append(webhook.get("password"))
    if isinstance(configured := readers.written("TWILIO_VERIFY_BACKENDS", {}), Mapping):
        others += [one.get("OPTIONS") for one in configured.values() if isinstance(one, Mapping)]
    texts = [one.encode() if isinstance(one, str) else one for one in _texts(others)]
    return tuple(one.strip() for one in texts if len(one) >= _FEWEST_BYTES)


def _texts(value: Any) -> Iterator[str | bytes]:
    """Every text in ``value``, in the lists of secrets that replace one another and in dicts too."""
    if isinstance(value, str | bytes):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts([*value.values()])
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


@lru_cache(maxsize=64)
def _problem_of_keys(keys: tuple[tuple[str, bytes], ...], retired: tuple[str, ...], others: tuple[bytes, ...]) -> str:
    """What makes these fingerprint keys unusable, as the end of a sentence; ``""`` if nothing does."""
    ids = [*(key_id for key_id, _ in keys), *retired]
    if any(not _is_id(one) for one in ids):
        return "has an id that is not 1 to 12 letters and digits"
    if len({one.lower() for one in ids}) < len(ids):  # most databases find "K1" where "k1" was asked for
        return "has an id twice"
    return _problem_of_secrets(keys, others)


@lru_cache(maxsize=64)
def _problem_of_secrets(keys: tuple[tuple[str, bytes], ...], others: tuple[bytes, ...]) -> str:
    """What makes a secret unusable, as the end of a sentence that shows none of them; ``""`` if nothing does."""
    for key_id, secret in keys:
        if _has_blank_edges(secret):
            return f"has a secret with blanks or a line break around it ({key_id!r})"
        if len(secret) < _FEWEST_BYTES:
            return f"has a secret of fewer than {_FEWEST_BYTES} bytes ({key_id!r})"
        if len(set(secret)) < _FEWEST_SYMBOLS or secret in (secret + secret)[1:-1]:
            return f"has a secret that repeats itself: take a random one ({key_id!r})"
        if secret in others:
            return f"has a secret that another setting has too: give each its own ({key_id!r})"
    if len({secret for _, secret in keys}) < len(keys):
        return "has one secret under two ids"
    return ""


def _has_blank_edges(secret: bytes) -> bool:
    """Return whether ``secret`` is text that begins or ends with a blank, or with something else that nobody sees: a
    line break, a byte order mark, a no-break space of a web page.
    """
    try:
        text = secret.decode()
    except UnicodeDecodeError:  # 32 random bytes may begin with one that reads as a blank
        return False
    edges = text[:1] + text[-1:]
    return " " in edges or not edges.isprintable()
