"""What the button "Sign in with a passkey" on a login page is made with."""

from __future__ import annotations

from django.http import HttpRequest
from django.template import Context

from ..choices import FactorKind
from ..client import visitor_from
from ..conf import settings
from ..factors import passkey_login
from .redirects import REDIRECT_FIELD_NAME


def is_offered(request: HttpRequest | None) -> bool:
    """Whether people can have passkeys at the page of ``request``; anywhere, where a page is rendered without one."""
    client = visitor_from(request) if request is not None else None
    return FactorKind.PASSKEY in settings.device_factors and passkey_login.are_kept(client=client)


def wanted_page(context: Context, request: HttpRequest | None) -> str:
    """Where the person was going, by a login page's ``context`` (Django's, allauth's, our own) or else by ``request``.
    The latter as it was given: who leads there has to look whether it is on this site.
    """
    for name in (REDIRECT_FIELD_NAME, "redirect_field_value"):
        if name in context:
            # SECURITY: also where it is empty: the view has looked, and what it dropped is not taken up again.
            return str(context[name] or "")
    return request.GET.get(REDIRECT_FIELD_NAME, "") if request is not None else ""
