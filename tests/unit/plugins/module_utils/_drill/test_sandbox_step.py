# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sandbox of a drill: predicted in check mode, created, proved to be isolated, and removed only by its own drill."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import drill_state, engine
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.steps.sandbox import Sandbox
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.steps.step import Made, Work
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency, OptionError, TargetRefused
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle

TOKEN = "drill-0123456789abcdef01"


class State:
    """The state of a drill before there is a sandbox."""

    drill = TOKEN

    def __init__(self) -> None:
        self.kept: dict[str, t.Any] = {"bytes": 0}


def options(directory: str, step: str, **own: t.Any) -> dict[str, t.Any]:
    place = {"repository": "/none", "deployment": "prod", "allowed_signers": "/none", "high_water_mark": f"{directory}-mark"}
    return complete(engine.Options, {**place, "step": step, "sandbox_directory": directory, "minimum_free_mb": 1, **own})


def take(directory: str, *, check_mode: bool = False, warn: t.Callable[[str], None] = lambda _text: None, **own: t.Any) -> Made:
    invocation = Invocation(options(directory, "sandbox", **own), check_mode, warn)
    return Sandbox().take(Work(invocation, t.cast("drill_state.DrillState", State())))


def destroy(directory: str, drill: str, *, check_mode: bool = False) -> bool:
    """Destroy the sandbox and return whether that changed anything."""
    given = options(directory, "destroy", drill=drill)
    return bool(engine.run(Invocation(given, check_mode, lambda _text: None))["changed"])


@pytest.mark.no_false_alarm
def test_a_sandbox_is_predicted_made_and_removed(sandbox_directory: str) -> None:
    expected = take(sandbox_directory, check_mode=True)
    assert not os.path.exists(sandbox_directory) and not expected.stops
    for _again in range(2):
        made = take(sandbox_directory)
        found = {check["id"]: check["verdict"] for check in made.checks}
        assert (found["sandbox.isolation"], found["sandbox.isolated"], found["sandbox.server"], made.stops) == (
            "pass",
            "pass",
            "pass",
            False,
        )
        differing = {name for name, value in made.kept["sandbox"].items() if expected.kept["sandbox"][name] != value}
        assert differing == {"pid", "uid", "system_identifier"}
    assert not destroy(sandbox_directory, f"{TOKEN}0") and os.path.exists(sandbox_directory), "another drill's"
    assert destroy(sandbox_directory, TOKEN, check_mode=True) and lifecycle.is_of(sandbox_directory, TOKEN)
    assert destroy(sandbox_directory, TOKEN) and not os.path.exists(sandbox_directory)
    assert not destroy(sandbox_directory, TOKEN, check_mode=True) and not destroy(sandbox_directory, TOKEN)


@pytest.mark.mutation
def test_a_place_that_is_reached_inside_stops_the_drill(sandbox_directory: str) -> None:
    take(sandbox_directory)
    inside = os.path.join(sandbox_directory, "socket", ".s.PGSQL.5432")
    made = take(sandbox_directory, production=[inside])
    assert {check["id"]: check["verdict"] for check in made.checks}["sandbox.isolated"] == "fail" and made.stops and made.why


@pytest.mark.parametrize("check_mode", [True, False])
def test_sandbox_warning_is_printed_and_recorded_as_check(sandbox_directory: str, tmp_path: Path, check_mode: bool) -> None:
    warnings: list[str] = []
    source = Path(f"{sandbox_directory}-source")
    source.mkdir()
    try:
        own = {"source_data_directory": str(source), "allow_shared_filesystem": True}
        made = take(sandbox_directory, check_mode=check_mode, warn=warnings.append, **own)
    finally:
        source.rmdir()
    assert [one for one in warnings if str(source) in one]
    warned = [check["message"] for check in made.checks if check["id"].startswith("sandbox.warning.")]
    assert warned == warnings


@pytest.mark.mutation
@pytest.mark.parametrize("check_mode", [True, False])
def test_impossible_sandbox_is_refused_in_check_mode_too(sandbox_directory: str, tmp_path: Path, check_mode: bool) -> None:
    os.mkdir(sandbox_directory)
    precious = Path(sandbox_directory, "file")
    precious.write_text("theirs", encoding="ascii")
    with pytest.raises(TargetRefused):
        take(sandbox_directory, check_mode=check_mode)
    with pytest.raises(TargetRefused):
        destroy(sandbox_directory, "", check_mode=check_mode)
    assert precious.read_text(encoding="ascii") == "theirs"
    precious.unlink()
    os.rmdir(sandbox_directory)
    with pytest.raises(MissingDependency):
        take(sandbox_directory, check_mode=check_mode, pg_bin=str(tmp_path))
    with pytest.raises(OptionError):
        take(sandbox_directory, check_mode=check_mode, production=["nonsense"])
    assert not os.path.exists(sandbox_directory)
