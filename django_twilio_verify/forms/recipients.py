"""The forms that ask where a code may go, and for consent to send it there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..backends.twins import Steps, verb, verb_twin_of
from ..choices import VERIFICATION_CHANNELS, Channel, ChannelName, RecipientKind
from ..client import client_from
from ..conf import settings
from ..consent.context import ConsentContext
from ..consent.disclosures import compose, compose_once
from ..consent.gate import NewConsent
from ..core import countries
from ..core.arguments import AnyUser
from ..core.recipients import Recipient
from ..exceptions import ConsentRequired, InvalidRecipient, TwilioVerifyError, VerificationNotFound
from ..ledger.disclosure_text import Disclosure
from ..login import own_session
from ..verifications import api
from ..verifications.api import StartPurpose, VerificationRef
from ..verifications.results import Started


class DisclosureForm(forms.Form):
    """Base of the forms with a consent box: one empty box under the disclosure of one channel.

    Attributes:
        channel: How to send. For ``auto`` the consent is that of the text message that it may end in.
        shown: The disclosure to show above the box. ``{% consent_box form %}`` does.
        failure: The error that ended the last send, for its ``status_code`` and ``retry_after``; ``None`` if none did.
            Its sentence is among the form's errors.
        once: Whether the consent is to one message only.
    """

    once: ClassVar[bool] = False
    kind: ClassVar[RecipientKind | None] = None
    """What the channel has to carry to; ``None`` for either."""
    recipient_field: ClassVar[str] = "consent"
    """The field beside which errors of the recipient, and of the send, are shown."""
    failure: TwilioVerifyError | None = None

    # The digest of the words that the page showed: other words on posting mean that the user has not read what would
    # be recorded.
    disclosure = forms.CharField(widget=forms.HiddenInput, max_length=64)
    consent = forms.BooleanField(error_messages={"required": _("Tick the box to agree, or choose another way.")})

    def __init__(self, data: Mapping[str, Any] | None = None, *, channel: ChannelName, **kwargs: Any) -> None:
        self.channel = self._channel(channel)
        self.shown: Disclosure = self.words(self.channel.consent_channel)
        super().__init__(data, **kwargs)
        self.fields["consent"].label = self.shown.checkbox_label
        self.initial["disclosure"] = self.shown.digest

    def _channel(self, channel: ChannelName) -> Channel:
        allowed = [one for one in VERIFICATION_CHANNELS if self.kind in (None, one.recipient_kind)]
        try:
            parsed = Channel.parse(channel)
        except ValueError:
            parsed = None
        if parsed is None or parsed not in allowed:
            names = ", ".join(one.value for one in allowed)
            raise ValueError(f"channel of {type(self).__name__} must be one of {names}, not {str(channel)[:40]!r}.")
        return parsed

    def words(self, channel: Channel) -> Disclosure:
        """Return what is to be agreed to."""
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

    @verb
    def send(
        self, request: HttpRequest, *, user: AnyUser = None, purpose: StartPurpose = "verify", button_label: str = ""
    ) -> Steps[Started | None]:
        """Send a code, or make a link, to the recipient of a valid form.

        The limits are checked first; the consent is recorded with the send. A send that is refused leaves no consent.

        Args:
            request: Whose session may answer.
            user: Whose verification it is, such as ``request.user``; a visitor's without one.
            purpose: ``enroll`` for a number or address that becomes a factor of ``user``; ``verify`` for everything
                else.
            button_label: The label of the button that was pressed, for the record of the consent.

        Returns:
            ``None`` where nothing was sent. What went wrong is an error of the form then, and ``failure``.

        Raises:
            ValueError: The form is not valid, it has no recipient, or ``purpose`` starts from a factor.
            TypeError: ``user`` is no user, or a visitor with ``purpose="enroll"``.
            PermissionDenied: Another user acts as this one, or a token names the user: nobody else may agree.
            RuntimeError: Called within a transaction, as ``verifications.start``.
        """
        recipient = self._recipient()
        agreed = new_consent(self, button_label)
        # SECURITY: the ledger must not say that a user agreed who is acted for, nor may such a factor be enrolled.
        own_session.must_be_own_session(request)
        client = client_from(request)
        steps = api.start_steps(recipient, self.channel, client, user, purpose, new_consent=agreed)
        return (yield from _sent(self, steps))

    asend = verb_twin_of(send)

    def _recipient(self) -> Recipient:
        require_valid(self)
        recipient: Recipient = self.cleaned_data["recipient"]
        return recipient


WORDS_CHANGED = _("The text below has changed since you opened the page. Read it and tick the box again.")


def require_valid(form: forms.Form) -> None:
    """Raise ``ValueError`` unless ``form`` was found valid."""
    if not form.is_valid():
        raise ValueError(f"{type(form).__name__} is not valid: ask is_valid() first.")


def new_consent(form: DisclosureForm, button_label: str) -> NewConsent:
    """Return what the user agrees to with a valid ``form``, to be recorded with the send or not at all."""
    require_valid(form)
    if form.cleaned_data.get("consent") is not True:
        # SECURITY: a subclass that makes the box optional, or leaves it out, has nobody's consent.
        raise ValueError(f"The box of {type(form).__name__} was not ticked: its field 'consent' must be required.")
    context = ConsentContext.checkbox(button_label=button_label)
    return NewConsent(form.cleaned_data["disclosure"], context, once=form.once)


def show_error(form: DisclosureForm, error: TwilioVerifyError) -> None:
    """Make ``error`` one of the field of ``form`` that it is about.

    Always of a field that is shown: the template of a site may show no others.
    """
    form.failure = error
    form.add_error(_field_for(form, error), error.user_message)
    if isinstance(error, ConsentRequired) and error.can_agree:
        form.shown = form.words(form.channel.consent_channel)
        form.fields["consent"].label = form.shown.checkbox_label
        form.use_current_words()


def _field_for(form: DisclosureForm, error: TwilioVerifyError) -> str:
    if isinstance(error, ConsentRequired) and error.can_agree:
        return "consent"
    if error.code == "phone_country_missing" and "country" in form.fields:
        return "country"
    return form.recipient_field if form.recipient_field in form.fields else "consent"


def _sent(form: DisclosureForm, steps: Steps[Started]) -> Steps[Started | None]:
    """What ``steps`` send; ``None`` where they fail by what a user can do or meet, which ``form`` then says."""
    form.failure = None
    try:
        return (yield from steps)
    except TwilioVerifyError as error:
        if isinstance(error, VerificationNotFound) and error.code == VerificationNotFound.default_code:
            raise  # of the address of the page, and of nothing that was filled in
        show_error(form, error)
        return None


class ConsentForm(DisclosureForm):
    """The consent box alone: for another channel to a recipient that is known.

    Args:
        data: What was posted, or ``None``.
        channel: How to send.
        recipient: Where to, for ``send``. ``resend`` knows it from the verification.
        kwargs: As for any form. Two forms on one page need a ``prefix`` each.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        channel: ChannelName,
        recipient: Recipient | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data, channel=channel, **kwargs)
        self.recipient = recipient

    def _recipient(self) -> Recipient | str:  # type: ignore[override]
        require_valid(self)
        if self.recipient is None:
            raise ValueError("recipient of ConsentForm is missing: without one, call resend().")
        return self.recipient

    @verb
    def resend(
        self, request: HttpRequest, verification: VerificationRef, *, user: AnyUser = None, button_label: str = ""
    ) -> Steps[Started | None]:
        """Go on with an open verification by this channel: to the same recipient and for the same purpose.

        Args:
            request: The request of the session that started it.
            verification: What was started.
            user: The user it was started for; required unless a visitor started it.
            button_label: As for ``send``.

        Returns:
            As ``send``.

        Raises:
            VerificationNotFound: It is not the caller's.
            ValueError: The form is not valid.
            PermissionDenied: As ``send``.
            RuntimeError: Called within a transaction, as ``verifications.resend``.
        """
        agreed = new_consent(self, button_label)
        own_session.must_be_own_session(request)  # SECURITY: as in ``send``
        steps = api.resend_steps(verification, client_from(request), user, self.channel, agreed)
        return (yield from _sent(self, steps))

    aresend = verb_twin_of(resend)


