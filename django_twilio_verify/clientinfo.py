"""What is known of the other end of a request, without the request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Who is asking, from where: flows take this instead of an ``HttpRequest``.

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

    def __repr__(self) -> str:
        # SECURITY: the session secret and the person's address stay out of logs and tracebacks.
        return f"<ClientInfo language={self.language!r}>"
