"""A provider that can be made to fail, the real SDK over HTTP against the loopback server, and both twins."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import requests
import time_machine
from asgiref.sync import async_to_sync

from django_twilio_verify.testing import VerifyServer
from django_twilio_verify.verifications import handover, lifecycle
from tests.support.clock import NOON


def _closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Provider:
    """The loopback server, set up as the default backend."""

    def __init__(self, settings: Any, server: VerifyServer) -> None:
        self._settings, self.server = settings, server
        self.restart()

    def restart(self, **options: Any) -> None:
        """Use the server with other options of the backend."""
        self._settings.TWILIO_VERIFY_BACKENDS = self.server.setting(**options)

    def fail(self, fault: Any) -> None:
        """Make the next request fail, as the word or the mapping says; ``unreachable`` until ``restart``."""
        if fault == "unreachable":
            self.restart(base_url=f"http://127.0.0.1:{_closed_port()}")
        elif isinstance(fault, dict):
            self.server.fail_next(**fault)
        elif fault.isdigit():
            self.server.fail_next(status=int(fault), code=0)
        else:
            {
                "reset": self.server.reset_next,
                "reset after": lambda: self.server.reset_next(carried_out=True),
                "garble": self.server.garble_next,
                "slow": lambda: self.server.delay(4.0),
            }[fault]()

    @property
    def count(self) -> int:
        return len(self.server.requests)

    @property
    def last_code(self) -> str:
        return self.server.sent[-1].code

    @property
    def simulator(self) -> Any:
        return self.server.simulator

    def open(self, link: str) -> str:
        """Play the phone that opens ``link`` over its mobile network; what it is answered."""
        return str(requests.get(link, timeout=10).text)

    @property
    def last_form(self) -> dict[str, str]:
        return dict(self.server.requests[-1].form)


@pytest.fixture
def server(settings):
    with VerifyServer() as running:
        yield Provider(settings, running)


class Verbs:
    """The verbs of ``verifications`` and ``handover``, as they are or through their twins."""

    def __init__(self, twin: str) -> None:
        self._prefix = "" if twin == "sync" else "a"

    def __getattr__(self, name: str) -> Any:
        found = getattr(handover if name in ("accept", "finish") else lifecycle, self._prefix + name)
        return async_to_sync(found) if self._prefix else found


class Public:
    """The public functions of ``module``, as they are or through their twins."""

    def __init__(self, module: Any, twin: str) -> None:
        self._module, self._prefix = module, "" if twin == "sync" else "a"

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, self._prefix + name)
        return async_to_sync(found) if self._prefix else found


@pytest.fixture(params=["sync", "async"])
def verbs(request: Any) -> Verbs:
    """Both twins, with the same cases."""
    return Verbs(request.param)


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller
