"""What is known of the other end of a request, without the request."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Who is asking, from where: domain functions take this instead of an ``HttpRequest``.

    ``ip``: IPv4 or IPv6 address, or ``""``. ``user_agent``: the header as sent. ``page``: absolute URL of the
    page without its query (a query may hold secrets). ``language``: tag of the language shown, as ``en-gb``.
    ``session``: an opaque secret that only this browser session holds; a verification can be answered only
    with the one it was started with, and a visitor without account is told apart by it. ``tenant``: whose site it is,
    as ``TWILIO_VERIFY_TENANT`` says, for the router; ``""`` where there is one.
    """

    ip: str = ""
    user_agent: str = ""
    page: str = ""
    language: str = ""
    session: str = ""
    tenant: str = ""

    @property
    def network(self) -> str:
        """The network of ``ip``: its /24 for IPv4 and its /64 for IPv6, as ``203.0.113.0/24``; ``""`` if unknown.

        A home, an office or a data center moves within one of these without effort, so what is counted against a
        client is counted against its network.
        """
        try:
            address = ip_address(self.ip.partition("%")[0])
        except ValueError:
            return ""
        if isinstance(address, IPv6Address):
            if address.ipv4_mapped is None:
                return str(ip_network((address, 64), strict=False))
            address = address.ipv4_mapped
        return str(ip_network((address, 24), strict=False))

    def __repr__(self) -> str:
        # SECURITY: the session secret and the person's address stay out of logs and tracebacks.
        return f"<ClientInfo language={self.language!r}>"
