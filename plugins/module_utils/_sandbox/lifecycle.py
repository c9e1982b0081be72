# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create, find and destroy a sandbox: a PostgreSQL cluster for temporary use."""

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
    """The running sandbox, and whether this call created it."""

    info: SandboxInfo
    changed: bool


def create(spec: SandboxSpec) -> Outcome:
    """Return a running sandbox in `spec.directory`.

    An existing running sandbox is not changed. One whose server died, or whose drill was killed, is created again. Raises the
    errors of `preflight`, Busy if another run is changing it or it belongs to another drill, and StageFailed if PostgreSQL does
    not start. After a failure nothing is left.
    """
    forecast = preflight.preflight(spec)
    if forecast.state == preflight.RUNNING:
        return Outcome(_same(attach(spec.directory), spec), changed=False)
    layout = forecast.layout
    with removal.alone(layout, removal.PATIENCE, make=True):
        if preflight.state_of(layout, spec.token) == preflight.RUNNING:  # another run has just created it
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
    """Return the result that `create` would have, after the same checks.

    A sandbox that does not exist yet has pid 0, uid 0 and no system identifier.
    """
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
    """Return the directory of the client programs of the server's image, or an empty string and the reason why there are none."""
    if not install.rootfs:
        return "", []
    from . import server_clients

    return server_clients.make(layout, install, launcher)


def _watched(layout: Layout, note: marker.Marker, spec: SandboxSpec) -> marker.Marker:
    """Start the watcher of a sandbox. From then on the sandbox is removed even if this process is killed."""
    lease.hold(layout)
    within = watcher.bounds(layout, spec.lease, spec.maximum)
    note = dataclasses.replace(note, watcher=watcher.start(layout, note.id, within, removal.end))
    marker.write(layout, note)
    return note


def _make_folders(layout: Layout, note: marker.Marker) -> None:
    """Create the directories. The marker is written first, so that `destroy` can undo any later step."""
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
    """Return the running sandbox in `directory`, which this process holds from now on.

    Raises ObjectMissing if there is none, and Unreachable if its server died. In a drill, it raises TargetRefused if the
    sandbox belongs to another drill, and Unreachable if the drill's own sandbox was removed.
    """
    layout = Layout.of(directory)
    found = marker.read(layout)
    token = os.environ.get(TOKEN, "")
    if found is not None and token and found.token != token:
        raise TargetRefused(f"the sandbox in {layout.root} belongs to another drill; use a separate directory for each drill")
    if found is None and token:
        raise Unreachable(f"the sandbox of this drill in {layout.root} was removed; the system log contains the reason")
    if found is None:
        raise ObjectMissing(f"{layout.root} contains no sandbox; run the playbook restore_drill, which creates one")
    if found.info is None or not marker.running(found):
        raise Unreachable(f"the server of the sandbox in {layout.root} is not running; remove the sandbox and drill again")
    _check_socket(layout)
    with removal.storage(layout):
        lease.hold(layout)
    return found.info


def _check_socket(layout: Layout) -> None:
    """Raise TargetRefused if the socket was replaced. The server of an ordinary user may write to the socket's directory."""
    try:
        kept = stat.S_ISSOCK(os.lstat(layout.socket).st_mode) and not os.path.islink(layout.socket_dir)
    except OSError:
        kept = False
    if not kept:
        raise TargetRefused(
            f"{layout.socket} is not a socket: a program in the sandbox has replaced it; remove the sandbox and do not use its set"
        )


def exists(directory: str) -> bool:
    """Return True if `destroy` has something to remove. Raises TargetRefused as `destroy` does."""
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
    """Return True if the sandbox belongs to the drill with that token, or if its drill is unknown."""
    found = marker.read(Layout.of(directory))
    return found is None or found.token == token


def destroy(directory: str) -> bool:
    """End every process of the sandbox, and remove its shared memory and its files. Return False if it does not exist.

    The marker is removed last, so an interrupted call can be repeated. Raises TargetRefused for a directory that has no marker
    and is not empty.
    """
    if not exists(directory):
        return False
    layout = Layout.of(directory)
    with contextlib.suppress(ObjectMissing), removal.alone(layout, removal.PATIENCE):  # missing: another run was faster
        removal.clear(layout)
        removal.remove_root(layout)
    return True
