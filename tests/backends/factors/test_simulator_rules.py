"""Verify's rules about factors: how often, how long, how many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from django_twilio_verify.backends.factor_options import PasskeyOptions
from django_twilio_verify.backends.simulator.es256 import decoded
from django_twilio_verify.backends.simulator.factors import FactorSimulator, Notification
from django_twilio_verify.backends.twilio.errors import VerifyError
from django_twilio_verify.testing import Authenticator, Browser, FactorRoutes, LocalApi, Phone
from django_twilio_verify.testing.phone import DeviceRefused

ANN, BEN = "ann-00000001", "ben-00000001"
START = 1_800_000_000.0
HOUR, DAY = 3600, 86_400
ORIGIN = "https://shop.example"
PARTY = PasskeyOptions("shop.example", "Shop", (ORIGIN,), "any", "preferred", "required")


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(clock: Clock) -> FactorSimulator:
    made = FactorSimulator("shop", clock=clock)
    made.passkeys = PARTY
    return made


def refused(call: Callable[..., object], *args: Any, **more: Any) -> tuple[int, int]:
    with pytest.raises(VerifyError) as caught:
        call(*args, **more)
    return caught.value.status, caught.value.code


def app_of(service: FactorSimulator, clock: Clock, identity: str = ANN, **config: Any) -> tuple[str, Authenticator]:
    """A confirmed authenticator app: SID, and the app. Its next code was never used."""
    made = service.create_factor(identity, "ann", "totp", config=config)
    app = Authenticator.scan(made["binding"]["uri"], clock=clock)
    service.update_factor(identity, made["sid"], auth_payload=app.code())
    clock.now += 2 * made["config"]["time_step"]
    return made["sid"], app


def phone_of(service: FactorSimulator, clock: Clock, identity: str = ANN, platform: str = "fcm") -> Phone:
    api = LocalApi(FactorRoutes(service))
    place = service.place.service_sid
    phone = Phone(api, service_sid=place, identity=identity, platform=platform, clock=clock)
    phone.register(service.create_token(identity, "push")["token"])
    return phone


def push(service: FactorSimulator, phone: Phone, **more: Any) -> str:
    sid: str = service.create_challenge(phone.identity, phone.sid, message="Is it you?", **more)["sid"]
    return sid


# ------------------------------------------------------------------------------------------------------- totp


@pytest.mark.parametrize(
    ("config", "factor"),
    [
        ({}, "SHA1&digits=6&period=30"),
        ({"alg": "sha256", "code_length": 8, "time_step": 60}, "SHA256&digits=8&period=60"),
        ({"alg": "sha512", "code_length": 3, "time_step": 20}, "SHA512&digits=3&period=20"),
    ],
)
def test_the_address_says_all_that_an_app_needs(service: FactorSimulator, config: Any, factor: str) -> None:
    service.issuer = "Ann & Co"
    made = service.create_factor(ANN, "ann: home", "totp", config=config)
    secret = made["binding"]["secret"]
    uri = f"otpauth://totp/Ann%20%26%20Co:ann%3A%20home?secret={secret}&issuer=Ann+%26+Co&algorithm={factor}"
    assert made["binding"]["uri"] == uri


@pytest.mark.parametrize("config", [{"alg": "sha256"}, {"alg": "sha512", "code_length": 8}, {"time_step": 60}])
def test_codes_of_every_kind_are_judged(service: FactorSimulator, clock: Clock, config: Any) -> None:
    sid, app = app_of(service, clock, **config)
    assert service.create_challenge(ANN, sid, auth_payload=app.code())["status"] == "approved"


@pytest.mark.parametrize(
    ("skew", "steps", "status"),
    [
        (0, 0, "approved"),
        (0, 1, "pending"),
        (0, -1, "pending"),
        (1, 1, "approved"),
        (1, -1, "approved"),
        (1, 2, "pending"),
        (2, -2, "approved"),
        (2, 3, "pending"),
    ],
)
def test_the_skew(service: FactorSimulator, clock: Clock, skew: int, steps: int, status: str) -> None:
    sid, app = app_of(service, clock, skew=skew)
    clock.now += 300
    assert service.create_challenge(ANN, sid, auth_payload=app.code(steps=steps))["status"] == status


def test_no_code_counts_twice_nor_after_a_later_one(service: FactorSimulator, clock: Clock) -> None:
    sid, app = app_of(service, clock)
    latest, before = app.code(steps=1), app.code()
    assert service.create_challenge(ANN, sid, auth_payload=latest)["status"] == "approved"
    for code in (latest, before):
        assert service.create_challenge(ANN, sid, auth_payload=code)["status"] == "pending"
    clock.now += 60
    assert service.create_challenge(ANN, sid, auth_payload=app.code())["status"] == "approved"


def test_the_code_that_confirmed_does_not_sign_in(service: FactorSimulator, clock: Clock) -> None:
    made = service.create_factor(ANN, "ann", "totp")
    code = Authenticator.scan(made["binding"]["uri"], clock=clock).code()
    service.update_factor(ANN, made["sid"], auth_payload=code)
    assert service.create_challenge(ANN, made["sid"], auth_payload=code)["status"] == "pending"


def test_a_factor_can_be_brought_along(service: FactorSimulator, clock: Clock) -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    made = service.create_factor(ANN, "ann", "totp", binding={"secret": secret})
    assert made["binding"]["secret"] == secret
    service.update_factor(ANN, made["sid"], auth_payload=Authenticator(secret, clock=clock).code())
    assert refused(service.create_factor, ANN, "x", "totp", binding={"secret": "1!"}) == (400, 60314)


@pytest.mark.parametrize(
    ("name", "kind", "config"),
    [
        ("", "totp", {}),
        ("x" * 65, "totp", {}),
        ("x", "palm", {}),
        ("x", "passkeys", {}),
        ("x", "totp", {"time_step": 19}),
        ("x", "totp", {"time_step": 61}),
        ("x", "totp", {"time_step": "often"}),
        ("x", "totp", {"skew": 3}),
        ("x", "totp", {"code_length": 2}),
        ("x", "totp", {"code_length": 9}),
        ("x", "totp", {"alg": "md5"}),
    ],
)
def test_what_a_factor_cannot_be(service: FactorSimulator, name: str, kind: str, config: Any) -> None:
    assert refused(service.create_factor, ANN, name, kind, config=config) == (400, 60306)


@pytest.mark.parametrize("identity", ["short", "a" * 65, "ann@shop.example", "ann_00000001", "-ann-0001", "ann--0001"])
def test_an_identity_is_letters_digits_and_dashes(service: FactorSimulator, identity: str) -> None:
    assert refused(service.create_factor, identity, "ann", "totp") == (400, 60306)
    assert refused(service.create_entity, identity) == (400, 60306)


def test_a_person_is_there_once(service: FactorSimulator) -> None:
    service.create_entity(ANN)
    assert refused(service.create_entity, ANN) == (409, 60301)


# ----------------------------------------------------------------------------------------------------- bounds


def test_a_hundred_apps_and_twenty_phones(service: FactorSimulator, clock: Clock) -> None:
    for _ in range(100):
        service.create_factor(ANN, "x", "totp")
    assert refused(service.create_factor, ANN, "x", "totp") == (400, 60315)
    for _ in range(20):
        phone_of(service, clock, BEN)
    with pytest.raises(DeviceRefused) as caught:
        phone_of(service, clock, BEN)
    assert caught.value.code == 60315


def test_a_hundred_factors_a_day(service: FactorSimulator, clock: Clock) -> None:
    for _ in range(100):
        service.delete_factor(ANN, service.create_factor(ANN, "x", "totp")["sid"])
    assert refused(service.create_factor, ANN, "x", "totp") == (429, 60326)
    clock.now += DAY
    service.create_factor(ANN, "x", "totp")


def test_fifty_challenges_an_hour_and_a_hundred_a_day(service: FactorSimulator, clock: Clock) -> None:
    sid, _ = app_of(service, clock)
    for _ in range(2):
        for _ in range(50):
            service.create_challenge(ANN, sid)
        assert refused(service.create_challenge, ANN, sid) == (429, 60312)
        clock.now += HOUR
    assert refused(service.create_challenge, ANN, sid) == (429, 60312)
    clock.now += DAY
    service.create_challenge(ANN, sid)


def test_ten_challenges_a_day_where_codes_are_short(service: FactorSimulator, clock: Clock) -> None:
    sid, _ = app_of(service, clock, code_length=4)
    for _ in range(10):
        service.create_challenge(ANN, sid)
    clock.now += HOUR
    assert refused(service.create_challenge, ANN, sid) == (429, 60312)
    clock.now += DAY - HOUR
    service.create_challenge(ANN, sid)


def test_what_was_never_confirmed_goes_after_a_day(service: FactorSimulator, clock: Clock) -> None:
    made = service.create_factor(ANN, "ann", "totp")
    kept, _ = app_of(service, clock)
    clock.now += DAY
    assert refused(service.factor, ANN, made["sid"]) == (404, 20404)
    assert service.factor(ANN, kept)["status"] == "verified"


@pytest.mark.parametrize(
    ("until", "ok"), [(timedelta(minutes=60), True), (timedelta(minutes=61), False), (timedelta(0), False)]
)
def test_a_challenge_lives_an_hour_at_most(service: FactorSimulator, clock: Clock, until: timedelta, ok: bool) -> None:
    sid, app = app_of(service, clock)
    moment = datetime.fromtimestamp(clock.now, UTC) + until
    if not ok:
        assert refused(service.create_challenge, ANN, sid, expires=moment) == (400, 60306)
        return
    made = service.create_challenge(ANN, sid, expires=moment)
    clock.now += until.total_seconds() - 1
    assert service.challenge(ANN, made["sid"])["status"] == "pending"
    clock.now += 1
    assert service.challenge(ANN, made["sid"])["status"] == "expired"
    assert refused(service.update_challenge, ANN, made["sid"], auth_payload=app.code()) == (403, 60323)


@pytest.mark.parametrize(
    "more",
    [
        {"message": "x" * 257},
        {"message": "x", "fields": [{"label": "x" * 37, "value": ""}]},
        {"message": "x", "fields": [{"label": "x", "value": "x" * 129}]},
        {"message": "x", "fields": [{"label": "x", "value": "x"}] * 21},
        {"message": "x", "hidden": {"x": "x" * 1024}},
        {"message": "x", "hidden": {"x": 1}},
        {"message": ""},
    ],
)
def test_what_a_push_cannot_say(service: FactorSimulator, clock: Clock, more: Any) -> None:
    phone = phone_of(service, clock)
    assert refused(service.create_challenge, ANN, phone.sid, **more) == (400, 60306)


@pytest.mark.parametrize("ttl", [59, 301])
def test_a_token_lives_one_to_five_minutes(service: FactorSimulator, ttl: int) -> None:
    assert refused(service.create_token, ANN, "push", ttl=ttl) == (400, 60305)
    assert refused(service.create_token, ANN, "totp") == (400, 60305)
    assert refused(service.create_token, "x", "push") == (400, 60305)


# ------------------------------------------------------------------------------------------------------- push


def test_each_push_is_delivered_but_to_silent_phones(service: FactorSimulator, clock: Clock) -> None:
    sent: list[Notification] = []
    service.notified = sent.append
    phone, silent = phone_of(service, clock), phone_of(service, clock, platform="none")
    sid = push(service, phone)
    service.notify(ANN, sid)
    push(service, silent)
    assert [(one.challenge_sid, one.platform, one.message) for one in sent] == [(sid, "fcm", "Is it you?")] * 2
    assert "t" * 64 not in repr(sent)


@pytest.mark.parametrize("answer", ["approve", "deny"])
def test_a_push_is_answered_once(service: FactorSimulator, clock: Clock, answer: str) -> None:
    phone = phone_of(service, clock)
    sid = push(service, phone)
    getattr(phone, answer)(sid)
    for again in (phone.approve, phone.deny):
        with pytest.raises(DeviceRefused) as caught:
            again(sid)
        assert caught.value.code == 60322
    assert refused(service.notify, ANN, sid) == (403, 60322)


def test_a_push_to_a_removed_phone(service: FactorSimulator, clock: Clock) -> None:
    phone = phone_of(service, clock)
    sid = push(service, phone)
    body = service.challenge(ANN, sid)
    phone.remove()
    assert refused(service.update_challenge, ANN, sid, auth_payload=phone.signed(body, "approved")) == (404, 20404)
    with pytest.raises(DeviceRefused) as caught:
        phone.approve(sid)
    assert caught.value.code == 60313, "its key opens nothing any more"


def test_details_cannot_be_changed_under_a_signature(service: FactorSimulator, clock: Clock) -> None:
    phone = phone_of(service, clock)
    sid = push(service, phone, hidden={"number": "42"})
    body = service.challenge(ANN, sid)
    for name, value in (("hidden_details", {"number": "43"}), ("identity", BEN), ("details", None), ("sid", "YC")):
        forged = phone.signed({**body, name: value}, "approved")
        assert refused(service.update_challenge, ANN, sid, auth_payload=forged) == (403, 60324)
    assert phone.approve(sid) == "approved"


def test_a_phone_reaches_its_own_factor_and_nothing_else(service: FactorSimulator, clock: Clock) -> None:
    phone, other, bens = phone_of(service, clock), phone_of(service, clock), phone_of(service, clock, BEN)
    theirs = [push(service, other), push(service, bens)]
    for sid in theirs:
        for act in (phone.approve, phone.deny):
            with pytest.raises(DeviceRefused):
                act(sid)
    place = f"Services/{service.place.service_sid}/Entities"
    for method, path, form in (
        ("GET", f"{ANN}/Factors/{other.sid}", {}),
        ("DELETE", f"{ANN}/Factors/{other.sid}", {}),
        ("GET", f"{ANN}/Challenges", {"FactorSid": other.sid}),
        ("GET", f"{ANN}/Challenges", {}),
        ("POST", f"{ANN}/Challenges", {"FactorSid": phone.sid}),
        ("POST", f"{ANN}/Factors", {"FactorType": "push"}),
        ("DELETE", ANN, {}),
        ("DELETE", BEN, {}),
    ):
        phone._path = place
        with pytest.raises(DeviceRefused) as caught:
            phone._ask(method, path, form)
        assert caught.value.code in (60313, 20404)
    assert [one["status"] for one in service.challenges(BEN)] == ["pending"]


@pytest.mark.parametrize("seconds", [61, DAY])
def test_an_access_token_is_for_one_person_and_a_minute(service: FactorSimulator, clock: Clock, seconds: float) -> None:
    api = LocalApi(FactorRoutes(service))
    token = service.create_token(ANN, "push")["token"]
    mallory = Phone(api, service_sid=service.place.service_sid, identity=BEN, clock=clock)
    with pytest.raises(DeviceRefused):
        mallory.register(token)
    clock.now += seconds
    ann = Phone(api, service_sid=service.place.service_sid, identity=ANN, clock=clock)
    with pytest.raises(DeviceRefused) as caught:
        ann.register(token)
    assert caught.value.code == 60313


def test_a_key_serves_one_factor(service: FactorSimulator, clock: Clock) -> None:
    phone = phone_of(service, clock)
    with pytest.raises(DeviceRefused) as caught:
        phone.register(service.create_token(ANN, "push")["token"])
    assert caught.value.code == 60304


@pytest.mark.parametrize("key", ["", "%", "AAAA", "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="])
def test_a_key_of_another_kind(service: FactorSimulator, key: str) -> None:
    config = {"app_id": "x", "sdk_version": "1", "notification_platform": "none"}
    binding = {"alg": "ES256", "public_key": key}
    assert refused(service.create_factor, ANN, "x", "push", binding=binding, config=config) == (400, 60314)


@pytest.mark.parametrize(
    "changed",
    [
        {"app_id": ""},
        {"sdk_version": ""},
        {"notification_platform": ""},
        {"notification_platform": "pigeon"},
        {"app_id": "x" * 101},
        {"notification_platform": "apn"},
        {"notification_platform": "apn", "notification_token": "short"},
    ],
)
def test_what_a_phone_has_to_say(service: FactorSimulator, clock: Clock, changed: dict[str, str]) -> None:
    phone = phone_of(service, clock, BEN)
    config = {"app_id": "x", "sdk_version": "1", "notification_platform": "none", **changed}
    binding = {"public_key": phone.public_key}
    assert refused(service.create_factor, ANN, "x", "push", binding=binding, config=config) == (400, 60306)


# --------------------------------------------------------------------------------------------------- passkeys


def key_of(service: FactorSimulator, browser: Browser, identity: str = ANN) -> str:
    made = service.create_passkey(identity, "key")
    options = made["options"]["publicKey"]
    service.verify_passkey(browser.create(options))
    sid: str = made["sid"]
    return sid


def asked(service: FactorSimulator, *who: str) -> tuple[str, dict[str, Any]]:
    made = service.create_passkey_challenge(*who)
    options = made["options"]["publicKey"]
    return made["sid"], {**options, "rpId": options["rp"]["id"]}


def test_the_counter_of_a_clone(service: FactorSimulator) -> None:
    browser = Browser(ORIGIN)
    key_of(service, browser)
    clone = browser.clone()
    for one in (browser, browser):
        service.approve_passkey(one.get(asked(service, ANN)[1]))
    for _ in range(2):
        assert refused(service.approve_passkey, clone.get(asked(service, ANN)[1])) == (400, 60381)
    service.approve_passkey(browser.get(asked(service, ANN)[1]))


def test_a_passkey_without_a_counter_goes_on(service: FactorSimulator) -> None:
    browser = Browser(ORIGIN, counts=False)
    key_of(service, browser)
    for _ in range(2):
        assert service.approve_passkey(browser.get(asked(service, ANN)[1]))["status"] == "approved"


def hostile(browser: Browser) -> Iterator[tuple[str, Callable[[dict[str, Any]], dict[str, Any]], int]]:
    """Name, what becomes of the options, Twilio's error."""

    def changed(**parts: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def get(options: dict[str, Any]) -> dict[str, Any]:
            given = browser.get(options)
            return {**given, "response": {**given["response"], **parts}}

        return get

    def from_origin(origin: str, **more: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def get(options: dict[str, Any]) -> dict[str, Any]:
            thief = browser.clone()
            thief.origin = origin
            for name, value in more.items():
                setattr(thief, name, value)
            return thief.get(options)

        return get

    yield "another origin", from_origin("https://evil.test"), 60381
    yield "another port", from_origin(f"{ORIGIN}:8443"), 60381
    yield "no https", from_origin("http://shop.example"), 60381
    yield "user not verified", from_origin(ORIGIN, verifies_user=False), 60381
    yield "another person's handle", changed(userHandle="WUUwMDAw"), 60381
    yield "no signature", changed(signature=""), 60381
    yield "another signature", changed(signature="MEUCIQDDs662"), 60381
    yield "cut authenticator data", changed(authenticatorData="AAAA"), 60381
    yield "no client data", changed(clientDataJSON=""), 60378
    yield "client data of no kind", changed(clientDataJSON="W10"), 60378
    yield "unknown credential", lambda options: {**browser.get(options), "id": "AAAA", "rawId": "AAAA"}, 60390
    yield "no response", lambda options: {**browser.get(options), "response": None}, 60378
    yield "another challenge", lambda options: browser.get({**options, "challenge": "WUMwMDAw"}), 60391


@pytest.mark.parametrize("index", range(13))
def test_hostile_assertions(service: FactorSimulator, index: int) -> None:
    browser = Browser(ORIGIN)
    key_of(service, browser)
    _name, get, code = [*hostile(browser)][index]
    sid, options = asked(service, ANN)
    assert refused(service.approve_passkey, get(options))[1] == code
    assert service.challenge(ANN, sid)["status"] == "pending"
    assert service.approve_passkey(browser.get(options))["sid"] == sid


def test_an_assertion_counts_once_and_in_time(service: FactorSimulator, clock: Clock) -> None:
    browser = Browser(ORIGIN)
    key_of(service, browser)
    given = browser.get(asked(service, ANN)[1])
    service.approve_passkey(given)
    assert refused(service.approve_passkey, given) == (403, 60322)
    late = browser.get(asked(service, ANN)[1])
    clock.now += 600
    assert refused(service.approve_passkey, late) == (403, 60323)


def test_a_key_of_another_person_or_another_of_ones_own(service: FactorSimulator) -> None:
    anns, bens, second = Browser(ORIGIN), Browser(ORIGIN), Browser(ORIGIN)
    first_sid = key_of(service, anns)
    key_of(service, bens, BEN)
    key_of(service, second)
    _, options = asked(service, ANN)
    assert refused(service.approve_passkey, bens.get({**options, "allowCredentials": []})) == (400, 60381)
    _, options = asked(service, ANN, first_sid)
    assert refused(service.approve_passkey, second.get({**options, "allowCredentials": []})) == (400, 60381)


def test_a_challenge_for_nobody_names_nobody(service: FactorSimulator) -> None:
    browser = Browser(ORIGIN)
    sid = key_of(service, browser)
    challenge, options = asked(service)
    body = service.approve_passkey(browser.get(options))
    assert (body["sid"], body["identity"], body["entity_sid"], body["factor_sid"]) == (challenge, None, None, None)
    service.delete_factor(ANN, sid)
    assert refused(service.approve_passkey, browser.get(asked(service)[1])) == (404, 60390)


def test_a_registration_counts_once_and_in_time(service: FactorSimulator, clock: Clock) -> None:
    browser = Browser(ORIGIN)
    options = service.create_passkey(ANN, "key")["options"]["publicKey"]
    given = browser.create(options)
    service.verify_passkey(given)
    assert refused(service.verify_passkey, given) == (404, 60390)
    late = Browser(ORIGIN).create(service.create_passkey(ANN, "key")["options"]["publicKey"])
    clock.now += 600
    assert refused(service.verify_passkey, late) == (404, 60390)


@pytest.mark.parametrize(
    "change",
    [
        {"attestationObject": "AAAA"},
        {"attestationObject": ""},
        {"attestationObject": None},
        {"clientDataJSON": "eyJjaGFsbGVuZ2UiOiJXVVl3In0"},
        {"clientDataJSON": 7},
    ],
)
def test_hostile_attestations(service: FactorSimulator, change: dict[str, Any]) -> None:
    given = Browser(ORIGIN).create(service.create_passkey(ANN, "key")["options"]["publicKey"])
    broken = {**given, "response": {**given["response"], **change}}
    assert refused(service.verify_passkey, broken)[1] in (60378, 60386, 60390)
    assert service.verify_passkey(given)["status"] == "verified"


def test_what_is_no_kind_of_answer(service: FactorSimulator, clock: Clock) -> None:
    key_of(service, Browser(ORIGIN))
    key, _ = asked(service, ANN)
    assert refused(service.update_challenge, ANN, key, auth_payload="123456") == (400, 60306)
    sid, _app = app_of(service, clock)
    codes = service.create_challenge(ANN, sid)["sid"]
    for challenge in (key, codes):
        assert refused(service.notify, ANN, challenge) == (400, 60307)
    service.delete_factor(ANN, sid)
    assert refused(service.update_challenge, ANN, codes, auth_payload="123456") == (404, 20404)
    service.delete_entity(ANN)
    assert refused(service.challenge, ANN, key) == (404, 20404)


def test_the_relying_party_is_the_one_that_was_asked_for(service: FactorSimulator) -> None:
    browser = Browser(ORIGIN)
    key_of(service, browser)
    service.passkeys = PasskeyOptions("other.example", "Other", (ORIGIN,), "any", "preferred", "preferred")
    _, options = asked(service)
    given = browser.get({**options, "rpId": "shop.example"})
    assert refused(service.approve_passkey, given) == (400, 60382)


def test_a_registration_from_another_origin(service: FactorSimulator) -> None:
    options = service.create_passkey(ANN, "key")["options"]["publicKey"]
    assert refused(service.verify_passkey, Browser("https://evil.test").create(options)) == (400, 60386)
    lazy = Browser(ORIGIN, verifies_user=False)
    assert refused(service.verify_passkey, lazy.create(options)) == (400, 60386)


def test_an_id_in_hexadecimal_is_taken_too(service: FactorSimulator) -> None:
    given = Browser(ORIGIN).create(service.create_passkey(ANN, "key")["options"]["publicKey"])
    assert service.verify_passkey({**given, "rawId": decoded(given["id"]).hex()})["status"] == "verified"


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"relying_party": {}}, 60371),
        ({"relying_party": "shop"}, 60371),
        ({"relying_party": {"name": "Shop", "origins": [ORIGIN]}}, 60372),
        ({"relying_party": {"id": "https://shop.example", "name": "S", "origins": [ORIGIN]}}, 60371),
        ({"relying_party": {"id": "shop.example", "origins": [ORIGIN]}}, 60371),
        ({"relying_party": {"id": "shop.example", "name": "Shop", "origins": [ORIGIN]}}, 60393),
    ],
)
def test_a_relying_party_that_is_none(service: FactorSimulator, config: dict[str, Any], code: int) -> None:
    assert refused(service.create_passkey, ANN, "key", config) == (400, code)
    service.passkeys = PasskeyOptions()
    assert refused(service.create_passkey, ANN, "key") == (400, 60371)
    assert refused(service.create_passkey_challenge) == (400, 60371)


