# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A directory as a store. Write a temporary file, fsync, link it to the final name, fsync the directory."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import secrets
import stat as stat_flags
import typing as t

from .._errors import NoObject, ObjectExists, StorageError
from .._files import paths
from .._files.folder import PLAIN, Folder
from . import folders
from .base import READ_LIMIT, ObjectStat, ObjectWriter, Store, check_key, is_part
from .folders import translated_errors

BUFFER = 1 << 20
_PARTIAL = re.compile(r"\.[0-9a-f]{16}\.partial\Z")


def _split(key: str) -> tuple[str, str]:
    folder, _slash, name = check_key(key).rpartition("/")
    return folder, name


class LocalStore(Store):
    """A store of files with mode 0600 below an absolute path. Only `make_place` creates the directories above it."""

    def __init__(self, path: str) -> None:
        self.location = path

    def path(self, key: str) -> str:
        """Return the path of a key, for messages and operators."""
        return os.path.join(self.location, key) if key else self.location

    @contextlib.contextmanager
    def _folder(self, key: str) -> t.Iterator[tuple[Folder, str]]:
        """Yield the directory that contains `key`, and the name in it."""
        inside, name = _split(key)
        with folders.enter(self.location, inside) as folder:
            yield folder, name

    def writer(self, folder: str, key: str | None = None) -> ObjectWriter:
        return _LocalWriter(self, check_key(folder) if folder else "")

    def open(self, key: str) -> t.BinaryIO:
        with translated_errors(self.path(key)), self._folder(key) as (folder, name):
            # An object that is being published has a second name, so the number of links is not checked.
            fd = os.open(name, PLAIN, dir_fd=folder.descriptor)
            if stat_flags.S_ISREG(os.fstat(fd).st_mode):
                return os.fdopen(fd, "rb", BUFFER)
            os.close(fd)
        raise _no_file(self.path(key))

    def read(self, key: str, limit: int = READ_LIMIT) -> bytes:
        with self.open(key) as stream, translated_errors(self.path(key)):
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise StorageError(f"{self.path(key)} is larger than {limit} bytes, so it cannot be the expected file; use another copy")
        return data

    def stat(self, key: str) -> ObjectStat | None:
        with translated_errors(self.path(key)):
            try:
                with self._folder(key) as (folder, name):
                    found = folder.stat(name)
            except FileNotFoundError:
                return None
        if found is None:
            return None
        if not stat_flags.S_ISREG(found.st_mode):
            raise _no_file(self.path(key))
        return ObjectStat(key, found.st_size)

    def list(self, prefix: str, after: str = "") -> list[ObjectStat]:
        found: list[ObjectStat] = []
        waiting = [prefix.rstrip("/")]
        while waiting:
            folder = waiting.pop()
            inside = f"{folder}/" if folder else ""
            first = after[len(inside) :].partition("/")[0] if after.startswith(inside) else ""
            for name, about in self._entries(folder, first=first):
                key = f"{folder}/{name}" if folder else name
                if stat_flags.S_ISDIR(about.st_mode):
                    waiting.append(key)
                elif key > after:  # Not a regular file: only a reader of this key fails.
                    found.append(ObjectStat(key, about.st_size if stat_flags.S_ISREG(about.st_mode) else 0))
        return sorted(found, key=lambda one: one.key)

    def _entries(self, folder: str, *, every: bool = False, first: str = "") -> t.Sequence[tuple[str, os.stat_result]]:
        """Return the entries of a directory with names that are valid in a key, or with `every` name. Empty if there is no such directory.

        Entries before the name `first` are left out, with few exceptions.
        """
        with translated_errors(self.path(folder)):
            try:
                entered = folders.enter(self.location, check_key(folder) if folder else "")
            except FileNotFoundError:
                return []
            with entered:
                # Calling stat for a file costs more than listing its name. A directory with a name that `first` starts
                # with may have keys after `first`.
                begins = {first[:length] for length in range(len(first))}
                wanted = [name for name in entered.names() if name >= first or name in begins]
                found = [(name, entered.stat(name)) for name in wanted if every or is_part(name)]
        return [(name, about) for name, about in found if about is not None]

    def delete(self, key: str) -> None:
        with translated_errors(self.path(key)), contextlib.suppress(FileNotFoundError), self._folder(key) as (folder, name):
            folder.unlink(name)
            folder.sync()

    def clear(self, folder: str, *, dry: bool = False) -> int:
        found = 0
        for name, about in self._entries(folder, every=True):
            if stat_flags.S_ISDIR(about.st_mode):
                found += self.clear(f"{folder}/{name}", dry=dry)
                continue
            found += 1
            if not dry:
                self._unlink(folder, name)
        if not dry:
            with contextlib.suppress(OSError), self._folder(folder) as (outer, name):
                outer.rmdir(name)
                outer.sync()
        return found

    def sweep(self, before: datetime.datetime, *, dry: bool = False) -> int:
        found = 0
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            for name, about in self._entries(folder, every=True):
                if stat_flags.S_ISDIR(about.st_mode):
                    waiting += [f"{folder}/{name}" if folder else name] if is_part(name) else []
                elif _PARTIAL.match(name) and about.st_mtime < before.timestamp():
                    found += 1
                    if not dry:
                        self._unlink(folder, name)
        return found

    def _unlink(self, folder: str, name: str) -> None:
        """Remove a file. Its name need not be valid in a key."""
        with translated_errors(f"{self.path(folder)}/{name}"), self._folder(f"{folder}/-" if folder else "-") as (outer, _name):
            outer.unlink(name)

    def clock(self) -> datetime.datetime | None:
        return folders.clock(self._existing())

    def free_bytes(self) -> int | None:
        place = folders.nearest(self.location)
        with translated_errors(place):
            free = os.statvfs(place)
        return free.f_bavail * free.f_frsize

    def check_writable(self, probe: bool) -> None:
        folders.check_parent(self.location)
        place = self._existing()
        if probe and place == self.location:
            # A probe needs a hard link too: a file system without links would fail only at the end of a backup.
            key = f"probe-{secrets.token_hex(8)}"
            self.put(key, b"")
            self.delete(key)
            return
        folders.check_may_write(place)

    def make_place(self, *, dry: bool = False) -> None:
        """Create the store's directory, and missing directories above it."""
        folders.check_may_write(folders.nearest(self.location))
        if not dry:
            with translated_errors(self.location):
                paths.make_all(self.location).close()

    def _existing(self) -> str:
        """Return the store's directory or, before the first object, the directory in which it will be created."""
        return self.location if os.path.lexists(self.location) else os.path.dirname(self.location)


