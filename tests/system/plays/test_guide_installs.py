# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of the guides that install Ansible and this collection, with a git repository of this tree."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scenes.guide_commands import Desk
from tools.rules import tree

URL = "git+https://github.com/caracal-ops/backup.git"
COLLECTION = "ansible_collections/caracal_ops/backup"


def committed(folder: Path) -> str:
    """The URL of a new git repository with all files of the tree."""
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-C", str(folder)]
    files = [path for path in tree.files(tree.ROOT, "**/*") if (tree.ROOT / path).is_file()]
    for path in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes((tree.ROOT / path).read_bytes())
    for command in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "All"]):
        subprocess.run([*git, *command], check=True, stdin=subprocess.DEVNULL)
    return f"git+file://{folder}"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return committed(tmp_path_factory.mktemp("git"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def installed(desk: Desk) -> bool:
    return (desk.folder / "collections" / COLLECTION / "MANIFEST.json").is_file()


def test_first_backup(desk: Desk, url: str) -> None:
    environment = {"PYTHONPATH": "", "ANSIBLE_COLLECTIONS_PATH": str(desk.folder / "collections")}
    desk.run_block("guide_first_backup", 1, {URL: url}, **environment)
    assert installed(desk) and (desk.folder / "ansible" / "bin" / "ansible-playbook").is_file()


@pytest.mark.parametrize("page", ["guide_compose", "guide_upgrading"])
def test_collection(desk: Desk, url: str, page: str) -> None:
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(desk.folder / "collections")}
    if page == "guide_compose":
        desk.run_block("guide_compose", 1, {URL: url}, **environment)
    else:
        (desk.folder / "collections" / COLLECTION).mkdir(parents=True)
        desk.run_block("guide_upgrading", 1, {URL: url}, **environment)
    assert installed(desk)


def test_each_host_on_its_own(desk: Desk, url: str) -> None:
    calls = desk.program("apt")
    replaced = {URL: url, "/opt/ansible": str(desk.folder / "opt"), "/usr/share/ansible/collections": str(desk.folder / "collections")}
    desk.run_block("guide_schedules", 2, replaced, PYTHONPATH="")
    assert installed(desk) and calls.read_text(encoding="ascii") == "install git python3-venv\n"
    assert os.access(desk.folder / "opt" / "bin" / "ansible-playbook", os.X_OK)
