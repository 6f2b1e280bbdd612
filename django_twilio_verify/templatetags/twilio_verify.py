"""What our templates, and a site's versions of them, are written with: ``{% load twilio_verify %}``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.forms import BaseForm, BoundField
from django.template import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString

from ..choices import AttemptStatus, Channel
from ..conf import settings
from ..factors.own_factors import ChallengeOption
from ..forms.recipients import DisclosureForm
from ..login import passkey_button, trust_cookie
from ..login.redirects import with_next
from ..models import Verification

register = template.Library()


@register.simple_tag(takes_context=True)
def next_url(context: Context, name: str, *args: object) -> str:
    """Return the URL of page ``name``, with ``next`` of the context: ``{% next_url "twilio_verify:enroll" %}``."""
    return with_next(reverse(name, args=args), str(context.get("next") or ""))


@register.simple_tag(takes_context=True)
def nonce_attr(context: Context) -> SafeString:
    """`` nonce="…"`` where the site's policy has a nonce (Django 6 or django-csp), nothing elsewhere.

    Written right behind another attribute. Django's own ``csp_nonce_attr`` is not in 5.2 and knows no django-csp.
    """
    nonce = context.get("csp_nonce")
    request = context.get("request")
    for name in ("csp_nonce", "_csp_nonce"):  # django-csp's; Django 6's, without its context processor
        # Not "or": a lazy nonce that nobody has used yet is false.
        if nonce is None:
            nonce = getattr(request, name, None)
    return SafeString() if nonce is None else format_html(' nonce="{}"', str(nonce))


@register.simple_tag(takes_context=True)
def is_fresh(context: Context, max_age: int | None = None, channels: str = "") -> bool:
    """Whether who is signed in passed a factor in this session, at most ``max_age`` seconds ago and by one of
    ``channels`` (with spaces between): ``{% is_fresh max_age=600 as fresh %}``. Costs no query.
    """
    access = getattr(context.get("request"), "twilio_verify", None)
    return access is not None and bool(access.is_fresh(max_age=max_age, channels=channels.split()))


@register.simple_tag(takes_context=True)
def trust_offer(context: Context) -> trust_cookie.Offer | None:
    """What ``_trust.html`` offers the person whose sign-in waits: ``days`` and ``wished``; or nothing."""
    request = getattr(context, "request", None) or context.get("request")
    return trust_cookie.offer(request) if request is not None else None


@register.simple_tag
def program_name() -> str:
    """The name in ``TWILIO_VERIFY_PROGRAM``: for a site's own pages, whose context has no ``program``."""
    return str(settings.program.name)


@register.inclusion_tag("twilio_verify/_field.html")
def verify_field(field: BoundField, hint: str = "") -> dict[str, Any]:
    """Label, hint, error and control of one field; ``hint`` in place of the field's help text."""
    said = hint or field.help_text
    described_by = [f"{field.auto_id}_hint"] if said else []
    if field.errors:
        described_by.append(f"{field.auto_id}_error")
    attrs: dict[str, str | bool] = {"aria-describedby": " ".join(described_by)} if described_by else {}
    return {
        "field": field,
        "hint": said,
        "control": field.as_widget(attrs=attrs),
        "is_checkbox": getattr(field.field.widget, "input_type", "") == "checkbox",
    }


@register.inclusion_tag("twilio_verify/_disclosure.html")
def consent_box(form: DisclosureForm, screen: str = "") -> dict[str, Any]:
    """The disclosure of ``form``, its links and its empty box: ``{% consent_box form %}``.

    Args:
        form: A ``PhoneForm``, ``EmailForm`` or ``ConsentForm``. Two on one page need a ``prefix`` each.
        screen: The id of a heading of the page that names the form, where a page shows several.

    Raises:
        TypeError: ``form`` is something else. An empty place instead would ask for consent to words that nobody read.
    """
    if not isinstance(form, DisclosureForm):
        raise TypeError(f"consent_box takes a form with a consent box, such as PhoneForm, not {type(form).__name__}.")
    return {"form": form, "screen": screen}


