# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""PostgreSQL's client programs out of an image, each as a program of this host: a folder of them is one like any other's.

Each is a script that starts bubblewrap with the image as its file system. Of this host it has the network, the files that libpq's
variables name, and what is open already. It ends with whoever started it.
"""

from __future__ import annotations

import os
import secrets
import shlex
import typing as t

from .._drivers.postgres import tools
from .._errors import MissingDependency
from .._images import programs as image_programs
from .._images.cache import Unpacked
from . import isolation

# Inside, what is the host's own.
HOST = "/.host"
# No program of an image is there, and the folder of a socket may be.
LEFT_OUT = ("/home", "/media", "/mnt", "/root", "/srv", "/var")
RESOLVING = ("/etc/resolv.conf", "/etc/hosts")


def programs(image: Unpacked) -> str:
    """The folder of the programs, made anew where it differs. Raises MissingDependency without them or without bubblewrap."""
    bwrap = isolation.find_bwrap()
    if bwrap is None:
        raise MissingDependency(
            "the client programs of the image run in bubblewrap, which is not there; install the package bubblewrap,"
            " or PostgreSQL's client programs"
        )
    inside = image_programs.folder(image, tools.PROGRAMS, "install PostgreSQL's client programs on this host")
    made = os.path.join(image.folder, "bin")
    os.makedirs(made, mode=0o755, exist_ok=True)
    for name in tools.PROGRAMS:
        _write(os.path.join(made, name), _script(image, [bwrap, *_arguments(image)], f"{inside}/{name}"))
    return made


def _arguments(image: Unpacked) -> t.Iterator[str]:
    yield from ("--die-with-parent", "--unshare-ipc", "--unshare-uts", "--unshare-pid", "--unshare-cgroup-try", "--new-session")
    # Root inside is root of this host, who keeps the right to open what it is shown, such as a socket of another user's, and no other.
    if os.geteuid() == 0:
        yield from ("--cap-drop", "ALL", "--cap-add", "CAP_DAC_OVERRIDE")
    yield from isolation.image(image.rootfs, [*isolation.MADE, *RESOLVING, *LEFT_OUT, *_strange(image.rootfs), HOST])
    # Names are looked up as on this host.
    for path in RESOLVING:
        yield from ("--ro-bind-try", path, path)
    yield from ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", HOST, "--chdir", "/")


def _strange(rootfs: str) -> list[str]:
    """Links at the top that no distribution has: the folder of a socket may lie below, and bubblewrap would follow one out of the image."""
    links = [f"/{entry.name}" for entry in os.scandir(rootfs) if entry.is_symlink()]
    return [path for path in links if path not in isolation.SYSTEM_FOLDERS]


def _script(image: Unpacked, command: t.Sequence[str], program: str) -> str:
    lines = [
        "#!/bin/sh",
        f"# {os.path.basename(program)} of image {image.image_id}",
        f'set -- {shlex.quote(program)} "$@"',
        *(_shown(variable) for variable in tools.FILES),
        # The folder of a socket keeps its name, by which libpq looks a password up.
        _shown(tools.SOCKET, f"${tools.SOCKET}"),
        f'exec {shlex.join(command)} "$@"',
    ]
    return "\n".join(lines) + "\n"


def _shown(variable: str, inside: str = "") -> str:
    """Show the file that a variable names, unless it is one that is open already; those of our own are in memory."""
    place = inside or f"{HOST}/{variable}"
    arguments = f'--ro-bind "${variable}" "{place}" --setenv {variable} "{place}" "$@"'
    return f'case "${{{variable}-}}" in /proc/*) ;; /*) [ ! -e "${variable}" ] || set -- {arguments} ;; esac'


def _write(path: str, text: str) -> None:
    """As a whole, and only if it differs: another run may start it now."""
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    except FileNotFoundError:
        pass
    new = f"{path}.{secrets.token_hex(4)}"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o700)
    with open(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
        os.fchmod(out.fileno(), 0o755)
    os.replace(new, path)
