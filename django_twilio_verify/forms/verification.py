"""The forms that ask for what was sent, or for a recovery code."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class CodeForm(forms.Form):
    """A code as typed. What it means is decided by ``verifications.check``, not here."""

    # No maxlength: it would cut "123 456" when pasted. Not type=number: that drops leading zeros.
    code = forms.CharField(
        label=_("Code"),
        max_length=200,
        error_messages={"required": _("Enter the code that we sent.")},
        widget=forms.TextInput(
            attrs={
                "inputmode": "numeric",
                "autocomplete": "one-time-code",
                "autocapitalize": "off",
                "spellcheck": "false",
                "maxlength": None,
            }
        ),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["code"].widget.attrs.pop("maxlength", None)


class RecoveryForm(forms.Form):
    """A recovery code as typed."""

    not_one = _("This is not one of your unused recovery codes.")

    code = forms.CharField(
        label=_("Recovery code"),
        max_length=100,
        error_messages={"required": _("Enter one of your recovery codes.")},
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}),
    )


class AppCodeForm(CodeForm):
    """A code of an authenticator app, as typed."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].error_messages["required"] = _("Enter the code that your authenticator app shows.")


class NumberForm(forms.Form):
    """The number that a phone shows, as typed; left empty by who only asks whether the phone has said yes."""

    # As above: no maxlength, and not type=number.
    number = forms.CharField(
        label=_("Number on your phone"),
        required=False,
        max_length=100,
        widget=forms.TextInput(
            attrs={"inputmode": "numeric", "autocomplete": "off", "spellcheck": "false", "maxlength": None}
        ),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["number"].widget.attrs.pop("maxlength", None)
