"""Backends that keep less than all."""

from __future__ import annotations

from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.choices import FactorKind


class CodesOnly(LocMemBackend):
    """No factors at all."""

    factor_kinds = frozenset()


class TotpOnly(LocMemBackend):
    """Authenticator apps, and no passkeys."""

    factor_kinds = frozenset({FactorKind.TOTP})
