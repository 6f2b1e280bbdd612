"""Users' factors that the provider keeps, in memory and over HTTP with the real SDK, sync and async."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.core.client import ClientInfo
from django_twilio_verify.factors import devices, passkey_login
from django_twilio_verify.factors.results import SetupChecked
from django_twilio_verify.testing import Authenticator, Browser, FactorRoutes, HttpApi, LocalApi, Phone, VerifyServer
from django_twilio_verify.testing.factor_contract import ORIGIN, PARTY
from django_twilio_verify.verifications import challenges, lifecycle
from tests.support.basics import make_client, one_moment

NOON = "2026-11-20T12:00:00Z"


class World:
    """The verbs (``flow("challenges.start", …)`` runs either twin), the provider behind them, and what people hold.

    ``alias``: of the backend; people of another one than the default are there as tenants of that name.
    """

    def __init__(self, twin: str, server: VerifyServer | None, alias: str = "default") -> None:
        self.twin, self.server, self.alias = twin, server, alias

    def client(self, session: str = "session-1") -> ClientInfo:
        return make_client(session, tenant="" if self.alias == "default" else self.alias)

    def flow(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        module, _, verb = name.partition(".")
        place = {
            "challenges": challenges,
            "devicefactors": devices,
            "passkeys": passkey_login,
            "verifications": lifecycle,
        }[module]
        if self.twin == "sync":
            return getattr(place, verb)(*args, **kwargs)
        return async_to_sync(getattr(place, f"a{verb}"))(*args, **kwargs)

    @property
    def simulator(self) -> Any:
        """The provider's half that is about factors, behind HTTP or not."""
        if self.server is not None:
            return self.server.extension(FactorRoutes).simulator
        return backends[self.alias].factor_simulator

    def totp(self, user: Any, *, name: str = "ann@shop", session: str = "session-1") -> tuple[Any, Authenticator]:
        """A confirmed authenticator app; its enrollment used the code of the time step before."""
        client = self.client(session)
        begun = self.flow("devicefactors.begin_totp", user, client, name=name)
        app = Authenticator.scan(begun.uri)
        with one_moment():
            code = app.code(steps=-1)
            done = self.flow("devicefactors.confirm", begun.verification, client=client, user=user, code=code)
        assert done.factor is not None, done.checked.outcome
        return done.factor, app

    def passkey(self, user: Any, browser: Browser | None = None, *, name: str = "Laptop") -> tuple[Any, Browser]:
        browser, client = browser or Browser(ORIGIN), self.client()
        begun = self.flow("devicefactors.begin_passkey", user, client, name=name, options=PARTY)
        done = self.finish_passkey(begun, browser, user)
        assert done.factor is not None, done.checked.outcome
        return done.factor, browser

    def finish_passkey(self, begun: Any, browser: Browser, user: Any, session: str = "session-1") -> SetupChecked:
        done: SetupChecked = self.flow(
            "devicefactors.confirm",
            begun.verification,
            client=self.client(session),
            user=user,
            credential=browser.create(begun.browser_options),
        )
        return done

    def phone(self, user: Any, *, platform: str = "fcm", name: str = "Pixel") -> tuple[Any, Phone]:
        client = self.client()
        begun = self.flow("devicefactors.begin_push", user, client, name=name)
        api = HttpApi(self.server.url) if self.server else LocalApi(FactorRoutes(self.simulator))
        place = self.server.service_sid if self.server else self.simulator.place.service_sid
        phone = Phone(api, service_sid=place, identity=begun.identity, name=name, platform=platform)
        phone.register(begun.access_token)
        done = self.flow("devicefactors.confirm", begun.verification, client=client, user=user)
        assert done.factor is not None, done.checked.outcome
        return done.factor, phone
