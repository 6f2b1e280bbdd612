"""What all pages share: they are never cached, never sent from, and never inside a transaction of the site's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView
from django.views.generic.base import ContextMixin, TemplateResponseMixin, View

from .. import factors
from ..choices import LINK_CHANNELS
from ..client import Client, client_from, visitor_from
from ..conf import settings
from ..core.client import ClientInfo
from ..exceptions import TwilioVerifyError
from ..forms.recipients import DisclosureForm, show_error
from ..login import enforcement, own_session, redirects, reset_notice, session, trust_cookie
from ..login.state import LoginState
from ..verifications.results import Started
from .errors import Refusal

if TYPE_CHECKING:
    _FormView = FormView[forms.Form]
else:
    _FormView = FormView

"""The ways that bring a link to open. ``auto`` counts until it is known to have brought a message instead."""


class PageMixin(ContextMixin, View):
    """Base of all pages of this app."""

    twilio_verify_exempt = True
    closed_to_others: bool = True
    """Whether the page answers 403 to somebody who acts as the user (``access.acts_as_other``)."""
    http_method_names: Sequence[str] = ("get", "post", "head", "options")

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        """The view. Marked here and not on ``dispatch``, which subclasses override and so would lose the marks."""
        view = super().as_view(**initkwargs)
        if cls.closed_to_others:
            view = _for_own_sessions(view)
        view = sensitive_post_parameters("code", "number", "email", "credential")(view)
        # Flows own their transactions and call the provider between them: ATOMIC_REQUESTS must not wrap these views.
        # People who wait are not signed in: LoginRequiredMiddleware would send them round in circles. Each page asks
        # itself.
        return login_not_required(transaction.non_atomic_requests(view))

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        # SECURITY: before any page asks who it is: a session that was ended elsewhere proves, adds and removes nothing.
        enforcement.look_once(request)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        if request.method == "POST":
            trust_cookie.keep_wish(request, response)
        patch_cache_control(response, no_store=True, private=True)
        # Not "no-referrer": browsers then post with "Origin: null", which Django's CSRF check refuses.
        response.headers.setdefault("Referrer-Policy", "same-origin")
        return response

    @property
    def access(self) -> LoginState:
        return self.request.twilio_verify  # type: ignore[attr-defined, no-any-return]

    @property
    def client(self) -> Client:
        return client_from(self.request)

    @property
    def viewer(self) -> ClientInfo:
        """The same without the session, which a page that is only shown does not begin: for what router and policy say
        of it.
        """
        return visitor_from(self.request)

    @property
    def next(self) -> str:
        """Where the person was going, if that is on this site."""
        return redirects.safe_next(self.request)

    def url(self, name: str, *args: object) -> str:
        """The address of one of our pages, which remembers where the person was going."""
        return redirects.with_next(reverse(f"twilio_verify:{name}", args=args), self.next)

    def go(self, name: str, *args: object) -> HttpResponseRedirect:
        return HttpResponseRedirect(self.url(name, *args))

    def go_on(self) -> HttpResponseRedirect:
        """On to where the person was going."""
        return HttpResponseRedirect(redirects.success_url(self.request))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            next=self.next, program=settings.program, is_pending=self.access.is_pending, **kwargs
        )


def _for_own_sessions(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Have ``view`` refuse whoever acts as the user."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # SECURITY: staff who act as a user would enroll their own phone, and the ledger would say that the user agreed.
        # By default and around all of the view, so that no page can forget to ask.
        if own_session.acts_as_other(request):
            return own_session.refuse_other(request)
        return view(request, *args, **kwargs)

    return guarded


class TemplatePage(TemplateResponseMixin, PageMixin):
    """A page without a form of its own."""


class FormPage(PageMixin, _FormView):
    """A page with a form: a problem is told beside its field, with what was typed kept."""

    def refuse(self, form: forms.Form, error: TwilioVerifyError) -> HttpResponse:
        """Show the form again with ``error``, and the status that says the same to programs."""
        beside = form.is_bound and self._tell(form, error)
        refusal = Refusal.of(error, otherwise=200)
        problem = "" if beside else error.user_message
        context = self.get_context_data(form=form, problem=problem, retry_at=refusal.retry_at)
        return refusal.tell(self.render_to_response(context, status=refusal.status))

    def _tell(self, form: forms.Form, error: TwilioVerifyError) -> bool:
        """Whether ``error`` is told beside a field of ``form``."""
        if getattr(form, "failure", None) is error:
            return True
        if isinstance(form, DisclosureForm):
            show_error(form, error)
            return True
        return False


class PersonMixin(PageMixin):
    """Pages about a person's factors: for who is signed in, or signs in and has no factor yet.

    SECURITY: a person who has a factor must have passed one in this session. Otherwise a password alone could enroll
    another phone, which would be a way round every factor.
    """

    person: AbstractBaseUser

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        person = self.access.acting_user
        if person is None:
            return redirect_to_login(request.get_full_path(), str(django_settings.LOGIN_URL))
        self.person = person
        if must_prove_first(self, person):
            return self.must_prove()
        if must_open_link_first(self, person):
            return reset_notice.held_response(request)
        return super().dispatch(request, *args, **kwargs)

    def must_prove(self) -> HttpResponse:
        """The answer to a person who has a factor and has not passed one in this session."""
        return demand_proof(self)


class StepUpMixin(PersonMixin):
    """Pages that change what protects an account: the proof must be recent (``STEP_UP_MAX_AGE_SECONDS``)."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        person = self.access.acting_user
        if person is not None and is_proof_old(self, person):
            # What was posted is not kept: the person comes back to the page that asks for it.
            wanted = request.get_full_path() if request.method in ("GET", "HEAD") else self.next
            return HttpResponseRedirect(redirects.with_next(reverse("twilio_verify:step_up"), wanted))
        return super().dispatch(request, *args, **kwargs)


