"""``manage.py demo``: the shop, ready to look at."""

import os
import socket
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from django_twilio_verify.backends import backends
from django_twilio_verify.backends.console import ConsoleBackend
from django_twilio_verify.models import Factor

PEOPLE = {"ann": "fresh-bread-at-seven", "admin": "keys-to-the-corner-shop"}


class Command(BaseCommand):
    help = "Make the database and two accounts, say where everything is, and serve it."
    requires_system_checks = []  # runserver makes them

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = os.environ.get("HOST") or "127.0.0.1", self._port()
        self._check_free(host, port)
        call_command("migrate", interactive=False, verbosity=0)
        for name, password in PEOPLE.items():
            self._seed(name, password)
        shown = f"[{host}]" if ":" in host else host
        is_console = isinstance(backends["default"], ConsoleBackend)
        if is_console:
            self._forget_devices()
        # Browsers make passkeys for a domain: a bare address is none.
        named = "localhost" if host == "127.0.0.1" else shown
        self._introduce(f"http://{named}:{port}", is_console=is_console)
        call_command("runserver", f"{shown}:{port}", use_reloader=False, use_ipv6=":" in host, verbosity=0)

    def _port(self) -> int:
        text = os.environ.get("PORT") or "8000"
        if not text.isdecimal() or not 0 < int(text) < 65536:
            raise CommandError("PORT must be a number from 1 to 65535.")
        return int(text)

    def _check_free(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host, port))
            except OSError as error:
                raise CommandError(
                    f"Cannot listen on {host}, port {port} ({error.strerror}); choose another port, "
                    "as in: make demo PORT=9000"
                ) from None

    def _seed(self, name: str, password: str) -> None:
        is_admin = name == "admin"
        person, _ = get_user_model().objects.get_or_create(
            username=name,
            defaults={"email": f"{name}@cornershop.example", "is_staff": is_admin, "is_superuser": is_admin},
        )
        # Written only where it differs: a new hash would sign out whoever is signed in.
        if not person.check_password(password):
            person.set_password(password)
            person.save(update_fields=["password"])

    def _forget_devices(self) -> None:
        """The pretended provider begins empty: the apps, passkeys and phones that it kept last time are gone."""
        Factor.objects.filter(entity__isnull=False).delete()

    def _introduce(self, site: str, *, is_console: bool) -> None:
        phone = f"{site}/phone/" if is_console else "yours: messages are sent for real, by Twilio"
        rows = [
            ("shop", f"{site}/"),
            ("account", f"{site}/account/"),
            ("add a phone", f"{site}/verify/enroll/"),
            ("the phone", phone),
            ("admin", f"{site}/admin/"),
            ("sign in as", f"ann      password  {PEOPLE['ann']}"),
            ("", f"admin    password  {PEOPLE['admin']}"),
        ]
        lines = "\n".join(f"  {name:<12} {value}" for name, value in rows)
        self.stdout.write(f"\nThe Corner Shop is open. Control-C closes it.\n\n{lines}\n\n")
        self.stdout.flush()
