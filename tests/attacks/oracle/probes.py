"""Each endpoint asked about something that is there and something that is not.

``PROBES`` has an entry for each name in ``urls.urlpatterns``, and for the site's login. A probe is one question and the
variants of what it is about; whoever asks must not be able to tell the variants apart. An endpoint that takes nothing
which could name somebody else's has ``NOTHING`` with the reason.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from django_twilio_verify import verifications
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import Channel, FactorKind
from django_twilio_verify.consent import ConsentContext, disclosures, opt_outs
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.factors import devices, recovery_codes, resets
from django_twilio_verify.login import trusted_browsers
from django_twilio_verify.models import ConsentEvent, Factor, RecoveryCode, TrustedBrowser, Verification
from django_twilio_verify.testing import Browser, outbox
from django_twilio_verify.testing.factor_contract import ORIGIN, PARTY
from django_twilio_verify.verifications import challenges, handover, lifecycle
from tests.support.basics import PHONE, agree, code_path, last_code, make_client, make_factor, make_user, sign_in
from tests.support.devices import World as Devices

UNKNOWN_PHONE = "+15017122699"
OWN_PHONE = "+15017122677"
UNKNOWN_ID = "3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2"
UNKNOWN_PK = 987654


class World:
    """Ann, who is known: a factor, consent, recovery codes, a trusted browser, a verification and a link under way,
    and devices, made when a probe names them. And eve, who asks.
    """

    def __init__(self) -> None:
        # A Service that knows its relying party.
        backends["default"].factor_simulator.passkeys = PARTY  # type: ignore[attr-defined]
        self.devices = Devices("sync", None)
        self.ann: User = make_user("ann", email="ann@example.org")
        self.factor: Factor = make_factor(self.ann)
        self.codes = recovery_codes.issue(self.ann)
        self.browser: TrustedBrowser = trusted_browsers.trust(self.ann, make_client("ann"), days=30).browser
        self.verification: Verification = lifecycle.start(
            recipient=PHONE, channel="sms", user=self.ann, purpose="login", client=make_client("ann")
        ).verification
        self.event: ConsentEvent = ConsentEvent.objects.earliest("pk")
        agree(PHONE, "sna", client=make_client("visitor"))
        self.link: Verification = verifications.start(
            recipient=PHONE, channel="sna", purpose="verify", client=make_client("visitor")
        ).verification
        self.eve: User = make_user("eve")
        self.carl = Client()
        self.carl.force_login(make_user("carl"))
        self.payment = self.carl.post("/pay/", {"amount": "1 EUR", "payee": "Shop"})["Location"].split("/")[3]
        self.asking = Client()
        self._ready: set[str] = set()

    @cached_property
    def app(self) -> Factor:
        """Ann's authenticator app."""
        factor: Factor = self.devices.totp(self.ann)[0]
        return factor

    @cached_property
    def keys(self) -> Browser:
        """Ann's passkey."""
        browser: Browser = self.devices.passkey(self.ann)[1]
        return browser

    @cached_property
    def push(self) -> Verification:
        """What ann's phone is asked."""
        self.devices.phone(self.ann)
        return challenges.start(channel="push", client=make_client("ann"), user=self.ann).verification

    @cached_property
    def new_app(self) -> Verification:
        """The authenticator app that ann is setting up."""
        return devices.begin_totp(self.ann, make_client("ann"), name="ann").verification

    @cached_property
    def new_phone(self) -> Verification:
        """The phone that ann is setting up."""
        return devices.begin_push(self.ann, make_client("ann"), name="Pixel").verification

    @cached_property
    def new_key(self) -> Verification:
        """The passkey that ann is setting up."""
        return devices.begin_passkey(self.ann, make_client("ann"), name="Laptop").verification

    @cached_property
    def kept(self) -> str:
        """The key of the form that carl has posted to a page which asked for a proof."""
        return self._kept(self.carl)

    @cached_property
    def cancel_token(self) -> str:
        """Of the mail about the reset of ann's factors."""
        told: list[str] = []
        resets.request(self.ann, reason="Lost it.", actor="cron", link=lambda token: told.append(token) or "/x/")
        return told[0]

    @cached_property
    def enroll_token(self) -> str:
        """Of the enrollment link after a reset of a user of their own, who has no address."""
        dan = make_user("dan")
        make_factor(dan, "+15017122679")
        done = resets.request(
            dan,
            reason="Lost it.",
            actor="cron",
            link=lambda token: "/x/",
            at_once=True,
            enroll_link=lambda token: token,
        )
        return done.link

    @staticmethod
    def _kept(client: Client) -> str:
        """As ``session.keep_form`` leaves it: the pages of this site keep none."""
        store, key = client.session, "k" * 16
        store["_twilio_verify_forms"] = {
            key: {
                "user_id": store["_auth_user_id"],
                "path": "/pay/",
                "fields": [["street", "1 Main St"]],
                "at": int(time.time()),
            }
        }
        store.save()
        return key

    def visitor(self) -> Client:
        """Eve without an account, with a session of hers."""
        if self._first("visitor"):
            self.asking.get("/verify/stop/")
        return self.asking

    def member(self) -> Client:
        """Eve, signed in; she has no factor."""
        if self._first("member"):
            sign_in(self.asking, "eve")
            self.asking.get("/verify/enroll/")
        return self.asking

    def pending(self) -> Client:
        """Eve with her password given and her factor owed."""
        if self._first("pending"):
            make_factor(self.eve, OWN_PHONE)
        return self.member()

    def verified(self) -> Client:
        """Eve, through with her factor."""
        asking = self.pending()
        if self._first("verified"):
            asking.post(code_path(asking.post("/verify/challenge/")), {"code": last_code()})
        return asking

    def _first(self, what: str) -> bool:
        if what in self._ready:
            return False
        self._ready.add(what)
        return True


