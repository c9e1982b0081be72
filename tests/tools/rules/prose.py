# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The passages for readers in a file: pages, documentation of modules, YAML, messages and notes in code, and names of tests."""

from __future__ import annotations

import typing as t
from pathlib import Path

from tools.rules import prose_code, prose_notes, prose_pages, prose_yaml
from tools.rules.passage import Passage

_READERS: t.Mapping[str, t.Callable[[str], list[Passage]]] = {
    ".rst": prose_pages.restructured,
    ".md": prose_pages.markdown,
    ".yml": lambda text: sorted(prose_yaml.passages(text) + prose_notes.hash_comments(text)),
    ".json": prose_yaml.passages,
    ".j2": prose_notes.hash_comments,
    "": prose_notes.hash_comments,
    ".py": lambda text: sorted(prose_code.passages(text) + prose_notes.passages(text)),
}


def passages(path: Path) -> list[Passage]:
    """Return the passages in the order of the file. The kind of file is known by its suffix; a Makefile and a Dockerfile have none.

    Strings in a test are data, for example of a planted fault, so they do not count.
    """
    reader = prose_notes.passages if path.name.startswith("test_") else _READERS[path.suffix]
    return reader(path.read_text(encoding="utf-8"))
