"""What every backend that keeps factors must do, as tests to inherit.

    class TestMyBackend(FactorContract):
        def make_backend(self):
            return MyBackend("default", ...)

        def phone(self, backend, identity):
            return Phone(HttpApi(my_provider.url), service_sid=..., identity=identity)

        def advance(self, seconds):
            my_provider.clock += seconds

Works in a pytest class as it stands, and mixed into a ``django.test.SimpleTestCase``. Only the kinds in the backend's
``factor_kinds`` are asked for.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from asgiref.sync import async_to_sync

from ..backends.base import BaseBackend
from ..backends.factor_options import ChallengeDetails, PasskeyOptions, TotpOptions
from ..backends.factor_results import ChallengeStatus, FactorStatus, ProviderFactor
from ..choices import FactorKind
from ..exceptions import BackendRejected
from .browser import Browser
from .phone import Authenticator, Phone

MAX_TRIES = 5
TIME_STEP = 30
NO_FACTOR, NO_CHALLENGE = "YF" + "0" * 32, "YC" + "0" * 32
ORIGIN = "https://shop.example"
PARTY = PasskeyOptions(
    relying_party_id="shop.example",
    relying_party_name="Shop",
    origins=(ORIGIN,),
    attachment="any",
    discoverable="preferred",
    user_verification="preferred",
)
SIGN_IN = ChallengeDetails("Is this you?", fields={"Place": "Vienna"}, hidden={"number": "42"})


class FactorContract:
    """Tests of every method about factors. Mix in, and fill the first methods."""

    challenge_lifetime: ClassVar[float] = 300
    """Seconds that a challenge lives unless told otherwise."""

    def make_backend(self) -> BaseBackend:
        """A backend ready for use. Called once by each test."""
        raise NotImplementedError

    def phone(self, backend: BaseBackend, identity: str) -> Phone:
        """A phone that reaches the provider of ``backend``. Needed for push."""
        raise NotImplementedError

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass for the provider, for ``Authenticator`` and for ``Phone``."""
        raise NotImplementedError

    def identity(self) -> str:
        """A person that nobody knows yet, another one at each call."""
        return str(uuid.uuid4())

    # ------------------------------------------------------------------------------------------------------ TOTP

    def test_a_new_factor_is_not_verified_and_shows_its_secret_once(self) -> None:
        backend, identity = self.make_backend(), self.identity()
        made = backend.enroll(identity, FactorKind.TOTP, name="ann")
        assert (made.status, made.kind, made.identity) == (FactorStatus.UNVERIFIED, FactorKind.TOTP, identity)
        assert made.secret
        assert made.uri.startswith("otpauth://totp/")
        again = backend.factor(identity, made.sid)
        assert (again.secret, again.uri) == ("", ""), "a secret must be told once"
        assert backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid).status is ChallengeStatus.GONE

    def test_a_right_code_confirms_and_a_wrong_one_does_not(self) -> None:
        backend, identity = self.make_backend(), self.identity()
        made = backend.enroll(identity, FactorKind.TOTP, name="ann")
        app = Authenticator.scan(made.uri)
        wrong = backend.confirm(identity, made.sid, _wrong(app.code()))
        assert (wrong.status, wrong.sid) == (FactorStatus.UNVERIFIED, made.sid)
        assert wrong.provider_code, "a wrong answer must be told from none"
        right = backend.confirm(identity, made.sid, app.code())
        assert right.verified
        assert backend.factor(identity, made.sid).verified

    def test_the_sixth_answer_at_enrollment_is_not_judged(self) -> None:
        backend, identity = self.make_backend(), self.identity()
        made = backend.enroll(identity, FactorKind.TOTP, name="ann")
        app = Authenticator.scan(made.uri)
        for _ in range(MAX_TRIES):
            assert backend.confirm(identity, made.sid, _wrong(app.code())).status is FactorStatus.UNVERIFIED
        assert backend.confirm(identity, made.sid, app.code()).status is FactorStatus.EXHAUSTED

    def test_a_right_code_is_proof_once(self) -> None:
        backend, identity, made, app = self._totp()
        code = app.code()
        first = backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid, code=code)
        assert (first.approved, first.factor_sid, first.identity) == (True, made.sid, identity)
        replayed = backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid, code=code)
        assert not replayed.approved, "a code must not be accepted twice"
        again = backend.answer(identity, first.sid, code)
        assert again.status is ChallengeStatus.ANSWERED

    def test_a_wrong_code_leaves_a_challenge_to_answer(self) -> None:
        backend, identity, made, app = self._totp()
        challenge = backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid)
        assert challenge.status is ChallengeStatus.PENDING
        wrong = backend.answer(identity, challenge.sid, _wrong(app.code()))
        assert (wrong.status, bool(wrong.provider_code)) == (ChallengeStatus.PENDING, True)
        assert backend.answer(identity, challenge.sid, app.code()).approved
        assert backend.poll(identity, challenge.sid).approved

    def test_the_sixth_answer_to_a_challenge_is_not_judged(self) -> None:
        backend, identity, made, app = self._totp()
        challenge = backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid)
        for _ in range(MAX_TRIES):
            assert backend.answer(identity, challenge.sid, _wrong(app.code())).status is ChallengeStatus.PENDING
        assert backend.answer(identity, challenge.sid, app.code()).status is ChallengeStatus.EXHAUSTED

    def test_a_code_of_another_app_and_an_old_one_are_wrong(self) -> None:
        backend, identity, made, app = self._totp()
        _, _, _, other = self._totp(backend)
        for code in (other.code(), app.code(steps=-3), app.code(steps=3)):
            assert not backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid, code=code).approved

    def test_a_clock_may_be_off_as_far_as_the_skew(self) -> None:
        backend, identity, made, app = self._totp()
        late = backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid, code=app.code(steps=1))
        assert late.approved

    def test_an_expired_challenge_takes_no_answer(self) -> None:
        backend, identity, made, app = self._totp()
        challenge = backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid)
        self.advance(self.challenge_lifetime + 1)
        assert backend.poll(identity, challenge.sid).status is ChallengeStatus.EXPIRED
        assert backend.answer(identity, challenge.sid, app.code()).status is ChallengeStatus.EXPIRED

    def test_of_answers_that_race_one_is_accepted(self) -> None:
        backend, identity, made, app = self._totp()
        challenge = backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid)
        code = app.code()
        with ThreadPoolExecutor(MAX_TRIES) as pool:
            asked = [pool.submit(backend.answer, identity, challenge.sid, code) for _ in range(MAX_TRIES)]
            statuses = [one.result().status for one in asked]
        assert statuses.count(ChallengeStatus.APPROVED) == 1

    # ------------------------------------------------------------------------------------- everybody's and nobody's

    def test_what_is_another_persons_is_gone(self) -> None:
        backend, identity, made, app = self._totp()
        stranger = self._totp(backend)[1]
        challenge = backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid)
        assert backend.factor(stranger, made.sid).status is FactorStatus.GONE
        assert backend.challenge(stranger, FactorKind.TOTP, factor_sid=made.sid).status is ChallengeStatus.GONE
        assert backend.answer(stranger, challenge.sid, app.code()).status is ChallengeStatus.GONE
        assert backend.poll(stranger, challenge.sid).status is ChallengeStatus.GONE
        assert not backend.remove(stranger, made.sid)
        assert backend.factor(identity, made.sid).verified

    def test_what_was_never_there_is_gone(self) -> None:
        backend, nobody = self.make_backend(), self.identity()
        for identity in (nobody, "../Services", "ann@example.com", ""):
            for sid in (NO_FACTOR, "no-sid", "../Services"):
                assert backend.factor(identity, sid).status is FactorStatus.GONE
                assert backend.confirm(identity, sid, "123456").status is FactorStatus.GONE
                assert not backend.remove(identity, sid)
                assert backend.challenge(identity, FactorKind.PASSKEY, factor_sid=sid).status is ChallengeStatus.GONE
            for sid in (NO_CHALLENGE, "no-sid", "../Services"):
                assert backend.poll(identity, sid).status is ChallengeStatus.GONE
                assert backend.answer(identity, sid, "123456").status is ChallengeStatus.GONE
            assert backend.factors(identity) == ()
            assert backend.challenges(identity) == ()
            assert backend.entity(identity) is None
            assert not backend.remove_entity(identity)
        assert backend.fetch_access_token("YK" + "0" * 32) is None

    def test_a_removed_factor_is_no_proof_any_more(self) -> None:
        backend, identity, made, app = self._totp()
        challenge = backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid)
        assert backend.remove(identity, made.sid)
        assert not backend.remove(identity, made.sid)
        assert backend.answer(identity, challenge.sid, app.code()).status is ChallengeStatus.GONE
        gone = backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid, code=app.code())
        assert gone.status is ChallengeStatus.GONE
        assert backend.factors(identity) == ()

    def test_a_removed_person_leaves_nothing(self) -> None:
        backend, identity, made, _ = self._totp()
        challenge = backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid)
        assert backend.remove_entity(identity)
        assert not backend.remove_entity(identity)
        assert backend.entity(identity) is None
        assert backend.factor(identity, made.sid).status is FactorStatus.GONE
        assert backend.poll(identity, challenge.sid).status is ChallengeStatus.GONE

    def test_a_person_is_made_by_the_first_factor_or_by_hand(self) -> None:
        backend, identity = self.make_backend(), self.identity()
        made = backend.create_entity(identity)
        assert (made.identity, backend.create_entity(identity), backend.entity(identity)) == (identity, made, made)
        other = self.identity()
        backend.enroll(other, FactorKind.TOTP, name="ann")
        known = _everybody(backend)
        assert {identity, other} <= known

    def test_factors_and_challenges_are_listed(self) -> None:
        backend, identity, made, _ = self._totp()
        second = backend.enroll(identity, FactorKind.TOTP, name="second", options=TotpOptions(code_length=8))
        listed = {one.sid: one for one in backend.factors(identity)}
        assert set(listed) == {made.sid, second.sid}
        assert (listed[second.sid].name, listed[second.sid].digits) == ("second", 8)
        asked = [backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid).sid for _ in range(3)]
        found = [one.sid for one in backend.challenges(identity, factor_sid=made.sid, limit=2)]
        assert found == asked[:0:-1]
        assert backend.challenges(identity, status=ChallengeStatus.APPROVED) == ()

    def test_a_factor_can_be_renamed_and_set_otherwise(self) -> None:
        backend, identity, made, app = self._totp()
        assert backend.update_factor(identity, made.sid, name="work").name == "work"
        assert backend.factor(identity, made.sid).verified
        assert backend.update_factor(identity, made.sid, options=TotpOptions(skew=0)).name == "work"
        early = backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid, code=app.code(steps=1))
        assert not early.approved, "another skew must be heeded"
        assert backend.update_factor(identity, NO_FACTOR, name="work").status is FactorStatus.GONE

    # ------------------------------------------------------------------------------------------------------- push

    def test_a_phone_registers_with_a_token_and_approves(self) -> None:
        for backend, identity, phone in self._phones():
            challenge = backend.challenge(identity, FactorKind.PUSH, factor_sid=phone.sid, details=SIGN_IN)
            assert challenge.status is ChallengeStatus.PENDING
            assert challenge.details["message"] == "Is this you?"
            assert challenge.hidden == {"number": "42"}
            assert [one["sid"] for one in phone.pending()] == [challenge.sid]
            assert phone.approve(challenge.sid) == "approved"
            polled = backend.poll(identity, challenge.sid)
            assert (polled.approved, polled.factor_sid) == (True, phone.sid)

    def test_a_phone_denies(self) -> None:
        for backend, identity, phone in self._phones():
            challenge = backend.challenge(identity, FactorKind.PUSH, factor_sid=phone.sid, details=SIGN_IN)
            phone.deny(challenge.sid)
            assert backend.poll(identity, challenge.sid).status is ChallengeStatus.DENIED

    def test_a_signature_of_another_key_or_another_challenge_is_wrong(self) -> None:
        for backend, identity, phone in self._phones():
            first, second = (
                backend.challenge(identity, FactorKind.PUSH, factor_sid=phone.sid, details=SIGN_IN) for _ in range(2)
            )
            bodies = {one["sid"]: one for one in phone.pending()}
            thief = self.phone(backend, identity)
            forged = thief.signed(bodies[first.sid], "approved")
            swapped = phone.signed(bodies[second.sid], "approved")
            for answer in (forged, swapped, "no token", phone.signed(bodies[first.sid], "sure")):
                judged = backend.answer(identity, first.sid, answer)
                assert (judged.status, bool(judged.provider_code)) == (ChallengeStatus.PENDING, True)
            assert backend.poll(identity, first.sid).status is ChallengeStatus.PENDING

    def test_a_push_is_answered_once_and_in_time(self) -> None:
        for backend, identity, phone in self._phones():
            first = backend.challenge(identity, FactorKind.PUSH, factor_sid=phone.sid, details=SIGN_IN)
            body = phone.pending()[0]
            phone.deny(first.sid)
            again = backend.answer(identity, first.sid, phone.signed(body, "approved"))
            assert again.status is ChallengeStatus.ANSWERED
            second = backend.challenge(identity, FactorKind.PUSH, factor_sid=phone.sid, details=SIGN_IN)
            body = phone.pending()[0]
            self.advance(self.challenge_lifetime + 1)
            late = backend.answer(identity, second.sid, phone.signed(body, "approved"))
            assert late.status is ChallengeStatus.EXPIRED

    def test_a_push_can_be_repeated_three_times(self) -> None:
        for backend, identity, phone in self._phones("fcm"):
            challenge = backend.challenge(identity, FactorKind.PUSH, factor_sid=phone.sid, details=SIGN_IN)
            assert backend.factor(identity, phone.sid).platform == "fcm"
            for _ in range(3):
                assert backend.notify(identity, challenge.sid, ttl=60).challenge_sid == challenge.sid
            assert _rejection(lambda: backend.notify(identity, challenge.sid)) == 60309  # noqa: B023 # called at once

    def test_a_silent_phone_is_never_notified(self) -> None:
        for backend, identity, phone in self._phones():
            challenge = backend.challenge(identity, FactorKind.PUSH, factor_sid=phone.sid, details=SIGN_IN)
            assert backend.factor(identity, phone.sid).platform == "none"
            assert _rejection(lambda: backend.notify(identity, challenge.sid)) == 60307  # noqa: B023 # called at once

    def test_an_access_token_is_one_persons(self) -> None:
        if FactorKind.PUSH not in self.make_backend().factor_kinds:
            return
        backend, identity = self.make_backend(), self.identity()
        token = backend.access_token(identity, name="Ann's phone", ttl=120)
        assert (token.identity, token.ttl, token.name) == (identity, 120, "Ann's phone")
        fetched = backend.fetch_access_token(token.sid)
        assert fetched is not None
        assert fetched.identity == identity
        assert token.token not in repr(token)

    # --------------------------------------------------------------------------------------------------- passkeys

    def test_a_passkey_is_enrolled_and_signs_in(self) -> None:
        for backend, identity, browser, made in self._browsers():
            challenge = backend.challenge(identity, FactorKind.PASSKEY, factor_sid=made.sid)
            assert challenge.options["rpId"] == PARTY.relying_party_id
            done = backend.answer(identity, challenge.sid, browser.get(challenge.options))
            assert (done.approved, done.sid) == (True, challenge.sid)
            assert done.factor_sid in ("", made.sid)

    def test_a_passkey_that_the_browser_chose_signs_in(self) -> None:
        for backend, identity, browser, _ in self._browsers():
            challenge = backend.challenge(identity, FactorKind.PASSKEY)
            assert backend.answer(identity, challenge.sid, browser.get(challenge.options)).approved

    def test_an_assertion_is_proof_once_and_for_its_own_challenge(self) -> None:
        for backend, identity, browser, made in self._browsers():
            first, second = (backend.challenge(identity, FactorKind.PASSKEY, factor_sid=made.sid) for _ in range(2))
            given = browser.get(first.options)
            assert backend.answer(identity, second.sid, given).status is ChallengeStatus.UNKNOWN
            assert not backend.answer(identity, first.sid, given).approved, "the first answer settled it"

    def test_an_assertion_of_another_origin_person_or_clone_is_refused(self) -> None:
        for backend, identity, browser, made in self._browsers():
            clone = browser.clone()
            ask = backend.challenge(identity, FactorKind.PASSKEY, factor_sid=made.sid)
            assert backend.answer(identity, ask.sid, browser.get(ask.options)).approved
            phisher = browser.clone()
            phisher.origin = "https://shop.example.evil.test"
            for thief in (clone, phisher):
                ask = backend.challenge(identity, FactorKind.PASSKEY, factor_sid=made.sid)
                assert not backend.answer(identity, ask.sid, thief.get(ask.options)).approved
                assert backend.poll(identity, ask.sid).status is ChallengeStatus.PENDING

    def test_a_passkey_of_somebody_else_does_not_serve(self) -> None:
        pairs = [*self._browsers(), *self._browsers()]
        for backend, identity, browser, _ in pairs[:1]:
            mallory = Browser(ORIGIN)
            enrolled = self._passkey(backend, self.identity(), mallory)
            assert enrolled.verified
            ask = backend.challenge(identity, FactorKind.PASSKEY)
            theirs = {**ask.options, "allowCredentials": []}
            assert not backend.answer(identity, ask.sid, mallory.get(theirs)).approved
            assert backend.answer(identity, ask.sid, browser.get(ask.options)).approved

    def test_a_registration_of_another_origin_or_for_another_factor_is_refused(self) -> None:
        backend, identity = self.make_backend(), self.identity()
        if FactorKind.PASSKEY not in backend.factor_kinds:
            return
        first, second = (backend.enroll(identity, FactorKind.PASSKEY, name="key", options=PARTY) for _ in range(2))
        foreign = Browser("https://evil.test").create(first.options)
        assert not backend.confirm(identity, first.sid, foreign).verified
        swapped = backend.confirm(identity, first.sid, Browser(ORIGIN).create(second.options))
        assert swapped.status is FactorStatus.UNKNOWN
        assert not backend.factor(identity, first.sid).verified

    def test_a_passkey_is_not_enrolled_twice_on_one_authenticator(self) -> None:
        for backend, identity, browser, _ in self._browsers():
            again = backend.enroll(identity, FactorKind.PASSKEY, name="again", options=PARTY)
            try:
                browser.create(again.options)
            except LookupError:
                continue
            raise AssertionError("the options must exclude the passkeys that the person has")

    # ---------------------------------------------------------------------------------------------------- the rest

    def test_the_async_twins_do_the_same(self) -> None:
        backend, identity = self.make_backend(), self.identity()
        made = async_to_sync(backend.aenroll)(identity, FactorKind.TOTP, name="ann")
        app = Authenticator.scan(made.uri)
        assert async_to_sync(backend.aconfirm)(identity, made.sid, app.code()).verified
        self.advance(TIME_STEP * 2)
        asked = async_to_sync(backend.achallenge)(identity, FactorKind.TOTP, factor_sid=made.sid)
        assert async_to_sync(backend.aanswer)(identity, asked.sid, app.code()).approved
        assert async_to_sync(backend.apoll)(identity, asked.sid).approved
        assert _rejection(lambda: async_to_sync(backend.anotify)(identity, NO_CHALLENGE)) == 20404
        assert async_to_sync(backend.aremove)(identity, made.sid)
        assert async_to_sync(backend.aaccess_token)(identity).identity == identity

    def test_nothing_secret_is_shown(self) -> None:
        backend, identity, made, app = self._totp()
        asked = backend.challenge(identity, FactorKind.TOTP, factor_sid=made.sid, code=app.code())
        shown = f"{made!r} {asked!r} {backend!r} {TotpOptions(secret=made.secret)!r}"
        for secret in (made.secret, made.uri, app.code()):
            assert secret not in shown, "a secret was shown"

    def _totp(self, backend: BaseBackend | None = None) -> tuple[BaseBackend, str, ProviderFactor, Authenticator]:
        """A confirmed authenticator app, whose next code was never used."""
        backend, identity = backend or self.make_backend(), self.identity()
        made = backend.enroll(identity, FactorKind.TOTP, name="ann")
        app = Authenticator.scan(made.uri)
        assert backend.confirm(identity, made.sid, app.code()).verified
        self.advance(TIME_STEP * 2)
        return backend, identity, made, app

    def _phones(self, platform: str = "none") -> list[tuple[BaseBackend, str, Phone]]:
        """A registered phone, if the backend keeps such."""
        backend, identity = self.make_backend(), self.identity()
        if FactorKind.PUSH not in backend.factor_kinds:
            return []
        phone = self.phone(backend, identity)
        phone.platform = platform
        phone.register(backend.access_token(identity).token)
        assert backend.factor(identity, phone.sid).verified
        return [(backend, identity, phone)]

    def _browsers(self) -> list[tuple[BaseBackend, str, Browser, ProviderFactor]]:
        """A browser with a passkey, if the backend keeps such."""
        backend, identity, browser = self.make_backend(), self.identity(), Browser(ORIGIN)
        if FactorKind.PASSKEY not in backend.factor_kinds:
            return []
        made = self._passkey(backend, identity, browser)
        assert (made.verified, made.kind) == (True, FactorKind.PASSKEY)
        return [(backend, identity, browser, made)]

    def _passkey(self, backend: BaseBackend, identity: str, browser: Browser) -> ProviderFactor:
        made = backend.enroll(identity, FactorKind.PASSKEY, name="key", options=PARTY)
        return backend.confirm(identity, made.sid, browser.create(made.options))


def _wrong(code: str) -> str:
    """Another code of the same length."""
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


def _everybody(backend: BaseBackend) -> set[str]:
    """The identity of every person, page by page."""
    known: set[str] = set()
    page = ""
    while True:
        got = backend.entities(page=page, size=1)
        known |= {one.identity for one in got.entities}
        page = got.next_page
        if not page:
            return known


def _rejection(call: Callable[[], object]) -> int:
    """Twilio's number with which ``call`` is rejected."""
    try:
        call()
    except BackendRejected as error:
        return error.provider_code
    raise AssertionError("the provider should have refused, and said so by BackendRejected")