Ask = Callable[[World, Any], Any]


@dataclass(frozen=True)
class Probe:
    """``ask(world, variant)`` prepares whoever asks and answers with the one request to be compared, as a callable.

    ``writes``: the request may change something, so each variant gets a world of its own. ``aside``: parts of ``Seen``
    that may differ, for a reason that stands beside it.
    """

    name: str
    ask: Ask
    variants: tuple[str, ...]
    writes: bool = True
    aside: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Nothing:
    """Why there is nothing to compare."""

    reason: str


OWN = Nothing("shows and changes the person's own, and is told nothing that names anything")


def _request(client: Client, method: str, path: str, values: dict[str, str] | None = None) -> Callable[[], Any]:
    return lambda: getattr(client, method)(path, values or {})


# ---------------------------------------------------------------------------------------- by the id of a verification


def _verification_id(world: World, variant: str) -> object:
    return {
        "unknown": UNKNOWN_ID,
        "somebody else's": world.verification.pk,
        "a visitor's": world.link.pk,
        "no random one": uuid.UUID(int=1),
        "a request to somebody's phone": lambda: world.push.pk,
        "somebody's new app": lambda: world.new_app.pk,
        "somebody's new phone": lambda: world.new_phone.pk,
        "somebody's new passkey": lambda: world.new_key.pk,
    }[variant]


IDS = ("unknown", "somebody else's", "a visitor's", "no random one")
DEVICES = (
    *IDS,
    "a request to somebody's phone",
    "somebody's new app",
    "somebody's new phone",
    "somebody's new passkey",
)


def by_id(template: str, method: str, who: str, ids: tuple[str, ...] = IDS, **values: str) -> Probe:
    def ask(world: World, variant: str) -> Callable[[], Any]:
        client, found = getattr(world, who)(), _verification_id(world, variant)
        return _request(client, method, template.format(found() if callable(found) else found), values)

    return Probe(f"{method} {template} by a {who}", ask, ids, writes=False)


def by_ids(template: str, *methods: str, **values: str) -> list[Probe]:
    return [by_id(template, method, who, **values) for method in methods for who in ("visitor", "pending", "verified")]


def by_devices(template: str, *methods: str, **values: str) -> list[Probe]:
    """By ids, of what devices are asked as well; also by a person who has no factor so far."""
    everybody = ("visitor", "member", "pending", "verified")
    return [by_id(template, method, who, DEVICES, **values) for method in methods for who in everybody]


# ------------------------------------------------------------------------------------------------------ by an address

# Not a number whose holder has stopped messages: nothing may be sent there, and the page says that nothing was.
NUMBERS = ("unknown", "another account's", "another account's, not default")


def _prepare_number(world: World, variant: str) -> str:
    """What eve types. Each variant is another number, so that nothing is pending at the provider for it."""
    number = {name: f"+1501712268{index}" for index, name in enumerate(NUMBERS)}[variant]
    if variant.startswith("another"):
        make_factor(world.ann if "not" in variant else make_user("bob"), number)
    if variant.startswith("stopped"):
        make_factor(make_user("bob"), number)
        opt_outs.stop(Recipient.parse(number), ["sms", "call"], client=make_client("bob"), context=ConsentContext())
    return number


