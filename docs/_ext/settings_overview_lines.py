"""The overview of the settings, as lines of Markdown. Apart from the directive, so that a test needs no Sphinx."""

from __future__ import annotations

from django_twilio_verify.conf import TABLE


def lines() -> list[str]:
    """Return the table: name, type and default of each setting, in the order of the reference."""
    body = [
        f"| [`{one.name}`](#{one.name.lower()}) | {one.kind} | {one.documented_default} |" for one in TABLE.values()
    ]
    return ["| Setting | Type and unit | Default |", "|---|---|---|", *body]
