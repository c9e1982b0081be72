# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No program of a sandbox leaves a core file, even if the limit is 0 and cannot be raised."""

from __future__ import annotations

import resource
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import PermissionMissing
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import isolation


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[int, str, bool], list[str]]:
    """Return a function that gives a program's limit on a host with this limit, this pattern, and the right to raise it or not."""

    def limited(hard: int, pattern: str, may_raise: bool) -> list[str]:
        path = tmp_path / "core_pattern"
        path.write_text(f"{pattern}\n", encoding="ascii")
        monkeypatch.setattr(isolation, "CORE_PATTERN", str(path))
        monkeypatch.setattr(resource, "getrlimit", lambda _which: (0, hard))
        monkeypatch.setattr(isolation, "_may_raise", lambda: may_raise)
        return isolation.limited(["true"], None)[1:2]

    return limited


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    ("hard", "pattern", "may_raise", "core"),
    [
        (resource.RLIM_INFINITY, "|/usr/lib/systemd/systemd-coredump", False, "1:1"),
        (1, "core", False, "1:1"),
        (0, "core", False, "0:0"),
        (0, "core", True, "0:0"),
        (0, "|/usr/bin/apport", True, "1:1"),
    ],
)
def test_each_host_has_a_limit_that_it_can_set(
    host: t.Callable[[int, str, bool], list[str]], hard: int, pattern: str, may_raise: bool, core: str
) -> None:
    assert host(hard, pattern, may_raise) == [f"--core={core}"]


@pytest.mark.mutation
def test_a_pipe_that_cannot_be_forbidden_is_refused(host: t.Callable[[int, str, bool], list[str]]) -> None:
    with pytest.raises(PermissionMissing):
        host(0, "|/usr/bin/apport", False)
