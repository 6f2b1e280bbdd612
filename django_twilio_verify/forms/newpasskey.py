"""Enrolling a passkey: what it is called, and what the browser made."""

from __future__ import annotations

from .names import NameForm
from .passkeys import CredentialForm


class NewPasskeyForm(CredentialForm, NameForm):
    """Both, as the page posts them."""
