# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths that root reads, writes or trusts, with a part that another user has changed: each operation, component and change."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import typing as t
from pathlib import Path
from unittest import mock

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import age_keys, recipients, signer_lists
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.drill_state import SUFFIX, DrillState
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.secrets import files
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.secrets import target as secrets
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.secrets.target import Directory, Wanted
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.volume import target as volume
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.volume.live import Directory as Live
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._files import paths, trusted
from ansible_collections.caracal_ops.backup.plugins.module_utils._files.folder import AS_IT_IS, Folder, Owner
from ansible_collections.caracal_ops.backup.plugins.module_utils._report import prometheus
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import lock, mark, prefix
from ansible_collections.caracal_ops.backup.plugins.module_utils._setup import whole_files
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import progress, secret_files

USER, GROUP, SERVICE = 64999, 64998, 64997
COMPONENTS = ("home", "user", "project", "file.prom")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHG1ZLVg3OWYoVJ1sMGFm4ETzfzMW4ZGK3bG8vR8Ih0u"
MARK = '{"format":1,"repositories":{},"type":"high-water-mark"}\n'
IDENTITY = age_keys.generate()
SECRET = b"a secret of root"


@dataclasses.dataclass(frozen=True)
class Operation:
    """`run` gets the path, and its result is what it reads. `content` is the file's content before, None for a directory.

    `owner` is the owner of new files, if the operation sets one.
    """

    run: t.Callable[[str], object]
    content: str | None = ""
    trusts: bool = False
    owner: int | None = None


def _wanted(path: str) -> Wanted:
    return Wanted("secrets/x", os.path.dirname(path), os.path.basename(path), 0o444, b"from the set")


def _keep(path: str) -> None:
    secrets.keep(f"{os.path.dirname(path)}/kept", _wanted(path))


def _replay(path: str) -> None:
    with volume.Target(volume.volume(path, "audit-replay"), SERVICE, SERVICE, 0o600) as place:
        place.check_may(1)
        place.clear()
        with place.writing("pending-1", 0) as sink:
            sink.write(b"x")
        place.publish("pending-1")


def _locked(path: str) -> None:
    with lock.exclusive(path):
        pass


def _drill(path: str) -> None:
    DrillState(f"{path}{SUFFIX}0", "d", "", "prod", "/r", "/s", "set", "now").begin()


def _prefix(path: str) -> None:
    folder, index, _rows = prefix._locate(path, "r")
    with folder, folder.replacing(index) as out:
        out.write(b"x")


def _replay_file(path: str) -> bytes:
    with Live(os.path.dirname(path), "audit-replay") as live, contextlib.ExitStack() as opened:
        found = live.open(os.path.basename(path))
        return opened.enter_context(found).part(0, 100).read(100) if found else b""


def _all_secrets(path: str) -> bytes:
    return b"".join(one.content for one in files.directory(os.path.dirname(path), "secrets"))


def _reading(path: str) -> bytes:
    try:
        with paths.reading(path) as stream:
            return stream.read()
    except OSError as exc:
        raise OSError(f"{path}: {exc.strerror}") from exc


OPERATIONS: dict[str, Operation] = {
    "secret": Operation(lambda path: secrets.put(_wanted(path), 0o700, 0o755, AS_IT_IS)),
    "secret of a service": Operation(lambda path: secrets.put(_wanted(path), 0o700, 0o755, Owner(SERVICE, SERVICE)), owner=SERVICE),
    "secrets compared": Operation(lambda path: secrets.examine(_wanted(path), AS_IT_IS)),
    "secrets directory": Operation(lambda path: secrets.put(Wanted("x", path, "a/b", 0o444, b"x"), 0o700, 0o755, AS_IT_IS), content=None),
    "mode of the secrets directory": Operation(lambda path: secrets.permit(path, 0o700), content=None),
    "empty directory of secrets": Operation(
        lambda path: secrets.put_folder(Directory("x", os.path.dirname(path), os.path.basename(path), 0o755), 0o700, AS_IT_IS), content=None
    ),
    "directory of a service": Operation(
        lambda path: secrets.put_folder(Directory("x", os.path.dirname(path), os.path.basename(path), 0o755), 0o700, Owner(SERVICE)),
        content=None,
        owner=SERVICE,
    ),
    "kept copy": Operation(_keep, owner=0),
    "secrets read": Operation(_all_secrets, "x"),
    "one secret read": Operation(lambda path: files.named("x", path).content, "x"),
    "password": Operation(lambda path: secret_files.text(path, "password_file").encode(), "x"),
    "replay file": Operation(_replay_file, "x"),
    "other file": Operation(_reading, "x"),
    "image cache, sandbox": Operation(lambda path: trusted.workplace(path, 0o755), content=None, trusts=True),
    "progress": Operation(lambda path: progress._tell(path, b"x"), content=None),
    "metrics": Operation(lambda path: prometheus.write(path, "x 1\n")),
    "replay volume": Operation(_replay, content=None, owner=SERVICE),
    "quarantine": Operation(volume.make_private, content=None),
    "repository": Operation(lambda path: LocalStore(path).put("a/b", b"x"), content=None),
    "removed object": Operation(lambda path: LocalStore(os.path.dirname(path)).delete(os.path.basename(path))),
    "key": Operation(lambda path: whole_files.write_new(path, "x")),
    "list of keys": Operation(lambda path: whole_files.replace(path, "x")),
    "folder of a mark": Operation(lambda path: mark.make_folder(f"{path}/mark"), content=None),
    "lock": Operation(_locked),
    "state of a drill": Operation(_drill),
    "verified entries": Operation(_prefix),
    "mark": Operation(lambda path: mark.HighWaterMark(path).repositories_of("prod"), MARK, trusts=True),
    "signers": Operation(lambda path: signer_lists.read_allowed(path), f"backup@prod {KEY}\n", trusts=True),
    "revoked keys": Operation(lambda path: signer_lists.read_revoked(path), f"{KEY}\n", trusts=True),
    "recipients": Operation(lambda path: recipients.load([], [path]), f"{age_keys.recipient_of(IDENTITY, 'x')}\n", trusts=True),
    "identity": Operation(lambda path: recipients.load_identities([path]), f"{IDENTITY}\n", trusts=True),
    "signing key": Operation(lambda path: Signer(path, "backup@prod"), f"{KEY}\n", trusts=True),
}


