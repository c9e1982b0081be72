# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a client program that reads hostile data for a sandbox.

The program sees its own files, its libraries and the server's socket, and has no network.
"""

from __future__ import annotations

import os
import typing as t

from .._errors import BackupError, MissingDependency
from .._stream.process import Identity, run
from .info import Layout, SandboxInfo
from .isolation import ENVIRONMENT, NONE, Launcher, find_bwrap


def command(sandbox: SandboxInfo, program: str) -> tuple[str, ...]:
    """Return the command line that starts `program`, an absolute path, inside the sandbox.

    Without isolation it starts on this host. The program ends when this process ends. Raises MissingDependency if it does not
    run inside.
    """
    if sandbox.isolation == NONE or _is_of_image(sandbox, program):
        return (program,)
    bwrap = find_bwrap()
    if bwrap is None:
        raise MissingDependency("bubblewrap, which runs the sandbox, is not installed any more; install it again")
    launcher = Launcher(Identity(sandbox.uid, sandbox.uid) if os.geteuid() == 0 else None, bwrap)
    words = launcher.command(
        [program],
        readable=[*_shown(program), sandbox.socket_dir],
        writable=[],
        passwd=Layout.of(sandbox.directory).passwd,
        bound=True,
    )
    try:
        run([*words, "--version"], env=ENVIRONMENT, timeout=60)
    except BackupError as exc:
        raise MissingDependency.caused_by(
            exc,
            f"{program} does not run inside the sandbox: {exc.msg}; set pg_bin to a directory of programs with their libraries next to it",
        ) from exc
    return tuple(words)


def _shown(program: str) -> t.Iterator[str]:
    """Yield its directory, and the directories in which the builds of known distributions put its libraries."""
    bindir = os.path.dirname(program)
    above = os.path.dirname(bindir)
    libraries = (os.path.join(above, "lib"), os.path.join(above, "lib64"), f"{os.path.dirname(above)}.libs")
    yield bindir
    yield from (folder for folder in libraries if os.path.isdir(folder))


def _is_of_image(sandbox: SandboxInfo, program: str) -> bool:
    """Return True if the program is from an image. Its script starts it inside the sandbox by itself."""
    return bool(sandbox.image) and os.path.dirname(program) == Layout.of(sandbox.directory).clients
