"""Who owes a second factor, and what a person who owes one may open."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.contrib.auth import get_user, get_user_model, load_backend, login
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import resolve_url
from django.urls import Resolver404, ResolverMatch, resolve, reverse
from django.utils.functional import SimpleLazyObject, cached_property, empty
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _

from ..choices import Channel
from ..conf import policy_digest, settings
from ..flows import factors, grace, resetholds
from ..signals import factor_proved, login_deciding, second_factor_passed
from . import impersonation, othersessions, recent, session, trust
from .session import Settled

REDIRECT_FIELD_NAME = "next"
EXEMPT_ATTRIBUTE = "twilio_verify_exempt"
REMINDS = "_twilio_verify_reminds"
"""On a request in which time to enrol was given: the browser is to be told. Not on ``request.twilio_verify``, which a
sign-in by another middleware comes before."""
OWN_SESSION_REQUIRED = "own_session_required"
"""The code by which programs know that refusal."""
_DECIDED = "_twilio_verify_decided"


class Access:
    """``request.twilio_verify``: where this request's sign-in stands. Reads nothing until asked."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @property
    def is_pending(self) -> bool:
        """Whether a password was accepted in this session and the second factor is still owed."""
        self._decide()
        return session.pending(self._request) is not None

    @cached_property
    def pending_user(self) -> AbstractBaseUser | None:
        """The person whose sign-in waits. One SELECT; another one where sessions cannot be listed."""
        self._decide()
        user = session.pending_user(self._request)
        # SECURITY: always, and not now and then: a thief's sign-in must not go on to a code.
        if user is not None and othersessions.is_over(self._request, user):
            session.give_up(self._request)
            return None
        return user

    @property
    def is_verified(self) -> bool:
        """Whether the signed-in person passed a second factor in this session."""
        settled = self._settled
        return settled is not None and settled.passed

    @property
    def is_trusted(self) -> bool:
        """Whether the signed-in person was not asked for a second factor, because this browser is trusted.

        ``is_verified`` is false then: where a proof is asked for, this is none.
        """
        settled = self._settled
        return settled is not None and settled.trusted

    @property
    def verified_at(self) -> datetime | None:
        """When the signed-in person last passed a factor in this session; ``None`` if they have not."""
        settled = self._settled
        return datetime.fromtimestamp(settled.at, tz=UTC) if settled is not None and settled.passed else None

    def has_proved(self, *, max_age: int | None = None, channels: Iterable[str] = ()) -> bool:
        """Whether the signed-in person passed a factor in this session: at most ``max_age`` seconds ago, by one of
        ``channels``. Without either, ever and by any. Costs no query beyond those of ``request.user``.
        """
        settled = self._settled
        if settled is None or not settled.passed:
            return False
        wanted = {Channel.parse(one).value for one in channels}
        # SECURITY: a clock that was put back makes no proof younger than it is; but for a server that is a little slow.
        young = max_age is None or -session.CLOCK_SKEW <= time.time() - settled.at <= max_age
        return young and (not wanted or settled.channel in wanted)

    def has_fresh_proof(self) -> bool:
        """Whether the signed-in user passed a factor just now (``TWILIO_VERIFY_STEP_UP_AGE``) that is still there.

        What pages ask that change what protects the account. One SELECT if so.
        """
        settled = self._settled
        if settled is None or not self.has_proved(max_age=settings.step_up_age):
            return False
        # SECURITY: promise 3. Whoever has the phone that its owner has just removed enrolls none in its place.
        return factors.has_still(self._request.user, settled.channel, datetime.fromtimestamp(settled.at, tz=UTC))

    @property
    def grace_ends(self) -> datetime | None:
        """Until when the signed-in person, of whom a factor is demanded, may go on without; ``None`` for everybody
        else. Costs no query beyond those of ``request.user``.
        """
        self._decide()
        settled = session.settled(self._request)
        return datetime.fromtimestamp(settled.grace, tz=UTC) if settled is not None and settled.grace else None

    @property
    def is_impersonated(self) -> bool:
        """Whether somebody else acts as ``request.user``: another user, who is signed in to this session, or a staff
        member who signed in as that user (``web.impersonation.act_as``). ``is_verified`` is false then.
        """
        if not self._request.user.is_authenticated:
            return False
        if not self._is_of_session():
            return session.signed_in_id(self._request) is not None
        return session.is_impersonated(self._request)

    @property
    def impersonator_id(self) -> str | None:
        """Primary key, as text, of the user who acts as ``request.user``; ``None`` if nobody does or it is unknown."""
        if not self.is_impersonated:
            return None
        if not self._is_of_session():
            return session.signed_in_id(self._request)
        acting = session.impersonation(self._request)
        return acting.staff_id if acting is not None else None

    @property
    def acting_user(self) -> AbstractBaseUser | None:
        """The signed-in person, or else the one whose sign-in waits; ``None`` for a visitor."""
        user = self._request.user
        return user if user.is_authenticated else self.pending_user

    @property
    def _settled(self) -> Settled | None:
        """How this session's sign-in came through, if the request is one of its person."""
        settled = session.settled(self._request)
        # SECURITY: a session's proof is its person's, and not of somebody whom a token or a certificate names, or who
        # acts as that person.
        is_own = settled is not None and self._is_of_session() and not session.is_impersonated(self._request)
        return settled if is_own else None

    def _is_of_session(self) -> bool:
        user = self._request.user
        if isinstance(user, SimpleLazyObject) and user._wrapped is empty and othersessions.in_event_loop():
            return True  # it cannot be read here, and nobody has read it so far
        return session.is_signed_in(self._request, user)

    def _decide(self) -> None:
        """Have a sign-in that was never decided, or long ago, decided now, by reading ``request.user``."""
        request = self._request
        if session.signed_in_id(request) is not None and not session.has_passed(request):
            _ = request.user.is_authenticated


