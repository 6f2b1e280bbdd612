"""The doors of the site, as far as they can be told by walking its urls: which are guarded, which are not, and why.

What cannot be told this way: a view that takes a person from elsewhere than ``request.user``, a websocket, a second
site on the same sessions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth.middleware import AuthenticationMiddleware, RemoteUserMiddleware
from django.contrib.auth.signals import user_logged_in
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.urls import NoReverseMatch, ResolverMatch, reverse
from django.utils.module_loading import import_string

from ..conf import is_exemption, settings
from ..login import redirects
from ..login.guarded_urls import hands_out_tokens, matches, unguarded_authentication
from ..login.login_signal import LoginSignal
from .configuration import MIDDLEWARE

_IMPERSONATE = "impersonate.middleware.ImpersonateMiddleware"
_ADMIN_DOORS = ("login", "logout", "jsi18n")
"""Urls of the admin that show nothing of it."""

SHOWN = 3
"""Urls that a message names."""


def register_all() -> None:
    """Register the checks of this file under the tags that ``manage.py check --tag`` knows."""
    checks = (check_pages, check_signal, check_order, check_impersonation, check_exemptions, check_ways_round)
    for check in checks:
        register(check, Tags.security)
    register(check_policy_names, Tags.database)


def check_pages(**kwargs: Any) -> list[CheckMessage]:
    """E070: our pages are not among the site's urls, so that people who wait have nowhere to go."""
    if not _site():
        return []
    try:
        reverse("twilio_verify:challenge")
    except NoReverseMatch:
        return [
            Error(
                "The pages of django_twilio_verify are not in ROOT_URLCONF.",
                hint='Add path("verify/", include("django_twilio_verify.urls")).',
                id="twilio_verify.E070",
            )
        ]
    return []


def check_signal(**kwargs: Any) -> list[CheckMessage]:
    """E071: ``TWILIO_VERIFY_DEFER_LOGIN_SIGNAL`` is on, and another app has made ``user_logged_in`` its own."""
    if not settings.defer_login_signal or isinstance(user_logged_in, LoginSignal):
        return []
    return [
        Error(
            "TWILIO_VERIFY_DEFER_LOGIN_SIGNAL: user_logged_in has been replaced by another app.",
            hint="It is sent with the password. Name django_twilio_verify before that app in INSTALLED_APPS.",
            id="twilio_verify.E071",
        )
    ]


def check_order(**kwargs: Any) -> list[CheckMessage]:
    """W075: a middleware after ours sets ``request.user`` anew, past the guard."""
    order = [(path, _imported(path)) for path in django_settings.MIDDLEWARE]
    ours = next((place for place, (_, one) in enumerate(order) if _is(one, import_string(MIDDLEWARE))), len(order))
    if not any(_is(one, AuthenticationMiddleware) for _, one in order[:ours]):
        return []  # E002 speaks
    return [
        Warning(
            f"MIDDLEWARE: {path} stands after {MIDDLEWARE} and sets request.user anew.",
            hint="Put it before: what it sets is not guarded.",
            id="twilio_verify.W075",
        )
        for path, one in order[ours + 1 :]
        if _is(one, AuthenticationMiddleware, RemoteUserMiddleware)
    ]


def check_impersonation(**kwargs: Any) -> list[CheckMessage]:
    """W079: django-impersonate acts for a session that our middleware has not judged yet."""
    order = [path for path in django_settings.MIDDLEWARE if path in (_IMPERSONATE, MIDDLEWARE)]
    if order != [_IMPERSONATE, MIDDLEWARE]:
        return []
    return [
        Warning(
            f"MIDDLEWARE: {_IMPERSONATE} stands before {MIDDLEWARE}.",
            hint="Put it after: otherwise a session that owes a second factor, or was ended, can act as another user.",
            id="twilio_verify.W079",
        )
    ]


def check_exemptions(**kwargs: Any) -> list[CheckMessage]:
    """W070: an exemption of the settings fits no url. W071: a view of the admin is exempt. W072: a name without its
    namespace exempts urls of several.
    """
    try:
        always, *entries = settings.exempt_urls
    except ImproperlyConfigured:
        return []  # E019 speaks
    if not all(is_exemption(entry) for entry in entries):
        return []
    every = [match for match in _site() if "twilio_verify" not in match.app_names]
    if not every:
        return []
    return [message for entry in entries if entry != always for message in _check_entry(entry, every)] + _check_admin(
        every
    )


