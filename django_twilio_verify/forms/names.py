"""What people call their factors."""

from __future__ import annotations

import unicodedata

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from ..backends.factor_options import MAX_NAME

_JOINERS = "\u200c\u200d"
"""Of Persian, of the languages of India, and of emoji: nothing can be written without them there."""


def _is_hidden(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


class NameForm(forms.Form):
    """A name for a factor: one line, up to 64 characters."""

    name = forms.CharField(
        label=_("Name"),
        max_length=MAX_NAME,
        error_messages={
            "required": _("Enter a name, so that you recognise it in your list."),
            "max_length": _("The name has up to %(limit_value)d characters."),
        },
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean_name(self) -> str:
        """SECURITY: no character that hides, turns round or breaks the text beside it."""
        name: str = self.cleaned_data["name"]
        if any(_is_hidden(character) for character in name):
            raise ValidationError(_("A name is one line of letters, digits and signs."))
        return name
