"""Browsers that are excused from the second factor for a while: a revocable row each, and a random value in a cookie.

A row excuses its person only while the security setup is the one it was made under: the password and the confirmed
factors. A browser that is not excused (any more) is asked for the factor like any other. That is no error, and no
failed attempt.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import get_hasher, identify_hasher
from django.db.models import Q
from django.db.models.signals import post_save, pre_save
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..conf import settings
from ..core import receivers
from ..core.browser_names import browser_name
from ..core.client import ClientInfo
from ..factors import notices, reset_holds
from ..factors.notices import Notice
from ..models import Factor, TrustedBrowser
from ..signals import browser_trusted, browsers_revoked

MOST = 20
"""Browsers of one person: the one that was trusted first gives way."""

_BYTES = 32
_SETUP = "setup"
_EARLIER = "_twilio_verify_earlier_password"
_PASSWORD_ONLY = frozenset({"password"})


@dataclass(frozen=True, slots=True)
class Trusted:
    """A browser that was just trusted. ``token``: what goes into its cookie, known this once."""

    browser: TrustedBrowser
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Listed:
    """One browser of a person's. ``is_this``: the one that asks."""

    browser: TrustedBrowser
    is_this: bool


@sensitive_variables("tokens", "token")
def trust(user: AbstractBaseUser, client: ClientInfo, *, days: int, tokens: Sequence[str] = ()) -> Trusted:
    """Excuse the browser behind ``client`` from the second factor of ``user``, for ``days`` days from now.

    Only right after ``user`` has proved a factor. ``tokens``: what the browser's cookie holds; a row of the person's
    that one of them belongs to is replaced. The person is told by mail. Raises ``ValueError`` for less than one day.
    """
    if days < 1:
        raise ValueError("A browser is trusted for one day at least.")
    now = timezone.now()
    _clear(user, tokens, now)
    # SECURITY: always a new value, never one that the browser brought, which somebody else may have put there.
    token = secrets.token_urlsafe(_BYTES)
    browser = TrustedBrowser.objects.create(
        user_id=user.pk,
        token_digest=_digest(token),
        setup=_setups(user)[0],
        browser=browser_name(client.user_agent),
        ip=client.ip or None,
        created_at=now,
        last_used_at=now,
        expires_at=now + timedelta(days=days),
    )
    notices.send(Notice.BROWSER_TRUSTED, user, client=client, values={"browser": browser})
    receivers.send(browser_trusted, TrustedBrowser, user=user, client=client, browser=browser)
    return Trusted(browser, token)


@sensitive_variables("tokens")
def recognise(user: AbstractBaseUser, tokens: Sequence[str], client: ClientInfo, *, days: int) -> bool:
    """Whether a browser whose cookie holds ``tokens`` is excused from the second factor of ``user``, and note its use.

    ``days``: for how long a browser may be trusted by now; 0 excuses none. Without tokens no statement; else a SELECT,
    and if a row is found, one more for the person's factors and one conditional UPDATE.
    """
    if days < 1 or not tokens:
        return False
    now = timezone.now()
    rows = TrustedBrowser.objects.filter(
        # SECURITY: of this person: a cookie that was made for another account excuses nothing.
        _standing(now),
        user_id=user.pk,
        token_digest__in=[_digest(token) for token in tokens],
        created_at__gt=now - timedelta(days=days),
    )
    found = rows.order_by("-id").first()
    setups = _setups(user) if found is not None else []
    if found is None or found.setup not in setups:
        return False
    # SECURITY: one conditional UPDATE: a browser that is revoked in between is not excused.
    used = rows.filter(pk=found.pk, setup=found.setup).update(
        setup=setups[0],
        last_used_at=now,
        ip=client.ip or None,
        browser=browser_name(client.user_agent),
    )
    return bool(used)


@sensitive_variables("tokens")
def listed(user: AbstractBaseUser, tokens: Sequence[str] = ()) -> list[Listed]:
    """The browsers that are excused for ``user`` now, the one used last first. ``tokens``: of the asking one. Two
    SELECTs.
    """
    digests = {_digest(token) for token in tokens}
    rows = TrustedBrowser.objects.filter(_standing(timezone.now()), user_id=user.pk, setup__in=_setups(user))
    return [Listed(row, row.token_digest in digests) for row in rows.order_by("-last_used_at", "-id")]


def revoke(user: AbstractBaseUser, browser_id: int, *, client: ClientInfo | None = None) -> bool:
    """Trust one browser of ``user`` no more. True if it is one of that person's, also if it was revoked before."""
    own = TrustedBrowser.objects.filter(user_id=user.pk, pk=browser_id)
    if not _revoke(user, client, own):
        return own.exists()
    return True


def revoke_all(user: AbstractBaseUser, *, client: ClientInfo | None = None) -> int:
    """Trust no browser of ``user`` any more; how many were revoked."""
    return _revoke(user, client, TrustedBrowser.objects.filter(user_id=user.pk))


def revoke_each_of(user: AbstractBaseUser, ids: Collection[int], client: ClientInfo | None = None) -> int:
    """Trust these browsers of ``user`` no more; how many were trusted until now."""
    rows = TrustedBrowser.objects.filter(_standing(timezone.now()), user_id=user.pk, pk__in=ids)
    return _revoke(user, client, rows)


