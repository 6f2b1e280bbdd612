"""Verify's factors through the official SDK: Entities, Factors, Challenges, Notifications, AccessTokens and Passkeys.

A half of ``TwilioBackend``. Of the SDK's traps it steps round these: the Passkeys endpoints are JSON and only right in
its sync client; ``new_challenge`` has to be called, and needs an argument; identities and SIDs go into paths unquoted;
a next page's address is followed whatever its host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from django.views.decorators.debug import sensitive_variables

from ...choices import FactorKind
from .. import webauthn
from ..factor_base import Answer, FactorBackend
from ..factor_options import (
    NO_DETAILS,
    ChallengeDetails,
    FactorOptions,
    PasskeyOptions,
    PushOptions,
    TotpOptions,
    check_identity,
    check_name,
    is_identity,
    options_for,
)
from ..factor_results import (
    AccessToken,
    ChallengeStatus,
    EntitiesPage,
    FactorStatus,
    ProviderChallenge,
    ProviderEntity,
    ProviderFactor,
    ProviderNotification,
)
from ..options import IncompatibleOptions
from .errors import ALREADY_THERE, TYPES, VerifyError, called, found, judged_challenge, judged_factor
from .factor_responses import (
    challenge_of,
    entity_of,
    factor_of,
    is_sid,
    made_challenge,
    made_factor,
    notification_of,
    said_of_challenge,
    said_of_factor,
    token_of,
)

if TYPE_CHECKING:
    from twilio.rest.verify.v2 import V2

T = TypeVar("T")

PAGE_SIZE = 100
"""Factors asked for in one request; a person has 120 at most."""
MAX_PAGES = 20


class TwilioFactors(FactorBackend):
    """The factors of one Verify Service. Lives in ``TwilioBackend``, whose requests it makes."""

    factor_kinds = frozenset({FactorKind.TOTP, FactorKind.PUSH, FactorKind.PASSKEY})

    if TYPE_CHECKING:

        def _request(self, action: Callable[[V2], T]) -> T: ...
        def _service(self, verify: V2) -> Any: ...

    @sensitive_variables()
    def enroll(
        self, identity: str, kind: FactorKind, *, name: str, options: FactorOptions | None = None
    ) -> ProviderFactor:
        check_identity(identity)
        check_name(name)
        wanted = options_for(kind, options)
        if isinstance(wanted, PasskeyOptions):
            payload = {"friendly_name": name, "identity": identity, "config": wanted.config() or None}
            return self._told(lambda verify: self._new_passkey(verify, payload))
        parameters = {"friendly_name": name, "factor_type": TYPES[kind], **_factor_parameters(wanted)}
        return self._told(lambda verify: self._new_factor(verify, identity, parameters))

    @sensitive_variables()
    def confirm(self, identity: str, factor_sid: str, answer: Answer) -> ProviderFactor:
        if not _names(identity, "YF", factor_sid):
            return ProviderFactor(factor_sid, FactorStatus.GONE)
        if isinstance(answer, str):
            code = answer
            return self._about_factor(
                identity,
                factor_sid,
                lambda verify: self._factor(verify, identity, factor_sid).update(auth_payload=code),
            )
        payload = webauthn.credential(answer)
        return self._about_factor(identity, factor_sid, lambda verify: self._verified_passkey(verify, payload))

    @sensitive_variables()
    def challenge(
        self,
        identity: str,
        kind: FactorKind,
        *,
        factor_sid: str = "",
        code: str = "",
        details: ChallengeDetails = NO_DETAILS,
    ) -> ProviderChallenge:
        if kind is FactorKind.PASSKEY:
            return self._passkey_challenge(identity, factor_sid)
        if not _names(identity, "YF", factor_sid):
            return ProviderChallenge("", ChallengeStatus.GONE)
        parameters = {"factor_sid": factor_sid, **_challenge_parameters(code, details)}

        def made(verify: V2) -> ProviderChallenge:
            answer = self._entity(verify, identity).challenges.create(**parameters)
            return made_challenge(answer, identity, factor_sid)

        return judged_challenge(lambda: self._request(made))

    @sensitive_variables()
    def answer(
        self,
        identity: str,
        challenge_sid: str,
        answer: Answer,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> ProviderChallenge:
        if not isinstance(answer, str):
            return self._passkey_answer(identity, challenge_sid, webauthn.credential(answer))
        parameters = {"auth_payload": answer, **({"metadata": dict(metadata)} if metadata else {})}
        return self._about_challenge(
            identity,
            challenge_sid,
            lambda verify: self._challenge(verify, identity, challenge_sid).update(**parameters),
        )

    def poll(self, identity: str, challenge_sid: str) -> ProviderChallenge:
        return self._about_challenge(
            identity, challenge_sid, lambda verify: self._challenge(verify, identity, challenge_sid).fetch()
        )

    def notify(self, identity: str, challenge_sid: str, *, ttl: int | None = None) -> ProviderNotification:
        check_identity(identity)
        given = {} if ttl is None else {"ttl": ttl}

        def pushed(verify: V2) -> ProviderNotification:
            if not is_sid("YC", challenge_sid):
                raise VerifyError(404, 20404)  # SECURITY: never part of a path
            answer = self._challenge(verify, identity, challenge_sid).notifications.create(**given)
            return notification_of(answer, challenge_sid)

        return self._told(pushed)

    def factor(self, identity: str, factor_sid: str) -> ProviderFactor:
        if not _names(identity, "YF", factor_sid):
            return ProviderFactor(factor_sid, FactorStatus.GONE)
        return self._about_factor(
            identity, factor_sid, lambda verify: self._factor(verify, identity, factor_sid).fetch()
        )

    def factors(self, identity: str) -> tuple[ProviderFactor, ...]:
        if not is_identity(identity):
            return ()

        def listed(verify: V2) -> tuple[ProviderFactor, ...]:
            return tuple(factor_of(one) for one in _every(self._entity(verify, identity).factors))

        return self._found(listed) or ()

    @sensitive_variables()
    def update_factor(
        self, identity: str, factor_sid: str, *, name: str = "", options: FactorOptions | None = None
    ) -> ProviderFactor:
        if not _names(identity, "YF", factor_sid):
            return ProviderFactor(factor_sid, FactorStatus.GONE)
        parameters = {**({"friendly_name": check_name(name)} if name else {}), **_update_parameters(options)}
        return self._about_factor(
            identity, factor_sid, lambda verify: self._factor(verify, identity, factor_sid).update(**parameters)
        )

    def remove(self, identity: str, factor_sid: str) -> bool:
        if not _names(identity, "YF", factor_sid):
            return False
        return bool(self._found(lambda verify: self._factor(verify, identity, factor_sid).delete()))

    def challenges(
        self, identity: str, *, factor_sid: str = "", status: ChallengeStatus | None = None, limit: int = 50
    ) -> tuple[ProviderChallenge, ...]:
        if not is_identity(identity) or (factor_sid and not is_sid("YF", factor_sid)):
            return ()
        filters: dict[str, Any] = {"order": "desc", "page_size": min(limit, PAGE_SIZE)}
        filters |= {"factor_sid": factor_sid} if factor_sid else {}
        filters |= {"status": status.value} if status else {}

        def listed(verify: V2) -> tuple[ProviderChallenge, ...]:
            several = _every(self._entity(verify, identity).challenges, **filters)
            return tuple(challenge_of(one) for one, _ in zip(several, range(limit), strict=False))

        return self._found(listed) or ()

    def create_entity(self, identity: str) -> ProviderEntity:
        check_identity(identity)

        def made() -> ProviderEntity:
            try:
                return self._request(lambda verify: entity_of(self._service(verify).entities.create(identity)))
            except VerifyError as error:
                if error.code not in ALREADY_THERE:  # there is one already, which is what was wanted
                    raise
            return self._request(lambda verify: entity_of(self._entity(verify, identity).fetch()))

        return called(made)

    def entity(self, identity: str) -> ProviderEntity | None:
        if not is_identity(identity):
            return None
        return self._found(lambda verify: entity_of(self._entity(verify, identity).fetch()))

    def entities(self, *, page: str = "", size: int = 200) -> EntitiesPage:
        def listed(verify: V2) -> EntitiesPage:
            got = self._service(verify).entities.page(page_size=size, **_place(page))
            return EntitiesPage(tuple(entity_of(one) for one in got), _next_place(got))

        return self._told(listed)

    def remove_entity(self, identity: str) -> bool:
        if not is_identity(identity):
            return False
        return bool(self._found(lambda verify: self._entity(verify, identity).delete()))

    @sensitive_variables()
    def access_token(self, identity: str, *, name: str = "", ttl: int | None = None) -> AccessToken:
        check_identity(identity)
        given: dict[str, Any] = {"factor_friendly_name": check_name(name)} if name else {}
        given |= {} if ttl is None else {"ttl": ttl}
        return self._told(
            lambda verify: token_of(self._service(verify).access_tokens.create(identity, "push", **given), identity)
        )

    @sensitive_variables()
    def fetch_access_token(self, sid: str) -> AccessToken | None:
        if not is_sid("YK", sid):
            return None
        return self._found(lambda verify: token_of(self._service(verify).access_tokens(sid).fetch()))

    def _told(self, question: Callable[[V2], T]) -> T:
        return called(lambda: self._request(question))

    def _found(self, question: Callable[[V2], T]) -> T | None:
        return found(lambda: self._request(question))

    def _entity(self, verify: V2, identity: str) -> Any:
        return self._service(verify).entities(identity)

    def _factor(self, verify: V2, identity: str, sid: str) -> Any:
        return self._entity(verify, identity).factors(sid)

    def _challenge(self, verify: V2, identity: str, sid: str) -> Any:
        return self._entity(verify, identity).challenges(sid)

    def _new_factor(self, verify: V2, identity: str, parameters: Mapping[str, Any]) -> ProviderFactor:
        return made_factor(self._entity(verify, identity).new_factors.create(**parameters), identity)

    def _new_passkey(self, verify: V2, payload: dict[str, Any]) -> ProviderFactor:
        from twilio.rest.verify.v2.service.new_factor import NewFactorList

        body = NewFactorList.CreateNewPasskeysFactorRequest(payload)
        return made_factor(self._service(verify).new_factors.create(body), payload["identity"])

    def _verified_passkey(self, verify: V2, payload: dict[str, Any]) -> Any:
        from twilio.rest.verify.v2.service.new_verify_factor import NewVerifyFactorList

        body = NewVerifyFactorList.VerifyPasskeysFactorRequest(payload)
        return self._service(verify).new_verify_factors.update(body)

    def _passkey_challenge(self, identity: str, factor_sid: str) -> ProviderChallenge:
        if (identity and not is_identity(identity)) or (factor_sid and not is_sid("YF", factor_sid)):
            return ProviderChallenge("", ChallengeStatus.GONE)
        payload = {"identity": identity or None, "factor_sid": factor_sid or None}

        def created(verify: V2) -> ProviderChallenge:
            from twilio.rest.verify.v2.service.new_challenge import NewChallengeList

            body = NewChallengeList.CreatePasskeysChallengeRequest(payload)
            return made_challenge(self._service(verify).new_challenge().create(body), identity, factor_sid)

        return judged_challenge(lambda: self._request(created))

    def _passkey_answer(self, identity: str, sid: str, payload: dict[str, Any]) -> ProviderChallenge:
        if not is_sid("YC", sid) or (identity and not is_identity(identity)):
            return ProviderChallenge(sid, ChallengeStatus.GONE)

        def approved(verify: V2) -> ProviderChallenge:
            from twilio.rest.verify.v2.service.approve_challenge import ApproveChallengeList

            body = ApproveChallengeList.ApprovePasskeysChallengeRequest(payload)
            return said_of_challenge(self._service(verify).approve_challenge.update(body), identity, sid)

        return judged_challenge(lambda: self._request(approved), sid)

    def _about_factor(self, identity: str, sid: str, question: Callable[[V2], Any]) -> ProviderFactor:
        return judged_factor(lambda: self._request(lambda verify: said_of_factor(question(verify), identity, sid)), sid)

    def _about_challenge(self, identity: str, sid: str, question: Callable[[V2], Any]) -> ProviderChallenge:
        if not _names(identity, "YC", sid):
            return ProviderChallenge(sid, ChallengeStatus.GONE)
        return judged_challenge(
            lambda: self._request(lambda verify: said_of_challenge(question(verify), identity, sid)), sid
        )


def _factor_parameters(options: FactorOptions) -> dict[str, Any]:
    """The parameters of a new TOTP or push factor, those given, by the SDK's names."""
    if isinstance(options, TotpOptions):
        parameters = {
            "binding_secret": options.secret,
            "config_time_step": options.time_step,
            "config_skew": options.skew,
            "config_code_length": options.code_length,
            "config_alg": options.alg,
        }
    elif isinstance(options, PushOptions):
        parameters = {
            "binding_alg": options.alg,
            "binding_public_key": options.public_key,
            "config_app_id": options.app_id,
            "config_notification_platform": options.platform,
            "config_notification_token": options.token,
            "config_sdk_version": options.sdk_version,
        }
    else:
        raise IncompatibleOptions("A passkey is asked for in another way.")
    return _given({**parameters, "metadata": dict(options.metadata)})