class OnceForm(ConsentForm):
    """The box for one message."""

    once = True


class PhoneForm(DisclosureForm):
    """A phone number in any national or international format, with the consent box. ``cleaned_data["recipient"]``.

    Args:
        data: What was posted, or ``None``.
        channel: How to send: ``sms``, ``call``, ``whatsapp``, ``sna`` or ``auto``.
        region: ISO 3166 country that is chosen at first, such as ``region_from(request)``, unless
            ``TWILIO_VERIFY_DEFAULT_REGION`` says.
        kwargs: As for any form. Two forms on one page need a ``prefix`` each.
    """

    kind = RecipientKind.PHONE
    recipient_field = "number"

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

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, channel: ChannelName, region: str = "", **kwargs: Any
    ) -> None:
        super().__init__(data, channel=channel, **kwargs)
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


class EmailForm(DisclosureForm):
    """An email address, with the consent box. ``cleaned_data["recipient"]``.

    Args:
        data: What was posted, or ``None``.
        channel: ``email``.
        region: Not used: a page may make either form by the same call.
        kwargs: As for any form. Two forms on one page need a ``prefix`` each.
    """

    kind = RecipientKind.EMAIL
    recipient_field = "email"

    email = forms.CharField(
        label=_("Email address"),
        max_length=254,
        error_messages={"required": _("Enter an email address.")},
        widget=forms.EmailInput(attrs={"autocomplete": "email", "spellcheck": "false"}),
    )
    field_order = ("email", "disclosure", "consent")

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        channel: ChannelName = Channel.EMAIL,
        region: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(data, channel=channel, **kwargs)

    def clean_email(self) -> str:
        recipient = Recipient.email(self.cleaned_data["email"])
        self.cleaned_data["recipient"] = recipient
        return recipient.value


def recipient_form(channel: Channel) -> type[PhoneForm] | type[EmailForm]:
    """The form that asks for what ``channel`` carries to."""
    return EmailForm if channel == Channel.EMAIL else PhoneForm
