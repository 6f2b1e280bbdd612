"""Setting up the provider's side of a backend: the Verify Service, and what belongs to it.

Everything is a ``Resource`` that is found again by its kind and its natural name, never by a SID of ours: so a run
that was cut short is finished by the next one, and nothing about the Service is kept here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

Value = str | int | bool | tuple[str, ...] | None
"""Of a parameter. ``None``: the provider says nothing of it."""


class Kind(StrEnum):
    """What can be set up, in the words of Verify's API."""

    SERVICE = "service"
    RATE_LIMIT = "rate_limit"
    BUCKET = "bucket"
    MESSAGING_CONFIGURATION = "messaging_configuration"
    WEBHOOK = "webhook"


SERVICE_PARAMETERS = (
    "friendly_name",
    "code_length",
    "lookup_enabled",
    "skip_sms_to_landlines",
    "dtmf_input_required",
    "tts_name",
    "psd2_enabled",
    "do_not_share_warning_enabled",
    "custom_code_enabled",
    "push_include_date",
    "push_apn_credential_sid",
    "push_fcm_credential_sid",
    "totp_issuer",
    "totp_time_step",
    "totp_code_length",
    "totp_skew",
    "default_template_sid",
    "whatsapp_msg_service_sid",
    "whatsapp_from",
    "passkeys_relying_party_id",
    "passkeys_relying_party_name",
    "passkeys_relying_party_origins",
    "passkeys_authenticator_attachment",
    "passkeys_discoverable_credentials",
    "passkeys_user_verification",
    "verify_event_subscription_enabled",
)
"""All that creating or updating a Service takes, in the SDK's words
(https://www.twilio.com/docs/verify/api/service).
"""


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing at the provider, or one that should be there.

    ``name``: its natural name: of a rate limit ``unique_name``, of a bucket ``interval`` in seconds as text, of a
    messaging configuration ``country``, of a webhook ``friendly_name``; ``""`` for the Service. ``values``: its other
    parameters. ``sid``: what the API calls it, ``""`` while it is not there. ``parent`` and ``parent_sid``: name and
    SID of the rate limit that a bucket belongs to.
    """

    kind: Kind
    name: str
    values: Mapping[str, Value] = field(default_factory=dict)
    sid: str = ""
    parent: str = ""
    parent_sid: str = ""

    @property
    def key(self) -> tuple[Kind, str, str]:
        """By what it is found again."""
        return self.kind, self.parent, self.name


class AdministrationError(Exception):
    """The provider did not do it. ``str()`` is for the operator: it holds no secret, and no line breaks.

    ``status``: of HTTP, ``code``: the provider's number; 0 where there is none.
    """

    def __init__(self, sentence: str, *, status: int = 0, code: int = 0) -> None:
        self.status = status
        self.code = code
        super().__init__(sentence)


class Refused(AdministrationError):
    """It said no: nothing was done, and asking again changes nothing."""


class Unreachable(AdministrationError):
    """It did not answer, not in a way that can be read, or not now. It may have been done all the same."""


Progress = Callable[[int], None]
"""Is called with how many resources were read so far."""


class Administration(ABC):
    """What sets up one Service of one account. Every method may raise ``Refused`` and ``Unreachable``, and none repeats
    a request by itself.
    """

    account_sid: str
    service_sid: str

    @abstractmethod
    def of(self, service_sid: str) -> Self:
        """The same account's other Service."""

    @abstractmethod
    def services(self) -> Mapping[str, str]:
        """The friendly names of all Services of the account, by SID."""

    @abstractmethod
    def read(self, progress: Progress) -> list[Resource]:
        """All that is there: the Service first, buckets after their rate limit."""

    @abstractmethod
    def create(self, wanted: Resource) -> str:
        """Make ``wanted``, a Service too. Returns its SID."""

    @abstractmethod
    def change(self, current: Resource, values: Mapping[str, Value]) -> None:
        """Set ``values`` of what is there; those not named stay. Of a bucket, ``interval`` too."""

    @abstractmethod
    def remove(self, current: Resource) -> None:
        """Delete it, with what belongs to it. What is gone already is no error. Never a Service."""