def test_who_has_no_passkey_cannot_be_asked(service: FactorSimulator, clock: Clock) -> None:
    assert refused(service.create_passkey_challenge, ANN) == (404, 60392)
    sid, _ = app_of(service, clock)
    assert refused(service.create_passkey_challenge, ANN) == (404, 60390)
    assert refused(service.create_passkey_challenge, ANN, sid) == (404, 60390)
    unverified = service.create_passkey(ANN, "key")["sid"]
    assert refused(service.create_passkey_challenge, ANN, unverified) == (403, 60318)


def test_without_a_judge_there_are_none(service: FactorSimulator) -> None:
    service.judge = None
    assert refused(service.create_passkey, ANN, "key") == (403, 60204)
    assert refused(service.create_passkey_challenge) == (403, 60204)


# ----------------------------------------------------------------------------------------------------- events


def test_what_happens_is_told_in_order(service: FactorSimulator, clock: Clock) -> None:
    told: list[Any] = []
    service.happened = told.append
    phone = phone_of(service, clock)
    phone.approve(push(service, phone))
    phone.deny(push(service, phone))
    service.delete_entity(ANN)
    kinds = ["factor.created", "factor.verified", "challenge.approved", "challenge.denied", "factor.deleted"]
    assert [one["type"] for one in told] == [one["type"] for one in service.events] == kinds
    assert len({one["uuid"] for one in told}) == 5
    assert {one["factor_sid"] for one in told} == {phone.sid}
    service.reset()
    assert (service.entities(), [*service.events]) == ([], [])


