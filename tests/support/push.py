"""Push challenges: start, show, answer."""

from __future__ import annotations

from typing import Any

from tests.support.basics import make_client
from tests.support.devices import World


def start(world: World, user: Any, session: str = "session-1", channel: str = "push", **more: Any) -> Any:
    return world.flow("challenges.start", channel=channel, client=make_client(session), user=user, **more)


def poll(world: World, started: Any, session: str = "session-1", **more: Any) -> Any:
    return world.flow("challenges.poll", started.verification, client=make_client(session), **more)


def type_number(world: World, started: Any, number: str, session: str = "session-1") -> Any:
    return world.flow("challenges.check", started.verification, client=make_client(session), number=number)


def shown(challenge: dict[str, Any]) -> str:
    """The number on the phone's screen."""
    return next(one["value"] for one in challenge["details"]["fields"] if one["label"] == "Number")
