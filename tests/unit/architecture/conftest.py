# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Source trees with one planted fault, for tests which prove that a rule finds it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

Planter = t.Callable[[dict[str, str]], Path]


@pytest.fixture
def plant(tmp_path: Path) -> Planter:
    """Return a function that writes files, given as path and content, and returns their root directory."""

    def write(files: dict[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return tmp_path

    return write
