"""Helpers for sites' own tests: users with a factor, verified clients, and time that has passed.

They go through what the app's pages call and write to the same tables. They work in ``TestCase`` (also in
``setUpTestData``), ``TransactionTestCase`` and pytest's ``django_db``, but not inside an ``atomic()`` block that the
test opens: as in production, nothing is sent inside a transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from html.parser import HTMLParser
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from django.utils.functional import SimpleLazyObject

from ..backends.locmem import outbox
from ..backends.threads import query_twin_of
from ..choices import LINK_CHANNELS, Channel, FactorKind
from ..exceptions import BackendError
from .phone import Authenticator

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpResponse
    from django.test import Client
    from django.test.client import AsyncClient

    from ..models import ConsentEvent, Factor
    from . import internals
else:
    # The tests of a backend import this package too, on sites that do not have our models.
    internals = SimpleLazyObject(partial(import_module, f"{__package__}.internals"))

PHONE = "+12025550143"
"""Kept for fiction by the North American Numbering Plan."""
EMAIL = "user@example.com"


def testing_settings() -> dict[str, Any]:
    """Return the settings of ``TwilioVerifyTestMixin``."""
    return internals.testing_settings()


def last_code(to: str | None = None) -> str:
    """Return the newest code in ``outbox``.

    Args:
        to: The recipient, as the message names it: ``+12025550143``, ``user@example.com``. Any if not given.

    Raises:
        AssertionError: No code was sent there.
    """
    for message in reversed(outbox):
        if message.code and to in (None, message.to):
            return message.code
    raise AssertionError(f"No code was sent to {to or 'anybody'}. {describe_sent()}")


def describe_sent() -> str:
    """Return a sentence that lists the recipients in ``outbox``, without codes."""
    sent = ", ".join(f"{message.to} by {message.channel}" for message in outbox)
    return f"Sent: {sent}." if sent else "Nothing was sent."


def enroll(
    user: AbstractBaseUser,
    *,
    kind: Literal["phone", "email"] = "phone",
    recipient: str | None = None,
    channel: str | None = None,
) -> Factor:
    """Enroll a phone number or an email address of ``user`` by a code, with consent.

    Leaves records of the consent, the verification and the factor. Leaves no message, no email about the new factor, no
    cooldown, and nothing counted against a limit. Asks no provider, whichever backend the site has. If ``user`` has
    this factor already, it is returned.

    Args:
        kind: What to enroll. For an authenticator app, see ``enroll_totp``.
        recipient: ``+12025550143`` if not given; for ``email``, the address of the account, or ``user@example.com``.
        channel: The channel of the code, which is the factor's preferred one: ``sms`` if not given, or ``email``.

    Raises:
        ValueError: The kind, the recipient and the channel do not go together.
        RuntimeError: Inside a transaction of the caller's.
    """
    if kind not in ("phone", "email"):
        raise ValueError(f"kind={kind!r}: enroll() takes 'phone' or 'email'. For an app, call enroll_totp().")
    is_email = kind == "email"
    recipient = recipient or (_email_of(user) if is_email else PHONE)
    channel = Channel.parse(channel or ("email" if is_email else "sms"))
    if internals.kind_of(recipient) != FactorKind(kind):
        raise ValueError(f"recipient={recipient!r} is not of kind={kind!r}.")
    if channel in LINK_CHANNELS:
        raise ValueError(f"channel={channel.value!r} brings a link: enroll() takes a channel that brings a code.")
    with internals.without_traces():
        return internals.verify_and_enroll(user, recipient, channel.value)


def _email_of(user: AbstractBaseUser) -> str:
    return str(getattr(user, user.get_email_field_name(), "") or EMAIL)


def enroll_totp(user: AbstractBaseUser) -> Authenticator:
    """Enroll an authenticator app of ``user`` at the site's backend, and return the app.

    Its present code (``code()``) was not used yet. The backend keeps the factor, so it has to be one that can:
    ``LocMemBackend``, or Twilio's with a ``VerifyServer``.

    Raises:
        ValueError: The backend keeps no authenticator apps.
        RuntimeError: Inside a transaction of the caller's.
    """
    with internals.without_traces():
        return internals.enroll_app(user)


def grant_consent(user: AbstractBaseUser, *, recipient: str, channel: str) -> ConsentEvent:
    """Record that ``user`` agreed to today's disclosure, as the app's pages do. Returns the live event.

    Args:
        recipient: A phone number or an email address.
        channel: ``sms``, ``call``, ``whatsapp``, ``email`` …

    Raises:
        ConsentRequired: ``opted_out``, the holder of ``recipient`` has opted out.
    """
    with internals.without_traces():
        return internals.grant(user, recipient, channel, internals.new_client())


def sign_in(
    client: Client | AsyncClient, user: AbstractBaseUser, *, channel: str | None = None, verified: bool = True
) -> None:
    """Sign ``user`` in with the second factor, or leave the login pending.

    The counterpart of ``client.force_login()``, after which a user who has a factor is not signed in but pending. Sends
    the same signals as a real login. Works under any policy: a user without a factor is verified as well.

    Args:
        client: Django's test client, sync or async.
        channel: What ``request.twilio_verify`` says the user verified with. If not given, the channel of the user's
            default factor; ``sms`` without one.
        verified: False for a pending login: the password was accepted, and the second factor or the enrollment is
            missing.

    Raises:
        ValueError: ``verified=False``, and no second factor is required of ``user`` now.
        PermissionDenied: No authentication backend of the site signs ``user`` in, such as an inactive one.
    """
    if verified:
        internals.sign_in(client, user, channel)
    elif channel is not None:
        raise ValueError("channel: nothing is verified with verified=False.")
    else:
        internals.begin_login(client, user)


def age_verification(client: Client | AsyncClient, by: timedelta) -> None:
    """Make the second factor of this session, and the trust in this browser, older by ``by``.

    For ``max_age`` of ``verification_required``, for pages that ask for a fresh verification, and for trusted browsers
    that expire. Changes the session and the records, and no clock: what else the site dates stays as it is.

    Raises:
        ValueError: ``client`` has neither passed a second factor nor is it a trusted browser; or ``by`` is negative.
    """
    if by < timedelta(0):
        raise ValueError("by must not be negative.")
    if not internals.age(client, by):
        raise ValueError("client has passed no second factor and is no trusted browser: call sign_in() first.")


def skip_cooldown(user: AbstractBaseUser | None = None) -> None:
    """Let open verifications be sent again at once, as after the wait between two sends.

    The limits, and the number of sends that one verification has, stay as they are.

    Args:
        user: Whose verifications. Everybody's if not given.
    """
    internals.end_cooldown(user)


def fail_next(error: BackendError | int, *, backend: str = "default", carried_out: bool = False) -> None:
    """Make the next call of a ``LocMemBackend`` fail.

    Args:
        error: What it raises, or an error code of Twilio's, which is understood as the Twilio backend understands it.
            A code that is an answer there, such as 60202 (too many checks) to a check, is an answer here.
        backend: The alias.
        carried_out: The call does its work all the same, as when only the answer is lost.

    Raises:
        TypeError: ``backend`` is no ``LocMemBackend``, or ``error`` is no ``BackendError``.
        ValueError: An ``error`` that is no code of Twilio's, such as an HTTP status.
    """
    chosen = internals.locmem_backend(backend)
    if isinstance(error, BackendError):
        chosen.fail_next(error, carried_out=carried_out)
    elif not isinstance(error, int):
        raise TypeError(f"error must be a BackendError or a code, not a {type(error).__name__}.")
    elif error < 10_000:
        raise ValueError(f"error={error!r} is no error code of Twilio's: these have five digits.")
    else:
        chosen.fail_next(code=error, carried_out=carried_out)


def get_disclosure_digest(response: HttpResponse) -> str:
    """Return the digest of the disclosure that a page or a JSON answer shows, to be posted back as ``disclosure``.

    Raises:
        AssertionError: It shows none.
    """
    body = response.content.decode(response.charset)
    if "json" in response.headers.get("Content-Type", ""):
        found = next(_digests_in(json.loads(body)), "")
    else:
        form = _DisclosureField()
        form.feed(body)
        found = form.digest
    if not found:
        raise AssertionError(f"The response (status {response.status_code}) shows no disclosure.")
    return found


def _digests_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        shown = value.get("disclosure")
        if isinstance(shown, dict) and isinstance(shown.get("digest"), str):
            yield shown["digest"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _digests_in(one)


class _DisclosureField(HTMLParser):
    """Finds the hidden field ``disclosure`` of a form, whichever prefix the form has."""

    digest = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        name = values.get("name") or ""
        if tag == "input" and not self.digest and (name == "disclosure" or name.endswith("-disclosure")):
            self.digest = values.get("value") or ""


aenroll = query_twin_of(enroll)
aenroll_totp = query_twin_of(enroll_totp)
agrant_consent = query_twin_of(grant_consent)
asign_in = query_twin_of(sign_in)
aage_verification = query_twin_of(age_verification)
askip_cooldown = query_twin_of(skip_cooldown)
