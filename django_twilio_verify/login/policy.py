"""Who owes a second factor: the policy of the site, and whether a user has a factor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from ..conf import policy_digest, settings
from ..factors import reset_holds
from ..factors.policy import rank, requires_factor
from . import grace


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
    return f"{policy_digest()}{rank(user)}"
