# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the secrets of a deployment from the files that an operator names. They are read once, kept in memory and never shown."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import re
import stat
import typing as t

from ..._errors import KeyProblem, OptionError
from ..._files import paths
from ..._files.folder import TEMPORARY, Folder

FILE_LIMIT = 1 << 20
FILES = 1000
TOTAL = 32 << 20
_NAME = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._@+-]*(/[A-Za-z0-9._][A-Za-z0-9._@+-]*)*\Z")


@dataclasses.dataclass(frozen=True)
class File:
    """A file: its name in the bundle, the path from which it was read, permission bits, content."""

    name: str
    place: str
    mode: int
    content: bytes = dataclasses.field(repr=False)


def directory(path: str, folder: str) -> list[File]:
    """Return every file below a directory.

    Links inside it are followed, since Kubernetes mounts secrets as links. Its hidden `..data` directories are skipped.
    """
    top, found, size = _real(path), [], 0
    for below in _names(top):
        found.append(_file(f"{folder}/{below}", os.path.join(top, below), top))
        size += len(found[-1].content)
        if len(found) > FILES or size > TOTAL:
            raise OptionError(
                f"{path} contains more than {FILES} files or {TOTAL >> 20} MiB, so not only secrets; correct the option directory"
            )
    if not found:
        raise OptionError(f"{path} contains no file, and Caracal would silently create new secrets in it; correct the option directory")
    return found


def _real(path: str) -> str:
    """Return the path of the directory, with all links resolved."""
    with _readable(path), paths.folder(path) as found:
        return os.path.normpath(found.path)


def _names(top: str) -> t.Iterator[str]:
    """Yield the relative paths of all files and links below a directory, those in one directory before those in its subdirectories."""
    waiting, seen = collections.deque([""]), 1
    while waiting:
        below = waiting.popleft()
        if seen > FILES:
            raise OptionError(f"{top} contains more than {FILES} directories, so not only secrets; correct the option directory")
        with (
            _readable(os.path.join(top, below)),
            paths.descend(paths.folder(top), below, Folder.child) as opened,
            opened.entries() as entries,
        ):
            kinds = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        for name, is_folder in kinds:
            if is_folder and not name.startswith(".."):
                waiting.append(os.path.join(below, name))
                seen += 1
            elif not is_folder and not name.startswith(("..", TEMPORARY)):
                yield os.path.join(below, name)


@contextlib.contextmanager
def _readable(path: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise KeyProblem(f"cannot read directory {path}: {exc.strerror}; check path and owner") from exc


def empty_folders(path: str, names: t.Iterable[str], folder: str, found: t.Sequence[File]) -> list[File]:
    """Return the subdirectories in `names` that contain none of the files `found`, with name and mode but without content."""
    top, empty = _real(path), []
    filled = {os.path.relpath(one.place, top).partition(os.sep)[0] for one in found}
    with _readable(path), paths.folder(top) as opened:
        for name in names:
            about = opened.stat(name)
            if about and stat.S_ISDIR(about.st_mode) and name not in filled:
                empty.append(File(f"{folder}/{name}", os.path.join(top, name), about.st_mode & 0o777, b""))
    return empty


def named(name: str, path: str) -> File:
    """Return one file that the operator named. A link may lead to any path."""
    return _file(name, path)


def together(files: t.Iterable[File]) -> list[File]:
    """Return the files sorted by name. Raise OptionError if two sources have the same name."""
    found: dict[str, File] = {}
    for one in files:
        first = found.setdefault(one.name, one)
        if first is not one:
            raise OptionError(f"{first.place} and {one.place} are both sources of {one.name}; remove one of them")
    if sum(len(one.content) for one in found.values()) > TOTAL:
        raise OptionError(f"the sources contain more than {TOTAL >> 20} MiB, so not only secrets; remove the other files")
    return [found[name] for name in sorted(found)]


def _file(name: str, place: str, within: str = "") -> File:
    """Read one file. `within` is the directory that links may not leave."""
    if not _NAME.match(name) or {".", ".."} & set(name.split("/")):
        raise OptionError(f"{place!a} cannot be stored as {name[:200]!a}; use a name of letters, digits, '.', '_' and '-'")
    try:
        above, last = paths.real_parent(place)
        with above:
            if within and not f"{os.path.normpath(above.path)}/".startswith(f"{within}/"):
                raise OptionError(f"{place!a} is a link to a file outside {within}; add that file to the option files")
            with above.read(last) as stream:
                about = os.fstat(stream.fileno())
                content = stream.read(FILE_LIMIT + 1)
    except OSError as exc:
        raise KeyProblem(f"cannot read {place}: {exc.strerror}; give the regular file that contains the secret") from exc
    if len(content) > FILE_LIMIT:
        raise OptionError(f"{place} is larger than {FILE_LIMIT >> 20} MiB, so it is not a secret; move it out of the secrets directory")
    return File(name, place, about.st_mode & 0o777, content)


def settings(environment: bytes) -> dict[str, str]:
    """Return the settings in the content of a caracal.env. The last value of a variable wins, and an empty value counts as not set."""
    found = {}
    for line in environment.decode("utf-8", "replace").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = value.strip().strip("\"'")
    return {name: value for name, value in found.items() if value}