def _stop_values(number: str, channel: str) -> dict[str, str]:
    shown = disclosures.compose_once(Channel(channel)).digest
    return {"number": number, "country": "", "disclosure": shown, "consent": "on"}


def _stop(channel: str, path: str) -> Ask:
    def ask(world: World, variant: str) -> Callable[[], Any]:
        number = _prepare_number(world, variant)
        return _request(world.visitor(), "post", path, _stop_values(number, channel))

    return ask


def _enroll(world: World, variant: str) -> Callable[[], Any]:
    number = _prepare_number(world, variant)
    shown = disclosures.compose(Channel.SMS).digest
    values = {"number": number, "country": "", "disclosure": shown, "consent": "on"}
    return _request(world.member(), "post", "/verify/enroll/sms/", values)


def _stop_at_the_limit(world: World, variant: str) -> Callable[[], Any]:
    """The same visitor for the eleventh time, for a number of somebody or of nobody."""
    number = _prepare_number(world, variant)
    client = world.visitor()
    for _ in range(10):
        other = f"+1501555{1000 + len(outbox):04}"
        client.post("/verify/stop/", _stop_values(other, "sms"))
    return _request(client, "post", "/verify/stop/", _stop_values(number, "sms"))


# ---------------------------------------------------------------------------------------------------- recovery codes

CODES = ("not a selector", "a selector", "a spent one", "of another person", "not a code")


def _recovery_code(world: World, variant: str) -> str:
    own = recovery_codes.issue(world.eve)
    if variant == "a spent one":
        RecoveryCode.objects.filter(user=world.eve).update(used_at=world.factor.created_at)
    secret = "0000-0000"
    return {
        "not a selector": f"0000-{secret}",
        "a selector": f"{own[0][:4]}-{secret}",
        "a spent one": own[0],
        "of another person": world.codes[0],
        "not a code": "x",
    }[variant]


def _recovery(who: str, path: str) -> Ask:
    def ask(world: World, variant: str) -> Callable[[], Any]:
        client, code = getattr(world, who)(), _recovery_code(world, variant)
        return _request(client, "post", path, {"code": code})

    return ask


def _no_codes(who: str, path: str) -> Ask:
    def ask(world: World, variant: str) -> Callable[[], Any]:
        client = getattr(world, who)()
        if variant == "has codes":
            recovery_codes.issue(world.eve)
        return _request(client, "post", path, {"code": "0000-0000-0000"})

    return ask


def _recovery_at_the_limit(who: str, path: str) -> Ask:
    def ask(world: World, variant: str) -> Callable[[], Any]:
        client, codes = getattr(world, who)(), recovery_codes.issue(world.eve)
        for _ in range(10):
            client.post(path, {"code": "0000-0000-0000"})
        code = codes[0] if variant == "right" else "0000-0000-0000"
        return _request(client, "post", path, {"code": code})

    return ask


def by_recovery_codes(who: str, path: str) -> list[Probe]:
    return [
        Probe("a code", _recovery(who, path), CODES),
        Probe("a person with codes or without", _no_codes(who, path), ("has codes", "has none")),
        Probe("a code, at the limit", _recovery_at_the_limit(who, path), ("right", "wrong")),
    ]


# ---------------------------------------------------------------------------------------------- by the id of a factor

FACTORS = ("unknown", "somebody else's", "somebody else's app")


def _factor_id(world: World, variant: str) -> int:
    if variant == "unknown":
        return UNKNOWN_PK
    return world.factor.pk if variant == "somebody else's" else world.app.pk


def by_factor(template: str, *methods: str, who: str = "verified", **values: str) -> list[Probe]:
    def asking(method: str) -> Ask:
        def ask(world: World, variant: str) -> Callable[[], Any]:
            client = getattr(world, who)()
            return _request(client, method, template.format(_factor_id(world, variant)), values)

        return ask

    return [Probe(f"{method} {template}", asking(method), FACTORS, writes=False) for method in methods]


def _replace(path: str) -> Ask:
    """Eve gives another number in the place of her own."""

    def ask(world: World, variant: str) -> Callable[[], Any]:
        number, client = _prepare_number(world, variant), world.verified()
        own = Factor.objects.get(user=world.eve).pk
        shown = disclosures.compose(Channel.SMS).digest
        values = {"number": number, "country": "", "disclosure": shown, "consent": "on"}
        return _request(client, "post", path.format(own), values)

    return ask


