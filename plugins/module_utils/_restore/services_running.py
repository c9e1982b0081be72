# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuse to restore while services run: they have keys, sessions and revocations in memory, and write data."""

from __future__ import annotations

import dataclasses
import typing as t

from .._ansible.boundary import Invocation
from .._caracal import services
from .._errors import Busy
from .._options import declared


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    running: tuple[str, ...] = ()


class RunningResult(t.TypedDict):
    """Contains no facts. A running service raises Busy."""

    changed: bool


def run(invocation: Invocation[Options]) -> RunningResult:
    """Raise Busy if Caracal's services run. `running` are all running services of a platform."""
    found = [name for name in services.NAMES if name in invocation.options.running]
    if found:
        names = " ".join(found)
        raise Busy(
            f"{', '.join(found)} are running and would use data that the restore replaces; stop them (docker compose stop {names}), "
            "but not PostgreSQL and Redis"
        )
    return {"changed": False}
