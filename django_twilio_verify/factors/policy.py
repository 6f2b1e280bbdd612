"""Of whom the site demands a factor."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from ..conf import settings


def requires_factor(user: AbstractBaseUser, request: HttpRequest | None) -> bool:
    """Whether ``TWILIO_VERIFY_REQUIRED_FOR`` demands a factor of ``user``, with or without one.

    Without a request, a rule that is a callable of the site's counts as one that demands it.

    One SELECT if groups are named, what ``has_perm`` costs if permissions are, and what callables cost; else none.
    """
    rules = settings.required_for
    words = [rule for rule in rules if isinstance(rule, str)]
    return (
        _is_one_of(user, words)
        or _is_in_group(user, _named(words, "group:"))
        or _has_permission(user, _named(words, "perm:"))
        or any(request is None or bool(rule(user, request)) for rule in rules if callable(rule))
    )


def _is_one_of(user: AbstractBaseUser, words: list[str]) -> bool:
    is_staff, is_superuser = rank(user)
    return "everyone" in words or ("staff" in words and is_staff) or ("superuser" in words and is_superuser)


def rank(user: AbstractBaseUser) -> tuple[bool, bool]:
    """Whether ``user`` is staff, and whether a superuser; neither for user models that know neither."""
    return bool(getattr(user, "is_staff", False)), bool(getattr(user, "is_superuser", False))


def _named(words: list[str], prefix: str) -> list[str]:
    return [word.removeprefix(prefix) for word in words if word.startswith(prefix)]


def _is_in_group(user: AbstractBaseUser, names: list[str]) -> bool:
    groups = getattr(user, "groups", None)  # not every user model has any
    return bool(names) and groups is not None and bool(groups.filter(name__in=names).exists())


def _has_permission(user: AbstractBaseUser, names: list[str]) -> bool:
    asked = getattr(user, "has_perm", None)
    return asked is not None and any(asked(name) for name in names)