class _LocalWriter(ObjectWriter):
    def __init__(self, store: LocalStore, folder: str) -> None:
        self._store = store
        self._name = f".{secrets.token_hex(8)}.partial"
        self._where = store.path(folder)
        self._size = 0
        folders.check_parent(store.location)
        with translated_errors(self._where):
            self._folder = folders.make(store.location, folder)
            try:
                self._fd = self._folder.create(self._name)
            except BaseException:
                self._folder.close()
                raise

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        with translated_errors(self._where):
            while view:
                view = view[os.write(self._fd, view) :]
        self._size += len(data)
        return len(data)

    def publish(self, key: str) -> ObjectStat:
        folder, name = _split(key)
        path = self._store.path(key)
        with translated_errors(path):
            os.fsync(self._fd)
            try:
                with folders.make(self._store.location, folder) as target:
                    self._folder.link(self._name, name, into=target)
                    self.discard()
                    target.sync()
            except FileExistsError as exc:
                raise ObjectExists(f"{path} already exists; a repository never overwrites a file") from exc
        return ObjectStat(key, self._size)

    def discard(self) -> None:
        if self._fd < 0:
            return
        os.close(self._fd)
        self._fd = -1
        with contextlib.suppress(OSError):  # a leftover has a name that no key can have
            self._folder.unlink(self._name)
        self._folder.close()


def _no_file(path: str) -> NoObject:
    return NoObject(f"{path} is not a regular file; remove it and find out who created it")
