"""Resets of people's factors: asked for here, and canceled."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..conf import settings
from ..factors import resets
from ..factors.resets import Requested, ResetRefused
from ..forms.resets import ResetForm
from ..login import ended_sessions, impersonation, step_up
from ..login.step_up import Proof
from ..models import FactorReset
from .base import PersonAdmin, name_of_user

PERMISSION = "twilio_verify.reset_factors"


@admin.register(FactorReset)
class FactorResetAdmin(PersonAdmin):
    """What was asked for, by whom and why, and what became of it."""

    list_display = ("requested_at", "user", "state", "due_at", "requested_by", "reason")
    list_select_related = ("user", "requested_by")
    ordering = ("-pk",)
    actions = ("cancel_resets", "send_links")
    fields = (
        "user",
        "state",
        "reason",
        "requested_by",
        "by_command",
        "requested_at",
        "due_at",
        "canceled_at",
        "done_at",
        "link_expires_at",
        "link_opened_at",
        "released_at",
    )
    readonly_fields = fields

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return (name_of_user(),)

    def get_urls(self) -> list[URLPattern]:
        request_url = path(
            "of/<path:user_id>/",
            self.admin_site.admin_view(self.request_view),
            name="twilio_verify_factorreset_request",
        )
        return [request_url, *super().get_urls()]

    def has_reset_permission(self, request: HttpRequest) -> bool:
        """Whoever may see them and has the permission of its own."""
        return self.has_view_permission(request) and request.user.has_perm(PERMISSION)

    @admin.display(description=gettext_lazy("state"))
    def state(self, reset: FactorReset) -> str:
        if reset.done_at is not None:
            return _("done, waits for the link") if reset.held_for_id is not None else _("done")
        return _("canceled") if reset.canceled_at is not None else _("under way")

    @admin.action(description=gettext_lazy("Cancel the selected resets"), permissions=["reset"])
    def cancel_resets(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Those that are under way. The people are told."""
        actor = impersonation.actor_label(request)
        count = sum(resets.cancel(pk, actor=actor) for pk in queryset.order_by("pk").values_list("pk", flat=True))
        said = ngettext("%(count)d reset was canceled.", "%(count)d resets were canceled.", count) % {"count": count}
        self.message_user(request, said, messages.SUCCESS if count else messages.WARNING)

    @admin.action(description=gettext_lazy("Send a new enrollment link"), permissions=["reset"])
    def send_links(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Mail a new link to the user, or show it once where the account has no address. One user at a time."""
        # What was posted is a choice in a list, which the member of staff makes again: it is not kept.
        if (elsewhere := _demanded(request)) is not None:
            return elsewhere
        chosen = list(queryset.values_list("pk", flat=True)[:2])
        if len(chosen) != 1:
            self.message_user(request, _("Choose one reset."), messages.ERROR)
            return None
        try:
            sent = resets.send_link(chosen[0], by=request.user)  # type: ignore[arg-type]
        except ResetRefused as error:
            self.message_user(request, str(error), messages.ERROR)
            return None
        if sent.link:
            return self._link_page(request, sent.reset, sent.link)
        said = _("A new link was mailed.") if sent.letters else _("The link could not be mailed. Try again later.")
        self.message_user(request, said, messages.SUCCESS if sent.letters else messages.ERROR)
        return None

    def _link_page(self, request: HttpRequest, reset: FactorReset, link: str) -> HttpResponse:
        """SECURITY: in this answer alone: messages of Django's may travel in a cookie and wait in a session."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Enrollment link for %(name)s") % {"name": reset.user.get_username()},
            "link": link,
            "reset": reset,
        }
        request.current_app = self.admin_site.name
        response = TemplateResponse(request, "admin/twilio_verify/reset_link.html", context)
        patch_cache_control(response, no_store=True, private=True)
        return response

    def request_view(self, request: HttpRequest, user_id: str) -> HttpResponse:
        """Ask for a fresh proof and the reason, then for the reset."""
        if not self.has_reset_permission(request):
            raise PermissionDenied
        # SECURITY: a session that was left open must not reset anybody.
        if (elsewhere := _demanded(request)) is not None:
            return elsewhere
        person = _person(user_id)
        form = ResetForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            return self._request(request, person, form.cleaned_data["reason"])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": _("Reset the factors of %(name)s") % {"name": person.get_username()},
            "person": person,
            "form": form,
            "delay": settings.reset_delay_hours,
            "back": reverse("admin:twilio_verify_factor_changelist", current_app=self.admin_site.name),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/twilio_verify/reset.html", context)

    def _request(self, request: HttpRequest, person: AbstractBaseUser, reason: str) -> HttpResponse:
        try:
            requested = resets.request(
                person,
                reason=reason,
                by=request.user,  # type: ignore[arg-type]
                link=_link(request, "reset_cancel"),
                enroll_link=_link(request, "reset_enroll"),
            )
        except ResetRefused as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            if requested.link:
                return self._link_page(request, requested.reset, requested.link)
            self._tell(request, requested)
        url = reverse("admin:twilio_verify_factorreset_changelist", current_app=self.admin_site.name)
        return HttpResponseRedirect(url)

    def _tell(self, request: HttpRequest, requested: Requested) -> None:
        said = _("The factors are removed.") if requested.done else _("The factors will be removed when it is due.")
        self.message_user(request, said, messages.SUCCESS)
        minutes = ended_sessions.minutes_to_end()
        if minutes:
            said = ngettext(
                "Open sessions of the person end with the factors, within %(count)d minute.",
                "Open sessions of the person end with the factors, within %(count)d minutes.",
                minutes,
            )
            self.message_user(request, said % {"count": minutes}, messages.INFO)
        if not requested.letters:
            self.message_user(request, _("No mail went out: tell the person by another way."), messages.WARNING)


def _link(request: HttpRequest, name: str) -> Any:
    return lambda token: request.build_absolute_uri(reverse(f"twilio_verify:{name}", args=[token]))


def _demanded(request: HttpRequest) -> HttpResponse | None:
    """The way to a fresh proof of the member of staff; ``None`` if it was given."""
    return step_up.demand(request, Proof.of_change())


def _person(user_id: str) -> AbstractBaseUser:
    try:
        person = get_user_model()._default_manager.filter(pk=user_id).first()
    except (ValueError, ValidationError, OverflowError):  # no primary key of that kind
        person = None
    if person is None:
        raise Http404
    return person
