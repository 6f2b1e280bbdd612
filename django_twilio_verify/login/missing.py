"""What a request lacks to be served, as programs are told: one JSON body for views, middleware and REST framework."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from django.http import JsonResponse
from django.utils.translation import gettext_lazy as _

MissingCode = Literal[
    "login_required",
    "second_factor_required",
    "enrollment_required",
    "verification_required",
]

DETAILS = {
    "login_required": _("Sign in first."),
    "second_factor_required": _("A second factor is required."),
    "enrollment_required": _("Set up two-step verification first."),
    "verification_required": _("Confirm it's you first."),
}


def describe(
    code: MissingCode, *, url: str = "", max_age: int | None = None, channels: Iterable[str] = ()
) -> dict[str, Any]:
    """Describe what is missing as JSON.

    Args:
        code: ``login_required``: nobody is signed in. ``second_factor_required``: a login is pending.
            ``enrollment_required``: the user has no factor. ``verification_required``: the user has one, and has not
            verified it in this session, or not lately, or not by one of ``channels``.
        url: Where a person does it, if there is such a page.
        max_age: How many seconds ago at most a factor has to have been verified, where that is asked for.
        channels: By which channels, where that is asked for.
    """
    body: dict[str, Any] = {"code": code, "detail": str(DETAILS[code])}
    if url:
        body["url"] = url
    if max_age is not None:
        body["max_age"] = max_age
    if names := [str(one) for one in channels]:
        body["channels"] = names
    return body


def response(code: MissingCode, *, url: str, max_age: int | None = None, channels: Iterable[str] = ()) -> JsonResponse:
    """Answer a program with 401 and what ``describe`` says."""
    return JsonResponse(describe(code, url=url, max_age=max_age, channels=channels), status=401)
