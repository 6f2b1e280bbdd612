"""Each endpoint asked about something that is there and something that is not.

``PROBES`` has an entry for each name in ``urls.urlpatterns``, and for the site's login. A probe is one question and the
variants of what it is about; whoever asks must not be able to tell the variants apart. An endpoint that takes nothing
which could name somebody else's has ``NOTHING`` with the reason.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from django_twilio_verify.choices import Channel
from django_twilio_verify.flows import delivery, disclosures, handover, recovery, trust, verifications
from django_twilio_verify.flows.consent import Act
from django_twilio_verify.models import ConsentEvent, Factor, RecoveryCode, TrustedBrowser, Verification
from django_twilio_verify.recipients import Recipient
from django_twilio_verify.testing import outbox
from tests.support import PHONE, agree, code_path, last_code, make_client, make_factor, make_user, sign_in

UNKNOWN_PHONE = "+15017122699"
OWN_PHONE = "+15017122677"
UNKNOWN_ID = "3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2"


class World:
    """Ann, who is known: a factor, consent, recovery codes, a trusted browser, a verification and a link under way.
    And eve, who asks.
    """

    def __init__(self) -> None:
        self.ann: User = make_user("ann", email="ann@example.org")
        self.factor: Factor = make_factor(self.ann)
        self.codes = recovery.issue(self.ann)
        self.browser: TrustedBrowser = trust.trust(self.ann, make_client("ann"), days=30).browser
        self.verification: Verification = verifications.start(
            recipient=PHONE, channel="sms", user=self.ann, purpose="login", client=make_client("ann")
        ).verification
        self.event: ConsentEvent = ConsentEvent.objects.earliest("pk")
        agree(PHONE, "sna", client=make_client("visitor"))
        self.link: Verification = verifications.start(
            recipient=PHONE, channel="sna", purpose="verify", client=make_client("visitor")
        ).verification
        self.eve: User = make_user("eve")
        other = Client()
        other.force_login(make_user("carl"))
        self.payment = other.post("/pay/", {"amount": "1 EUR", "payee": "Shop"})["Location"].split("/")[3]
        self.asking = Client()
        self._ready: set[str] = set()

    def visitor(self) -> Client:
        """Eve without an account, with a session of hers."""
        if self._first("visitor"):
            self.asking.get("/verify/stop/")
        return self.asking

    def member(self) -> Client:
        """Eve, signed in; she has no factor."""
        if self._first("member"):
            sign_in(self.asking, "eve")
            self.asking.get("/verify/enrol/")
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
    }[variant]


IDS = ("unknown", "somebody else's", "a visitor's", "no random one")


def by_id(template: str, method: str, who: str, **values: str) -> Probe:
    def ask(world: World, variant: str) -> Callable[[], Any]:
        client = getattr(world, who)()
        return _request(client, method, template.format(_verification_id(world, variant)), values)

    return Probe(f"{method} {template} by a {who}", ask, IDS, writes=False)


def by_ids(template: str, *methods: str, **values: str) -> list[Probe]:
    return [by_id(template, method, who, **values) for method in methods for who in ("visitor", "pending", "verified")]


# ------------------------------------------------------------------------------------------------------ by an address

NUMBERS = ("unknown", "another account's", "another account's, not default", "stopped by its holder")


def _prepare_number(world: World, variant: str) -> str:
    """What eve types. Each variant is another number, so that nothing is pending at the provider for it."""
    number = {name: f"+1501712268{index}" for index, name in enumerate(NUMBERS)}[variant]
    if variant.startswith("another"):
        make_factor(world.ann if "not" in variant else make_user("bob"), number)
    if variant.startswith("stopped"):
        make_factor(make_user("bob"), number)
        delivery.stop(Recipient.parse(number), ["sms", "call"], client=make_client("bob"), act=Act())
    return number


def _stop_values(number: str, channel: str) -> dict[str, str]:
    shown = disclosures.compose_once(Channel(channel)).digest
    return {"number": number, "country": "", "disclosure": shown, "consent": "on"}


def _stop(channel: str, path: str) -> Ask:
    def ask(world: World, variant: str) -> Callable[[], Any]:
        number = _prepare_number(world, variant)
        return _request(world.visitor(), "post", path, _stop_values(number, channel))

    return ask


def _enrol(world: World, variant: str) -> Callable[[], Any]:
    number = _prepare_number(world, variant)
    shown = disclosures.compose(Channel.SMS).digest
    values = {"number": number, "country": "", "disclosure": shown, "consent": "on"}
    return _request(world.member(), "post", "/verify/enrol/sms/", values)


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
    own = recovery.issue(world.eve)
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


def _recovery(world: World, variant: str) -> Callable[[], Any]:
    client, code = world.pending(), _recovery_code(world, variant)
    return _request(client, "post", "/verify/challenge/recovery/", {"code": code})


def _no_codes(world: World, variant: str) -> Callable[[], Any]:
    client = world.pending()
    if variant == "has codes":
        recovery.issue(world.eve)
    return _request(client, "post", "/verify/challenge/recovery/", {"code": "0000-0000-0000"})


def _recovery_at_the_limit(world: World, variant: str) -> Callable[[], Any]:
    client, codes = world.pending(), recovery.issue(world.eve)
    for _ in range(10):
        client.post("/verify/challenge/recovery/", {"code": "0000-0000-0000"})
    code = codes[0] if variant == "right" else "0000-0000-0000"
    return _request(client, "post", "/verify/challenge/recovery/", {"code": code})


# ------------------------------------------------------------------------------------------------------- other things


def _login(world: World, variant: str) -> Callable[[], Any]:
    name = {"known": "ann", "unknown": "nobody", "without a factor": "eve"}[variant]
    return _request(world.asking, "post", "/login/", {"username": name, "password": "wrong"})


def _challenge_way(method: str) -> Ask:
    def ask(world: World, variant: str) -> Callable[[], Any]:
        client = world.pending()
        factor = world.factor.pk if variant == "somebody else's" else 987654
        return _request(client, method, f"/verify/challenge/{factor}/sms/")

    return ask


def _withdraw(world: World, variant: str) -> Callable[[], Any]:
    event = world.event.pk if variant == "somebody else's" else 987654
    return _request(world.verified(), "post", f"/verify/consents/{event}/stop/")


def _browser(world: World, variant: str) -> Callable[[], Any]:
    browser = world.browser.pk if variant == "somebody else's" else 987654
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
    "factors": OWN,
    "recovery_codes": OWN,
    "browsers": OWN,
    "browsers_revoke": OWN,
    "browser_revoke": [Probe("a browser", _browser, ELSEWHERE, writes=False)],
    "consents": OWN,
    "withdraw": [Probe("a consent", _withdraw, ELSEWHERE, writes=False)],
    "stop": [
        Probe("a number", _stop("sms", "/verify/stop/"), NUMBERS),
        Probe("a number, at the limit", _stop_at_the_limit, NUMBERS),
    ],
    "stop_way": [Probe("a number, by a call", _stop("call", "/verify/stop/call/"), NUMBERS)],
    "stop_proved": by_ids("/verify/stop/{}/", "get", "post", channels="sms"),
    "opt_in": Nothing("takes nothing"),
    "opt_in_way": Nothing("takes nothing but a way, of which the site has published the list"),
    "enrol": OWN,
    "enrol_recipient": [Probe("a number", _enrol, NUMBERS)],
    "challenge": OWN,
    "challenge_way": [
        Probe(f"{way} a factor", _challenge_way(way), ELSEWHERE, writes=False) for way in ("get", "post")
    ],
    "recovery": [
        Probe("a code", _recovery, CODES),
        Probe("a person with codes or without", _no_codes, ("has codes", "has none")),
        Probe("a code, at the limit", _recovery_at_the_limit, ("right", "wrong")),
    ],
    "cancel": OWN,
    "code": by_ids("/verify/code/{}/", "get", "post", code="123456"),
    "resend": by_ids("/verify/code/{}/resend/", "post"),
    "other_way": by_ids("/verify/code/{}/call/", "get", "post"),
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
    "payment_way": [
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
}
