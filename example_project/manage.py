#!/usr/bin/env python
"""Django's command line for the Corner Shop. ``manage.py demo`` does all that is needed to look at it."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # What is wrong with the environment is one sentence (shop/environment.py), not a traceback.
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
