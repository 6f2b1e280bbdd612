"""The methods, under the codes that the stock setup wizard can finish: it knows ``sms``, ``call`` and ``email``."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from two_factor.plugins.registry import MethodBase, registry

from ...choices import Channel, FactorKind
from ...conf import settings
from ..otp.models import VerifyDevice
from .enrollment import Enrollment
from .forms import CallForm, CodeTokenForm, CodeValidationForm, EmailAddressForm, SmsForm


class VerifyMethod(MethodBase):  # untyped
    """Codes by one channel."""

    form_class: type[Any]

    @property
    def channel(self) -> Channel:
        return Channel(self.code)

    @property
    def step(self) -> str:
        """The wizard's step that asks where to. Not the code: for steps of those names the wizard forces a form of its
        own, which makes numbers of codes and so loses their leading zeros.
        """
        return f"{self.code}_address"

    def get_devices(self, user: Any) -> list[VerifyDevice]:
        found = VerifyDevice.objects.devices_for_user(user, confirmed=True) if user else ()
        return [one for one in found if self.recognize_device(one)]

    def recognize_device(self, device: Any) -> bool:
        return isinstance(device, VerifyDevice) and _method_of(device) is self

    def get_setup_forms(self, wizard: Any) -> dict[str, type[Any]]:
        return {self.step: self.form_class, "validation": CodeValidationForm}

    def get_device_from_setup_data(self, request: HttpRequest, storage_data: Any, **kwargs: Any) -> Enrollment:
        return Enrollment(request, self.channel, storage_data.get(self.step))

    def get_token_form_class(self) -> type[Any]:
        return CodeTokenForm

    def get_action(self, device: VerifyDevice) -> str:
        if device.factor.kind == FactorKind.TOTP:
            return _("Use your authenticator app")
        return _("Send a code to %(recipient)s") % {"recipient": device.factor.masked}

    def get_verbose_action(self, device: VerifyDevice) -> str:
        """What came of the challenge, also where nothing could be sent."""
        if device.factor.kind == FactorKind.TOTP:
            return _("Enter the code that your authenticator app shows.")
        return device.said or _("Enter the code that we sent.")


class SmsMethod(VerifyMethod):
    code = "sms"
    verbose_name = gettext_lazy("Text message (SMS)")
    form_class = SmsForm


class CallMethod(VerifyMethod):
    code = "call"
    verbose_name = gettext_lazy("Phone call")
    form_class = CallForm


class EmailMethod(VerifyMethod):
    code = "email"
    verbose_name = gettext_lazy("Email")
    form_class = EmailAddressForm


_ALL = (SmsMethod(), CallMethod(), EmailMethod())


def offered() -> tuple[VerifyMethod, ...]:
    """Those of ``TWILIO_VERIFY_CHANNELS``, in that order."""
    by_code = {method.code: method for method in _ALL}
    return tuple(by_code[one.value] for one in settings.channels if one.value in by_code)


def register_all(**kwargs: Any) -> None:
    """Have the registry offer ours, and none of others under the same codes: it ignores who comes second."""
    for method in _ALL:
        registry.unregister(method.code)
    for method in offered():
        registry.register(method)


def _method_of(device: VerifyDevice) -> VerifyMethod | None:
    """The method that speaks for ``device``: of its channel, or else the first, so that none is without."""
    ours = offered()
    return next((one for one in ours if one.code == device.factor.channel), next(iter(ours), None))
