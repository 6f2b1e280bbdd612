"""Beginning anew where a verification is over, or its factor is gone: by which page, so that its gate is passed again.

SECURITY: what is over is never sent again from its own page. The page that asked for it in the first place does that,
and asks once more who it is, whether the factor is there, and for agreement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.http import HttpResponseRedirect
from django.urls import reverse

from ...choices import Channel, Purpose
from ...factors import own_factors
from ...login import redirects, session
from ...models import Factor, Verification
from ...verifications.options import Payment
from ..base import PageMixin

GONE = "gone"
"""In the query of a page that offers sign-in methods: the one that was to be used is not there any more."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Where a press of "Send a new code" leads. ``posts``: to a page that sends at once where it may, or that shows its
    form with ``fields`` filled in; else a link.
    """

    url: str
    posts: bool = False
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)  # SECURITY: may hold a whole number


def restart_of(page: PageMixin, verification: Verification) -> Restart:
    """How what ``verification`` was for is begun anew."""
    if verification.purpose == Purpose.ENROLL:
        return _enrollment(page, verification)
    if verification.purpose == Purpose.VERIFY:
        return Restart(_stop_url(page, verification) or redirects.success_url(page.request))
    factor = _factor_of(page, verification)
    if factor is None:
        return Restart(_choice_url(page, verification))
    return Restart(_way_url(page, verification, factor), posts=True)


def choose_again(page: PageMixin, verification: Verification) -> HttpResponseRedirect:
    """To the page that offers what is left, which says why."""
    return HttpResponseRedirect(with_gone(_choice_url(page, verification)))


def with_gone(url: str) -> str:
    """``url``, of a page that offers sign-in methods, which then says that the chosen one is gone."""
    return f"{url}{'&' if '?' in url else '?'}{GONE}=1"


def _choice_url(page: PageMixin, verification: Verification) -> str:
    if verification.purpose == Purpose.LOGIN:
        return page.url("challenge")
    if verification.purpose == Purpose.STEP_UP:
        return page.url("step_up")
    if verification.purpose == Purpose.PAYMENT and (key := _payment_key(page, verification)):
        return page.url("payment", key)
    return redirects.success_url(page.request)


def _way_url(page: PageMixin, verification: Verification, factor: Factor) -> str:
    if verification.purpose == Purpose.LOGIN:
        return page.url("challenge_channel", factor.pk, verification.channel)
    if verification.purpose == Purpose.STEP_UP:
        return page.url("step_up_channel", factor.pk, verification.channel)
    if key := _payment_key(page, verification):
        return page.url("payment_channel", key, factor.pk, verification.channel)
    return redirects.success_url(page.request)


def _factor_of(page: PageMixin, verification: Verification) -> Factor | None:
    """The factor of the acting user that ``verification`` was sent to, if it is there. One SELECT."""
    user = page.access.acting_user
    if user is None or (verification.purpose == Purpose.PAYMENT and not _payment_key(page, verification)):
        return None
    return next((one for one in own_factors.confirmed(user) if one.pk == verification.factor_id), None)


def _payment_key(page: PageMixin, verification: Verification) -> str:
    return session.payment_key(page.request, Payment(verification.amount, verification.payee))


def _enrollment(page: PageMixin, verification: Verification) -> Restart:
    replaced = session.replaced_by(page.request, verification.pk)
    if replaced is not None:
        url = page.url("factor_replace_channel", replaced, verification.channel)
    elif verification.factor_id is not None:
        return Restart(page.url("factor_reverify", verification.factor_id), posts=True)
    else:
        url = page.url("enroll_recipient", verification.channel)
    name = "email" if verification.channel == Channel.EMAIL else "number"
    # The page of another way takes the number along like this: it shows its form, and nothing is agreed to yet.
    return Restart(url, posts=True, fields={"otherwise": "1", name: verification.recipient_value})


def _stop_url(page: PageMixin, verification: Verification) -> str:
    """The page that stops messages, if that is what the code was for."""
    if page.next != reverse("twilio_verify:stop_proved", args=[verification.pk]):
        return ""
    return reverse("twilio_verify:stop_channel", args=[verification.channel])
