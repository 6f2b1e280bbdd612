"""Who owes a second factor: the policy of the site, and whether a user has a factor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from ..conf import policy_digest, settings
from ..factors import reset_holds
from . import grace


def requires_factor(user: AbstractBaseUser, request: HttpRequest) -> bool:
    """Whether ``TWILIO_VERIFY_REQUIRED_FOR`` demands a factor of ``user``, with or without one.

    One SELECT if groups are named, what ``has_perm`` costs if permissions are, and what callables cost; else none.
    """
    rules = settings.required_for
    words = [rule for rule in rules if isinstance(rule, str)]
    return (
        _is_one_of(user, words)
        or _is_in_group(user, _named(words, "group:"))
        or _has_permission(user, _named(words, "perm:"))
        or any(bool(rule(user, request)) for rule in rules if callable(rule))
    )


def _is_one_of(user: AbstractBaseUser, words: list[str]) -> bool:
    is_staff, is_superuser = _rank(user)
    return "everyone" in words or ("staff" in words and is_staff) or ("superuser" in words and is_superuser)


def _rank(user: AbstractBaseUser) -> tuple[bool, bool]:
    return bool(getattr(user, "is_staff", False)), bool(getattr(user, "is_superuser", False))


def _named(words: list[str], prefix: str) -> list[str]:
    return [word.removeprefix(prefix) for word in words if word.startswith(prefix)]


def _is_in_group(user: AbstractBaseUser, names: list[str]) -> bool:
    groups = getattr(user, "groups", None)  # not every user model has any
    return bool(names) and groups is not None and bool(groups.filter(name__in=names).exists())


def _has_permission(user: AbstractBaseUser, names: list[str]) -> bool:
    asked = getattr(user, "has_perm", None)
    return asked is not None and any(asked(name) for name in names)


def owes_factor(user: AbstractBaseUser, request: HttpRequest) -> bool:
    """Whether ``user`` must pass a second factor: by the policy, or because they have one. At most one SELECT more.

    Somebody who has a factor always owes it, whatever the policy demands of people who have none; and so does a user
    whose factors staff reset, until they have a factor or another password.
    """
    return requires_factor(user, request) or reset_holds.owes(user)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a sign-in owes. ``until``: a factor is demanded, and enrolling may be put off until then."""

    owes: bool
    until: datetime | None = None


def judge(user: AbstractBaseUser, request: HttpRequest) -> Decision:
    """What ``user`` owes now. Starts the time to enroll where it is first demanded."""
    if not settings.grace_days:
        return Decision(owes_factor(user, request))
    if reset_holds.owes(user):
        return Decision(owes=True)
    if not requires_factor(user, request):
        return Decision(owes=False)
    until = grace.ends_at(user)
    return Decision(owes=until is None, until=until)


def policy_of(user: AbstractBaseUser) -> str:
    """What a decision for ``user`` rests on, as far as no query is needed: the policy, and the flags it may look at."""
    return f"{policy_digest()}{_rank(user)}"
