# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run PostgreSQL's own dump and restore tools as streams."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ..._errors import StageFailed
from ..._stream import memory, pipes
from ..._stream.process import PIPE, Child, status_text
from . import libpq, restore_errors
from .server import Server, own_passfile

PROGRAMS = ("pg_dump", "pg_restore", "psql")
RESTRICT_KEY = "caracal"
# This directory has none of the operator's own files, such as `.psqlrc` or `.pg_service.conf`.
HOME = "/nonexistent"
# Files that libpq would find in the operator's home directory. They are passed to a tool by name.
_OWN_FILES = {
    "PGSSLROOTCERT": "~/.postgresql/root.crt",
    "PGSSLCRL": "~/.postgresql/root.crl",
    "PGSSLCERT": "~/.postgresql/postgresql.crt",
    "PGSSLKEY": "~/.postgresql/postgresql.key",
}
# Requirements of an isolated tool on this host: the files that these variables name, passwords first, and a connection to the server.
FILES = ("PGPASSFILE", *_OWN_FILES)
HOST, ADDRESS, PORT, ENCRYPTION = "PGHOST", "PGHOSTADDR", "PGPORT", "PGSSLMODE"
# The variables with the server and the options of its connection. It needs nothing else of the calling user, and none of them
# is a secret.
CONNECTING = (
    *("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSSLMODE", "PGREQUIREAUTH", "PGPASSFILE"),
    *("PGCONNECT_TIMEOUT", "PGAPPNAME", "PGTZ", "PGOPTIONS"),
)

_BROKEN = "check the server's log; if rows of the source violate the constraint, restore an earlier set, or set accept_missing_constraints"


class _Tool(Child):
    """A tool whose error names the database.

    Its own error is often only the server's last message, for example when the server was restarted.
    """

    def __init__(self, database: str, argv: t.Sequence[str], **streams: t.Any) -> None:
        super().__init__(argv, **streams)
        # Name the tool itself, not the sandbox program around it.
        self.name = next((name for name in map(os.path.basename, argv) if name in PROGRAMS), self.name)
        self._database = database

    def finish(self, timeout: float | None = None) -> str:
        try:
            return super().finish(timeout)
        except StageFailed as exc:
            remedy = _BROKEN if restore_errors.is_constraint(exc.details.get("refused", [])) else "check the server's log, then run again"
            raise exc.reworded(f"database {self._database}: {exc.msg}; {remedy}") from exc

    def failure(self, code: int, stderr: str) -> StageFailed:
        refused = restore_errors.read(stderr) if self.name == "pg_restore" else []
        if not refused:
            failed = super().failure(code, stderr)
            failed.details["ignored"] = restore_errors.ignored(stderr)
            return failed
        words = f"{self.name} failed ({status_text(code)}): {refused[0].entry}: {refused[0].error}"
        errors = [dataclasses.asdict(one) for one in refused]
        return StageFailed(words, stage=self.name, stderr=refused[0].error, refused=errors, ignored=restore_errors.ignored(stderr))


def start(argv: t.Sequence[str], server: Server, database: str, settings: str = "", **streams: t.Any) -> Child:
    """Start a libpq tool.

    The password, if any, is in a memory file that only the child can read. `settings` has the format of PGOPTIONS.
    """
    env = _environment(server, database)
    env["PGOPTIONS"] = f"{env['PGOPTIONS']} {settings}".rstrip()
    passwords = passfile(server, database)
    pass_fds = list(streams.pop("pass_fds", ()))
    try:
        if passwords is not None:
            env["PGPASSFILE"] = f"/proc/self/fd/{passwords}"
            pass_fds.append(passwords)
        return _Tool(database, argv, env=env, pass_fds=pass_fds, **streams)
    finally:
        if passwords is not None:
            os.close(passwords)


def _environment(server: Server, database: str) -> dict[str, str]:
    """Return the environment of a tool. A default file of libpq is used only if no option names another one."""
    env = {**server.environment(database), "PGREQUIREAUTH": server.methods(), "HOME": HOME}
    env["PGPASSFILE"] = own_passfile()
    own = {name: os.path.expanduser(path) for name, path in _OWN_FILES.items()}
    return {**{name: path for name, path in own.items() if os.path.exists(path)}, **env}


def passfile(server: Server, database: str) -> int | None:
    """Return the file descriptor of a libpq password file in memory, or None without a password."""
    password = server.password()
    if password is None:
        return None
    line = libpq.passfile(server.host, server.port, database, server.user, password)
    return memory.file("passfile", line.encode(), mode=0o600)


def stream_out(argv: t.Sequence[str], server: Server, database: str, sink: pipes.Sink, pass_fds: t.Sequence[int] = ()) -> int:
    """Run a tool, copy its stdout into `sink`, and return the number of bytes. Raise StageFailed unless the tool exits with 0."""
    child = start(argv, server, database, stdout=PIPE, pass_fds=pass_fds)
    try:
        stdout = t.cast(t.BinaryIO, child.process.stdout)
        pipes.enlarge(stdout.fileno())
        with stdout:
            size = pipes.copy(stdout, sink)
    except BaseException:
        child.kill()
        raise
    child.finish()
    return size


def stream_in(argv: t.Sequence[str], server: Server, database: str, source: pipes.Reader) -> None:
    """Run a tool and feed `source` to its stdin. Raise StageFailed unless the tool exits with 0."""
    child = start(argv, server, database, stdin=PIPE)
    try:
        stdin = t.cast(t.BinaryIO, child.process.stdin)
        pipes.enlarge(stdin.fileno())
        _feed(stdin.fileno(), source)
        stdin.close()
    except BaseException:
        child.kill()
        raise
    child.finish()


def _feed(fd: int, source: pipes.Reader) -> None:
    try:
        while chunk := source.read(pipes.CHUNK):
            pipes.write_all(fd, chunk)
    except BrokenPipeError:
        # The tool either has all that it needs or has died. Its exit status shows which. The remaining data must still be authenticated.
        while source.read(pipes.CHUNK):
            continue
