"""Signing a person out everywhere else; after a reset of their factors, everywhere.

Django keeps no list of a person's sessions. Those in the database (``db``, ``cached_db``) are read one after the other,
which costs the more, the more people are signed in: about a second for 30 000. A moment in the account that every
request compares would cost every request a query; changing what ``get_session_auth_hash`` is made of cannot be done
without the password. Sessions in a cache alone cannot be listed, and those in a signed cookie cannot be ended by
anybody: there the pages do not offer it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import router
from django.http import HttpRequest
from django.utils import timezone

from ..flows import managing
from . import session

CHUNK = 1000
"""Sessions that are in memory at a time."""


def can_be_ended() -> bool:
    """Whether the site's sessions can be found: those of ``db``, ``cached_db`` and engines made from them."""
    return issubclass(_engine(), DatabaseStore)


def end(request: HttpRequest, user: AbstractBaseUser) -> int:
    """End every session of ``user`` but this one, sign-ins that wait among them, and revoke all trusted browsers.

    How many sessions were ended; 0 where they cannot be found (``can_be_ended``). To be called outside of
    transactions.
    """
    managing.distrust(user)
    return _end(user, own=request.session.session_key)


def end_after_reset(sender: Any, user: AbstractBaseUser, **kwargs: Any) -> None:
    """Receiver of ``factors_reset``: end every session of ``user``, wherever they can be found.

    SECURITY: a session that passed a factor which is gone now would stay one that passed; somebody else may have it.
    """
    _end(user, own=None)


def _end(user: AbstractBaseUser, *, own: str | None) -> int:
    if not can_be_ended():
        return 0
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