def requires_factor(user: AbstractBaseUser, request: HttpRequest) -> bool:
    """Whether ``TWILIO_VERIFY_REQUIRED_FOR`` demands a factor of ``user``, with or without one.

    One SELECT if groups are named, what ``has_perm`` costs if permissions are, and what callables cost; else none.
    """
    rules = settings.required_for
    words = [rule for rule in rules if isinstance(rule, str)]
    return (
        _is_one_of(user, words)
        or _is_in_group(user, _named(words, "group:"))
        or _has_permission(user, _named(words, "perm:"))
        or any(bool(rule(user, request)) for rule in rules if callable(rule))
    )


def _is_one_of(user: AbstractBaseUser, words: list[str]) -> bool:
    is_staff, is_superuser = _rank(user)
    return "everyone" in words or ("staff" in words and is_staff) or ("superuser" in words and is_superuser)


def _rank(user: AbstractBaseUser) -> tuple[bool, bool]:
    return bool(getattr(user, "is_staff", False)), bool(getattr(user, "is_superuser", False))


def _named(words: list[str], prefix: str) -> list[str]:
    return [word.removeprefix(prefix) for word in words if word.startswith(prefix)]


def _is_in_group(user: AbstractBaseUser, names: list[str]) -> bool:
    groups = getattr(user, "groups", None)  # not every user model has any
    return bool(names) and groups is not None and bool(groups.filter(name__in=names).exists())


def _has_permission(user: AbstractBaseUser, names: list[str]) -> bool:
    asked = getattr(user, "has_perm", None)
    return asked is not None and any(asked(name) for name in names)


