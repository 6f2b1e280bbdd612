"""An authentication backend that knows nobody."""

from __future__ import annotations

from django.contrib.auth.backends import BaseBackend


class Nobody(BaseBackend):
    pass
