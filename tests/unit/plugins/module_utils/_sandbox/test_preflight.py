# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
import os
import pathlib

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    MissingDependency,
    OptionError,
    StorageError,
    TargetRefused,
    UnsafePath,
    VersionMismatch,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle, marker, preflight, removal, users
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import AUTO, Layout, SandboxSpec, SourceFacts
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.process import Identity
from harness.users import only_root

ABSENT = "/var/tmp/caracal-test-absent"


@pytest.fixture
def spec(server_install: Install) -> SandboxSpec:
    return SandboxSpec(ABSENT, server_install)


def refused(spec: SandboxSpec, kind: type[BackupError], words: str, **changes: object) -> None:
    with pytest.raises(kind, match=words) as caught:
        lifecycle.create(dataclasses.replace(spec, **changes))  # type: ignore[arg-type]
    assert "\n" not in caught.value.msg
    assert not os.path.exists(ABSENT)


def test_a_good_request_is_predicted_and_nothing_made(spec: SandboxSpec) -> None:
    outcome = lifecycle.predict(spec)
    assert outcome.changed and outcome.info.pid == 0 and outcome.info.directory == ABSENT
    assert not os.path.exists(ABSENT)


def test_a_socket_path_that_is_too_long_is_refused(spec: SandboxSpec) -> None:
    limit = 107 - len("/socket/.s.PGSQL.5432")
    assert len(Layout.of("/var/tmp/" + "x" * (limit - 9)).socket) == 107
    refused(spec, OptionError, "108 bytes, but a socket path has at most 107", directory="/var/tmp/" + "x" * (limit - 8))


@pytest.mark.parametrize("directory", ["relative", "/var/tmp/a,b", "/var/tmp/a'b", "/var/tmp/a\nb"])
def test_paths_that_no_setting_can_hold_are_refused(spec: SandboxSpec, directory: str) -> None:
    refused(spec, OptionError, "path", directory=directory)


@pytest.mark.parametrize("name", ["", "pg_x", "x" * 64, 'a"b', "a\nb"])
def test_names_that_cannot_be_a_superuser_are_refused(spec: SandboxSpec, name: str) -> None:
    refused(spec, OptionError, "superuser", superuser=name)


def test_the_source_is_kept_away_from(spec: SandboxSpec, tmp_path: pathlib.Path) -> None:
    data = tmp_path / "source"
    data.mkdir()
    near = dataclasses.replace(spec, directory=str(tmp_path / "box"), source=SourceFacts(data_directory=str(data)))
    refused(near, StorageError, "allow_shared_filesystem")
    refused(near, TargetRefused, "inside the source's data directory", directory=str(data / "box"), allow_shared_filesystem=True)
    allowed = lifecycle.predict(dataclasses.replace(near, allow_shared_filesystem=True))
    assert any("shares a file system" in warning for warning in allowed.info.warnings)
    elsewhere = dataclasses.replace(near, source=SourceFacts(data_directory=str(tmp_path / "another-host")))
    assert lifecycle.predict(elsewhere).changed
    other_filesystem = dataclasses.replace(near, source=SourceFacts(data_directory="/proc/sys"))
    assert lifecycle.predict(other_filesystem).changed


def test_room_is_needed(spec: SandboxSpec) -> None:
    refused(spec, StorageError, "MiB free but needs", minimum_free=1 << 60)


def test_a_missing_parent_is_named(spec: SandboxSpec) -> None:
    refused(spec, StorageError, "/var/tmp/caracal-test-none does not exist", directory="/var/tmp/caracal-test-none/box")


@only_root
@pytest.mark.mutation
def test_a_directory_that_another_user_can_exchange_is_refused(spec: SandboxSpec, tmp_path: pathlib.Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 1000, 1000)
    refused(spec, UnsafePath, str(home), directory=str(home / "box"))
    with pytest.raises(UnsafePath), removal.alone(Layout.of(str(home / "box")), make=True):
        pass
    assert os.listdir(home) == []


