"""The forms by which people manage what they have enrolled."""

from __future__ import annotations

import unicodedata
from typing import TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from ..factor_options import MAX_NAME
from ..web import othersessions

_Form = TypeVar("_Form", bound=forms.Form)


_JOINERS = "\u200c\u200d"
"""Of Persian, of the languages of India, and of emoji: nothing can be written without them there."""


def _is_hidden(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


class NameForm(forms.Form):
    """A name for a factor: one line, up to 64 characters."""

    name = forms.CharField(
        label=_("Name"),
        max_length=MAX_NAME,
        error_messages={"required": _("Enter a name.")},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean_name(self) -> str:
        """SECURITY: no character that hides, turns round or breaks the text beside it."""
        name: str = self.cleaned_data["name"]
        if any(_is_hidden(character) for character in name):
            raise ValidationError(_("A name is one line of letters, digits and signs."))
        return name


def add_sign_out(form: _Form) -> _Form:
    """``form`` with a box "Sign out everywhere else", where the site's sessions can be ended."""
    if othersessions.can_be_ended():
        form.fields["sign_out"] = forms.BooleanField(
            label=_("Sign out everywhere else"),
            help_text=_("Ends the sign-ins in all other browsers, for when somebody else may have used your account."),
            required=False,
        )
    return form


class RemovalForm(forms.Form):
    """Confirms a removal."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        add_sign_out(self)
