# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployment that is broken in three ways, one breakage after another, and the report of a drill each time.

The ways: in the restored copy, in the source before its first set, and in the source after a first set. Databases are
copied from templates, so each breakage begins with a healthy deployment. After a breakage that changed a role, the
deployment is created again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import re
import shutil
import typing as t
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import drill_state
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from scenes import drilling
from scenes.corpus import Breakage
from scenes.drilling import Source
from scenes.twin_database import TwinCluster

COPY, BEFORE, AFTER = "the copy", "source before the first set", "source after a set"
WAYS = (COPY, BEFORE, AFTER)
FAIL, UNPROVEN, WARN, SILENT = "fail", "unproven", "warn", "silent"
# The steps that compare the copy, after the restore.
COMPARING = ("migrations", "state", "secrets", "evidence", "keys")
DATABASE, TEMPLATE = "caracal", "healthy"
_SHARED = """
    SELECT array_agg(x ORDER BY x) FROM (
        SELECT pg_catalog.to_jsonb(a)::text FROM pg_catalog.pg_authid a
        UNION ALL SELECT pg_catalog.to_jsonb(m)::text FROM pg_catalog.pg_auth_members m
        UNION ALL SELECT pg_catalog.to_jsonb(s)::text FROM pg_catalog.pg_db_role_setting s WHERE setdatabase = 0) o (x)"""
_ACCESS = f"""
    UPDATE pg_catalog.pg_database d SET datacl = o.datacl FROM pg_catalog.pg_database o
     WHERE d.datname = '{DATABASE}' AND o.datname = '{TEMPLATE}'"""

# By check ID: the verdict, and the number of rows that break the rule, if the check counts them.
Seen = dict[str, tuple[str, int]]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """`verdict` is the worst one that a healthy deployment does not have; `checks` are the IDs with this verdict."""

    verdict: str
    checks: frozenset[str]


def outcome(seen: Seen, healthy: Seen) -> Outcome:
    new = {name: verdict for name, (verdict, broken) in seen.items() if not _is_known(verdict, broken, healthy.get(name))}
    for verdict in (FAIL, UNPROVEN, WARN):
        if found := frozenset(name for name, one in new.items() if one == verdict):
            return Outcome(verdict, found)
    return Outcome(SILENT, frozenset())


def _is_known(verdict: str, broken: int, before: tuple[str, int] | None) -> bool:
    return before is not None and before[0] == verdict and broken <= before[1]


def _seen(checks: t.Iterable[t.Mapping[str, t.Any]]) -> Seen:
    """Return verdicts by check. A failure that is not required counts as a warning."""
    bad = {one["id"]: one for one in checks if one["verdict"] in (FAIL, UNPROVEN, WARN)}
    return {name: (one["verdict"] if one.get("required", True) else WARN, _broken(one)) for name, one in bad.items()}


def _broken(check: t.Mapping[str, t.Any]) -> int:
    """Return the number at the beginning of a message, as in `2 of 15 rows`. A report has no details of checks."""
    found = re.match(r"(\d+) of \d+ ", check["message"])
    return int(found[1]) if found else 0


@dataclasses.dataclass
class Template:
    """A server with a database `caracal` that can be reset to a healthy state."""

    cluster: TwinCluster
    shared: object = None

    def __post_init__(self) -> None:
        self._copy(TEMPLATE, DATABASE)
        self.shared = self._shared()

    def reset(self) -> None:
        self.cluster.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)", database="postgres")
        self._copy(DATABASE, TEMPLATE)
        self.cluster.execute(_ACCESS, database="postgres")

    def is_spoilt(self) -> bool:
        """Return whether something changed that all databases share."""
        return self._shared() != self.shared

    def _shared(self) -> object:
        return self.cluster.execute(_SHARED, database="postgres")

    def _copy(self, new: str, old: str) -> None:
        owner = f"OWNER {DATABASE} STRATEGY file_copy"
        self.cluster.execute(f"CREATE DATABASE {new} TEMPLATE {old} {owner}", database="postgres")


class Deployment:
    """A deployment of one release, with a healthy set in one repository and none in another, and a restored copy of that set."""

    def __init__(self, install: server_binaries.Install, root: Path, release: str) -> None:
        self.root = root
        self._numbers = itertools.count()
        self._stack = contextlib.ExitStack()
        self.source = self._stack.enter_context(drilling.source(install, root / "source", release))
        empty = self.source.scene.copy(root / "empty")
        self.source.backup()
        self._sources = {BEFORE: self._of(empty.root), AFTER: self._of(self.source.scene.root)}
        self._template = Template(self.source.cluster)
        self._begin_copy()
        self._healthy = {way: self._broken(way, None) for way in WAYS}

    def close(self) -> None:
        self._stack.close()

    def is_spoilt(self) -> bool:
        return self._template.is_spoilt() or self._copy_template.is_spoilt()

    def outcome(self, way: str, breakage: Breakage) -> Outcome:
        return outcome(self._broken(way, breakage), self._healthy[way])

    def _of(self, scene: Path) -> Source:
        """Return the same deployment with a repository and keys below another folder."""
        deployment = self.source.deployment
        return dataclasses.replace(
            self.source, deployment=dataclasses.replace(deployment, scene=dataclasses.replace(deployment.scene, root=scene))
        )

    def _begin_copy(self) -> None:
        """Start a drill that stops after the restore."""
        self._drill = drilling.drill(self.source, self._folder())
        self._stack.callback(drilling.remove, self._drill)
        self._begun = self._drill.take("verify")["drill"]
        for step in ("sandbox", "restore"):
            self._drill.take(step, self._begun)
        self._copy_template = Template(self._drill.cluster)
        settings = self._drill.settings
        self._state = Path(drill_state.place_in(settings["caracal_ops_high_water_mark"], settings["caracal_drill_sandbox_directory"]))
        self._restored = self._state.read_bytes()

    def _folder(self) -> Path:
        folder = self.root / f"drill{next(self._numbers)}"
        folder.mkdir()
        return folder

    def _broken(self, way: str, breakage: Breakage | None) -> Seen:
        if way == COPY:
            return self._of_copy(breakage)
        self._template.reset()
        if breakage:
            breakage.do(self.source.cluster)
        return self._of_source(self._sources[way])

    def _of_copy(self, breakage: Breakage | None) -> Seen:
        self._copy_template.reset()
        self._state.write_bytes(self._restored)
        shutil.rmtree(self._drill.secrets, ignore_errors=True)
        if breakage:
            breakage.do(self._drill.cluster)
        for step in COMPARING:
            self._drill.take(step, self._begun)
        return _seen(json.loads(self._state.read_text(encoding="utf-8"))["checks"])

    def _of_source(self, source: Source) -> Seen:
        """Create a set of the broken source, and drill it, both in temporary folders."""
        folder = self._folder()
        scene = source.scene.copy(folder / "own")
        own = dataclasses.replace(source, deployment=dataclasses.replace(source.deployment, scene=scene))
        try:
            own.backup()
        except BackupError:
            return {"backup": (FAIL, 0)}
        made = drilling.drill(own, folder)
        try:
            return _seen(made.run(until=COMPARING[-1]).checks.values())
        finally:
            drilling.remove(made)
            shutil.rmtree(folder)


DeploymentOf = t.Callable[[str], Deployment]