def owes_factor(user: AbstractBaseUser, request: HttpRequest) -> bool:
    """Whether ``user`` must pass a second factor: by the policy, or because they have one. At most one SELECT more.

    Somebody who has a factor always owes it, whatever the policy demands of people who have none; and so does a user
    whose factors staff reset, until they have a factor or another password.
    """
    return requires_factor(user, request) or resetholds.owes(user)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a sign-in owes. ``until``: a factor is demanded, and enrolling may be put off until then."""

    owes: bool
    until: datetime | None = None


def judge(user: AbstractBaseUser, request: HttpRequest) -> Decision:
    """What ``user`` owes now. Starts the time to enrol where it is first demanded."""
    if not settings.grace_days:
        return Decision(owes_factor(user, request))
    if resetholds.owes(user):
        return Decision(owes=True)
    if not requires_factor(user, request):
        return Decision(owes=False)
    until = grace.ends_at(user)
    return Decision(owes=until is None, until=until)


def decide(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Decide for the sign-in of ``user`` that the session holds, and keep the answer there. True if it must wait.

    Called once a sign-in: by ``user_logged_in``, or by the middleware for sessions that came about without it. Called
    again by the middleware once an answer that nothing is owed no longer ``holds``.
    """
    settled = session.settled(request)
    if settled is not None and settled.passed:
        return False  # the same person typed the password again in a session that is through
    decision = judge(user, request)
    # SECURITY: excused is not passed: step-up pages and those of the factors still ask.
    excused = decision.owes and trust.excuses(request, user)
    if decision.owes and not excused:
        # SECURITY: promise 3. From here on the session holds no user.
        session.hold(request)
        return True
    _let_in(request, user, decision, settled)
    return False


def _let_in(request: HttpRequest, user: AbstractBaseUser, decision: Decision, before: Settled | None) -> None:
    """Note that the person goes on without a factor now: none is owed, or this browser is excused from it. ``before``:
    what was noted, which is not written again if it is the same.
    """
    # Without the fraction, so that the session's time is never longer than the record's.
    policy, until = policy_of(user), int(decision.until.timestamp()) if decision.until else 0
    if before is not None and (before.policy, before.grace, before.trusted) == (policy, until, decision.owes):
        # Not in the session: writing it now and then would make it live for ever, where it ends so long after a change.
        recent.note(request, before.user_id)
        return
    user_id = str(session.signed_in_id(request))
    session.settle(request, user_id, passed=False, policy=policy, grace=until, trusted=decision.owes)
    if until:
        setattr(request, REMINDS, True)


def policy_of(user: AbstractBaseUser) -> str:
    """What a decision for ``user`` rests on, as far as no query is needed: the policy, and the flags it may look at."""
    return f"{policy_digest()}{_rank(user)}"


