# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a collection's tree, for the rules. Every rule has the root as a parameter, so that a test can pass a bad tree."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# Files in a clone or its mirror that are not part of the collection.
FOREIGN = (".git", ".venv", ".venv-importer", ".tools", "build", "tests/output", ".hypothesis", ".ansible", "__pycache__")


def files(root: Path, pattern: str = "**/*") -> list[str]:
    """Return paths relative to `root`, sorted, without files that are not part of the collection."""
    found = (path.relative_to(root) for path in root.glob(pattern) if path.is_file())
    return sorted(path.as_posix() for path in found if not _foreign(path))


def _foreign(path: Path) -> bool:
    return any(path.is_relative_to(name) for name in FOREIGN) or "__pycache__" in path.parts


def parse(root: Path, path: str) -> ast.Module:
    """Return the syntax tree of a Python file."""
    return ast.parse((root / path).read_text(encoding="utf-8"), filename=path)


def python(root: Path, *folders: str) -> list[str]:
    """Return the Python files below the folders."""
    return [path for folder in folders for path in files(root, f"{folder}/**/*.py")]


def constant(tree: ast.Module, name: str) -> str | None:
    """Return the string that a module-level assignment gives to `name`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == name for target in node.targets):
            value: t.Any = ast.literal_eval(node.value)
            return str(value)
    return None
