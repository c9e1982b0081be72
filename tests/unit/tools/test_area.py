# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from tools import area, inside


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_the_area_is_private_and_one_for_each_clone(tmp_path: Path, scratch: Path) -> None:
    one, two = area.make(tmp_path / "one"), area.make(tmp_path / "two")
    assert one != two
    assert one.parent == scratch
    assert one.stat().st_mode & 0o777 == 0o700
    assert area.make(tmp_path / "one") == one


@pytest.mark.mutation
def test_an_area_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    area.make(tmp_path / "clone").chmod(0o755)
    with pytest.raises(area.AreaRefused, match="not a private folder"):
        area.make(tmp_path / "clone")


@pytest.mark.mutation
def test_an_area_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    area.path_of(tmp_path / "clone").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(area.AreaRefused, match="not a private folder"):
        area.make(tmp_path / "clone")


@pytest.mark.mutation
def test_an_area_inside_the_clone_is_refused(scratch: Path) -> None:
    with pytest.raises(area.AreaRefused, match="inside the clone"):
        area.make(scratch)


def test_a_gate_sees_none_of_the_users_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_ROLES_PATH", "/somewhere")
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/socket")
    variables = inside.environment(tmp_path / "clone", area.make(tmp_path / "clone"))
    assert "ANSIBLE_ROLES_PATH" not in variables
    assert "PGPASSWORD" not in variables
    assert variables["SSH_AUTH_SOCK"] == "/socket"
    assert Path(variables["HOME"]).is_dir()
    assert Path(variables["ANSIBLE_CONFIG"]).read_text() == ""