def holds(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Whether it was decided for this session that ``user`` may be seen, and nothing speaks against it. No query.

    What is decided for somebody who owes nothing is not for ever: the policy, the person and the factors change. Of
    the first two this knows at once, of groups, permissions and factors after ``TWILIO_VERIFY_DECISION_AGE`` seconds.
    So it is of sessions that cannot be listed, whoever passed what, with having been ended elsewhere.
    """
    settled = session.settled(request)
    if settled is None:
        return False
    if settled.passed:
        return othersessions.is_listed(request) or _is_recent(request, settled)
    if settled.policy != policy_of(user) or 0 < settled.grace <= time.time():
        return False
    return _is_recent(request, settled)


def _is_recent(request: HttpRequest, settled: Settled) -> bool:
    now, age = time.time(), settings.decision_age
    # SECURITY: a clock that was put back makes no answer hold longer.
    return 0 <= now - settled.at < age or 0 <= now - recent.noted(request, settled.user_id) < age


def admits(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Whether ``user`` may be seen, asked anew, in a session for which nothing ``holds`` (any more).

    A session that was ended elsewhere is flushed. The rest as ``decide``.
    """
    acting = session.impersonation(request)
    if othersessions.is_over(request, user) or (acting is not None and impersonation.is_over(acting)):
        request.session.flush()
        return False
    if acting is not None:
        impersonation.remember(request, acting)
        return True
    if othersessions.is_listed(request) and session.is_undecided(request):
        # Of one that was signed in to without ``user_logged_in`` nothing says when that was. It is listed, and there.
        othersessions.begin(request, user)
    if decide(request, user):
        return False
    if session.has_passed(request):
        # Not before it was decided: where nothing is owed, what is noted lets people go on.
        recent.note(request, session.text_of(user))
    return True


def look_again(request: HttpRequest) -> None:
    """Make ``request`` anonymous, and flush its session, if that was ended elsewhere, whatever was found a while ago.

    For pages that open or change what protects an account. One SELECT where sessions cannot be listed, else none.
    """
    if othersessions.is_listed(request) or session.signed_in_id(request) is None:
        return
    user = request.user
    if not user.is_authenticated or not session.is_signed_in(request, user):
        return
    if othersessions.is_over(request, user):
        request.session.flush()
        forget_user(request)


def must_go_on(request: HttpRequest) -> None:
    """Raise Django's ``SessionInterrupted`` (400) if the login in the session of ``request`` would not go on by now.

    For what changes an account after the provider was asked. Two SELECTs, none for a visitor.

    SECURITY: the provider may take seconds. Who ended all sessions meanwhile, changed the password or deactivated the
    account has looked at the factors then, and would not find one that is added after it.
    """
    if session.pending(request) is not None:
        user: Any = session.pending_user(request)
    elif session.signed_in_id(request) is not None:
        user = get_user(request)
    else:
        return
    if user is None or not user.is_authenticated or othersessions.has_ended(request):
        request.session.flush()
        forget_user(request)
        raise SessionInterrupted("The session was ended elsewhere.")


def has_to_be_reminded(request: HttpRequest) -> bool:
    """Whether to show the person now that the time to enrol is running: once, and instead of a page only."""
    return (
        session.is_to_be_reminded(request)
        and request.method == "GET"
        and request.headers.get("Sec-Fetch-Dest", "document") == "document"
        and not wants_json(request)
        and not is_exempt(match_of(request))
        # Somebody who was deactivated is nobody here, and would be sent to and fro.
        and request.user.is_authenticated
    )


def reminder(request: HttpRequest) -> HttpResponseRedirect:
    """To the page that says how long the person has to enrol, and back."""
    return HttpResponseRedirect(with_next(reverse("twilio_verify:grace"), _wanted_page(request)))


def on_login(sender: Any, request: HttpRequest | None, user: AbstractBaseUser, **kwargs: Any) -> None:
    """Receiver of ``user_logged_in``: every door that signs somebody in by Django's ``login()`` comes through here."""
    if request is None or not signs_in(request, user) or request.__dict__.pop(_DECIDED, False):
        return
    if impersonation.take_over(request, user):
        return
    othersessions.begin(request, user)
    login_deciding.send(sender=type(user), request=request, user=user)
    if decide(request, user):
        forget_user(request)
    othersessions.watch(request)


def signs_in(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Return whether ``user`` was just signed in to the session of ``request``.

    SECURITY: views that give out tokens send ``user_logged_in`` too, without ``login()``, and in a browser whose
    session may be another user's. Such a signal decides and renews nothing: neither what the session owes, nor the
    cutoff that it comes after, which ``login()`` of the same user renews. ``login()`` always writes to the session.
    """
    return hasattr(request, "session") and session.is_signed_in(request, user) and request.session.modified


def held_back(request: HttpRequest | None, user: AbstractBaseUser) -> bool:
    """Decide before the receivers of ``user_logged_in`` hear of it. True if they are to hear of it later.

    Asked only with ``TWILIO_VERIFY_DEFER_LOGIN_SIGNAL``. ``complete`` tells them.
    """
    if request is None or not signs_in(request, user):
        return False
    on_login(type(user), request, user)
    if session.pending(request) is None:
        setattr(request, _DECIDED, True)  # on_login is a receiver too
        return False
    session.defer(request)
    return True


def forget_user(request: HttpRequest) -> None:
    """Make ``request`` anonymous to whatever reads it from here on."""
    remember_user(request, AnonymousUser())


def remember_user(request: HttpRequest, user: AbstractBaseUser | AnonymousUser) -> None:
    """Make ``request`` one of ``user`` to whatever reads it from here on."""

    async def auser() -> AbstractBaseUser | AnonymousUser:
        return user

    # Django keeps what it has read of the session under these two names.
    for name in ("_cached_user", "_acached_user"):
        if hasattr(request, name):
            setattr(request, name, user)
    request.user = user  # type: ignore[assignment]  # any user model
    request.auser = auser  # type: ignore[assignment]


def complete(request: HttpRequest, user: AbstractBaseUser, channel: str) -> None:
    """The second factor of the waiting sign-in has passed: sign ``user`` in.

    ``channel``: by which way. Raises ``LookupError`` if no sign-in of that person waits in this session, and Django's
    ``SessionInterrupted`` (400) if it was ended elsewhere in these moments.
    """
    waiting = session.pending(request)
    # SECURITY: never anybody but the person whose password was accepted in this session.
    if waiting is None or waiting.user_id != session.text_of(user):
        raise LookupError("No sign-in of this person is waiting in this session.")
    if othersessions.is_over(request, user):
        session.give_up(request)
        raise SessionInterrupted("The sign-in was ended elsewhere.")
    session.release(request, channel=channel)
    remember_user(request, user)
    trust.completed(request, user, channel)
    othersessions.watch(request)
    if waiting.deferred:
        setattr(request, _DECIDED, True)  # by this very factor: it is no login of its own
        user_logged_in.send(sender=type(user), request=request, user=user)
    second_factor_passed.send(sender=type(user), request=request, user=user, channel=channel)


def mark_passed(request: HttpRequest, channel: str) -> None:
    """The signed-in person has just proved a factor: this session is through.

    Raises Django's ``SessionInterrupted`` (400) if it was ended elsewhere in these moments.
    """
    user_id = session.signed_in_id(request)
    # SECURITY: nobody's session is through by the proof of somebody else, whom a token or a certificate names, or who
    # acts as its user.
    if user_id is not None and not acts_as_other(request):
        look_again(request)
        if session.signed_in_id(request) is None:
            raise SessionInterrupted("The session was ended elsewhere.")
        if not othersessions.is_listed(request):
            othersessions.watch(request)  # one that can be listed is deleted, and then cannot be saved
        session.settle(request, user_id, passed=True, channel=channel)
        factor_proved.send(sender=get_user_model(), request=request, user=request.user, channel=channel)


def sign_in(request: HttpRequest, user: AbstractBaseUser, channel: str) -> None:
    """Sign ``user`` in by a proof that is both factors in one, as that of an unlocked passkey, by way of ``channel``.

    By Django's ``login()``: a new session key, ``user_logged_in``; and then as a sign-in whose second factor passed.
    Raises ``PermissionDenied`` if no authentication backend of the site lets the account in, as an inactive one.
    """
    login(request, user, backend=_door_for(user))  # type: ignore[arg-type]  # any user model
    if session.pending(request) is not None:
        complete(request, user, channel)
        return
    # The site demands no second factor of this account, or this session had passed one.
    mark_passed(request, channel)
    second_factor_passed.send(sender=type(user), request=request, user=user, channel=channel)


def _door_for(user: AbstractBaseUser) -> str:
    """The first of ``AUTHENTICATION_BACKENDS`` that knows ``user``, and will at the next request."""
    for path in django_settings.AUTHENTICATION_BACKENDS:
        # SECURITY: asked, as at every request: Django's own answers nobody for accounts that are not active.
        if load_backend(path).get_user(user.pk) == user:
            return path
    raise PermissionDenied("No authentication backend signs this account in.")


def acts_as_other(request: HttpRequest) -> bool:
    """Return whether ``request.user`` is not the session's own user: impersonated, or named by a token, a certificate.

    Also while a login waits in a session that an impersonation package has signed in.
    """
    user = request.user
    if user.is_authenticated:
        return not session.is_signed_in(request, user) or session.is_impersonated(request)
    return session.pending(request) is not None and session.is_impersonated(request)


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


def outlive_factor(request: HttpRequest) -> None:
    """The signed-in user has removed a factor here, and need not prove another one to go on."""
    session.outlive_factor(request)


def forget_proof(request: HttpRequest) -> None:
    """The signed-in person has no factor any more: the session goes on as one that owed none."""
    user_id = session.signed_in_id(request)
    if user_id is not None:
        session.settle(request, user_id, passed=False)


def is_exempt(match: ResolverMatch | None) -> bool:
    """Whether a person who owes a factor may open what ``match`` leads to."""
    if match is None:
        return False
    return is_marked_exempt(match.func) or any(exempts(entry, match) for entry in settings.exempt_url_names)


def is_marked_exempt(view: Any) -> bool:
    """Whether ``view``, or the class that it was made of, is marked by ``verification_exempt``."""
    made_of = (view, getattr(view, "view_class", None), getattr(view, "cls", None))  # the last: of REST frameworks
    return any(getattr(one, EXEMPT_ATTRIBUTE, False) for one in made_of)


def exempts(entry: str, match: ResolverMatch) -> bool:
    """Whether an entry of ``TWILIO_VERIFY_EXEMPT_URL_NAMES`` is for ``match``: its name in any namespace, its name with
    namespaces, or a prefix of its route.
    """
    if entry.startswith("/"):
        return f"/{match.route.removeprefix('^')}".startswith(entry)
    return entry in (match.url_name, match.view_name)


def match_of(request: HttpRequest) -> ResolverMatch | None:
    """What the request's path leads to; ``None`` for nothing."""
    known = getattr(request, "resolver_match", None)
    if known is not None:
        return known  # type: ignore[no-any-return]
    try:
        return resolve(request.path_info, getattr(request, "urlconf", None))
    except Resolver404:
        return None


def challenge_response(request: HttpRequest) -> HttpResponse:
    """Send a person who owes a factor to the challenge: a redirect for pages, 401 with the address for programs."""
    url = with_next(reverse("twilio_verify:challenge"), _wanted_page(request))
    if wants_json(request):
        body = {
            "code": "second_factor_required",
            "detail": _("A second factor is required."),
            "url": url,
        }
        return JsonResponse(body, status=401)
    return HttpResponseRedirect(url)


def leads_to_login(location: str) -> bool:
    """Whether a redirect to ``location`` goes to a login page of this site."""
    path = urlsplit(location).path
    if not path:
        return False
    if path == urlsplit(resolve_url(django_settings.LOGIN_URL)).path:
        return True
    try:
        return resolve(path).url_name == "login"
    except Resolver404:
        return False


def _wanted_page(request: HttpRequest) -> str:
    """Where the person was going: the page itself, or the ``next`` of a login page. Nothing after a POST."""
    match = match_of(request)
    if match is not None and match.url_name == "login":
        return request.GET.get(REDIRECT_FIELD_NAME, "")
    return request.get_full_path() if request.method in ("GET", "HEAD") else ""


def wants_json(request: HttpRequest) -> bool:
    """Whether the answer goes to a program rather than to a person."""
    if request.headers.get("X-Requested-With") == "XMLHttpRequest":
        return True
    if request.content_type == "application/json":
        return True
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def safe_next(request: HttpRequest) -> str:
    """The ``next`` of the request if it leads to this site, else ``""``."""
    wanted = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME, "")
    # SECURITY: anything that leaves this host is dropped, as by Django's own login view.
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else ""


def success_url(request: HttpRequest) -> str:
    """Where the person goes now: their ``next``, or ``TWILIO_VERIFY_SUCCESS_URL``."""
    return safe_next(request) or resolve_url(settings.success_url)


def with_next(url: str, wanted: str) -> str:
    """``url`` that remembers where the person was going."""
    return f"{url}?{urlencode({REDIRECT_FIELD_NAME: wanted})}" if wanted else url
