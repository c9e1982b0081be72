# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The prose of a documentation page, without code: paragraphs, headings, items of lists and cells of tables."""

from __future__ import annotations

import io
import re

import markdown_it
from docutils import core, nodes

from tools.rules.passage import CODE, Passage

_ROLE = re.compile(r":[a-z]+(?::[a-z]+)?:`([^`<]+?)(?: <[^`>]*>)?`")
_QUIET = {"report_level": 5, "halt_level": 5, "file_insertion_enabled": False, "warning_stream": io.StringIO()}
_SHOWN = (nodes.paragraph, nodes.title, nodes.term)


def restructured(text: str) -> list[Passage]:
    """Return the passages of an .rst page, without the content of Sphinx directives."""
    document = core.publish_doctree(_ROLE.sub(r"\1", text), settings_overrides=_QUIET)
    for message in [*document.findall(nodes.system_message)]:
        message.parent.remove(message)
    return [Passage(_line(node), _words(node)) for node in document.findall(lambda one: isinstance(one, _SHOWN))]


def _line(node: nodes.Node) -> int:
    while node.line is None and node.parent is not None:
        node = node.parent
    return node.line or 1


def _words(node: nodes.Node) -> str:
    parts = (CODE if isinstance(one.parent, nodes.literal) else one.astext() for one in node.findall(nodes.Text))
    return " ".join("".join(parts).split())


def markdown(text: str) -> list[Passage]:
    """Return the passages of an .md page."""
    tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(text)
    found, line = [], 1
    for token in tokens:
        line = token.map[0] + 1 if token.map else line
        if token.type == "inline":
            parts = (CODE if one.type == "code_inline" else " " if one.type == "softbreak" else one.content for one in token.children or [])
            found.append(Passage(line, " ".join("".join(parts).split())))
    return found
