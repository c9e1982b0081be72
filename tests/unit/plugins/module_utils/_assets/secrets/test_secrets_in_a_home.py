# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root restores secrets into a project in the home of an ordinary user, who has created a link there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import UnsafePath
from harness.users import only_root
from scenes import secrets_scene
from scenes.secrets_scene import Deployment, contents
from scenes.twin_database import TwinCluster

USER = 64999
pytestmark = only_root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, caracal_database: TwinCluster) -> Deployment:
    deployment = secrets_scene.make(tmp_path_factory.mktemp("home") / "scene", caracal_database)
    extra = deployment.file("extra.conf", "* * * * * root true\n")
    deployment.backup(extra_files=[str(extra)])
    return deployment


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project in the user's home."""
    project = tmp_path / "home" / "project"
    project.mkdir(parents=True)
    for folder in (project.parent, project):
        os.chown(folder, USER, USER)
    return project


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """Return a directory owned by root."""
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    (folder / "passwd").write_text("root")
    return folder


def linked(place: Path, to: Path) -> str:
    place.symlink_to(to)
    os.lchown(place, USER, USER)
    return str(place)


def look(folder: Path) -> object:
    about = folder.stat()
    return contents(folder), about.st_mode, about.st_uid, about.st_mtime_ns


@pytest.mark.mutation
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_link_in_place_of_the_secrets_directory_leads_nowhere(made: Deployment, project: Path, etc: Path, check_mode: bool) -> None:
    before, directory = look(etc), linked(project / "secrets", etc)
    with pytest.raises(UnsafePath) as refused:
        made.restore(directory=directory, check_mode=check_mode)
    assert directory in refused.value.msg and look(etc) == before


@pytest.mark.mutation
def test_a_link_in_place_of_an_extra_directory_leads_nowhere(made: Deployment, project: Path, etc: Path, tmp_path: Path) -> None:
    before, extra = look(etc), linked(project / "extra", etc)
    with pytest.raises(UnsafePath) as refused:
        made.restore(directory=str(tmp_path / "secrets"), extra_directory=extra)
    assert extra in refused.value.msg and look(etc) == before
    assert not (tmp_path / "secrets").exists()


@pytest.mark.no_false_alarm
def test_a_restore_into_a_home_belongs_to_its_user(made: Deployment, project: Path) -> None:
    directory, extra = project / "secrets", project / "extra"
    made.restore(directory=str(directory), extra_directory=str(extra))
    assert {path.lstat().st_uid for path in project.rglob("*")} == {USER} and (extra / "extra.conf").exists()
    assert not made.restore(directory=str(directory), extra_directory=str(extra))["changed"]


@pytest.mark.no_false_alarm
def test_replaces_secrets_of_root_and_keeps_a_safety_copy(made: Deployment, project: Path) -> None:
    """Containers that run as root create such files."""
    directory = project / "secrets"
    made.restore(directory=str(directory))
    for path in (directory, *directory.iterdir()):
        os.chown(path, 0, 0)
    (directory / "auditHmacKey").chmod(0o600)
    (directory / "auditHmacKey").write_text("0" * 64)
    result = made.restore(directory=str(directory), replace=True)
    kept = Path(result["safety_copy"]) / "secrets" / "auditHmacKey"
    assert result["replaced"] == ["secrets/auditHmacKey"]
    assert (kept.stat().st_uid, kept.stat().st_mode & 0o777) == (0, 0o600)
