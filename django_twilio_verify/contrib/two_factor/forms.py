"""The forms of the setup wizard and of the login: codes are text, and nothing is sent without a ticked box."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.forms.widgets import CheckboxInput
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from two_factor.forms import AuthenticationTokenForm, DeviceValidationForm

from ...choices import Channel, Purpose
from ...client import client_from, region_from
from ...consent import Disclosure
from ...exceptions import InvalidRecipient
from ...forms import EmailForm, PhoneForm
from ...verifications import lifecycle
from ..otp.forms import OutsideMixin

_CODE = {"inputmode": "numeric", "autocomplete": "one-time-code", "autocapitalize": "off", "spellcheck": "false"}


class DisclosedCheckbox(CheckboxInput):
    """The box, with the words that it stands for above it: the wizard's template knows fields and nothing else."""

    def __init__(self, shown: Disclosure) -> None:
        super().__init__()
        self.shown = shown

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        words = f"{(attrs or {}).get('id', f'id_{name}')}_words"
        box = super().render(name, value, {**(attrs or {}), "aria-describedby": words}, renderer)
        lines = format_html_join("", "<p>{}</p>", ((line,) for line in self.shown.lines))
        linked = [(self.shown.terms_url, _("Terms and Conditions")), (self.shown.privacy_url, _("Privacy Policy"))]
        links = format_html_join(" ", '<a href="{}">{}</a>', (pair for pair in linked if pair[0]))
        return format_html('<div id="{}">{}<p>{}</p></div>{}', words, lines, links, box)


class AddressMixin:
    """Where codes go, with consent: a step of the wizard. What is kept in the session is text."""

    channel_of: ClassVar[Channel]

    def __init__(self, *args: Any, request: HttpRequest | None = None, **kwargs: Any) -> None:
        self.request = request
        if self.channel_of != Channel.EMAIL and request is not None:
            kwargs["region"] = region_from(request)
        super().__init__(*args, channel=self.channel_of, **kwargs)  # type: ignore[call-arg]  # of what it is mixed into
        self.fields["consent"].widget = DisclosedCheckbox(self.shown)  # type: ignore[attr-defined]
        self.fields["consent"].widget.is_required = True  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()  # type: ignore[misc]
        recipient = cleaned.pop("recipient", None)
        if recipient is not None:
            cleaned["address"] = recipient.value
            self._check(recipient)
        return cleaned

    def _check(self, recipient: Any) -> None:
        client = client_from(self.request) if self.request is not None else None
        try:
            lifecycle.validate(recipient=recipient, channel=self.channel_of, purpose=Purpose.ENROLL, client=client)
        except InvalidRecipient as error:
            self.add_error("email" if self.channel_of == Channel.EMAIL else "number", error)  # type: ignore[attr-defined]


class SmsForm(AddressMixin, PhoneForm):
    """A number for text messages."""

    channel_of = Channel.SMS


class CallForm(AddressMixin, PhoneForm):
    """A number for calls."""

    channel_of = Channel.CALL


class EmailAddressForm(AddressMixin, EmailForm):
    """An inbox."""

    channel_of = Channel.EMAIL


class CodeValidationForm(DeviceValidationForm):  # untyped
    """The code that ends the setup. Validated once: a code is right once."""

    idempotent = False

    token = forms.CharField(
        label=_("Code"), max_length=200, widget=forms.TextInput(attrs={**_CODE, "autofocus": "autofocus"})
    )

    def clean_token(self) -> str:
        token: str = self.cleaned_data["token"]
        if not self.device.verify_token(token):
            raise forms.ValidationError(self.device.problem or self.error_messages["invalid_token"])
        return token


class CodeTokenForm(OutsideMixin, AuthenticationTokenForm):  # untyped
    """The code of a sign-in: text of any length that Verify has, judged outside of a transaction."""

    otp_token = forms.CharField(
        label=_("Code"), max_length=200, widget=forms.TextInput(attrs={**_CODE, "autofocus": "autofocus"})
    )
