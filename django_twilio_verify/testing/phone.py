"""The other end of a factor, for tests and for a demo: an authenticator app, and a phone with the site's app.

Neither is needed in production: people bring their own.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from ..backends.simulator import es256, totp
from ..backends.simulator.factors import SIGNED
from ..backends.twilio.errors import VerifyError
from .verify_server import Request
from .verify_server_factors import FactorRoutes

TIMEOUT = 10
TOKEN_LIVES = 300


class Authenticator:
    """An authenticator app that has scanned a code: RFC 6238.

    ``secret``: base32. ``clock``: seconds since 1970, by default ``time.time`` looked up at every call.
    """

    def __init__(
        self,
        secret: str,
        *,
        time_step: int = totp.TIME_STEP,
        digits: int = totp.DIGITS,
        algorithm: str = totp.ALGORITHM,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._key = totp.key_of(secret)
        self._time_step, self._digits, self._algorithm = time_step, digits, algorithm
        self._clock = clock

    @classmethod
    def scan(cls, uri: str, *, clock: Callable[[], float] | None = None) -> Self:
        """The app that has scanned ``uri`` (``otpauth://totp/…``). Raises ``ValueError`` for another address."""
        parts = urlsplit(uri)
        if (parts.scheme, parts.netloc) != ("otpauth", "totp"):
            raise ValueError("not an otpauth://totp/ address")
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        return cls(
            query.get("secret", ""),
            time_step=int(query.get("period", totp.TIME_STEP)),
            digits=int(query.get("digits", totp.DIGITS)),
            algorithm=query.get("algorithm", totp.ALGORITHM).lower(),
            clock=clock,
        )

    def code(self, *, steps: int = 0) -> str:
        """The code of now, or of ``steps`` time steps later (negative: earlier)."""
        now = self._clock() if self._clock else time.time()
        step = totp.step_at(now, self._time_step) + steps
        return totp.code_of_step(self._key, step, self._digits, self._algorithm)


class DeviceRefused(Exception):
    """The provider said no to the phone. ``status``: of HTTP; ``code``: Twilio's number, 0 if it gave none."""

    def __init__(self, status: int, code: int) -> None:
        self.status, self.code = status, code
        super().__init__(status, code)


class DeviceApi(Protocol):
    """How a phone reaches the provider."""

    def request(self, method: str, path: str, form: Mapping[str, str], token: str) -> dict[str, Any]:
        """The answer's JSON. ``path``: below ``/v2/``; ``form``: parameters, of a GET the query; ``token``: what the
        phone shows. Raises ``DeviceRefused``.
        """


class HttpApi:
    """Over the network: a ``VerifyServer``'s ``url``, or Twilio's."""

    def __init__(self, url: str) -> None:
        self._url = url

    def request(self, method: str, path: str, form: Mapping[str, str], token: str) -> dict[str, Any]:
        import requests  # noqa: PLC0415  # not at start-up, as in TwilioBackend

        in_query = method == "GET"
        answer = requests.request(
            method,
            f"{self._url}/v2/{path}",
            params=form if in_query else None,
            data=None if in_query else form,
            auth=("token", token),
            timeout=TIMEOUT,
        )
        body: dict[str, Any] = answer.json() if answer.content else {}
        if answer.status_code >= 400:
            raise DeviceRefused(answer.status_code, int(body.get("code", 0)))
        return body


class LocalApi:
    """Into the memory of this process: the ``factor_simulator`` of a backend."""

    def __init__(self, routes: FactorRoutes) -> None:
        self._routes = routes

    def request(self, method: str, path: str, form: Mapping[str, str], token: str) -> dict[str, Any]:
        pairs = tuple(form.items())
        shown = base64.b64encode(f"token:{token}".encode()).decode()
        query, body = (pairs, ()) if method == "GET" else ((), pairs)
        request = Request(
            method, f"/v2/{path}", "", query, body, {"authorization": f"Basic {shown}"}, urlencode(body).encode()
        )
        try:
            self._routes.admits(request)
            answer = self._routes.answer(request)
        except VerifyError as error:
            raise DeviceRefused(error.status, error.code) from None
        return (answer[1] if answer else None) or {}


class Phone:
    """A phone with the site's app: a key pair of its own, and real signatures. Needs the package ``cryptography``.

    ``service_sid`` and ``identity``: as the site tells its app beside the access token. ``platform``: ``none`` for a
    phone that is not notified, else ``apn`` or ``fcm``.
    """

    def __init__(
        self,
        api: DeviceApi,
        *,
        service_sid: str,
        identity: str,
        name: str = "Phone",
        platform: str = "none",
        clock: Callable[[], float] | None = None,
    ) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        self.name, self.platform, self.identity = name, platform, identity
        self.sid = ""
        self._api, self._clock = api, clock
        self._path = f"Services/{service_sid}/Entities/{identity}"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._factor: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<Phone {self.name} {self.sid}>"

    @property
    def public_key(self) -> str:
        """SubjectPublicKeyInfo (DER) in base64."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()

    @property
    def proof(self) -> str:
        """What confirms the factor: the key's signature of its SID, DER in base64."""
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

        return base64.b64encode(self._key.sign(self.sid.encode(), ECDSA(SHA256()))).decode()

    def kept(self) -> dict[str, Any]:
        """All of it, as JSON can hold it, for ``restore``. SECURITY: with the private key."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat  # noqa: PLC0415

        key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        service_sid = self._path.split("/")[1]
        return {
            "name": self.name,
            "platform": self.platform,
            "identity": self.identity,
            "service_sid": service_sid,
            "key": key,
            "factor": self._factor,
        }

    @classmethod
    def restore(cls, api: DeviceApi, kept: Mapping[str, Any], *, clock: Callable[[], float] | None = None) -> Self:
        """The phone that ``kept`` was of. Raises ``KeyError`` and ``ValueError`` for what is none."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

        names = ("service_sid", "identity", "name", "platform")
        phone = cls(api, **{name: kept[name] for name in names}, clock=clock)
        phone._key = load_pem_private_key(kept["key"].encode(), None)  # type: ignore[assignment]
        phone._factor = dict(kept["factor"])
        phone.sid = str(phone._factor.get("sid", ""))
        return phone

    def register(self, access_token: str) -> str:
        """Make and confirm the factor; its SID. Raises ``DeviceRefused``."""
        self._factor = self._api.request(
            "POST",
            f"{self._path}/Factors",
            {
                "FriendlyName": self.name,
                "FactorType": "push",
                "Binding.Alg": "ES256",
                "Binding.PublicKey": self.public_key,
                "Config.AppId": "com.example.site",
                "Config.SdkVersion": "1.0",
                "Config.NotificationPlatform": self.platform,
                **({} if self.platform == "none" else {"Config.NotificationToken": "t" * 64}),
            },
            access_token,
        )
        self.sid = self._factor["sid"]
        self._ask("POST", f"Factors/{self.sid}", {"AuthPayload": self.proof})
        return self.sid

    def pending(self) -> list[dict[str, Any]]:
        """The challenges that wait for this phone, oldest first."""
        found: list[dict[str, Any]] = self._ask("GET", "Challenges", {"FactorSid": self.sid, "Status": "pending"})[
            "challenges"
        ]
        return found

    def approve(self, challenge_sid: str) -> str:
        """Approve a challenge; the status it has then. Raises ``DeviceRefused``."""
        return self._respond(challenge_sid, "approved")

    def deny(self, challenge_sid: str) -> str:
        """Deny a challenge; the status it has then. Raises ``DeviceRefused``."""
        return self._respond(challenge_sid, "denied")

    def signed(self, challenge: Mapping[str, Any], status: str) -> str:
        """This phone's answer to a challenge: a token of what the challenge says, and ``status``."""
        claims = {name: challenge[name] for name in SIGNED}
        return es256.make_token(self._key, {}, {**claims, "status": status})

    def remove(self) -> None:
        """Remove the factor. Raises ``DeviceRefused``."""
        self._ask("DELETE", f"Factors/{self.sid}", {})

    def _respond(self, challenge_sid: str, status: str) -> str:
        challenge = self._ask("GET", f"Challenges/{challenge_sid}", {})
        answer = {"AuthPayload": self.signed(challenge, status)}
        return str(self._ask("POST", f"Challenges/{challenge_sid}", answer)["status"])

    def _ask(self, method: str, path: str, form: Mapping[str, str]) -> dict[str, Any]:
        now = int(self._clock() if self._clock else time.time())
        header = {"cty": "twilio-pba;v=1", "kid": self._factor["config"]["credential_sid"]}
        claims = {"sub": self._factor["account_sid"], "iat": now, "exp": now + TOKEN_LIVES}
        return self._api.request(method, f"{self._path}/{path}", form, es256.make_token(self._key, header, claims))
