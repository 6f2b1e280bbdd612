"""Errors, each with a stable code, a sentence for the user and the right HTTP status.

What a user can type, or a client can send, ends in one of these. What only code can get wrong is a ``TypeError`` or a
``ValueError`` that names the parameter. Misconfiguration is Django's ``ImproperlyConfigured`` and stays outside of this
tree: it is for the site's developer. ``KeysDoNotFit`` is one of those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, ValidationError
from django.http import Http404
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from .choices import Channel
    from .ledger.disclosure_text import Disclosure

__all__ = [
    "BackendError",
    "BackendRejected",
    "BackendUnavailable",
    "ChannelTooWeak",
    "ConsentRequired",
    "FactorHeld",
    "FactorNotFound",
    "InvalidRecipient",
    "KeysDoNotFit",
    "LastFactor",
    "NoPendingLogin",
    "NotRedeemable",
    "RateLimited",
    "RejectCode",
    "ResetLinkRequired",
    "Retry",
    "TwilioVerifyError",
    "VerificationNotFound",
    "VerificationRequired",
]

Sentence = str | Promise


class TwilioVerifyError(Exception):
    """Base of all errors of this app.

    ``str()`` is the user's sentence for logs: it never holds a code, a secret or a whole recipient.

    Attributes:
        code: A stable word, one of the keys of ``user_messages``.
        params: Values that the sentence is made with.
        user_messages: Every code that the class uses, with its sentence.
        status_code: The HTTP status that says the same to programs.
    """

    user_messages: ClassVar[Mapping[str, Sentence]] = {}
    default_code: ClassVar[str] = "error"
    status_code: ClassVar[int] = 400

    def __init__(self, code: str | None = None, params: Mapping[str, Any] | None = None) -> None:
        self.code: str = code or self.default_code
        self.params: dict[str, Any] = dict(params or {})
        Exception.__init__(self, self.code)  # not super(): subclasses initialise their Django type themselves

    @property
    def user_message(self) -> str:
        """The sentence for the user, in the active language. Safe to show."""
        return _filled(self._template, self.params)

    @property
    def retry_after(self) -> int | None:
        """Whole seconds after which the same request may be made again, for ``Retry-After``; ``None`` if unknown."""
        return None

    def as_dict(self) -> dict[str, Any]:
        """Describe the error as JSON: ``code``, ``detail`` (the sentence), and ``retry_after`` where it is known."""
        known = {} if self.retry_after is None else {"retry_after": self.retry_after}
        return {"code": self.code, "detail": self.user_message, **known}

    @property
    def _template(self) -> Sentence:
        return site_message(self.code) or self.user_messages.get(self.code) or self.user_messages[self.default_code]

    def __str__(self) -> str:
        return self.user_message

    def __reduce__(self) -> tuple[Any, ...]:
        # Constructors take keywords, which pickle does not give: task queues and parallel tests copy errors.
        return _restored, (type(self), self.args), self.__dict__


def site_message(code: str) -> Sentence:
    """The site's own text for ``code`` (``TWILIO_VERIFY_ERROR_MESSAGES``), unfilled; ``""`` where it has none."""
    # From Django's settings: errors are below our own, which raise some. A check speaks of what is no dict.
    messages = getattr(django_settings, "TWILIO_VERIFY_ERROR_MESSAGES", None)
    return messages.get(code, "") if isinstance(messages, Mapping) else ""


def _filled(template: Sentence, params: Mapping[str, Any]) -> str:
    return str(template) % params if params else str(template)


def _restored(error_class: type[TwilioVerifyError], args: tuple[Any, ...]) -> TwilioVerifyError:
    return error_class.__new__(error_class, *args)


