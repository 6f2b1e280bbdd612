"""Pages that enroll a factor."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from django.apps import apps
from django.contrib.sessions.models import Session
from django.test import Client

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.testing import Authenticator, FactorRoutes, HttpApi, LocalApi, Phone, VerifyServer
from tests.support.basics import one_moment

CODE = r"\b[0-9a-z]{4}(?:-[0-9a-z]{4}){3}\b"
APP = "Acme Go"


class World:
    """The provider behind ``alias``: ``server`` is ``None`` where it lives in this process."""

    def __init__(self, server: VerifyServer | None, alias: str = "default") -> None:
        self.server, self.alias = server, alias

    @property
    def simulator(self) -> Any:
        if self.server is not None:
            return self.server.extension(FactorRoutes).simulator
        return backends[self.alias].factor_simulator

    def phone(self, answer: dict[str, Any], name: str = "Pixel") -> Phone:
        """A phone whose app got ``answer`` from the site and registers with it."""
        api = HttpApi(self.server.url) if self.server else LocalApi(FactorRoutes(self.simulator))
        place = answer["service_sid"] or self.simulator.place.service_sid
        phone = Phone(api, service_sid=place, identity=answer["identity"], name=name, platform="fcm")
        phone.register(answer["token"])
        return phone

    def fail(self) -> None:
        """The next request meets a provider that is down."""
        if self.server is not None:
            self.server.fail_next(status=500)
        else:
            backends[self.alias].fail_next(code=0, status=500)


def text(response: Any) -> str:
    """What a person reads of the page, white space folded."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def links(response: Any) -> list[str]:
    return [unescape(one) for one in re.findall(r'href="([^"]+)"', response.content.decode())]


def begin_totp(client: Client, **values: str) -> tuple[str, Authenticator, Any]:
    """Press the button; the page that takes the code, the app that scanned it, and the answer itself."""
    answer = client.post("/verify/enroll/totp/", {"name": "My app", **values})
    assert answer.status_code == 200, answer.content
    html = answer.content.decode()
    found = re.search(r'action="(/verify/enroll/totp/[0-9a-f-]{36}/)"', html)
    uri = re.search(r'href="(otpauth://[^"]+)"', html)
    assert found and uri, text(answer)
    return found[1], Authenticator.scan(unescape(uri[1])), answer


def add_totp(client: Client) -> Authenticator:
    """Enroll an authenticator app; the code of the time step before was used for it."""
    page, app, _ = begin_totp(client)
    with one_moment():
        done = client.post(page, {"code": app.code(steps=-1)})
    assert Factor.objects.filter(kind="totp", confirmed_at__isnull=False).exists(), text(done)
    return app


def recovery_codes(response: Any) -> list[str]:
    return re.findall(CODE, text(response))


def everything_kept() -> str:
    """All that all tables hold, sessions decoded."""
    rows = [repr([*model._base_manager.values_list()]) for model in apps.get_models(include_auto_created=True)]
    rows += [repr(one.get_decoded()) for one in Session.objects.all()]
    return "\n".join(rows)


def the_enrollment() -> Verification:
    return Verification.objects.filter(purpose="enroll").latest("created_at")


def offered(page: Any) -> list[str]:
    return re.findall(r'href="/verify/enroll/(\w+)/', page.content.decode())


JSON = "application/json"


def ask(app: Client, body: Any = None, **more: Any) -> Any:
    return app.post("/verify/access-token/", {} if body is None else body, content_type=JSON, **more)


def confirm(app: Client, token: Any) -> Any:
    return app.post(f"/verify/access-token/{token.json()['verification']}/", content_type=JSON)
