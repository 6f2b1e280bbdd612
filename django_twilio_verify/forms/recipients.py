"""The forms that ask where a code may go, and for consent to send it there."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from ..choices import Channel
from ..conf import settings
from ..consent.disclosures import compose, compose_once
from ..core import countries
from ..core.recipients import Recipient
from ..exceptions import InvalidRecipient
from ..ledger.disclosure_text import DisclosureText


class ConsentForm(forms.Form):
    """The unticked box under a disclosure, for one channel; of ``auto``, for the text message that it may end in.

    ``disclosure`` carries the digest of the words that the page showed: other words on posting mean that the person
    has not read what would be recorded. ``once``: the words are about one message.
    """

    once = False
    disclosure = forms.CharField(widget=forms.HiddenInput, max_length=64)
    consent = forms.BooleanField(error_messages={"required": _("Tick the box to agree, or choose another way.")})

    def __init__(self, *args: Any, channel: Channel, **kwargs: Any) -> None:
        self.channel = channel
        self.shown: DisclosureText = self.words(channel.consent_channel)
        super().__init__(*args, **kwargs)
        self.fields["consent"].label = self.shown.checkbox_label
        self.initial["disclosure"] = self.shown.digest

    def words(self, channel: Channel) -> DisclosureText:
        """What is to be agreed to."""
        return compose_once(channel) if self.once else compose(channel)

    def clean_disclosure(self) -> str:
        digest = str(self.cleaned_data["disclosure"])
        if digest != self.shown.digest:
            self.use_current_words()
            self.add_error("consent", forms.ValidationError(WORDS_CHANGED, code="disclosure_changed"))
        return digest

    def use_current_words(self) -> None:
        """Show the form again with today's words and an empty box, whatever was posted."""
        data = {name: self.data[name] for name in self.data}
        data[self.add_prefix("disclosure")] = self.shown.digest
        data.pop(self.add_prefix("consent"), None)
        self.data = data


WORDS_CHANGED = _("The text below has changed since you opened the page. Read it and tick the box again.")


class OnceForm(ConsentForm):
    """The box for one message."""

    once = True


class PhoneForm(ConsentForm):
    """A phone number in any national or international format, with consent."""

    country = forms.ChoiceField(
        label=_("Country"),
        required=False,
        widget=forms.Select(attrs={"autocomplete": "tel-country-code"}),
    )
    number = forms.CharField(
        label=_("Phone number"),
        max_length=60,
        help_text=_("With + and the country code, or as you write it in the country above."),
        error_messages={"required": _("Enter a phone number.")},
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "tel", "spellcheck": "false"}),
    )
    field_order = ("country", "number", "disclosure", "consent")

    def __init__(self, *args: Any, region: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        country = self.fields["country"]
        assert isinstance(country, forms.ChoiceField)
        country.choices = [("", _("Choose a country")), *countries.choices(settings.countries)]
        self.initial.setdefault("country", settings.default_region or region)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "number" in cleaned:
            try:
                cleaned["recipient"] = Recipient.phone(cleaned["number"], region=cleaned.get("country") or None)
            except InvalidRecipient as error:
                self.add_error("country" if error.code == "phone_country_missing" else "number", error)
        return cleaned


class EmailForm(ConsentForm):
    """An email address, with consent."""

    email = forms.CharField(
        label=_("Email address"),
        max_length=254,
        error_messages={"required": _("Enter an email address.")},
        widget=forms.EmailInput(attrs={"autocomplete": "email", "spellcheck": "false"}),
    )
    field_order = ("email", "disclosure", "consent")

    def clean_email(self) -> str:
        recipient = Recipient.email(self.cleaned_data["email"])
        self.cleaned_data["recipient"] = recipient
        return recipient.value


def recipient_form(channel: Channel) -> type[PhoneForm] | type[EmailForm]:
    """The form that asks for what ``channel`` carries to."""
    return EmailForm if channel == Channel.EMAIL else PhoneForm


def recipient_field(channel: Channel) -> str:
    """The field of that form beside which errors of the address belong."""
    return "email" if channel == Channel.EMAIL else "number"
