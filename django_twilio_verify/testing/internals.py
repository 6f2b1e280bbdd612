"""What the helpers for tests need of the app's private modules. Nothing else in this package imports those.

Enrolling and signing in go through the functions that the app's own pages call, so that every record is written and
every trigger fires. Only what a real user would do by waiting is written here directly (``age``, ``end_cooldown``).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core import mail
from django.db.models import F
from django.http import HttpRequest, SimpleCookie
from django.test import Client, RequestFactory
from django.test.client import AsyncClient
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import get_language

from .. import factors, verifications
from ..backends.console import ConsoleBackend
from ..backends.handler import backends
from ..backends.locmem import LocMemBackend, Message
from ..choices import Channel, FactorKind, Purpose, VerificationStatus
from ..client import Client as AppClient
from ..client import client_from
from ..conf import settings
from ..consent import disclosures
from ..consent.gate import Gate, NewConsent
from ..core.recipients import Recipient
from ..login import completion, decision_cache, enforcement, session, trust_cookie, trusted_browsers
from ..login.state import LoginState
from ..middleware import HINT
from ..models import ConsentEvent, Factor, LimitCounter, TrustedBrowser, Verification
from ..verifications import claimants
from .phone import Authenticator

FAST_HASHER = "django.contrib.auth.hashers.MD5PasswordHasher"
LOCMEM = {"BACKEND": "django_twilio_verify.backends.locmem.LocMemBackend"}
USER_AGENT = "django_twilio_verify.testing"
_KINDS = {
    Channel.TOTP: FactorKind.TOTP,
    Channel.PUSH: FactorKind.PUSH,
    Channel.SILENT: FactorKind.PUSH,
    Channel.PASSKEY: FactorKind.PASSKEY,
    Channel.EMAIL: FactorKind.EMAIL,
}


class _SilentBackend(LocMemBackend):
    """Keeps what it would have sent to itself, and has nothing pending."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self.sent: list[Message] = []

    def deliver(self, message: Message) -> None:
        self.sent.append(message)


def testing_settings() -> dict[str, Any]:
    """Settings under which nothing leaves the process, and hashing a password or a recovery code takes no time.

    Every alias of ``TWILIO_VERIFY_BACKENDS`` is in memory then. Those that are already keep their options.
    """
    configured = settings.backends or {"default": LOCMEM}
    others = [hasher for hasher in django_settings.PASSWORD_HASHERS if hasher != FAST_HASHER]
    return {
        "TWILIO_VERIFY_BACKENDS": {
            alias: config if _is_locmem(config) else LOCMEM for alias, config in configured.items()
        },
        "PASSWORD_HASHERS": [FAST_HASHER, *others],
    }


def _is_locmem(config: Any) -> bool:
    backend = import_string(config["BACKEND"])
    return issubclass(backend, LocMemBackend) and not issubclass(backend, ConsoleBackend)


def locmem_backend(alias: str) -> LocMemBackend:
    """The backend ``alias``. Raises ``TypeError`` for one that talks to a provider."""
    backend = backends[alias]
    if not isinstance(backend, LocMemBackend):
        raise TypeError(f"The backend {alias!r} is a {type(backend).__name__}: fail_next() needs a LocMemBackend.")
    return backend


# ---- enrolling


def new_client() -> AppClient:
    """A browser session of its own, at the address that Django's test client has."""
    language = get_language() or ""
    return AppClient(ip="127.0.0.1", user_agent=USER_AGENT, language=language, session=secrets.token_urlsafe())


def grant(user: AbstractBaseUser, recipient: str, channel: str, client: AppClient) -> ConsentEvent:
    """Record that ``user`` agreed to today's disclosure for ``channel``."""
    new = NewConsent(disclosures.compose(Channel.parse(channel)), purpose=Purpose.ENROLL)
    return Gate.of(recipient, channel, client=client, user=user, new=new).agree()


def verify_and_enroll(user: AbstractBaseUser, recipient: str, channel: str) -> Factor:
    """Grant consent, have a code sent, answer it and enroll what it verified."""
    client = new_client()
    with _silent_backends() as silent:
        grant(user, recipient, channel, client)
        started = verifications.start(
            recipient=recipient, channel=Channel.parse(channel), client=client, user=user, purpose="enroll"
        )
        code = silent[started.verification.backend].sent[-1].code
        checked = verifications.check(started.verification, code=code, client=client, user=user)
        if not checked.approved:
            raise RuntimeError(f"The code for enroll() was not accepted: {checked.outcome}.")
        return factors.enroll(checked.verification, client=client).factor


@contextmanager
def _silent_backends() -> Iterator[dict[str, _SilentBackend]]:
    """A provider for one enrollment: what tests have planned and pending at their own stays as it is."""
    # All of them: the site's router may choose any.
    made = {alias: _SilentBackend(alias) for alias in settings.backends}
    with ExitStack() as stack:
        for backend in made.values():
            stack.enter_context(backends.replaced(backend))
        yield made


def enroll_app(user: AbstractBaseUser) -> Authenticator:
    """Enroll an authenticator app at the backend that keeps it, by the code of the time step before."""
    client = new_client()
    begun = factors.begin_totp(user, client=client, name=USER_AGENT)
    app = Authenticator.scan(begun.uri)
    # The code of the step before, so that the test may use the present one. If the step ends between the two, the code
    # is of two steps before and refused, once.
    for _ in range(2):
        done = factors.finish_setup(begun.verification, client=client, user=user, code=app.code(steps=-1))
        if done.factor is not None:
            return app
    raise RuntimeError(f"The code for enroll_totp() was not accepted: {done.checked.outcome}.")


