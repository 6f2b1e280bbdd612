"""Signing a person out everywhere else; after a reset of their factors, everywhere.

Django keeps no list of a person's sessions. Those in the database (``db``, ``cached_db``) are read one after the other,
which costs the more, the more people are signed in: about a second for 30 000. Those of other engines cannot be found,
and what is in a signed cookie cannot be taken back: such a session is asked, now and then, whether it was ended
(``session_cutoffs``). To ask in each request would cost every request a query; changing what
``get_session_auth_hash`` is made of cannot be done without the password.

A login that is being completed while all sessions are ended is in no list yet, and was asked a moment too early. So the
session is held against the cutoff once more right after it was saved (``watch``), with every engine.
"""

from __future__ import annotations

import asyncio
from functools import partial
from importlib import import_module
from math import ceil
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import router, transaction
from django.http import HttpRequest
from django.utils import timezone

from ..conf import settings
from ..factors import changes
from . import session, session_cutoffs

CHUNK = 1000
"""Sessions that are in memory at a time."""

_WATCHED = "_twilio_verify_watched"


def ends_at_once() -> bool:
    """Whether the site's sessions can be found: those of ``db``, ``cached_db`` and engines made from them.

    Others end when they are next asked, after ``minutes_to_end``.
    """
    return issubclass(_engine(), DatabaseStore)


def minutes_to_end() -> int:
    """Minutes until the last session of somebody who is signed out has ended, by
    ``TWILIO_VERIFY_POLICY_RECHECK_SECONDS``; 0 where all end at once, or with their next request.
    """
    return 0 if ends_at_once() else ceil(settings.policy_recheck_seconds / 60)


def end(request: HttpRequest | None, user: AbstractBaseUser) -> int:
    """End every session of ``user`` but this one, pending logins among them, and revoke all trusted browsers.

    How many sessions were ended at once: 0 where they cannot be found (``ends_at_once``); there each one ends with its
    first request after ``TWILIO_VERIFY_POLICY_RECHECK_SECONDS`` seconds, and before it does anything on our pages. In a
    transaction, all that holds once it is committed.
    """
    # SECURITY: before and after. A login that this moment's trusted browser excuses comes after the first cutoff and
    # not after the second; a browser that this moment's login trusts is revoked, or that login comes before the first.
    session_cutoffs.cut(user)
    changes.distrust(user)
    mark, user_id = session_cutoffs.cut(user), session.text_of(user)
    if request is not None and session.is_of(request.session, user_id):
        session.note_cutoff(request, user_id, mark)
    own = request.session.session_key if request is not None else None
    return _end(user, mark, own=own) if ends_at_once() else 0


def end_after_reset(sender: Any, user: AbstractBaseUser, **kwargs: Any) -> None:
    """Receiver of ``factors.resets.carried_out``: end every session of ``user``, at once where they can be found.

    SECURITY: a session that passed a factor which is gone now would stay one that passed; somebody else may have it.
    """
    mark = session_cutoffs.cut(user)
    if ends_at_once():
        _end(user, mark, own=None)


def is_listed(request: HttpRequest) -> bool:
    """Whether the session of ``request`` is one that ``end`` finds. It has not been ended, then, or would not be."""
    return isinstance(request.session, DatabaseStore)


