# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Room on a file system, what protects it at rest, and a watch on what is left."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import typing as t

TMPFS = "tmpfs"
DM_CRYPT = "dm-crypt"
CLEAR = "clear"

MOUNTINFO = "/proc/self/mountinfo"
BLOCK_DEVICES = "/sys/dev/block"
# More than any server or program that we start makes, and few enough for as many open folders.
DEEPEST = 60
# Whoever may write there can put another thing in the place of a folder, such as a pipe that is waited for.
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def nearest(path: str) -> str:
    """The path, or the closest folder above it that we can see."""
    while True:
        try:
            os.stat(path)
            return path
        except OSError:
            if path == os.path.dirname(path):
                raise
            path = os.path.dirname(path)


def free_bytes(path: str) -> int:
    """What an ordinary user can still write on the file system that holds, or will hold, `path`."""
    stats = os.statvfs(nearest(path))
    return stats.f_bavail * stats.f_frsize


def used_bytes(root: str) -> int | None:
    """What the files below `root` take of the disk; what goes away meanwhile counts nothing. None where folders lie in folders so deep
    that something may hide there."""
    try:
        folder = os.open(root, _FOLDER)
    except OSError:
        return 0
    try:
        return _used(folder, DEEPEST)
    except _TooDeep:
        return None
    finally:
        os.close(folder)


class _TooDeep(Exception):
    pass


def _used(folder: int, levels: int) -> int:
    """By file descriptors: a path has at most 4096 bytes, and whoever may write there makes longer ones."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                total += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    total += _used_below(folder, entry.name, levels)
    return total


def _used_below(folder: int, name: str, levels: int) -> int:
    if not levels:
        raise _TooDeep
    below = os.open(name, _FOLDER, dir_fd=folder)
    try:
        return _used(below, levels - 1)
    finally:
        os.close(below)


def memory_bytes() -> int:
    """The memory of this host."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def protection(path: str, *, mountinfo: str = MOUNTINFO, block_devices: str = BLOCK_DEVICES) -> str:
    """What keeps `path` unreadable when the disk is stolen: `tmpfs`, `dm-crypt`, or nothing that we can see: `clear`."""
    kind, device = _mount_of(os.path.realpath(nearest(path)), mountinfo)
    if kind in ("tmpfs", "ramfs"):
        return TMPFS
    return DM_CRYPT if _encrypted(device, block_devices) else CLEAR


def _mount_of(path: str, mountinfo: str) -> tuple[str, str]:
    """File system type and `major:minor` of the mount that holds `path`: the longest mount point, the latest of equals."""
    best, found = "", ("", "")
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            fields, _dash, rest = line.partition(" - ")
            device, point = fields.split()[2], _unescape(fields.split()[4])
            kind, source = rest.split()[:2]
            if len(point) >= len(best) and (path == point or path.startswith(point.rstrip("/") + "/")):
                best, found = point, (kind, _device(device, source))
    return found


def _device(device: str, source: str) -> str:
    """btrfs and its like show an anonymous device (major 0); the real one is that of the source."""
    if device.startswith("0:") and source.startswith("/dev/"):
        try:
            number = os.stat(source).st_rdev
        except OSError:
            return device
        return f"{os.major(number)}:{os.minor(number)}"
    return device


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def _encrypted(device: str, block_devices: str) -> bool:
    """True when the device, or everything below it (LVM and RAID on LUKS), is a dm-crypt mapping."""
    folder = os.path.join(block_devices, device)
    try:
        with open(os.path.join(folder, "dm", "uuid"), encoding="ascii") as uuid:
            if uuid.read().startswith("CRYPT-"):
                return True
    except OSError:
        pass
    try:
        below = os.listdir(os.path.join(folder, "slaves"))
    except OSError:
        return False
    return bool(below) and all(_encrypted(_number(os.path.join(folder, "slaves", name)), block_devices) for name in below)


def _number(device_folder: str) -> str:
    try:
        with open(os.path.join(device_folder, "dev"), encoding="ascii") as number:
            return number.read().strip()
    except OSError:
        return ""


class Watch:
    """Looks at free space every `interval` seconds while its block runs, and calls `on_low(free)` once when it is short.

    `on_low` runs on the watch's thread; it is meant to end what fills the disk. `low` tells afterwards what was seen.
    """

    def __init__(self, path: str, minimum_free: int, on_low: t.Callable[[int], None], *, interval: float = 1.0) -> None:
        self.low: int | None = None
        self._path = path
        self._minimum = minimum_free
        self._on_low = on_low
        self._interval = interval
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, name="space-watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.is_set():
            free = free_bytes(self._path)
            if free < self._minimum:
                self.low = free
                self._on_low(free)
                return
            self._end.wait(self._interval)
