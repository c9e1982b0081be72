# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import threading

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import space
from harness.waiting import PATIENCE


def mounts(tmp_path: pathlib.Path, *lines: str) -> str:
    path = tmp_path / "mountinfo"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def test_the_longest_mount_point_decides(tmp_path: pathlib.Path) -> None:
    table = mounts(
        tmp_path,
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw",
        f"28 27 0:25 / {tmp_path} rw - tmpfs tmpfs rw,size=4k",
        f"29 27 8:1 / {tmp_path}-other rw - ext4 /dev/sda1 rw",
    )
    assert space.protection(str(tmp_path / "not" / "there"), mountinfo=table, block_devices=str(tmp_path)) == space.TMPFS
    assert space.protection("/", mountinfo=table, block_devices=str(tmp_path)) == space.CLEAR


def test_a_mount_point_with_a_space_is_read(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    table = mounts(tmp_path, "27 1 254:0 / / rw - ext4 /dev/vda rw", f"28 27 0:25 / {tmp_path}/a\\040b rw - tmpfs tmpfs rw")
    assert space.protection(str(folder), mountinfo=table, block_devices=str(tmp_path)) == space.TMPFS


def test_dm_crypt_is_seen_also_below_lvm(tmp_path: pathlib.Path) -> None:
    blocks = tmp_path / "block"
    for number, uuid in (("253:0", "CRYPT-LUKS2-x"), ("253:1", "LVM-y"), ("253:2", "LVM-z")):
        (blocks / number / "dm").mkdir(parents=True)
        (blocks / number / "dm" / "uuid").write_text(uuid)
    (blocks / "253:1" / "slaves" / "dm-0").mkdir(parents=True)
    (blocks / "253:1" / "slaves" / "dm-0" / "dev").write_text("253:0\n")
    (blocks / "253:2" / "slaves" / "sda").mkdir(parents=True)
    (blocks / "253:2" / "slaves" / "sda" / "dev").write_text("8:0\n")
    seen = {
        number: space.protection("/", mountinfo=mounts(tmp_path, f"27 1 {number} / / rw - ext4 /dev/x rw"), block_devices=str(blocks))
        for number in ("253:0", "253:1", "253:2", "8:0")
    }
    assert seen == {"253:0": space.DM_CRYPT, "253:1": space.DM_CRYPT, "253:2": space.CLEAR, "8:0": space.CLEAR}


def test_the_real_machine_has_a_protection(tmp_path: pathlib.Path) -> None:
    assert space.protection(str(tmp_path)) in (space.TMPFS, space.DM_CRYPT, space.CLEAR)


def test_the_watch_calls_once_when_room_is_short(tmp_path: pathlib.Path) -> None:
    called = threading.Event()
    seen: list[int] = []
    with space.Watch(str(tmp_path), 1 << 60, lambda free: (seen.append(free), called.set())[0], interval=0.01) as watch:
        assert called.wait(PATIENCE)
    assert len(seen) == 1 and watch.low == seen[0]


def test_the_watch_is_silent_while_there_is_room(tmp_path: pathlib.Path) -> None:
    seen: list[int] = []
    with space.Watch(str(tmp_path), 1, seen.append, interval=0.001) as watch:
        threading.Event().wait(0.05)
    assert seen == [] and watch.low is None
