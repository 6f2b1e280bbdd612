"""Verify's factors in memory: the rules of Twilio's Entities, Factors, Challenges, AccessTokens and Passkeys.

``LocMemBackend``, ``ConsoleBackend`` and ``testing.VerifyServer`` are skins on it, as on ``VerifySimulator``. Answers
are the bodies that Twilio would send; refusals are ``errors.VerifyError``. Codes, signatures, attestations and
assertions are judged for real.

Not documented by Twilio, and chosen here: a wrong code at the making of a challenge leaves it pending; a code of a time
step that was used is wrong; a phone confirms its factor by its signature (DER, base64) of the factor's SID, and answers
a challenge by a JSON Web Token (ES256) of ``SIGNED`` and ``status``, both as the source of Twilio's Android library
does; what is wrong with a passkey is 60386 or 60381, whatever it is.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from threading import RLock
from typing import Any
from uuid import uuid4

from ..factor_options import MAX_HIDDEN, MAX_METADATA, MAX_NAME, PasskeyOptions, is_identity
from ..twilio.errors import VerifyError
from . import es256, totp
from .factor_records import (
    KEPT_CHALLENGES,
    Challenge,
    Entity,
    Factor,
    Notification,
    Place,
    Token,
    creation_options,
    new_sid,
    request_options,
)
from .factor_rules import (
    details_of,
    expiry,
    for_judge,
    forget_before,
    invalid,
    is_own_signature,
    missing,
    number,
    otpauth,
    push_config,
    read_passkey_config,
    response_of,
    signed_sid,
    small_object,
    text,
    totp_config,
    unauthorised,
)
from .passkey_judge import Credential, PasskeyJudge, PasskeyRefused, installed_judge

HOUR, DAY = 3600, 86_400
MAX_TRIES = 5
MAX_FACTORS = {"totp": 100, "push": 20, "passkeys": 100}
MAX_FACTORS_A_DAY = 100
CHALLENGES_AN_HOUR, CHALLENGES_A_DAY, CHALLENGES_OF_SHORT_CODES_A_DAY = 50, 100, 10
SHORT_CODE = 4
MAX_NOTIFICATIONS = 3
UNVERIFIED_LIVES = DAY
"""Twilio says that an unverified factor goes "1 to 24 hours after creation" (error 60318)."""
PASSKEY_LIVES = 600
SIGNED = (
    "account_sid",
    "date_created",
    "details",
    "entity_sid",
    "expiration_date",
    "factor_sid",
    "hidden_details",
    "identity",
    "service_sid",
    "sid",
)
"""What of a challenge a phone signs, beside its answer. Twilio names it in a header of each challenge."""
KEPT_EVENTS = 1000


class FactorSimulator:
    """The factors of one Verify Service. Safe to call from several threads.

    ``issuer``, ``time_step``, ``code_length``, ``skew``: of its authenticator apps. ``passkeys``: its relying party; by
    default it has none, and each request has to bring its own. ``judge``: of passkeys, ``None`` if ``webauthn`` is not
    installed. ``clock``: seconds since 1970. ``place``: the account and Service that answers name. ``notified`` is
    called with each ``Notification``, ``happened`` with the parameters of each webhook, both outside the lock;
    ``events`` has the latest of these, oldest first. All may be changed at any time.
    """

    def __init__(
        self,
        alias: str = "default",
        *,
        clock: Callable[[], float] | None = None,
        judge: PasskeyJudge | None = None,
        place: Place | None = None,
        notified: Callable[[Notification], None] | None = None,
        happened: Callable[[Mapping[str, str]], None] | None = None,
    ) -> None:
        self.alias = alias
        self.issuer = "Acme"
        self.time_step, self.code_length, self.skew = totp.TIME_STEP, totp.DIGITS, 1
        self.passkeys = PasskeyOptions()
        self.judge = judge or installed_judge()
        self.place = place or Place()
        self.notified, self.happened = notified, happened
        self.events: deque[Mapping[str, str]] = deque(maxlen=KEPT_EVENTS)
        self._clock = clock
        self._lock = RLock()
        self._entities: dict[str, Entity] = {}
        self._challenges: dict[str, Challenge] = {}  # of passkeys, which are found by what was signed
        self._tokens: dict[str, Token] = {}
        self._waiting: deque[Callable[[], None]] = deque()

    def __repr__(self) -> str:
        return f"<FactorSimulator {self.alias}: {len(self._entities)} entities>"

    def configure(self, service: Mapping[str, Any]) -> None:
        """Take over what a Service (Twilio's JSON) says in ``totp``, ``passkeys`` and ``friendly_name``."""
        apps = service["totp"]
        with self._lock:
            self.issuer = apps["issuer"] or service["friendly_name"]
            self.time_step, self.code_length = apps["time_step"], apps["code_length"]
            self.skew, self.passkeys = apps["skew"], read_passkey_config(service["passkeys"])

    def reset(self) -> None:
        """Forget every person, factor, challenge, token and event; the settings stay."""
        with self._lock:
            self._entities.clear()
            self._challenges.clear()
            self._tokens.clear()
            self._waiting.clear()
            self.events.clear()

    def forget_usage(self) -> None:
        """Forget which codes were used, and how often factors were asked. What is enrolled stays."""
        with self._lock:
            for entity in self._entities.values():
                for factor in entity.factors.values():
                    factor.last_step = -1
                    factor.asked.clear()

    # ------------------------------------------------------------------------------------------------- entities

    def create_entity(self, identity: str) -> dict[str, Any]:
        """Raises ``VerifyError``: 60306 for a name that is none, 60301 for one that is there."""
        with self._serving():
            if identity in self._entities:
                raise VerifyError(409, 60301, "Entity already exists")
            return self._known(identity).body(self.place)

    def entity(self, identity: str) -> dict[str, Any]:
        """Raises ``VerifyError`` 20404, as all that follows does for what is not there."""
        with self._serving():
            return self._entity(identity).body(self.place)

    def entities(self) -> list[dict[str, Any]]:
        """All, oldest first."""
        with self._serving():
            return [one.body(self.place) for one in self._entities.values()]

    def delete_entity(self, identity: str) -> None:
        """With every factor and challenge."""
        with self._serving():
            entity = self._entity(identity)
            for factor in [*entity.factors.values()]:
                self._delete(factor)
            for sid in [sid for sid, one in self._challenges.items() if one.entity is entity]:
                del self._challenges[sid]
            del self._entities[identity]

    # -------------------------------------------------------------------------------------------------- factors

    def create_factor(
        self,
        identity: str,
        name: str,
        factor_type: str,
        *,
        binding: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """A new factor of type ``totp`` or ``push``, with what is shown once.

        ``binding``: ``secret``, or ``alg`` and ``public_key``. Raises ``VerifyError``: 60306, 60304, 60314, 60315,
        60326.
        """
        make = {"totp": self._totp, "push": self._push}.get(factor_type)
        if make is None:
            raise invalid("FactorType")
        with self._serving():
            factor = self._new_factor(identity, name, factor_type, metadata)
            shown = make(factor, dict(binding or {}), dict(config or {}))
            self._keep(factor)
            return factor.new_body(self.place, binding=shown)

    def factor(self, identity: str, sid: str) -> dict[str, Any]:
        with self._serving():
            return self._factor(identity, sid).body(self.place)

    def factors(self, identity: str) -> list[dict[str, Any]]:
        """Of a person, oldest first."""
        with self._serving():
            return [one.body(self.place) for one in self._entity(identity).factors.values()]

    def authenticator_codes(self) -> list[tuple[str, str]]:
        """What the apps of all people show now, newest first, each with its name: for a page that plays the app.

        SECURITY: for developers. Whoever sees it, passes for anybody.
        """
        with self._serving():
            everybody = [one for entity in self._entities.values() for one in entity.factors.values()]
            apps = sorted((one for one in everybody if one.type == "totp"), key=lambda one: one.created, reverse=True)
            return [(one.name, self._shown_by(one)) for one in apps]

    def update_factor(
        self,
        identity: str,
        sid: str,
        *,
        auth_payload: str = "",
        name: str = "",
        config: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Confirm a factor by ``auth_payload``, or change its name and settings.

        Raises ``VerifyError``: 60311 for a wrong answer, 60310 for the sixth.
        """
        with self._serving():
            factor = self._factor(identity, sid)
            if auth_payload and factor.status != "verified":
                self._confirm(factor, auth_payload)
            if name:
                factor.name = text("FriendlyName", name, 1, MAX_NAME)
            if config:
                factor.config.update(totp_config(config) if factor.type == "totp" else push_config(config))
            factor.updated = self._now()
            return factor.body(self.place)

    def delete_factor(self, identity: str, sid: str) -> None:
        with self._serving():
            self._delete(self._factor(identity, sid))

    # ----------------------------------------------------------------------------------------------- challenges

    def create_challenge(
        self,
        identity: str,
        factor_sid: str,
        *,
        auth_payload: str = "",
        message: str = "",
        fields: list[Mapping[str, str]] | None = None,
        hidden: Mapping[str, Any] | None = None,
        expires: datetime | None = None,
    ) -> dict[str, Any]:
        """Raises ``VerifyError``: 60306, 60312, 60318 for a factor that was not confirmed."""
        with self._serving():
            factor = self._factor(identity, factor_sid)
            if factor.status != "verified":
                raise VerifyError(403, 60318, "Factor is unverified")
            if factor.type == "push" and not message:
                raise invalid("Details.Message")
            now = self._now()
            until = expiry(expires, now)
            self._count_challenge(factor)
            challenge = Challenge(new_sid("YC"), factor.type, now, now, until, factor.entity, factor)
            challenge.details = details_of(message, fields)
            challenge.hidden = small_object("HiddenDetails", hidden, MAX_HIDDEN)
            self._remember(factor.entity, challenge)
            if factor.type == "push":
                self._push_out(challenge)
            elif auth_payload and self._judge_code(challenge, factor, auth_payload):
                self._settle(challenge, "approved")
            return challenge.body(self.place, now)

    def challenge(self, identity: str, sid: str) -> dict[str, Any]:
        with self._serving():
            return self._challenge(identity, sid).body(self.place, self._now())

    def challenges(self, identity: str, *, factor_sid: str = "", status: str = "") -> list[dict[str, Any]]:
        """Of a person, oldest first."""
        with self._serving():
            now = self._now()
            return [
                one.body(self.place, now)
                for one in self._entity(identity).challenges.values()
                if (not factor_sid or (one.factor and one.factor.sid == factor_sid))
                and (not status or one.status(now) == status)
            ]

    def update_challenge(
        self, identity: str, sid: str, *, auth_payload: str = "", metadata: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Answer a challenge. Raises ``VerifyError``: 60308 (the sixth answer), 60322 (answered), 60323 (expired),
        60324 (wrong).
        """
        with self._serving():
            challenge = self._open(self._challenge(identity, sid))
            challenge.metadata = small_object("Metadata", metadata, MAX_METADATA) or challenge.metadata
            factor = challenge.factor
            if factor is None or factor.type == "passkeys":
                raise invalid("AuthPayload")
            if factor.type == "push":
                self._settle(challenge, self._signed_status(challenge, factor, auth_payload))
            elif self._judge_code(challenge, factor, auth_payload):
                self._settle(challenge, "approved")
            else:
                raise VerifyError(403, 60324, "Challenge verification failed")
            return challenge.body(self.place, self._now())

    def notify(self, identity: str, sid: str, *, ttl: int | None = None) -> dict[str, Any]:
        """Push once more. Raises ``VerifyError``: 60307 (platform ``none``), 60309 (the fourth), 60322, 60323."""
        with self._serving():
            challenge = self._open(self._challenge(identity, sid))
            factor, entity = challenge.factor, challenge.entity
            if factor is None or entity is None or factor.type != "push":
                raise VerifyError(400, 60307, "Notifications are not supported by this factor")
            if factor.config["notification_platform"] == "none":
                raise VerifyError(400, 60307, "Notifications are not supported by this factor")
            if challenge.notified >= MAX_NOTIFICATIONS:
                raise VerifyError(429, 60309, "Max notifications reached")
            seconds = number("Ttl", 300 if ttl is None else ttl, 0, 300)
            challenge.notified += 1
            self._push_out(challenge)
            return {
                "sid": new_sid("NT"),
                **self.place.names,
                "entity_sid": entity.sid,
                "identity": identity,
                "challenge_sid": sid,
                "priority": "high",
                "ttl": seconds,
                "date_created": challenge.body(self.place, self._now())["date_updated"],
            }

    # -------------------------------------------------------------------------------------------- access tokens

    def create_token(
        self, identity: str, factor_type: str, *, name: str = "", ttl: int | None = None
    ) -> dict[str, Any]:
        """Raises ``VerifyError`` 60305 for what it is not made of."""
        if not is_identity(identity) or factor_type != "push" or not 60 <= (60 if ttl is None else ttl) <= 300:
            raise VerifyError(400, 60305, "Access token parameters are not valid")
        with self._serving():
            text = secrets.token_urlsafe(48)
            token = Token(new_sid("YK"), identity, name, 60 if ttl is None else ttl, self._now(), text)
            self._tokens[token.sid] = token
            return token.body(self.place)

    def token(self, sid: str) -> dict[str, Any]:
        with self._serving():
            if sid not in self._tokens:
                raise missing("AccessToken")
            return self._tokens[sid].body(self.place)

    def bearer_of(self, text: str) -> tuple[str, str]:
        """Whose phone shows ``text``: identity, and the SID of its factor, which is ``""`` for an access token.

        ``text`` is an access token, or a JSON Web Token signed by a factor's key, with its ``credential_sid`` as
        ``kid`` and an ``exp`` to come. Raises ``VerifyError`` 60313.
        """
        with self._serving():
            now = self._now()
            for token in self._tokens.values():
                if secrets.compare_digest(token.text.encode(), text.encode()) and now < token.created + token.ttl:
                    return token.identity, ""
            factor = self._factor_of_token(text, now)
            return factor.entity.identity, factor.sid

    # ------------------------------------------------------------------------------------------------- passkeys

    def create_passkey(self, identity: str, name: str, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Raises ``VerifyError``: 60204 without a judge, 60371, 60372, 60393 without a relying party."""
        with self._serving():
            self._judging()
            wish = self._wished(config)
            factor = self._new_factor(identity, name, "passkeys", None)
            factor.passkey, factor.config = wish, wish.config()
            known = [one.id for one in self._credentials(factor.entity)]
            self._keep(factor)
            return factor.new_body(self.place, options={"publicKey": creation_options(factor, known)})

    def verify_passkey(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Register what the browser made. Raises ``VerifyError``: 60378, 60386, 60390, 60304."""
        with self._serving():
            factor = self._factor_that_asked(answer)
            wish = factor.passkey
            try:
                credential = self._judging().register(
                    for_judge(answer),
                    challenge=factor.sid.encode(),
                    rp_id=wish.relying_party_id,
                    origins=wish.origins,
                    verify_user=wish.user_verification == "required",
                )
            except PasskeyRefused:
                raise VerifyError(400, 60386, "Attestation object invalid or not provided") from None
            if self._owner(credential.id) is not None:
                raise VerifyError(409, 60304, "Factor already exists")
            factor.credential = credential
            self._verified(factor)
            return factor.body(self.place)

    def create_passkey_challenge(self, identity: str = "", factor_sid: str = "") -> dict[str, Any]:
        """For a person's passkeys, one of them, or (with neither) whichever the browser has. Raises ``VerifyError``:
        60390, 60392, 60318, 60312, and as ``create_passkey``.
        """
        with self._serving():
            self._judging()
            entity, factor = self._asked_for(identity, factor_sid)
            now = self._now()
            challenge = Challenge(new_sid("YC"), "passkeys", now, now, now + PASSKEY_LIVES, entity, factor)
            challenge.passkey = factor.passkey if factor else self._party_of(entity)
            if factor:
                self._count_challenge(factor)
            if entity:
                self._remember(entity, challenge)
            self._forget_old(now)
            self._challenges[challenge.sid] = challenge
            chosen = [factor.credential] if factor and factor.credential else self._credentials(entity)
            options = request_options(challenge, [one.id for one in chosen])
            return {**challenge.body(self.place, now), "options": {"publicKey": options}}

    def approve_passkey(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Judge a browser's assertion. Raises ``VerifyError``: 60378, 60381, 60390, 60391, 60322, 60323.

        As in Twilio's example, the answer to a challenge that named nobody names nobody.
        """
        with self._serving():
            challenge = self._challenges.get(signed_sid(answer))
            if challenge is None:
                raise VerifyError(404, 60391, "Challenge not found")
            self._open(challenge)
            factor = self._owner(str(answer.get("id") or ""))
            if factor is None or factor.credential is None:
                raise VerifyError(404, 60390, "Factor not found")
            self._check_assertion(challenge, factor, answer)
            self._settle(challenge, "approved", factor)
            body = challenge.body(self.place, self._now())
            if challenge.entity is None:
                self._remember(factor.entity, challenge)
            return {**body, "options": {"publicKey": request_options(challenge, [])}}

    # ---------------------------------------------------------------------------------------- what factors are

    def _new_factor(self, identity: str, name: str, factor_type: str, metadata: Mapping[str, Any] | None) -> Factor:
        entity = self._known(identity)
        now = self._now()
        of_type = [one for one in entity.factors.values() if one.type == factor_type]
        if len(of_type) >= MAX_FACTORS[factor_type]:
            raise VerifyError(400, 60315, "Max factors of the entity reached")
        forget_before(entity.made, now - DAY)
        if len(entity.made) >= MAX_FACTORS_A_DAY:
            raise VerifyError(429, 60326, "Max factor creations reached")
        kept = small_object("Metadata", metadata, MAX_METADATA)
        return Factor(new_sid("YF"), entity, factor_type, text("FriendlyName", name, 1, MAX_NAME), now, now, {}, kept)

    def _keep(self, factor: Factor) -> None:
        factor.entity.factors[factor.sid] = factor
        factor.entity.made.append(self._now())
        self._happen("factor.created", factor)

    def _totp(self, factor: Factor, binding: dict[str, str], config: dict[str, Any]) -> dict[str, str]:
        secret = binding.get("secret") or base64.b32encode(secrets.token_bytes(20)).decode()
        defaults = {"alg": "sha1", "skew": self.skew, "code_length": self.code_length, "time_step": self.time_step}
        factor.config = {**defaults, **totp_config(config)}
        try:
            factor.secret = totp.key_of(secret)
        except ValueError:
            raise VerifyError(400, 60314, "Binding is not valid") from None
        return {"secret": secret, "uri": otpauth(self.issuer, factor.name, secret, factor.config)}

    def _push(self, factor: Factor, binding: dict[str, str], config: dict[str, Any]) -> dict[str, str]:
        text = binding.get("public_key", "")
        if binding.get("alg", "ES256") != "ES256":
            raise VerifyError(400, 60314, "Binding is not valid")
        try:
            factor.public_key, factor.key_text = es256.public_key(text), text
        except ValueError:
            raise VerifyError(400, 60314, "Binding is not valid") from None
        if any(one.key_text == text for one in factor.entity.factors.values()):
            raise VerifyError(409, 60304, "Factor already exists")
        wanted = ("app_id", "notification_platform", "sdk_version")
        for name in wanted:
            if not config.get(name):
                raise invalid(f"Config.{name}")
        # What the phone signs its requests with is named beside what it said itself.
        factor.config = {**push_config(config), "credential_sid": new_sid("CR")}
        return {"alg": "ES256", "public_key": text}

    def _confirm(self, factor: Factor, payload: str) -> None:
        if factor.type == "passkeys":
            raise invalid("AuthPayload")
        if factor.tries >= MAX_TRIES:
            raise VerifyError(429, 60310, "Factor verification attempts reached")
        factor.tries += 1
        right = self._is_code(factor, payload) if factor.type == "totp" else is_own_signature(factor, payload)
        if not right:
            raise VerifyError(403, 60311, "Factor verification failed")
        self._verified(factor)

    def _verified(self, factor: Factor) -> None:
        factor.status, factor.updated = "verified", self._now()
        self._happen("factor.verified", factor)

    def _delete(self, factor: Factor) -> None:
        del factor.entity.factors[factor.sid]
        self._happen("factor.deleted", factor)

    def _is_code(self, factor: Factor, code: str) -> bool:
        config, now = factor.config, totp.step_at(self._now(), factor.config["time_step"])
        # SECURITY: a step whose code was accepted, and any before it, is over (RFC 6238 section 5.2).
        first = max(now - config["skew"], factor.last_step + 1)
        steps = range(first, now + config["skew"] + 1)
        step = totp.matching_step(factor.secret, code, steps, config["code_length"], config["alg"])
        if step is None:
            return False
        factor.last_step = step
        return True

    # ------------------------------------------------------------------------------------- what challenges are

    def _count_challenge(self, factor: Factor) -> None:
        now, asked = self._now(), factor.asked
        forget_before(asked, now - DAY)
        is_short = factor.type == "totp" and factor.config["code_length"] <= SHORT_CODE
        in_an_hour = sum(moment > now - HOUR for moment in asked)
        a_day = CHALLENGES_OF_SHORT_CODES_A_DAY if is_short else CHALLENGES_A_DAY
        if len(asked) >= a_day or (not is_short and in_an_hour >= CHALLENGES_AN_HOUR):
            raise VerifyError(429, 60312, "Challenge creation limit reached")
        asked.append(now)

    def _remember(self, entity: Entity, challenge: Challenge) -> None:
        entity.challenges[challenge.sid] = challenge
        while len(entity.challenges) > KEPT_CHALLENGES:
            del entity.challenges[next(iter(entity.challenges))]

    def _open(self, challenge: Challenge) -> Challenge:
        status = challenge.status(self._now())
        if status == "expired":
            raise VerifyError(403, 60323, "Challenge expired")
        if status != "pending":
            raise VerifyError(403, 60322, "Challenge already responded")
        return challenge

    def _judge_code(self, challenge: Challenge, factor: Factor, code: str) -> bool:
        if challenge.tries >= MAX_TRIES:
            raise VerifyError(429, 60308, "Challenge verification attempts limit reached")
        challenge.tries += 1
        challenge.updated = self._now()
        if factor.sid not in factor.entity.factors:
            raise missing("Factor")
        return self._is_code(factor, text("AuthPayload", code, 3, 8))

    def _signed_status(self, challenge: Challenge, factor: Factor, token: str) -> str:
        """The phone's answer, ``approved`` or ``denied``. Raises ``VerifyError`` 60324."""
        if factor.sid not in factor.entity.factors:
            raise missing("Factor")
        if not es256.is_token_of(factor.public_key, token):
            raise VerifyError(403, 60324, "Challenge verification failed")
        _, claims = es256.read_token(token)
        body = challenge.body(self.place, self._now())
        # SECURITY: the signature is of this challenge and of what it says, so one for another does not serve.
        if any(claims.get(name) != body[name] for name in SIGNED) or claims.get("status") not in ("approved", "denied"):
            raise VerifyError(403, 60324, "Challenge verification failed")
        return str(claims["status"])

    def _settle(self, challenge: Challenge, state: str, factor: Factor | None = None) -> None:
        challenge.state = state
        challenge.responded = challenge.updated = self._now()
        self._happen(f"challenge.{state}", challenge.factor or factor, challenge)

    def _push_out(self, challenge: Challenge) -> None:
        factor = challenge.factor
        if factor is None or self.notified is None or factor.config["notification_platform"] == "none":
            return
        config, message = factor.config, str((challenge.details or {}).get("message", ""))
        names = (self.alias, factor.entity.identity, factor.sid, challenge.sid, config["notification_platform"])
        sent, deliver = Notification(*names, message, config.get("notification_token", "")), self.notified
        self._waiting.append(lambda: deliver(sent))

    # ---------------------------------------------------------------------------------------- what passkeys are

    def _judging(self) -> PasskeyJudge:
        if self.judge is None:
            raise VerifyError(403, 60204, "The package webauthn is not installed")
        return self.judge

    def _wished(self, config: Mapping[str, Any] | None) -> PasskeyOptions:
        """``config`` as options, or the Service's where there is none."""
        wish = read_passkey_config(config) if config else self.passkeys
        party = (wish.relying_party_id, wish.relying_party_name, wish.origins)
        if not any(party):
            raise VerifyError(400, 60371, "Relying party invalid or not provided")
        if not all(party):
            raise VerifyError(400, 60372 if not party[0] else 60371, "Relying party invalid or not provided")
        if not (wish.attachment and wish.discoverable and wish.user_verification):
            raise VerifyError(400, 60393, "Authenticator criteria are missing")
        return wish

    def _factor_that_asked(self, answer: Mapping[str, Any]) -> Factor:
        sid = signed_sid(answer)
        found = [entity.factors[sid] for entity in self._entities.values() if sid in entity.factors]
        if not found or found[0].status == "verified" or found[0].created + PASSKEY_LIVES <= self._now():
            raise VerifyError(404, 60390, "Factor not found")
        return found[0]

    def _asked_for(self, identity: str, factor_sid: str) -> tuple[Entity | None, Factor | None]:
        if not identity and not factor_sid:
            return None, None
        for entity in self._entities.values():
            if identity in ("", entity.identity) and (not factor_sid or factor_sid in entity.factors):
                factor = entity.factors.get(factor_sid)
                if factor and factor.status != "verified":
                    raise VerifyError(403, 60318, "Factor is unverified")
                if not self._credentials(entity) or (factor and factor.type != "passkeys"):
                    raise VerifyError(404, 60390, "Factor not found")
                return entity, factor
        raise VerifyError(404, 60390 if factor_sid else 60392, "Not found")

    def _party_of(self, entity: Entity | None) -> PasskeyOptions:
        """The relying party of a challenge that names no factor: that of the person's latest passkey."""
        theirs = [one.passkey for one in entity.factors.values() if one.credential] if entity else []
        return theirs[-1] if theirs else self._wished(None)

    def _credentials(self, entity: Entity | None) -> list[Credential]:
        return [one.credential for one in entity.factors.values() if one.credential] if entity else []

    def _owner(self, credential_id: str) -> Factor | None:
        for entity in self._entities.values():
            for factor in entity.factors.values():
                if factor.credential and factor.credential.id == credential_id:
                    return factor
        return None

    def _check_assertion(self, challenge: Challenge, factor: Factor, answer: Mapping[str, Any]) -> None:
        """SECURITY: of whom it was asked, for which relying party, and whom the authenticator itself names."""
        handle = response_of(answer).get("userHandle")
        right = (
            challenge.entity in (None, factor.entity)
            and challenge.factor in (None, factor)
            and (not handle or handle == es256.encoded(factor.entity.sid.encode()))
        )
        if factor.passkey.relying_party_id != challenge.passkey.relying_party_id:
            raise VerifyError(400, 60382, "Factor does not match the relying party of the challenge")
        if not right or factor.credential is None:
            raise VerifyError(400, 60381, "Signature invalid or not provided")
        wish = challenge.passkey
        try:
            factor.credential = self._judging().authenticate(
                for_judge(answer),
                factor.credential,
                challenge=challenge.sid.encode(),
                rp_id=wish.relying_party_id,
                origins=wish.origins,
                verify_user=wish.user_verification == "required",
            )
        except PasskeyRefused:
            raise VerifyError(400, 60381, "Signature invalid or not provided") from None

    def _forget_old(self, now: float) -> None:
        for sid in [sid for sid, one in self._challenges.items() if one.created <= now - DAY]:
            del self._challenges[sid]

    # ------------------------------------------------------------------------------------------------- the rest

    def _known(self, identity: str) -> Entity:
        """The person, made if they are new."""
        if not is_identity(identity):
            raise invalid("Identity")
        if identity not in self._entities:
            self._entities[identity] = Entity(new_sid("YE"), identity, self._now())
        return self._entities[identity]

    def _entity(self, identity: str) -> Entity:
        if identity not in self._entities:
            raise missing("Entity")
        return self._entities[identity]

    def _factor(self, identity: str, sid: str) -> Factor:
        factor = self._entity(identity).factors.get(sid)
        if factor is None:
            raise missing("Factor")
        return factor

    def _challenge(self, identity: str, sid: str) -> Challenge:
        challenge = self._entity(identity).challenges.get(sid)
        if challenge is None:
            raise missing("Challenge")
        return challenge

    def _factor_of_token(self, text: str, now: float) -> Factor:
        try:
            header, claims = es256.read_token(text)
        except ValueError:
            raise unauthorised() from None
        expires = claims.get("exp")
        for factor in [one for entity in self._entities.values() for one in entity.factors.values()]:
            named = factor.type == "push" and factor.config.get("credential_sid") == header.get("kid")
            if named and isinstance(expires, int) and now < expires and es256.is_token_of(factor.public_key, text):
                return factor
        raise unauthorised()

    def _happen(self, kind: str, factor: Factor | None, challenge: Challenge | None = None) -> None:
        if factor is None:
            return
        event = {
            "uuid": str(uuid4()),
            "type": kind,
            **self.place.names,
            "entity_identity": factor.entity.identity,
            "factor_sid": factor.sid,
            "factor_type": factor.type,
            "factor_friendly_name": factor.name,
            **({"challenge_sid": challenge.sid} if challenge else {}),
        }
        self.events.append(event)
        tell = self.happened
        if tell is not None:
            self._waiting.append(lambda: tell(event))

    @contextmanager
    def _serving(self) -> Iterator[None]:
        """Under the lock; what was caused is told after it."""
        try:
            with self._lock:
                self._forget_unverified()
                yield
        finally:
            while self._waiting:
                self._tell()

    def _shown_by(self, app: Factor) -> str:
        step = totp.step_at(self._now(), app.config["time_step"])
        return totp.code_of_step(app.secret, step, app.config["code_length"], app.config["alg"])

    def _tell(self) -> None:
        try:
            tell = self._waiting.popleft()
        except IndexError:
            return  # another thread was faster
        tell()

    def _forget_unverified(self) -> None:
        oldest = self._now() - UNVERIFIED_LIVES
        for entity in self._entities.values():
            stale = [one for one in entity.factors.values() if one.status != "verified" and one.created <= oldest]
            for factor in stale:
                self._delete(factor)

    def _now(self) -> float:
        return self._clock() if self._clock else time.time()
