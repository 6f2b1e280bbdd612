"""Administration of a Verify Service through the SDK: ``TwilioBackend.administration`` makes it.

It knows the names of the SDK's resources, and not the SDK: what it asks, it asks through the backend's own client.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ..service import SERVICE_PARAMETERS, Administration, Kind, Progress, Refused, Resource, Unreachable, Value
from .errors import Reaction, Unanswered, VerifyError, row_for

if TYPE_CHECKING:
    from twilio.rest.verify.v2 import V2

T = TypeVar("T")
Ask = Callable[[Callable[["V2"], Any]], Any]

PAGE_SIZE = 100

# Where a Service says what these parameters have set (https://www.twilio.com/docs/verify/api/service).
_NESTED: Mapping[str, tuple[str, ...]] = {
    "push_include_date": ("push", "include_date"),
    "push_apn_credential_sid": ("push", "apn_credential_sid"),
    "push_fcm_credential_sid": ("push", "fcm_credential_sid"),
    "totp_issuer": ("totp", "issuer"),
    "totp_time_step": ("totp", "time_step"),
    "totp_code_length": ("totp", "code_length"),
    "totp_skew": ("totp", "skew"),
    "whatsapp_msg_service_sid": ("whatsapp", "msg_service_sid"),
    "whatsapp_from": ("whatsapp", "from"),
    "passkeys_relying_party_id": ("passkeys", "relying_party", "id"),
    "passkeys_relying_party_name": ("passkeys", "relying_party", "name"),
    "passkeys_relying_party_origins": ("passkeys", "relying_party", "origins"),
    "passkeys_authenticator_attachment": ("passkeys", "authenticator_attachment"),
    "passkeys_discoverable_credentials": ("passkeys", "discoverable_credentials"),
    "passkeys_user_verification": ("passkeys", "user_verification"),
}
_LISTS = ("passkeys_relying_party_origins", "event_types")


@dataclass(frozen=True, slots=True)
class _Shape:
    """How the SDK knows a kind: ``collection`` of its parent, the field of its ``name``, its other fields, and what
    stands in its URL.
    """

    collection: str
    name: str
    fields: tuple[str, ...]
    url: str = "sid"


_SHAPES: Mapping[Kind, _Shape] = {
    Kind.RATE_LIMIT: _Shape("rate_limits", "unique_name", ("description",)),
    Kind.BUCKET: _Shape("buckets", "interval", ("max",)),
    # It has no SID: the country names it.
    Kind.MESSAGING_CONFIGURATION: _Shape(
        "messaging_configurations", "country", ("messaging_service_sid",), url="country"
    ),
    Kind.WEBHOOK: _Shape("webhooks", "friendly_name", ("event_types", "webhook_url", "status", "version")),
}


@dataclass(frozen=True, slots=True)
class TwilioAdministration(Administration):
    """``ask``: calls its argument with the SDK's ``V2``, and raises ``VerifyError`` and ``Unanswered``."""

    ask: Ask
    account_sid: str
    service_sid: str

    def __repr__(self) -> str:
        return f"<TwilioAdministration {self.service_sid}>"

    def of(self, service_sid: str) -> Self:
        return type(self)(self.ask, self.account_sid, service_sid)

    def services(self) -> Mapping[str, str]:
        found = self._asked(lambda verify: verify.services.list(page_size=PAGE_SIZE))
        return {str(one.sid): str(one.friendly_name or "") for one in found}

    def read(self, progress: Progress) -> list[Resource]:
        resources: list[Resource] = []
        for one in self._reading():
            resources.append(one)
            progress(len(resources))
        return resources

    def create(self, wanted: Resource) -> str:
        shape = _SHAPES.get(wanted.kind)
        values = _told({shape.name: wanted.name, **wanted.values} if shape else wanted.values)
        made = self._asked(lambda verify: self._collection(verify, wanted.kind, wanted.parent_sid).create(**values))
        sid = str(getattr(made, shape.url if shape else "sid") or "")
        if not re.fullmatch("[A-Z]{2}[0-9a-fA-F]{32}|[A-Z]{2}|all", sid):
            raise Unreachable("Twilio's answer does not name what was made.")
        return sid

    def change(self, current: Resource, values: Mapping[str, Value]) -> None:
        self._asked(lambda verify: self._one(verify, current).update(**_told(values)))

    def remove(self, current: Resource) -> None:
        if current.kind is Kind.SERVICE:
            raise ValueError("A Service is removed in the Twilio Console, by somebody who has thought about it.")
        try:
            self._asked(lambda verify: self._one(verify, current).delete())
        except Refused as error:
            if error.status != 404:
                raise

    def _reading(self) -> Iterator[Resource]:
        yield self._service()
        for limit in self._listed(Kind.RATE_LIMIT):
            yield limit
            yield from self._listed(Kind.BUCKET, limit)
        yield from self._listed(Kind.MESSAGING_CONFIGURATION)
        yield from self._listed(Kind.WEBHOOK)

    def _service(self) -> Resource:
        found = self._asked(lambda verify: verify.services(self.service_sid).fetch())
        if found.sid != self.service_sid:
            raise Unreachable("Twilio's answer is not about the Service that was asked for.")
        if found.account_sid != self.account_sid:
            raise Refused(f"The Service is of the account {found.account_sid}, and account_sid says another.")
        values = {name: _value(name, _nested(found, name)) for name in SERVICE_PARAMETERS}
        return Resource(Kind.SERVICE, "", values, sid=self.service_sid)

    def _listed(self, kind: Kind, parent: Resource | None = None) -> list[Resource]:
        shape = _SHAPES[kind]
        parent_sid, parent_name = (parent.sid, parent.name) if parent else ("", "")
        found = self._asked(lambda verify: self._collection(verify, kind, parent_sid).list(page_size=PAGE_SIZE))
        return [
            Resource(
                kind,
                str(getattr(one, shape.name)),
                {field: _value(field, getattr(one, field)) for field in shape.fields},
                sid=str(getattr(one, shape.url)),
                parent=parent_name,
                parent_sid=parent_sid,
            )
            for one in found
        ]

    def _collection(self, verify: V2, kind: Kind, parent_sid: str) -> Any:
        if kind is Kind.SERVICE:
            return verify.services
        service: Any = verify.services(self.service_sid)
        owner = service.rate_limits(parent_sid) if kind is Kind.BUCKET else service
        return getattr(owner, _SHAPES[kind].collection)

    def _one(self, verify: V2, current: Resource) -> Any:
        return self._collection(verify, current.kind, current.parent_sid)(current.sid)

    def _asked(self, question: Callable[[V2], T]) -> T:
        try:
            answer: T = self.ask(question)
        except VerifyError as error:
            failure: Exception = _failure(error)
        except Unanswered:
            failure = Unreachable("Twilio did not answer, or not in a way that can be read.")
        except (AttributeError, KeyError, TypeError) as error:
            # JSON, but not of the shape that the SDK reads: a list of texts, say.
            failure = Unreachable(f"Twilio's answer cannot be read ({type(error).__name__}).")
        else:
            return answer
        # SECURITY: outside the `except`: the SDK's frames hold the credentials and do not come along.
        raise failure


