"""Factors in this process's memory: the half of ``LocMemBackend`` that is about them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

from django.views.decorators.debug import sensitive_variables

from ..choices import FactorKind
from . import webauthn
from .factor_base import Answer, FactorBackend
from .factor_options import (
    NO_DETAILS,
    ChallengeDetails,
    FactorOptions,
    PasskeyOptions,
    PushOptions,
    TotpOptions,
    check_identity,
    check_name,
    options_for,
)
from .factor_results import (
    AccessToken,
    ChallengeStatus,
    EntitiesPage,
    ProviderChallenge,
    ProviderEntity,
    ProviderFactor,
    ProviderNotification,
)
from .options import IncompatibleOptions
from .simulator import es256
from .simulator.factor_records import Notification
from .simulator.factors import FactorSimulator
from .simulator.passkey_judge import installed_judge
from .twilio.errors import ALREADY_THERE, TYPES, VerifyError, called, found, judged_challenge, judged_factor
from .twilio.factor_responses import (
    challenge_of,
    entity_of,
    factor_of,
    made_challenge,
    made_factor,
    notification_of,
    said_of_challenge,
    said_of_factor,
    token_of,
)

T = TypeVar("T")

KEPT = 100
"""Notifications kept; the oldest go first."""


class LocMemFactors(FactorBackend):
    """``factor_simulator`` is the part of the Service that is about factors: its settings are there. ``notifications``
    has what phones would have been pushed, oldest first.

    Authenticator apps work always, push with the package ``cryptography``, passkeys with ``webauthn``.
    """

    factor_kinds = frozenset(
        kind
        for kind, works in (
            (FactorKind.TOTP, True),
            (FactorKind.PUSH, es256.is_available()),
            (FactorKind.PASSKEY, installed_judge() is not None),
        )
        if works
    )
    notifications: deque[Notification]
    factor_simulator: FactorSimulator

    if TYPE_CHECKING:
        alias: str

        def _served(self, work: Callable[[], T]) -> T: ...

    def begin_factors(self) -> None:
        """To be called once, when the backend is made."""
        self.notifications = deque(maxlen=KEPT)
        self.factor_simulator = FactorSimulator(self.alias, notified=self.notified)

    def reset_factors(self) -> None:
        """Forget every person, factor, challenge and notification."""
        self.factor_simulator.reset()
        self.notifications.clear()

    def notified(self, notification: Notification) -> None:
        """What becomes of a push notification: here it is kept in ``notifications``."""
        self.notifications.append(notification)

    @sensitive_variables()
    def enroll(
        self, identity: str, kind: FactorKind, *, name: str, options: FactorOptions | None = None
    ) -> ProviderFactor:
        check_identity(identity)
        check_name(name)
        wanted = options_for(kind, options)
        if isinstance(wanted, PasskeyOptions):
            config = wanted.config()
            return self._told(
                lambda: self.factor_simulator.create_passkey(identity, name, config),
                lambda answer: made_factor(answer, identity),
            )
        binding, config = _parts(wanted)
        metadata = dict(wanted.metadata)
        return self._told(
            lambda: self.factor_simulator.create_factor(
                identity, name, TYPES[kind], binding=binding, config=config, metadata=metadata
            ),
            lambda answer: made_factor(answer, identity),
        )

    @sensitive_variables()
    def confirm(self, identity: str, factor_sid: str, answer: Answer) -> ProviderFactor:
        if isinstance(answer, str):
            payload = answer
            return self._about_factor(
                identity,
                factor_sid,
                lambda: self.factor_simulator.update_factor(identity, factor_sid, auth_payload=payload),
            )
        credential = webauthn.credential(answer)
        return self._about_factor(identity, factor_sid, lambda: self.factor_simulator.verify_passkey(credential))

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
        def made() -> dict[str, Any]:
            if kind is FactorKind.PASSKEY:
                return self.factor_simulator.create_passkey_challenge(identity, factor_sid)
            return self.factor_simulator.create_challenge(
                identity,
                factor_sid,
                auth_payload=code,
                message=details.message,
                fields=[{"label": label, "value": value} for label, value in details.fields.items()],
                hidden=details.hidden,
                expires=details.expires_at,
            )

        return judged_challenge(lambda: made_challenge(self._served_answer(made), identity, factor_sid))

    @sensitive_variables()
    def answer(
        self,
        identity: str,
        challenge_sid: str,
        answer: Answer,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> ProviderChallenge:
        if isinstance(answer, str):
            payload = answer
            return self._about_challenge(
                identity,
                challenge_sid,
                lambda: self.factor_simulator.update_challenge(
                    identity, challenge_sid, auth_payload=payload, metadata=metadata
                ),
            )
        credential = webauthn.credential(answer)
        return self._about_challenge(identity, challenge_sid, lambda: self.factor_simulator.approve_passkey(credential))

    def poll(self, identity: str, challenge_sid: str) -> ProviderChallenge:
        return self._about_challenge(
            identity, challenge_sid, lambda: self.factor_simulator.challenge(identity, challenge_sid)
        )

    def notify(self, identity: str, challenge_sid: str, *, ttl: int | None = None) -> ProviderNotification:
        check_identity(identity)
        return self._told(
            lambda: self.factor_simulator.notify(identity, challenge_sid, ttl=ttl),
            lambda answer: notification_of(answer, challenge_sid),
        )

    def factor(self, identity: str, factor_sid: str) -> ProviderFactor:
        return self._about_factor(identity, factor_sid, lambda: self.factor_simulator.factor(identity, factor_sid))

    def factors(self, identity: str) -> tuple[ProviderFactor, ...]:
        several = found(lambda: self._served(lambda: self.factor_simulator.factors(identity)))
        return tuple(factor_of(SimpleNamespace(**one)) for one in several or ())

    @sensitive_variables()
    def update_factor(
        self, identity: str, factor_sid: str, *, name: str = "", options: FactorOptions | None = None
    ) -> ProviderFactor:
        _, config = _parts(options) if options is not None else ({}, {})
        text = check_name(name) if name else ""
        return self._about_factor(
            identity,
            factor_sid,
            lambda: self.factor_simulator.update_factor(identity, factor_sid, name=text, config=config),
        )

    def remove(self, identity: str, factor_sid: str) -> bool:
        return self._removed(lambda: self.factor_simulator.delete_factor(identity, factor_sid))

    def challenges(
        self, identity: str, *, factor_sid: str = "", status: ChallengeStatus | None = None, limit: int = 50
    ) -> tuple[ProviderChallenge, ...]:
        word = status.value if status else ""
        several = found(
            lambda: self._served(lambda: self.factor_simulator.challenges(identity, factor_sid=factor_sid, status=word))
        )
        newest_first = [*reversed(several or ())]
        return tuple(challenge_of(SimpleNamespace(**one)) for one in newest_first[:limit])

    def create_entity(self, identity: str) -> ProviderEntity:
        check_identity(identity)

        def made() -> dict[str, Any]:
            try:
                return self.factor_simulator.create_entity(identity)
            except VerifyError as error:
                if error.code not in ALREADY_THERE:  # there is one already, which is what was wanted
                    raise
            return self.factor_simulator.entity(identity)

        return self._told(made, entity_of)

    def entity(self, identity: str) -> ProviderEntity | None:
        return found(lambda: entity_of(self._served_answer(lambda: self.factor_simulator.entity(identity))))

    def entities(self, *, page: str = "", size: int = 200) -> EntitiesPage:
        several = called(lambda: self._served(self.factor_simulator.entities))
        first = int(page or 0)
        more = str(first + size) if len(several) > first + size else ""
        return EntitiesPage(tuple(entity_of(SimpleNamespace(**one)) for one in several[first : first + size]), more)

    def remove_entity(self, identity: str) -> bool:
        return self._removed(lambda: self.factor_simulator.delete_entity(identity))

    @sensitive_variables()
    def access_token(self, identity: str, *, name: str = "", ttl: int | None = None) -> AccessToken:
        check_identity(identity)
        text = check_name(name) if name else ""
        return self._told(
            lambda: self.factor_simulator.create_token(identity, "push", name=text, ttl=ttl),
            lambda answer: token_of(answer, identity),
        )

    @sensitive_variables()
    def fetch_access_token(self, sid: str) -> AccessToken | None:
        return found(lambda: token_of(self._served_answer(lambda: self.factor_simulator.token(sid))))

    def _served_answer(self, work: Callable[[], dict[str, Any]]) -> SimpleNamespace:
        return SimpleNamespace(**self._served(work))

    def _told(self, work: Callable[[], dict[str, Any]], read: Callable[[SimpleNamespace], T]) -> T:
        return called(lambda: read(self._served_answer(work)))

    def _about_factor(self, identity: str, sid: str, work: Callable[[], dict[str, Any]]) -> ProviderFactor:
        return judged_factor(lambda: said_of_factor(self._served_answer(work), identity, sid), sid)

    def _about_challenge(self, identity: str, sid: str, work: Callable[[], dict[str, Any]]) -> ProviderChallenge:
        return judged_challenge(lambda: said_of_challenge(self._served_answer(work), identity, sid), sid)

    def _removed(self, work: Callable[[], None]) -> bool:
        def done() -> bool:
            work()
            return True

        return bool(found(lambda: self._served(done)))


def _parts(options: FactorOptions) -> tuple[dict[str, str], dict[str, Any]]:
    """``binding`` and ``config`` of a TOTP or push factor."""
    if isinstance(options, TotpOptions):
        config = {
            "time_step": options.time_step,
            "skew": options.skew,
            "code_length": options.code_length,
            "alg": options.alg,
        }
        return {"secret": options.secret}, config
    if isinstance(options, PushOptions):
        config = {
            "app_id": options.app_id,
            "notification_platform": options.platform,
            "notification_token": options.token,
            "sdk_version": options.sdk_version,
        }
        return {"alg": options.alg, "public_key": options.public_key}, config
    raise IncompatibleOptions("A passkey has no such options.")