def must_prove_first(page: PageMixin, person: AbstractBaseUser) -> bool:
    """Whether ``person`` has a factor and has not passed one in this session."""
    return not page.access.is_verified and factors.has_factor(person)


def must_open_link_first(page: PageMixin, person: AbstractBaseUser) -> bool:
    """Whether staff reset the factors of ``person``, and this session has not opened the mailed link."""
    # SECURITY: the password of before enrolls nothing: somebody else may know it.
    return not page.access.is_verified and not reset_notice.may_enroll(page.request, person)


def is_proof_old(page: PageMixin, person: AbstractBaseUser) -> bool:
    """Whether ``person`` has a factor and passed one in this session, but too long ago to change what protects the
    account (``STEP_UP_MAX_AGE_SECONDS``), or by a factor that was removed since.
    """
    return page.access.is_verified and not page.access.may_change_factors() and factors.has_factor(person)


def missing_proof(page: PageMixin, person: AbstractBaseUser, back: str) -> HttpResponse | None:
    """The way to the proof that ``person`` has to give before a factor is added, and from there to ``back``.

    ``None`` if it was given in this session and is fresh, or if there is no factor that could be asked for.
    """
    if must_prove_first(page, person):
        return demand_proof(page, back)
    if is_proof_old(page, person):
        return HttpResponseRedirect(redirects.with_next(reverse("twilio_verify:step_up"), back))
    return None


def demand_proof(page: PageMixin, back: str = "") -> HttpResponseRedirect:
    """To the challenge, and then to ``back``, or here. A sign-in that was through without a factor waits for it from
    now on; one that this browser was excused from is asked to step up, which proves as much, and goes on beside it.
    Raises ``PermissionDenied`` as ``must_be_in_session``.
    """
    wanted = back or page.next or page.request.path
    if page.access.is_trusted_browser and not page.access.is_pending:
        return HttpResponseRedirect(redirects.with_next(reverse("twilio_verify:step_up"), wanted))
    if not page.access.is_pending:
        must_be_in_session(page.request)
        session.hold(page.request)
        enforcement.forget_user(page.request)
        if back:  # of something that was begun in the session as it was, which cannot go on in this one
            wanted = page.next or reverse("twilio_verify:factors")
    return HttpResponseRedirect(redirects.with_next(reverse("twilio_verify:challenge"), wanted))


def must_be_in_session(request: HttpRequest) -> None:
    """Raise ``PermissionDenied`` for somebody whom a token or a certificate names: a proof is kept in the session of
    the person who gives it, and there is none.
    """
    if not session.is_signed_in(request, request.user):
        raise PermissionDenied(_("Sign in first."))


def code_url(page: PageMixin, started: Started) -> str:
    """The page that asks for what ``started`` sent: a code, or that a link be opened."""
    name = "link" if started.verification.channel in LINK_CHANNELS else "code"
    return page.url(name, started.verification.pk)
