"""Checks of arguments that public functions share. A mistake in the caller's code is named, parameter and all."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

from .client import ClientInfo

AnyUser = AbstractBaseUser | AnonymousUser | None
"""What functions take as ``user``: an account, or a visitor as ``request.user`` or ``None`` says it."""

C = TypeVar("C", bound=ClientInfo)


def as_user(user: Any, name: str = "user") -> AbstractBaseUser | None:
    """Return the account, or ``None`` for a visitor: ``None`` and ``AnonymousUser`` alike.

    Raises:
        TypeError: ``user`` is neither.
    """
    if user is None:
        return None
    try:
        is_account = user.is_authenticated
    except AttributeError:
        raise TypeError(f"{name} must be a user, an AnonymousUser or None, not {type(user).__name__}.") from None
    return user if is_account else None


def as_account(user: Any, name: str = "user") -> AbstractBaseUser:
    """Return the account. Raises ``TypeError`` for a visitor as well."""
    account = as_user(user, name)
    if account is None:
        raise TypeError(f"{name} must be a user, not a visitor.")
    return account


def as_client(client: C, name: str = "client") -> C:
    """Return ``client``.

    Raises:
        TypeError: It is no ``Client``.
        ValueError: It names no session, so no browser could ever answer what is started with it.
    """
    if not isinstance(client, ClientInfo):
        raise TypeError(f"{name} must be a Client, as client_from(request) makes one, not {type(client).__name__}.")
    if not client.session:
        raise ValueError(f"{name}.session is empty: no browser could answer what is started with it.")
    return client


def as_uuid(reference: Any) -> uuid.UUID | None:
    """Return the id that ``reference`` is or holds (a record, a UUID or its text), ``None`` if a text is none.

    Raises:
        TypeError: ``reference`` is something else.
    """
    if isinstance(reference, uuid.UUID):
        return reference
    if isinstance(reference, str):
        try:
            return uuid.UUID(reference)
        except ValueError:
            return None
    if isinstance(key := getattr(reference, "pk", None), uuid.UUID):
        return key
    raise TypeError(f"verification must be a Verification, a UUID or its text, not {type(reference).__name__}.")
