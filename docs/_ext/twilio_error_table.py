"""``{twilio-errors}``: Twilio's error numbers and what the app makes of each, read from the table that the code uses.

Written by hand, the page would be wrong after the first change of that table.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from django_twilio_verify.backends.errors import TABLE, Reaction, Row

HEAD = ("Twilio's number", "Meaning, as the operator's log says it", "On a send, the caller gets", "Log")


class TwilioErrors(SphinxDirective):
    """The table."""

    def run(self) -> list[nodes.Node]:
        body = [_cells(code, row) for code, row in sorted(TABLE.items())]
        table = nodes.table()
        group = nodes.tgroup(cols=len(HEAD))
        group += [nodes.colspec(colwidth=width) for width in (10, 50, 30, 10)]
        group += nodes.thead("", _line([nodes.paragraph(text=word) for word in HEAD]))
        group += nodes.tbody("", *[_line(cells) for cells in body])
        table += group
        return [table]


def _cells(code: int, row: Row) -> list[nodes.paragraph]:
    number = nodes.paragraph("", "", nodes.literal(text=str(code)))
    level = logging.getLevelName(row.reaction.level)
    return [number, nodes.paragraph(text=row.sentence), _answer(row.reaction), nodes.paragraph(text=level)]


def _answer(reaction: Reaction) -> nodes.paragraph:
    if reaction is Reaction.TRANSIENT:
        return nodes.paragraph("", "", nodes.literal(text="BackendUnavailable"))
    if reaction is Reaction.PARAMETER:
        text = ", depending on the parameter that Twilio names: recipient, code or cannot_send"
        return nodes.paragraph("", "", nodes.literal(text="BackendRejected"), nodes.Text(text))
    name, code = nodes.literal(text="BackendRejected"), nodes.literal(text=reaction.key)
    return nodes.paragraph("", "", name, nodes.Text(", "), code)


def _line(cells: Iterable[nodes.paragraph]) -> nodes.row:
    return nodes.row("", *[nodes.entry("", cell) for cell in cells])


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("twilio-errors", TwilioErrors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
