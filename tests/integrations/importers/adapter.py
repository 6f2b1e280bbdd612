"""Where the site tells allauth its people's phones."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter


class Adapter(DefaultAccountAdapter):
    def get_phone(self, user: Any) -> tuple[str, bool] | None:
        return (user.phone, not user.phone.endswith("9")) if user.phone else None
