"""``{settings-overview}``: name, type and default of every setting, read from the table that the code uses."""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from settings_overview_lines import lines
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class SettingsOverview(SphinxDirective):
    """The table."""

    def run(self) -> list[nodes.Node]:
        made = nodes.Element()
        self.state.nested_parse(StringList(lines(), source=self.get_source_info()[0]), self.content_offset, made)
        return made.children


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("settings-overview", SettingsOverview)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
