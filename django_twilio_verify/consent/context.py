"""How consent was collected or ended: the medium, the control, who did it and on whose word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import TextChoices
from django.utils import timezone
from django.utils.functional import Promise

from ..choices import Actor, ConsentMedium
from ..core.arguments import as_account

T = TypeVar("T", bound=TextChoices)

_TEXTS = ("control", "button_label", "actor_ref", "actor_label", "origin", "document_digest", "note")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_FLAGS = ("checked_by_default", "checked_on_submit")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentContext:
    """How consent was collected, or ended. Recorded with the event.

    Args:
        medium: Where it happened: ``web``, ``api``, ``admin`` (paper, telephone), ``import`` or ``provider``.
        control: What was used: ``checkbox``, ``button``, ``keyword``, or how a letter came in.
        checked_by_default: Whether the box was ticked when the page was shown. It has to be false for valid consent.
        checked_on_submit: Whether the box was ticked when the form was sent.
        button_label: The label of the button that was pressed, up to 80 characters.
        actor: Who did it: the user (``person``), ``staff``, the ``provider`` or the ``system``.
        actor_ref: The primary key of the staff account, as text.
        actor_label: The user name of the staff account. Kept in the erasable half.
        origin: The import, request or attempt that it came with, up to 64 characters.
        document_digest: SHA-256 of a paper, 64 hex digits.
        note: The words of a request, or the reason. Kept in the erasable half.
        received_at: Aware time at which a request to stop came in. Now, if it is not given.

    Raises:
        TypeError: A field has another type.
        ValueError: ``medium`` or ``actor`` is not one of the choices, ``received_at`` is naive, or
            ``document_digest`` is no SHA-256.
    """

    medium: ConsentMedium = ConsentMedium.API
    control: str = ""
    checked_by_default: bool = False
    checked_on_submit: bool = False
    button_label: str = ""
    actor: Actor = Actor.PERSON
    actor_ref: str = ""
    actor_label: str = ""
    origin: str = ""
    document_digest: str = ""
    note: str = ""
    received_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "medium", _choice(ConsentMedium, "medium", self.medium))
        object.__setattr__(self, "actor", _choice(Actor, "actor", self.actor))
        for name in _TEXTS:
            object.__setattr__(self, name, _text(name, getattr(self, name)))
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be a bool, not {type(getattr(self, name)).__name__}.")
        if self.document_digest and not _SHA256.match(self.document_digest):
            raise ValueError("document_digest must be 64 hexadecimal digits.")
        _check_time(self.received_at)

    def __repr__(self) -> str:
        # SECURITY: the note and the label of the actor are personal: they stay out of logs and tracebacks.
        return f"<ConsentContext {self.medium.value} {self.control}>"

    @classmethod
    def checkbox(cls, *, button_label: str) -> Self:
        """Return the context of a box that was empty when a page showed it, and ticked when ``button_label`` was
        pressed.
        """
        return cls(medium=ConsentMedium.WEB, control="checkbox", checked_on_submit=True, button_label=button_label)

    @classmethod
    def api(cls, *, origin: str = "") -> Self:
        """Return the context of consent that a program passed on, such as a mobile app. ``origin`` names it."""
        return cls(medium=ConsentMedium.API, origin=origin)

    @classmethod
    def paper(cls, *, staff: AbstractBaseUser, note: str, document_digest: str) -> Self:
        """Return the context of a signed paper that staff enter.

        Args:
            staff: Who enters it.
            note: Why it is entered by hand.
            document_digest: SHA-256 of the scanned paper, 64 hex digits.

        Raises:
            TypeError: ``staff`` is no user.
            ValueError: ``note`` or ``document_digest`` is empty.
        """
        if not (isinstance(note, str) and note.strip()):
            raise ValueError("note must say why the consent is entered by hand.")
        if not document_digest:
            raise ValueError("document_digest must be the SHA-256 of the paper.")
        return cls(**staff_fields(staff), note=note, document_digest=document_digest)

    @classmethod
    def imported(cls, *, origin: str) -> Self:
        """Return the context of consent that comes from another system. ``origin`` names the import.

        Raises:
            ValueError: ``origin`` is empty.
        """
        if not origin:
            raise ValueError("origin must name the import.")
        return cls(medium=ConsentMedium.IMPORT, actor=Actor.SYSTEM, origin=origin)


def pressed(button_label: str, *, origin: str = "") -> ConsentContext:
    """Return the context of a button that a user pressed on a page."""
    return ConsentContext(
        medium=ConsentMedium.WEB,
        control="button",
        checked_on_submit=True,
        button_label=button_label,
        origin=origin,
    )


def by_staff(staff: AbstractBaseUser, *, note: str, label: str = "") -> ConsentContext:
    """Return the context of what staff record by hand.

    Args:
        staff: Who records it.
        note: The reason.
        label: What records call ``staff``, the user name if it is empty.
    """
    fields = staff_fields(staff)
    return ConsentContext(**{**fields, "actor_label": label or fields["actor_label"]}, note=note)


def staff_fields(staff: AbstractBaseUser) -> dict[str, Any]:
    """Return the fields that say that ``staff`` did it. Raises ``TypeError`` for what is no saved user."""
    account = as_account(staff, "staff")
    if account.pk is None:
        raise TypeError("staff must be a saved user.")
    return {
        "medium": ConsentMedium.ADMIN,
        "actor": Actor.STAFF,
        "actor_ref": str(account.pk),
        "actor_label": account.get_username(),
    }


def _choice(choices: type[T], name: str, value: Any) -> T:
    try:
        chosen: T = choices(value)
    except ValueError:
        allowed = ", ".join(repr(one.value) for one in choices)
        raise ValueError(f"{name} must be one of {allowed}, not {value!r}.") from None
    return chosen


def _text(name: str, value: object) -> str:
    if not isinstance(value, str | Promise):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}.")
    return str(value)


def _check_time(received_at: object) -> None:
    if received_at is None:
        return
    if not isinstance(received_at, datetime):
        raise TypeError(f"received_at must be a datetime, not {type(received_at).__name__}.")
    if timezone.is_naive(received_at):
        raise ValueError("received_at must have a time zone.")
