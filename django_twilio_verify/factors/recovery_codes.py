"""Recovery codes: for when no phone and no inbox is at hand. Shown once, kept as hashes, spent once."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from functools import partial
from textwrap import wrap

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import check_password, get_hasher, make_password
from django.db import router, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..choices import CheckOutcome, Purpose
from ..core import receivers
from ..core.client import ClientInfo
from ..limits import counters
from ..limits.lockouts import Refused
from ..models import RecoveryCode
from ..signals import check_failed, recovery_code_used, recovery_codes_created
from ..verifications import claimants, throttling
from . import notices
from .notices import Notice

COUNT = 10
LOW = 3
"""From so few on the person is told to make new ones."""
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_SELECTOR, _SECRET = 4, 12
"""80 bits in all. From 64 bits on, NIST SP 800-63B-4, section 3.1.2.2, asks for no limit by account, and there is none:
somebody who knows the password must not use up the tries of its owner.
"""
_CONFUSED = str.maketrans("ilo", "110")


@sensitive_variables()
def issue(user: AbstractBaseUser, client: ClientInfo | None = None) -> list[str]:
    """Make a new set of ten codes for ``user``, in place of any earlier one, and return them: the only time they are
    known.

    Each looks like ``abcd-efgh-jkmn-pqrs``. Takes about half a second of hashing, with no transaction open.
    """
    codes = _distinct_codes()
    now = timezone.now()
    rows = [
        RecoveryCode(
            user_id=user.pk,
            selector=code[:_SELECTOR],
            verifier=make_password(code[_SELECTOR:], hasher=_hasher()),
            created_at=now,
        )
        for code in codes
    ]
    with transaction.atomic(using=router.db_for_write(RecoveryCode)):
        RecoveryCode.objects.filter(user_id=user.pk).delete()
        RecoveryCode.objects.bulk_create(rows)
    receivers.send(recovery_codes_created, RecoveryCode, user=user, client=client, remaining=len(rows))
    return ["-".join(wrap(code, 4)) for code in codes]


@sensitive_variables()
def renew(user: AbstractBaseUser, client: ClientInfo | None = None) -> list[str]:
    """As ``issue``, and tell ``user`` by mail that the earlier codes are dead. ``client``: where it was asked for."""
    codes = issue(user, client)
    notices.send(Notice.RECOVERY_CODES_MADE, user, client=client)
    return codes


def remaining(user: AbstractBaseUser) -> int:
    """How many unspent codes ``user`` has."""
    return RecoveryCode.objects.filter(user_id=user.pk, used_at=None).count()


def is_low(user: AbstractBaseUser) -> bool:
    """Whether ``user`` has so few unspent codes that a page should say so; not where none were ever made."""
    made = RecoveryCode.objects.filter(user_id=user.pk)
    return made.exists() and made.filter(used_at=None).count() <= LOW


@sensitive_variables()  # SECURITY: and of the hasher, which names it as it likes
def redeem(
    user: AbstractBaseUser, typed: str, client: ClientInfo | None = None, *, purpose: Purpose = Purpose.LOGIN
) -> bool:
    """Spend the code that ``user`` typed, in any case, with or without hyphens and spaces. True for exactly one call.

    The person is told of it by mail, and of many wrong ones. ``client``: where it was typed. ``purpose``: what for, as
    ``check_failed`` tells it. Raises ``RateLimited`` after as many tries in an hour as ``recovery_hour`` allows for
    this account from the network of ``client``, or ``recovery_network_hour`` for all accounts.
    """
    now = timezone.now()
    at = client or ClientInfo()
    # SECURITY: by network: a stranger's tries are not charged to the owner, who is somewhere else.
    subjects = {"recovery_hour": f"{user.pk}:{at.network}", "recovery_network_hour": at.network}
    counters.within(subjects, now, lambda: None, refused=partial(Refused, user, client))
    if not _spent(user, typed, now):
        throttling.recovery_failed(user, at, now)
        told = {"verification": None, "outcome": CheckOutcome.WRONG, "checks_left": None, "purpose": purpose}
        receivers.send(check_failed, RecoveryCode, user=user, client=client, **told)
        return False
    throttling.recovery_worked(user)
    claimants.remember_user(user.pk, client, now)
    left = remaining(user)
    receivers.send(recovery_code_used, RecoveryCode, user=user, client=client, remaining=left)
    notices.send(Notice.RECOVERY_CODE_USED, user, client=client, values={"remaining": left})
    return True


@sensitive_variables()  # SECURITY: and of the hasher, which names it as it likes
def _spent(user: AbstractBaseUser, typed: str, now: datetime) -> bool:
    """Spend the code that was typed; whether this call did."""
    code = re.sub(r"[^0-9a-z]", "", typed[:100].lower()).translate(_CONFUSED)
    row = RecoveryCode.objects.filter(user_id=user.pk, selector=code[:_SELECTOR], used_at=None).first()
    if row is None:
        # SECURITY: as much work as for a code that begins rightly, so that the time does not tell which do.
        make_password(code[_SELECTOR:], hasher=_hasher())
        return False
    if not check_password(code[_SELECTOR:], row.verifier, preferred=_hasher()):
        return False
    # SECURITY: one conditional UPDATE: of simultaneous calls with one code, one spends it.
    return bool(RecoveryCode.objects.filter(pk=row.pk, used_at=None).update(used_at=now))


def _distinct_codes() -> list[str]:
    codes: dict[str, str] = {}
    while len(codes) < COUNT:
        code = "".join(secrets.choice(_ALPHABET) for _ in range(_SELECTOR + _SECRET))
        codes.setdefault(code[:_SELECTOR], code)
    return list(codes.values())


def _hasher() -> str:
    """scrypt, at 50 ms a hash: ten PBKDF2 hashes would keep a person waiting for seconds. Else the site's default."""
    try:
        get_hasher("scrypt")
    except ValueError:
        return "default"
    return "scrypt"