def _check_entry(entry: str, every: list[ResolverMatch]) -> list[CheckMessage]:
    found = [match for match in every if redirects.exempts(entry, match)]
    if not found:
        return [
            Warning(
                f"TWILIO_VERIFY_EXEMPT_URLS: {entry!r} fits no url.",
                hint='Write a name, "namespace:name" or the beginning of a route, as "/help/".',
                id="twilio_verify.W070",
            )
        ]
    names = sorted({match.view_name for match in found})
    if entry.startswith("/") or len(names) < 2:
        return []
    return [
        Warning(
            f"TWILIO_VERIFY_EXEMPT_URLS: {entry!r} exempts {_list(names)}.",
            hint="Write the one that you mean with its namespace.",
            id="twilio_verify.W072",
        )
    ]


def _check_admin(every: list[ResolverMatch]) -> list[CheckMessage]:
    exempt = [
        match.view_name
        for match in every
        if "admin" in match.app_names and match.url_name not in _ADMIN_DOORS and redirects.is_exempt(match)
    ]
    if not exempt:
        return []
    return [
        Warning(
            f"TWILIO_VERIFY_EXEMPT_URLS or verification_exempt opens the admin: {_list(exempt)}.",
            hint="Nobody needs these before the second factor.",
            id="twilio_verify.W071",
        )
    ]


def check_ways_round(**kwargs: Any) -> list[CheckMessage]:
    """W073: views of a REST framework let people in by something else than the session, without asking for a factor.
    W074: a view hands out tokens for a password.
    """
    every = _site()
    by_class: dict[str, list[str]] = {}
    for match in every:
        for name in unguarded_authentication(match):
            by_class.setdefault(name, []).append(f"/{match.route}")
    found: list[CheckMessage] = [
        Warning(
            f"{name} lets people in without a second factor: {_list(routes)}.",
            hint="Let these views know the session only, or take the guard of django_twilio_verify.",
            id="twilio_verify.W073",
        )
        for name, routes in by_class.items()
    ]
    return found + [
        Warning(
            f"/{match.route} hands out tokens for a password ({name}), without a second factor.",
            hint="Give tokens to people whose session has passed one.",
            id="twilio_verify.W074",
        )
        for match in every
        if (name := hands_out_tokens(match))
    ]


def check_policy_names(databases: Iterable[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """W076: ``TWILIO_VERIFY_REQUIRED_FOR`` names a group or a permission that does not exist, so nobody is meant."""
    try:
        words = [rule for rule in settings.required_for if isinstance(rule, str)]
    except ImproperlyConfigured:
        return []  # E003 speaks
    if not apps.is_installed("django.contrib.auth"):
        return []
    return [
        Warning(
            f"TWILIO_VERIFY_REQUIRED_FOR: {word!r} does not exist, so that nobody is meant by it.",
            hint="Look at its spelling.",
            id="twilio_verify.W076",
        )
        for word in words
        if word.partition(":")[1] and not _exists(word, databases or ())
    ]


def _exists(word: str, databases: Iterable[str]) -> bool:
    kind, _, name = word.partition(":")
    model: Any = apps.get_model("auth", "Group" if kind == "group" else "Permission")
    database = router.db_for_read(model)
    if database not in databases or model._meta.db_table not in connections[database].introspection.table_names():
        return True  # not asked, or not made yet
    app, _, codename = name.partition(".")
    wanted = {"name": name} if kind == "group" else {"content_type__app_label": app, "codename": codename}
    return bool(model.objects.using(database).filter(**wanted).exists())


def _site() -> list[ResolverMatch]:
    """The urls, or none where they cannot be walked: what is wrong with them is told by Django's own check."""
    if not getattr(django_settings, "ROOT_URLCONF", None):
        return []
    try:
        return matches()
    except Exception:  # whatever importing somebody else's views raises
        return []


def _list(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _imported(path: Any) -> Any:
    try:
        return import_string(path)
    except Exception:  # a typo, or a module that cannot be imported: Django itself reports it when it starts
        return None


def _is(one: Any, *classes: type) -> bool:
    return isinstance(one, type) and issubclass(one, classes)
