# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Makes, finds and destroys a sandbox: a PostgreSQL cluster that nobody misses."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import os
import shutil
import typing as t

from ..._errors import Busy, ObjectMissing, OptionError, StageFailed, StorageError, TargetRefused, Unreachable
from . import cluster, marker, preflight, processes, users
from .info import PORT, Layout, SandboxInfo, SandboxSpec

OOM_SCORE = 800


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The running sandbox, and whether this call made it."""

    info: SandboxInfo
    changed: bool


def create(spec: SandboxSpec) -> Outcome:
    """A running sandbox in `spec.directory`. One that runs there already is left alone; one whose server died is made anew.

    Raises what `preflight` raises, Busy when another run works on it, and StageFailed when PostgreSQL does not start;
    after a failure nothing is left.
    """
    forecast = preflight.preflight(spec)
    if forecast.state == preflight.RUNNING:
        return Outcome(_same(attach(spec.directory), spec), changed=False)
    layout = forecast.layout
    with _storage(layout):
        os.makedirs(layout.root, mode=0o700, exist_ok=True)
    with _alone(layout):
        if preflight.state_of(layout) == preflight.RUNNING:  # made by another run a moment ago
            return Outcome(_same(attach(spec.directory), spec), changed=False)
        try:
            with _storage(layout):
                _clear(layout)
                return Outcome(_make(spec, forecast), changed=True)
        except BaseException:
            _clear(layout)
            _remove_root(layout)
            raise


def predict(spec: SandboxSpec) -> Outcome:
    """What `create` would give, after the same checks; a sandbox that is not there yet has pid 0, uid 0 and no system
    identifier."""
    forecast = preflight.preflight(spec)
    if forecast.state == preflight.RUNNING:
        return Outcome(_same(attach(spec.directory), spec), changed=False)
    return Outcome(_describe(spec, forecast, pid=0, system_identifier="", warnings=forecast.warnings), changed=True)


@contextlib.contextmanager
def _storage(layout: Layout) -> t.Iterator[None]:
    """What the file system refuses, in words."""
    try:
        yield
    except OSError as exc:
        raise StorageError(
            f"{exc.filename or layout.root}: {exc.strerror}; see to it, or choose another directory than {layout.root}"
        ) from exc


@contextlib.contextmanager
def _alone(layout: Layout) -> t.Iterator[None]:
    """One run at a time makes or removes a sandbox; the kernel ends the lock with the process that holds it."""
    with _storage(layout):
        folder = os.open(layout.root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise Busy(f"another run makes or removes the sandbox in {layout.root}; wait for it or name another directory") from exc
        yield
    finally:
        os.close(folder)


def _same(info: SandboxInfo, spec: SandboxSpec) -> SandboxInfo:
    if info.superuser != spec.superuser:
        raise OptionError(f"the sandbox in {info.directory} has the superuser {info.superuser!r}; remove it first or name that one")
    return info


def _make(spec: SandboxSpec, forecast: preflight.Forecast) -> SandboxInfo:
    layout, launcher = forecast.layout, forecast.launcher
    identity = launcher.identity
    note = marker.Marker(
        server_uid=os.geteuid() if identity is None else identity.uid,
        own_uid=identity is not None,
        boot_id=processes.boot_id(),
    )
    _make_folders(layout, note)
    install = cluster.copy_install(spec.install, layout) if forecast.copies_install else spec.install
    cluster.initialize(layout, install, launcher, superuser=spec.superuser, locale=forecast.locale)
    cluster.start(layout, install, launcher)
    warnings = list(forecast.warnings)
    if not processes.raise_oom_score(layout, note.exclusive_uid, OOM_SCORE):
        warnings.append("the server's oom_score_adj could not be raised; when memory runs out, something else may die first")
    server = processes.postmaster(layout, note.exclusive_uid)
    if server is None:
        raise StageFailed(f"the sandbox's PostgreSQL in {layout.root} ended at once; look for what kills processes on this host")
    identifier = cluster.system_identifier(layout)
    info = _describe(spec, forecast, pid=server.pid, system_identifier=identifier, warnings=tuple(warnings))
    marker.write(layout, dataclasses.replace(note, start_time=server.start_time, info=info))
    return info


def _make_folders(layout: Layout, note: marker.Marker) -> None:
    """The marker comes first: from then on, `destroy` can undo whatever was done."""
    os.chmod(layout.root, 0o700)
    marker.write(layout, note)
    identity = users.Identity(note.server_uid, note.server_uid) if note.own_uid else None
    for folder in (layout.data, layout.socket_dir):
        os.mkdir(folder, mode=0o700)
        users.give(folder, identity)
    with open(layout.passwd, "w", encoding="ascii") as out:
        out.write(f"sandbox:x:{note.server_uid}:{note.server_uid}::/:/bin/false\n")
    os.chmod(layout.passwd, 0o644)


def _describe(
    spec: SandboxSpec, forecast: preflight.Forecast, *, pid: int, system_identifier: str, warnings: tuple[str, ...]
) -> SandboxInfo:
    layout = forecast.layout
    return SandboxInfo(
        directory=layout.root,
        data_directory=layout.data,
        socket_dir=layout.socket_dir,
        port=PORT,
        superuser=spec.superuser,
        server_version=spec.install.version_text,
        system_identifier=system_identifier,
        pid=pid,
        uid=_uid(forecast) if pid else 0,
        protection=forecast.protection,
        isolation=forecast.launcher.isolation,
        isolation_reason=forecast.launcher.reason,
        warnings=warnings,
    )


def _uid(forecast: preflight.Forecast) -> int:
    return os.geteuid() if forecast.launcher.identity is None else forecast.launcher.identity.uid


def attach(directory: str) -> SandboxInfo:
    """The sandbox that runs in `directory`. Raises ObjectMissing when there is none, Unreachable when its server died."""
    layout = Layout.of(directory)
    found = marker.read(layout)
    if found is None:
        raise ObjectMissing(f"{layout.root} holds no sandbox; make one with postgres_sandbox")
    if found.info is None or not marker.running(found):
        raise Unreachable(f"the server of the sandbox in {layout.root} is dead; remove the sandbox and make it again")
    return found.info


def exists(directory: str) -> bool:
    """Whether `destroy` has something to do. Raises TargetRefused as it does."""
    layout = Layout.of(directory)
    if os.path.islink(layout.root):
        raise TargetRefused(f"{layout.root} is a symbolic link; name the directory itself")
    if not os.path.lexists(layout.root):
        return False
    with _storage(layout):
        begun = marker.unmarked(layout)
    if not begun and marker.read(layout) is None:
        raise TargetRefused(f"{layout.root} carries no marker of a sandbox, so nothing in it is removed; name a sandbox's directory")
    return True


def destroy(directory: str) -> bool:
    """End every process of the sandbox, remove its shared memory and its files; False when it is absent already.

    The marker goes last, so a call that was killed can be made again. Raises TargetRefused for a directory without one
    that holds anything.
    """
    if not exists(directory):
        return False
    layout = Layout.of(directory)
    with _alone(layout):
        _clear(layout)
        _remove_root(layout)
    return True


def _clear(layout: Layout) -> None:
    """Remove all of a sandbox but its folder; of a folder without a marker, only a marker that was never finished."""
    note = marker.read(layout)
    if note is None:
        with _storage(layout):
            marker.remove(layout)
        return
    processes.kill_all(layout, note.exclusive_uid)
    processes.remove_shared_memory(layout)
    with _storage(layout):
        for entry in os.scandir(layout.root):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            elif entry.path != layout.marker:
                os.unlink(entry.path)
        marker.remove(layout)


def _remove_root(layout: Layout) -> None:
    try:
        os.rmdir(layout.root)
    except OSError as exc:
        if exc.errno not in (errno.EBUSY, errno.ENOTEMPTY):  # a mount point stays, empty; what is not ours stays as it is
            raise StorageError(f"{layout.root} cannot be removed: {exc.strerror}; remove the empty folder by hand") from exc
