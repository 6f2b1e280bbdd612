"""The forms that ask for what was sent, or for a recovery code."""

from __future__ import annotations

from datetime import timedelta

from django import forms
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from .. import login
from ..backends.threads import query_twin_of
from ..backends.twins import Steps, verb, verb_twin_of
from ..client import client_from
from ..core.arguments import AnyUser, as_user
from ..exceptions import BackendError, RateLimited, TwilioVerifyError
from ..factors.results import RecoveryChecked
from ..verifications import api
from ..verifications.api import VerificationRef
from ..verifications.options import Payment
from ..verifications.redeeming import REDEEM_WITHIN
from ..verifications.results import Checked
from .recipients import require_valid


class CodeForm(forms.Form):
    """A code as typed. ``check`` has it judged.

    Attributes:
        checked: What the last ``check`` came to.
        failure: The error for which the last ``check`` could not be made, with its ``status_code`` and
            ``retry_after``; ``None`` if there was none.
    """

    checked: Checked
    failure: TwilioVerifyError | None = None

    # No maxlength: it would cut "123 456" when pasted. Not type=number: that drops leading zeros.
    code = forms.CharField(
        label=_("Code"),
        max_length=200,
        error_messages={"required": _("Enter the code that we sent.")},
        widget=forms.TextInput(
            attrs={
                "inputmode": "numeric",
                "autocomplete": "one-time-code",
                "autocapitalize": "off",
                "spellcheck": "false",
                "maxlength": None,
            }
        ),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["code"].widget.attrs.pop("maxlength", None)

    @verb
    def check(
        self,
        request: HttpRequest,
        verification: VerificationRef,
        *,
        user: AnyUser = None,
        payment: Payment | None = None,
    ) -> Steps[bool]:
        """Check the code of a valid form. A wrong one is an error of the field ``code``; so is a provider that fails.

        For what was started by ``verifications.start`` or by a form. A second factor is checked by ``login.check``.

        Args:
            request: The request of the session that started it.
            verification: What was started.
            user: Whose verification it must be, such as ``request.user``.
            payment: What is approved with it, as the user sees it.

        Returns:
            Whether the code is right. True as well for the second half of a double click, so what must happen once
            belongs behind ``verifications.redeem``; ``checked.approved`` is true for exactly one call.

        Raises:
            VerificationNotFound: Unknown, or of another session or user.
            ValueError: The form is not valid.
        """
        require_valid(self)
        given = api.given_answer(
            verification, client_from(request), user, code=self.cleaned_data["code"], payment=payment
        )
        self.failure = None
        try:
            checked = yield from api.judged_steps(given)
        except BackendError as error:
            self.failure = error
            self.add_error("code", error.user_message)
            return False
        return show_checked(self, checked, user=user)

    acheck = verb_twin_of(check)


def show_checked(form: CodeForm, checked: Checked, *, user: AnyUser = None) -> bool:
    """Keep ``checked`` with ``form``; whether it was right, just now. Otherwise its sentence is shown at the code."""
    form.checked = checked
    if checked.approved or _is_double_click(checked, user):
        return True
    form.add_error("code", checked.user_message)
    return False


def _is_double_click(checked: Checked, user: AnyUser) -> bool:
    """SECURITY: what was approved lately, by this very user or by a visitor who still is one: any code comes to
    ``already_approved``, also when somebody else has signed in to the session since.
    """
    verification, account = checked.verification, as_user(user)
    if not checked.already_approved or verification.approved_at is None:
        return False
    is_own = verification.user_id == (account.pk if account is not None else None)
    age: timedelta = timezone.now() - verification.approved_at
    return is_own and age <= REDEEM_WITHIN


class RecoveryCodeForm(forms.Form):
    """A recovery code as typed. ``check`` spends it.

    Attributes:
        checked: What the last ``check`` came to.
        failure: The limit that refused the last ``check``; ``None`` if none did.
    """

    checked: RecoveryChecked
    failure: TwilioVerifyError | None = None

    code = forms.CharField(
        label=_("Recovery code"),
        max_length=100,
        error_messages={"required": _("Enter one of your recovery codes.")},
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}),
    )

    @sensitive_variables()
    def check(self, request: HttpRequest) -> bool:
        """Spend the code of a valid form, and complete the pending login or the step-up with it.

        A wrong one is an error of the field ``code``, and so is a limit.

        Returns:
            Whether the code was right.

        Raises:
            NoPendingLogin: There is no user who could be asked.
            ValueError: The form is not valid.
        """
        require_valid(self)
        self.failure = None
        try:
            self.checked = login.check_recovery_code(request, self.cleaned_data["code"])
        except RateLimited as error:
            self.failure = error
            self.add_error("code", error.user_message)
            return False
        if not self.checked.approved:
            self.add_error("code", self.checked.user_message)
        return self.checked.approved

    acheck = query_twin_of(check)


class AppCodeForm(CodeForm):
    """A code of an authenticator app, as typed."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].error_messages["required"] = _("Enter the code that your authenticator app shows.")


class NumberForm(forms.Form):
    """The number that a phone shows, as typed; left empty by who only asks whether the phone has said yes."""

    # As above: no maxlength, and not type=number.
    number = forms.CharField(
        label=_("Number on your phone"),
        required=False,
        max_length=100,
        widget=forms.TextInput(
            attrs={"inputmode": "numeric", "autocomplete": "off", "spellcheck": "false", "maxlength": None}
        ),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["number"].widget.attrs.pop("maxlength", None)
