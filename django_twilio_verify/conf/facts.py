"""Settings that are dicts of facts: the messaging programme, and how events come in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from . import readers
from .setting import Problem

REQUIRED_FACTS = ("name", "terms_url", "privacy_url", "support", "message_frequency")
"""The facts of ``TWILIO_VERIFY_PROGRAM`` that a page which asks for a number must show."""


@dataclass(frozen=True, slots=True)
class Program:
    """The messaging programme that disclosures name (CTIA: who, what, how often, help, terms, privacy)."""

    name: str = ""
    terms_url: str = ""
    privacy_url: str = ""
    support: str = ""
    message_frequency: str = ""
    terms_digest: str = ""
    privacy_digest: str = ""
    """SHA-256 in hex of the two pages as they stand, where the site keeps them: optional."""


EVENT_RETRIES = 14_400
"""Seconds for which Event Streams delivers an event again and again (docs/events/event-delivery-and-duplication)."""
EVENT_MAX_AGE = 6 * EVENT_RETRIES


@dataclass(frozen=True, slots=True)
class Webhook:
    """How events come in. ``url`` and ``factors_url``: the public addresses of ``webhooks/verify/`` and
    ``webhooks/factors/`` as the provider calls them, ``""`` where the request tells it; ``username``
    and ``password``: of the sink's address, both or neither, each several while one replaces another; ``max_age``:
    seconds after which an event is kept and not applied.
    """

    url: str = ""
    factors_url: str = ""
    username: tuple[str, ...] = ()
    password: tuple[str, ...] = field(default=(), repr=False)
    max_age: int = EVENT_MAX_AGE

    @property
    def has_credentials(self) -> bool:
        """SECURITY: half a pair opens nothing."""
        return bool(self.username and self.password)


def program(name: str, value: Any) -> Program:
    """Read the programme's facts."""
    given = _known(f"{name} has no fact {{!r}}. Facts: {{}}.", readers.mapping(name, value), Program)
    return Program(**_without_none(given))


def webhook(name: str, value: Any) -> Webhook:
    """Read how events come in: an error for what is none of its keys, and for credentials that are not text."""
    given = _known(f"{name} has no {{!r}}. It takes {{}}.", _without_none(readers.mapping(name, value)), Webhook)
    max_age = readers.seconds(f"{name}['max_age']", given.get("max_age", EVENT_MAX_AGE))
    username, password = (_credentials(f"{name}[{key!r}]", given.get(key, "")) for key in ("username", "password"))
    url, factors_url = (str(given.get(key, "")) for key in ("url", "factors_url"))
    return Webhook(url, factors_url, username, password, max_age)


def _without_none(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: fact for key, fact in given.items() if fact is not None}


def _known(complaint: str, given: Mapping[str, Any], facts: type[Program | Webhook]) -> Mapping[str, Any]:
    if unknown := [key for key in given if key not in facts.__dataclass_fields__]:
        raise ImproperlyConfigured(complaint.format(unknown[0], ", ".join(facts.__dataclass_fields__)))
    return given


def _credentials(name: str, value: Any) -> tuple[str, ...]:
    """One text, or several while one replaces another."""
    several = value if isinstance(value, list | tuple) else [value] if value != "" else []
    if any(not isinstance(one, str) or not one for one in several):
        # SECURITY: what was given is not shown: it holds the secret.
        raise ImproperlyConfigured(f"{name} must be text, or a list of texts, none empty.")
    return tuple(several)


def problems_of_webhook(name: str, given: Webhook) -> Iterator[Problem]:
    """Find what is half set, or can never work."""
    for wrong, problem in (
        (bool(given.username) != bool(given.password), "username and password are given together."),
        (":" in "".join(given.username), "a username cannot hold a colon (RFC 7617)."),
        *(
            (bool(url) and not _is_webhook_url(url), f"{key} must be absolute, https://, without query.")
            for key, url in (("url", given.url), ("factors_url", given.factors_url))
        ),
        (given.max_age < EVENT_RETRIES, f"max_age must be {EVENT_RETRIES} or more: retries come so late."),
    ):
        if wrong:
            yield Problem(f"{name}: {problem}")


def _is_webhook_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and not (parts.query or parts.fragment)