def revoke_each(ids: Collection[int]) -> int:
    """Trust these browsers no more, whosoever they are, as staff asks; how many were trusted until now."""
    rows = TrustedBrowser.objects.filter(pk__in=ids)
    standing = rows.filter(revoked_at=None).select_related("user").order_by("user")
    people = {row.user_id: row.user for row in standing}
    return sum(_revoke(person, None, rows.filter(user_id=person.pk)) for person in people.values())


@sensitive_variables("tokens")
def expiries(tokens: Sequence[str]) -> dict[str, datetime]:
    """Those of ``tokens`` whose rows stand, whosoever, and until when: what a cookie has to keep. One SELECT."""
    if not tokens:
        return {}
    rows = TrustedBrowser.objects.filter(_standing(timezone.now()), token_digest__in=[_digest(one) for one in tokens])
    until = dict(rows.values_list("token_digest", "expires_at"))
    return {token: until[_digest(token)] for token in tokens if _digest(token) in until}


def purge(*, dry_run: bool = False) -> int:
    """Delete the rows of browsers that expired or were revoked. Return how many; a ``dry_run`` deletes none."""
    rows = TrustedBrowser.objects.exclude(_standing(timezone.now()))
    deleted: int = rows.count() if dry_run else rows.delete()[0]
    return deleted


def connect() -> None:
    """Have passwords that are only written anew leave trust, and what a reset holds, as it is."""
    model = get_user_model()
    pre_save.connect(_before_save, sender=model, dispatch_uid="twilio_verify.before_password")
    post_save.connect(_after_save, sender=model, dispatch_uid="twilio_verify.after_password")


def _revoke(user: AbstractBaseUser, client: ClientInfo | None, rows: Any) -> int:
    count: int = rows.filter(revoked_at=None).update(revoked_at=timezone.now())
    if count:
        receivers.send(browsers_revoked, TrustedBrowser, user=user, client=client, count=count)
    return count


def _standing(now: datetime) -> Q:
    return Q(revoked_at=None, expires_at__gt=now)


def _clear(user: AbstractBaseUser, tokens: Iterable[str], now: datetime) -> None:
    """Make room: what is over, what this browser had, and what is beyond ``MOST``."""
    own = TrustedBrowser.objects.filter(user_id=user.pk)
    own.filter(~_standing(now) | Q(token_digest__in=[_digest(token) for token in tokens])).delete()
    beyond = list(own.order_by("-id").values_list("pk", flat=True)[MOST - 1 :])
    if beyond:
        own.filter(pk__in=beyond).delete()


def _digest(token: str) -> str:
    # A fast hash is enough: 256 random bits cannot be guessed, so there is nothing that a slow one would protect.
    return hashlib.sha256(token.encode()).hexdigest()


def _setups(user: AbstractBaseUser) -> list[str]:
    """The digest of the setup of ``user``, under the newest keys first: what is written. One SELECT.

    Also under older fingerprint keys and ``SECRET_KEY_FALLBACKS``: keys that are rotated end no trust.
    """
    return _setups_of(user, _factors(user))


def _setups_of(user: AbstractBaseUser, factors: str) -> list[str]:
    passwords = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    texts = [f"{user.pk}\0{password}\0{factors}" for password in passwords]
    return [key.fingerprint(_SETUP, text) for text in texts for key in settings.fingerprint_keys]


def _factors(user: AbstractBaseUser) -> str:
    # Not by `key`, which rotate_fingerprint_keys writes anew.
    found = Factor.objects.confirmed_for(user.pk).order_by("pk").values_list("pk", "recipient_value", "sid")
    return "\0".join(f"{pk}:{recipient}:{sid}" for pk, recipient, sid in found)


def _before_save(
    sender: type[AbstractBaseUser], instance: Any, using: str, update_fields: frozenset[str] | None, **kwargs: Any
) -> None:
    """Note the password as it was, if all that changes is how it is written.

    Django does that at a sign-in after an upgrade or a change of PASSWORD_HASHERS. ``check_password``, which has just
    found the password right, sets it again and takes back the note that it changed, ``_password``.
    """
    if update_fields != _PASSWORD_ONLY or instance.__dict__.get("_password", "") is not None:
        return
    stored = sender._base_manager.using(using).filter(pk=instance.pk).values_list("password", flat=True).first()
    # SECURITY: and only where Django would have done it. A password that is really set anew ends all trust.
    if stored and _is_outdated(stored):
        setattr(instance, _EARLIER, stored)


def _after_save(sender: type[AbstractBaseUser], instance: Any, **kwargs: Any) -> None:
    earlier = instance.__dict__.pop(_EARLIER, None)
    if earlier is None:
        return
    reset_holds.rewritten(instance, earlier)
    if not _in_use():
        return
    before, factors = copy(instance), _factors(instance)
    before.password = earlier
    rows = TrustedBrowser.objects.filter(user_id=instance.pk, setup__in=_setups_of(before, factors))
    rows.update(setup=_setups_of(instance, factors)[0])


def _in_use() -> bool:
    return settings.trusted_browser_days != 0


def _is_outdated(encoded: str) -> bool:
    """Whether Django writes a password anew that it finds in this form."""
    try:
        hasher = identify_hasher(encoded)
    except ValueError:
        return False
    preferred = get_hasher()
    return bool(hasher.algorithm != preferred.algorithm or preferred.must_update(encoded))
