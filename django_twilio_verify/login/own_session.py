"""Refuse those who act as another user, where only that user may act."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

from . import session
from .redirects import wants_json

OWN_SESSION_REQUIRED = "own_session_required"
"""The code by which programs know that refusal."""


def acts_as_other(request: HttpRequest) -> bool:
    """Return whether ``request.user`` is not the session's own user: impersonated, or named by a token, a certificate.

    Also while a login waits in a session that an impersonation package has signed in.
    """
    user = request.user
    if user.is_authenticated:
        return not session.is_signed_in(request, user) or session.is_impersonated(request)
    return session.pending_login(request) is not None and session.is_impersonated(request)


def refuse_other(request: HttpRequest) -> HttpResponse:
    """The answer to who ``acts_as_other``, where only the user may act: 403, as JSON for programs.

    Raises ``PermissionDenied`` for pages, so that the site's own page of that status is shown.
    """
    detail = _("Only the user can do this, in a session of their own.")
    if wants_json(request):
        return JsonResponse({"code": OWN_SESSION_REQUIRED, "detail": detail}, status=403)
    raise PermissionDenied(detail)


def must_be_own_session(request: HttpRequest) -> None:
    """Raise ``PermissionDenied`` for who ``acts_as_other``. For pages of the site's own that consent or enroll."""
    if acts_as_other(request):
        raise PermissionDenied(_("Only the user can do this, in a session of their own."))
