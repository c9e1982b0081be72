# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images unpacked on this host, each once: `DIRECTORY/ID/rootfs` with `config.json` next to it.

A directory with an ID as name is complete: it gets its name after the whole image was read and compared with the ID.
Each run removes what killed runs have left. It also removes images that were not used for long. If all images together
exceed a limit, it removes the least recently used ones.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import secrets
import time
import typing as t

from .._drivers.engine import answers
from .._errors import BackupError, MissingDependency, OptionError, StorageError, storage_error
from .._files import trusted
from .._repository import lock
from .._stream import pipes
from . import layers, removal, saved
from .budget import BYTES_LIMIT, Budget
from .tree import Tree

UNUSED_SECONDS = 90 * 86400
# A run that was given an image may not have started its programs yet.
RECENT_SECONDS = 86400
KEPT_BYTES = 4 << 30
_ID = re.compile(r"sha256:([0-9a-f]{64})\Z")
# The characters that the system accepts: no null byte and no surrogate.
_WORD = re.compile(r"[^\0\ud800-\udfff]*\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
NEW = ".new-"
Save = t.Callable[[], t.ContextManager[pipes.Reader]]


@dataclasses.dataclass(frozen=True)
class Unpacked:
    """An image on this host. `folder` contains `rootfs` and the files next to it."""

    image_id: str
    folder: str

    @property
    def rootfs(self) -> str:
        return os.path.join(self.folder, "rootfs")

    @property
    def tree(self) -> Tree:
        return Tree(self.rootfs, f"image {self.image_id[:19]}")

    def config(self) -> dict[str, object]:
        """Return the image's start configuration, such as its entry point and environment, in the image format."""
        try:
            with open(os.path.join(self.folder, "config.json"), encoding="utf-8") as file:
                return dict(json.load(file).get("config") or {})
        except (OSError, ValueError, TypeError, AttributeError) as exc:
            raise StorageError(f"{self.folder} is not an unpacked image; remove it, then run again") from exc

    def size(self) -> int:
        """Return the measured size in bytes when it was unpacked, or 0 if it is unknown."""
        try:
            with open(os.path.join(self.folder, "size"), encoding="ascii") as file:
                return int(file.read(20))
        except (OSError, ValueError):
            return 0

    def environment(self) -> dict[str, str]:
        """Return the variables of the image, which are not secret. Invalid ones are left out."""
        found = answers.variables({"Env": _texts(self.config().get("Env"))})
        return {name: value for name, value in found.items() if _VARIABLE.match(name) and _WORD.match(value)}

    def command(self) -> list[str]:
        """Return entry point and arguments. Empty if the image has none, or if they cannot be started."""
        config = self.config()
        words = [*_texts(config.get("Entrypoint")), *_texts(config.get("Cmd"))]
        return words if all(_WORD.match(word) for word in words) else []

    def working_directory(self) -> str:
        found = str(self.config().get("WorkingDir") or "/")
        return found if found.startswith("/") and _WORD.match(found) else "/"


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def unpacked(directory: str, image_id: str, saves: t.Sequence[Save]) -> tuple[Unpacked, bool]:
    """Return the image `sha256:...` below `directory`, and whether it had to be unpacked.

    Each of `saves` opens the output of `docker image save` for the image. The first one that has the image is used.
    Raises KeyProblem, OptionError, StorageError, and MissingDependency with the reason why each of them does not have
    it.
    """
    image = place(directory, image_id)
    with _alone(directory):
        new = not os.path.isdir(image.folder)
        if new:
            _unpack_first(directory, image, saves)
        os.utime(image.folder)
        _forget(directory, image.folder)
    return image, new


def place(directory: str, image_id: str) -> Unpacked:
    """Return the location of an image, which need not be unpacked yet. Raises OptionError for an invalid ID."""
    found = _ID.match(image_id)
    if found is None:
        raise OptionError(f"{image_id[:100]!a} is not an image ID; give it as `docker image inspect` shows it, sha256:...")
    return Unpacked(image_id, os.path.join(directory, found[1]))


def refused(image_id: str, reasons: t.Sequence[str]) -> MissingDependency:
    """Return the error for an unavailable image, with the reason for each source."""
    why = "; ".join(reasons) or "no archive is set, this host has no container engine, and its registry is unknown"
    return MissingDependency(f"image {image_id[:19]} is not available: {why}")


@contextlib.contextmanager
def _alone(directory: str) -> t.Iterator[None]:
    """Lock the directory, and wait for another run in it. Programs are started from it, so no other user may be able to write there."""
    try:
        trusted.workplace(directory, 0o755)
        with lock.exclusive(os.path.join(directory, ".images")):
            yield
    except OSError as exc:
        words = f"cannot store images in {directory}: {exc.strerror}; name another directory, or make room there"
        raise storage_error(exc)(words) from exc


def _unpack_first(directory: str, image: Unpacked, saves: t.Sequence[Save]) -> None:
    """Unpack from the first source that has the image. A source with wrong content is skipped like a source without the image.

    Neither is evidence about the set.
    """
    reasons = []
    for save in saves:
        try:
            return _unpack(directory, image, save)
        except StorageError:
            raise
        except BackupError as exc:
            reasons.append(exc.msg)
    raise refused(image.image_id, reasons)


def _unpack(directory: str, image: Unpacked, save: Save) -> None:
    folder = os.path.join(directory, f"{NEW}{secrets.token_hex(8)}")
    try:
        spool, root = (os.path.join(folder, name) for name in ("saved", "rootfs"))
        for path in (folder, spool, root):
            os.mkdir(path, 0o700)
        tree, budget = Tree(root, f"image {image.image_id[:19]}"), Budget()
        with save() as source:
            one = saved.keep(source, spool, image.image_id, budget)
        for path, diff_id in one.layers:
            layers.unpack(path, tree, diff_id, budget)
        removal.remove(spool)
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as out:
            json.dump(one.config, out)
        with open(os.path.join(folder, "size"), "w", encoding="ascii") as out:
            out.write(str(BYTES_LIMIT - budget.size))
        # The umask of this process must not hide the programs from the users that run them.
        for path in (root, folder):
            os.chmod(path, 0o755)
        # After a crash of the machine, there must not be a final name with incomplete files.
        os.sync()
        os.rename(folder, image.folder)
    except BaseException:
        with contextlib.suppress(OSError):
            removal.remove(folder)
        raise


def _forget(directory: str, used: str) -> None:
    """Remove leftovers of killed runs, images unused for long, and images above the limit. Images in use by a program are kept."""
    images: list[tuple[float, Unpacked]] = []
    for entry in list(os.scandir(directory)):
        if not entry.is_dir(follow_symlinks=False):
            continue
        if entry.name.startswith(NEW):
            removal.remove(entry.path)
        elif _ID.match(f"sha256:{entry.name}"):
            images.append((entry.stat(follow_symlinks=False).st_mtime, Unpacked(f"sha256:{entry.name}", entry.path)))
    now, total = time.time(), 0
    for last, image in sorted(images, key=lambda one: one[0], reverse=True):
        total += image.size()
        unwanted = now - last > UNUSED_SECONDS or (total > KEPT_BYTES and now - last > RECENT_SECONDS)
        if unwanted and image.folder != used and not _is_in_use(image):
            total -= image.size()
            removal.remove(image.folder)


def _is_in_use(image: Unpacked) -> bool:
    """Return whether a running process uses files of the image. A process that this user cannot inspect was not started by this user."""
    name = os.path.basename(image.folder)
    for number in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/mountinfo", encoding="utf-8", errors="replace") as mounts:
                if any(name in line for line in mounts):
                    return True
        except OSError:
            continue
    return False
