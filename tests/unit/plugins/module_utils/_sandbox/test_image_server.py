# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A sandbox with a PostgreSQL from an image works like any other, and nothing of the image runs outside."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import psycopg2
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import client_binaries, tools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency, StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import (
    cluster,
    confined,
    image_server,
    isolation,
    lifecycle,
    preflight,
    processes,
    server_clients,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import Layout, SandboxInfo, SandboxSpec, SourceFacts
from harness.small_programs import UNISOLATED, as_nobody, bearing
from scenes import image_scene
from scenes.image_scene import Image, archive, symlink

Bring = t.Callable[[Image], cache.Unpacked]
WRITE = cluster._write
LOCAL = f"{image_scene.PGSQL}/bin"[1:]


@pytest.fixture(scope="session")
def real(server_install: Install) -> Image:
    return image_scene.postgres(server_install, environment=["LD_PRELOAD=/evil.so", "PGDATA=/etc", "PGHOST=elsewhere", "LC_ALL=evil"])


@pytest.fixture
def bring(tmp_path: Path) -> Bring:
    (tmp_path / "images").mkdir(mode=0o755)
    return lambda image: cache.unpacked(str(tmp_path / "images"), image[0], [image_scene.saver(image[1])])[0]


def restored(pg_bin: str, info: SandboxInfo) -> None:
    """Restore with the image's pg_dump, psql and pg_restore, which see only their server."""
    client = client_binaries.find(pg_bin, minimum_major=0, tools=tools.PROGRAMS)
    assert client.bindir == Layout.of(info.directory).clients
    words = {name: confined.command(info, path) for name, path in client.paths.items()}
    assert words == {name: (path,) for name, path in client.paths.items()}
    environment = {
        "SECRET": "of this host",
        "PGHOST": info.socket_dir,
        "PGPORT": str(info.port),
        "PGUSER": info.superuser,
        "PGDATABASE": "postgres",
    }

    def run(name: str, *arguments: str, given: bytes = b"") -> bytes:
        found = subprocess.run([*words[name], *arguments], env=environment, input=given, check=True, capture_output=True)
        # The image's loader variables reach only the image's own program, not the programs around it.
        assert found.stderr.decode().count("/evil.so") == 1 + ("\\! " in "".join(arguments))
        return found.stdout

    run("psql", "-qc", "CREATE DATABASE other", "-c", "CREATE EXTENSION pgcrypto; CREATE TABLE kept AS SELECT 42 AS answer")
    run("pg_restore", "--dbname=other", given=run("pg_dump", "--format=custom"))
    assert run("psql", "-Atd", "other", "-c", "SELECT answer FROM kept").strip() == b"42"
    seen = run("psql", "-Atc", "\\! echo /*; read -r os < /etc/os; echo $os; echo none$SECRET").split(b"\n")
    assert set(seen[0].decode().split()) <= {"/.host", "/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/usr"}
    assert seen[1:3] == [b"of the image", b"none"]


def test_a_sandbox_from_an_image(real: Image, bring: Bring, sandbox_directory: str) -> None:
    image = bring(real)
    install = image_server.find(image, 17)
    info = lifecycle.create(SandboxSpec(sandbox_directory, install, source=SourceFacts(locale="xx_YY.UTF-8"))).info
    assert (info.image, info.isolation, info.server_version) == (image.image_id, isolation.BUBBLEWRAP, install.version_text)
    assert any("xx_YY.UTF-8" in warning for warning in info.warnings)
    server = processes.look(info.pid)
    assert server is not None and server.uid == info.uid != 0 and server.argv[0] == install.program("postgres")
    assert Path(f"/proc/{info.pid}/root/etc/os").exists()
    restored(info.pg_bin, info)
    assert lifecycle.attach(sandbox_directory) == info
    assert lifecycle.destroy(sandbox_directory)
    assert not os.path.exists(sandbox_directory) and processes.look(info.pid) is None


def refused(image: cache.Unpacked, minimum_major: int = 17) -> str:
    with pytest.raises(MissingDependency) as caught:
        image_server.find(image, minimum_major)
    assert "\n" not in caught.value.msg
    return caught.value.msg


@pytest.mark.mutation
def test_image_with_unsuitable_server_is_refused(real: Image, bring: Bring, server_install: Install) -> None:
    assert f"{server_install.version_text} of image" in refused(bring(real), 99)
    lacking = bring(real)
    (control,) = Path(lacking.rootfs).glob("**/pgcrypto.control")
    control.unlink()
    assert "no extension pgcrypto" in refused(lacking)
    Path(lacking.rootfs, LOCAL, "initdb").unlink()
    assert "has no postgres, initdb" in refused(lacking)
    others = [(f"{LOCAL}/{name}", b"#!/none") for name in image_server.PROGRAMS]
    assert "does not run" in refused(bring(image_scene.saved([archive(others)])))


@pytest.mark.mutation
@pytest.mark.parametrize("link", ["{outside}", "../../../../../../../../../..{outside}", "/usr/bin/env"])
def test_a_server_that_is_a_link_out_of_the_image(bring: Bring, tmp_path: Path, link: str) -> None:
    """The link is resolved inside the image, even if this host has the same path."""
    outside, began = tmp_path / "postgres", tmp_path / "began"
    outside.write_text(f"#!/bin/sh\n: > {began}\necho 'postgres (PostgreSQL) 17.10'\n")
    outside.chmod(0o755)
    links = [symlink(f"{LOCAL}/{name}", link.format(outside=outside)) for name in image_server.PROGRAMS]
    assert "has no postgres" in refused(bring(image_scene.saved([archive(links)])))
    assert not began.exists()


@pytest.mark.mutation
def test_endless_output_or_left_process_of_image_program_does_not_block_host(bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless version text is cut off. A program that leaves another program running leaves nothing behind."""
    script = "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"
    assert "does not run" in refused(scripted(bring, postgres=script))
    assert "no PostgreSQL version" in refused(scripted(bring, postgres="echo something else"))
    left = scripted(bring, postgres=f"(while :; do read -r left_{os.getpid()} < /dev/zero; done) & echo 'postgres (PostgreSQL) 17.10'")
    assert "pgcrypto" in refused(left)
    assert not bearing(f"left_{os.getpid()}")


def scripted(bring: Bring, **programs: str) -> cache.Unpacked:
    """Return an image with these scripts as its programs."""
    return bring(image_scene.programs(["/bin/sh"], "/bin", *scripts(initdb="exit 1", **programs)))


def hostile(image: cache.Unpacked) -> Install:
    return Install(f"/{LOCAL}", "", "", (17, 10), "image", image.image_id, image.rootfs, image_server.own(image))


@pytest.mark.mutation
def test_links_and_fifo_left_by_initdb_are_neither_followed_nor_awaited(bring: Bring, sandbox_directory: str, tmp_path: Path) -> None:
    """Root writes the settings, and reads the log and the state of the server."""
    kept, secret = tmp_path / "kept", tmp_path / "postgresql.log"
    kept.write_text("of this host")
    secret.write_text("FATAL: a secret of this host\n")
    initdb = f'ln -s {kept} "$2/postgresql.conf"; ln -s {kept} "$2/pg_hba.conf"; ln -s {tmp_path} "$2/log"; mkfifo "$2/postmaster.pid"'
    image = bring(
        image_scene.programs(["/bin/sh", "/bin/ln", "/usr/bin/mkfifo"], "/bin", *scripts(initdb=initdb, postgres='[ "$1" = --version ]'))
    )
    with pytest.raises(StageFailed) as caught:
        lifecycle.create(SandboxSpec(sandbox_directory, hostile(image)))
    assert "secret" not in caught.value.msg and kept.read_text() == "of this host"
    assert not os.path.exists(sandbox_directory)


@pytest.mark.mutation
def test_process_left_by_initdb_ends_before_files_are_written(
    bring: Bring, sandbox_directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the process could put a link where root writes files or changes their owner."""
    word = f"left_{os.getpid()}"
    at_work: list[bool] = []

    def write(layout: Layout, name: str, text: str) -> None:
        at_work.append(bool(bearing(word)))
        WRITE(layout, name, text)

    monkeypatch.setattr(cluster, "_write", write)
    loop = f"(exec /bin/sh -c 'while :; do read -r {word}; done < /dev/zero' > /dev/null 2>&1) &"
    image = bring(image_scene.programs(["/bin/sh"], "/bin", *scripts(initdb=loop, postgres='[ "$1" = --version ]')))
    with pytest.raises(StageFailed):
        lifecycle.create(SandboxSpec(sandbox_directory, hostile(image)))
    assert at_work == [False, False]


def scripts(**programs: str) -> list[tuple[str, bytes]]:
    return [(f"{LOCAL}/{name}", f"#!/bin/sh\n{text}\n".encode()) for name, text in programs.items()]


@pytest.mark.mutation
def test_without_bubblewrap_no_image_is_started(real: Image, bring: Bring, sandbox_directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install = image_server.find(bring(real), 17)
    monkeypatch.setattr(preflight, "find_bwrap", lambda: None)
    monkeypatch.setattr(isolation, "find_bwrap", lambda: None)
    kinds: tuple[dict[str, t.Any], ...] = ({}, UNISOLATED)
    for allowed in kinds:
        with pytest.raises(MissingDependency, match="bubblewrap"):
            preflight.preflight(SandboxSpec(sandbox_directory, install, **allowed))
    assert "bubblewrap" in refused(bring(real))


@pytest.mark.mutation
def test_no_words_start_an_image_without_bubblewrap() -> None:
    with pytest.raises(MissingDependency):
        isolation.Launcher(None, None).command(["/bin/sh"], readable=[], writable=[], passwd=None, rootfs="/srv/image")


# Imported early, because an ordinary user may not be able to read this Python's files.
assert server_clients


def _as_ordinary(directory: str, image: Image) -> tuple[bool, str]:
    images = f"{directory}-images"
    os.mkdir(images, 0o755)
    unpacked, _new = cache.unpacked(images, image[0], [image_scene.saver(image[1])])
    info = lifecycle.create(SandboxSpec(directory, image_server.find(unpacked, 17))).info
    try:
        restored(info.pg_bin, info)
    finally:
        lifecycle.destroy(directory)
        subprocess.run(["rm", "-rf", images], check=True)
    return info.uid == os.geteuid(), info.isolation


def test_an_ordinary_user_makes_one_too(real: Image, sandbox_directory: str) -> None:
    assert as_nobody(_as_ordinary, sandbox_directory, real) == (True, isolation.BUBBLEWRAP)


@pytest.mark.mutation
def test_host_supplies_client_programs_missing_from_image(real: Image, bring: Bring, sandbox_directory: str) -> None:
    image = bring(real)
    Path(image.rootfs, LOCAL, "pg_dump").unlink()
    install = image_server.find(image, 17)
    info = lifecycle.create(SandboxSpec(sandbox_directory, install)).info
    assert info.pg_bin == "" and any("pg_dump" in warning for warning in info.warnings)
    assert not any("locale" in warning for warning in info.warnings)
    psycopg2.connect(host=info.socket_dir, port=info.port, user=info.superuser, dbname="postgres").close()
