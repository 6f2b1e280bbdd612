"""Where the apps that a site used before keep people's numbers and addresses.

Read through Django's registry, so none of these apps is imported here; what is asked for must be in ``INSTALLED_APPS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.module_loading import import_string

from ..choices import Channel
from ..core.recipients import Recipient
from ..exceptions import InvalidRecipient
from ..ledger.persons import email_of

BATCH = 500


class SourceMissing(ValueError):
    """The app is not installed, or does not say where it keeps numbers. The message may be shown."""


@dataclass(frozen=True, slots=True)
class Found:
    """What another app has of a person. ``where``: model and key of the row, for the report; ``raw``: the number or
    address as it stands there; ``channel``: how it was used, ``None`` for what Verify does not carry; ``proved``: the
    person has shown there that it is theirs; ``is_default``: it was asked first.
    """

    where: str
    user_id: Any
    raw: str
    channel: Channel | None
    proved: bool = True
    is_default: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """An app to import from. ``user_field``: the field of the user model that holds the number, where the app itself
    does not say whose a number is.
    """

    name: str
    user_field: str = ""

    def read(self) -> Iterator[Found]:
        """All that the app has, a few hundred rows in memory at a time. Raises ``SourceMissing``."""
        return _READERS[self.name](self)


def _two_factor(source: Source) -> Iterator[Found]:
    """django-two-factor-auth: phones, and the addresses of django-otp's email plugin. ``default`` is its word for the
    device that is asked first.
    """
    model = _model("phonenumber", "PhoneDevice", "two_factor.plugins.phonenumber")
    for row in _rows(model):
        channel = Channel.CALL if row.method == "call" else Channel.SMS
        yield _of_device(row, str(row.number), channel)
    if apps.is_installed("django_otp.plugins.otp_email"):
        for row in _rows(_model("otp_email", "EmailDevice", "django_otp.plugins.otp_email"), "user"):
            yield _of_device(row, row.email or email_of(row.user), Channel.EMAIL)


def _otp_twilio(source: Source) -> Iterator[Found]:
    """django-otp-twilio."""
    for row in _rows(_model("otp_twilio", "TwilioSMSDevice", "otp_twilio")):
        yield _of_device(row, row.number, Channel.SMS)


def _trench(source: Source) -> Iterator[Found]:
    """django-trench: methods by name; the number stands on the user, where its settings say."""
    methods = getattr(django_settings, "TRENCH_AUTH", {}).get("MFA_METHODS", {})
    fields = {
        "sms_twilio": "phone_number",
        "sms_api": "phone_number",
        "sms_aws": "phone_number",
        "email": "email",
        **{name: options["SOURCE_FIELD"] for name, options in methods.items() if "SOURCE_FIELD" in options},
    }
    for row in _rows(_model("trench", "MFAMethod", "trench"), "user"):
        channel = Channel.EMAIL if row.name == "email" else Channel.SMS if row.name in fields else None
        raw = _attribute(row.user, fields[row.name]) if row.name in fields else ""
        yield Found(_where(row), row.user_id, raw, channel, row.is_active, row.is_primary)


def _phone_verify(source: Source) -> Iterator[Found]:
    """django-phone-verify: it keeps which numbers were proved, and not by whom; whose they are the site's own user
    model says.
    """
    model = _model("phone_verify", "SMSVerification", "phone_verify")
    if not source.user_field:
        raise SourceMissing("django-phone-verify does not keep whose a number is: name the user model's field.")
    for batch in _batches(_people_with(source.user_field)):
        numbers = {user.pk: _attribute(user, source.user_field) for user in batch}
        proved = _proved(model, [number for number in numbers.values() if number])
        for user in batch:
            yield Found(_where(user), user.pk, numbers[user.pk], Channel.SMS, _e164(numbers[user.pk]) in proved)


def _allauth(source: Source) -> Iterator[Found]:
    """django-allauth: the adapter of the site knows its people's phones."""
    if not apps.is_installed("allauth.account"):
        raise SourceMissing("allauth.account is not in INSTALLED_APPS.")
    adapter = import_string("allauth.account.adapter.get_adapter")()
    for user in _rows(get_user_model()):
        try:
            phone = adapter.get_phone(user)
        except NotImplementedError:
            raise SourceMissing("The account adapter of this site keeps no phones (get_phone).") from None
        if phone is not None:
            yield Found(_where(user), user.pk, phone[0], Channel.SMS, bool(phone[1]))


_READERS: Mapping[str, Callable[[Source], Iterator[Found]]] = {
    "two_factor": _two_factor,
    "otp_twilio": _otp_twilio,
    "phone_verify": _phone_verify,
    "trench": _trench,
    "allauth": _allauth,
}

NAMES = tuple(_READERS)


def _of_device(row: Any, raw: str, channel: Channel) -> Found:
    """A row of a django-otp device."""
    label = "" if row.name in ("default", "backup") else row.name
    return Found(_where(row), row.user_id, raw, channel, row.confirmed, row.name == "default", label)


def _model(app_label: str, name: str, app: str) -> type[models.Model]:
    if not apps.is_installed(app):
        raise SourceMissing(f"{app} is not in INSTALLED_APPS.")
    return apps.get_model(app_label, name)


def _rows(model: type[models.Model], *related: str) -> Iterator[Any]:
    for batch in _batches(model._default_manager.select_related(*related) if related else model._default_manager.all()):
        yield from batch


def _batches(rows: models.QuerySet[Any]) -> Iterator[list[Any]]:
    """By primary key and not by cursor: MySQL's would hold the whole table in memory."""
    ordered = rows.order_by("pk")
    batch = list(ordered[:BATCH])
    while batch:
        yield batch
        batch = list(ordered.filter(pk__gt=batch[-1].pk)[:BATCH])


def _people_with(name: str) -> models.QuerySet[Any]:
    """Everybody whose field ``name`` is filled."""
    people = get_user_model()._default_manager.all()
    try:
        people.model._meta.get_field(name)
    except FieldDoesNotExist:
        raise SourceMissing(f"The user model has no field {name!r}.") from None
    return people.exclude(**{name: ""}).exclude(**{name: None})


def _proved(model: type[models.Model], numbers: list[str]) -> set[str]:
    rows = model._default_manager.filter(phone_number__in=numbers, is_verified=True)
    return {_e164(str(number)) for number in rows.values_list("phone_number", flat=True)}


def _e164(raw: str) -> str:
    try:
        return Recipient.phone(raw).value
    except InvalidRecipient:
        return ""


def _attribute(user: Any, path: str) -> str:
    """What a dotted path of attributes leads to, as text; ``""`` if it leads nowhere."""
    value = user
    for name in path.split("."):
        value = getattr(value, name, None)
    return str(value or "")


def _where(row: models.Model) -> str:
    return f"{row._meta.label} {row.pk}"
