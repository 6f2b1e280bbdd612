"""Offering something stronger to a person who has just signed in by a code, and taking no for an answer."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from ..choices import VERIFICATION_CHANNELS, FactorKind
from ..conf import settings
from ..flows import assurance, factors, managing, stale
from ..models import Factor
from ..web import access, session
from ..web.access import success_url
from .base import PageMixin, PersonMixin, TemplatePage
from .enrolways import page_of

LATER = "later"
"""In the query of the page that proves a number again: the person was led there from a sign-in, and may say no."""


class OfferView(PersonMixin, TemplatePage):
    """ "Use a passkey next time?" POST means: not now."""

    template_name = "twilio_verify/offer.html"
    kind: FactorKind | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if self.access.is_pending:
            return self.go("challenge")
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        settled = session.settled(request)
        self.kind = offered(self, settled.channel) if settled is not None and settled.channel else None
        if self.kind is None:
            return self.go_on()
        return self.render_to_response(self.get_context_data())

    def post(self, request: HttpRequest) -> HttpResponse:
        assurance.not_now(self.person)
        return self.go_on()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        name = page_of(self.kind, self.person, self.viewer) if self.kind is not None else ""
        return super().get_context_data(
            kind=self.kind, add_url=self.url(name) if name else "", go_on_url=access.success_url(self.request), **kwargs
        )


def after_sign_in(page: PageMixin, channel: str) -> HttpResponse:
    """On to where the person was going who has just signed in by ``channel``; by an old number that is to be proved
    again if there is one, or else by the offer of something stronger. Neither is a wall, and "not now" holds for both.
    """
    if (old := _to_prove_again(page)) is not None:
        wanted = access.with_next(reverse("twilio_verify:factor_reprove", args=[old.pk]), success_url(page.request))
        return HttpResponseRedirect(f"{wanted}&{LATER}=1")
    return page.go("offer") if is_offered(page, channel) else page.go_on()


def _to_prove_again(page: PageMixin) -> Factor | None:
    """A number or address of the person's that opens nothing until then. Up to two SELECTs, where the site has such a
    rule (``TWILIO_VERIFY_REPROVE_DAYS``). None for programs, which follow where a person was going.
    """
    user = page.request.user
    if not settings.reprove_days or not user.is_authenticated or access.wants_json(page.request):
        return None
    old = [one for one in factors.held(user) if stale.is_stale(one) and managing.reprove_way(user, one)]
    return old[0] if old and not assurance.said_not_now(user) else None


def is_offered(page: PageMixin, channel: str) -> bool:
    """Whether the person who has just signed in by ``channel`` is to be asked. Two SELECTs, after a code alone.

    Not for programs: they follow where a person was going.
    """
    if not settings.offer_stronger or not page.request.user.is_authenticated or access.wants_json(page.request):
        return False
    return offered(page, channel) is not None


def offered(page: PageMixin, channel: str) -> FactorKind | None:
    """What to offer after ``channel``, if there is a page for it."""
    person = page.access.acting_user
    if channel not in VERIFICATION_CHANNELS or person is None:
        return None
    kind = assurance.offer(person, channel, client=page.viewer)
    return kind if kind is not None and page_of(kind, person, page.viewer) else None
