"""The test site with its consent ledger in a second database. Run by ``tests/models/test_elsewhere.py``."""

from __future__ import annotations

import os
from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

_FILE = Path(os.environ.get("TMPDIR", "/tmp")) / f"{os.environ['TEST_DATABASE_NAME']}-ledger.sqlite3"
DATABASES["ledger"] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": str(_FILE),
    "TEST": {"NAME": str(_FILE)},
    "OPTIONS": {"timeout": 20},
}
DATABASE_ROUTERS = ["tests.models.router.LedgerRouter"]
