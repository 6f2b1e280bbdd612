"""The other end of a request."""

from __future__ import annotations

import pytest

from django_twilio_verify.core.client import ClientInfo


def test_neither_the_session_nor_the_address_is_shown() -> None:
    client = ClientInfo(
        ip="203.0.113.7", user_agent="Test/1", page="https://shop.test/", language="en", session="secret"
    )
    for shown in (repr(client), str(client), f"{client}"):
        assert shown == "<ClientInfo language='en'>"


def test_everything_may_be_unknown() -> None:
    assert ClientInfo() == ClientInfo(ip="", user_agent="", page="", language="", session="")


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("203.0.113.255", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unknown", ""),
    ],
)
def test_the_network_of_an_address(ip: str, network: str) -> None:
    assert ClientInfo(ip=ip).network == network
