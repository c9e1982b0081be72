# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check the prerequisites of a sandbox. Nothing is changed, so check mode runs these checks too."""

from __future__ import annotations

import dataclasses
import locale as system_locale
import os

from .._errors import Busy, MissingDependency, NoRoom, OptionError, StorageError, TargetRefused
from .._files import trusted
from .._reasons import SHARED_FILE_SYSTEM
from . import lease, marker, space, users
from .info import AUTO, REQUIRED, Layout, SandboxSpec
from .isolation import Launcher, choose, find_bwrap

NEW = "new"
RUNNING = "running"
DEAD = "dead"
FALLBACK_LOCALE = "C.UTF-8"


@dataclasses.dataclass(frozen=True)
class Forecast:
    """The findings for `create`.

    `state` is `new`, `running` (nothing to do) or `dead` (created again). The first of `locales` that the server supports is
    used.
    """

    state: str
    layout: Layout
    launcher: Launcher
    locales: tuple[str, ...]
    copies_install: bool
    protection: str
    warnings: tuple[str, ...]


def preflight(spec: SandboxSpec) -> Forecast:
    """Return the findings. Raise OptionError, TargetRefused, StorageError or MissingDependency for the first thing to correct."""
    _check_superuser(spec.superuser)
    layout = Layout.of(spec.directory)
    state = state_of(layout, spec.token)
    warnings = _check_place(layout, spec)
    check_room(layout, spec.minimum_free, state)
    identity = users.server_identity()
    install = spec.install
    launcher = choose(
        identity, install.program("postgres"), install.folders, bwrap=find_bwrap(), rootfs=install.rootfs, variables=install.variables
    )
    if install.rootfs and launcher.bwrap is None:
        raise MissingDependency(f"the server is in an image, which runs only in bubblewrap, but {launcher.reason}; fix this first")
    copies = _check_reach(layout, spec, launcher)
    locales, doubts = _locales(spec)
    warnings += [*_check_isolation(spec, launcher), *doubts]
    if state == DEAD:
        warnings.append(f"the server of the sandbox in {layout.root} is not running, or its drill was killed; the sandbox is created again")
    protection = space.protection(layout.root)
    if protection == space.CLEAR:
        warnings.append(f"{layout.root} is on a disk without detectable encryption; use tmpfs or a dm-crypt volume for real data")
    return Forecast(state, layout, launcher, locales, copies, protection, tuple(warnings))


def state_of(layout: Layout, token: str) -> str:
    """Return the state of the directory. It is `dead` too if the drill that created it was killed.

    Raises TargetRefused if the directory is not a sandbox, Busy if it belongs to another drill that may be running.
    """
    if os.path.islink(layout.root):
        raise TargetRefused(f"{layout.root} is a symbolic link; use the path of the directory itself")
    found = marker.read(layout)
    if found is not None:
        if not marker.running(found) or (found.token != token and lease.gone(found.controller)):
            return DEAD
        if found.token != token:
            raise Busy(
                f"{layout.root} contains the sandbox of another drill; wait until it ends (after a killed drill: until its lease is "
                "over), or use another directory"
            )
        return RUNNING
    if not os.path.lexists(layout.root):
        return NEW
    try:
        if marker.unmarked(layout):
            return NEW
    except OSError as exc:
        raise TargetRefused(f"cannot read {layout.root}: {exc.strerror}; use a new directory") from exc
    raise TargetRefused(
        f"{layout.root} exists, is not empty or belongs to another user, and has no marker of a sandbox; use a new directory"
    )


def _check_superuser(name: str) -> None:
    if not name or len(name.encode()) > 63 or not name.isprintable() or name.startswith("pg_"):
        raise OptionError(
            f"superuser {name!r} is not a valid name in PostgreSQL; use 1 to 63 printable characters that do not start with pg_"
        )
    if '"' in name or "\\" in name:
        raise OptionError(f"superuser {name!r} contains a quote or backslash; use a name without them")