def test_who_is_told_may_ask_back(service: FactorSimulator, clock: Clock) -> None:
    """Outside the lock, and after the fact."""
    seen: list[str] = []
    service.happened = lambda event: seen.append(service.factor(ANN, event["factor_sid"])["status"])
    app_of(service, clock)
    assert seen == ["unverified", "verified"]


# ------------------------------------------------------------------------------------------------------ races


def outcomes(calls: list[Callable[[], Any]]) -> list[Any]:
    """What each call gave, or Twilio's error; all begin at the same instant."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait(timeout=30)
        try:
            return call()["status"]
        except VerifyError as error:
            return error.code

    with ThreadPoolExecutor(len(calls)) as pool:
        return [*pool.map(run, calls)]


@pytest.mark.race
def test_of_equal_assertions_one_is_accepted(service: FactorSimulator) -> None:
    browser = Browser(ORIGIN)
    key_of(service, browser)
    given = browser.get(asked(service, ANN)[1])
    found = outcomes([lambda: service.approve_passkey(given)] * 8)
    assert sorted(map(str, found)) == ["60322"] * 7 + ["approved"]


@pytest.mark.race
def test_of_a_yes_and_a_no_one_counts(service: FactorSimulator, clock: Clock) -> None:
    phone = phone_of(service, clock)
    sid = push(service, phone)
    body = service.challenge(ANN, sid)
    answers = [phone.signed(body, word) for word in ("approved", "denied") * 4]
    found = outcomes(
        [lambda answer=answer: service.update_challenge(ANN, sid, auth_payload=answer) for answer in answers]
    )
    (settled,) = [one for one in found if one != 60322]
    assert service.challenge(ANN, sid)["status"] == settled


@pytest.mark.race
def test_of_one_code_on_two_challenges_one_counts(service: FactorSimulator, clock: Clock) -> None:
    sid, app = app_of(service, clock)
    code = app.code()
    found = outcomes([lambda: service.create_challenge(ANN, sid, auth_payload=code)] * 8)
    assert sorted(found) == ["approved"] + ["pending"] * 7