class InvalidRecipient(TwilioVerifyError, ValidationError):  # type: ignore[misc]  # code, params
    """The address is not one that a message can go to. A form may raise it as it stands."""

    default_code = "phone_invalid"
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        "phone_missing": _("Enter a phone number."),
        "phone_invalid": _("Enter a real phone number, like +1 202 555 0143."),
        "phone_country_missing": _("Choose the country of the number, or start it with + and the country code."),
        "phone_too_short": _("This phone number is too short."),
        "phone_too_long": _("This phone number is too long."),
        "phone_extension": _("Enter the number without an extension."),
        "phone_not_allowed": _("We cannot send codes to this kind of number."),
        "phone_no_text": _("This looks like a landline, which cannot get text messages. Choose a phone call instead."),
        "country_not_allowed": _("We cannot send codes to numbers of this country."),
        "email_missing": _("Enter an email address."),
        "email_invalid": _("Enter an email address in the right format, like name@example.com."),
        "email_typo": _("Did you mean %(suggestion)s? Correct the address and try again."),
        "wrong_kind": _("This way of getting a code does not fit the address."),
    }

    def __init__(self, code: str | None = None, params: Mapping[str, Any] | None = None) -> None:
        TwilioVerifyError.__init__(self, code, params)
        # The sentence unfilled: ValidationError fills it itself, in the language of whoever reads it.
        ValidationError.__init__(self, self._template, code=self.code, params=self.params)  # type: ignore[arg-type]
        self.args = (self.code,)

    def __str__(self) -> str:
        # SECURITY: the address that was meant is the person's own but for a letter: logs get its domain alone.
        return _filled(self._template, {name: _domain_of(value) for name, value in self.params.items()})


def _domain_of(value: Any) -> Any:
    return f"…@{value.rpartition('@')[2]}" if isinstance(value, str) and "@" in value else value


class NoPendingLogin(TwilioVerifyError, PermissionDenied):
    """Nobody has signed in with a password in this session, or that login is over. Nothing was sent and nothing judged.

    ``login_ended``: it expired, was ended elsewhere or was used.
    """

    status_code = 401
    default_code = "no_pending_login"
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        "no_pending_login": _("You're not signed in. Sign in first."),
        "login_ended": _("This sign-in has ended. Sign in again."),
    }


class VerificationRequired(TwilioVerifyError, PermissionDenied):
    """The user has a factor that was not verified in this session, or not lately. Nothing was changed."""

    status_code = 401
    default_code = "verification_required"
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        "verification_required": _("Confirm it's you first."),
    }


class NotRedeemable(TwilioVerifyError):
    """An approval opens nothing: used, too old, for something else, or of a factor that was removed meanwhile.

    ``verifications.redeem`` answers with a result instead; this is for functions that redeem by themselves.
    """

    status_code = 409
    default_code = "not_approved"
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        "not_approved": _("This hasn't been approved yet."),
        "used": _("This approval has been used already. Start again."),
        "too_late": _("You approved this too long ago. Approve it again."),
        "other_purpose": _("This was approved for something else. Approve it again."),
        "payment_changed": _("The amount or the payee isn't the one that you approved. Nothing was paid."),
        "factor_gone": _("This sign-in method was removed or changed. Choose another one."),
    }


class ResetLinkRequired(TwilioVerifyError, PermissionDenied):
    """Staff reset the user's factors, and this session has not opened the mailed link, so nothing is enrolled."""

    status_code = 403
    default_code = "reset_link_required"
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        "reset_link_required": _("Check your email for the link that lets you set up two-step verification again."),
    }


class ConsentRequired(TwilioVerifyError, PermissionDenied):
    """No live consent covers this person, this recipient and this channel, so nothing was sent.

    ``may_release``: the recipient opted out, and is a confirmed factor of this user, who may allow messages again.
    ``disclosure``: the words to show with an empty box where a tick may help (``can_agree``), else ``None``.
    """

    status_code = 403
    default_code = "consent_required"
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        "consent_required": _("We need your agreement before we can send a code there."),
        "disclosure_changed": _(
            "The text below has changed since you opened the page. Read it and tick the box again."
        ),
        # SECURITY: the same words as where the provider refuses: they do not say that somebody opted out.
        "consent_opted_out": _("We cannot send a code there right now. Try another way."),
        "consent_used_up": _("You agreed to one message, and it was sent. Start again if you need another."),
        "fallback_opted_out": _("We cannot send a code there right now. Try another way."),
    }

    def __init__(
        self,
        code: str | None = None,
        params: Mapping[str, Any] | None = None,
        *,
        may_release: bool = False,
        disclosure: Disclosure | None = None,
    ) -> None:
        super().__init__(code, params)
        self.may_release = may_release
        self.disclosure = disclosure
        if self._is_hidden:
            self.status_code = BackendRejected.status_code  # type: ignore[misc]  # of this one alone

    @property
    def can_agree(self) -> bool:
        """Whether a tick under the disclosure may help."""
        return self.code not in ("consent_opted_out", "fallback_opted_out")

    @property
    def user_message(self) -> str:
        return str(_MAY_RELEASE) if self.may_release else super().user_message

    def as_dict(self) -> dict[str, Any]:
        """Describe the error as JSON, with the ``disclosure`` to show where a tick may help."""
        shown = {} if self.disclosure is None else {"disclosure": self.disclosure.as_dict()}
        told = {"code": RejectCode.CANNOT_SEND.value} if self._is_hidden else {}
        return {**super().as_dict(), **shown, **told}

    @property
    def _is_hidden(self) -> bool:
        """SECURITY: whether nobody but the site is told of the opt-out: neither by the sentence, nor by the code and
        the status that programs get.
        """
        return not self.can_agree and not self.may_release

    @property
    def _template(self) -> Sentence:
        return site_message(self.code) or (BackendRejected()._template if self._is_hidden else super()._template)