def _check_place(layout: Layout, spec: SandboxSpec) -> list[str]:
    trusted.check_workplace(layout.root)
    data = spec.source.data_directory
    if data is None or not _here(data):
        return []
    data = os.path.realpath(data)
    if os.path.commonpath([data, layout.root]) == data:
        raise TargetRefused(f"{layout.root} is inside the source's data directory; choose another directory")
    if os.stat(space.nearest(data)).st_dev != os.stat(space.nearest(layout.root)).st_dev:
        return []
    if not spec.allow_shared_filesystem:
        raise StorageError(
            f"{layout.root} is on the file system of the source's data directory {data}, which a restore could fill; "
            "choose another file system or set allow_shared_filesystem",
            reason=SHARED_FILE_SYSTEM,
        )
    return [f"{layout.root} shares a file system with the source's data directory {data}"]


def _here(data: str) -> bool:
    """Return True if a path may exist on this host. A path without access may exist. A path that does not exist is on another host."""
    try:
        os.stat(data)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def check_room(layout: Layout, minimum_free: int, state: str) -> None:
    """Raise StorageError if a sandbox cannot be created, or has less than `minimum_free` bytes."""
    parent = os.path.dirname(layout.root)
    if not os.path.isdir(parent):
        raise StorageError(f"{parent} does not exist; create it or use another directory")
    if not os.access(parent, os.W_OK | os.X_OK) and not os.path.isdir(layout.root):
        raise StorageError(f"{parent} is not writable; choose another directory such as one under /var/tmp")
    free = space.free_bytes(layout.root)
    if state != RUNNING and free < minimum_free:
        raise NoRoom(
            f"{layout.root} has {free >> 20} MiB free but needs {minimum_free >> 20} MiB; free disk space or choose another file system"
        )


def _check_reach(layout: Layout, spec: SandboxSpec, launcher: Launcher) -> bool:
    """Return True if the installation must be copied.

    bubblewrap can mount any directory. Without it, the server's uid must be able to access the programs.
    """
    if launcher.bwrap is not None:
        return False
    if launcher.identity is None:
        users.check_own_name()
        return False
    blocked = users.blocking_folder(os.path.dirname(layout.root), launcher.identity)
    if blocked is not None:
        raise StorageError(
            f"other users cannot enter {blocked}, so a server cannot run in {layout.root}; choose a directory under /var/tmp"
        )
    return any(users.blocking_folder(folder, launcher.identity) for folder in spec.install.folders)


def _check_isolation(spec: SandboxSpec, launcher: Launcher) -> list[str]:
    if spec.isolation not in (AUTO, REQUIRED):
        raise OptionError(f"isolation {spec.isolation!r} is unknown; use {AUTO} or {REQUIRED}")
    if spec.isolation == AUTO and not spec.unisolated_reason.strip():
        raise OptionError(f"isolation {AUTO} needs a reason; explain in unisolated_reason why you accept a sandbox without isolation")
    if launcher.bwrap is not None:
        return []
    launcher.refuse_unisolated(spec.isolation)
    return [f"the sandbox is not isolated: {launcher.reason}; accepted: {spec.unisolated_reason}"]


def _locales(spec: SandboxSpec) -> tuple[tuple[str, ...], list[str]]:
    """Return the locales to try. The locales of this host do not matter for an image, whose server is tested with each locale in turn."""
    wanted = spec.source.locale
    if spec.install.rootfs:
        return tuple(dict.fromkeys([*([wanted] if wanted else []), FALLBACK_LOCALE, "C"])), []
    found, doubts = _locale(wanted)
    return (found,), doubts


def _locale(wanted: str | None) -> tuple[str, list[str]]:
    """Return the recorded locale if this host has it. Otherwise return one that sorts by code point, and a warning."""
    if wanted is None:
        return (FALLBACK_LOCALE if _has_locale(FALLBACK_LOCALE) else "C"), []
    if _has_locale(wanted):
        return wanted, []
    fallback, _none = _locale(None)
    return fallback, [f"this host has no UTF-8 locale {wanted!r}; the sandbox sorts like {fallback}"]


def _has_locale(name: str) -> bool:
    """Return True if this host has the locale and it supports UTF-8."""
    before = system_locale.setlocale(system_locale.LC_CTYPE)
    try:
        system_locale.setlocale(system_locale.LC_CTYPE, name)
        return system_locale.nl_langinfo(system_locale.CODESET) in ("UTF-8", "ANSI_X3.4-1968")
    except (system_locale.Error, ValueError):
        return False
    finally:
        system_locale.setlocale(system_locale.LC_CTYPE, before)
