"""A site's own views: they call the public functions of ``login`` behind the real middleware, sync and async."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from django_twilio_verify import login
from django_twilio_verify.decorators import verification_exempt
from tests.support.login import copied
from tests.support.site.urls import urlpatterns as of_the_test_site

Work = Callable[[Any, HttpRequest], Any]


@dataclass
class _Job:
    """What one request is to do, and what came of it."""

    work: Work
    verbs: Any
    value: Any = None
    error: BaseException | None = None


_jobs: dict[str, _Job] = {}
_numbers = itertools.count()


@verification_exempt
def own(request: HttpRequest) -> HttpResponse:
    job = _jobs[request.headers["X-Job"]]
    try:
        job.value = job.work(job.verbs, request)
    except BaseException as error:
        job.error = error
        raise
    return HttpResponse("done")


@verification_exempt
async def aown(request: HttpRequest) -> HttpResponse:
    job = _jobs[request.headers["X-Job"]]
    try:
        found = job.work(job.verbs, request)
        job.value = await found if inspect.isawaitable(found) else found
    except BaseException as error:
        job.error = error
        raise
    return HttpResponse("done")


urlpatterns = [*of_the_test_site, path("own/", own), path("aown/", aown)]


class _Verbs:
    def __init__(self, module: Any, prefix: str) -> None:
        self._module, self._prefix = module, prefix

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, self._prefix + name)


@dataclass
class OwnSite:
    """Calls functions of ``module`` in a view: ``site.check(browser, verification, code=…)``.

    Attributes:
        is_async: By the twins, in async views, on the async stack.
        response: What the browser got last.
        headers: Of each request.
        posted: The fields of each request.
    """

    is_async: bool
    module: Any = login
    response: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    posted: dict[str, str] = field(default_factory=dict)

    def do(self, browser: Client, work: Work) -> Any:
        """What ``work(verbs, request)`` returns or raises, in one request of ``browser``."""
        key = str(next(_numbers))
        job = _jobs[key] = _Job(work, _Verbs(self.module, "a" if self.is_async else ""))
        made: Any = (AsyncClient if self.is_async else Client)(raise_request_exception=False)
        made.cookies = browser.cookies
        headers = {"X-Job": key, "User-Agent": "Test/1", **self.headers}
        try:
            if self.is_async:
                self.response = async_to_sync(made.post)("/aown/", self.posted, headers=headers)
            else:
                self.response = made.post("/own/", self.posted, headers=headers)
        finally:
            del _jobs[key]
        if job.error is not None:
            raise job.error
        assert self.response.status_code == 200, (self.response.status_code, self.response.headers)
        return job.value

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def called(browser: Client, *args: Any, **named: Any) -> Any:
            return self.do(browser, lambda verbs, request: getattr(verbs, name)(request, *args, **named))

        return called


@pytest.fixture(params=["sync", "async"])
def site(request: Any, settings: Any) -> OwnSite:
    settings.ROOT_URLCONF = "tests.support.own_site"
    return OwnSite(request.param == "async")


def user_of(browser: Client) -> str:
    """Who is signed in, as the site's own code sees it."""
    if "sessionid" not in browser.cookies:
        return ""
    other = copied(browser)  # without our own cookie, which leads to the challenge
    return str(other.get("/whoami/").json()["user"])
