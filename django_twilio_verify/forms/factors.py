"""The forms by which people manage what they have enrolled."""

from __future__ import annotations

from typing import TypeVar

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..login import ended_sessions

_Form = TypeVar("_Form", bound=forms.Form)


def add_sign_out(form: _Form) -> _Form:
    """``form`` with a box "Sign out everywhere else", which says how long that takes where it is not at once."""
    form.fields["sign_out"] = forms.BooleanField(
        label=_("Sign out everywhere else"),
        help_text=_what_it_does(),
        required=False,
    )
    return form


def _what_it_does() -> str:
    said = _("Ends the sign-ins in all other browsers, for when somebody else may have used your account.")
    minutes = ended_sessions.minutes_to_end()
    if not minutes:
        return said
    late = ngettext("It may take %(count)d minute.", "It may take up to %(count)d minutes.", minutes)
    return f"{said} {late % {'count': minutes}}"


class RemovalForm(forms.Form):
    """Confirms a removal."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        add_sign_out(self)