SHARED = ("hers alone", "another account's too", "another account's too, and its first")


def _own_number(method: str, path: str) -> Ask:
    """What eve is shown of a number of hers that is another account's as well."""

    def ask(world: World, variant: str) -> Callable[[], Any]:
        client = world.verified()
        if variant != "hers alone":
            bob = make_user("bob")
            make_factor(bob, OWN_PHONE if "first" in variant else UNKNOWN_PHONE)
            if "first" not in variant:
                make_factor(bob, OWN_PHONE)
        return _request(client, method, path.format(Factor.objects.get(user=world.eve).pk))

    return ask


# -------------------------------------------------------------------------------------------------------- by a passkey

PASSKEYS = (
    "of nobody",
    "somebody's",
    "of an inactive account",
    "removed",
    "somebody's, with another's signature",
    "not confirmed",
)


def _stranger() -> Browser:
    """A device with a passkey that this site has never heard of."""
    browser = Browser(ORIGIN)
    browser.create(backends["default"].enroll("somebody-else", FactorKind.PASSKEY, name="x").options)
    return browser


def _credential(world: World, variant: str, options: Any) -> str:
    """What a browser hands over, as text."""
    if variant in ("of nobody", "not confirmed"):
        browser = _stranger()
        if variant == "not confirmed":
            browser = Browser(ORIGIN)
            browser.create(devices.begin_passkey(world.ann, make_client("ann"), name="Laptop").browser_options)
        return json.dumps(browser.get(_any(options)))
    given = world.keys.get(_any(options))
    if variant == "of an inactive account":
        User.objects.filter(pk=world.ann.pk).update(is_active=False)
    elif variant == "removed":
        devices.remove(world.ann, Factor.objects.get(user=world.ann, kind="passkey").pk)
    elif "another's signature" in variant:
        given["response"]["signature"] = _stranger().get(_any(options))["response"]["signature"]
    return json.dumps(given)


def _any(options: Any) -> Any:
    """For a device that offers whichever passkey it has."""
    return {**options, "allowCredentials": []}


def _passkey_sign_in(world: World, variant: str) -> Callable[[], Any]:
    """The provider is asked about a passkey that is known here, and takes its time; about others nobody is asked. So
    the time tells whether an id is somebody's, to whoever has the id: it is random, long, and shown to its holder.
    """
    told = world.asking.post("/verify/passkey/options/").json()
    values = {"verification": told["verification"], "credential": _credential(world, variant, told["options"])}
    return _request(world.asking, "post", "/verify/passkey/", values)


def _passkey_sign_in_to(world: World, variant: str) -> Callable[[], Any]:
    """A good answer to a challenge of somebody else's session, or to none."""
    world.asking.post("/verify/passkey/options/")
    other = Client().post("/verify/passkey/options/").json()
    found = {"unknown": UNKNOWN_ID, "of another session": other["verification"], "somebody else's": world.push.pk}
    values = {"verification": str(found[variant]), "credential": json.dumps(world.keys.get(_any(other["options"])))}
    return _request(world.asking, "post", "/verify/passkey/", values)


def _passkey(base: str, who: str) -> Ask:
    """Eve has a passkey, and answers with another one."""

    def ask(world: World, variant: str) -> Callable[[], Any]:
        client = getattr(world, who)()
        factor, _keys = world.devices.passkey(world.eve)
        purpose = "login" if who == "pending" else "step_up"
        told = client.post(f"/verify/passkey/options/{purpose}/").json()
        values = {"verification": told["verification"], "credential": _credential(world, variant, told["options"])}
        return _request(client, "post", f"{base}{factor.pk}/passkey/", values)

    return ask


def _passkey_to(base: str, who: str) -> Ask:
    """Eve answers with her own passkey what was asked of somebody else."""

    def ask(world: World, variant: str) -> Callable[[], Any]:
        client = getattr(world, who)()
        factor, keys = world.devices.passkey(world.eve)
        credential = json.dumps(keys.get({"challenge": "AAAA", "rpId": PARTY.relying_party_id}))
        found = UNKNOWN_ID if variant == "unknown" else world.push.pk
        values = {"verification": str(found), "credential": credential}
        return _request(client, "post", f"{base}{factor.pk}/passkey/", values)

    return ask


