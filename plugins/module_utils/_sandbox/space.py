# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Free space on a file system, its protection at rest, and a monitor of the free space."""

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
# More than any program of a drill uses, and few enough for as many open directories.
DEEPEST = 60
# A user with write access could replace a directory by another object, such as a pipe, at which an open would wait.
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def nearest(path: str) -> str:
    """Return the path, or the closest directory above it that is accessible."""
    while True:
        try:
            os.stat(path)
            return path
        except OSError:
            if path == os.path.dirname(path):
                raise
            path = os.path.dirname(path)


def free_bytes(path: str) -> int:
    """Return the bytes that an ordinary user can still write on the file system of `path`, which need not exist yet."""
    stats = os.statvfs(nearest(path))
    return stats.f_bavail * stats.f_frsize


def used_bytes(root: str) -> int | None:
    """Return the disk space of the files below `root`. Files that disappear meanwhile are not counted.

    Returns None if directories are nested so deeply that files may be hidden.
    """
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
    """Return the size by file descriptors. A path has at most 4096 bytes, and a hostile program can create longer ones."""
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
    """Return the memory of this host in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def protection(path: str, *, mountinfo: str = MOUNTINFO, block_devices: str = BLOCK_DEVICES) -> str:
    """Return what protects `path` if the disk is stolen: `tmpfs`, `dm-crypt`, or `clear` if no protection was detected."""
    kind, device = _mount_of(os.path.realpath(nearest(path)), mountinfo)
    if kind in ("tmpfs", "ramfs"):
        return TMPFS
    return DM_CRYPT if _encrypted(device, block_devices) else CLEAR


def _mount_of(path: str, mountinfo: str) -> tuple[str, str]:
    """Return the file system type and `major:minor` of the mount that contains `path`.

    It is the mount with the longest mount point, and the latest of equal ones.
    """
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
    """Return the device number. File systems such as btrfs show an anonymous device (major 0), so the number of the source is used."""
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
    """Return True if the device, or every device below it (LVM and RAID on LUKS), is a dm-crypt mapping."""
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
    """Check the free space every `interval` seconds while its block runs, and call `on_low(free)` once if it is too low.

    `on_low` runs in the monitor's thread. It should stop the process that fills the disk. Afterwards `low` contains the
    observed free space.
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
