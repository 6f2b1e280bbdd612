"""The page that asks for an address by one way, shows what is agreed to, and has a code sent there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    return named(word, settings.channels)


def named(word: str, channels: Iterable[Channel]) -> Channel:
    """The one of ``channels`` that a URL names; 404 for any other."""
    for channel in channels:
        if channel.value == word:
            return channel
    raise Http404


def button_of(channel: Channel) -> str:
    """What the button says that begins by ``channel`` (``_send.html``), in English, as consent is recorded with it."""
    return {Channel.SNA: "Start the check", Channel.AUTO: "Continue"}.get(channel, "Send code")


def act(button: str) -> Act:
    """The box under a disclosure was ticked and ``button`` pressed."""
    return Act(ConsentMedium.WEB, control="checkbox", default=False, final=True, button=str(button))


class AddressPage(FormPage):
    """``channel`` is the one that the URL names; without one in the URL, the first of ``ways``."""

    channel: Channel
    button = "Send code"

    def ways(self) -> Sequence[Channel]:
        """The ways that the URL may name."""
        return settings.channels

    def other_ways(self) -> Sequence[Channel]:
        """The ways that the page leads to; its own one may be among them."""
        return self.ways()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        ways = self.ways()
        if not ways:
            raise Http404
        self.channel = named(kwargs["channel"], ways) if "channel" in kwargs else ways[0]
        self.problem_field = recipient_field(self.channel)
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        kwargs = super().get_form_kwargs()
        kwargs["channel"] = self.channel
        if self.channel != Channel.EMAIL:
            kwargs["region"] = region_of(self.request)
        return kwargs

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        kwargs.setdefault("other_channels", [channel for channel in self.other_ways() if channel != self.channel])
        return super().get_context_data(channel=self.channel, **kwargs)
