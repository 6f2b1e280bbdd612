"""Begin once, and try several things from there: each from exactly the same state.

A table of cases that starts from one costly state (a user with factors, signed in, a code on its way) builds that state
once and goes back to it after each case, which costs a savepoint instead of a hundred statements and five requests.
"""

from __future__ import annotations

import copyreg
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import file as file_sessions
from django.core import mail
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from django.db import transaction

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.login import decision_cache
from django_twilio_verify.testing import outbox

copyreg.pickle(MappingProxyType, lambda proxy: (MappingProxyType, (dict(proxy),)))  # which Python leaves out


@contextmanager
def undone(*held: Any, same: tuple[Any, ...] = ()) -> Iterator[None]:
    """Undo at the end what the block did to the database, the caches, the provider, the messages and ``held``.

    Sessions in files go back too.

    Args:
        held: objects of the test; their attributes are copied, deeply, and put back.
        same: what they refer to that is not copied, such as the clock.
    """
    backend = backends["default"]
    assert isinstance(backend, LocMemBackend), "the provider's memory is copied; a server's is not"
    memories = [backend, backend.simulator, backend.factor_simulator]
    kept_alive = {id(one): one for one in (*held, *memories, *same)}
    provider = [
        {name: value for name, value in vars(one).items() if isinstance(value, list | dict | set | deque)}
        for one in memories
    ]
    # One copy of all: what the test holds and what the provider holds may be the same object.
    mine, theirs, sent, mailed = deepcopy(
        ([dict(vars(one)) for one in held], provider, [*outbox], [*_letters()]), kept_alive
    )
    cached = {alias: _cached(caches[alias]) for alias in caches}
    noted = dict(decision_cache._noted)
    files = _session_files()
    block = transaction.atomic()
    block._from_testcase = True  # as the test's own transaction, which durable ones may stand in
    try:
        with block:
            yield
            transaction.set_rollback(True)
    finally:
        for one, attributes in zip(held, mine, strict=True):
            vars(one).clear()
            vars(one).update(attributes)
        for one, attributes in zip(memories, theirs, strict=True):
            vars(one).update(attributes)
        decision_cache._noted.clear()
        decision_cache._noted.update(noted)
        outbox[:] = sent
        _letters()[:] = mailed
        for alias, entries in cached.items():
            _put_back(caches[alias], entries)
        for file in _session_files().keys() - files.keys():
            file.unlink()
        for file, content in files.items():
            file.write_bytes(content)


def _session_files() -> dict[Path, bytes]:
    if file_sessions.__name__ != settings.SESSION_ENGINE:
        return {}
    folder = Path(file_sessions.SessionStore._get_storage_path())  # which Django remembers, whatever the setting is
    return {file: file.read_bytes() for file in folder.glob(f"{settings.SESSION_COOKIE_NAME}*")}


def _letters() -> list[Any]:
    """Django makes the list when the first letter is sent, or when a test begins."""
    if not hasattr(mail, "outbox"):
        mail.outbox = []
    return mail.outbox  # type: ignore[no-any-return]


def _cached(cache: Any) -> Any:
    if isinstance(cache, RedisCache):
        client = cache._cache.get_client()
        return [(key, client.dump(key), max(client.pttl(key), 0)) for key in client.keys("*")]
    assert isinstance(cache, LocMemCache), cache
    return cache._cache.copy(), cache._expire_info.copy()


def _put_back(cache: Any, entries: Any) -> None:
    if isinstance(cache, RedisCache):
        cache.clear()
        client = cache._cache.get_client()
        for key, value, expires in entries:
            client.restore(key, expires, value)
        return
    values, expiries = entries
    for now, before in ((cache._cache, values), (cache._expire_info, expiries)):
        now.clear()
        now.update(before)
