# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of relation through a dump and a restore: it is in the set and restored, or named with a reason."""

from __future__ import annotations

import dataclasses
import json
import typing as t
import uuid

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import contents, restore, server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import VerificationFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import database_layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxSpec
from harness.fixtures import FreshCluster, sandbox_path
from scenes import relations
from scenes import scene as scenes
from scenes.by_hand import Recover, commands
from scenes.scene import Result, Scene, rewrite_parts
from scenes.twin_database import Copier, TwinCluster, TwinFactory
from twin.releases.known import RELEASES

CHECK = "source.complete"


def check_of(result: Result) -> Result:
    (check,) = (one for one in result["checks"] if one["id"] == CHECK)
    return dict(check)


@dataclasses.dataclass(frozen=True)
class Every:
    """A source with every kind of relation, its committed set, and the restored copy.

    `counted` is a source whose audit table has an identity column.
    """

    scene: Scene
    source: TwinCluster
    database: str
    counted: str
    predicted: Result
    dumped: Result
    restored: Result
    copy: TwinCluster

    def both(self, query: str, database: str = "") -> tuple[list[tuple[t.Any, ...]], list[tuple[t.Any, ...]]]:
        """Return the rows of the source and of the copy."""
        before, after = (cluster.execute(query, database=database or self.database) for cluster in (self.source, self.copy))
        return before, after

    def why_not(self, relation: str, database: str = "") -> str | None:
        return dict(self.dumped["left_out"]).get(f"{relation} of database {database or self.database}")


@pytest.fixture(scope="module")
def every(
    caracal_database: TwinCluster, server_install: server_binaries.Install, tmp_path_factory: pytest.TempPathFactory
) -> t.Iterator[Every]:
    scene = scenes.make(tmp_path_factory.mktemp("every") / "scene", caracal_database.info.socket_dir)
    names, directory = [f"every_{uuid.uuid4().hex[:12]}" for _one in range(2)], sandbox_path()
    try:
        for name, statements in zip(names, (relations.EVERY_KIND, relations.COUNTED), strict=True):
            caracal_database.execute(f"CREATE DATABASE {name}", database="postgres")
            caracal_database.execute(*statements, database=name)
        scene.call("backup_set", state="open", create_repository=True)
        predicted = scene.call("pg_encrypted_dump", check_mode=True, set_id=scene.new_id(), databases=names)
        dumped = scene.backup(databases=names)
        info = lifecycle.create(SandboxSpec(directory, server_install)).info
        restored = scene.call("pg_encrypted_restore", sandbox=directory)
        yield Every(scene, caracal_database, *names, predicted, dumped, restored, TwinCluster(info, caracal_database.spec))
    finally:
        lifecycle.destroy(directory)
        for name in names:
            caracal_database.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", database="postgres")


@pytest.mark.no_false_alarm
def test_set_is_committed_as_check_mode_predicted(every: Every) -> None:
    assert check_of(every.dumped)["verdict"] == check_of(every.predicted)["verdict"] == "pass"
    left_out = every.scene.call("backup_set_verify")["set_facts"]["left_out"]
    assert every.dumped["left_out"].items() <= left_out.items()
    assert every.predicted["left_out"].keys() <= every.dumped["left_out"].keys()


@pytest.mark.parametrize(
    "table",
    [
        "plain",
        '"Deep Down"."a table"',
        "parted_one",
        "parted_rest",
        "ONLY elder",
        "younger",
        "unlogged",
        f"{relations.MONTH}_0",
        f'"Deep Down".{relations.MONTH}_1',
    ],
    ids=["plain", "another schema", "nested", "partition", "parent", "child", "unlogged", "audit leaf", "audit leaf elsewhere"],
)
def test_restores_rows_of_each_kind_of_table(every: Every, table: str) -> None:
    before, after = every.both(f"SELECT x::text FROM {table} x ORDER BY 1")
    assert before and after == before
    assert not any(table.removeprefix("ONLY ").replace('"', "") in name for name in every.dumped["left_out"] if name.startswith("table"))


@pytest.mark.parametrize("sequence", ["lonely", "plain_id_seq", '"Deep Down"."a table_id_seq"'], ids=["no owner", "serial", "identity"])
def test_restores_sequence_values(every: Every, sequence: str) -> None:
    before, after = every.both(f"SELECT last_value, is_called FROM {sequence}")
    assert after == before and before[0][1]
    assert every.why_not(f"sequence public.{sequence}") is None


def test_inventory_records_identity_value_of_audit_table(every: Every) -> None:
    before, after = every.both("SELECT last_value, is_called FROM audit_events_counted_seq", every.counted)
    assert after == before == [(9, True)]
    assert every.why_not("sequence public.audit_events_counted_seq", every.counted)


def test_materialized_views_are_recomputed_in_order(every: Every) -> None:
    for view in ("computed", "again"):
        before, after = every.both(f"SELECT x::text FROM {view} x ORDER BY 1")
        assert before and after == before and every.why_not(f"materialized view public.{view}")
    before, after = every.both("SELECT relispopulated FROM pg_class WHERE relname = 'later'")
    assert before == after == [(False,)]