def test_foreign_directories_are_left_alone(spec: SandboxSpec, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "file").write_text("precious")
    refused(spec, TargetRefused, "has no marker", directory=str(folder))
    with pytest.raises(TargetRefused, match="has no marker"):
        lifecycle.destroy(str(folder))
    link = tmp_path / "link"
    link.symlink_to(folder)
    refused(spec, TargetRefused, "symbolic link", directory=str(link))
    with pytest.raises(TargetRefused, match="symbolic link"):
        lifecycle.destroy(str(link))
    assert (folder / "file").read_text() == "precious"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("{}", TargetRefused),
        ("[]", TargetRefused),
        ("not json", TargetRefused),
        (json.dumps({"format": marker.FORMAT, "version": 2}), VersionMismatch),
        (json.dumps({"format": marker.FORMAT, "version": 1, "info": {"pid": 1}}), TargetRefused),
    ],
)
def test_a_marker_that_is_not_ours_protects_the_directory(tmp_path: pathlib.Path, content: str, kind: type[BackupError]) -> None:
    layout = Layout.of(str(tmp_path / "box"))
    os.mkdir(layout.root)
    pathlib.Path(layout.marker).write_text(content)
    with pytest.raises(kind):
        lifecycle.destroy(layout.root)
    assert os.path.exists(layout.marker)


def test_a_marker_that_is_a_link_is_not_followed(tmp_path: pathlib.Path) -> None:
    layout = Layout.of(str(tmp_path / "box"))
    os.mkdir(layout.root)
    os.symlink("/etc/passwd", layout.marker)
    with pytest.raises(TargetRefused, match="cannot read "):
        lifecycle.destroy(layout.root)
    assert os.path.lexists(layout.marker)


@pytest.mark.mutation
def test_required_isolation_is_not_waived(spec: SandboxSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(preflight, "find_bwrap", lambda: None)
    refused(spec, MissingDependency, "bubblewrap is not installed")
    refused(spec, OptionError, "isolation auto needs a reason", isolation=AUTO, unisolated_reason=" ")
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(preflight, "find_bwrap", lambda: str(broken))
    refused(spec, MissingDependency, "No permissions to create new namespace")
    info = lifecycle.predict(dataclasses.replace(spec, isolation=AUTO, unisolated_reason="a laptop")).info
    assert info.isolation == "none" and "No permissions" in info.isolation_reason
    assert info.unisolated_reason == "a laptop"
    assert any("not isolated" in warning and warning.endswith("; accepted: a laptop") for warning in info.warnings)


def test_an_unknown_isolation_is_refused(spec: SandboxSpec) -> None:
    refused(spec, OptionError, "isolation", isolation="perhaps")


def test_a_locale_that_is_not_here_is_replaced_with_a_warning(spec: SandboxSpec) -> None:
    forecast = preflight.preflight(dataclasses.replace(spec, source=SourceFacts(locale="xx_YY.UTF-8")))
    assert forecast.locales in (("C.UTF-8",), ("C",))
    assert any("xx_YY.UTF-8" in warning for warning in forecast.warnings)
    exact = preflight.preflight(dataclasses.replace(spec, source=SourceFacts(locale="C")))
    assert exact.locales == ("C",) and not any("locale" in warning for warning in exact.warnings)


def test_a_folder_that_another_user_cannot_enter_is_found(tmp_path: pathlib.Path) -> None:
    closed = tmp_path / "closed" / "open"
    closed.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    other = Identity(61184, 61184)
    blocked = users.blocking_folder(str(closed), other)
    assert blocked is not None and str(closed).startswith(blocked)
    assert users.blocking_folder("/usr/bin", other) is None


def test_a_running_process_keeps_its_uid_out_of_the_free_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(users, "FREE_IDS", range(os.getuid(), os.getuid() + 1))
    with pytest.raises(MissingDependency, match="no free uid"):
        users.server_identity()
