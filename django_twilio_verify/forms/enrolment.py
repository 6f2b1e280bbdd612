"""The forms of enrolling what the provider keeps."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from ..factor_options import MAX_NAME
from .codes import CodeForm


class NameForm(forms.Form):
    """What a person calls a factor."""

    name = forms.CharField(
        label=_("Name"),
        max_length=MAX_NAME,
        error_messages={"required": _("Enter a name, so that you recognise it in your list.")},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class AppCodeForm(CodeForm):
    """The first code that an authenticator app shows. What it means is decided by ``flows.devicefactors.confirm``."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].error_messages["required"] = _("Enter the code that the app shows.")