def test_restores_large_objects(every: Every) -> None:
    before, after = every.both("SELECT oid, lo_get(oid) FROM pg_largeobject_metadata")
    assert len(before) == 1 and [tuple(map(bytes_of, row)) for row in after] == [tuple(map(bytes_of, row)) for row in before]


def bytes_of(value: t.Any) -> t.Any:
    return bytes(value) if isinstance(value, memoryview) else value


def test_rows_of_a_foreign_table_are_left_out(every: Every) -> None:
    assert every.why_not("foreign table public.elsewhere")
    before, after = every.both("SELECT relkind::text FROM pg_class WHERE relname = 'elsewhere'")
    assert before == after == [("f",)]


def test_left_out_lists_no_relations_without_rows(every: Every) -> None:
    assert not [name for name in every.dumped["left_out"] if "seen" in name or "parted" in name or "_pkey" in name]


@pytest.mark.no_false_alarm
def test_restored_copy_matches_the_source(every: Every) -> None:
    assert [one["id"] for one in every.restored["checks"] if one["verdict"] == "fail"] == []
    checks = {one["id"]: one for one in every.scene.call("state_verify", sandbox=every.copy.info.directory)["checks"]}
    prefix = f"inventory.{every.database}"
    assert [one for one in checks.values() if one["verdict"] == "fail"] == []
    sections = ("tables", "leaves", "sequences", "materialized_views")
    assert [checks[f"{prefix}.{name}"]["verdict"] for name in sections] == ["pass"] * len(sections)


@pytest.mark.mutation
def test_reports_tables_restored_without_rows(every: Every) -> None:
    """For example, after a restore of a set that an earlier version created."""
    to = restore.Destination(every.copy.server, every.database, (), t.cast(t.Any, None), ())
    recorded = {"public.plain": 7, "public.later": 1, "public.nowhere": 2, "public.gone": 0, f"Deep Down.{relations.MONTH}_1": 3}
    every.copy.execute("CREATE TABLE public.later_on (n int)", database=every.database)
    recorded["public.later_on"] = 4
    found = restore.without_rows(to, {name: {"rows": rows} for name, rows in recorded.items()})
    every.copy.execute("DROP TABLE public.later_on", database=every.database)
    assert found == ["public.later", "public.later_on", "public.nowhere"]


def test_recovery_commands_restore_every_relation(every: Every, fresh_cluster: FreshCluster, recover: Recover) -> None:
    cluster = TwinCluster(fresh_cluster(), every.source.spec)
    (set_id,) = every.scene.sets()
    done = recover(every.scene, set_id, cluster.info, commands(every.scene, set_id))
    assert done.returncode == 0, done.stderr[-2000:]
    for query in ("SELECT x::text FROM audit_events x ORDER BY 1", 'SELECT x::text FROM "Deep Down"."a table" x ORDER BY 1'):
        assert cluster.execute(query, database=every.database) == every.source.execute(query, database=every.database)
    by_hand = dataclasses.replace(every, copy=cluster)
    test_inventory_records_identity_value_of_audit_table(by_hand)
    test_materialized_views_are_recomputed_in_order(by_hand)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("release", RELEASES)
def test_a_twin_of_each_release_is_complete(release: str, twin_cluster: TwinFactory, tmp_path: t.Any) -> None:
    source = twin_cluster(events=4, release=release)
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    dumped = scene.backup()
    assert (check_of(dumped)["verdict"], dumped["left_out"]) == ("pass", {})


@pytest.fixture
def small(empty_scene: Scene, caracal_database: TwinCluster) -> t.Iterator[tuple[Scene, str]]:
    """Return a repository and a small database with its own audit table."""
    name = f"small_{uuid.uuid4().hex[:12]}"
    caracal_database.execute(f"CREATE DATABASE {name}", database="postgres")
    caracal_database.execute(*relations.EVERY_KIND[:6], database=name)
    empty_scene.call("backup_set", state="open", create_repository=True)
    yield empty_scene, name
    caracal_database.execute(f"DROP DATABASE {name} WITH (FORCE)", database="postgres")


def refused(scene: Scene, set_id: str, *words: str) -> None:
    scene.refused("backup_set", VerificationFailed, *words, state="committed", set_id=set_id, left_out={"secrets": "none"})


@pytest.mark.mutation
def test_refuses_a_set_with_an_unread_partition(small: tuple[Scene, str], monkeypatch: pytest.MonkeyPatch) -> None:
    scene, name = small
    layout = database_layout.read

    def short(session: t.Any) -> database_layout.Layout:
        read = layout(session)
        return dataclasses.replace(read, leaves=tuple(leaf for leaf in read.leaves if leaf.name != f"{relations.MONTH}_0"))

    monkeypatch.setattr(database_layout, "read", short)
    lost = f"table public.{relations.MONTH}_0 of database {name}"
    set_id = scene.new_id()
    scene.refused("pg_encrypted_dump", VerificationFailed, lost, check_mode=True, set_id=set_id, databases=[name])
    made = scene.call("pg_encrypted_dump", set_id=set_id, databases=[name])
    assert (check_of(made)["verdict"], check_of(made)["details"]["relations"]) == ("fail", [lost])
    refused(scene, set_id, lost, f"backup_set state=aborted set_id={set_id}")
    again = scene.call("pg_encrypted_dump", set_id=set_id, databases=[name])
    assert not again["changed"] and again["checks"] == made["checks"]
    assert scene.call("backup_set", state="aborted", set_id=set_id)["changed"] and scene.sets() == []


