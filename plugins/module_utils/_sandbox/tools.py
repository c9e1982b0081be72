# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the programs that create a sandbox before any is started. One error lists all missing programs."""

from __future__ import annotations

import os
import shutil
import typing as t

from .._drivers.postgres import server_binaries
from .._drivers.postgres.server_binaries import Install
from .._errors import MissingDependency
from . import isolation, users
from .info import REQUIRED

# This program was found already, and unlike the others it can print its version on every host.
_PLAIN = "prlimit"


def find(pg_bin: str | None, minimum_major: int, wanted: str) -> Install:
    """Return PostgreSQL's server programs, if all other programs exist too. `wanted` is the isolation.

    Raises MissingDependency with all missing programs and how to install them.
    """
    lacking = _lacking(isolation.find_bwrap() is not None, wanted)
    try:
        install = server_binaries.find(pg_bin, minimum_major=minimum_major)
    except MissingDependency as exc:
        if lacking:
            raise exc.reworded(_message([*lacking, exc.msg])) from exc
        raise
    refuse_lacking(wanted)
    return install


def refuse_lacking(wanted: str) -> None:
    """Raise MissingDependency if programs other than PostgreSQL are missing."""
    lacking = _lacking(isolation.find_bwrap() is not None, wanted)
    if lacking:
        raise MissingDependency(_message(lacking))


def refuse_unable(wanted: str) -> None:
    """Raise MissingDependency if all programs exist, but not even a program of this host starts in a sandbox."""
    bwrap = isolation.find_bwrap()
    if not _lacking(bwrap is not None, wanted):
        isolation.choose(users.server_identity(), _PLAIN, [], bwrap=bwrap).refuse_unisolated(wanted)


def _lacking(isolated: bool, wanted: str) -> list[str]:
    found = ["bwrap is missing (install the package bubblewrap)"] if wanted == REQUIRED and not isolated else []
    names = ["prlimit", "setsid"]
    # Without isolation, this process changes the user with system calls.
    if isolated and os.geteuid() == 0:
        names.append("setpriv")
    # The programs are started with this environment only.
    gone = [name for name in names if shutil.which(name, path=isolation.ENVIRONMENT["PATH"]) is None]
    if gone:
        found.append(f"{' and '.join(gone)} not found in {isolation.ENVIRONMENT['PATH']} (install the package util-linux)")
    return found


def _message(lacking: t.Sequence[str]) -> str:
    return f"this host lacks programs that a sandbox needs: {'; '.join(lacking)}"
