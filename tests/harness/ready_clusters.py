# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters that are copied instead of created: the tests need hundreds, and `initdb` takes a second of a core each time.

A copy gets a system identifier of its own, in the control file and in the one WAL segment, because the collection
distinguishes clusters by it. The tests of the sandbox switch this off and test `initdb` itself.
"""

from __future__ import annotations

import os
import secrets
import shutil
import struct
import typing as t

from harness import runs

Run = t.Callable[..., t.Any]
Key = tuple[str, ...]

CONTROL = os.path.join("global", "pg_control")
# `xlp_sysid` of XLogLongPageHeaderData stands behind the 24 bytes of the short header.
SYSID_IN_WAL = 24
# Possible offsets of the checksum: behind the fields of all majors, before the end of the smallest control file.
CHECKSUM_PLACES = range(200, 512, 4)


def _crc32c_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _bit in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


TABLE = _crc32c_table()


def crc32c(data: bytes) -> int:
    """The checksum of PostgreSQL's control file (Castagnoli)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def give_identifier(data: str, identifier: int) -> None:
    """Make the cluster in `data`, never started, another one."""
    path = os.path.join(data, CONTROL)
    with open(path, "r+b") as control:
        held = control.read()
        place = next(offset for offset in CHECKSUM_PLACES if held[offset : offset + 4] == struct.pack("=I", crc32c(held[:offset])))
        changed = struct.pack("=Q", identifier) + held[8:place]
        control.seek(0)
        control.write(changed + struct.pack("=I", crc32c(changed)))
    wal = os.path.join(data, "pg_wal")
    (segment,) = [name for name in os.listdir(wal) if len(name) == 24]
    with open(os.path.join(wal, segment), "r+b") as pages:
        pages.seek(SYSID_IN_WAL)
        pages.write(struct.pack("=Q", identifier))


class ReadyClusters:
    """Stands before `cluster.run`: the first `initdb` of its kind is run and kept, the others are copied from it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._kept: dict[Key, str] = {}
        self._folder = runs.folder("ready")

    def __call__(self, command: list[str], **options: t.Any) -> t.Any:
        programs = [place for place, word in enumerate(command) if os.path.basename(word) == "initdb"]
        if not programs or command[programs[-1] + 1] != "-D":
            return self._run(command, **options)
        start = programs[-1]
        data = command[start + 2]
        key = (command[start], *command[start + 3 :])
        if key in self._kept:
            shutil.copytree(self._kept[key], data, dirs_exist_ok=True)
            give_identifier(data, secrets.randbits(63))
            return None
        result = self._run(command, **options)
        kept = os.path.join(self._folder, str(len(self._kept)))
        shutil.copytree(data, kept)
        self._kept[key] = kept
        return result

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