_MAY_RELEASE = _(
    "Messages to this address were stopped. You can allow them again on the page “What you agreed to”. Until then, use "
    "another way."
)


class VerificationNotFound(TwilioVerifyError, Http404):
    """There is no such verification, or it belongs to another person or another browser session.

    ``verification_closed``: it is the caller's, but expired or over, so nothing more is sent for it.
    """

    status_code = 404
    default_code = "verification_not_found"
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        "verification_not_found": _("This verification is not known here. Start again."),
        "verification_closed": _("This code no longer works. Start again to get a new one."),
    }


class FactorNotFound(TwilioVerifyError, Http404):
    """The user has no such factor, or not any more: removed, replaced, lost, or never confirmed. Nothing was sent."""

    status_code = 404
    default_code = "factor_not_found"
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        "factor_not_found": _("This sign-in method was removed or changed. Choose another one."),
    }


class FactorHeld(TwilioVerifyError, PermissionDenied):
    """The sign-in method takes no answers after too many wrong ones, so nothing was sent and nothing judged."""

    status_code = 403
    default_code = "factor_held"
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        "factor_held": _(
            "This sign-in method is blocked after too many wrong codes. Use another one, or a recovery code."
        ),
    }


class ChannelTooWeak(TwilioVerifyError, PermissionDenied):
    """The site asks for a stronger way (``TWILIO_VERIFY_MINIMUM_ASSURANCE``), so nobody was asked and nothing sent."""

    status_code = 403
    default_code = "too_weak"
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        "too_weak": _("This way is not secure enough for what you are about to do. Choose a stronger one."),
    }


class LastFactor(TwilioVerifyError, PermissionDenied):
    """The factor may not be removed: without it the person could not sign in any more. Nothing was changed."""

    status_code = 409
    default_code = "last_factor"
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        "last_factor": _("You need one of these to sign in, and this is the last one that works. Add another first."),
        "unusable_left": _(
            "Without this one you could not sign in: the others do not work any more. Remove those first."
        ),
    }


