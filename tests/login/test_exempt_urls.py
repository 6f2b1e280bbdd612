"""Which URLs an entry of ``TWILIO_VERIFY_EXEMPT_URLS`` opens: by whole segments of the route."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch, include, path, re_path, resolve
from django.urls.resolvers import URLPattern, URLResolver

from django_twilio_verify.login import redirects


def view(request: HttpRequest, **kwargs: str) -> HttpResponse:
    return HttpResponse("page")


class Site:
    """A URLconf of these patterns."""

    def __init__(self, *urlpatterns: URLPattern | URLResolver) -> None:
        self.urlpatterns = urlpatterns


def found(pattern: URLPattern | URLResolver, address: str) -> ResolverMatch:
    return resolve(address, Site(pattern))  # type: ignore[arg-type]


NESTED = path("api/", include([path("v1/status/", view), path("", view)]))


@pytest.mark.parametrize(
    ("pattern", "address", "entry", "is_open"),
    [
        (path("api/", view), "/api/", "/api", True),
        (path("api/", view), "/api/", "/api/", True),
        (path("api", view), "/api", "/api", True),
        (path("api", view), "/api", "/api/", False),
        (path("apiadmin/", view), "/apiadmin/", "/api", False),
        (path("apiadmin", view), "/apiadmin", "/api", False),
        (path("api-admin/", view), "/api-admin/", "/api", False),
        (path("api/<int:number>/", view), "/api/7/", "/api", True),
        (path("api/<int:number>/", view), "/api/7/", "/api/<int:number>", True),
        (path("api/<int:number>/", view), "/api/7/", "/api/7", False),
        (NESTED, "/api/v1/status/", "/api/v1", True),
        (NESTED, "/api/v1/status/", "/api/v", False),
        (NESTED, "/api/", "/api", True),
        (path("API/", view), "/API/", "/api", False),
        # By the route, not by the path: a shop that calls itself "api" opens nothing.
        (path("<slug:shop>/account/", view), "/api/account/", "/api", False),
        (path("<path:page>", view), "/api/help", "/api", False),
        (path("<path:page>", view), "/api/../account/", "/api", False),
        (path("", view), "/", "/", False),
        # Regular expressions that lead to other paths than they begin with.
        (re_path(r"^api/$", view), "/api/", "/api/", True),
        (re_path(r"^api$", view), "/api", "/api", True),
        (re_path(r"^api/(?P<page>a|b)/$", view), "/api/a/", "/api", True),
        (re_path(r"^api/?$", view), "/api/", "/api", False),
        (re_path(r"^api/?admin/$", view), "/apiadmin/", "/api", False),
        (re_path(r"^api/*admin/$", view), "/apiadmin/", "/api/", False),
        (re_path(r"^api(admin)?/$", view), "/apiadmin/", "/api", False),
        (re_path(r"^api/|admin/$", view), "/admin/", "/api", False),
        (re_path(r"^api/(a\)|b)/|admin/$", view), "/admin/", "/api", False),
    ],
)
def test_a_prefix_opens_whole_segments_of_a_route(
    pattern: URLPattern | URLResolver, address: str, entry: str, is_open: bool
) -> None:
    assert redirects.exempts(entry, found(pattern, address)) is is_open


@pytest.mark.parametrize("address", ["/%61pi/", "/api%2Fadmin/", "/api;x/"])
def test_a_path_is_compared_as_django_decoded_it(client, settings, address) -> None:
    """What the server decodes leads to a route or to none; the entry is never compared with the raw path."""
    settings.ROOT_URLCONF = Site(path("api/", view), path("<path:rest>", view, name="rest"))
    settings.MIDDLEWARE = []
    match = client.get(address).resolver_match
    assert redirects.exempts("/api", match) is (match.route == "api/")
    assert (match.route == "api/") is (address == "/%61pi/")
