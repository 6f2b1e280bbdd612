"""The backend of the demo: messages go to the page /phone/, and two numbers show what a mobile network can answer.

That page has a phone with the shop's app too: real keys and signatures, in the memory of this process.
"""

import os
from typing import Any

from django_twilio_verify.backends.base import PasskeyOptions
from django_twilio_verify.backends.console import ConsoleBackend
from django_twilio_verify.testing import FactorRoutes, LocalApi, Phone

CONFIRMS = "+12025550150"
REFUSES = "+12025550151"


class PhoneBackend(ConsoleBackend):
    """The console backend. Links lead to the shop's own page that plays the carrier.

    "Automatic" finds the network of ``CONFIRMS`` and of ``REFUSES``, and texts everybody else. Every number can be
    checked; that of ``REFUSES`` in vain.
    """

    def __init__(self, alias: str, **options: Any) -> None:
        super().__init__(alias, **{"link_base": "/phone/link/", **options})
        self.simulator.sna_numbers |= {CONFIRMS, REFUSES}
        self.simulator.sna_failures[REFUSES] = 60520
        self.factor_simulator.issuer = "Corner Shop"
        # Browsers make passkeys for domains, and an address of numbers is none: the demo is http://localhost.
        origin = f"http://localhost:{os.environ.get('PORT') or '8000'}"
        self.factor_simulator.passkeys = PasskeyOptions(
            "localhost", "Corner Shop", [origin], "any", discoverable="preferred", user_verification="preferred"
        )
        self.routes = FactorRoutes(self.factor_simulator)
        self.phones: dict[str, Phone] = {}

    @property
    def service_sid(self) -> str:
        """Of the pretended Service: the app on a phone names it when it registers."""
        return self.factor_simulator.place.service_sid

    def reset(self) -> None:
        """As the console's; the phones forget the shop too."""
        super().reset()
        self.phones.clear()

    def new_phone(self, identity: str) -> Phone:
        """A phone with the shop's app, on which nobody has signed in so far."""
        place = self.factor_simulator.place.service_sid
        return Phone(LocalApi(self.routes), service_sid=place, identity=identity, name="Demo phone", platform="fcm")
