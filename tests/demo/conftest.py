"""Parts of the example project, in the tests' own process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "example_project"
if str(EXAMPLE) not in sys.path:
    sys.path.append(str(EXAMPLE))


@pytest.fixture
def example(settings: Any) -> None:
    """The shop's phone, behind ``/phone/``, with DEBUG as in the demo."""
    settings.DEBUG = True
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": "shop.phone.PhoneBackend"}}
    settings.ROOT_URLCONF = "tests.demo.urls"
    template = dict(settings.TEMPLATES[0])
    settings.TEMPLATES = [{**template, "DIRS": [str(EXAMPLE / "templates")]}]
