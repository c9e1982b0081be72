# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores from one major version of PostgreSQL to the next and back. The copy is equal as long as it is not changed."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxSpec
from harness.fixtures import NOW, FreshCluster, make_twin, sandbox_path
from scenes import scene as scenes
from scenes.fixtures import Copy
from scenes.scene import OPERATOR_HOST, Result, Scene
from scenes.twin_database import TwinCluster, TwinFactory
from system.sets.test_round_trip import DATABASES, RIGHTS, contents
from twin.spec import Spec

FREELY = "SET session_replication_role = replica"
LEAF = "audit_events_y2026m03"


@dataclasses.dataclass(frozen=True)
class Crossing:
    """A source, its set restored by a server of another major version, and the result of the restore. `clients` work with both."""

    majors: tuple[int, int]
    scene: Scene
    source: TwinCluster
    copy: Copy
    clients: str
    restored: Result

    def verify(self, **given: t.Any) -> Result:
        return self.scene.call("state_verify", sandbox=self.copy.info.directory, pg_bin=self.clients, **given)


@pytest.fixture(scope="module", params=[(18, 17), (17, 18)], ids=["18 into 17", "17 into 18"])
def crossing(
    request: pytest.FixtureRequest,
    server_install: server_binaries.Install,
    newer_install: server_binaries.Install,
    newer_clients: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> t.Iterator[Crossing]:
    installs = {17: server_install, 18: newer_install}
    assert {major: install.version[0] for major, install in installs.items()} == {17: 17, 18: 18}
    here, there = (installs[major] for major in request.param)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(make_twin(here, Spec(events=600, seed="crossing", now=NOW)))
        scene = scenes.make(tmp_path_factory.mktemp("crossing") / "scene", source.info.socket_dir)
        scene.backup(pg_bin=newer_clients)
        directory = sandbox_path()
        stack.callback(lifecycle.destroy, directory)
        info = lifecycle.create(SandboxSpec(directory, there)).info
        restored = scene.call("pg_encrypted_restore", sandbox=directory, pg_bin=newer_clients)
        recorded = scene.inventory()["databases"]
        copy = Copy(info, source.spec, {one["database"]: one["settings"] for one in recorded})
        copy.keep()
        yield Crossing(request.param, scene, source, copy, newer_clients, restored)


@pytest.fixture
def broken(crossing: Crossing) -> t.Iterator[t.Callable[..., dict[str, Result]]]:
    """Yield a function that breaks the copy with statements and returns the failed checks by ID. Afterwards the copy is whole again."""

    def verify(*statements: str) -> dict[str, Result]:
        crossing.copy.execute(FREELY, *statements)
        result = crossing.verify()
        assert result["verdict"] == "fail" and result["failed"]
        return {check["id"]: check for check in result["checks"] if check["verdict"] == "fail"}

    yield verify
    crossing.copy.reset("caracal")


@pytest.mark.no_false_alarm
def test_the_copy_is_equal(crossing: Crossing) -> None:
    result = crossing.verify()
    assert result["verdict"] == "pass", result
    verdicts = {check["id"]: check["verdict"] for check in result["checks"]}
    for section in ("tables", "leaves", "schema", "grants", "owners", "migrations", "state", "sequences", "settings"):
        assert verdicts[f"inventory.caracal.{section}"] == "pass", section
    assert verdicts["inventory.audit_blocks"] == verdicts["inventory.roles"] == verdicts["inventory.caracal_auth.tables"] == "pass"
    # pgcrypto's version belongs to the server, and the pg_dump texts of two major versions cannot be compared.
    warned = {name for name, verdict in verdicts.items() if verdict == "warn" and not name.startswith("state.outboxes.")}
    assert warned == {"inventory.caracal.extensions"}
    assert verdicts["inventory.caracal.schema_dump"] == "not_applicable"


def rights(cluster: TwinCluster, database: str, what: str) -> list[tuple[t.Any, ...]]:
    """Return the rights without the function that only the newer pgcrypto has."""
    return [row for row in cluster.execute(RIGHTS[what], database=database) if row[0] != "fips_mode()"]


def test_independent_queries_find_equal_content_and_rights(crossing: Crossing) -> None:
    for name in DATABASES:
        found = contents(crossing.copy, name)
        assert found == contents(crossing.source, name)
        assert sum(rows for rows, _digest in found.values()) > (600 if name == "caracal" else 5)
        for what in RIGHTS.keys() - {"extensions"}:
            assert rights(crossing.copy, name, what) == rights(crossing.source, name, what), what
    versions = [int(cluster.execute("SHOW server_version_num")[0][0]) // 10000 for cluster in (crossing.source, crossing.copy)]
    assert tuple(versions) == crossing.majors


def test_warns_only_about_a_restore_into_an_older_major(crossing: Crossing) -> None:
    doubts = {check["id"]: check["message"] for check in crossing.restored["checks"] if check["verdict"] == "warn"}
    assert doubts.keys() == ({f"restore.{name}.version" for name in DATABASES} if crossing.majors == (18, 17) else set())
    assert all("is from PostgreSQL 18, but the target runs 17; " in doubt and "state_verify" in doubt for doubt in doubts.values())


@pytest.mark.parametrize("release", ["2026-06-04", "v2026.06.21"])
def test_the_older_family_restores_into_an_older_major(
    release: str,
    twin_cluster: TwinFactory,
    fresh_cluster: FreshCluster,
    newer_install: server_binaries.Install,
    newer_clients: str,
    tmp_path: Path,
) -> None:
    source = twin_cluster(release=release, install=newer_install)
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    scene.backup(pg_bin=newer_clients)
    copy = TwinCluster(fresh_cluster(), source.spec)
    scene.call("pg_encrypted_restore", sandbox=copy.info.directory, pg_bin=newer_clients)
    verified = scene.call("state_verify", sandbox=copy.info.directory, pg_bin=newer_clients)
    assert verified["verdict"] == "pass", verified
    assert contents(copy, "caracal") == contents(source, "caracal")


# Statement, check that must fail, its words, and the other checks that fail with it.
BLOCKS = "inventory.audit_blocks"
DAMAGE = {
    "a value": (
        "UPDATE zones SET created_at = created_at + interval '1 us' WHERE id = (SELECT min(id) FROM zones)",
        "inventory.caracal.tables",
        "1 table(s) differ from the set; first: public.zones: the content of rows differs",
        set(),
    ),
    "a byte of a secret": (
        "UPDATE secret_store SET envelope = set_byte(envelope, 99, get_byte(envelope, 99) # 1) WHERE ctid = '(0,1)'",
        "inventory.caracal.tables",
        "1 table(s) differ from the set; first: public.secret_store: the content of rows differs",
        set(),
    ),
    "an audit event": (
        f"UPDATE {LEAF} SET decision = decision || ' ' WHERE ctid = (SELECT min(ctid) FROM {LEAF} WHERE decision IS NOT NULL)",
        "inventory.caracal.leaves",
        f"public.{LEAF}: the content of rows differs",
        {BLOCKS},
    ),
    "an audit event gone": (
        f"DELETE FROM {LEAF} WHERE ctid = (SELECT max(ctid) FROM {LEAF})",
        "inventory.caracal.leaves",
        f"1 audit partition(s) differ from the set; first: public.{LEAF}: ",
        {BLOCKS},
    ),
    "NOT NULL": (
        "ALTER TABLE zones ALTER COLUMN name DROP NOT NULL",
        "inventory.caracal.schema",
        "missing column public.zones.name at ",
        set(),
    ),
    "an index": ("DROP INDEX admin_audit_events_chain", "inventory.caracal.schema", "missing index CREATE", set()),
    "a grant": ("GRANT DELETE ON audit_events TO caracalaudit", "inventory.caracal.grants", "audit_events caracalaudit DELETE", set()),
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", DAMAGE)
def test_finds_changes_in_the_copy(broken: t.Callable[..., dict[str, Result]], name: str) -> None:
    statement, check_id, words, also = DAMAGE[name]
    failed = broken(statement)
    assert words in failed[check_id]["message"] and failed.keys() == {check_id, *also}


def test_client_programs_of_the_older_major_are_refused_by_name(crossing: Crossing, server_install: server_binaries.Install) -> None:
    """They are refused wherever they would fail half-way: they cannot read a newer server, or an archive of a newer version."""
    words = ("of version 18 or later", f"{server_install.version_text} is older than 18", "pg_bin")
    old = {"pg_bin": server_install.bindir}
    scene, sandbox = crossing.scene, crossing.copy.info.directory
    scene.refused("state_verify", MissingDependency, *words, sandbox=sandbox, **old)
    if crossing.majors == (18, 17):
        scene.refused("pg_encrypted_dump", MissingDependency, *words, set_id=scene.new_id(), **old)
        target = {"login_unix_socket": crossing.copy.info.socket_dir, "signing_key": str(scene.key(OPERATOR_HOST))}
        confirm = [f"{name}@{crossing.copy.info.system_identifier}" for name in DATABASES]
        scene.refused("pg_encrypted_restore", MissingDependency, *words, confirm=confirm, **target, **old)
