"""Forms that carry what a browser's ``navigator.credentials`` returned, and the name of a new passkey."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from .names import NameForm

MAX_CREDENTIAL = 16 * 1024
"""Bytes of a credential's JSON: some times what authenticators give."""


class CredentialForm(forms.Form):
    """``verification``: the one whose options the browser was given; ``credential``: what ``toJSON()`` gave, as text,
    cleaned to a ``dict``. Filled in by a script; without one, both come back empty.
    """

    not_given = _("Your browser did not hand over a passkey. Try again, or try another way.")

    verification = forms.UUIDField(widget=forms.HiddenInput, required=False)
    credential = forms.CharField(widget=forms.HiddenInput, required=False, strip=False)

    def clean_credential(self) -> dict[str, Any]:
        text = str(self.cleaned_data["credential"])
        try:
            # SECURITY: as deep and as long as anybody likes: RecursionError. A lone surrogate: no text at all.
            found = json.loads(text) if len(text) <= MAX_CREDENTIAL else None
            fits = len(json.dumps(found, ensure_ascii=False).encode()) <= MAX_CREDENTIAL
        except (ValueError, RecursionError):
            return {}
        return found if fits and isinstance(found, dict) else {}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not cleaned.get("verification") or not cleaned.get("credential"):
            raise forms.ValidationError(self.not_given, code="not_given")
        return cleaned


class NewPasskeyForm(CredentialForm, NameForm):
    """Both, as the page posts them."""
