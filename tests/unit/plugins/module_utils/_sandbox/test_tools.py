# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All programs that a sandbox lacks are named at once, before anything is created or started."""

from __future__ import annotations

import os
import pathlib
import shutil
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.drill_options import DrillOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.steps import sandbox
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import image_server, isolation, tools
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import AUTO, REQUIRED

PROGRAMS = ("prlimit", "setpriv", "setsid")


@pytest.fixture
def programs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Return the only directory that is searched for the sandbox's programs. A program removed from it is missing."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in PROGRAMS:
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setattr(isolation, "ENVIRONMENT", {**isolation.ENVIRONMENT, "PATH": str(folder)})
    return folder


def refused(pg_bin: str | None, wanted: str = REQUIRED) -> str:
    with pytest.raises(MissingDependency) as caught:
        tools.find(pg_bin, 17, wanted)
    assert "\n" not in caught.value.msg
    return caught.value.msg


@pytest.mark.no_false_alarm
def test_nothing_is_missing_where_all_is_there(server_install: Install, programs: pathlib.Path) -> None:
    assert tools.find(server_install.bindir, 17, REQUIRED).bindir == server_install.bindir


@pytest.mark.mutation
@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_is_missed(server_install: Install, programs: pathlib.Path, name: str) -> None:
    (programs / name).unlink()
    if name == "setpriv" and os.geteuid() != 0:
        assert tools.find(server_install.bindir, 17, REQUIRED).bindir == server_install.bindir
        return
    message = refused(server_install.bindir)
    assert name in message and "util-linux" in message and not [other for other in PROGRAMS if other != name and other in message]


@pytest.mark.mutation
def test_all_that_is_missing_is_named_at_once(programs: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "find_bwrap", lambda: None)
    for name in PROGRAMS:
        (programs / name).unlink()
    message = refused("/no/such/folder")
    assert all(name in message for name in ("bwrap", "bubblewrap", "prlimit", "setsid", "util-linux", "pg_bin"))


@pytest.mark.no_false_alarm
def test_without_isolation_nothing_of_it_is_needed(
    server_install: Install, programs: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "find_bwrap", lambda: None)
    (programs / "setpriv").unlink()
    assert tools.find(server_install.bindir, 17, AUTO).bindir == server_install.bindir
    assert "bwrap" in refused(server_install.bindir, REQUIRED)


@pytest.mark.mutation
@pytest.mark.parametrize("image", [None, "an image"])
def test_missing_tool_is_reported_before_drill_creates_anything(
    server_install: Install, programs: pathlib.Path, monkeypatch: pytest.MonkeyPatch, image: t.Any
) -> None:
    """A server of this host and one from an image."""
    place = {"repository": "/none", "deployment": "prod", "allowed_signers": "/none", "high_water_mark": "/none", "step": "sandbox"}
    given = complete(DrillOptions, {**place, "pg_bin": server_install.bindir, "isolation": REQUIRED})
    (programs / "setsid").unlink()
    monkeypatch.setattr(image_server, "find", lambda *_given: pytest.fail("an image was looked into"))
    with pytest.raises(MissingDependency, match="setsid"):
        sandbox._install(given, image)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("wanted", [AUTO, REQUIRED])
def test_a_host_that_starts_sandboxes_is_able(wanted: str) -> None:
    tools.refuse_unable(wanted)


@pytest.mark.mutation
def test_kernel_without_namespaces_is_refused_only_if_isolation_is_required(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidden = tmp_path / "bwrap"
    forbidden.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n", encoding="ascii")
    forbidden.chmod(0o755)
    monkeypatch.setattr(isolation, "find_bwrap", lambda: str(forbidden))
    tools.refuse_unable(AUTO)
    with pytest.raises(MissingDependency, match="No permissions"):
        tools.refuse_unable(REQUIRED)