def begin(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Note that the sign-in of ``user``, just written to the session, comes after all that was ended before.

    One SELECT.
    """
    mark = session_cutoffs.last(user)
    user_id = session.text_of(user)
    if mark in (0, session.cutoff(request, user_id)):
        return
    # SECURITY: of a password that is typed again in a session which was ended: what that one passed does not count.
    session.forget_ended(request, user_id)
    session.note_cutoff(request, user_id, mark)


def is_over(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Whether the session of ``request``, of ``user``, was ended elsewhere. One SELECT where sessions cannot be found.

    SECURITY: one that was signed in to without ``user_logged_in`` says nothing of when that was, and is over if any
    ever was ended.
    """
    mark = 0 if is_listed(request) else session_cutoffs.last(user)
    return mark not in (0, session.cutoff(request, session.text_of(user)))


def began(request: HttpRequest, before: str | None) -> bool:
    """Return whether a login began in this request, which has written to its session, or went on under a new key.
    ``before``: the key that the request came with.

    For what sends no signal: ``update_session_auth_hash``, and code that writes Django's keys itself. Reads only what
    is in memory.
    """
    if session.signed_in_id(request) is None:
        return False
    return request.session.session_key != before or session.is_undecided(request)


def watch(request: HttpRequest) -> None:
    """Hold the session of ``request`` against the cutoffs once more, right after it is saved. One SELECT then.

    SECURITY: ``end`` writes the cutoff before it lists the sessions. A session that is saved too late for the list is
    saved after the cutoff was written, and so finds it here. Saving raises Django's ``SessionInterrupted`` (400) then,
    and the session is deleted.
    """
    store = request.session
    if _WATCHED in vars(store):
        return
    setattr(store, _WATCHED, True)
    # On this one object: it is saved by Django's middleware, by the site's views and by Django's test client.
    save, asave = store.save, store.asave

    def watched(must_create: bool = False) -> None:
        # A new key alone (``create``, ``cycle_key``) is nothing that the browser gets: it is saved again at the end. On
        # an event loop no query can be made, and some engines save there: ``awatched`` asks for them.
        asks = not must_create and not in_event_loop()
        if asks:
            _note_undecided(request)
        save(must_create=must_create)
        if asks:
            _must_not_be_over(request)

    async def awatched(must_create: bool = False) -> None:
        if not must_create:
            await sync_to_async(_note_undecided)(request)
        await asave(must_create=must_create)
        if not must_create:
            await sync_to_async(_must_not_be_over)(request)

    store.save, store.asave = watched, awatched  # type: ignore[method-assign]


def _note_undecided(request: HttpRequest) -> None:
    """Have a login that was written to the session without ``user_logged_in`` begin now."""
    user_id = session.signed_in_id(request)
    if user_id is None or not session.is_undecided(request) or session.cutoff(request, user_id):
        return
    if mark := session_cutoffs.last_of(user_id):
        session.note_cutoff(request, user_id, mark)


def has_ended(request: HttpRequest) -> bool:
    """Whether the session of ``request`` was ended since it was read, with every engine. One SELECT."""
    return any(session_cutoffs.last_of(user_id) != mark for user_id, mark in session.marks(request).items())


def _must_not_be_over(request: HttpRequest) -> None:
    if has_ended(request):
        request.session.flush()
        raise SessionInterrupted("The session was ended elsewhere.")


def in_event_loop() -> bool:
    """Return whether this is the thread of an event loop, where Django makes no query."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _end(user: AbstractBaseUser, mark: int, *, own: str | None) -> int:
    """Delete the sessions of ``user`` that do not come after ``mark``. How many."""
    found = _delete(session.text_of(user), mark, own)
    if transaction.get_connection(session_cutoffs.database()).in_atomic_block:
        # SECURITY: until then others do not see the mark, and may save what they began before it.
        transaction.on_commit(partial(_delete, session.text_of(user), mark, own), using=session_cutoffs.database())
    return found


def _delete(user_id: str, mark: int, own: str | None) -> int:
    found = _keys(user_id, mark, own=own)
    for key in found:
        # By the engine and not by a DELETE: it may keep a copy in the cache.
        _engine()(key).delete(key)
    return len(found)


def _keys(user_id: str, mark: int, *, own: str | None) -> list[str]:
    store = _engine()()
    model = store.get_model_class()
    rows = model.objects.using(router.db_for_write(model)).filter(expire_date__gt=timezone.now())
    pairs = rows.exclude(session_key=own).values_list("session_key", "session_data").iterator(chunk_size=CHUNK)
    held = ((key, store.decode(data)) for key, data in pairs)
    return [key for key, data in held if session.is_of(data, user_id) and session.cutoff_in(data, user_id) != mark]


def _engine() -> Any:
    return import_module(django_settings.SESSION_ENGINE).SessionStore
