# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes, finds and destroys a sandbox: a PostgreSQL cluster that nobody misses."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import stat

from .._drivers.postgres.server_binaries import Install
from .._errors import ObjectMissing, OptionError, StageFailed, TargetRefused, Unreachable
from . import cluster, lease, marker, preflight, processes, removal, uids, users, watcher
from .info import PORT, TOKEN, Layout, SandboxInfo, SandboxSpec
from .isolation import Launcher

OOM_SCORE = 800


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The running sandbox, and whether this call made it."""

    info: SandboxInfo
    changed: bool


def create(spec: SandboxSpec) -> Outcome:
    """A running sandbox in `spec.directory`. One that runs there already is left alone; one whose server died, or whose drill was
    killed, is made anew.

    Raises what `preflight` raises, Busy when another run works on it or it is another drill's, and StageFailed when PostgreSQL does not
    start; after a failure nothing is left.
    """
    forecast = preflight.preflight(spec)
    if forecast.state == preflight.RUNNING:
        return Outcome(_same(attach(spec.directory), spec), changed=False)
    layout = forecast.layout
    with removal.alone(layout, removal.PATIENCE, make=True):
        if preflight.state_of(layout, spec.token) == preflight.RUNNING:  # made by another run a moment ago
            return Outcome(_same(attach(spec.directory), spec), changed=False)
        try:
            with removal.storage(layout):
                removal.clear(layout)
                return Outcome(_make(spec, forecast), changed=True)
        except BaseException:
            removal.clear(layout)
            removal.remove_root(layout)
            raise


def predict(spec: SandboxSpec) -> Outcome:
    """What `create` would give, after the same checks; a sandbox that is not there yet has pid 0, uid 0 and no system
    identifier."""
    forecast = preflight.preflight(spec)
    if forecast.state == preflight.RUNNING:
        return Outcome(_same(attach(spec.directory), spec), changed=False)
    return Outcome(_describe(spec, forecast, pid=0, system_identifier="", warnings=forecast.warnings), changed=True)


def _same(info: SandboxInfo, spec: SandboxSpec) -> SandboxInfo:
    if info.superuser != spec.superuser:
        raise OptionError(
            f"the sandbox in {info.directory} has the superuser {info.superuser!r}; remove the sandbox first, or use that superuser"
        )
    return info


def _make(spec: SandboxSpec, forecast: preflight.Forecast) -> SandboxInfo:
    layout = forecast.layout
    with uids.claimed(layout) as identity:
        note = marker.Marker(
            server_uid=os.geteuid() if identity is None else identity.uid,
            own_uid=identity is not None,
            boot_id=processes.boot_id(),
            id=secrets.token_hex(8),
            token=spec.token,
            controller=lease.controller(),
        )
        _make_folders(layout, note)
    launcher = dataclasses.replace(forecast.launcher, identity=identity)
    forecast = dataclasses.replace(forecast, launcher=launcher)
    note = _watched(layout, note, spec)
    install = cluster.copy_install(spec.install, layout) if forecast.copies_install else spec.install
    locale = cluster.initialize(layout, install, launcher, superuser=spec.superuser, locales=forecast.locales)
    cluster.start(layout, install, launcher)
    warnings = list(forecast.warnings)
    if spec.source.locale and locale != forecast.locales[0]:
        warnings.append(f"the image has no UTF-8 locale {spec.source.locale!r}; the sandbox sorts like {locale}")
    pg_bin, lacking = _clients(layout, install, launcher)
    warnings += lacking
    if not processes.raise_oom_score(layout, note.exclusive_uid, OOM_SCORE):
        warnings.append("the server's oom_score_adj could not be raised; if memory runs out, the kernel can end other processes first")
    server = processes.postmaster(layout, note.exclusive_uid)
    if server is None:
        raise StageFailed(f"the sandbox's PostgreSQL in {layout.root} ended immediately; find out what kills processes on this host")
    identifier = cluster.system_identifier(layout)
    described = _describe(spec, forecast, pid=server.pid, system_identifier=identifier, warnings=tuple(warnings))
    info = dataclasses.replace(described, pg_bin=pg_bin)
    marker.write(layout, dataclasses.replace(note, start_time=server.start_time, info=info))
    return info


def _clients(layout: Layout, install: Install, launcher: Launcher) -> tuple[str, list[str]]:
    """Folder of the client programs beside a server of an image, if it is of one, and why there is none."""
    if not install.rootfs:
        return "", []
    from . import server_clients

    return server_clients.make(layout, install, launcher)


def _watched(layout: Layout, note: marker.Marker, spec: SandboxSpec) -> marker.Marker:
    """From now on it ends by itself, whatever becomes of us."""
    lease.hold(layout)
    within = watcher.bounds(layout, spec.lease, spec.maximum)
    note = dataclasses.replace(note, watcher=watcher.start(layout, note.id, within, removal.end))
    marker.write(layout, note)
    return note


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
        unisolated_reason="" if forecast.launcher.bwrap else spec.unisolated_reason,
        image=spec.install.image_id,
    )


def _uid(forecast: preflight.Forecast) -> int:
    return os.geteuid() if forecast.launcher.identity is None else forecast.launcher.identity.uid


def attach(directory: str) -> SandboxInfo:
    """The sandbox that runs in `directory`, held by this process from now on. Raises ObjectMissing when there is none, Unreachable when
    its server died, and in a drill TargetRefused when it is not the drill's own and Unreachable when that is gone."""
    layout = Layout.of(directory)
    found = marker.read(layout)
    token = os.environ.get(TOKEN, "")
    if found is not None and token and found.token != token:
        raise TargetRefused(f"the sandbox in {layout.root} belongs to another drill; use a separate directory for each drill")
    if found is None and token:
        raise Unreachable(f"the sandbox of this drill in {layout.root} was removed; the system log contains the limit that it exceeded")
    if found is None:
        raise ObjectMissing(f"{layout.root} contains no sandbox; run the playbook restore_drill, which creates one")
    if found.info is None or not marker.running(found):
        raise Unreachable(f"the server of the sandbox in {layout.root} is not running; remove the sandbox and drill again")
    _check_socket(layout)
    with removal.storage(layout):
        lease.hold(layout)
    return found.info


