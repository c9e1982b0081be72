# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create the cluster of a sandbox and start its server."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import struct
import time
import typing as t

from .._drivers.postgres.server_binaries import Install
from .._errors import StageFailed, StorageError
from .._stream.process import Child, Identity, last_line, run
from . import processes, users
from .info import PORT, Layout
from .isolation import ENVIRONMENT, Launcher, limited

START_SECONDS = 60.0
LOG = ("log", "postgresql.log")
END_LIMIT = 64 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# The only interface in bubblewrap's network is the loopback, and the services of a drill connect to their database there.
LOOPBACK = "127.0.0.1"
# Speed before safety: a sandbox that loses power is created again. Shared memory that outlives its server is kept in files
# below the data directory. The restore computes statistics (ANALYZE), so autovacuum, which would interfere, is off.
SETTINGS = {
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "timezone": "UTC",
    "log_timezone": "UTC",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "autovacuum": "off",
    "jit": "off",
    "huge_pages": "off",
    "shared_buffers": "128MB",
    "maintenance_work_mem": "128MB",
    "dynamic_shared_memory_type": "mmap",
    "password_encryption": "scram-sha-256",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql.log",
    "log_min_messages": "warning",
}


def copy_install(install: Install, layout: Layout) -> Install:
    """Copy the server's files into the sandbox, with the same relative paths, for a user who cannot access the original."""
    root = os.path.commonpath(install.folders)
    bindir, libdir, sharedir = (os.path.join(layout.install, os.path.relpath(folder, root)) for folder in install.folders)
    os.makedirs(bindir)
    for name in ("postgres", "initdb"):
        shutil.copy2(install.program(name), bindir)
    shutil.copytree(install.libdir, libdir, dirs_exist_ok=True)
    shutil.copytree(install.sharedir, sharedir, dirs_exist_ok=True)
    _open_to_all(layout.install)
    return Install(bindir, libdir, sharedir, install.version, install.origin)


def _open_to_all(root: str) -> None:
    """Make the programs readable for the server, regardless of the umask and of the original modes. They are not secret."""
    os.chmod(root, 0o755)
    for folder, folders, files in os.walk(root):
        for name in folders:
            os.chmod(os.path.join(folder, name), 0o755)
        for path in (os.path.join(folder, name) for name in files):
            if not os.path.islink(path):
                os.chmod(path, 0o755 if os.stat(path).st_mode & 0o100 else 0o644)


def initialize(layout: Layout, install: Install, launcher: Launcher, *, superuser: str, locales: t.Sequence[str]) -> str:
    """Run initdb, write the settings, and give all files to the server's user.

    Returns the first of `locales` that initdb accepts.
    """
    server = launcher.identity
    # initdb requires a user with a name. bubblewrap provides a name for any uid. Without it, root uses an existing named user.
    maker = users.named_identity() if server is not None and launcher.bwrap is None else server
    users.give(layout.data, maker)
    _admit(layout, maker)
    for locale in locales:
        try:
            _run_initdb(layout, install, launcher, maker, superuser, locale)
            break
        except StageFailed as exc:
            if locale == locales[-1]:
                raise exc.reworded(f"cannot create a PostgreSQL cluster in {layout.root}: {exc.msg}") from exc
    if install.rootfs:
        # Processes left by an image's initdb could change the files that root writes and gives away next.
        processes.kill_all(layout, None if server is None else server.uid)
    settings = "".join(f"{name} = '{value}'\n" for name, value in _settings(layout, launcher).items())
    _write(layout, "postgresql.conf", settings)
    _write(layout, "pg_hba.conf", _access(superuser))
    users.give(layout.data, server)
    _admit(layout, server)
    return locale


def _run_initdb(layout: Layout, install: Install, launcher: Launcher, maker: Identity | None, superuser: str, locale: str) -> None:
    argv = [install.program("initdb"), "-D", layout.data, "-U", superuser, "--encoding=UTF8", f"--locale={locale}", "--lc-messages=C"]
    argv += ["--auth=scram-sha-256", "--auth-local=trust", "--no-sync", "--no-instructions"]
    command = launcher.command(
        argv,
        readable=install.folders,
        writable=[layout.data],
        passwd=layout.passwd,
        rootfs=install.rootfs,
        variables=install.variables,
    )
    # All processes have the data directory as working directory, so that they can be found, including those that initdb starts.
    run(limited(command, None), env=ENVIRONMENT, cwd=layout.data, timeout=START_SECONDS, identity=None if launcher.bwrap else maker)


