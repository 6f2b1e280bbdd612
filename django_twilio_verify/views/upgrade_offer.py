"""Whether a user who just signed in is offered a stronger factor, or asked to verify an old one again."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse

from ..choices import VERIFICATION_CHANNELS, FactorKind
from ..conf import settings
from ..factors import changes, own_factors
from ..login import redirects
from ..login.redirects import success_url
from ..models import Factor
from ..verifications import assurance, stale_factors
from .base import PageMixin
from .enroll_options import page_of

LATER = "later"
"""In the query of the page that proves a number again: the person was led there from a sign-in, and may say no."""


def after_sign_in(page: PageMixin, channel: str) -> HttpResponse:
    """On to where the person was going who has just signed in by ``channel``; by an old number that is to be proved
    again if there is one, or else by the offer of something stronger. Neither is a wall, and "not now" holds for both.
    """
    if (old := _to_prove_again(page)) is not None:
        wanted = redirects.with_next(reverse("twilio_verify:factor_reverify", args=[old.pk]), success_url(page.request))
        return HttpResponseRedirect(f"{wanted}&{LATER}=1")
    return page.go("offer") if is_offered(page, channel) else page.go_on()


def _to_prove_again(page: PageMixin) -> Factor | None:
    """A number or address of the person's that opens nothing until then. Up to two SELECTs, where the site has such a
    rule (``TWILIO_VERIFY_REVERIFY_DAYS``). None for programs, which follow where a person was going.
    """
    user = page.request.user
    if not settings.reverify_days or not user.is_authenticated or redirects.wants_json(page.request):
        return None
    old = [
        one
        for one in own_factors.confirmed(user)
        if stale_factors.is_stale(one) and changes.reverify_channel(user, one)
    ]
    return old[0] if old and not assurance.said_not_now(user) else None


def is_offered(page: PageMixin, channel: str) -> bool:
    """Whether the person who has just signed in by ``channel`` is to be asked. Two SELECTs, after a code alone.

    Not for programs: they follow where a person was going.
    """
    if (
        not settings.suggest_stronger_factor
        or not page.request.user.is_authenticated
        or redirects.wants_json(page.request)
    ):
        return False
    return offered(page, channel) is not None


def offered(page: PageMixin, channel: str) -> FactorKind | None:
    """What to offer after ``channel``, if there is a page for it."""
    person = page.access.acting_user
    if channel not in VERIFICATION_CHANNELS or person is None:
        return None
    kind = assurance.offer(person, channel, client=page.viewer)
    return kind if kind is not None and page_of(kind, person, page.viewer) else None
