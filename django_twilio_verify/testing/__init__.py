"""For the tests of sites, and of other people's backends.

``outbox``: what ``LocMemBackend`` has sent, each a ``Message``; ``reset`` empties it and forgets
what is pending. ``VerifyServer``: Twilio Verify on the loopback interface. ``BackendContract``:
what every backend must do.
"""

from ..backends.locmem import Message, outbox, reset
from .contract import BackendContract
from .server import VerifyServer
from .services import AccountServices

VerifyServer.extensions.append(AccountServices)

__all__ = ["BackendContract", "Message", "VerifyServer", "outbox", "reset"]
