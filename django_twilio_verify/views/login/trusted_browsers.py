"""The browsers that a person is not asked on: which they are, and an end to each."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from ...login import trusted_browsers
from ...login.trust_cookie import tokens_of
from ..base import PersonMixin, TemplatePage


class BrowsersView(PersonMixin, TemplatePage):
    """The trusted browsers of the person, the asking one marked."""

    template_name = "twilio_verify/browsers.html"
    http_method_names = ("get", "head", "options")

    def get(self, request: HttpRequest) -> HttpResponse:
        browsers = trusted_browsers.listed(self.person, tokens_of(request))
        return self.render_to_response(self.get_context_data(browsers=browsers))


class _EndMixin(PersonMixin):
    """POST only, and without a fresh proof: it only asks for more proof later."""

    http_method_names = ("post", "options")

    @property
    def next(self) -> str:
        """Back to the list, also from a challenge on the way: these addresses answer no GET."""
        return super().next or reverse("twilio_verify:browsers")


class BrowserRevokeView(_EndMixin):
    """Trust one browser no more. 404 for another person's; a second press changes nothing."""

    def post(self, request: HttpRequest, browser: int) -> HttpResponse:
        if not trusted_browsers.revoke(self.person, browser, client=self.client):
            raise Http404
        return HttpResponseRedirect(self.next)


class BrowsersRevokeView(_EndMixin):
    """Trust no browser any more."""

    def post(self, request: HttpRequest) -> HttpResponse:
        trusted_browsers.revoke_all(self.person, client=self.client)
        return HttpResponseRedirect(self.next)
