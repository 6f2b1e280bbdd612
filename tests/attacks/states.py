"""A user in the middle of something, and what may happen to the account before the next request of that browser.

Each ``Stage`` is begun as it should be: password, factor, fresh proof, a code on its way. Then one of ``STATES`` comes
true, and a few minutes pass, so that the proof of the factor is too old to change what protects the account.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.test import Client

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import Channel
from django_twilio_verify.conf import fingerprint
from django_twilio_verify.consent import disclosures
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.factors import devices, recovery_codes
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.testing import Authenticator, Browser, FactorRoutes, LocalApi, Phone, outbox
from django_twilio_verify.testing.factor_contract import ORIGIN
from tests.support.basics import EMAIL, PHONE, agree, last_code, make_factor, make_user, one_moment, sign_in
from tests.support.devices import World

NOON = "2026-11-20T12:00:00Z"
NEW_PHONE = "+15017122669"
BEFORE, AFTER = 500, 160
"""Seconds from the proof to the beginning of the stage, and from there to the request: together more than the
``STEP_UP_MAX_AGE_SECONDS`` of 600, and each less than what a code or a push is good for.
"""


class Stage:
    """Ann in her browser, with a phone or a device that is about to be lost, and an address beside it."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.browser = Client()
        self.ann = make_user("ann")
        self.eve = make_user("eve")
        self.world = World("sync", None)
        self.data: dict[str, Any] = {}
        self.path_values: dict[str, Any] = {}
        self.codes = recovery_codes.issue(self.ann)
        self.attacked: Factor
        self.verification: Verification
        self.device: Any = None

    # ---- what Ann has

    def with_phone(self) -> Stage:
        self.attacked = make_factor(self.ann, PHONE)
        for channel in ("call", "sna"):
            agree(PHONE, channel, user=self.ann)
        make_factor(self.ann, EMAIL, channel="email", agreed=False)
        return self

    def with_device(self, kind: str) -> Stage:
        make_factor(self.ann, EMAIL, channel="email", agreed=False)
        if kind == "push":
            self.attacked, self.device = self.world.phone(self.ann)
        else:
            self.attacked, self.device = getattr(self.world, kind)(self.ann)
        return self

    # ---- how far she has come

    def pending(self) -> Stage:
        sign_in(self.browser)
        return self

    def signed_in(self) -> Stage:
        self.pending()
        assert self.browser.post("/verify/challenge/recovery/", {"code": self.codes.pop()}).status_code == 302
        self.clock.shift(BEFORE)
        return self

    def posted(self, path: str, **values: str) -> Stage:
        """Have something sent or asked; the verification that came of it."""
        answer = self.browser.post(path, values)
        assert answer.status_code == 302, (answer.status_code, answer.content[:2000])
        found = re.match(r"/verify/(?:code|link|push)/([0-9a-f-]{36})/", answer["Location"])
        assert found, answer["Location"]
        self.verification = Verification.objects.get(pk=UUID(found[1]))
        return self

    @property
    def way(self) -> str:
        return f"{self.attacked.pk}/{self.attacked.channel}/"

    def asked(self, purpose: str) -> Stage:
        """A code or a push of the attacked factor is on its way, for ``purpose``."""
        if purpose == "login":
            return self.pending().posted(f"/verify/challenge/{self.way}")
        self.signed_in()
        if purpose == "step_up":
            return self.posted(f"/verify/step-up/{self.way}")
        return self.posted(f"/verify/payment/{self.payment_key()}/{self.way}", next="/paid/")

    def payment_key(self) -> str:
        page = self.browser.post("/pay/", {"amount": "49.90 EUR", "payee": "The Corner Shop"})["Location"]
        return page.split("/")[3]

    def linked(self, purpose: str) -> Stage:
        """A link of the attacked phone waits, and the phone has opened it."""
        if purpose == "login":
            self.pending().posted(f"/verify/challenge/{self.attacked.pk}/sna/")
        else:
            self.signed_in().posted(f"/verify/step-up/{self.attacked.pk}/sna/")
        backends["default"].simulator.open_link(outbox[-1].link)  # type: ignore[attr-defined]
        return self

    def enrolling(self, channel: str = "sms") -> Stage:
        self.signed_in().posted(f"/verify/enroll/{channel}/", **ticked(channel, number=NEW_PHONE, country=""))
        if channel == "sna":
            backends["default"].simulator.open_link(outbox[-1].link)  # type: ignore[attr-defined]
        return self

    def enrolling_totp(self) -> Stage:
        self.signed_in()
        page = self.browser.post("/verify/enroll/totp/", {"name": "App"}).content.decode()
        found = re.search(r"otpauth://[^\"<]+", page)
        assert found, page
        app = Authenticator.scan(found[0].replace("&amp;", "&"))
        self.verification = Verification.objects.get(purpose="enroll", channel="totp")
        self.data["code"] = lambda: app.code()
        return self

    def enrolling_passkey(self) -> Stage:
        self.signed_in()
        told = self.browser.post("/verify/enroll/passkey/options/", {"name": "Key"}).json()
        credential = json.dumps(Browser(ORIGIN).create(told["options"]))
        self.data.update(verification=told["verification"], credential=credential, name="Key")
        return self

    def enrolling_push(self) -> Stage:
        self.signed_in()
        token = self.browser.post("/verify/access-token/", {"name": "Pixel"}, content_type="application/json").json()
        simulator = self.world.simulator
        place = simulator.place.service_sid
        phone = Phone(LocalApi(FactorRoutes(simulator)), service_sid=place, identity=token["identity"], name="Pixel")
        phone.register(token["token"])
        self.verification = Verification.objects.get(pk=token["verification"])
        return self

    def with_number(self) -> Stage:
        """Ann reads the number on the phone and says yes there."""
        question = self.device.pending()[-1]
        number = next(one["value"] for one in question["details"]["fields"] if one["label"] == "Number")
        self.device.approve(question["sid"])
        self.data["number"] = str(number)
        return self

    def with_app_code(self) -> Stage:
        self.data["code"] = lambda: self.device.code()
        return self

    def with_credential(self, options: str) -> Stage:
        told = self.browser.post(options).json()
        self.data["verification"] = told["verification"]
        self.data["credential"] = json.dumps(self.device.get(told["options"]))
        return self

    def with_code(self) -> Stage:
        self.data["code"] = last_code()
        return self

    def with_box(self, channel: str) -> Stage:
        self.data.update(ticked(channel))
        return self

    def values(self) -> dict[str, str]:
        return {name: value() if callable(value) else value for name, value in self.data.items()}


