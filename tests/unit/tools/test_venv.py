# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import venv


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(venv, "CLONE", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/few.txt").write_text("# nothing\n")
    (tmp_path / "requirements/few.lock").write_text("")
    return tmp_path


def test_an_environment_is_created_once_and_after_a_pin_change(clone: Path) -> None:
    folder, log = clone / "env", clone / "log"
    assert venv.make(folder, "few", log)
    assert (folder / "bin/python").exists()
    assert not venv.make(folder, "few", log)
    (clone / "requirements/few.lock").write_text("# another pin\n")
    assert venv.make(folder, "few", log)


def test_the_stamp_depends_on_the_path(clone: Path) -> None:
    pins = [clone / "requirements/few.txt"]
    assert venv.stamp(clone / "one", pins) != venv.stamp(clone / "two", pins)


@pytest.fixture
def pinned(clone: Path) -> list[Path]:
    files = [clone / "requirements/few.txt", clone / "requirements/few.lock"]
    files[0].write_text("-c few.lock\nansible-core==2.19.14\nother==1\n")
    files[1].write_text("ansible-core==2.19.14\nansible-compat==3\nresolvelib==1\n")
    return files


def test_another_ansible_core_replaces_only_the_pinned_one(clone: Path, pinned: list[Path]) -> None:
    found = venv.with_ansible_core("2.20", pinned, clone / "copies")
    assert [path.read_text() for path in found] == ["-c few.lock\nansible-core==2.20.*\nother==1\n", "ansible-compat==3\n"]


@pytest.mark.mutation
@pytest.mark.parametrize("series", ["2", "2.20.1", "x\nother"])
def test_an_invalid_ansible_core_series_is_refused(clone: Path, pinned: list[Path], series: str) -> None:
    with pytest.raises(venv.VenvFailed):
        venv.with_ansible_core(series, pinned, clone / "copies")


@pytest.mark.mutation
def test_an_environment_that_failed_halfway_is_not_used(clone: Path) -> None:
    (clone / "requirements/few.txt").write_text("--no-index\nno-such-package==1\n")
    with pytest.raises(venv.VenvFailed, match="it needs a package index that pip can reach; see"):
        venv.make(clone / "env", "few", clone / "log")
    assert not (clone / "env/pins.sha256").exists()
    assert "no-such-package" in (clone / "log").read_text()


def test_passes_pips_index_settings_to_uv() -> None:
    given = {"global": {"index-url": "https://a", "find-links": "/b\n/c", "timeout": "9"}, "install": {"index-url": "https://d"}}
    assert venv.index_of(given) == {"UV_DEFAULT_INDEX": "https://d", "UV_FIND_LINKS": "/b,/c"}
    assert venv.index_of({}) == {}


def test_an_old_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venv, "OLDEST", (9, 9))
    assert (
        venv.main([".venv", "dev"]) == f"Python 9.9 or newer is needed, this is {sys.version.split()[0]}: make PYTHON=/path/to/python3.11"
    )
