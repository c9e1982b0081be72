# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A hostile archive takes over `pg_restore`: what it could reach, in a drill and on a live server."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency, StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import confined, lifecycle
from harness.fixtures import FreshCluster
from harness.waiting import eventually
from scenes.password_listener import Listener
from scenes.scene import Scene
from scenes.twin_database import TwinCluster

RESTORE = "pg_encrypted_restore"


def taken_over(folder: Path, real: str, script: str) -> str:
    """Create a directory with a pg_restore that runs `script` when it gets an archive."""
    folder.mkdir(mode=0o755)
    program = folder / "pg_restore"
    program.write_text(f'#!/bin/bash\ncase "$*" in *--version*) exec echo "pg_restore (PostgreSQL) 17.99";; esac\n{script}\n')
    program.chmod(0o755)
    return str(folder)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Yield a file that every user can read, in directories that every user may enter. Only isolation hides it."""
    path = Path(f"/var/tmp/caracal-secret-{os.urandom(4).hex()}")
    path.write_text("operator's")
    path.chmod(0o644)
    return path


@pytest.mark.mutation
def test_an_archive_that_takes_pg_restore_over_in_a_drill_reaches_nothing_outside(
    scene: Scene, fresh_cluster: FreshCluster, server_install: Install, tmp_path: Path, secret: Path
) -> None:
    target = fresh_cluster()
    listener = Listener()
    written = Path(f"/var/tmp/caracal-written-{os.urandom(4).hex()}")
    script = f"""
    found=
    [ -r {secret} ] && found="$found file"
    (exec 3<>/dev/tcp/127.0.0.1/{listener.port}) 2> /dev/null && found="$found network"
    [ "$(ls -d /proc/[0-9]* | wc -l)" -gt 9 ] && found="$found processes"
    [ -r {scene.identity} ] && found="$found identity"
    [ "$(id -u)" = 0 ] && found="$found root"
    echo taken > {written} 2> /dev/null
    echo "pg_restore: error: reached:$found." >&2
    exit 1"""
    try:
        with pytest.raises(StageFailed) as raised:
            scene.call(RESTORE, sandbox=target.directory, pg_bin=taken_over(tmp_path / "bin", server_install.bindir, script))
        assert "pg_restore failed" in raised.value.msg
        assert "reached:." in raised.value.msg
        assert not written.exists()
    finally:
        listener.close()
        secret.unlink()
        written.unlink(missing_ok=True)


@pytest.mark.mutation
def test_hanging_pg_restore_ends_with_its_parent_process(fresh_cluster: FreshCluster, server_install: Install, tmp_path: Path) -> None:
    target = fresh_cluster()
    seconds = f"9876.{os.getpid()}"  # different for each worker
    bindir = taken_over(tmp_path / "bin", server_install.bindir, f"exec sleep {seconds}")
    words = confined.command(target, os.path.join(bindir, "pg_restore"))
    child = subprocess.Popen([*words, "--list"])
    waiting = ["pgrep", "--full", f"^sleep {re.escape(seconds)}$"]

    def status() -> int:
        return subprocess.run(waiting, capture_output=True, check=False).returncode

    try:
        eventually(lambda: status() == 0)
    finally:
        child.kill()
        child.wait()
    eventually(lambda: status() == 1)


@pytest.mark.mutation
def test_refuses_a_program_that_cannot_run_in_the_sandbox(scene: Scene, fresh_cluster: FreshCluster, tmp_path: Path) -> None:
    target = fresh_cluster()
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "real").write_text('#!/bin/sh\necho "pg_restore (PostgreSQL) 17.99"\n')
    (outside / "real").chmod(0o755)
    bindir = tmp_path / "bin"
    bindir.mkdir()
    (bindir / "pg_restore").write_text(f'#!/bin/sh\nexec {outside}/real "$@"\n')
    (bindir / "pg_restore").chmod(0o755)
    with pytest.raises(MissingDependency, match=r"does not run inside the sandbox.*pg_bin"):
        scene.call(RESTORE, sandbox=target.directory, pg_bin=str(bindir))


@pytest.mark.mutation
def test_an_archive_that_takes_pg_restore_over_on_a_live_server_finds_no_secret_of_the_operator(
    scene: Scene, fresh_cluster: FreshCluster, server_install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = fresh_cluster()
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "operator's")
    monkeypatch.setenv("PGSERVICEFILE", "/operator's")
    script = """
    echo "pg_restore: error: reached:$(env | grep -c operator):$HOME" >&2
    exit 1"""
    given = {
        "login_unix_socket": target.socket_dir,
        "signing_key": str(scene.key("operator")),
        "high_water_mark": str(scene.mark("operator")),
    }
    with pytest.raises(StageFailed, match="reached:0:/nonexistent"):
        scene.call(RESTORE, **given, pg_bin=taken_over(tmp_path / "bin", server_install.bindir, script))


@pytest.mark.no_false_alarm
def test_drill_runs_pg_restore_inside_the_sandbox(
    scene: Scene, fresh_cluster: FreshCluster, caracal_database: TwinCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = fresh_cluster()
    started: list[tuple[str, ...]] = []
    real = confined.command

    def watched(sandbox: t.Any, program: str) -> tuple[str, ...]:
        started.append(real(sandbox, program))
        return started[-1]

    monkeypatch.setattr(confined, "command", watched)
    scene.call(RESTORE, sandbox=target.directory)
    assert "bwrap" in map(os.path.basename, started[0]) and "--unshare-net" in started[0]
    result = scene.call("state_verify", sandbox=target.directory)
    assert result["verdict"] == "pass", [check for check in result["checks"] if check["verdict"] == "fail"]


def old(folder: Path, program: str, real: str) -> str:
    """Return a directory with a working program that reports a release with known flaws."""
    folder.mkdir()
    (folder / program).write_text(
        f'#!/bin/sh\ncase "$*" in *--version*) exec echo "{program} (PostgreSQL) 17.5";; esac\nexec {real}/{program} "$@"\n'
    )
    (folder / program).chmod(0o755)
    return str(folder)


@pytest.mark.mutation
def test_live_restore_needs_consent_to_a_vulnerable_pg_restore(
    scene: Scene, fresh_cluster: FreshCluster, server_install: Install, tmp_path: Path
) -> None:
    target = fresh_cluster()
    given: dict[str, t.Any] = {
        "login_unix_socket": target.socket_dir,
        "signing_key": str(scene.key("operator")),
        "high_water_mark": str(scene.mark("operator")),
        "pg_bin": old(tmp_path / "bin", "pg_restore", server_install.bindir),
        "databases": ["caracal_auth"],
    }
    words = ("pg_restore 17.5", "CVE-2025-8714", "CVE-2026-6477", "install 17.10 or newer", "accept_vulnerable_clients")
    scene.refused(RESTORE, MissingDependency, *words, **given)
    three = ["CVE-2025-8714", "CVE-2025-8715", "CVE-2025-12818"]
    scene.refused(RESTORE, MissingDependency, "set accept_vulnerable_clients to CVE-2026-6477", accept_vulnerable_clients=three, **given)
    result = scene.call(RESTORE, accept_vulnerable_clients=[*three, "CVE-2026-6477"], **given)
    (check,) = [one for one in result["checks"] if one["id"] == "restore.clients"]
    assert (check["verdict"], "CVE-2025-8714" in check["message"]) == ("warn", True)


@pytest.mark.mutation
def test_refuses_a_vulnerable_pg_restore_without_isolation(
    scene: Scene, fresh_cluster: FreshCluster, server_install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = fresh_cluster()
    bare = dataclasses.replace(target, isolation="none")
    monkeypatch.setattr(lifecycle, "attach", lambda _directory: bare)
    given = {"sandbox": target.directory, "pg_bin": old(tmp_path / "bin", "pg_restore", server_install.bindir)}
    scene.refused(RESTORE, MissingDependency, "CVE-2026-6477", "accept_vulnerable_clients", **given)


@pytest.mark.mutation
def test_vulnerable_pg_restore_is_a_warning_in_a_drill(
    scene: Scene, fresh_cluster: FreshCluster, server_install: Install, tmp_path: Path
) -> None:
    target = fresh_cluster()
    # Next to the real installation, which a program in the sandbox must also see.
    own = tmp_path / "pginstall"
    shutil.copytree(os.path.dirname(server_install.bindir), own, symlinks=True)
    (own / "bin" / "pg_restore").rename(own / "bin" / "pg_restore.real")
    program = own / "bin" / "pg_restore"
    program.write_text('#!/bin/sh\ncase "$*" in *--version*) exec echo "pg_restore (PostgreSQL) 17.5";; esac\nexec "$0.real" "$@"\n')
    program.chmod(0o755)
    result = scene.call(RESTORE, sandbox=target.directory, pg_bin=str(own / "bin"))
    (check,) = [one for one in result["checks"] if one["id"] == "restore.clients"]
    assert (check["verdict"], "CVE-2025-8714" in check["message"]) == ("warn", True)


@pytest.mark.mutation
def test_vulnerable_psql_is_a_warning_of_the_backup(scene: Scene, server_install: Install, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    old(folder, "psql", server_install.bindir)
    (folder / "pg_dump").write_text(
        f'#!/bin/sh\ncase "$*" in *--version*) exec echo "pg_dump (PostgreSQL) 17.9";; esac\nexec {server_install.bindir}/pg_dump "$@"\n'
    )
    (folder / "pg_dump").chmod(0o755)
    (folder / "pg_restore").symlink_to(f"{server_install.bindir}/pg_restore")
    warnings: list[str] = []
    scene.call("pg_encrypted_dump", check_mode=True, warn=warnings.append, set_id=scene.new_id(), pg_bin=str(folder))
    assert any("CVE-2026-6477" in one and "install 17.10" in one for one in warnings)
