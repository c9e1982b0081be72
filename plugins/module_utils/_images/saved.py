# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image as saved by a container engine: one tar archive with a configuration, layers, and in newer ones their descriptions by digest.

The descriptions are parsed in `descriptions`.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import posixpath
import tarfile
import typing as t

from .._errors import storage_error
from .._stream import pipes
from . import descriptions, entries, room
from .budget import Budget
from .descriptions import TEXT_LIMIT
from .entries import FILE, HARD_LINK, SYMLINK, Entry

FILES_LIMIT = 4096
END = bytes(2 * tarfile.BLOCKSIZE)
Taken = t.TypeVar("Taken")


@dataclasses.dataclass(frozen=True)
class Saved:
    """A saved image. `config` is the unchanged configuration.

    `layers` are files on this host, lowest first, each with the SHA-256 of its unpacked content.
    """

    layers: t.Sequence[tuple[str, str]]
    config: t.Mapping[str, object]


def keep(source: pipes.Reader, folder: str, image_id: str, budget: Budget) -> Saved:
    """Write the output of an engine into an empty directory, and find the image `sha256:...` in it.

    Raises OptionError, StorageError, TamperedData, and the errors of the budget.
    """
    numbers = itertools.count()

    def write(_name: str, size: int, data: pipes.Reader) -> str:
        room.check(folder, 1, size)
        return _write(os.path.join(folder, str(next(numbers))), data)

    found = files(source, write, budget)

    def text(name: str) -> bytes | None:
        return _text(found[name]) if name in found else None

    image = descriptions.describe(text, image_id, budget)
    return Saved([(_named(found, name), diff_id) for name, diff_id in image.layers], image.config)


def files(source: pipes.Reader, take: t.Callable[[str, int, pipes.Reader], Taken], budget: Budget) -> dict[str, Taken]:
    """Return the result of `take` for each file of the archive, by name. `take` gets name, size and bytes. Links are additional names."""
    found: dict[str, Taken] = {}
    links: dict[str, str] = {}
    for entry, data in entries.read(source, "the saved image", budget):
        budget.spend("the saved image", packed=entry.size)
        if len(found) + len(links) >= FILES_LIMIT:
            raise descriptions.fault(f"it contains more than {FILES_LIMIT} files")
        name = posixpath.normpath(entry.path)
        if entry.kind == FILE:
            found[name] = take(name, entry.size, data)
        elif entry.kind in (SYMLINK, HARD_LINK):
            links[name] = _target(name, entry)
    return {**{name: found[target] for name, target in links.items() if target in found}, **found}


def file(name: str, size: int, pieces: t.Iterable[bytes]) -> t.Iterator[bytes]:
    """Yield a file in the format of such an archive. After the last file, write `END`."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    yield info.tobuf(tarfile.GNU_FORMAT)
    yield from pieces
    yield bytes(-size % tarfile.BLOCKSIZE)


def _target(name: str, entry: Entry) -> str:
    above = posixpath.dirname(name) if entry.kind == SYMLINK else ""
    return posixpath.normpath(posixpath.join(above, entry.target))


def _write(path: str, data: pipes.Reader) -> str:
    try:
        with open(path, "xb") as out:
            pipes.copy(data, out)
    except OSError as exc:
        raise storage_error(exc)(f"cannot store the image in {os.path.dirname(path)}: {exc.strerror}; make room there") from exc
    return path


def _named(found: t.Mapping[str, Taken], name: str) -> Taken:
    if name not in found:
        raise descriptions.fault(f"it lacks {name[:100]!a}")
    return found[name]


def _text(path: str) -> bytes:
    with open(path, "rb") as source:
        data = source.read(TEXT_LIMIT + 1)
    if len(data) > TEXT_LIMIT:
        raise descriptions.fault(f"a manifest or configuration has more than {TEXT_LIMIT} bytes")
    return data