def _told(values: Mapping[str, Value]) -> dict[str, Any]:
    """``values`` as the SDK's keywords."""
    return {_KEYWORDS.get(name, name): _TELLERS.get(name, _as_it_is)(value) for name, value in values.items()}


def _as_it_is(value: Any) -> Any:
    return value


_KEYWORDS = {"version": "resource_version"}  # the SDK keeps "version" for its own
_TELLERS: Mapping[str, Callable[[Any], Any]] = {
    "passkeys_relying_party_origins": ",".join,
    "event_types": list,
    "interval": int,
}


def _nested(found: Any, name: str) -> Any:
    if name not in _NESTED:
        return getattr(found, name)
    first, *rest = _NESTED[name]
    value = getattr(found, first)
    for key in rest:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _value(name: str, given: Any) -> Value:
    if name in _LISTS:
        parts = given.split(",") if isinstance(given, str) else given or ()
        return tuple(str(part).strip() for part in parts if str(part).strip())
    return given if isinstance(given, (str, int)) else None


def _failure(error: VerifyError) -> Refused | Unreachable:
    """What the operator is told. Twilio's own sentence comes along: what it quotes are settings, never a recipient."""
    row = row_for(error.status, error.code)
    said = " ".join(re.sub(r"[^ -~]+", " ", error.message).split())[:300]
    sentence = row.sentence + (f' Twilio says: "{said}"' if said else "")
    kind = Unreachable if row.reaction in (Reaction.WAIT, Reaction.TRANSIENT) else Refused
    return kind(sentence, status=error.status, code=error.code)
