# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text of a page in reading order: one line for each row, with a blank line before each heading."""

from __future__ import annotations

import html.parser
import re

HEADINGS = ("h1", "h2", "h3")
LINES = ("title", "p", "li", "pre", "section", "dl", "footer")
# Marks a heading until the lines are built.
HEADING = "\0"
# Elements that are parts of one line.
CELLS = ("dt", "dd", "small")
ROWS = (("class", "check"), ("class", "step"))


class Words(html.parser.HTMLParser):
    """The `text` of a page without its style. A row contains only cells."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text = ""
        self._hidden = False
        self._depth = 0
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden = tag == "style"
        if self._depth or set(ROWS) & set(attrs):
            self._depth += tag == "div"
            self.text += "\n" if self._depth == 1 and tag == "div" else self._part(tag)
        elif tag in HEADINGS:
            self.text += f"\n{HEADING}"
        elif tag in (*LINES, "div"):
            self.text += "\n"
        elif tag in CELLS:
            self.text += " | "
        if tag == "svg":
            self.text += f" [picture: {dict(attrs)['aria-label']}]"

    def _part(self, tag: str) -> str:
        return " | " if tag in ("div", "p") else ""

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False
        if self._depth and tag == "div":
            self._depth -= 1
        if not self._depth and tag in (*HEADINGS, *LINES, "div"):
            self.text += "\n"

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data


def words(source: str) -> str:
    """Return one line for each row, with blank lines only before headings."""
    lines = [re.sub(r"(\s*\|\s*)+", " | ", " ".join(line.split())).strip(" |") for line in Words(source).text.split("\n")]
    return "\n".join(line.replace(HEADING, "\n") for line in lines if line) + "\n"
