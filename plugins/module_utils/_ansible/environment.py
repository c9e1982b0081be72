# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The environment that `setup` makes on a host: modules start again in it where the Python that runs them lacks a library of theirs."""

from __future__ import annotations

import json
import os
import sys
import typing as t
from importlib.util import find_spec

from ansible.module_utils.common.respawn import has_respawned, respawn_module

from .._errors import BackupError
from .._files import trusted

PYTHON = "/opt/caracal-ops/bin/python"
# What nearly every module needs. Who has these chose an environment of their own, and is told what else it lacks.
LIBRARIES = ("cryptography", "psycopg2", "pyrage", "zstandard")
# Options go to the other Python through a pipe that nobody reads yet, and it holds 64 KiB.
_LONGEST = 1 << 15


def enter(options: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> None:
    """Start the module again in the environment, and do not return, if that is what it needs; else do nothing."""
    if has_respawned() or all(find_spec(name) for name in LIBRARIES):
        return
    if _is_us(PYTHON) or not os.path.exists(PYTHON) or len(json.dumps(options, default=str)) > _LONGEST:
        return
    if not is_trusted(PYTHON):
        warn(f"{PYTHON} is not used, because another user can write to it, to its link target, or to a directory above it")
        return
    # What lies in the working directory is no library.
    os.environ["PYTHONSAFEPATH"] = "1"
    respawn_module(PYTHON)


def is_trusted(path: str) -> bool:
    """Whether only root and this user can exchange the program, and each link and directory on the way to it."""
    try:
        trusted.reading(path).close()
    except (BackupError, OSError):
        return False
    return True


def _is_us(python: str) -> bool:
    return os.path.abspath(sys.executable or "/") == os.path.abspath(python)
