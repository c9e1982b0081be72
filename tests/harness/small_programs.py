# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small programs for the inside of a sandbox; every user can run them, with the system's own Python."""

from __future__ import annotations

import codecs
import contextlib
import multiprocessing
import os
import pty
import pwd
import shutil
import signal
import sys
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle, preflight, processes
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import AUTO, SandboxSpec
from harness import programs
from harness.waiting import eventually

PYTHON = shutil.which("python3", path="/usr/bin:/bin") or "/usr/bin/python3"
KINDS = ("bubblewrap", "bare")
# How a sandbox is asked for where there is no bubblewrap.
UNISOLATED: dict[str, t.Any] = {"isolation": AUTO, "unisolated_reason": "a test"}


def python(code: str, *arguments: str) -> list[str]:
    """Command that runs `code`, with `sys.argv[1:]` and nothing of a user's own."""
    return [PYTHON, "-I", "-u", "-c", code, *arguments]


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def make(kind: str, directory: str, install: Install) -> Bundle:
    """A sandbox as this host allows it, or as a host without bubblewrap does."""
    with contextlib.ExitStack() as stack:
        if kind == "bare":
            before = preflight.find_bwrap
            stack.callback(setattr, preflight, "find_bwrap", before)
            setattr(preflight, "find_bwrap", lambda: None)  # noqa: B010 - mypy minds an assignment
        lifecycle.create(SandboxSpec(directory, install, **({} if kind == "bubblewrap" else UNISOLATED)))
    made = Bundle.of(directory)
    assert made.isolated == (kind == "bubblewrap")
    return made


def bearing(word: str) -> list[processes.Process]:
    """Every process with that word in its command line."""
    return [process for process in processes.everyone() if any(word in part for part in process.argv)]


def load_codecs() -> None:
    """A child that becomes another user may be unable to load them: the interpreter can be in a home that this user cannot read."""
    for name in ("ascii", "idna", "latin-1", "utf-8", "utf-8-sig", "utf-16"):
        codecs.lookup(name)


def as_nobody(function: t.Callable[..., t.Any], *arguments: t.Any, group: int | None = None) -> t.Any:
    """Its result, called by a user with a name and no rights where we are root, in another `group` than his own; the child may have
    children."""
    load_codecs()
    path = programs.path()
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_call_as_nobody, args=(sender, path, function, arguments, group))
    child.start()
    sender.close()
    result = receiver.recv()
    child.join()
    assert child.exitcode == 0
    return result


def _call_as_nobody(sender: t.Any, path: str, function: t.Callable[..., t.Any], arguments: tuple[t.Any, ...], group: int | None) -> None:
    os.environ["PATH"] = path
    if os.geteuid() == 0:
        entry = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(entry.pw_gid if group is None else group)
        os.setuid(entry.pw_uid)
    # Modules of an ordinary user run with a Python that this user can start.
    sys.executable = sys.executable if os.access(sys.executable, os.X_OK) else PYTHON
    sender.send(function(*arguments))


@contextlib.contextmanager
def person_in(folder: str) -> t.Iterator[int]:
    """The process of a developer with a terminal who works in a folder."""
    person, terminal = pty.fork()
    if person == 0:
        os.chdir(folder)
        os.execvp("sleep", ["sleep", "600"])
    eventually(lambda: (found := processes.look(person)) is not None and found.program == "sleep")
    try:
        yield person
    finally:
        os.kill(person, signal.SIGKILL)
        os.waitpid(person, 0)
        os.close(terminal)