class World:
    """A path in root's own directories, and `elsewhere`, also root's, with the same names in it."""

    def __init__(self, root: Path, operation: Operation) -> None:
        self.root, self.operation = root, operation
        self.top, self.elsewhere = root / "top", root / "elsewhere"
        for top, text in ((self.top, operation.content), (self.elsewhere, None if operation.content is None else SECRET.decode())):
            (top / Path(*COMPONENTS[:-1])).mkdir(parents=True)
            last = top / Path(*COMPONENTS)
            if text is None:
                last.mkdir()
            else:
                last.write_text(text, encoding="utf-8")
            last.chmod(0o700 if text is None else 0o600)
        self.path = self.top / Path(*COMPONENTS)
        self.kept: int | None = None

    def component(self, number: int, top: Path | None = None) -> Path:
        return (top or self.top) / Path(*COMPONENTS[: number + 1])

    def give(self, number: int) -> None:
        """Give the directory of a component to the user, so that the user can change the component."""
        os.chown(self.component(number).parent, USER, USER)

    def link(self, number: int) -> None:
        self.give(number)
        place = self.component(number)
        place.rename(place.with_name("aside"))
        place.symlink_to(self.component(number, self.elsewhere))
        os.lchown(place, USER, USER)


def link(world: World, number: int) -> None:
    world.link(number)


def foreign(world: World, number: int) -> None:
    os.chown(world.component(number), USER, USER)


def group(world: World, number: int) -> None:
    os.chown(world.component(number), 0, GROUP)
    world.component(number).chmod(0o770)


def every_user(world: World, number: int) -> None:
    world.component(number).chmod(0o777)


def hard_link(world: World, number: int) -> None:
    """Replace the file with a hard link. Only for files."""
    world.give(len(COMPONENTS) - 1)
    if world.path.is_file():
        world.path.unlink()
        world.path.hardlink_to(world.component(len(COMPONENTS) - 1, world.elsewhere))


def missing(world: World, number: int) -> None:
    """Remove the component in a directory of the user's."""
    world.give(number)
    place = world.component(number)
    place.rename(place.with_name("aside"))


def swapped(world: World, number: int) -> None:
    """Replace a component with a link right after it was entered; see `racing`."""
    world.give(number)


CHANGES: dict[str, t.Callable[[World, int], None]] = {
    one.__name__: one for one in (link, foreign, group, every_user, hard_link, missing, swapped)
}
# An operation that trusts a file accepts none of these; the other changes may be harmless.
DISTRUSTED = ("link", "foreign", "group", "every_user")


@contextlib.contextmanager
def racing(world: World, number: int) -> t.Iterator[None]:
    real, left = Folder.child, [1]

    def child(folder: Folder, name: str) -> Folder:
        found = real(folder, name)
        if found.path == str(world.component(number)) and left.pop():
            left.append(0)
            world.link(number)
        return found

    with mock.patch.object(Folder, "child", child):
        yield


def play(root: Path, name: str, number: int, change: str) -> str | None:
    """Return the fault of the outcome, or None. `root` must not exist before, and is removed."""
    world = World(root, OPERATIONS[name])
    try:
        CHANGES[change](world, number)
        # A copy keeps the owner.
        world.kept = world.path.stat().st_uid if world.path.exists() else None
        before, inodes = _look(world.elsewhere), {path.lstat().st_ino for path in root.rglob("*")}
        refusal, result = "", None
        try:
            with racing(world, number) if change == "swapped" else contextlib.nullcontext():
                result = world.operation.run(str(world.path))
        except (BackupError, OSError) as exc:
            refusal = str(exc) or repr(exc)
        if isinstance(result, bytes) and SECRET in result:
            return "something elsewhere was read"
        return _fault(world, change, refusal, before, inodes)
    finally:
        shutil.rmtree(root)


def _fault(world: World, change: str, refusal: str, before: object, inodes: set[int]) -> str | None:
    if _look(world.elsewhere) != before:
        return "something elsewhere was changed"
    if world.operation.trusts and change in DISTRUSTED and not refusal:
        return "was trusted"
    if refusal and not any(str(world.component(number)) in refusal for number in range(len(COMPONENTS))) and str(world.top) not in refusal:
        return f"refused without a path: {refusal}"
    for path in world.root.rglob("*"):
        about, above = path.lstat(), path.parent.lstat()
        allowed = {above.st_uid, USER if change in ("link", "swapped") else above.st_uid, world.operation.owner, world.kept}
        if about.st_ino not in inodes and about.st_uid not in allowed:
            return f"{path} is new and belongs to user {about.st_uid}"
    return None


def _look(folder: Path) -> object:
    """Return everything that must not change."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        about = path.lstat()
        content = path.read_bytes() if path.is_file() else os.listdir(path)
        found[path] = (about.st_mode, about.st_uid, about.st_gid, about.st_mtime_ns, content)
    return found
