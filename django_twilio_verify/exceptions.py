"""What can go wrong, each with a stable code, a sentence for the person and the right HTTP answer.

Misconfiguration is Django's ``ImproperlyConfigured`` and is not in this tree: it is for the site's developer.
``KeysDoNotFit`` is one of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import ImproperlyConfigured, PermissionDenied, ValidationError
from django.http import Http404
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from .choices import Channel

Sentence = str | Promise


class TwilioVerifyError(Exception):
    """Base of all errors of this app. ``code``: stable word; ``params``: values its sentence is made with.

    ``sentence`` is for the person. ``str()`` is the same sentence for logs: it never holds a code, a secret or a whole
    recipient. ``sentences``: every code that the class uses, with its sentence.
    """

    sentences: ClassVar[Mapping[str, Sentence]] = {}
    default_code: ClassVar[str] = "error"

    def __init__(self, code: str | None = None, params: Mapping[str, Any] | None = None) -> None:
        self.code = code or self.default_code
        self.params = dict(params or {})
        Exception.__init__(self, self.code)  # not super(): subclasses initialise their Django type themselves

    @property
    def sentence(self) -> str:
        """The sentence for the person, in the active language."""
        return _filled(self._template, self.params)

    @property
    def _template(self) -> Sentence:
        return self.sentences.get(self.code) or self.sentences[self.default_code]

    def __str__(self) -> str:
        return self.sentence

    def __reduce__(self) -> tuple[Any, ...]:
        # Constructors take keywords, which pickle does not give: task queues and parallel tests copy errors.
        return _restored, (type(self), self.args), self.__dict__


def _filled(template: Sentence, params: Mapping[str, Any]) -> str:
    return str(template) % params if params else str(template)


def _restored(error_class: type[TwilioVerifyError], args: tuple[Any, ...]) -> TwilioVerifyError:
    return error_class.__new__(error_class, *args)


class InvalidRecipient(TwilioVerifyError, ValidationError):  # type: ignore[misc]  # code, params
    """The address is not one that a message can go to. A form may raise it as it stands."""

    default_code = "phone_invalid"
    sentences: ClassVar[Mapping[str, Sentence]] = {
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


class ResetLinkRequired(TwilioVerifyError, PermissionDenied):
    """Staff reset the user's factors, and this session has not opened the mailed link, so nothing is enrolled."""

    default_code = "reset_link_required"
    sentences: ClassVar[Mapping[str, Sentence]] = {
        "reset_link_required": _("Check your email for the link that lets you set up two-step verification again."),
    }


class ConsentRequired(TwilioVerifyError, PermissionDenied):
    """No live consent covers this person, this recipient and this channel, so nothing was sent.

    ``may_release``: the recipient opted out, and is a confirmed factor of this user, who may allow messages again.
    """

    default_code = "consent_required"
    sentences: ClassVar[Mapping[str, Sentence]] = {
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
        self, code: str | None = None, params: Mapping[str, Any] | None = None, *, may_release: bool = False
    ) -> None:
        super().__init__(code, params)
        self.may_release = may_release

    @property
    def can_agree(self) -> bool:
        """Whether a tick under the disclosure may help."""
        return self.code not in ("consent_opted_out", "fallback_opted_out")

    @property
    def sentence(self) -> str:
        return str(_MAY_RELEASE) if self.may_release else super().sentence


_MAY_RELEASE = _(
    "Messages to this address were stopped. You can allow them again on the page “What you agreed to”. Until then, use "
    "another way."
)


class VerificationNotFound(TwilioVerifyError, Http404):
    """There is no such verification, or it belongs to another person or another browser session.

    ``verification_closed``: it is the caller's, but expired or over, so nothing more is sent for it.
    """

    default_code = "verification_not_found"
    sentences: ClassVar[Mapping[str, Sentence]] = {
        "verification_not_found": _("This verification is not known here. Start again."),
        "verification_closed": _("This code no longer works. Start again to get a new one."),
    }


class FactorNotFound(TwilioVerifyError, Http404):
    """The user has no such factor, or not any more: removed, replaced, lost, or never confirmed. Nothing was sent."""

    default_code = "factor_not_found"
    sentences: ClassVar[Mapping[str, Sentence]] = {
        "factor_not_found": _("This sign-in method was removed or changed. Choose another one."),
    }


class FactorHeld(TwilioVerifyError, PermissionDenied):
    """The sign-in method takes no answers after too many wrong ones, so nothing was sent and nothing judged."""

    default_code = "factor_held"
    sentences: ClassVar[Mapping[str, Sentence]] = {
        "factor_held": _(
            "This sign-in method is blocked after too many wrong codes. Use another one, or a recovery code."
        ),
    }


class TooWeak(TwilioVerifyError, PermissionDenied):
    """The site asks for a stronger way (``TWILIO_VERIFY_MINIMUM_ASSURANCE``), so nobody was asked and nothing sent."""

    default_code = "too_weak"
    sentences: ClassVar[Mapping[str, Sentence]] = {
        "too_weak": _("This way is not secure enough for what you are about to do. Choose a stronger one."),
    }


