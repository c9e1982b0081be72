# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tools import area, mirror


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    root = tmp_path / "a clone"
    (root / "plugins").mkdir(parents=True)
    (root / "plugins/a.py").write_text("a")
    (root / "run").write_text("r")
    (root / "run").chmod(0o755)
    (root / ".gitignore").write_text("/build/\n")
    (root / "build").mkdir()
    (root / "build/x").write_text("x")
    (root / "link").symlink_to("run")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


def found(tree: Path) -> set[str]:
    return {path.relative_to(tree).as_posix() for path in tree.glob("**/*") if path.is_file() or path.is_symlink()}


def test_mirror_contains_the_files_that_git_would_add(clone: Path, tmp_path: Path) -> None:
    tree = mirror.mirror(clone, tmp_path / "area")
    assert tree == tmp_path / "area" / area.COLLECTION
    assert found(tree) == {"plugins/a.py", "run", ".gitignore", "link"}
    assert os.access(tree / "run", os.X_OK)
    assert os.readlink(tree / "link") == "run"


def test_the_mirror_follows_changes_and_keeps_only_the_tests_output(clone: Path, tmp_path: Path) -> None:
    tree = mirror.mirror(clone, tmp_path / "area")
    (tree / "tests/output").mkdir(parents=True)
    (tree / "tests/output/kept").write_text("kept")
    (tree / "plugins/__pycache__").mkdir()
    (tree / "plugins/__pycache__/a.pyc").write_text("stale")
    subprocess.run(["git", "-C", str(clone), "add", "-A"], check=True)
    (clone / "plugins/a.py").unlink()
    (clone / "run").write_text("changed")
    (clone / "roles").mkdir()
    (clone / "roles/new").write_text("new")
    mirror.mirror(clone, tmp_path / "area")
    assert found(tree) == {"run", ".gitignore", "link", "roles/new", "tests/output/kept"}
    assert (tree / "run").read_text() == "changed"
    assert not (tree / "plugins").exists()


def test_refuses_a_folder_that_is_not_a_clone(tmp_path: Path) -> None:
    with pytest.raises(mirror.MirrorFailed, match="is not a clone that git can list"):
        mirror.mirror(tmp_path, tmp_path / "area")


def test_refuses_a_repository_inside_the_clone(clone: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(clone / "inner")], check=True)
    (clone / "inner" / "file").write_text("x")
    with pytest.raises(mirror.MirrorFailed, match="inner"):
        mirror.mirror(clone, tmp_path / "area")
