"""A site of two brands with a Verify Service each, for tests of what the router decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.test import Client

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.testing import VerifyServer
from django_twilio_verify.verifications.routing import RouteRequest

ALIASES = ("default", "shop")
LOCMEM = {"BACKEND": "django_twilio_verify.backends.locmem.LocMemBackend"}

KEEPS_NONE = {"BACKEND": "tests.views.enroll.backends.CodesOnly"}
HOSTS = {"default": "testserver", "shop": "localhost"}


def by_host(wanted: RouteRequest) -> str | None:
    return "shop" if wanted.client.page.startswith(f"http://{HOSTS['shop']}/") else None


def browser_at(alias: str) -> Client:
    return Client(headers={"host": HOSTS[alias]})


@contextmanager
def two_services(settings: Any, place: str) -> Iterator[dict[str, VerifyServer | None]]:
    """The server behind each alias; ``None`` where ``place`` is ``locmem``, and the provider lives in this process."""
    if place == "locmem":
        settings.TWILIO_VERIFY_BACKENDS = dict.fromkeys(ALIASES, LOCMEM)
        yield dict.fromkeys(ALIASES)
        return
    with ExitStack() as stack:
        servers = {alias: stack.enter_context(VerifyServer()) for alias in ALIASES}
        settings.TWILIO_VERIFY_BACKENDS = {
            alias: server.setting(timeout=10)["default"] for alias, server in servers.items()
        }
        yield {**servers}
        for alias in ALIASES:
            backends[alias].close()  # type: ignore[attr-defined]
