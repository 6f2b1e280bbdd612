"""Make the devices of factors that were written past all signals."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from ...models import add_missing


class Command(BaseCommand):
    """``manage.py sync_otp_devices``: after ``bulk_create`` or SQL. Every migration does the same."""

    help = "Makes a django-otp device for every confirmed factor that has none."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{add_missing()} made.")
