"""What a factor or a challenge can be told when it is made.

Names and bounds are those of Verify's Factors and Challenges resources
(https://www.twilio.com/docs/verify/api/factor, https://www.twilio.com/docs/verify/api/challenge).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..choices import FactorKind
from .factor_results import nothing
from .options import IncompatibleOptions

MAX_NAME = 64
MAX_METADATA = 1024
MAX_MESSAGE = 256
MAX_FIELDS = 20
MAX_LABEL = 36
MAX_VALUE = 128
MAX_HIDDEN = 1024

ALGORITHMS = ("sha1", "sha256", "sha512")
PLATFORMS = ("apn", "fcm", "none")
ATTACHMENTS = ("platform", "cross-platform", "any")
WISHES = ("required", "preferred", "discouraged")

_IDENTITY = re.compile(r"(?=.{8,64}\Z)[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")
_SECRET = re.compile(r"[A-Z2-7]+=*")


def is_identity(text: object) -> bool:
    """Whether the provider takes ``text`` as the name of a person: 8 to 64 letters and digits, with dashes between."""
    return isinstance(text, str) and _IDENTITY.fullmatch(text) is not None


def check_identity(identity: str) -> str:
    """``identity``. Raises ``IncompatibleOptions`` if the provider does not take it."""
    if not is_identity(identity):
        # SECURITY: it becomes part of a path. What was given is not shown: a slip may have put an address there.
        raise IncompatibleOptions("An identity has 8 to 64 letters and digits, with dashes between.")
    return identity


def check_name(name: str) -> str:
    """``name``. Raises ``IncompatibleOptions`` if it is no name of a factor: 1 to 64 characters."""
    if not 1 <= len(name) <= MAX_NAME:
        raise IncompatibleOptions(f"A factor's name has 1 to {MAX_NAME} characters.")
    return name


class _Checked:
    """Refuses what the provider could not be told. A subclass's ``_problems`` says what that is."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise IncompatibleOptions(problem)

    def _problems(self) -> Iterator[str]:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class TotpOptions(_Checked):
    """Of an authenticator app. What is left out is as the Service has it: 30 seconds, 6 digits, skew 1, SHA-1.

    ``time_step``: seconds that a code lives, 20 to 60. ``skew``: steps before and after that count, 0 to 2.
    ``code_length``: digits, 3 to 8. ``alg``: ``sha1``, ``sha256``, ``sha512``; many apps ignore all but the defaults
    (Twilio error 60311). ``secret``: base32, to move a factor that exists elsewhere; else the provider makes one.
    ``metadata``: up to 1024 characters as JSON, texts only, no personal data.
    """

    time_step: int | None = None
    skew: int | None = None
    code_length: int | None = None
    alg: str = ""
    secret: str = field(default="", repr=False)
    metadata: Mapping[str, str] = field(default_factory=nothing, repr=False)

    def _problems(self) -> Iterator[str]:
        yield from _outside("time_step", self.time_step, 20, 60)
        yield from _outside("skew", self.skew, 0, 2)
        yield from _outside("code_length", self.code_length, 3, 8)
        yield from _not_of("alg", self.alg, ALGORITHMS)
        if self.secret and not _SECRET.fullmatch(self.secret):
            yield "secret is base32."
        yield from _too_much("metadata", self.metadata, MAX_METADATA)


@dataclass(frozen=True, slots=True)
class PushOptions(_Checked):
    """Of a phone with the site's app. The app registers itself with an access token; this is for who does it for it.

    ``public_key``: P-256, SubjectPublicKeyInfo (DER) in base64. ``app_id``: ``com.example.app``, up to 100 characters.
    ``platform``: ``apn``, ``fcm``, or ``none`` for a phone that is not notified and asks by itself (silent approval).
    ``token``: its address there, 32 to 255 characters. ``sdk_version``: of Twilio's library on the phone.
    """

    public_key: str = field(default="", repr=False)
    app_id: str = ""
    platform: str = ""
    token: str = field(default="", repr=False)
    sdk_version: str = ""
    alg: str = "ES256"
    metadata: Mapping[str, str] = field(default_factory=nothing, repr=False)

    def _problems(self) -> Iterator[str]:
        yield from _not_of("platform", self.platform, PLATFORMS)
        yield from _not_of("alg", self.alg, ("ES256",))
        if len(self.app_id) > 100:
            yield "app_id has up to 100 characters."
        if self.token and not 32 <= len(self.token) <= 255:
            yield "token has 32 to 255 characters."
        yield from _too_much("metadata", self.metadata, MAX_METADATA)