def _update_parameters(options: FactorOptions | None) -> dict[str, Any]:
    """Those of the above that a factor can be given later."""
    if options is None:
        return {}
    parameters = _factor_parameters(options)
    return {name: value for name, value in parameters.items() if name.startswith("config_") and name != "config_app_id"}


def _challenge_parameters(code: str, details: ChallengeDetails) -> dict[str, Any]:
    expires = details.expires_at
    return _given(
        {
            "auth_payload": code,
            "details_message": details.message,
            "details_fields": [{"label": label, "value": value} for label, value in details.fields.items()],
            "hidden_details": dict(details.hidden),
            # The SDK writes "Z" behind whatever time it is given.
            "expiration_date": expires.astimezone(UTC) if expires else None,
        }
    )


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value not in ("", None, [], {})}


def _every(resource: Any, **filters: Any) -> Iterator[Any]:
    """What a list resource has, page after page.

    SECURITY: not the SDK's own ``stream``: that follows whatever address an answer gives for the next page, with the
    credentials. Of the address only the place in the list is taken.
    """
    place, size = "", filters.pop("page_size", PAGE_SIZE)
    for _ in range(MAX_PAGES):
        page = resource.page(page_size=size, **filters, **_place(place))
        yield from page
        place = _next_place(page)
        if not place:
            return


def _next_place(page: Any) -> str:
    query = parse_qs(urlsplit(page.next_page_url or "").query)
    place: dict[str, str] = {name: query[name][0] for name in ("PageToken", "Page") if name in query}
    return urlencode(place)


def _place(place: str) -> dict[str, str]:
    names = {"PageToken": "page_token", "Page": "page_number"}
    return {names[name]: value for name, value in parse_qsl(place) if name in names}


def _names(identity: str, prefix: str, sid: str) -> bool:
    """Whether both can be part of a path. SECURITY: nothing else ever is; Twilio has nothing by another name anyway."""
    return is_identity(identity) and is_sid(prefix, sid)
