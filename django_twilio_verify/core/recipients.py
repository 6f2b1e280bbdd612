"""The address a message goes to: parsed, normalised, masked and fingerprinted in one place."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass
from typing import Self

import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from phonenumber_field.phonenumber import PhoneNumber as FieldPhoneNumber
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult

from ..choices import RecipientKind
from ..exceptions import InvalidRecipient

_SCHEME = re.compile(r"^(?:tel|sms|mailto):", re.IGNORECASE)
_UNSEEN = re.compile(r"[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]+")
"""Marks that address books put around numbers and addresses. Joiners are not among them: they are part of words."""
_LENGTHS = {
    ValidationResult.IS_POSSIBLE: "",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "phone_too_short",  # the area code is missing
    ValidationResult.TOO_SHORT: "phone_too_short",
    ValidationResult.TOO_LONG: "phone_too_long",
    ValidationResult.INVALID_LENGTH: "phone_invalid",  # between the lengths that the country has
    ValidationResult.INVALID_COUNTRY_CODE: "phone_invalid",
}
_UNREADABLE = {
    NumberParseException.NOT_A_NUMBER: "phone_invalid",
    NumberParseException.INVALID_COUNTRY_CODE: "phone_invalid",
    NumberParseException.TOO_SHORT_AFTER_IDD: "phone_too_short",
    NumberParseException.TOO_SHORT_NSN: "phone_too_short",
    NumberParseException.TOO_LONG: "phone_too_long",
}
_NO_SMS = frozenset(
    {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.PAGER,
        PhoneNumberType.UAN,
        PhoneNumberType.VOICEMAIL,
    }
)
# Twilio names premium and shared-cost numbers first among those that pay fraudsters for calls.
_NEVER = frozenset({PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST})
_CHEAP_TYPOS = {
    "gmail": ("gmial", "gmal", "gmai", "gnail", "gmaill", "gamil"),
    "hotmail": ("hotmial", "hotmal", "hotmai"),
    "yahoo": ("yaho", "yahooo", "yhaoo"),
    "outlook": ("outlok", "outloook"),
    "icloud": ("iclod", "icoud"),
}
_TYPO_HOSTS = {typo: host for host, typos in _CHEAP_TYPOS.items() for typo in typos}
_TYPO_ENDINGS = {
    "con": "com",
    "cmo": "com",
    "comm": "com",
    "ocm": "com",
    "vom": "com",
    "xom": "com",
}


@dataclass(frozen=True, slots=True)
class FingerprintKey:
    """A key for fingerprints: ``id`` up to 12 letters or digits, stored beside each print; ``secret`` bytes."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"<FingerprintKey {self.id}>"

    def fingerprint(self, domain: str, value: str) -> str:
        """A keyed digest of ``value``, as ``<key id>.<40 hex digits>``.

        ``domain`` keeps equal values of different kinds apart. 160 bits of HMAC-SHA-256 are kept: far beyond
        chance collisions, and half the index (truncation as in RFC 2104 section 5).
        """
        digest = hmac.new(self.secret, f"{domain}\0{value}".encode(), hashlib.sha256).hexdigest()
        return f"{self.id}.{digest[:40]}"