def _admit(layout: Layout, identity: Identity | None) -> None:
    """Let `identity` enter the sandbox's directory without owning it, so that it can neither list nor change its content."""
    if identity is not None:
        os.chown(layout.root, os.geteuid(), identity.gid)
        os.chmod(layout.root, 0o710)


def _settings(layout: Layout, launcher: Launcher) -> dict[str, str]:
    listen = LOOPBACK if launcher.bwrap else ""
    return {**SETTINGS, "listen_addresses": listen, "unix_socket_directories": layout.socket_dir}


def _access(superuser: str) -> str:
    """Return pg_hba.conf.

    Only this user can access the socket, so the superuser needs no password. Other roles need one, so a lost password is
    noticed.
    """
    quoted = superuser.replace('"', '""')
    return f'local all "{quoted}" trust\nlocal all all scram-sha-256\nhost all all {LOOPBACK}/32 scram-sha-256\n'


def _write(layout: Layout, name: str, text: str) -> None:
    """Write a file in the data directory. It replaces the file of initdb, which could be a link if initdb is from an image."""
    path = os.path.join(layout.data, name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8") as out:
        out.write(text)


def start(layout: Layout, install: Install, launcher: Launcher) -> None:
    """Start the server in a session of its own, so that it outlives this process, and wait until it accepts connections."""
    argv = [install.program("postgres"), "-D", layout.data]
    command = launcher.command(
        argv,
        readable=install.folders,
        writable=[layout.data, layout.socket_dir],
        passwd=layout.passwd,
        rootfs=install.rootfs,
        variables=install.variables,
    )
    log = os.open(layout.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    argv = ["setsid", *limited(command, launcher.identity)]
    child = Child(argv, stderr=log, env=ENVIRONMENT, cwd=layout.data, identity=launcher.child_identity, detached=True)
    os.close(log)
    deadline = time.monotonic() + START_SECONDS
    while not _ready(layout):
        if child.process.poll() is not None or time.monotonic() > deadline:
            child.kill()
            raise StageFailed(f"the sandbox's PostgreSQL in {layout.root} did not start: {_complaint(layout)}")
        time.sleep(0.02)
    _keep_socket(layout, launcher.identity)


def _keep_socket(layout: Layout, identity: Identity | None) -> None:
    """Take ownership of the socket's directory.

    Otherwise the server could replace the socket by a link to another one, such as the socket of this host's own server.
    """
    if identity is not None:
        os.chown(layout.socket_dir, os.geteuid(), identity.gid)
        os.chmod(layout.socket_dir, 0o710)


def _ready(layout: Layout) -> bool:
    """Return True if the eighth line of `postmaster.pid` reports that the server accepts connections."""
    try:
        return _end_of(layout.data, "postmaster.pid").decode("ascii", "replace").splitlines()[7].strip() == "ready"
    except (OSError, IndexError):
        return False


def _complaint(layout: Layout) -> str:
    """Return the last line of the server's log."""
    for folder, *names in ((layout.data, *LOG), (os.path.dirname(layout.log), os.path.basename(layout.log))):
        with contextlib.suppress(OSError):
            if tail := _end_of(folder, *names).decode("utf-8", "replace"):
                return last_line(tail)
    return last_line("")


def _end_of(folder: str, *names: str) -> bytes:
    """Return the end of a file, up to the limit.

    The server could have replaced the file by a pipe, or by a link to another file. Then it raises OSError.
    """
    at = os.open(folder, _FOLDER)
    try:
        for name in names[:-1]:
            above, at = at, os.open(name, _FOLDER, dir_fd=at)
            os.close(above)
        descriptor = os.open(names[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    finally:
        os.close(at)
    with open(descriptor, "rb") as source:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "is not a file")
        source.seek(max(0, about.st_size - END_LIMIT))
        return source.read(END_LIMIT)


def system_identifier(layout: Layout) -> str:
    """Return the first eight bytes of the control file, which are unique for each cluster."""
    try:
        return str(struct.unpack_from("=Q", _end_of(layout.data, "global", "pg_control"))[0])
    except (OSError, struct.error) as exc:
        raise StorageError(f"{layout.data} has no readable control file; remove the sandbox and drill again") from exc
