# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The environment that `setup` makes on a host: modules start again in it where the Python that runs them lacks a library of theirs."""

from __future__ import annotations

import json
import os
import stat
import sys
import typing as t
from importlib.util import find_spec

from ansible.module_utils.common.respawn import has_respawned, respawn_module

PYTHON = "/opt/caracal-ops/bin/python"
# What nearly every module needs. Who has these chose an environment of their own, and is told what else it lacks.
LIBRARIES = ("cryptography", "psycopg2", "pyrage", "zstandard")
# Options go to the other Python through a pipe that nobody reads yet, and it holds 64 KiB.
_LONGEST = 1 << 15
_LINKS = 40


def enter(options: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> None:
    """Start the module again in the environment, and do not return, if that is what it needs; else do nothing."""
    if has_respawned() or all(find_spec(name) for name in LIBRARIES):
        return
    if _is_us(PYTHON) or not os.path.exists(PYTHON) or len(json.dumps(options, default=str)) > _LONGEST:
        return
    if not is_trusted(PYTHON):
        warn(f"{PYTHON} is not used, since others than root and this user may write it, what it links to, or a folder above")
        return
    # What lies in the working directory is no library.
    os.environ["PYTHONSAFEPATH"] = "1"
    respawn_module(PYTHON)


def is_trusted(path: str) -> bool:
    """Whether only root and this user can exchange the program, and each link and folder on the way to it."""
    return all(_is_ours(place) for place in _places(os.path.abspath(path)))


def _places(path: str) -> t.Iterator[str]:
    """Each folder and link on the way, and what the links lead to. An empty path if the links form a loop."""
    here, left, links = "/", path.split("/")[::-1], 0
    yield here
    while left and links <= _LINKS:
        name = left.pop()
        if name in ("", "."):
            continue
        above, here = here, os.path.dirname(here) if name == ".." else os.path.join(here, name)
        yield here
        if name != ".." and os.path.islink(here):
            target, links = os.readlink(here), links + 1
            here = "/" if target.startswith("/") else above
            left += target.split("/")[::-1]
    if left:
        yield ""


def _is_ours(path: str) -> bool:
    try:
        about = os.lstat(path)
    except OSError:
        return False
    others = 0 if stat.S_ISLNK(about.st_mode) else stat.S_IMODE(about.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
    return about.st_uid in (0, os.geteuid()) and not others


def _is_us(python: str) -> bool:
    return os.path.abspath(sys.executable or "/") == os.path.abspath(python)
