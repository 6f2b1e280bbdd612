"""The other end of a request."""

from __future__ import annotations

from django_twilio_verify.clientinfo import ClientInfo


def test_neither_the_session_nor_the_address_is_shown() -> None:
    client = ClientInfo(
        ip="203.0.113.7", user_agent="Test/1", page="https://shop.test/", language="en", session="secret"
    )
    for shown in (repr(client), str(client), f"{client}"):
        assert shown == "<ClientInfo language='en'>"


def test_everything_may_be_unknown() -> None:
    assert ClientInfo() == ClientInfo(ip="", user_agent="", page="", language="", session="")
