"""The forms of enrolling what the provider keeps."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from .codes import CodeForm


class AppCodeForm(CodeForm):
    """The first code that an authenticator app shows. What it means is decided by ``flows.devicefactors.confirm``."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].error_messages["required"] = _("Enter the code that the app shows.")
