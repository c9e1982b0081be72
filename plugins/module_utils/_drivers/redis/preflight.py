# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check whether a Redis can be read or written, and find settings that the operator should know about."""

from __future__ import annotations

import dataclasses
import typing as t

from ..._errors import StageFailed, TargetRefused, VersionMismatch
from . import reading
from .connection import Session

OLDEST = (7, 0)


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts from INFO. `keys` is the number of keys in the selected database."""

    version: str
    run_id: str
    replica: bool
    policy: str
    maxmemory: int
    append_only: bool
    keys: int

    def doubts(self) -> list[str]:
        """Return warnings about settings with which this Redis can lose events on its own."""
        found = []
        if self.maxmemory and self.policy != "noeviction":
            found.append(f"maxmemory-policy is {self.policy}: Redis can delete streams when memory is short; set noeviction")
        if not self.append_only:
            found.append("appendonly is off: Redis loses events when it restarts; set appendonly yes")
        return found


def examine(session: Session) -> Facts:
    """Return the facts. Raise VersionMismatch for a Redis that is too old, or that is a Redis Cluster."""
    info = _info(session)
    version = info.get("redis_version", "0")
    if not is_supported(version):
        raise VersionMismatch(f"Redis {session.address} is {version[:20]}; streams need {OLDEST[0]}.{OLDEST[1]} or newer")
    if info.get("cluster_enabled") == "1":
        raise VersionMismatch(
            f"Redis {session.address} is a node of a Redis Cluster, whose keys are on several nodes; use a Redis without cluster mode"
        )
    return Facts(
        version=version,
        run_id=info.get("run_id", ""),
        replica=info.get("role") == "slave",
        policy=info.get("maxmemory_policy", ""),
        maxmemory=int(info.get("maxmemory", "0")),
        append_only=info.get("aof_enabled") == "1",
        keys=session.call("DBSIZE"),
    )


def is_supported(version: str) -> bool:
    parts = version.split(".")
    return len(parts) > 1 and all(part.isdigit() for part in parts[:2]) and (int(parts[0]), int(parts[1])) >= OLDEST


def can_read(session: Session, name: bytes) -> None:
    """Raise PermissionMissing, which names the command, if the login may not run the commands of a backup. Changes nothing."""
    session.call("TIME")
    if reading.look(session, name) is not None:
        session.call("XRANGE", name, "-", "+", "COUNT", 1)
    try:
        session.call("XPENDING", name, "caracal_ops.backup", "-", "+", 1)
    except StageFailed:
        return  # the group does not exist, but the login may run the command


def confirm(session: Session, facts: Facts, confirmation: t.Sequence[str], keys: int) -> None:
    """Refuse a replica, a Redis with `keys` other keys, and a Redis that is not confirmed. One message lists all problems.

    The full name changes when Redis restarts. The address alone confirms any instance at that address.
    """
    if facts.replica:
        raise TargetRefused(f"Redis {session.address} is a read-only replica; use its primary")
    refusals = []
    name = f"{session.address}@{facts.run_id}"
    if not {name, str(session.address)}.intersection(confirmation):
        refusals.append(f"if you want this, set confirm to {name}")
    if keys:
        refusals.append(f"this Redis is not empty ({keys} keys): use an empty Redis, or stop the services and empty this one (FLUSHDB)")
    if refusals:
        raise TargetRefused(f"the restore writes into Redis {session.address}; {'; '.join(refusals)}")


def _info(session: Session) -> dict[str, str]:
    lines = session.call("INFO").decode("utf-8", "replace").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name: value for name, _colon, value in pairs}
