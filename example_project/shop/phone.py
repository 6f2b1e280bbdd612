"""The backend of the demo: messages go to the page /phone/, and two numbers show what a mobile network can answer."""

from typing import Any

from django_twilio_verify.backends.console import ConsoleBackend

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
