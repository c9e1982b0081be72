# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples in the guides, unchanged, so that a test can run them."""

from __future__ import annotations

import re
import textwrap
import typing as t

import yaml

from tools.rules import tree

FOLDER = tree.ROOT / "docs/docsite/rst"
_BLOCK = re.compile(r"^( *)\.\. code-block:: (\w+)\n\n((?:\1  .*\n|\n)+)", re.MULTILINE)


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a page in a language, in order."""
    text = (FOLDER / f"{page}.rst").read_text(encoding="utf-8") + "\n"
    return [textwrap.dedent(block).strip() + "\n" for _indent, found, block in _BLOCK.findall(text) if found == language]


def statements(sql: str) -> list[str]:
    """Return the statements one by one, without psql's own commands."""
    lines = [line for line in sql.splitlines() if not line.startswith(("\\", "--"))]
    return [one.strip() for one in "\n".join(lines).split(";") if one.strip()]


def settings(page: str) -> list[dict[str, t.Any]]:
    """Return the blocks of a page that are settings files."""
    loaded = (yaml.safe_load(block) for block in blocks(page, "yaml") if block.startswith("---"))
    return [one for one in loaded if isinstance(one, dict)]


def played(documented: dict[str, t.Any], here: dict[str, t.Any]) -> dict[str, t.Any]:
    """Replace the settings of a page with a test's values. Every setting needs a value, or `...` to stay unchanged."""
    assert documented.keys() == here.keys(), documented.keys() ^ here.keys()
    return {name: documented[name] if value is ... else value for name, value in here.items()}


def indented(page: str) -> list[str]:
    """Return single lines that are literal because of the `::` before them."""
    text = (FOLDER / f"{page}.rst").read_text(encoding="utf-8")
    return re.findall(r"::\n\n    ([^\n]+)\n\n", text)