def _new_passkey(world: World, variant: str) -> Callable[[], Any]:
    """Eve claims that her device has made a passkey whose id is somebody's: told as of one that the provider refuses.

    That it is refused is what WebAuthn Level 3 asks for (section 7.1, step 26); ids are random and long.
    """
    client = world.member()
    told = client.post("/verify/enroll/passkey/options/", {"name": "Laptop"}).json()
    made = Browser("https://another.example" if variant == "of another site" else ORIGIN).create(told["options"])
    if variant == "somebody's":
        made["id"] = made["rawId"] = world.keys.get(_any({"challenge": "AAAA", "rpId": PARTY.relying_party_id}))["id"]
    values = {"verification": told["verification"], "credential": json.dumps(made), "name": "Laptop"}
    return _request(client, "post", "/verify/enroll/passkey/", values)


def _new_passkey_to(world: World, variant: str) -> Callable[[], Any]:
    """Eve brings what her device has made, for an enrollment of somebody else's."""
    client = world.member()
    told = client.post("/verify/enroll/passkey/options/", {"name": "Laptop"}).json()
    found = UNKNOWN_ID if variant == "unknown" else world.new_key.pk
    values = {"verification": str(found), "credential": json.dumps(Browser(ORIGIN).create(told["options"]))}
    return _request(client, "post", "/verify/enroll/passkey/", {**values, "name": "Laptop"})


# ------------------------------------------------------------------------------------------------------- other things


def _kept_form(method: str, who: str) -> Ask:
    def ask(world: World, variant: str) -> Callable[[], Any]:
        client = getattr(world, who)()
        key = world.kept if variant == "of another session" else "x" * 16
        return _request(client, method, f"/verify/resume/{key}/")

    return ask


TOKENS = ("unknown", "nearly right", "the digest that is kept", "no token")


def _reset(method: str) -> Ask:
    def ask(world: World, variant: str) -> Callable[[], Any]:
        right = world.cancel_token
        token = {
            "unknown": "x" * len(right),
            "nearly right": right[:-1] + ("A" if right[-1] != "A" else "B"),
            "the digest that is kept": hashlib.sha256(right.encode()).hexdigest(),
            "no token": "0",
        }[variant]
        return _request(world.asking, method, f"/verify/reset/{token}/")

    return ask


def _reset_link(method: str) -> Ask:
    """The link is of the account that a reset is done for; nothing tells that there is one."""

    def ask(world: World, variant: str) -> Callable[[], Any]:
        right = world.enroll_token
        token = {
            "unknown": "x" * len(right),
            "nearly right": right[:-1] + ("A" if right[-1] != "A" else "B"),
            "the digest that is kept": hashlib.sha256(right.encode()).hexdigest(),
            "no token": "0",
        }[variant]
        return _request(world.asking, method, f"/verify/reset/{token}/enroll/")

    return ask


def _paying_by_passkey(world: World, variant: str) -> Callable[[], Any]:
    client = world.verified()
    key = {"unknown": "x" * len(world.payment), "of another session": world.payment}[variant]
    return _request(client, "post", f"/verify/passkey/options/payment/?payment={key}")


def _factor_webhook(world: World, variant: str) -> Callable[[], Any]:
    sid = {"a known SID": world.app.sid, "a known challenge": world.push.sid}.get(variant, "YF" + "0" * 32)
    body = {"uuid": UNKNOWN_ID, "type": "factor.deleted", "service_sid": "VA" + "0" * 32, "factor_sid": sid}
    headers = {"X-Twilio-Signature": "c2lnbmVk"} if variant == "signed by another" else {}
    return lambda: world.asking.post("/verify/webhooks/factors/", body, headers=headers)


def _login(world: World, variant: str) -> Callable[[], Any]:
    name = {"known": "ann", "unknown": "nobody", "without a factor": "eve"}[variant]
    return _request(world.asking, "post", "/login/", {"username": name, "password": "wrong"})


def _challenge_channel(method: str) -> Ask:
    def ask(world: World, variant: str) -> Callable[[], Any]:
        client = world.pending()
        return _request(client, method, f"/verify/challenge/{_factor_id(world, variant)}/sms/")

    return ask


def _withdraw(world: World, variant: str) -> Callable[[], Any]:
    event = world.event.pk if variant == "somebody else's" else UNKNOWN_PK
    return _request(world.verified(), "post", f"/verify/consents/{event}/stop/")


