"""Signing a person out everywhere else; after a reset of their factors, everywhere.

Django keeps no list of a person's sessions. Those in the database (``db``, ``cached_db``) are read one after the other,
which costs the more, the more people are signed in: about a second for 30 000. Those of other engines cannot be found,
and what is in a signed cookie cannot be taken back: such a session is asked, now and then, whether it was ended
(``flows.cutoffs``). To ask in each request would cost every request a query; changing what ``get_session_auth_hash`` is
made of cannot be done without the password.
"""

from __future__ import annotations

from importlib import import_module
from math import ceil
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import router
from django.http import HttpRequest
from django.utils import timezone

from ..conf import settings
from ..flows import cutoffs, managing
from . import session

CHUNK = 1000
"""Sessions that are in memory at a time."""


def ends_at_once() -> bool:
    """Whether the site's sessions can be found: those of ``db``, ``cached_db`` and engines made from them.

    Others end when they are next asked, after ``minutes_to_end``.
    """
    return issubclass(_engine(), DatabaseStore)


def minutes_to_end() -> int:
    """Minutes until the last session of somebody who is signed out has ended (``TWILIO_VERIFY_DECISION_AGE``); 0 where
    all end at once, or with their next request.
    """
    return 0 if ends_at_once() else ceil(settings.decision_age / 60)


def end(request: HttpRequest, user: AbstractBaseUser) -> int:
    """End every session of ``user`` but this one, sign-ins that wait among them, and revoke all trusted browsers.

    How many sessions were ended at once: 0 where they cannot be found (``ends_at_once``); there each one ends with its
    first request after ``TWILIO_VERIFY_DECISION_AGE`` seconds, and before it does anything on our pages. To be called
    outside of transactions.
    """
    managing.distrust(user)
    if ends_at_once():
        return _end(user, own=request.session.session_key)
    mark, user_id = cutoffs.cut(user), session.text_of(user)
    if session.is_of(request.session, user_id):
        session.note_cutoff(request, user_id, mark)
    return 0


def end_after_reset(sender: Any, user: AbstractBaseUser, **kwargs: Any) -> None:
    """Receiver of ``factors_reset``: end every session of ``user``, at once where they can be found.

    SECURITY: a session that passed a factor which is gone now would stay one that passed; somebody else may have it.
    """
    if ends_at_once():
        _end(user, own=None)
    else:
        cutoffs.cut(user)


def is_listed(request: HttpRequest) -> bool:
    """Whether the session of ``request`` is one that ``end`` finds. It has not been ended, then, or would not be."""
    return isinstance(request.session, DatabaseStore)


def begin(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Note that the sign-in of ``user``, just written to the session, comes after all that was ended before.

    One SELECT where sessions cannot be found, else none.
    """
    mark = 0 if is_listed(request) else cutoffs.last(user)
    user_id = session.text_of(user)
    if mark in (0, session.cutoff(request, user_id)):
        return
    # SECURITY: of a password that is typed again in a session which was ended: what that one passed does not count.
    session.forget_settled(request)
    session.note_cutoff(request, user_id, mark)


def is_over(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Whether the session of ``request``, of ``user``, was ended elsewhere. One SELECT where sessions cannot be found.

    SECURITY: one that was signed in to without ``user_logged_in`` says nothing of when that was, and is over if any
    ever was ended.
    """
    mark = 0 if is_listed(request) else cutoffs.last(user)
    return mark not in (0, session.cutoff(request, session.text_of(user)))


def _end(user: AbstractBaseUser, *, own: str | None) -> int:
    found = _keys(session.text_of(user), own=own)
    for key in found:
        # By the engine and not by a DELETE: it may keep a copy in the cache.
        _engine()(key).delete(key)
    return len(found)


def _keys(user_id: str, *, own: str | None) -> list[str]:
    store = _engine()()
    model = store.get_model_class()
    rows = model.objects.using(router.db_for_write(model)).filter(expire_date__gt=timezone.now())
    pairs = rows.exclude(session_key=own).values_list("session_key", "session_data").iterator(chunk_size=CHUNK)
    return [key for key, data in pairs if session.is_of(store.decode(data), user_id)]


def _engine() -> Any:
    return import_module(django_settings.SESSION_ENGINE).SessionStore
