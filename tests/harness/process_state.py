# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Process state that a test may change and later tests would see: recorded before the test, restored after it.

Only changes by the test itself are undone. Wider fixtures set their state before the record is taken, so it is kept.
"""

from __future__ import annotations

import builtins
import contextlib
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import typing as t

# Modules used everywhere that tests patch. `tempfile` also remembers the folder of TMPDIR.
PATCHED: tuple[t.Any, ...] = (
    *(builtins, os, os.path, shutil, signal, socket, subprocess, tempfile, time),
    *(pathlib.Path, socket.socket, subprocess.Popen),
)
LIMITS = sorted({value for name, value in vars(resource).items() if name.startswith("RLIMIT_")})
SIGNALS = sorted(set(range(1, signal.SIGRTMIN)) & signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
# pytest writes and removes it itself, between our note and our end.
OF_PYTEST = "PYTEST_CURRENT_TEST"

Undo = t.Callable[[], None]


@contextlib.contextmanager
def put_back() -> t.Iterator[None]:
    """Limits first, since memory may be needed for the rest; modules next, since the rest uses them."""
    undone = [note() for note in (limits, modules, environment, signals, umask, directory)]
    try:
        yield
    finally:
        for undo in undone:
            undo()


def limits() -> Undo:
    """Restore soft limits. A lowered hard limit can be restored by root only. Otherwise the soft limit is set as high as possible."""
    before = [resource.getrlimit(number) for number in LIMITS]

    def undo() -> None:
        for number, wanted in zip(LIMITS, before, strict=True):
            if resource.getrlimit(number) != wanted:
                _set_limit(number, wanted)

    return undo


def _set_limit(number: int, wanted: tuple[int, int]) -> None:
    try:
        resource.setrlimit(number, wanted)
    except ValueError:
        highest = resource.getrlimit(number)[1]
        possible = [value for value in (wanted[0], highest) if value != resource.RLIM_INFINITY]
        resource.setrlimit(number, (min(possible, default=resource.RLIM_INFINITY), highest))


def modules() -> Undo:
    """Return everything that was replaced, added or removed there without `monkeypatch`."""
    before = [dict(vars(place)) for place in PATCHED]

    def undo() -> None:
        for place, kept in zip(PATCHED, before, strict=True):
            if vars(place) != kept:
                _restore(place, kept)

    return undo


def _restore(place: t.Any, kept: dict[str, t.Any]) -> None:
    now = dict(vars(place))
    for name in now.keys() - kept.keys():
        delattr(place, name)
    for name, value in kept.items():
        if name not in now or now[name] is not value:
            setattr(place, name, value)


def environment() -> Undo:
    """TMPDIR is part of it."""
    before = _variables()

    def undo() -> None:
        now = _variables()
        if now == before:
            return
        for name in now.keys() - before.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if now.get(name) != value})

    return undo


def _variables() -> dict[str, str]:
    found = os.environ.copy()
    found.pop(OF_PYTEST, None)
    return found


def signals() -> Undo:
    """Handlers that Python knows. Python cannot restore a handler that a library installed in C."""
    before = [signal.getsignal(number) for number in SIGNALS]

    def undo() -> None:
        for number, wanted in zip(SIGNALS, before, strict=True):
            if wanted is not None and signal.getsignal(number) != wanted:
                signal.signal(number, wanted)

    return undo


def umask() -> Undo:
    """It can only be read by setting it: for that moment to one with which no other thread makes anything too open."""
    before = os.umask(0o077)
    os.umask(before)

    def undo() -> None:
        os.umask(before)

    return undo


def directory() -> Undo:
    """The working directory, also where the test has removed the one that it went to."""
    before = os.getcwd()

    def undo() -> None:
        with contextlib.suppress(FileNotFoundError):
            if os.getcwd() == before:
                return
        os.chdir(before)

    return undo
