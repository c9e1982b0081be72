# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services that run while what they read is replaced: each has keys, sessions and revocations in memory, and writes."""

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
    """Has no facts of its own: a running service raises Busy."""

    changed: bool


def run(invocation: Invocation[Options]) -> RunningResult:
    """`running` are all services of a platform that run. Raises Busy when some of them are Caracal's."""
    found = [name for name in services.NAMES if name in invocation.options.running]
    if found:
        names = " ".join(found)
        raise Busy(
            f"{', '.join(found)} are running and would use data that the restore replaces; stop them (docker compose stop {names}), "
            "but not PostgreSQL and Redis"
        )
    return {"changed": False}