class LastFactor(TwilioVerifyError, PermissionDenied):
    """The factor may not be removed: without it the person could not sign in any more. Nothing was changed."""

    default_code = "last_factor"
    sentences: ClassVar[Mapping[str, Sentence]] = {
        "last_factor": _("You need one of these to sign in, and this is the last one that works. Add another first."),
        "lost_left": _("Without this one you could not sign in: the others do not work any more. Remove those first."),
    }


class RateLimited(TwilioVerifyError):
    """Too many, too soon. ``retry_at``: aware UTC time from which it is allowed; ``code``: which rule it was."""

    default_code = "rate_limited"
    sentences: ClassVar[Mapping[str, Sentence]] = {
        "rate_limited": _("Too many requests. Try again later."),
        "resend_too_early": _("A code was sent a moment ago. Wait before you ask for another."),
        "sends_used_up": _("We have sent as many codes as we may for now."),
        "checks_used_up": _("Too many wrong codes. You can ask for a new code later."),
        "person_hour": _("You have asked for many codes. Try again later."),
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
        "consent_person_day": _("You have agreed to messages many times today. Try again tomorrow."),
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


class Retry(Enum):
    """When the same request may be made again."""

    NOW = "now"
    AFTER_WAIT = "after_wait"  # after a while; nothing says how long
    AFTER_EXPIRY = "after_expiry"  # when the pending verification has expired
    NEVER = "never"  # not before the person or the operator has changed something


class BackendError(TwilioVerifyError):
    """The provider could not do what was asked. ``provider_code``: its number for it, 0 if it gave none.

    ``try_another_way``: another channel may succeed where this one did not. ``channel_off``: the channel is not set up
    or switched on at the provider, so nobody can use it until an operator has seen to it. ``retry``: when to ask again.
    """

    try_another_way: bool = True
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

    ``perhaps_done``: the request may have been carried out all the same (a time-out after it was written); it
    must then not be repeated by itself.
    """

    default_code = "unavailable"
    sentences: ClassVar[Mapping[str, Sentence]] = {
        "unavailable": _("The service that sends our codes is not answering. Try again, or try another way."),
    }

    def __init__(self, *, perhaps_done: bool, provider_code: int = 0) -> None:
        self.perhaps_done = perhaps_done
        super().__init__(provider_code=provider_code)


class BackendRejected(BackendError):
    """The provider said no, and nothing was sent. ``code`` is one of the keys of ``sentences``.

    ``try_another_way`` and ``retry`` follow from ``code`` unless given. ``other_channels``: the channels that lead
    there instead, named in the sentence, where a flow knows them.
    """

    other_channels: tuple[Channel, ...] = ()

    default_code = "cannot_send"
    sentences: ClassVar[Mapping[str, Sentence]] = {
        # SECURITY: a fraud or country block reads like any other refusal: no feedback for who probes it.
        "cannot_send": _("We cannot send a code there right now. Try another way."),
        "recipient": _("We cannot reach this address. Check it, or try another way."),
        "landline": _("This looks like a landline, which cannot get text messages. Choose a phone call instead."),
        "opted_out": _("This number has stopped our messages. Text START to the sender, or try another way."),
        "wait": _("Too many codes were asked for. Try again later."),
        "misconfigured": _("This way does not work at the moment. Try another way."),
        "code": _("Enter the code that we sent, digits only."),
        "silent": _("We could not confirm this number without a code. Get a code instead."),
        "undelivered": _("The message did not arrive. Try again, or try another way."),
        "device": _("This device cannot be used as it is set up. Set it up again, or try another way."),
    }

    def __init__(
        self,
        code: str | None = None,
        *,
        provider_code: int = 0,
        params: Mapping[str, Any] | None = None,
        try_another_way: bool | None = None,
        channel_off: bool = False,
        retry: Retry | None = None,
    ) -> None:
        super().__init__(code, provider_code=provider_code, params=params)
        self.channel_off = channel_off
        self.try_another_way = self.code not in _HERE_ALONE if try_another_way is None else try_another_way
        self.retry = retry or _RETRIES.get(self.code, Retry.NEVER)

    @property
    def sentence(self) -> str:
        if not self.other_channels:
            return super().sentence
        ways = ", ".join(str(channel.label) for channel in self.other_channels)
        return str(_("%(sentence)s Possible now: %(ways)s.") % {"sentence": super().sentence, "ways": ways})


# What another channel does not mend: the address is wrong, or the person has to wait whichever way she asks.
_HERE_ALONE = frozenset({"recipient", "wait", "code"})
_RETRIES: Mapping[str, Retry] = {"wait": Retry.AFTER_WAIT, "code": Retry.NOW, "undelivered": Retry.NOW}


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
