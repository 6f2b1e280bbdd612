"""What the tests of the wall share."""

from __future__ import annotations

import pytest

from django_twilio_verify.login import decision_cache


@pytest.fixture(autouse=True)
def more_doors(settings):
    settings.ROOT_URLCONF = "tests.login.enforcement.urls"
    settings.SESSION_ENGINE = (
        "django.contrib.sessions.backends.db"  # statements are counted, also where a cache is at hand
    )


@pytest.fixture(autouse=True)
def a_process_that_remembers_nothing():
    decision_cache._noted.clear()
