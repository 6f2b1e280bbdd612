"""The one page of the tutorial."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse


@login_required
def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello {request.user.get_username()}. Second factor: {request.twilio_verify.is_verified}")