def ticked(channel: str, **values: str) -> dict[str, str]:
    """The box under the disclosure, ticked."""
    return {"disclosure": disclosures.compose(Channel(channel)).digest, "consent": "on", **values}


# ---- What happens meanwhile


def removed(stage: Stage) -> None:
    assert devices.remove(stage.ann, stage.attacked.pk)


def replaced(stage: Stage) -> None:
    """By another number; of a device, by another one."""
    assert devices.remove(stage.ann, stage.attacked.pk)
    if stage.attacked.recipient_value:
        make_factor(stage.ann, "+15017122668", agreed=False)
    else:
        with one_moment():
            stage.world.totp(stage.ann, name="another")


def lost(stage: Stage) -> None:
    Factor.objects.filter(pk=stage.attacked.pk).update(lost_at="2026-11-20T12:00:00Z")


def others(stage: Stage) -> None:
    """Two accounts were merged by hand, say: the row is Eve's by now."""
    Factor.objects.filter(pk=stage.attacked.pk).update(user=stage.eve, default_for=None)


def ended(stage: Stage) -> None:
    """Ann signs out everywhere, in another browser."""
    elsewhere = Client()
    sign_in(elsewhere)
    assert elsewhere.post("/verify/challenge/recovery/", {"code": stage.codes.pop()}).status_code == 302
    assert elsewhere.post("/everywhere/").status_code == 200


def password_changed(stage: Stage) -> None:
    stage.ann.set_password("another horse")
    stage.ann.save()


def deactivated(stage: Stage) -> None:
    stage.ann.is_active = False
    stage.ann.save()


FACTOR_STATES: dict[str, Callable[[Stage], None]] = {
    "removed": removed,
    "replaced": replaced,
    "lost": lost,
    "other user's": others,
}
PERSON_STATES: dict[str, Callable[[Stage], None]] = {
    "session ended": ended,
    "password changed": password_changed,
    "user deactivated": deactivated,
}
STATES = {**FACTOR_STATES, **PERSON_STATES}


# ---- What may not come of it


def effects(stage: Stage) -> dict[str, Any]:
    """What a request could have brought about: each only ever the same as before it."""
    session = stage.browser.session
    settled = session.get("_twilio_verify_settled") or {}
    return {
        "signed in": SESSION_KEY in session,
        "proved": settled.get("at") if settled.get("passed") else None,
        "paid": len(session.get("_twilio_verify_payment_proofs", ())),
        "sent": [(one.to, one.channel) for one in outbox],
        "enrolled": set(
            Factor.objects.filter(confirmed_at__isnull=False).values_list("user_id", "key", "recipient_value")
        ),
    }


def gained(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Which of the effects there are more of than before. Less is no gain: a session may end."""
    more = [
        name
        for name, was, now in (
            ("signed in", before["signed in"], after["signed in"]),
            ("paid", before["paid"], after["paid"]),
            ("sent", len(before["sent"]), len(after["sent"])),
        )
        if now > was
    ]
    if after["proved"] not in (None, before["proved"]):
        more.append("proved")
    if after["enrolled"] - before["enrolled"]:
        more.append("enrolled")
    if before["enrolled"] - after["enrolled"]:
        more.append("removed")
    return more


def key_of(recipient: str) -> str:
    return fingerprint(Recipient.parse(recipient))