class RateLimited(TwilioVerifyError):
    """Too many, too soon. ``retry_at``: aware UTC time from which it is allowed; ``code``: which rule it was."""

    status_code = 429
    default_code = "rate_limited"
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        "rate_limited": _("Too many requests. Try again later."),
        "cooldown": _("A code was sent a moment ago. Wait before you ask for another."),
        "no_sends_left": _("We have sent as many codes as we may for now."),
        "no_checks_left": _("Too many wrong codes. You can ask for a new code later."),
        "user_hour": _("You have asked for many codes. Try again later."),
        "owner_hour": _("Many codes were sent to this address. Try again later."),
        "owner_day": _("Many codes were sent to this address. Try again later."),
        "claim_ten_minutes": _("Many codes were sent to this address. Try again later."),
        "claim_hour": _("Many codes were sent to this address. Try again later."),
        "claim_day": _("Many codes were sent to this address. Try again later."),
        "claim_check_ten_minutes": _("Too many wrong codes. You can ask for a new code later."),
        "claim_check_hour": _("Too many wrong codes. You can ask for a new code later."),
        "claim_check_day": _("Too many wrong codes. You can ask for a new code later."),
        "login_network_hour": _("Many sign-ins were begun from your network. Try again later, or try another way."),
        "login_new_hour": _("Many sign-ins were begun from new networks. Try again later, or try another way."),
        "login_new_day": _("Many sign-ins were begun from new networks. Try again later, or try another way."),
        "login_app_hour": _("Many sign-ins were begun from your network. Try again later, or try another way."),
        "ip_hour": _("Many codes were asked for from your network. Try again later."),
        "recovery_hour": _("Too many wrong recovery codes. Try again later."),
        "guesses": _("Too many wrong codes. Wait before you try again, or use another sign-in method."),
        "push_unanswered_day": _("Your phone was asked many times today without a yes. Use another sign-in method."),
        "recovery_network_hour": _("Many recovery codes were tried from your network. Try again later."),
        "push_unanswered": _("Your phone was asked several times without a yes. Try again later, or try another way."),
        "passkey_ip_hour": _("Passkeys were asked for many times from your network. Try again later."),
        "consent_user_day": _("You have agreed to messages many times today. Try again tomorrow."),
        "consent_ip_day": _("Many people on your network have agreed to messages today. Try again tomorrow."),
        "consent_recipient_day": _("Many requests were made for this address today. Try again tomorrow."),
        "reopen_day": _("This number or address has opted out, and was sent all codes for today. Try again tomorrow."),
        "provider": _("Too many codes were asked for. Try again later."),
    }

    def __init__(
        self,
        code: str | None = None,
        *,
        retry_at: datetime,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.retry_at = retry_at
        super().__init__(code, params)

    @property
    def retry_after(self) -> int:
        return max(1, math.ceil((self.retry_at - timezone.now()).total_seconds()))


class Retry(Enum):
    """When the same request may be made again."""

    NOW = "now"
    AFTER_WAIT = "after_wait"  # after a while; nothing says how long
    AFTER_EXPIRY = "after_expiry"  # when the pending verification has expired
    NEVER = "never"  # not before the person or the operator has changed something


class BackendError(TwilioVerifyError):
    """The provider could not do what was asked. ``provider_code``: its number for it, 0 if it gave none.

    ``try_another_channel``: another channel may succeed where this one did not. ``channel_off``: the channel is not set
    up or switched on at the provider, so nobody can use it until an operator has seen to it. ``retry``: when to
    ask again.
    """

    try_another_channel: bool = True
    channel_off: bool = False
    retry: Retry = Retry.NOW

    def __init__(
        self,
        code: str | None = None,
        *,
        provider_code: int = 0,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.provider_code = provider_code
        super().__init__(code, params)


class BackendUnavailable(BackendError):
    """The provider did not answer, or answered that it is down. A person may try again.

    ``may_have_been_done``: the request may have been carried out all the same (a time-out after it was written); it
    must then not be repeated by itself.
    """

    status_code = 503
    default_code = "unavailable"
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        "unavailable": _("The service that sends our codes is not answering. Try again, or try another way."),
    }

    RETRY_SECONDS: ClassVar[int] = 30
    """Seconds after which a provider that was down may be asked again."""

    def __init__(self, *, may_have_been_done: bool, provider_code: int = 0) -> None:
        self.may_have_been_done = may_have_been_done
        super().__init__(provider_code=provider_code)

    @property
    def retry_after(self) -> int:
        return self.RETRY_SECONDS


class RejectCode(StrEnum):
    """Why the provider refused, for ``BackendRejected``."""

    CANNOT_SEND = "cannot_send"
    """Refused for a reason that the user must not learn (fraud, a blocked country), or that has no code below."""
    RECIPIENT = "recipient"
    """There is no such number or address, or it cannot be reached. Another channel does not help."""
    LANDLINE = "landline"
    """A landline, which gets no text messages. Recorded: from then on, calls are offered first."""
    OPTED_OUT = "opted_out"
    """The holder told the sender to stop. Recorded as an opt-out: nothing is sent there until it is released."""
    WAIT = "wait"
    """Too many requests. Nobody is asked for a while."""
    MISCONFIGURED = "misconfigured"
    """The operator has to change something: credentials, balance, sender. ``channel_off=True`` if the whole channel is
    affected.
    """
    CODE = "code"
    """What was typed cannot be a code. It counts as no answer."""
    SILENT = "silent"
    """The number could not be verified without a code."""
    UNDELIVERED = "undelivered"
    """Taken, and not delivered. May be tried again at once."""
    DEVICE = "device"
    """The factor that the provider keeps cannot be used as it is set up."""


class BackendRejected(BackendError):
    """The provider said no, and nothing was sent.

    ``other_channels``: the channels that lead there instead, named in the sentence, where a flow knows them.

    Args:
        code: A ``RejectCode`` or its value.
        provider_code: The provider's own number for the reason, 0 if it has none.
        params: Values for the sentence.
        try_another_channel: Whether another channel may succeed; follows from ``code`` unless given.
        channel_off: Whether the channel is out for everybody until an operator has seen to it.
        retry: When the same request may be made again; follows from ``code`` unless given.
        sends_used_up: With ``wait``, nothing more is sent for this verification until it expires.
        not_found: The provider has nothing by the name that it was asked for, which may be that of the Service.

    Raises:
        ValueError: ``code`` is no ``RejectCode``.
    """

    code: RejectCode

    other_channels: tuple[Channel, ...] = ()

    status_code = 422
    default_code = RejectCode.CANNOT_SEND
    user_messages: ClassVar[Mapping[str, Sentence]] = {
        # SECURITY: a fraud or country block reads like any other refusal: no feedback for who probes it.
        RejectCode.CANNOT_SEND: _("We cannot send a code there right now. Try another way."),
        RejectCode.RECIPIENT: _("We cannot reach this address. Check it, or try another way."),
        RejectCode.LANDLINE: _(
            "This looks like a landline, which cannot get text messages. Choose a phone call instead."
        ),
        RejectCode.OPTED_OUT: _("This number has stopped our messages. Text START to the sender, or try another way."),
        RejectCode.WAIT: _("Too many codes were asked for. Try again later."),
        RejectCode.MISCONFIGURED: _("This way does not work at the moment. Try another way."),
        RejectCode.CODE: _("Enter the code that we sent, digits only."),
        RejectCode.SILENT: _("We could not confirm this number without a code. Get a code instead."),
        RejectCode.UNDELIVERED: _("The message did not arrive. Try again, or try another way."),
        RejectCode.DEVICE: _("This device cannot be used as it is set up. Set it up again, or try another way."),
    }

    def __init__(
        self,
        code: RejectCode | str | None = None,
        *,
        provider_code: int = 0,
        params: Mapping[str, Any] | None = None,
        try_another_channel: bool | None = None,
        channel_off: bool = False,
        retry: Retry | None = None,
        sends_used_up: bool = False,
        not_found: bool = False,
    ) -> None:
        super().__init__(_reject_code(code), provider_code=provider_code, params=params)
        self.channel_off = channel_off
        self.sends_used_up = sends_used_up
        self.not_found = not_found
        self.try_another_channel = self.code not in _HERE_ALONE if try_another_channel is None else try_another_channel
        self.retry = retry or _RETRIES.get(self.code, Retry.NEVER)

    @property
    def user_message(self) -> str:
        if not self.other_channels:
            return super().user_message
        ways = ", ".join(str(channel.label) for channel in self.other_channels)
        return str(_("%(sentence)s Possible now: %(ways)s.") % {"sentence": super().user_message, "ways": ways})


def _reject_code(code: str | None) -> RejectCode | None:
    try:
        return RejectCode(code) if code else None
    except ValueError:
        choices = ", ".join(repr(one.value) for one in RejectCode)
        raise ValueError(f"BackendRejected: {code!r} is no RejectCode. Choose one of {choices}.") from None


# What another channel does not mend: the address is wrong, or the person has to wait whichever way she asks.
_HERE_ALONE = frozenset({RejectCode.RECIPIENT, RejectCode.WAIT, RejectCode.CODE})
_RETRIES: Mapping[RejectCode, Retry] = {
    RejectCode.WAIT: Retry.AFTER_WAIT,
    RejectCode.CODE: Retry.NOW,
    RejectCode.UNDELIVERED: Retry.NOW,
}


class KeysDoNotFit(ImproperlyConfigured):
    """The fingerprint keys of this process do not fit the register beside the ledger. Nothing was sent or changed.

    ``code``: one of ``reasons``; ``key_id``: the key it is about, ``""`` for ``unmatched``.
    """

    reasons: ClassVar[Mapping[str, str]] = {
        "missing": (
            "Key {key!r} wrote opt-outs and legal holds here, and TWILIO_VERIFY_FINGERPRINT_KEYS does not list it. "
            "List it with the secret it had."
        ),
        "changed": (
            "Key {key!r} is listed with another secret than the one it wrote with. List it with the secret it had."
        ),
        "retired_early": (
            "Key {key!r} is retired, but its rotation was never completed. List it with its secret and run "
            "rotate_fingerprint_keys; if the secret is lost, run rotate_fingerprint_keys --lost {key}."
        ),
        "rotated_away": (
            "Key {key!r} comes first, but its records were rotated to a newer key. Put the newer key in front of it."
        ),
        "unmatched": (
            "The evidence still holds this address under a fingerprint that no listed key or alias leads to. Run "
            "check_ledger, list every key with the secret it had, and run rotate_fingerprint_keys."
        ),
    }

    def __init__(self, code: str, key_id: str = "") -> None:
        self.code, self.key_id = code, key_id
        super().__init__(code, key_id)

    def __str__(self) -> str:
        return self.reasons[self.code].format(key=self.key_id)
