"""The evidence page of one recipient, and what can be done there. Whatever is done leaves an audit event."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import wraps
from typing import IO, TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..choices import AuditKind
from ..client import client_from
from ..conf import settings
from ..consent import opt_outs
from ..exceptions import KeysDoNotFit
from ..factors import erasure
from ..factors.resets import ResetRefused
from ..forms.consent import StaffOptOutForm
from ..forms.evidence import ErasureForm, KnownOptOutForm, ReasonForm, ReleaseForm
from ..ledger import audit, key_register
from ..ledger.addressees import Addressee
from ..ledger.export import bundle, evidence
from ..login import impersonation, step_up
from ..login.step_up import Proof
from ..models import ConsentEvent
from .evidence_content import EvidenceContent, compile_dossier
from .search import FINGERPRINT

if TYPE_CHECKING:
    from .base import ReadOnlyAdmin

    _Base = ReadOnlyAdmin
else:
    _Base = object

UNMASK, EXPORT, ERASE, RECORD, RELEASE = (
    f"twilio_verify.{codename}"
    for codename in ("view_unmasked", "export_evidence", "erase_evidence", "add_consentevent", "release_opt_out")
)
SPOOLED = 8 << 20
"""Bytes of a bundle that are kept in memory; a larger one goes through a temporary file."""


class EvidencePages(_Base):
    """Views of the consent event's admin, by a recipient's fingerprint."""

    def page_of(self, fingerprint: str, page: str = "evidence") -> str:
        """The address of a recipient's page."""
        name = f"admin:twilio_verify_consentevent_{page}"
        return reverse(name, args=[fingerprint], current_app=self.admin_site.name)

    def evidence_view(self, request: HttpRequest, fingerprint: str) -> HttpResponse:
        """Where consent stands, masked."""
        self._require(request)
        return self._page(request, compile_dossier(self._addressee(fingerprint)))

    def unmask_view(self, request: HttpRequest, fingerprint: str) -> HttpResponse:
        """The same page with the personal half. The audit event is written before anything is shown."""
        self._require(request, UNMASK)
        if request.method != "POST":
            return _posts_only()
        addressee = self._addressee(fingerprint)
        audit.record(AuditKind.UNMASKED, actor=_actor(request), fingerprint=addressee.fingerprint)
        return self._page(request, compile_dossier(addressee, unmasked=True))

    def export_view(self, request: HttpRequest, fingerprint: str) -> HttpResponse | FileResponse:
        """The bundle, for download."""
        self._require(request, EXPORT)
        if request.method != "POST":
            return _posts_only()
        addressee = self._addressee(fingerprint)
        form = ReasonForm(request.POST)
        if not form.is_valid():
            return self._page(request, compile_dossier(addressee), export_form=form)
        selection = _selection(addressee)
        try:
            stream = _bundled(selection, form.cleaned_data["reason"], _actor(request))
        except (ImproperlyConfigured, evidence.NothingToExport) as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(self.page_of(fingerprint))
        name = f"evidence-{addressee.fingerprint.partition('.')[2][:12]}.zip"
        return FileResponse(stream, as_attachment=True, filename=name, content_type="application/zip")

    def erase_view(self, request: HttpRequest, fingerprint: str) -> HttpResponse:
        """Ask for the reason, then erase the personal half."""
        self._require(request, ERASE)
        addressee = self._addressee(fingerprint)
        form = ErasureForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return self._form_page(request, addressee, form, "erase", _("Erase the personal half"))
        # SECURITY: as for a reset: a session that was left open must not take anybody's factors.
        if form.cleaned_data["factors"] and (
            elsewhere := step_up.demand(request, Proof(settings.step_up_max_age_seconds))
        ):
            return elsewhere
        try:
            erased = erasure.erase(
                addressee,
                reason=form.cleaned_data["reason"],
                actor=_actor(request),
                factors=form.cleaned_data["factors"],
                by=request.user,  # type: ignore[arg-type]
            )
        except (erasure.LegallyHeld, ResetRefused) as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(self.page_of(fingerprint))
        self.message_user(request, _told(erased), messages.SUCCESS)
        return HttpResponseRedirect(self.page_of(fingerprint))

    def opt_out_view(self, request: HttpRequest, fingerprint: str) -> HttpResponse:
        """Record a request to stop of this recipient, in its own words."""
        self._require(request, RECORD)
        addressee = self._addressee(fingerprint)
        if addressee.recipient is None:
            raise Http404  # erased: whoever asks again gives the number again
        data = request.POST if request.method == "POST" else None
        form = KnownOptOutForm(data, recipient=addressee.recipient)
        if not form.is_valid():
            return self._form_page(request, addressee, form, "opt_out", _("Record a request to stop"))
        self._record(request, form)
        return HttpResponseRedirect(self.page_of(fingerprint))

    def release_view(self, request: HttpRequest, fingerprint: str) -> HttpResponse:
        """Release opt-outs of this recipient, whose holder has asked for it."""
        self._require(request, RELEASE)
        addressee = self._addressee(fingerprint)
        if addressee.recipient is None:
            raise Http404  # erased: whoever asks gives the number again
        opted_out = opt_outs.opted_out_of(addressee.recipient)
        form = ReleaseForm(request.POST if request.method == "POST" else None, opted_out=opted_out)
        if not form.is_valid():
            return self._form_page(request, addressee, form, "release", _("Release an opt-out"))
        opt_outs.release(
            recipient=addressee.recipient,
            channels=form.cleaned_data["channels"],
            reason=form.cleaned_data["reason"],
            staff=request.user,  # type: ignore[arg-type]
            staff_label=_actor(request),
        )
        said = _("Released: users can agree to messages there again.")
        self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(self.page_of(fingerprint))

    def stop_view(self, request: HttpRequest) -> HttpResponse:
        """Record a request to stop of anybody, on record or not."""
        self._require(request, RECORD)
        form = StaffOptOutForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return self._form_page(request, None, form, "stop", _("Record a request to stop"))
        self._record(request, form)
        return HttpResponseRedirect(self.page_of(Addressee.of(form.cleaned_data["recipient"]).fingerprint))

    def answered(self, view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        """Return ``view``, which says why nothing was done where the fingerprint keys do not fit the register."""

        @wraps(view)
        def answer(request: HttpRequest, fingerprint: str = "") -> HttpResponseBase:
            arguments = [fingerprint] if fingerprint else []
            try:
                return view(request, *arguments)
            except KeysDoNotFit as error:
                self.message_user(request, str(error), messages.ERROR)
                page = "evidence" if fingerprint else "changelist"
                name = f"admin:twilio_verify_consentevent_{page}"
                return HttpResponseRedirect(reverse(name, args=arguments, current_app=self.admin_site.name))

        return answer

    def _record(self, request: HttpRequest, form: StaffOptOutForm) -> None:
        client = client_from(request)
        made = opt_outs.record_request(
            **form.request_values(),
            staff=request.user,  # type: ignore[arg-type]
            client=client,
            staff_label=_actor(request),
        )
        if made:
            self.message_user(request, _("Recorded: nothing is sent there any more."), messages.SUCCESS)
        else:
            self.message_user(request, _("It was stopped before: nothing new was recorded."), messages.INFO)

    # ------------------------------------------------------------------------------------------------ parts

    def _require(self, request: HttpRequest, permission: str = "") -> None:
        """SECURITY: each act has a permission of its own, and none is enough without the one to see the ledger."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if permission and not request.user.has_perm(permission):
            raise PermissionDenied

    def _addressee(self, fingerprint: str) -> Addressee:
        if not FINGERPRINT.fullmatch(fingerprint):
            raise Http404
        addressee = Addressee.by_fingerprint(fingerprint)
        if addressee.recipient is None and not self._is_on_record(fingerprint):
            raise Http404
        return addressee

    def _is_on_record(self, fingerprint: str) -> bool:
        found: bool = ConsentEvent.objects.filter(recipient_fingerprint=fingerprint).exists()
        return found

    def _page(self, request: HttpRequest, dossier: EvidenceContent, **more: Any) -> HttpResponse:
        # SECURITY: with keys that do not fit, holds and opt-outs are missing from the page.
        for misfit in key_register.problems():
            self.message_user(request, str(misfit.error), messages.ERROR)
        can = {name: request.user.has_perm(permission) for name, permission in _BUTTONS.items()}
        context = {
            "title": _("Evidence of %(name)s") % {"name": dossier.name},
            "dossier": dossier,
            "can": can,
            "urls": {name: self.page_of(dossier.addressee.fingerprints[-1], name) for name in _PAGES},
            "export_form": ReasonForm(auto_id="export_%s"),
            **more,
        }
        return self._render(request, "evidence", context)

    def _form_page(
        self, request: HttpRequest, addressee: Addressee | None, form: Any, page: str, title: str
    ) -> HttpResponse:
        context = {"title": title, "form": form, "page": page, "back": ""}
        if addressee is not None:
            recipient = addressee.recipient
            context["name"] = recipient.masked if recipient else _("an erased address")
            context["back"] = self.page_of(addressee.fingerprints[-1])
        return self._render(request, "act", context)

    def _render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        request.current_app = self.admin_site.name
        response = TemplateResponse(request, f"admin/twilio_verify/{template}.html", shared | context)
        # SECURITY: also of pages that show addresses; Django's never_cache says private, not "keep no copy".
        response["Cache-Control"] = "no-store, private"
        return response


_PAGES = ("evidence", "unmask", "export", "erase", "opt_out", "release")
_BUTTONS = {"unmask": UNMASK, "export": EXPORT, "erase": ERASE, "opt_out": RECORD, "release": RELEASE}


def _selection(addressee: Addressee) -> evidence.Selection:
    if addressee.recipient is None:  # erased: what is left still proves what happened
        return evidence.Selection(prints=addressee.fingerprints)
    return evidence.Selection(recipients=(addressee.recipient,))


def _bundled(selection: evidence.Selection, reason: str, actor: str) -> IO[bytes]:
    """The bundle as a file at its beginning. The caller closes it. Errors as ``bundle.write``."""
    stream: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=SPOOLED)  # noqa: SIM115  see above
    try:
        bundle.write(stream, selection, reason=reason, actor=actor)  # type: ignore[arg-type]
    except BaseException:  # an interrupt too: the file may lie on the disk, and holds evidence
        stream.close()
        raise
    stream.seek(0)
    return stream


def _posts_only() -> HttpResponse:
    return HttpResponseNotAllowed(["POST"])


def _actor(request: HttpRequest) -> str:
    return impersonation.actor_label(request)


def _told(erased: erasure.Erased) -> str:
    if not erased.anything:
        return _("Nothing was left to erase.")
    said = ngettext(
        "Erased: the personal half of %(count)d event.",
        "Erased: the personal half of %(count)d events.",
        erased.evidence,
    ) % {"count": erased.evidence}
    if erased.factors_left:
        said += " " + _("People still sign in by this address: their factors were kept.")
    if erased.open_left:
        said += " " + _("A code is under way: erase again in ten minutes.")
    return said
