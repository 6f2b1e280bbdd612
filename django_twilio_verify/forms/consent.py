"""The forms by which messages are stopped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..choices import CONSENT_CHANNELS, Channel
from ..conf import settings
from ..consent.opt_outs import channels_to
from ..core import countries
from ..core.recipients import Recipient
from ..exceptions import InvalidRecipient
from .recipients import EmailForm, PhoneForm


class StopPhoneForm(PhoneForm):
    """A phone number, with consent to the one code that proves it."""

    once = True


class StopEmailForm(EmailForm):
    """An email address, with consent to the one code that proves it."""

    once = True


def stop_form(channel: Channel) -> type[StopPhoneForm] | type[StopEmailForm]:
    """The form that asks for what ``channel`` carries to."""
    return StopEmailForm if channel == Channel.EMAIL else StopPhoneForm


class ChannelsForm(forms.Form):
    """Which of ``ways`` to stop: all, unless the person takes one out."""

    channels = forms.MultipleChoiceField(
        label=_("Stop"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one.")},
    )

    def __init__(self, *args: Any, ways: Iterable[Channel], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["channels"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(way.value, way.row.plural) for way in ways]
        self.initial.setdefault("channels", [way.value for way in ways])


class StaffOptOutForm(forms.Form):
    """A request to stop that came in by other means than our pages, as staff records it.

    ``request_values`` are the keywords that ``consent.opt_outs.record_request`` wants beside ``staff`` and ``client``.
    """

    recipient = forms.CharField(
        label=_("Phone number or email address"),
        max_length=254,
        help_text=_("As it was given. A number without + needs its country."),
    )
    country = forms.ChoiceField(label=_("Country of the number"), required=False)
    channels = forms.MultipleChoiceField(
        label=_("Stop"),
        required=False,
        choices=[(channel.value, channel.row.plural) for channel in CONSENT_CHANNELS],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: everything that goes there."),
    )
    words = forms.CharField(
        label=_("Words of the request"), max_length=900, widget=forms.Textarea(attrs={"rows": 4, "cols": 60})
    )
    asked_by = forms.CharField(
        label=_("Who asked"), max_length=90, required=False, help_text=_("The name, as far as it is known.")
    )
    came_by = forms.ChoiceField(
        label=_("How it came in"),
        choices=[
            ("email", _("email")),
            ("telephone", _("telephone")),
            ("letter", _("letter")),
            ("chat", _("chat")),
            ("in_person", _("in person")),
            ("other", _("otherwise")),
        ],
    )
    received_at = forms.DateTimeField(
        label=_("When it came in"),
        help_text=_("It must be honoured within ten business days from then. Recording it stops the messages at once."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        country = self.fields["country"]
        assert isinstance(country, forms.ChoiceField)
        country.choices = [("", _("Choose a country")), *countries.choices(settings.countries)]
        self.initial.setdefault("country", settings.default_region)
        self.initial.setdefault("received_at", timezone.localtime())

    def clean_received_at(self) -> Any:
        received_at = self.cleaned_data["received_at"]
        if received_at > timezone.now():
            raise forms.ValidationError(_("A request cannot come in later than now."), code="future")
        return received_at

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "recipient" in cleaned:
            self._parse(cleaned)
        return cleaned

    def _parse(self, cleaned: dict[str, Any]) -> None:
        try:
            recipient = Recipient.parse(cleaned["recipient"], region=cleaned.get("country") or None)
        except InvalidRecipient as error:
            self.add_error("country" if error.code == "phone_country_missing" else "recipient", error)
            return
        cleaned["recipient"] = recipient
        if not {*cleaned.get("channels", ())} <= {channel.value for channel in channels_to(recipient)}:
            self.add_error("channels", _("These do not all go to such an address."))

    def request_values(self) -> dict[str, Any]:
        """What the form says, as keywords."""
        names = ("recipient", "channels", "words", "asked_by", "came_by", "received_at")
        return {name: self.cleaned_data[name] for name in names}
