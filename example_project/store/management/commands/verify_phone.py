"""``manage.py verify_phone``: a phone with the shop's app, on the command line. Its keys and signatures are real."""

import json
import os
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_twilio_verify.testing import DeviceRefused, HttpApi, Phone

TIMEOUT = 10
STATE = Path(__file__).resolve().parents[3] / "phone.json"


class Command(BaseCommand):
    help = "Play a phone that approves sign-ins at the demo site, which has to run (manage.py demo)."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verb", choices=["register", "list", "approve", "deny", "remove"])
        parser.add_argument("challenge", nargs="?", default="", help="approve, deny: which one; the oldest if none.")
        parser.add_argument("--site", default="http://localhost:8000", help="Default: %(default)s.")
        parser.add_argument("--state", type=Path, default=STATE, help="Where its key is kept. Default: %(default)s.")
        parser.add_argument("--name", default="Phone on the command line", help="register: its name.")
        parser.add_argument("--silent", action="store_true", help="register: it is not notified, and asks by itself.")
        parser.add_argument("--user", default="", help="register: sign in at the site, as the app would.")
        parser.add_argument("--password", default="", help="register: of that account.")
        parser.add_argument("--token", default="", help="register: an access token, instead of signing in.")
        parser.add_argument("--identity", default="", help="register: whom the token is for.")
        parser.add_argument("--service", default="VA" + "0" * 32, help="register: the Service's SID.")

    def handle(self, **options: Any) -> None:
        parts = urlsplit(options["site"])
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CommandError("--site must be an address, as http://localhost:8000.")
        self._site: str = options["site"].rstrip("/")
        try:
            getattr(self, f"_{options['verb']}")(options)
        except DeviceRefused as error:
            raise CommandError(f"The phone was refused (HTTP {error.status}, error {error.code}).") from None
        except requests.RequestException as error:
            raise CommandError(f"{self._site} does not answer ({type(error).__name__}). Does it run?") from None
        except (KeyError, TypeError, ValueError):
            # The message is left out: it may hold a token or a key.
            raise CommandError(f"{self._site} answers, and not as this site would.") from None

    def _register(self, options: dict[str, Any]) -> None:
        if bool(options["user"]) == bool(options["token"]):
            raise CommandError("Give --user and --password, or --token and --identity.")
        app = _SiteApp(self._site) if options["user"] else None
        given = {"token": options["token"], "identity": options["identity"], "service_sid": options["service"]}
        if app is not None:
            given = app.access_token(options["user"], options["password"], options["name"])
        phone = Phone(
            self._api(),
            service_sid=given["service_sid"],
            identity=given["identity"],
            name=options["name"],
            platform="none" if options["silent"] else "fcm",
        )
        phone.register(given["token"])
        self._keep(phone, options["state"])
        codes = app.confirm(given["verification"]) if app is not None else []
        self.stdout.write(f"Registered as {phone.sid}. The key is in {options['state']}.")
        if codes:  # of a first factor; the app shows them, and nobody can a second time
            self.stdout.write("Recovery codes, each works once:\n" + "\n".join(codes))

    def _list(self, options: dict[str, Any]) -> None:
        waiting = self._phone(options["state"]).pending()
        for challenge in waiting:
            self.stdout.write(_shown(challenge))
        if not waiting:
            self.stdout.write("Nobody is asking.")

    def _approve(self, options: dict[str, Any]) -> None:
        phone = self._phone(options["state"])
        challenge = self._chosen(phone, options["challenge"])
        self.stdout.write(f"{_shown(challenge)}\n{phone.approve(challenge['sid'])}")

    def _deny(self, options: dict[str, Any]) -> None:
        phone = self._phone(options["state"])
        challenge = self._chosen(phone, options["challenge"])
        self.stdout.write(f"{_shown(challenge)}\n{phone.deny(challenge['sid'])}")

    def _remove(self, options: dict[str, Any]) -> None:
        self._phone(options["state"]).remove()
        options["state"].unlink()
        self.stdout.write("Removed.")

    def _api(self) -> HttpApi:
        return HttpApi(f"{self._site}/phone")

    def _phone(self, state: Path) -> Phone:
        try:
            text = state.read_text(encoding="utf-8")
        except OSError:
            raise CommandError(f"There is no phone in {state}: register one first.") from None
        try:
            return Phone.restore(self._api(), json.loads(text))
        except (KeyError, TypeError, ValueError):
            raise CommandError(f"What is in {state} is no phone: register one anew.") from None

    def _chosen(self, phone: Phone, sid: str) -> dict[str, Any]:
        for challenge in phone.pending():
            if sid in ("", challenge["sid"]):
                return challenge
        raise CommandError("Nobody is asking." if not sid else "There is no such challenge, or it is over.")

    def _keep(self, phone: Phone, state: Path) -> None:
        # For the owner alone from the first byte on: it holds the private key.
        descriptor = os.open(state, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(phone.kept(), file, indent=2)


class _SiteApp:
    """The site's app, signed in as a person: session cookie, CSRF token, and JSON."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._session = requests.Session()

    def access_token(self, user: str, password: str, name: str) -> dict[str, str]:
        """``token``, ``identity``, ``service_sid`` and ``verification``. Raises ``CommandError``."""
        self._session.get(f"{self._site}/login/", timeout=TIMEOUT).raise_for_status()
        form = {"username": user, "password": password, "csrfmiddlewaretoken": self._csrf}
        self._post("/login/", data=form)
        if "sessionid" not in self._session.cookies:
            raise CommandError("The site does not know this user name and password.")
        answer = self._json("/verify/access-token/", {"name": name})
        return {key: str(answer[key]) for key in ("token", "identity", "service_sid", "verification")}

    def confirm(self, verification: str) -> list[str]:
        """Have the site ask whether the phone is there; the recovery codes that it made. Raises ``CommandError``."""
        answer = self._json(f"/verify/access-token/{verification}/", {})
        if answer.get("status") != "enrolled":
            raise CommandError(f"The site did not enroll the phone: {answer.get('status')}.")
        return [str(code) for code in answer.get("recovery_codes") or ()]

    @property
    def _csrf(self) -> str:
        return self._session.cookies.get("csrftoken", "") or ""

    def _json(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        answer = self._post(path, json=body)
        told: dict[str, Any] = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        if answer.status_code != 200:
            self._refused(answer.status_code, told)
        return told

    def _refused(self, status: int, told: dict[str, Any]) -> NoReturn:
        where = f" Go to {self._site}{told['url']} first." if told.get("url") else ""
        raise CommandError(f"The site says no (HTTP {status}): {told.get('detail', 'no reason given')}{where}")

    def _post(self, path: str, **body: Any) -> requests.Response:
        headers = {"X-CSRFToken": self._csrf, "Referer": self._site + path}
        return self._session.post(self._site + path, headers=headers, timeout=TIMEOUT, **body)


def _shown(challenge: dict[str, Any]) -> str:
    details = challenge.get("details") or {}
    fields = ", ".join(f"{one['label']}: {one['value']}" for one in details.get("fields") or ())
    return f"{challenge['sid']}  {details.get('message', '')}  {fields}".rstrip()
