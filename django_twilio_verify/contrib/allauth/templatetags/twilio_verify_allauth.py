"""``{% phone_consent %}``: what a person reads before giving a number, and the box."""

from __future__ import annotations

from typing import Any

from django import template

from ....choices import Channel
from ....forms import ConsentForm

register = template.Library()


@register.inclusion_tag("twilio_verify/_disclosure.html", takes_context=True)
def phone_consent(context: template.Context, channel: str = "sms") -> dict[str, Any]:
    """The disclosure of ``channel`` and its unticked box, inside the form that asks for a number. The box stays empty
    when the form is shown again: it is agreed to anew with every number.
    """
    form = ConsentForm(channel=Channel.parse(channel))
    return {"form": form, "request": context.get("request")}
