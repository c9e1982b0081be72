# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Client programs of the image of a sandbox's server. They see the server's socket, and no files of this host."""

from __future__ import annotations

import os
import shlex

from .._drivers.postgres import client_binaries, tools
from .._drivers.postgres.server_binaries import Install
from .._errors import MissingDependency
from .info import Layout
from .isolation import ENVIRONMENT, Launcher, limited

# The limit for a program's messages.
WRITTEN_LIMIT = 256 << 20


def make(layout: Layout, install: Install, launcher: Launcher) -> tuple[str, list[str]]:
    """Create a directory with scripts that start the image's client programs inside.

    Returns its path and an empty list. If the image has no suitable programs, it returns an empty path and the reason.
    """
    os.mkdir(layout.clients, 0o700)
    for name in tools.PROGRAMS:
        words = launcher.command(
            [install.program(name)],
            readable=[layout.socket_dir],
            writable=[],
            passwd=layout.passwd,
            rootfs=install.rootfs,
            variables=install.variables,
            bound=True,
        )
        command = limited(words, launcher.identity, WRITTEN_LIMIT)
        given = " ".join(f'${{{variable}+"{variable}=${variable}"}}' for variable in (*tools.CONNECTING, "LC_ALL"))
        script = f'exec env -i PATH={ENVIRONMENT["PATH"]} {given} {shlex.join(command)} "$@"'
        _write(os.path.join(layout.clients, name), f"#!/bin/sh\nPATH={ENVIRONMENT['PATH']}\n{script}\n")
    try:
        client_binaries.find(layout.clients, minimum_major=install.version[0], tools=tools.PROGRAMS)
    except MissingDependency as exc:
        return "", [f"the client programs of this host are used, because the image has no suitable ones: {exc.msg}"]
    return layout.clients, []


def _write(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o700), "w", encoding="utf-8") as out:
        out.write(text)