@dataclass(frozen=True, slots=True)
class Recipient:
    """A phone number or an email address, normalized: two are equal if they reach the same phone or inbox.

    Args:
        kind: ``phone`` or ``email``.
        value: The number in E.164, as ``+12025550143``, or the address.
    """

    kind: RecipientKind
    value: str

    @classmethod
    def parse(cls, raw: str | Recipient | FieldPhoneNumber, *, region: str | None = None) -> Recipient:
        """The recipient that ``raw`` means: an email address if it has an ``@``, a phone number otherwise.

        ``raw`` may be a value of a django-phonenumber-field column too. ``region``: ISO 3166 alpha-2 country of a
        number written without ``+``.
        Raises ``InvalidRecipient``, whose ``code`` says what is wrong and whose message may be shown.
        """
        if isinstance(raw, cls):
            return raw
        if isinstance(raw, PhoneNumber):
            raw = _of_field(raw)
        text = _cleaned(raw)
        return cls.email(text) if "@" in text else cls.phone(text, region=region)

    @classmethod
    def phone(cls, raw: str, *, region: str | None = None) -> Self:
        """A phone number from any national or international way of writing it. Errors as ``parse``."""
        # What is said of a number is decided by length ("possible"), not by the range tables: those go stale and
        # then refuse real numbers, and Twilio is the judge of what can be reached.
        text = _cleaned(raw)
        if not text:
            raise InvalidRecipient("phone_missing")
        if "\0" in text:
            raise InvalidRecipient("phone_invalid")
        number = _parse_number(text, region)
        if problem := _LENGTHS[phonenumbers.is_possible_number_with_reason(number)]:
            raise InvalidRecipient(problem)
        if number.extension:
            raise InvalidRecipient("phone_extension")
        if phonenumbers.number_type(number) in _NEVER:
            raise InvalidRecipient("phone_not_allowed")
        return cls(RecipientKind.PHONE, phonenumbers.format_number(number, PhoneNumberFormat.E164))

    @classmethod
    def email(cls, raw: str) -> Self:
        """An email address; the domain is lowered and in ASCII, the local part is kept as typed (RFC 5321 section 2.4).

        Errors as ``parse``; a domain that is one slip from a well-known one has the code ``email_typo`` and
        the address that was probably meant in ``params["suggestion"]``.
        """
        text = _cleaned(raw)
        if not text:
            raise InvalidRecipient("email_missing")
        local, _, domain = text.rpartition("@")
        domain = _ascii_domain(domain.lower())
        value = f"{local}@{domain}"
        try:
            EmailValidator()(value)
        except ValidationError:
            raise InvalidRecipient("email_invalid") from None  # the cause would carry the address into a traceback
        if len(value) > 254:
            raise InvalidRecipient("email_invalid")
        meant = _meant_domain(domain)
        if meant:
            raise InvalidRecipient("email_typo", {"suggestion": f"{local}@{meant}"})
        return cls(RecipientKind.EMAIL, value)

    @property
    def is_phone(self) -> bool:
        """Whether it is a phone number."""
        return self.kind == RecipientKind.PHONE

    @property
    def country(self) -> str:
        """ISO 3166 alpha-2 code of a number's country; ``""`` for email and for numbers of no country."""
        if not self.is_phone:
            return ""
        region = phonenumbers.region_code_for_number(self._number) or ""
        return region if len(region) == 2 else _main_region(self._number)

    @property
    def calling_code(self) -> int | None:
        """The number's country calling code, as 1 for the North American plan; ``None`` for email."""
        return self._number.country_code if self.is_phone else None

    @property
    def can_take_text(self) -> bool:
        """Whether a text message can arrive, as far as the number's shape tells: false for a known landline."""
        return self.is_phone and phonenumbers.number_type(self._number) not in _NO_SMS

    @property
    def display(self) -> str:
        """The whole address as a person writes it: for the person who has just typed it, and nobody else."""
        if not self.is_phone:
            local, _, domain = self.value.rpartition("@")
            return f"{local}@{_readable_domain(domain)}"
        return phonenumbers.format_number(self._number, PhoneNumberFormat.INTERNATIONAL)

    @property
    def masked(self) -> str:
        """What may be shown of it: the last two digits, or the first letter and the domain."""
        if self.is_phone:
            return f"••• ••{self.value[-2:]}"
        local, _, domain = self.value.rpartition("@")
        return f"{local[:1]}•••@{domain}"

    def fingerprint(self, key: FingerprintKey) -> str:
        """A keyed digest that finds the recipient again without saying who it is."""
        return key.fingerprint(f"recipient:{self.kind.value}", self._fingerprinted)

    @property
    def _fingerprinted(self) -> str:
        # In practice no provider tells local parts apart by case: an opt-out must not be escaped by a capital.
        return self.value if self.is_phone else self.value.casefold()

    @property
    def _number(self) -> PhoneNumber:
        return phonenumbers.parse(self.value)

    def __str__(self) -> str:
        # SECURITY: whole recipients never reach a log or a traceback through str() or repr().
        return self.masked

    def __repr__(self) -> str:
        return f"<Recipient {self.kind.value} {self.masked}>"


def _cleaned(raw: object) -> str:
    """``raw`` without what address books and full-width keyboards add. What is far too long is left as it is."""
    text = str(raw)
    if len(text) <= 1000:
        text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    return _SCHEME.sub("", text.strip()).strip()


def _of_field(number: PhoneNumber) -> str:
    """The text that a parsed number stands for. Raises ``InvalidRecipient`` for one with an extension."""
    if number.extension:
        raise InvalidRecipient("phone_extension")  # E.164 would drop it
    if not number.country_code:  # django-phonenumber-field keeps what it could not parse
        return str(number.raw_input or "")
    # Its str() follows the site's display settings; E.164 does not.
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _ascii_domain(domain: str) -> str:
    """``domain`` as the name system writes it (``xn--…``), so that both ways of writing it are one recipient.

    Left as it is where that would lead to another domain: Python's IDNA 2003 reads ``ß`` as ``ss``.
    Raises ``InvalidRecipient`` for one that the name system cannot hold.
    """
    if domain.isascii():
        return domain
    try:
        encoded = domain.encode("idna")
        return encoded.decode("ascii") if encoded.decode("idna") == domain else domain
    except UnicodeError:
        raise InvalidRecipient("email_invalid") from None


def _readable_domain(domain: str) -> str:
    try:
        return domain.encode().decode("idna")
    except UnicodeError:  # "xn--" and no punycode after it, or a domain that has no ASCII form
        return domain


def _parse_number(text: str, region: str | None) -> PhoneNumber:
    try:
        return phonenumbers.parse(text, region.upper() if region else None)
    except NumberParseException as error:
        needs_country = error.error_type == NumberParseException.INVALID_COUNTRY_CODE and "+" not in text
        code = "phone_country_missing" if needs_country else _UNREADABLE[error.error_type]
        raise InvalidRecipient(code) from None  # the cause would carry the number into a traceback


def _main_region(number: PhoneNumber) -> str:
    # A number outside the known ranges still has its calling code's main country ("US" for +1).
    region = phonenumbers.region_code_for_country_code(number.country_code or 0)
    return region if region and region.isalpha() and region != "ZZ" else ""


def _meant_domain(domain: str) -> str:
    """The well-known domain that ``domain`` is a slip of, or ``""``."""
    host, dot, ending = domain.rpartition(".")
    if not dot:
        return ""
    meant = f"{_TYPO_HOSTS.get(host, host)}.{_TYPO_ENDINGS.get(ending, ending)}"
    return meant if meant != domain else ""
