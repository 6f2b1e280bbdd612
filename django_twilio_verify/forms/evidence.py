"""What the compliance officer is asked before something is done with evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from ..choices import Channel
from ..consent.opt_outs import channels_to
from ..core.recipients import Recipient
from .consent import StaffOptOutForm


class ReasonForm(forms.Form):
    """Who asked, and why: kept in the audit event."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=1000,
        help_text=_("Who asked for it and why. It is kept with your user name."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class ErasureForm(ReasonForm):
    """The reason, and that it is meant."""

    factors = forms.BooleanField(
        label=_("Delete the factors with this address too"),
        required=False,
        help_text=_("People who sign in by it lose it as their second factor."),
    )
    confirmed = forms.BooleanField(label=_("Erase it. I know that this cannot be undone."))


class KnownOptOutForm(StaffOptOutForm):
    """A request to stop from a recipient who is on record: whose it is, is not asked again."""

    def __init__(self, *args: Any, recipient: Recipient, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known = recipient
        del self.fields["recipient"], self.fields["country"]
        channels = self.fields["channels"]
        assert isinstance(channels, forms.MultipleChoiceField)
        channels.choices = [(channel.value, channel.row.plural) for channel in channels_to(recipient)]

    def clean(self) -> dict[str, Any]:
        return super().clean() | {"recipient": self.known}


class ReleaseForm(ReasonForm):
    """Which opt-outs to release, and why."""

    channels = forms.MultipleChoiceField(
        label=_("Allow again"),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Nothing is sent before a user agrees again."),
    )
    field_order = ("channels", "reason")

    def __init__(self, *args: Any, opted_out: Iterable[Channel], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        channels = self.fields["channels"]
        assert isinstance(channels, forms.MultipleChoiceField)
        channels.choices = [(channel.value, channel.row.plural) for channel in opted_out]
