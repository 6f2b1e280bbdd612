"""``{twilio-errors}``: Twilio's error numbers and what the app makes of each, read from the table that the code uses.

Written by hand, the page would be wrong after the first change of that table.
"""

from __future__ import annotations

from collections.abc import Iterable

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from twilio_error_texts import texts

from django_twilio_verify.backends.twilio.error_table import TABLE, Row

HEAD = (
    "Twilio's number",
    "Meaning, as the operator's log says it",
    "The caller gets",
    "The person reads",
    "Another way?",
    "Again",
    "Log",
)


class TwilioErrors(SphinxDirective):
    """The table."""

    def run(self) -> list[nodes.Node]:
        body = [_cells(code, row) for code, row in sorted(TABLE.items())]
        table = nodes.table()
        group = nodes.tgroup(cols=len(HEAD))
        group += [nodes.colspec(colwidth=width) for width in (8, 30, 16, 26, 10, 10, 8)]
        group += nodes.thead("", _line([nodes.paragraph(text=word) for word in HEAD]))
        group += nodes.tbody("", *[_line(cells) for cells in body])
        table += group
        return [table]


def _cells(code: int, row: Row) -> list[nodes.paragraph]:
    number, *others = texts(code, row)
    return [nodes.paragraph("", "", nodes.literal(text=number)), *[nodes.paragraph(text=text) for text in others]]


def _line(cells: Iterable[nodes.paragraph]) -> nodes.row:
    return nodes.row("", *[nodes.entry("", cell) for cell in cells])


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("twilio-errors", TwilioErrors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
