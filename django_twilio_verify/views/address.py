"""The page that asks for an address by one way, shows what is agreed to, and has a code sent there."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from ..choices import Channel, ConsentMedium
from ..conf import settings
from ..flows.consent import Act
from ..forms.recipients import recipient_field
from ..web.client import region_of
from .base import FormPage


def offered(word: str) -> Channel:
    """The offered channel that a URL names; 404 for any other."""
    for channel in settings.channels:
        if channel.value == word:
            return channel
    raise Http404


def act(button: str) -> Act:
    """The box under a disclosure was ticked and ``button`` pressed."""
    return Act(ConsentMedium.WEB, control="checkbox", default=False, final=True, button=str(button))


class AddressPage(FormPage):
    """``channel`` is the one that the URL names; without one in the URL, the first that is offered."""

    channel: Channel
    button = "Send code"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.channel = offered(kwargs["channel"]) if "channel" in kwargs else _first_channel()
        self.problem_field = recipient_field(self.channel)
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        kwargs = super().get_form_kwargs()
        kwargs["channel"] = self.channel
        if self.channel != Channel.EMAIL:
            kwargs["region"] = region_of(self.request)
        return kwargs

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        others = [channel for channel in settings.channels if channel != self.channel]
        return super().get_context_data(channel=self.channel, other_channels=others, **kwargs)


def _first_channel() -> Channel:
    """The way that the page begins with; 404 while the site offers none."""
    if not settings.channels:
        raise Http404
    return settings.channels[0]
