"""``manage.py sync_otp_devices``: make the devices of factors that were written past all signals."""

from __future__ import annotations

from typing import Any

from .....management.base import VerifyCommand
from ...models import add_missing


class Command(VerifyCommand):
    """For factors made by ``bulk_create`` or SQL. Every migration does the same."""

    help = "Make a django-otp device for every confirmed factor that has none."

    def handle(self, *args: Any, **options: Any) -> None:
        with self.progress("devices") as progress:
            self.data["made"] = add_missing(progress=progress)
        self.stdout.write(f"{self.data['made']} made.")
