# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The texts that users read most, kept as files, so that a change of their words is visible as a diff.

`make snapshots` rewrites them.
"""

from __future__ import annotations

import difflib
import os
import typing as t
from pathlib import Path

from tools.rules import tree

FOLDER = "tests/snapshots"
OPTION = "--rewrite-snapshots"
# Its arguments are the name of a file in the folder, and the current text.
Snapshot = t.Callable[[str, str], None]


def clone(environment: t.Mapping[str, str] | None = None) -> Path:
    """Return the folder of a rewritten file. Tests run in a mirror from `tools.inside`, and the next run replaces the mirror."""
    build = (os.environ if environment is None else environment).get("CARACAL_OPS_BUILD")
    return Path(build).parent if build else tree.ROOT


def check(root: Path, name: str, text: str) -> None:
    """Raise AssertionError with a diff if the kept file differs."""
    path = root / FOLDER / name
    kept = path.read_text(encoding="utf-8") if path.is_file() else ""
    if not text or text != kept:
        raise AssertionError(difference(name, kept, text))


def difference(name: str, kept: str, made: str) -> str:
    """Return a unified diff with the remedy."""
    lines = difflib.unified_diff(kept.splitlines(), made.splitlines(), f"{FOLDER}/{name}", "current output", lineterm="")
    shown = "\n".join(lines) or "only line ends differ, or there is no output"
    return f"{FOLDER}/{name} differs from the current output. If the change is intended, run make snapshots\n{shown}"


def rewrite(root: Path, name: str, text: str) -> bool:
    """Write the text; return whether that changed the file. An identical file is not touched."""
    path = root / FOLDER / name
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return True
