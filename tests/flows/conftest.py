"""A provider that can be made to fail: the real SDK over HTTP against the loopback Verify server."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from django_twilio_verify.testing import VerifyServer


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
    def last_form(self) -> dict[str, str]:
        return dict(self.server.requests[-1].form)


@pytest.fixture
def server(settings):
    with VerifyServer() as running:
        yield Provider(settings, running)