@dataclass(frozen=True, slots=True)
class PasskeyOptions(_Checked):
    """Of a passkey. What is left out is as the Service has it; if it has nothing, the provider refuses (60371, 60393).

    ``relying_party_id``: the site's domain, without scheme or port. ``relying_party_name``: shown by the browser.
    ``origins``: ``https://…`` each, from which the pages come. ``attachment``: ``platform``, ``cross-platform``,
    ``any``. ``discoverable``, ``user_verification``: ``required``, ``preferred``, ``discouraged``.
    """

    relying_party_id: str = ""
    relying_party_name: str = ""
    origins: Sequence[str] = ()
    attachment: str = ""
    discoverable: str = ""
    user_verification: str = ""

    def _problems(self) -> Iterator[str]:
        yield from _not_of("attachment", self.attachment, ATTACHMENTS)
        yield from _not_of("discoverable", self.discoverable, WISHES)
        yield from _not_of("user_verification", self.user_verification, WISHES)
        if "/" in self.relying_party_id or ":" in self.relying_party_id:
            yield "relying_party_id is a domain, without scheme or port."
        if isinstance(self.origins, str):
            yield "origins is a list."

    def config(self) -> dict[str, Any]:
        """The ``config`` of Verify's Passkeys resource: what was given, in its words."""
        party = {"id": self.relying_party_id, "name": self.relying_party_name, "origins": [*self.origins]}
        config = {
            "relying_party": {name: value for name, value in party.items() if value},
            "authenticator_attachment": self.attachment,
            "discoverable_credentials": self.discoverable,
            "user_verification": self.user_verification,
        }
        return {name: value for name, value in config.items() if value}


FactorOptions = TotpOptions | PushOptions | PasskeyOptions

_OPTIONS: Mapping[FactorKind, type[FactorOptions]] = {
    FactorKind.TOTP: TotpOptions,
    FactorKind.PUSH: PushOptions,
    FactorKind.PASSKEY: PasskeyOptions,
}


def options_for(kind: FactorKind, given: FactorOptions | None) -> FactorOptions:
    """``given``, or the empty options of ``kind``. Raises ``IncompatibleOptions`` if they are of another kind."""
    wanted = _OPTIONS.get(kind)
    if wanted is None:
        raise IncompatibleOptions(f"{kind.value} is not a factor that the provider keeps.")
    if given is not None and not isinstance(given, wanted):
        raise IncompatibleOptions(f"{type(given).__name__} are not the options of {kind.value}.")
    return wanted() if given is None else given


@dataclass(frozen=True, slots=True)
class ChallengeDetails(_Checked):
    """What a challenge says. ``message``: shown on the phone, needed for push, up to 256 characters. ``fields``: label
    (36) to value (128), 20 at most, shown beside it. ``hidden``: for the phone's app alone, texts, up to 1024
    characters as JSON. ``expires_at``: aware time, at most an hour away; 5 minutes unless given.
    """

    message: str = ""
    fields: Mapping[str, str] = field(default_factory=nothing)
    hidden: Mapping[str, str] = field(default_factory=nothing, repr=False)
    expires_at: datetime | None = None

    def _problems(self) -> Iterator[str]:
        if len(self.message) > MAX_MESSAGE:
            yield f"message has up to {MAX_MESSAGE} characters."
        long = [label for label, value in self.fields.items() if len(label) > MAX_LABEL or len(value) > MAX_VALUE]
        if long or len(self.fields) > MAX_FIELDS:
            yield f"fields takes {MAX_FIELDS}, labels of {MAX_LABEL} and values of {MAX_VALUE} characters."
        yield from _too_much("hidden", self.hidden, MAX_HIDDEN)
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            yield "expires_at is an aware time."


def _outside(name: str, value: int | None, least: int, most: int) -> Iterator[str]:
    if value is not None and not least <= value <= most:
        yield f"{name} is {least} to {most}."


def _not_of(name: str, value: str, words: Sequence[str]) -> Iterator[str]:
    if value and value not in words:
        yield f"{name} is one of {', '.join(words)}."


def _too_much(name: str, value: Mapping[str, str], most: int) -> Iterator[str]:
    if any(not isinstance(word, str) for pair in value.items() for word in pair):
        yield f"{name} takes texts only."
    elif value and len(json.dumps(dict(value))) > most:
        yield f"{name} has up to {most} characters as JSON."


NO_DETAILS = ChallengeDetails()