def _check_socket(layout: Layout) -> None:
    """An ordinary user's server may write where its socket is."""
    try:
        kept = stat.S_ISSOCK(os.lstat(layout.socket).st_mode) and not os.path.islink(layout.socket_dir)
    except OSError:
        kept = False
    if not kept:
        raise TargetRefused(
            f"{layout.socket} is not a socket: a program in the sandbox has replaced it; remove the sandbox and do not use its set"
        )


def exists(directory: str) -> bool:
    """Whether `destroy` has something to do. Raises TargetRefused as it does."""
    layout = Layout.of(directory)
    if os.path.islink(layout.root):
        raise TargetRefused(f"{layout.root} is a symbolic link; use the path of the directory itself")
    if not os.path.lexists(layout.root):
        return False
    with removal.storage(layout):
        begun = marker.unmarked(layout)
    if not begun and marker.read(layout) is None:
        raise TargetRefused(f"{layout.root} has no marker of a sandbox, so nothing in it is removed; use the directory of a sandbox")
    return True


def is_of(directory: str, token: str) -> bool:
    """Whether it is the sandbox of the drill with that token, or one that nobody could say of whom."""
    found = marker.read(Layout.of(directory))
    return found is None or found.token == token


def destroy(directory: str) -> bool:
    """End every process of the sandbox, remove its shared memory and its files; False when it is absent already.

    The marker goes last, so a call that was killed can be made again. Raises TargetRefused for a directory without one
    that holds anything.
    """
    if not exists(directory):
        return False
    layout = Layout.of(directory)
    with contextlib.suppress(ObjectMissing), removal.alone(layout, removal.PATIENCE):  # missing: another run was faster
        removal.clear(layout)
        removal.remove_root(layout)
    return True
