"""Results of enrolling factors and of checking recovery codes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils.translation import gettext as _

from ..choices import Channel
from ..core.results import Result, json_time
from ..verifications.results import Checked

if TYPE_CHECKING:
    from ..models.factor import Factor
    from ..models.verification import Verification


@dataclass(frozen=True, slots=True)
class Enrolled(Result):
    """A factor that a verification stands for.

    Attributes:
        factor: The factor.
        created: This very call enrolled it; otherwise it was there.
        accepted: This very call used the approval. SECURITY: true for exactly one call.
        is_first: The user had none before: hand out recovery codes.
    """

    answer: ClassVar[str] = "created"

    factor: Factor
    created: bool
    is_first: bool = False
    accepted: bool = True


@dataclass(frozen=True, slots=True)
class Setup(Result):
    """A device's factor that the provider made and the user has yet to confirm with ``finish_setup``.

    Everything but the verification is told this once and kept nowhere.

    Attributes:
        verification: The record that ``finish_setup`` takes. Only the session that began may go on with it, for ten
            minutes.
        channel: How the factor will be asked.
        secret: Of an authenticator app, in base32, to type in.
        uri: Of an authenticator app, ``otpauth://…``, for the QR code.
        browser_options: Of a passkey, for ``PublicKeyCredential.parseCreationOptionsFromJSON``.
        access_token: For the site's own app on a phone.
        identity: The user at the provider, for the app.
        service_sid: The Service, for the app; ``""`` where the backend has none.
    """

    answer: ClassVar[str] = "verification"

    verification: Verification
    channel: Channel
    secret: str = field(default="", repr=False)  # SECURITY: who reads it, has the factor
    uri: str = field(default="", repr=False)
    browser_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    access_token: str = field(default="", repr=False)
    identity: str = ""
    service_sid: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Describe it as JSON, for the program of the very user. SECURITY: it holds the secret."""
        return {
            "verification": str(self.verification.pk),
            "channel": self.channel.value,
            "expires_at": json_time(self.verification.expires_at),
            "secret": self.secret,
            "uri": self.uri,
            "browser_options": json.loads(json.dumps(dict(self.browser_options))),
            "access_token": self.access_token,
            "identity": self.identity,
            "service_sid": self.service_sid,
        }


@dataclass(frozen=True, slots=True)
class SetupChecked(Result):
    """What came of finishing a setup.

    Attributes:
        checked: What came of the answer.
        enrolled: The factor, if it is enrolled now, or was by a call before this one.
    """

    answer: ClassVar[str] = "enrolled"

    checked: Checked
    enrolled: Enrolled | None = None

    @property
    def factor(self) -> Factor | None:
        """The enrolled factor."""
        return self.enrolled.factor if self.enrolled is not None else None

    @property
    def is_first(self) -> bool:
        """Whether the user had no factor before: hand out recovery codes."""
        return self.enrolled is not None and self.enrolled.is_first

    @property
    def user_message(self) -> str:
        """The sentence for the user, in the active language; ``""`` for an answer that was right."""
        return self.checked.user_message

    def as_dict(self) -> dict[str, Any]:
        """Describe it as JSON: the answer, and the ``factor``'s id or ``None``."""
        return {**self.checked.as_dict(), "factor": self.factor.pk if self.factor is not None else None}


@dataclass(frozen=True, slots=True)
class RecoveryChecked(Result):
    """What came of a recovery code.

    Attributes:
        approved: Whether this very call spent it. SECURITY: true for exactly one call.
        remaining: Unused codes that are left.
    """

    answer: ClassVar[str] = "approved"

    approved: bool
    remaining: int

    @property
    def user_message(self) -> str:
        """The sentence for the user, in the active language; ``""`` for a code that was right."""
        return "" if self.approved else _("This is not one of your unused recovery codes.")

    def as_dict(self) -> dict[str, Any]:
        """Describe it as JSON. How many are left is told to who had one only."""
        code = "approved" if self.approved else "wrong"
        found: dict[str, Any] = {"code": code, "detail": self.user_message, "approved": self.approved}
        return {**found, "remaining": self.remaining} if self.approved else found
