"""What a member of staff is asked before a person's factors are reset."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from ..factors.resets import MAX_REASON


class ResetForm(forms.Form):
    """How it is known who asks, and that it is meant."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=MAX_REASON,
        help_text=_("Who asked for it, and how you made sure who it is. It is kept with your user name."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    confirmed = forms.BooleanField(label=_("Remove all factors of this person."))
