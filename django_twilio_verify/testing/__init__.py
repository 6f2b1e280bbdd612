"""For the tests of sites and of backends. Never imported by code that runs in production.

Helpers for sites' tests: ``outbox``, ``enroll``, ``sign_in`` and the like, and ``TwilioVerifyTestMixin``. For backends:
``BackendContract`` and ``FactorContract``. ``VerifyServer`` is Twilio Verify on the loopback interface.
``Authenticator``, ``Phone`` and ``Browser`` are the other ends of factors.
"""

from ..backends.locmem import Message, clear_outbox, outbox
from ..backends.twilio.errors import VerifyError
from .browser import Browser
from .contract import BackendContract
from .factor_contract import FactorContract
from .helpers import (
    aage_verification,
    aenroll,
    aenroll_totp,
    age_verification,
    agrant_consent,
    asign_in,
    askip_cooldown,
    enroll,
    enroll_totp,
    fail_next,
    get_disclosure_digest,
    grant_consent,
    last_code,
    sign_in,
    skip_cooldown,
)
from .phone import Authenticator, DeviceRefused, HttpApi, LocalApi, Phone
from .testcases import TwilioVerifyTestMixin
from .verify_server import Request, VerifyServer
from .verify_server_factors import FactorRoutes
from .verify_server_services import AccountServices

VerifyServer.extensions += [AccountServices, FactorRoutes.of]

__all__ = [
    "Authenticator",
    "BackendContract",
    "Browser",
    "DeviceRefused",
    "FactorContract",
    "FactorRoutes",
    "HttpApi",
    "LocalApi",
    "Message",
    "Phone",
    "Request",
    "TwilioVerifyTestMixin",
    "VerifyError",
    "VerifyServer",
    "aage_verification",
    "aenroll",
    "aenroll_totp",
    "age_verification",
    "agrant_consent",
    "asign_in",
    "askip_cooldown",
    "clear_outbox",
    "enroll",
    "enroll_totp",
    "fail_next",
    "get_disclosure_digest",
    "grant_consent",
    "last_code",
    "outbox",
    "sign_in",
    "skip_cooldown",
]
