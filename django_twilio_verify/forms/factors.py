"""The forms by which people manage what they have enrolled."""

from __future__ import annotations

from typing import TypeVar

from django import forms
from django.utils.translation import gettext_lazy as _

from ..web import othersessions

_Form = TypeVar("_Form", bound=forms.Form)


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