@pytest.mark.mutation
def test_refuses_a_set_with_a_table_in_a_system_schema(small: tuple[Scene, str], caracal_database: TwinCluster) -> None:
    scene, name = small
    caracal_database.execute("CREATE TABLE information_schema.hidden (n int)", database=name)
    set_id = scene.new_id()
    scene.refused("pg_encrypted_dump", VerificationFailed, "hidden", check_mode=True, set_id=set_id, databases=[name])
    assert check_of(scene.call("pg_encrypted_dump", set_id=set_id, databases=[name]))["verdict"] == "fail"
    refused(scene, set_id, "table information_schema.hidden", "ALTER TABLE ... SET SCHEMA")


@pytest.mark.mutation
def test_refuses_a_set_with_uncounted_contents(small: tuple[Scene, str], monkeypatch: pytest.MonkeyPatch) -> None:
    scene, name = small
    monkeypatch.setattr(contents.Reader, "finish", lambda _self: contents.Contents(problem="it could not be read"))
    set_id = scene.new_id()
    assert check_of(scene.call("pg_encrypted_dump", set_id=set_id, databases=[name]))["verdict"] == "unproven"
    refused(scene, set_id, "it could not be read")


@pytest.mark.mutation
@pytest.mark.parametrize("checks", [[], None], ids=["no check", "no checks"])
def test_a_dump_of_an_earlier_version_is_not_committed(dumped: Scene, checks: t.Any) -> None:
    (set_id,) = {path.split("/")[1] for path in dumped.files("sets/*/parts/*")}

    def older(_name: str, content: dict[str, t.Any]) -> None:
        content.pop("checks")
        if checks is not None:
            content["checks"] = checks

    rewrite_parts(dumped, set_id, older)
    refused(dumped, set_id, f"backup_set state=aborted set_id={set_id}")


def test_extension_tables_are_dumped_as_the_extension_defines(small: tuple[Scene, str], caracal_database: TwinCluster) -> None:
    """The extension's script created the two tables. One contains user settings, of which the extension wants some dumped."""
    scene, name = small
    caracal_database.execute(
        "CREATE TABLE made (n int)",
        "CREATE TABLE kept (n int)",
        "INSERT INTO made VALUES (1)",
        "INSERT INTO kept VALUES (1), (2)",
        "ALTER EXTENSION plpgsql ADD TABLE made",
        "ALTER EXTENSION plpgsql ADD TABLE kept",
        """UPDATE pg_extension SET extconfig = ARRAY['kept'::regclass::oid], extcondition = ARRAY['WHERE n > 1']
            WHERE extname = 'plpgsql'""",
        database=name,
    )
    made = scene.call("pg_encrypted_dump", set_id=scene.new_id(), databases=[name])
    assert check_of(made)["verdict"] == "pass"
    assert {name.partition(" of ")[0] for name in made["left_out"] if "plpgsql" in made["left_out"][name]} == {
        "table public.made",
        "table public.kept",
    }


@pytest.mark.mutation
def test_an_owner_cannot_hide_a_table_of_caracals_in_an_extension(small: tuple[Scene, str], caracal_database: TwinCluster) -> None:
    """The owner of a database also owns the trusted extensions that they created in it."""
    scene, name = small
    caracal_database.execute(
        "CREATE TABLE zones (n int)", "INSERT INTO zones VALUES (1)", "ALTER EXTENSION plpgsql ADD TABLE zones", database=name
    )
    made = scene.call("pg_encrypted_dump", set_id=scene.new_id(), databases=[name])
    assert check_of(made)["verdict"] == "fail" and not [one for one in made["left_out"] if "zones" in one]


@pytest.mark.no_false_alarm
def test_ignores_temporary_tables_of_other_sessions(small: tuple[Scene, str], caracal_database: TwinCluster) -> None:
    scene, name = small
    with Session(caracal_database.server, name) as session:
        session.rows("CREATE TEMPORARY TABLE mine AS SELECT 1")
        made = scene.call("pg_encrypted_dump", set_id=scene.new_id(), databases=[name])
    assert check_of(made)["verdict"] == "pass" and not [one for one in made["left_out"] if "mine" in one]


def test_a_renamed_database_shares_objects_under_its_new_name(scene: Scene, caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    """Two sets have its partitions under the old name. The third set's manifest decides the name used by a restore."""
    name = caracal_copy()
    scene.backup(databases=[name])
    manifest = json.loads((scene.repository / "sets" / scene.sets()[-1] / "manifest.json").read_bytes())
    leaves = [one for one in manifest["artifacts"] if one["kind"] == "leaf"]
    assert leaves and {one["database"] for one in leaves} == {name} and all(one["shared_from"] for one in leaves)
