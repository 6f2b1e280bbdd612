"""Enrolling a passkey: what it is called, and what the browser made."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from ..factor_options import MAX_NAME
from .passkeys import CredentialForm


class PasskeyNameForm(forms.Form):
    """The name by which the person tells this passkey from others."""

    name = forms.CharField(
        label=_("Name of this passkey"),
        help_text=_("So that you know it again in the list of your passkeys."),
        max_length=MAX_NAME,
        error_messages={
            "required": _("Give the passkey a name."),
            "max_length": _("The name has up to %(limit_value)d characters."),
        },
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class NewPasskeyForm(CredentialForm, PasskeyNameForm):
    """Both, as the page posts them."""