@register.inclusion_tag("twilio_verify/_field.html")
def code_field(form: BaseForm, hint: str = "") -> dict[str, Any]:
    """Label, hint, error and control for the code of ``form``: ``{% code_field form %}``. Phones offer to fill it in.

    Raises:
        TypeError: ``form`` has no field ``code``.
    """
    if not isinstance(form, BaseForm) or "code" not in form.fields:
        raise TypeError(f"code_field takes a form with a field 'code', such as CodeForm, not {type(form).__name__}.")
    return verify_field(form["code"], hint)


@register.inclusion_tag("twilio_verify/_passkey_sign_in.html", takes_context=True)
def passkey_sign_in(context: Context, autofill: bool = True, is_part: bool = True) -> dict[str, Any]:
    """The button "Sign in with a passkey", for the site's login page; nothing where the backend of the page keeps no
    passkeys.

    ``autofill``: offer passkeys also where the browser fills in names, if a field of the page says
    ``autocomplete="username webauthn"``. ``is_part``: the page has other ways too, so that the button is left out where
    the browser cannot. ``next``: of the context, as login views give it, or of the request.
    """
    return {
        "autofill": autofill and is_part,
        "csrf_token": context.get("csrf_token"),
        "is_offered": passkey_button.is_offered(context.get("request")),
        "is_part": is_part,
        "next": passkey_button.wanted_page(context, context.get("request")),
        "nonce": nonce_attr(context),
    }


@register.filter
def channel_name(channel: str) -> str:
    """What a list of ways calls ``channel``, as "Phone call"."""
    return _word(channel, "name") or channel


@register.filter
def option_label(way: ChallengeOption) -> SafeString:
    """What a list calls ``way`` (with ``channel`` and ``factor``), as "Phone call, ••• ••61" or "Approve on Pixel"."""
    factor = way.factor
    if factor.recipient_value:
        return format_html('{}, <span dir="ltr">{}</span>', channel_name(way.channel), factor.masked)
    named = _word(way.channel, "named")
    if named and factor.masked:
        return SafeString(conditional_escape(named) % {"name": format_html("<bdi>{}</bdi>", factor.masked)})
    return format_html("{}", channel_name(way.channel))


@register.filter
def channel_instead(channel: str) -> str:
    """What a button says that goes on by ``channel``, as "Call me instead"."""
    return _word(channel, "instead") or channel


@register.filter
def channel_plural(channel: str) -> str:
    """What is sent by ``channel``, as "Phone calls"."""
    return _word(channel, "plural") or channel


@register.filter
def channel_hint(channel: str) -> str:
    """What comes of choosing ``channel``, in a sentence."""
    return _word(channel, "hint")


@register.filter
def is_unconfirmed(verification: Verification) -> bool:
    """Whether the provider never confirmed the latest send: the code may come or not. One SELECT."""
    attempts = verification.attempts.order_by("-pk").values_list("status", flat=True)
    return bool(attempts.first() == AttemptStatus.PERHAPS_SENT)


@register.filter
def clock(moment: datetime, precision: str = "minute") -> SafeString:
    """``moment`` as a clock time with its zone; ``|clock:"second"`` for times that are near.

    The zone is always named, because the server's need not be the reader's; our script puts the reader's in its place.
    """
    here = timezone.localtime(moment)
    text = date_format(here, "H:i:s" if precision == "second" else "TIME_FORMAT")
    if here.date() != timezone.localdate():
        text = f"{date_format(here, 'MONTH_DAY_FORMAT')}, {text}"
    return format_html(
        '<time datetime="{}" data-tv-clock="{}">{} {}</time>',
        here.isoformat(timespec="seconds"),
        precision,
        text,
        here.tzname(),
    )


@register.filter
def seconds_until(moment: datetime | None) -> int:
    """Whole seconds from now until ``moment``; 0 if that is past or never."""
    left = (moment - timezone.now()).total_seconds() if moment is not None else 0
    return max(0, round(left))


def _word(channel: str, kind: str) -> str:
    """Return one of the words of the table of channels, ``""`` for what is no channel or has no such word."""
    return str(getattr(Channel(channel).row, kind)) if channel in Channel.values else ""
