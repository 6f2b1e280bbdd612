"""For the tests of sites, and of other people's backends.

``outbox``: what ``LocMemBackend`` has sent, each a ``Message``; ``reset`` empties it and forgets
what is pending. ``VerifyServer``: Twilio Verify on the loopback interface. ``BackendContract``:
what every backend must do; ``FactorContract``: what one that keeps factors must do. ``Authenticator``, ``Phone`` and
``Browser`` are the other ends of factors.
"""

from ..backends.locmem import Message, outbox, reset
from .browser import Browser
from .contract import BackendContract
from .factor_contract import FactorContract
from .phone import Authenticator, HttpApi, LocalApi, Phone
from .verify_server import VerifyServer
from .verify_server_factors import FactorRoutes
from .verify_server_services import AccountServices

VerifyServer.extensions += [AccountServices, FactorRoutes.of]

__all__ = [
    "Authenticator",
    "BackendContract",
    "Browser",
    "FactorContract",
    "FactorRoutes",
    "HttpApi",
    "LocalApi",
    "Message",
    "Phone",
    "VerifyServer",
    "outbox",
    "reset",
]
