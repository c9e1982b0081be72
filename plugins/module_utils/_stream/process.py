# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Child processes with a checked exit status.

All processes are started here (`module.run_command` holds all output in memory, which does not work for a dump).
Commands are argument lists without a shell. Secrets are passed in `env` or files, never in argv.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import shutil
import subprocess
import tempfile
import typing as t

from .._errors import MissingDependency, StageFailed, storage_error
from . import pipes
from .tail import Tail

STDERR_LIMIT = 64 * 1024
_TELLING = re.compile(r"\b(error|fatal|panic):", re.IGNORECASE)
# pg_restore with several jobs prints this line after the line with the cause.
_AFTERWARDS = re.compile(r"\ba worker process died unexpectedly\Z")
PIPE = subprocess.PIPE


@dataclasses.dataclass(frozen=True)
class Identity:
    """The user of a child process started by root: numeric uid and gid, no supplementary groups."""

    uid: int
    gid: int


class Child:
    """A running process. Wait for it with `finish`, or end it with `kill`. The last 64 KiB of its stderr are kept.

    `stdin` and `stdout` are file descriptors, or None for the null device; `PIPE` creates a pipe. A child dies with the
    thread that starts it, unless it is `detached`. If a child writes its own log, pass `stderr`; then nothing is kept.
    """

    def __init__(
        self,
        argv: t.Sequence[str],
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        env: t.Mapping[str, str] | None = None,
        cwd: str | None = None,
        pass_fds: t.Sequence[int] = (),
        identity: Identity | None = None,
        detached: bool = False,
    ) -> None:
        self.name = os.path.basename(argv[0])
        self._tail = Tail(STDERR_LIMIT) if stderr is None else None
        who: dict[str, t.Any] = {}
        if identity is not None:
            who = {"user": identity.uid, "group": identity.gid, "extra_groups": []}
        try:
            self.process = subprocess.Popen(
                list(argv) if detached else _leashed(argv, env),
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.DEVNULL if stdout is None else stdout,
                stderr=self._tail.write if self._tail else stderr,
                env=None if env is None else dict(env),
                cwd=cwd,
                pass_fds=tuple(pass_fds),
                **who,
            )
        except OSError as exc:
            if self._tail:
                self._tail.discard()
            raise MissingDependency(f"cannot run {argv[0]}: {exc.strerror}; install it, or set its directory") from exc
        if self._tail:
            self._tail.begin()

    def finish(self, timeout: float | None = None) -> str:
        """Wait and return stderr. Raises StageFailed if the exit status is not 0 or after `timeout` seconds."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired as exc:
            self.kill()
            raise StageFailed(f"{self.name} did not end within {timeout:.0f} s and was stopped") from exc
        stderr = self._tail.kept().decode("utf-8", "replace").strip() if self._tail else ""
        if code != 0:
            raise self.failure(code, stderr)
        return stderr

    def failure(self, code: int, stderr: str) -> StageFailed:
        """Return the error for an exit status other than 0."""
        excerpt = "\n".join(telling_lines(stderr))[-2000:]
        return StageFailed(f"{self.name} failed ({status_text(code)}): {last_line(stderr)}", stage=self.name, stderr=excerpt)

    def kill(self) -> None:
        """Kill the child. Harmless if it has ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._tail:
            self._tail.kept()


def _leashed(argv: t.Sequence[str], env: t.Mapping[str, str] | None) -> list[str]:
    """Wrap a command so that the kernel kills it when this process dies: a tool that waits for a lock would not notice.

    `setpriv` executes the command, so its pid and exit status are the command's. A function between fork and exec would
    do the same, but may deadlock if there are threads. If the program is missing, the command is not wrapped, so that
    the error names the program.
    """
    path = os.environ.get("PATH") if env is None else env.get("PATH")
    return [*_leash(), *argv] if shutil.which(argv[0], path=path) else list(argv)


@functools.lru_cache(maxsize=1)
def _leash() -> tuple[str, ...]:
    """Return the `setpriv` command, or nothing if it is missing or unsuitable (before util-linux 2.33, busybox).

    Without it, only closed pipes and timeouts end a child.
    """
    leash = (shutil.which("setpriv") or "", "--pdeathsig", "KILL", "--")
    try:
        able = subprocess.run([*leash, "true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        able = False
    return leash if able else ()


def status_text(code: int) -> str:
    return f"exit status {code}" if code >= 0 else f"signal {-code}"


def telling_lines(text: str) -> list[str]:
    """Return the lines with an error or, if there are none, all lines that are not empty.

    Around an error, PostgreSQL's tools print the statement, hints and rows, which must not be logged.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return [line for line in telling if not _AFTERWARDS.search(line)] or telling or lines


def last_line(text: str) -> str:
    """Return the last of the telling lines."""
    return (telling_lines(text) or ["no output"])[-1]


def run(
    argv: t.Sequence[str],
    *,
    data: bytes | None = None,
    env: t.Mapping[str, str] | None = None,
    cwd: str | None = None,
    timeout: float | None = None,
    identity: Identity | None = None,
) -> bytes:
    """Run a command with little output and return its stdout; `data` is its stdin. Raises StageFailed unless it exits with 0."""
    with contextlib.ExitStack() as opened:
        try:
            source, sink = (opened.enter_context(tempfile.TemporaryFile(buffering=0)) for _number in range(2))
            pipes.write_all(source.fileno(), data or b"")
            source.seek(0)
        except OSError as exc:
            where = tempfile.tempdir or os.environ.get("TMPDIR", "/tmp")
            words = f"temporary files in {where}: {exc.strerror}; make room there, or set TMPDIR to another directory"
            raise storage_error(exc)(words) from exc
        child = Child(argv, stdin=source.fileno(), stdout=sink.fileno(), env=env, cwd=cwd, identity=identity)
        child.finish(timeout)
        sink.seek(0)
        return sink.read()
