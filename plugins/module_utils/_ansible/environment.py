# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restart modules in the Python environment that `setup` creates, if the current Python lacks their libraries."""

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
# Nearly every module needs these. If all exist, the operator has chosen another environment, and errors report other missing libraries.
LIBRARIES = ("cryptography", "psycopg2", "pyrage", "zstandard")
# The options are written to a pipe before the other Python reads it, and a pipe can store 64 KiB.
_LONGEST = 1 << 15


def enter(options: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> None:
    """Restart the module in the environment and do not return, if that is necessary. Otherwise do nothing."""
    if has_respawned() or all(find_spec(name) for name in LIBRARIES):
        return
    if _is_us(PYTHON) or not os.path.exists(PYTHON) or len(json.dumps(options, default=str)) > _LONGEST:
        return
    if not is_trusted(PYTHON):
        warn(f"{PYTHON} is not used, because another user can write to it, to its link target, or to a directory above it")
        return
    # Files in the working directory must not be imported as libraries.
    os.environ["PYTHONSAFEPATH"] = "1"
    respawn_module(PYTHON)


def is_trusted(path: str) -> bool:
    """Return True if only root and this user can replace the program, and each link and directory on the way to it."""
    try:
        trusted.reading(path).close()
    except (BackupError, OSError):
        return False
    return True


def _is_us(python: str) -> bool:
    return os.path.abspath(sys.executable or "/") == os.path.abspath(python)
