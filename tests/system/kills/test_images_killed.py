# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`kill -9` at random times while an image is unpacked, dumps with its programs, or starts its servers.

No process of the image remains, an incomplete image is never used, and the next run is not blocked.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import client_binaries, tools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import image_clients, processes
from harness.waiting import came, remains
from scenes import image_scene, kill_runner, redis_server
from scenes.fixtures import Committed
from scenes.image_scene import Image, archive, packed
from scenes.twin_database import Copier, TwinCluster
from system.kills.box import Box
from system.kills.test_kills import WAITING, Moments, Runner, check_source, in_the_clear, next_backup
from twin import load


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files of the runs, which could contain plaintext."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir(mode=0o755)
    return tmp_path / "images"


def content(root: Path) -> dict[str, bytes | str | None]:
    """Return everything below a folder: bytes of files, targets of links, None for directories."""
    found: dict[str, bytes | str | None] = {}
    for path in root.rglob("*"):
        value = os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(root))] = value
    return found


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.suffix != ".lock"}


def running(rootfs: Path) -> list[str]:
    """Return processes with a program that is a file of the image, by any name, or with the image in their arguments."""
    files = {(about.st_dev, about.st_ino) for about in map(os.lstat, rootfs.rglob("*")) if stat.S_ISREG(about.st_mode)}

    def of_image(one: processes.Process) -> bool:
        with contextlib.suppress(OSError):
            about = os.stat(f"/proc/{one.pid}/exe")
            return (about.st_dev, about.st_ino) in files or any(str(rootfs) in word for word in one.argv)
        return False

    return [f"{one.pid} {' '.join(one.argv)}" for one in processes.everyone() if of_image(one)]


# ---- unpacking


def many_files() -> Image:
    """Return an image that takes time to unpack: some thousand files, and a layer that removes some of them."""
    base = [(f"usr/share/{number % 40}/{number}", b"%d" % number * 300) for number in range(3000)]
    gone = [(f"usr/share/{number}/.wh..wh..opq", b"") for number in range(0, 40, 4)]
    return image_scene.saved([archive(base), archive([*gone, *base[1000:2000]]), archive([("last", b"1")])], pack=packed)


@pytest.mark.mutation
def test_killed_unpacking_publishes_no_incomplete_image(committed: Committed, directory: Path, temporary: Path, tmp_path: Path) -> None:
    image, data = many_files()
    (tmp_path / "image.tar").write_bytes(data)
    given = {"image": image, "archives": [str(tmp_path / "image.tar")]}
    (tmp_path / "whole").mkdir(mode=0o755)
    whole = Runner("image_unpacked", committed.scene, json.dumps({**given, "directory": str(tmp_path / "whole")}))
    moments = Moments("image_unpacked", 12, whole.whole())
    name = image.removeprefix("sha256:")
    expected = content(tmp_path / "whole" / name)
    argument = json.dumps({**given, "directory": str(directory)})
    for number, (label, after, group) in enumerate(moments):
        print(label)
        moments.kill(Runner("image_unpacked", committed.scene, argument), after, group)
        assert {one for one in names(directory) if not one.startswith(cache.NEW)} <= {name}
        if name in names(directory):
            assert content(directory / name) == expected
        # Every second run starts with what several killed runs have left.
        if number % 2:
            Runner("image_unpacked", committed.scene, argument).whole()
            assert names(directory) == {name} and content(directory / name) == expected
            (directory / name).rename(tmp_path / f"done {number}")
    moments.enough()
    assert not list(temporary.iterdir())


# ---- client programs


@pytest.fixture
def pg_bin(server_install: Install, directory: Path) -> Path:
    """Return the folder of client programs of an image."""
    found = client_binaries.find(server_install.bindir, minimum_major=0, tools=tools.PROGRAMS)
    image, data = image_scene.programs(list(found.paths.values()), "/usr/local/pgsql/bin")
    unpacked, _new = cache.unpacked(str(directory), image, [image_scene.saver(data)])
    return Path(image_clients.programs(unpacked))


@pytest.mark.mutation
def test_no_program_of_image_survives_killed_backup(
    committed: Committed, caracal_database: TwinCluster, marks: list[bytes], pg_bin: Path, temporary: Path, tmp_path: Path
) -> None:
    base, rootfs = committed.scene, pg_bin.parent / "rootfs"
    whole = Runner("backup_by_image", base.copy(tmp_path / "whole"), f"{pg_bin} {committed.first['set_id'][:-4]}next")
    moments = Moments("backup_by_image", 10, whole.whole())
    for number, (label, after, group) in enumerate(moments):
        print(label)
        scene, set_id = base.copy(tmp_path / f"{number}"), f"20261125T0200{number:02}Z-kill"
        moments.kill(Runner("backup_by_image", scene, f"{pg_bin} {set_id}"), after, group)
        assert remains(lambda: running(rootfs)) == []
        check_source(caracal_database)
        assert in_the_clear(scene.repository, marks) == [] and not list(temporary.iterdir())
        next_backup(scene, set_id, pg_bin=str(pg_bin))
    moments.enough()


@pytest.mark.mutation
def test_image_program_waiting_for_a_lock_ends_after_a_kill(
    committed: Committed, caracal_database: TwinCluster, caracal_copy: Copier, pg_bin: Path, tmp_path: Path
) -> None:
    """No pipe informs the program that its parent is gone."""
    database, rootfs = caracal_copy(), pg_bin.parent / "rootfs"
    runner = Runner("backup_by_image", committed.scene.copy(tmp_path / "scene"), f"{pg_bin} 20261125T020000Z-lock {database}")
    with contextlib.closing(load.open_database(caracal_database.target, database)) as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE ONLY audit_events IN ACCESS EXCLUSIVE MODE")
        runner.go()
        waits = came(lambda: any("LOCK TABLE" in query for (query,) in caracal_database.execute(WAITING)))
        seen = running(rootfs)
        runner.process.kill()
        runner.close()
        assert waits and any("pg_dump" in one for one in seen)
        assert remains(lambda: running(rootfs), patience=10.0) == []
        check_source(caracal_database)


# ---- servers


@pytest.fixture(scope="module")
def servers(server_install: Install, tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Any]:
    """Return IDs of the images by their content, and their archives."""
    folder = tmp_path_factory.mktemp("archives")
    made = {
        "postgres": image_scene.postgres(server_install),
        "redis": image_scene.programs([redis_server.program(8)], "/usr/local/bin"),
    }
    for name, (_image, data) in made.items():
        (folder / f"{name}.tar").write_bytes(data)
    return {**{name: image for name, (image, _data) in made.items()}, "archives": [str(folder / f"{name}.tar") for name in made]}


@pytest.mark.mutation
def test_no_server_of_image_remains_after_removal_of_killed_sandbox(
    committed: Committed, box: Box, servers: dict[str, t.Any], directory: Path, temporary: Path
) -> None:
    argument = json.dumps({**servers, "directory": box.directory, "images": str(directory)})
    Runner("image_sandbox", committed.scene, argument).whole()
    # From now on the images are unpacked, so that kills hit the servers.
    moments = Moments("image_sandbox", 8, Runner("image_sandbox", committed.scene, argument).whole())
    for label, after, group in moments:
        print(label)
        moments.kill(Runner("image_sandbox", committed.scene, argument), after, group)
        box.remove()
        assert remains(lambda: [*box.left(), *running(directory)]) == []
        kill_runner.image_sandbox(committed.scene, argument)
        assert remains(lambda: [*box.left(), *running(directory)]) == []
    moments.enough()
    assert len(names(directory)) == 2 and not list(temporary.iterdir())
