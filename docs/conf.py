"""Settings of Sphinx. Build with ``sphinx-build -W -b html docs build/docs``."""

import secrets
import sys
from importlib import import_module
from pathlib import Path

import django
from django.conf import settings

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

# autodoc imports models, and Django wants to be set up for that. No database is touched.
settings.configure(
    SECRET_KEY=secrets.token_hex(),
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django_twilio_verify",
    ],
)
django.setup()

project = "django-twilio-verify"
author = "django-twilio-verify contributors"
release = version = import_module("django_twilio_verify").__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "settings_overview", "twilio_error_table"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