def _browser(world: World, variant: str) -> Callable[[], Any]:
    browser = world.browser.pk if variant == "somebody else's" else UNKNOWN_PK
    return _request(world.verified(), "post", f"/verify/browsers/{browser}/revoke/")


def _payment(template: str, method: str) -> Ask:
    def ask(world: World, variant: str) -> Callable[[], Any]:
        client = world.verified()
        key = {"unknown": "x" * len(world.payment), "of another session": world.payment}[variant]
        return _request(client, method, template.format(key, world.factor.pk))

    return ask


def _handover(method: str) -> Ask:
    def ask(world: World, variant: str) -> Callable[[], Any]:
        offered = handover.offer(world.link, client=make_client("visitor"))
        link = Verification.objects.filter(pk=world.link.pk)
        if variant == "over":
            link.update(status="canceled")
        if variant == "of a link that was sent anew":
            link.update(link="https://carrier.example/another")
        token = offered.token[:-4] + "AAAA" if variant == "forged" else offered.token
        return _request(world.asking, method, f"/verify/handover/{token}/", {"match": "11"})

    return ask


def _webhook(world: World, variant: str) -> Callable[[], Any]:
    header = {
        "nothing": "",
        "wrong name": "Basic " + base64.b64encode(b"nobody:pass").decode(),
        "wrong password": "Basic " + base64.b64encode(b"sink:nopass").decode(),
        "junk": "Basic ####",
        "a known SID": "",
    }[variant]
    sid = world.verification.sid if variant == "a known SID" else "VE" + "0" * 32
    body = {"type": "x", "data": {"verification_sid": sid}}
    headers = {"Authorization": header} if header else {}
    return lambda: world.asking.post("/verify/webhooks/verify/", body, content_type="application/json", headers=headers)


PAYMENTS = ("unknown", "of another session")
ELSEWHERE = ("unknown", "somebody else's")

