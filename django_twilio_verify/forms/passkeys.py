"""What a browser answers when it was asked for a passkey."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MAX_CREDENTIAL = 16 * 1024
"""Characters of a credential as JSON. An attestation without certificates has less than one thousand."""

_NOTHING_ASKED = _("Your browser was not asked for a passkey. Allow JavaScript for this page, or choose another way.")
_NOT_ONE = _("What your browser sent is not a passkey. Try again, or choose another way.")


class CredentialField(forms.CharField):
    """JSON text of an object, of at most ``MAX_CREDENTIAL`` characters; its value is the object."""

    widget = forms.HiddenInput

    def clean(self, value: Any) -> dict[str, Any]:
        text = super().clean(value)
        try:
            read = json.loads(text) if len(text) <= MAX_CREDENTIAL else None
            # SECURITY: half a surrogate pair, which JSON can hold, would fail later, wherever the text is encoded.
            json.dumps(read, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, dict):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return read


class CredentialForm(forms.Form):
    """``verification`` that was begun, and ``credential``, what ``credential.toJSON()`` gave the page.

    Both are filled in by our script: without them, nothing was asked.
    """

    verification = forms.UUIDField(
        widget=forms.HiddenInput, error_messages={"required": _NOTHING_ASKED, "invalid": _NOT_ONE}
    )
    credential = CredentialField(error_messages={"required": _NOTHING_ASKED, "invalid": _NOT_ONE})

    @property
    def problem(self) -> str:
        """What is wrong with it, in a sentence; empty if nothing is."""
        errors = [error for name in ("credential", "verification") for error in self.errors.get(name, ())]
        return str(errors[0]) if errors else ""
