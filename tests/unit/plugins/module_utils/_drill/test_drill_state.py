# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state file of a drill: the users and drills that may use it, and those that may not."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import drill_state
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.drill_options import DrillOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.drill_state import DrillState
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import Busy, KeyProblem, OptionError, StorageError, TargetRefused
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lease
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import LEASE_SECONDS

Given = DrillOptions
# No process has this ID and start time.
GONE = "1-1"


@pytest.fixture
def given(tmp_path: Path) -> Given:
    return of(high_water_mark=str(tmp_path / "mark.json"), sandbox_directory=str(tmp_path / "sandbox"))


def of(base: Given | None = None, **own: t.Any) -> Given:
    """Return options of a drill. Its repository's options keep their own names."""
    usual = {"repository": "/srv/backup", "deployment": "prod", "allowed_signers": "/none", "drill": "drill-1", "step": "verify"}
    return complete(DrillOptions, {**usual, **(base.flat() if base else {}), **own})


def state(given: Given, **own: t.Any) -> DrillState:
    usual = {"drill": given.drill, "controller": GONE, "set_id": "20261125T020000Z-k3f9", "started": "2026-11-25T02:30:00.000000Z"}
    place = {"path": drill_state.place(given), "directory": given.sandbox_directory}
    return DrillState(**{**place, **usual, "deployment": given.access.deployment, "repository": given.access.repository, **own})


def age(given: Given, seconds: float) -> None:
    about = os.stat(drill_state.place(given))
    os.utime(drill_state.place(given), (about.st_atime, about.st_mtime - seconds))


def test_saved_state_is_loaded_and_private_to_its_owner(given: Given) -> None:
    made = state(given)
    made.begin()
    made.checks.append({"id": "set.objects", "verdict": "pass", "message": "x", "required": True, "details": {}})
    made.done.append("verify")
    made.save()
    found = drill_state.load(given)
    assert (found.checks, found.done, found.set_id) == (made.checks, ["verify"], made.set_id)
    assert stat.S_IMODE(os.stat(made.path).st_mode) == 0o600
    assert {path.name for path in Path(made.path).parent.iterdir()} == {Path(made.path).name, "mark.json.lock"}


def test_creates_state_directory_only_its_owner_can_access(given: Given, tmp_path: Path) -> None:
    """This is for a host without an earlier drill.

    Only the last directory is created, because more missing directories mean a wrong path.
    """
    given = of(given, high_water_mark=str(tmp_path / "new" / "mark.json"))
    state(given).begin()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700 and drill_state.load(given).drill == given.drill
    given = of(given, high_water_mark=str(tmp_path / "wrong" / "path" / "mark.json"))
    with pytest.raises(StorageError):
        state(given).begin()
    assert not (tmp_path / "wrong").exists()


def test_each_directory_has_its_own(given: Given, tmp_path: Path) -> None:
    state(given).begin()
    assert drill_state.place(given) != drill_state.place(of(given, sandbox_directory=str(tmp_path / "another")))


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("drill", "drill-2", TargetRefused),
        ("drill", None, TargetRefused),
        ("deployment", "test", TargetRefused),
        ("repository", "/srv/other", TargetRefused),
        ("sandbox_directory", "/var/tmp/another", OptionError),
    ],
)
def test_a_step_of_another_drill_is_refused(given: Given, name: str, value: str | None, error: type[Exception]) -> None:
    state(given).begin()
    with pytest.raises(error):
        drill_state.load(of(given, **{name: value}))


@pytest.mark.mutation
def test_a_drill_that_another_one_has_followed_writes_nothing_more(given: Given) -> None:
    """For example, a process started by a dead controller reaches its end."""
    first = state(given)
    first.begin()
    state(given, drill="drill-2").begin()
    with pytest.raises(TargetRefused):
        first.save()
    assert drill_state.load(of(given, drill="drill-2")).drill == "drill-2"
    drill_state.remove(given)
    with pytest.raises(TargetRefused):
        first.save()
    assert not os.path.exists(first.path)


@pytest.mark.mutation
@pytest.mark.parametrize("own", [{"controller": "alive"}, {"worker": "alive"}, {"controller": ""}], ids=str)
def test_a_second_drill_is_busy_while_the_first_is_at_work(given: Given, own: dict[str, str]) -> None:
    """The first drill's controller or worker runs, or its state is unknown and it is recent."""
    state(given, **{name: lease.own() if value else "" for name, value in own.items()}).begin()
    for begin in (lambda: drill_state.refuse_another(given), state(given, drill="drill-2").begin):
        with pytest.raises(Busy):
            begin()


@pytest.mark.no_false_alarm
def test_killed_drill_does_not_block_next_one(given: Given) -> None:
    state(given).begin()
    state(given, drill="drill-2", controller="").begin()
    age(given, LEASE_SECONDS + 60)
    drill_state.refuse_another(given)
    state(given, drill="drill-3").begin()


@pytest.mark.mutation
@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "caracal-ops-drill", "version": 2}', '{"format": "x", "version": 1}'])
def test_invalid_state_file_is_refused_and_does_not_block_new_drill(given: Given, content: str) -> None:
    Path(drill_state.place(given)).write_text(content, encoding="utf-8")
    with pytest.raises(OptionError):
        drill_state.load(given)
    state(given).begin()


@pytest.mark.mutation
def test_state_file_writable_by_others_is_refused(given: Given) -> None:
    made = state(given)
    made.begin()
    os.chmod(made.path, 0o666)
    with pytest.raises(KeyProblem):
        drill_state.load(given)


@pytest.mark.mutation
def test_a_link_is_not_followed(given: Given, tmp_path: Path) -> None:
    made = state(given)
    made.begin()
    os.rename(made.path, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", made.path)
    with pytest.raises(StorageError):
        drill_state.load(given)


@pytest.mark.mutation
def test_failed_save_keeps_previous_state(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    made = state(given)
    made.begin()

    def full(*_paths: object, **_where: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    made.done.append("verify")
    with pytest.raises(StorageError):
        made.save()
    assert json.loads(Path(made.path).read_text(encoding="utf-8"))["done"] == []
    assert {path.name for path in Path(made.path).parent.iterdir()} == {Path(made.path).name, "mark.json.lock"}


@pytest.mark.no_false_alarm
def test_check_mode_writes_no_state_next_to_high_water_mark(given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check mode is such a trial. It neither waits for another drill nor blocks one."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    made = state(given, path=drill_state.place_of_trial(given, given.drill))
    made.begin()
    made.save()
    assert drill_state.load(given, True).drill == given.drill and drill_state.is_of(given, True)
    drill_state.refuse_another(given)
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
    drill_state.remove(given, True)
    assert list((tmp_path / "temporary").iterdir()) == []