@contextmanager
def without_traces() -> Iterator[None]:
    """Take back what the block counts against limits, and the emails that it sends."""
    before = {row.pk: row for row in LimitCounter.objects.all()}
    emails: list[Any] = getattr(mail, "outbox", [])
    sent = len(emails)
    yield
    del emails[sent:]
    for row in LimitCounter.objects.all():
        known = before.get(row.pk)
        if known is None:
            row.delete()
        elif (known.count, known.previous, known.since) != (row.count, row.previous, row.since):
            known.save(update_fields=["count", "previous", "since"])


# ---- signing in


def sign_in(client: Client | AsyncClient, user: AbstractBaseUser, channel: str | None) -> None:
    """Sign ``user`` in as by a login whose second factor has just passed."""
    factor = _factor_for(user, channel)
    used = Channel.parse(channel or (factor.channel if factor is not None else Channel.SMS))
    request = _request(client)
    completion.sign_in(request, user, used.value)
    now = timezone.now()
    if factor is not None:
        Factor.objects.filter(pk=factor.pk).record_use(now)
    claimants.remember_user(user.pk, client_from(request), now)
    client.cookies.pop(HINT, None)
    _save(client, request)


def begin_login(client: Client | AsyncClient, user: AbstractBaseUser) -> None:
    """Sign ``user`` in as far as the password goes. Raises ``ValueError`` if no second factor is required then."""
    client.force_login(user)  # type: ignore[arg-type]  # any user model
    request = _request(client)
    if session.pending_login(request) is None:
        # The session was verified before this login, or a trusted browser's.
        session.forget_verified(request)
        request.user = user  # type: ignore[assignment]  # any user model
        if not enforcement.decide(request, user):
            client.logout()
            raise ValueError(
                "sign_in(verified=False): no second factor is required of this user now. Call enroll() first, or see "
                "TWILIO_VERIFY_REQUIRED_FOR and TWILIO_VERIFY_GRACE_DAYS."
            )
    _save(client, request)
    client.cookies[HINT] = "1"


def _factor_for(user: AbstractBaseUser, channel: str | None) -> Factor | None:
    """The factor of ``user`` that ``channel`` belongs to; without it, the one that is asked for first."""
    usable = [factor for factor in factors.list_factors(user, usable_only=False) if factor.lost_at is None]
    if channel is not None:
        kind = _KINDS.get(Channel.parse(channel), FactorKind.PHONE)
        usable = [factor for factor in usable if factor.kind == kind]
    return usable[0] if usable else None


def _request(client: Client | AsyncClient) -> HttpRequest:
    """A request of ``client``, with its session, for what expects one."""
    sent: dict[str, Any] = {name: value for name, value in client.defaults.items() if name.isupper()}
    request = RequestFactory(**sent).get("/")
    request.session = client.session
    request.user = AnonymousUser()
    request.twilio_verify = LoginState(request)  # type: ignore[attr-defined]
    return request


def _save(client: Client | AsyncClient, request: HttpRequest) -> None:
    """Store the session of ``request``, and give ``client`` its cookie. The key may be a new one."""
    request.session.save()
    cookies: SimpleCookie = client.cookies
    cookies[django_settings.SESSION_COOKIE_NAME] = str(request.session.session_key)


# ---- time


def age(client: Client | AsyncClient, by: timedelta) -> bool:
    """Have the verification of the session, and the trust in the browser, happened ``by`` earlier. Whether there is
    either.
    """
    if django_settings.SESSION_COOKIE_NAME not in client.cookies:
        return _age_trust(client, by) > 0
    request = _request(client)
    verified = session.verified_session(request)
    trusted = _age_trust(client, by)
    if verified is None or not (verified.passed or verified.trusted):
        return trusted > 0
    at = verified.at - math.ceil(by.total_seconds())
    request.session[session._SETTLED] = {**request.session[session._SETTLED], "at": at}
    _save(client, request)
    decision_cache._noted.clear()
    # A factor that was added after the verification is not the one that was verified, and opens nothing.
    later = Factor.objects.confirmed_for(verified.user_id).filter(confirmed_at__gt=datetime.fromtimestamp(at, tz=UTC))
    later.update(created_at=F("created_at") - by, confirmed_at=F("confirmed_at") - by)
    return True


def _age_trust(client: Client | AsyncClient, by: timedelta) -> int:
    request = HttpRequest()
    request.COOKIES = {name: morsel.value for name, morsel in client.cookies.items()}
    digests = [trusted_browsers._digest(token) for token in trust_cookie.tokens_of(request)]
    rows = TrustedBrowser.objects.filter(token_digest__in=digests)
    return rows.update(
        created_at=F("created_at") - by, last_used_at=F("last_used_at") - by, expires_at=F("expires_at") - by
    )


def end_cooldown(user: AbstractBaseUser | None) -> None:
    """Let every open verification, or those of ``user``, be sent again now."""
    now = timezone.now()
    rows = Verification.objects.filter(status=VerificationStatus.PENDING, resend_at__gt=now)
    if user is not None:
        rows = rows.filter(user_id=user.pk)
    rows.update(resend_at=now)


def kind_of(recipient: str) -> FactorKind:
    """What a factor at ``recipient`` is. Raises ``InvalidRecipient``."""
    return FactorKind(Recipient.parse(recipient, region=settings.default_region or None).kind.value)
