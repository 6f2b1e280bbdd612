"""How often, and how long between two sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from . import readers
from .setting import Problem


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One rule of ``TWILIO_VERIFY_LIMITS``.

    ``default``: events allowed within ``window`` seconds. ``exact``: never more than that in any window, whatever its
    edges; the price is a wait of up to two windows. Without it the events of the window before fade out evenly.
    """

    default: int
    window: int
    exact: bool = False


_TEN_MINUTES, _HOUR, _DAY = 600, 3600, 86400

LIMIT_RULES: Mapping[str, LimitRule] = {
    # Sends: of an account or a visitor's session, and of an address. Owners and claimants have counters of their own.
    "user_hour": LimitRule(10, _HOUR),
    "ip_hour": LimitRule(60, _HOUR),
    # Sends to a number or inbox for the account that has confirmed it.
    "owner_hour": LimitRule(10, _HOUR),
    "owner_day": LimitRule(20, _DAY),
    # Everybody else's sends to a number or inbox, and their answers, all claimants together.
    "claim_ten_minutes": LimitRule(2, _TEN_MINUTES, exact=True),
    "claim_hour": LimitRule(4, _HOUR),
    "claim_day": LimitRule(8, _DAY),
    "claim_check_ten_minutes": LimitRule(3, _TEN_MINUTES, exact=True),
    "claim_check_hour": LimitRule(6, _HOUR),
    "claim_check_day": LimitRule(12, _DAY),
    # Sign-ins with the right password from networks where the account has never passed a second factor.
    "login_network_hour": LimitRule(5, _HOUR),
    "login_new_hour": LimitRule(6, _HOUR),
    "login_new_day": LimitRule(12, _DAY),
    "login_app_hour": LimitRule(10, _HOUR),
    "recovery_hour": LimitRule(10, _HOUR),
    "recovery_network_hour": LimitRule(100, _HOUR),
    "push_unanswered": LimitRule(3, _TEN_MINUTES, exact=True),
    "push_unanswered_day": LimitRule(10, _DAY, exact=True),
    "passkey_ip_hour": LimitRule(300, _HOUR),
    # Consents recorded, whether anything is sent or not.
    "consent_user_day": LimitRule(30, _DAY),
    "consent_ip_day": LimitRule(300, _DAY),
    "consent_recipient_day": LimitRule(30, _DAY),
    # Codes to a number that opted out, counted for all its users together: it may have a new holder.
    "reopen_day": LimitRule(2, _DAY, exact=True),
}
DEFAULT_LIMITS: Mapping[str, int] = {name: rule.default for name, rule in LIMIT_RULES.items()}
RESEND_COOLDOWN_SECONDS = (30, 40, 60, 90, 120)
"""Seconds to wait after the first, second … send, unless the site says otherwise: as in Twilio's own retry sample."""
LONGEST_SPACING = 600
"""Seconds that may be waited between two sends: a code lives no longer."""


def limits(name: str, value: Any) -> Mapping[str, int]:
    """Read the site's numbers, over the defaults."""
    return {**DEFAULT_LIMITS, **readers.mapping(name, value)}


def problems_of_limits(name: str, given: Mapping[str, int]) -> Iterator[Problem]:
    """Find rules that there are not, and numbers that are none."""
    for rule, limit in given.items():
        if rule not in DEFAULT_LIMITS:
            yield Problem(f"{name}: unknown rule {rule!r}.", f"Rules: {', '.join(sorted(DEFAULT_LIMITS))}.")
        elif not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
            yield Problem(f"{name}[{rule!r}] must be a whole number, 0 or more.")


def spacing(name: str, value: Any) -> tuple[int, ...]:
    """Read the seconds between sends: at least one, in bounds, none shorter than the one before."""
    given = readers.several(name, value)
    seconds = tuple(readers.seconds(f"{name}[{place}]", one) for place, one in enumerate(given))
    in_bounds = all(1 <= one <= LONGEST_SPACING for one in seconds)
    if not seconds or not in_bounds or any(later < sooner for sooner, later in pairwise(seconds)):
        raise ImproperlyConfigured(
            f"{name} must be a list of seconds from 1 to {LONGEST_SPACING}, none shorter than the one before."
        )
    return seconds
