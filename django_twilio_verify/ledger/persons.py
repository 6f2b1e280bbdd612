"""Who a record is about: an account, or a visitor known by one browser session."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.crypto import constant_time_compare

from ..choices import PersonKind
from ..conf import person_fingerprint, person_fingerprints, settings
from ..core.client import ClientInfo


def email_of(user: AbstractBaseUser) -> str:
    """The address of the account, ``""`` if it has none or its model knows of none (``EMAIL_FIELD = None``)."""
    return str(getattr(user, user.get_email_field_name() or "", "") or "")


def is_account_address(user: AbstractBaseUser, address: str) -> bool:
    """Whether ``address`` is the one that the account's own mail goes to, password resets among it."""
    return bool(address) and email_of(user).strip().casefold() == address.casefold()


@dataclass(frozen=True, slots=True)
class Person:
    """``ref``: the account's primary key as text, or the visitor's session secret. ``label``: the user name, or
    ``""``.
    """

    kind: PersonKind
    ref: str
    label: str = ""

    def __repr__(self) -> str:
        return f"<Person {self.kind.value}>"  # SECURITY: a session secret stays out of tracebacks

    @classmethod
    def of(cls, user: AbstractBaseUser | None, client: ClientInfo) -> Person:
        """The account ``user`` if there is one, else the visitor behind ``client``.

        Raises ``ValueError`` when there is neither: consent and proofs always belong to somebody.
        """
        if user is not None and user.pk is not None:
            return cls(PersonKind.USER, str(user.pk), user.get_username()[:150])
        if not client.session:
            raise ValueError("Give a saved user, or a client whose session is set (client_from(request)).")
        return cls(PersonKind.SESSION, client.session)

    @property
    def fingerprint(self) -> str:
        return person_fingerprint(self.kind.value, self.ref)

    @property
    def fingerprints(self) -> list[str]:
        return person_fingerprints(self.kind.value, self.ref)


def session_fingerprint(client: ClientInfo) -> str:
    """What a verification remembers of the session it was started in; ``""`` for callers without one."""
    return person_fingerprint(PersonKind.SESSION.value, client.session) if client.session else ""


def session_fingerprints(client: ClientInfo) -> list[str]:
    """The same under every key, newest first."""
    if not client.session:
        return [""] * len(settings.fingerprint_keys)
    return person_fingerprints(PersonKind.SESSION.value, client.session)


def session_matches(stored: str, client: ClientInfo) -> bool:
    """Whether ``client`` is the session that ``stored`` is the fingerprint of."""
    # SECURITY: both empty is a match only for callers that never had a session.
    if not client.session or not stored:
        return not client.session and not stored
    candidates = person_fingerprints(PersonKind.SESSION.value, client.session)
    return any([constant_time_compare(stored, candidate) for candidate in candidates])  # noqa: C419  a list: every key is compared, whichever fits
