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


def test_an_environment_is_made_once_and_anew_when_a_pin_changes(clone: Path) -> None:
    folder, log = clone / "env", clone / "log"
    assert venv.make(folder, "few", log)
    assert (folder / "bin/python").exists()
    assert not venv.make(folder, "few", log)
    (clone / "requirements/few.lock").write_text("# another pin\n")
    assert venv.make(folder, "few", log)


def test_the_stamp_depends_on_the_place(clone: Path) -> None:
    pins = [clone / "requirements/few.txt"]
    assert venv.stamp(clone / "one", pins) != venv.stamp(clone / "two", pins)


@pytest.mark.mutation
def test_an_environment_that_failed_halfway_is_not_used(clone: Path) -> None:
    (clone / "requirements/few.txt").write_text("--no-index\nno-such-package==1\n")
    with pytest.raises(venv.VenvFailed, match="it needs a package index that pip can reach; see"):
        venv.make(clone / "env", "few", clone / "log")
    assert not (clone / "env/pins.sha256").exists()
    assert "no-such-package" in (clone / "log").read_text()


def test_an_old_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venv, "OLDEST", (9, 9))
    assert (
        venv.main([".venv", "dev"]) == f"Python 9.9 or newer is needed, this is {sys.version.split()[0]}: make PYTHON=/path/to/python3.11"
    )
