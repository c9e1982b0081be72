# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of the guides that install Ansible and this collection, with a git repository of this tree."""

from __future__ import annotations

import os

import pytest

from scenes import collection_in_git
from scenes.collection_in_git import INSTALLED, PUBLISHED
from scenes.guide_commands import Desk


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return collection_in_git.create(tmp_path_factory.mktemp("git"))


def installed(desk: Desk) -> bool:
    return (desk.folder / "collections" / INSTALLED).is_file()


def test_first_backup(desk: Desk, url: str) -> None:
    environment = {"PYTHONPATH": "", "ANSIBLE_COLLECTIONS_PATH": str(desk.folder / "collections")}
    desk.run_block("guide_first_backup", 1, {PUBLISHED: url}, **environment)
    assert installed(desk) and (desk.folder / "ansible" / "bin" / "ansible-playbook").is_file()


def test_compose(desk: Desk, url: str) -> None:
    desk.run_block("guide_compose", 1, {PUBLISHED: url}, ANSIBLE_COLLECTIONS_PATH=str(desk.folder / "collections"))
    assert installed(desk)


def test_upgrade(desk: Desk, url: str) -> None:
    old = desk.write("collections/ansible_collections/caracal_ops/backup/old", "")
    desk.run_block("guide_upgrading", 1, {PUBLISHED: url}, ANSIBLE_COLLECTIONS_PATH=str(desk.folder / "collections"))
    assert installed(desk) and not old.exists()


def test_installation_on_each_host(desk: Desk, url: str) -> None:
    calls = desk.program("apt")
    replaced = {
        PUBLISHED: url,
        "/opt/ansible": str(desk.folder / "opt"),
        "/usr/share/ansible/collections": str(desk.folder / "collections"),
    }
    desk.run_block("guide_schedules", 2, replaced, PYTHONPATH="")
    assert installed(desk) and calls.read_text(encoding="ascii") == "install git python3-venv\n"
    assert os.access(desk.folder / "opt" / "bin" / "ansible-playbook", os.X_OK)
