# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tools import bring_collection
from tools.bring_collection import PLACE, CollectionMissing


def test_unpacks_only_named_collection_and_replaces_older_one(tmp_path: Path) -> None:
    package, folder = tmp_path / "ansible.whl", tmp_path / "tools"
    with zipfile.ZipFile(package, "w") as wheel:
        for name in (f"{PLACE}/plugins/new.py", "ansible_collections/awx/awx_other/a.py", "ansible_collections/other/one/a.py"):
            wheel.writestr(name, "x")
    (folder / PLACE).mkdir(parents=True)
    (folder / PLACE / "old.py").touch()
    bring_collection.unpack(package, folder)
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*.py")] == [f"{PLACE}/plugins/new.py"]


@pytest.mark.mutation
def test_version_missing_from_index_gives_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(CollectionMissing, match=r"^ansible==[0-9.]+ does not come from the package index: "):
        bring_collection.download(tmp_path)
