# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from tools import execution_environment

RECIPE = """ARG EE_BASE_IMAGE="{base}"
FROM $EE_BASE_IMAGE AS base
COPY _build/hosts/requirements.txt /tmp/hosts.txt
COPY --from=galaxy /usr/share/ansible /usr/share/ansible
"""
META = {"pip": "boto3>=1.36\n", "bindep": "# Why.\nzstd\nage [platform:dpkg]\n"}
TAKEN = {"pip": "boto3>=1.36  # from collection caracal_ops.backup\n", "bindep": "age [platform:dpkg]  # from x\nzstd  # from x\n"}


def context(folder: Path, base: str = "debian:trixie-slim", held: bool = True) -> Path:
    (folder / "_build/hosts").mkdir(parents=True)
    if held:
        (folder / "_build/hosts/requirements.txt").touch()
    (folder / "Containerfile").write_text(RECIPE.format(base=base))
    return folder


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("base", ["debian:trixie-slim", "team/debian"])
def test_a_complete_context_is_accepted(tmp_path: Path, base: str) -> None:
    assert execution_environment.faults(context(tmp_path, base), TAKEN, META) == []


@pytest.mark.mutation
@pytest.mark.parametrize("host", ["registry.example", "localhost", "mirror:5000"])
def test_a_registry_host_is_found(tmp_path: Path, host: str) -> None:
    found = execution_environment.faults(context(tmp_path, f"{host}/debian:trixie-slim"), TAKEN, META)
    assert [fault for fault in found if host in fault] == found != []


@pytest.mark.mutation
def test_finds_a_copied_file_that_is_missing(tmp_path: Path) -> None:
    found = execution_environment.faults(context(tmp_path, held=False), TAKEN, META)
    assert found == ["not in the context: _build/hosts/requirements.txt"]


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("taken", "found"),
    [
        ({**TAKEN, "pip": ""}, ["pip: boto3>=1.36"]),
        ({**TAKEN, "bindep": f"{TAKEN['bindep']}git\n"}, ["bindep: git"]),
    ],
)
def test_finds_differences_from_the_collections_dependencies(tmp_path: Path, taken: dict[str, str], found: list[str]) -> None:
    assert execution_environment.faults(context(tmp_path), taken, META) == found