PROBES: dict[str, list[Probe] | Nothing] = {
    "login": [Probe("a wrong password", _login, ("known", "unknown", "without a factor"))],
    "factors": [Probe("a number that two accounts have", _own_number("get", "/verify/"), SHARED)],
    "factor_rename": by_factor("/verify/factors/{}/rename/", "get", "post", name="Mine"),
    "factor_default": by_factor("/verify/factors/{}/default/", "get", "post"),
    "factor_remove": by_factor("/verify/factors/{}/remove/", "get", "post", sign_out="on"),
    "factor_replace": [
        *by_factor("/verify/factors/{}/replace/", "get", "post"),
        Probe("a number", _replace("/verify/factors/{}/replace/"), NUMBERS),
    ],
    "factor_replace_channel": [
        *by_factor("/verify/factors/{}/replace/sms/", "get", "post"),
        *by_factor("/verify/factors/{}/replace/fax/", "get", "post"),
        Probe("a number", _replace("/verify/factors/{}/replace/sms/"), NUMBERS),
    ],
    "factor_reverify": [
        *by_factor("/verify/factors/{}/reverify/", "get", "post"),
        *[
            Probe(f"{way} a number that two accounts have", _own_number(way, "/verify/factors/{}/reverify/"), SHARED)
            for way in ("get", "post")
        ],
    ],
    "recovery_codes": OWN,
    "recovery_codes_kept": OWN,
    "offer": OWN,
    "grace": OWN,
    "browsers": OWN,
    "browsers_revoke": OWN,
    "browser_revoke": [Probe("a browser", _browser, ELSEWHERE, writes=False)],
    "consents": OWN,
    "withdraw": [Probe("a consent", _withdraw, ELSEWHERE, writes=False)],
    "stop": [
        Probe("a number", _stop("sms", "/verify/stop/"), NUMBERS),
        Probe("a number, at the limit", _stop_at_the_limit, NUMBERS),
    ],
    "stop_channel": [Probe("a number, by a call", _stop("call", "/verify/stop/call/"), NUMBERS)],
    "stop_proved": by_ids("/verify/stop/{}/", "get", "post", channels="sms"),
    "reopen": by_factor("/verify/reopen/{}/sms/", "get", "post"),
    "reopen_proved": by_ids("/verify/reopen/{}/", "get", "post"),
    "opt_in": Nothing("takes nothing"),
    "opt_in_channel": Nothing("takes nothing but a way, of which the site has published the list"),
    "enroll": OWN,
    "enroll_passkey": [
        Probe("an id of a passkey", _new_passkey, ("of another site", "somebody's")),
        Probe("an enrollment", _new_passkey_to, ELSEWHERE),
    ],
    "enroll_passkey_options": OWN,
    "enroll_totp": OWN,
    "enroll_totp_code": by_devices("/verify/enroll/totp/{}/", "get", "post", code="123456"),
    "enroll_push": OWN,
    "enroll_push_status": OWN,
    "access_token": OWN,
    "access_token_confirm": by_devices("/verify/access-token/{}/", "post"),
    "enroll_recipient": [Probe("a number", _enroll, NUMBERS)],
    "challenge": OWN,
    "challenge_channel": [
        *[Probe(f"{way} a factor", _challenge_channel(way), FACTORS, writes=False) for way in ("get", "post")],
        Probe("a passkey", _passkey("/verify/challenge/", "pending"), PASSKEYS),
        Probe("what is asked of a passkey", _passkey_to("/verify/challenge/", "pending"), ELSEWHERE),
    ],
    "passkey_sign_in": [
        Probe("a passkey", _passkey_sign_in, tuple(one for one in PASSKEYS if one != "somebody's")),
        Probe("a challenge", _passkey_sign_in_to, ("unknown", "of another session", "somebody else's")),
    ],
    "passkey_sign_in_options": Nothing("is the same for everybody: nobody is named, and nobody is looked up"),
    "passkey_options": [
        Probe("a payment", _paying_by_passkey, ("unknown", "of another session"), writes=False),
    ],
    "push": by_devices("/verify/push/{}/", "get", "post", number="12"),
    "push_status": by_devices("/verify/push/{}/status/", "get"),
    "push_remind": by_devices("/verify/push/{}/remind/", "post"),
    "step_up": OWN,
    "step_up_channel": [
        *by_factor("/verify/step-up/{}/sms/", "get", "post"),
        *by_factor("/verify/step-up/{}/totp/", "get", "post"),
        Probe("a passkey", _passkey("/verify/step-up/", "verified"), PASSKEYS),
        Probe("what is asked of a passkey", _passkey_to("/verify/step-up/", "verified"), ELSEWHERE),
    ],
    "step_up_recovery": by_recovery_codes("verified", "/verify/step-up/recovery/"),
    "resume": [
        Probe(f"{way} a form by a {who}", _kept_form(way, who), ("unknown", "of another session"), writes=False)
        for way in ("get", "post")
        for who in ("visitor", "member", "pending", "verified")
    ],
    "reset": OWN,
    "reset_held": OWN,
    "reset_enroll": [Probe(f"{way} a token", _reset_link(way), TOKENS, writes=False) for way in ("get", "post")],
    "reset_cancel": [Probe(f"{way} a token", _reset(way), TOKENS, writes=False) for way in ("get", "post")],
    "recovery": by_recovery_codes("pending", "/verify/challenge/recovery/"),
    "cancel": OWN,
    "code": by_ids("/verify/code/{}/", "get", "post", code="123456"),
    "resend": by_ids("/verify/code/{}/resend/", "post"),
    "other_channel": by_ids("/verify/code/{}/call/", "get", "post"),
    "link": by_ids("/verify/link/{}/", "get", "post"),
    "status": by_ids("/verify/link/{}/status/", "get"),
    "handover": [
        # The signature is judged first: who has a token knows that it was one.
        *[
            Probe(f"{way} no token", _handover(way), ("forged", "over"), aside=("statements",))
            for way in ("get", "post")
        ],
        *[Probe(f"{way} a token", _handover(way), ("over", "of a link that was sent anew")) for way in ("get", "post")],
    ],
    "payment": [
        Probe(f"{way} a payment", _payment("/verify/payment/{}/", way), PAYMENTS, writes=False)
        for way in ("get", "post")
    ],
    "payment_channel": [
        Probe(
            f"{way} a payment",
            _payment("/verify/payment/{}/{}/sms/", way),
            ("unknown", "of another session"),
            writes=False,
        )
        for way in ("get", "post")
    ],
    "webhook": [
        Probe("an event", _webhook, ("nothing", "wrong name", "wrong password", "junk", "a known SID"), writes=False),
    ],
    "factor_webhook": [
        Probe(
            "an event",
            _factor_webhook,
            ("an unknown SID", "a known SID", "a known challenge", "signed by another"),
            writes=False,
        ),
    ],
}
