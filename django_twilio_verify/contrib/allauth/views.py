"""For headless clients: the words to show above the box."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from ...choices import Channel
from ...decorators import verification_exempt
from .adapter import disclosure


@verification_exempt
@login_not_required
@require_safe
def phone_disclosure(request: HttpRequest) -> JsonResponse:
    """The disclosure of text messages as JSON, in the language of the request. Its ``digest`` goes back as
    ``disclosure``, with ``consent: true``, beside ``phone``.
    """
    return JsonResponse(disclosure(Channel.SMS))
