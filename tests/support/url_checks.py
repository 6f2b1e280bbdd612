"""Views for the checks of login views."""

from __future__ import annotations

from typing import Any

from django.core import checks as django_checks
from django.urls import include, path


class Plain:
    """A site's urls."""

    def __init__(self, *patterns: Any, ours: bool = True) -> None:
        self.urlpatterns = [*patterns]
        if ours:
            self.urlpatterns.append(path("verify/", include("django_twilio_verify.urls")))


def ids(messages: list[django_checks.CheckMessage]) -> list[str]:
    return [str(one.id).removeprefix("twilio_verify.") for one in messages]
