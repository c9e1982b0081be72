# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Provide PostgreSQL's client programs of an image as programs of this host, in a directory that is used like any other.

Each is a script that runs `guest`, which starts the program isolated, like every other program of an image. It ends with its
caller.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import secrets
import shlex
import typing as t

from .._drivers.postgres import tools
from .._errors import MissingDependency
from .._images import programs as image_programs
from .._images.cache import Unpacked
from .._stream.process import Identity
from . import guest, image_server, isolation, space, uids, users
from .server_clients import WRITTEN_LIMIT

REMEDY = "install PostgreSQL's client programs on this host"


def programs(image: Unpacked) -> str:
    """Return the directory of the programs, after creating or updating it.

    Raises MissingDependency if the image has no such programs, or without bubblewrap.
    """
    bwrap = isolation.find_bwrap()
    if bwrap is None:
        raise MissingDependency(
            "the client programs of the image run in bubblewrap, which is not installed; install the package bubblewrap"
            " or PostgreSQL's client programs"
        )
    inside = image_programs.folder(image, tools.PROGRAMS, REMEDY)
    made = os.path.join(image.folder, "bin")
    os.makedirs(made, mode=0o755, exist_ok=True)
    starter = os.path.join(image.folder, "guest.py")
    _write(starter, inspect.getsource(guest), 0o644)
    for name in tools.PROGRAMS:
        planned = plan(bwrap, f"{inside}/{name}", image.rootfs, image_server.own(image))
        command = shlex.join([*isolation.python(), starter, planned])
        _write(os.path.join(made, name), f'#!/bin/sh\n# {name} of image {image.image_id}\nexec {command} "$@"\n', 0o755)
    return made


def plan(bwrap: str, program: str, rootfs: str, variables: t.Mapping[str, str]) -> str:
    """Return the plan for `guest` to start a program."""
    identity = Identity(guest.UID, guest.UID) if os.geteuid() == 0 else None
    words = isolation.Launcher(identity, bwrap).command(
        [program],
        readable=[],
        writable=[],
        passwd=None,
        rootfs=rootfs,
        variables=variables,
        bound=True,
        descriptors=("--info-fd", guest.STATUS, "--block-fd", guest.GATE),
    )
    made = guest.GuestPlan(
        words=isolation.limited(words, identity, WRITTEN_LIMIT, space.memory_bytes() // 2),
        ids=(users.FREE_IDS.start, users.FREE_IDS.stop - 1),
        taken=uids.PLACE,
        kept=[*tools.CONNECTING, *tools.FILES, "LC_ALL"],
        files=tools.FILES,
        host=tools.HOST,
        address=tools.ADDRESS,
        port=tools.PORT,
        encryption=tools.ENCRYPTION,
        search=isolation.ENVIRONMENT["PATH"],
    )
    return json.dumps(dataclasses.asdict(made))


def _write(path: str, text: str, mode: int) -> None:
    """Write a file in one step, and only if its content differs, since another run may be starting it."""
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
        os.fchmod(out.fileno(), mode)
    os.replace(new, path)
