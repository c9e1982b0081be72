# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of tasks, descriptions of options and messages in YAML."""

from __future__ import annotations

import re
import typing as t

import yaml
from antsibull_docs_parser import dom, parser

from tools.rules.passage import CODE, Passage

# Keys with values for readers. `name` is also an option of modules, so it counts only if it has several words.
# Sections of a fragment of the changelog.
SECTIONS = (
    "release_summary",
    "major_changes",
    "minor_changes",
    "breaking_changes",
    "deprecated_features",
    "removed_features",
    "security_fixes",
    "bugfixes",
    "known_issues",
)
KEYS = (
    "name",
    "short_description",
    "description",
    "details",
    "notes",
    "fail_msg",
    "success_msg",
    "msg",
    "prompt",
    "summary",
    *SECTIONS,
)
_JINJA = re.compile(r"{{.*?}}|{%.*?%}", re.DOTALL)
_WORDS = (dom.TextPart, dom.BoldPart, dom.ItalicPart, dom.LinkPart)


def passages(text: str, first_line: int = 1) -> list[Passage]:
    """Return the passages of every document in a text that begins at this line of its file."""
    roots = [root for root in yaml.compose_all(text, yaml.SafeLoader) if root is not None]
    return [Passage(first_line + one.start_mark.line, _plain(one.value)) for root in roots for one in _read(root) if " " in one.value]


def _read(node: yaml.Node) -> t.Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _read(one)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value in KEYS:
                yield from _scalars(value)
            yield from _read(value)


def _scalars(node: yaml.Node) -> t.Iterator[yaml.ScalarNode]:
    for one in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        if isinstance(one, yaml.ScalarNode):
            yield one


def _plain(text: str) -> str:
    """Return the text without markup and expressions."""
    parts = (part for paragraph in parser.parse(_JINJA.sub(CODE, text), parser.Context()) for part in paragraph)
    return " ".join("".join(part.text if isinstance(part, _WORDS) else CODE for part in parts).split())
