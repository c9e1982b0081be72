# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dump's findings about audit rows of an earlier set, and its consistency while others write."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import typing as t

import pytest

from harness.fixtures import FreshCluster
from harness.waiting import PATIENCE, eventually
from scenes import scene as scenes
from scenes.scene import Result, Scene
from scenes.twin_database import Copier, TwinCluster, TwinFactory
from twin import activity, chain, invariants, keys, load
from twin.dice import microseconds
from twin.spec import Spec

LEAF = "audit_events_y2026m02"
FREELY = "SET session_replication_role = replica"
Tampered = t.Callable[..., Result]


def blocks_check(result: Result) -> Result:
    (check,) = (one for one in result["checks"] if one["id"] == "blocks.journal")
    return dict(check)


@pytest.fixture
def tampered(scene: Scene, caracal_database: TwinCluster, caracal_copy: Copier) -> Tampered:
    """Return a function that changes the source by statements and returns the findings of the next dump."""

    def dump(*statements: str, change: t.Callable[[str], None] = lambda _name: None) -> Result:
        name = caracal_copy()
        caracal_database.execute(FREELY, *statements, database=name)
        change(name)
        return blocks_check(scene.call("pg_encrypted_dump", set_id=scene.new_id(), databases=[name]))

    return dump


def a_row(cluster: TwinCluster) -> tuple[str, str, int]:
    """Return ID, zone and sequence number of a row in the middle of its chain. The next row is in the same partition."""
    return cluster.execute(
        f"""SELECT id, zone_id, chain_seq FROM {LEAF} x
             WHERE EXISTS (SELECT FROM {LEAF} y WHERE (y.zone_id, y.chain_seq) = (x.zone_id, x.chain_seq + 1))
             ORDER BY chain_seq OFFSET 4 LIMIT 1"""
    )[0]


@pytest.mark.no_false_alarm
def test_an_unchanged_source_passes(tampered: Tampered) -> None:
    check = tampered()
    assert check["verdict"] == "pass" and check["details"]["dropped_leaves"] == []


@pytest.mark.mutation
def test_changed_source_is_backed_up_and_commit_reports_it(scene: Scene, caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    """The set is the evidence."""
    for statement, verdict in (("SELECT", "pass"), (f"DELETE FROM {LEAF} WHERE id = '{a_row(caracal_database)[0]}'", "fail")):
        name, set_id = caracal_copy(), scene.new_id()
        caracal_database.execute(FREELY, statement, database=name)
        check = blocks_check(scene.call("pg_encrypted_dump", set_id=set_id, databases=[name]))
        committed = scene.call("backup_set", state="committed", set_id=set_id, left_out={"secrets": "not part of this test"})
        assert committed["verdict"] == check["verdict"] == verdict and scene.sets()[-1] == set_id
        assert "failed" not in committed and (verdict == "fail") is ("msg" in committed)
        assert all(one["digest"][:16] in committed["msg"] for one in check["details"].get("recorded", []))


@pytest.mark.mutation
def test_finds_an_edit_with_recomputed_chain_links(tampered: Tampered, caracal_database: TwinCluster) -> None:
    """With the product's key, an attacker edits one row and the link of the next. The product's own chain then stays valid."""
    row_id, zone, seq = a_row(caracal_database)
    key = keys.for_seed(caracal_database.spec.seed).audit_hmac_key
    names: list[str] = []

    def edit(name: str) -> None:
        names.append(name)
        with contextlib.closing(load.open_database(caracal_database.target, name)) as connection, connection.cursor() as cursor:
            cursor.execute(f"UPDATE {LEAF} SET decision = 'deny' WHERE id = %s", [row_id])
            cursor.execute(
                f"""SELECT ARRAY[id, zone_id, event_type, request_id, decision, policy_set_id, policy_set_version_id, manifest_sha,
                                 evaluation_status],
                           ARRAY[determining_policies_json, diagnostics_json, metadata_json]::text[], occurred_at, prev_content_sha256
                      FROM {LEAF} WHERE id = %s""",
                [row_id],
            )
            fields, documents, occurred, before = cursor.fetchone()
            content = chain.event_hash(fields, documents, microseconds(occurred) * 1000)
            cursor.execute(
                f"UPDATE {LEAF} SET content_sha256 = %s, chain_hmac = %s WHERE id = %s", [content, chain.link(key, content, before), row_id]
            )
            cursor.execute(f"SELECT id, content_sha256 FROM {LEAF} WHERE (zone_id, chain_seq) = (%s, %s)", [zone, seq + 1])
            next_id, next_content = cursor.fetchone()
            cursor.execute(
                f"UPDATE {LEAF} SET prev_content_sha256 = %s, chain_hmac = %s WHERE id = %s",
                [content, chain.link(key, next_content, content), next_id],
            )
            found = invariants.violations(connection)
            assert "audit content" not in found and "audit chain" not in found

    check = tampered(change=edit)
    assert check["verdict"] == "fail"
    assert f"partition {LEAF}: content was changed" in check["message"] and f"audit chain of zone {zone}, sequence" in check["message"]


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (f"DELETE FROM {LEAF} WHERE id = '{{id}}'", "1 of {{rows}} rows are missing"),
        (
            f"INSERT INTO {LEAF} SELECT (jsonb_populate_record(x, '{{{{\"id\": \"new\"}}}}')).* FROM {LEAF} x WHERE id = '{{id}}'",
            "rows were inserted below the head that was recorded",
        ),
        (f"UPDATE {LEAF} SET chain_hmac = NULL WHERE id = '{{id}}'", "the chain columns were changed, but the content is the same"),
        (f"DELETE FROM {LEAF} WHERE zone_id = '{{zone}}'", "its {{rows}} rows are missing"),
        (f"UPDATE {LEAF} SET zone_id = 'other' WHERE id = '{{id}}'", "1 of {{rows}} rows are missing"),
    ],
    ids=["deleted", "inserted", "chain", "a whole block", "another zone"],
)
def test_reports_changes_below_the_head(tampered: Tampered, caracal_database: TwinCluster, statement: str, words: str) -> None:
    row_id, zone, _seq = a_row(caracal_database)
    rows = caracal_database.execute(f"SELECT count(*) FROM {LEAF} WHERE zone_id = '{zone}'")[0][0]
    check = tampered(statement.format(id=row_id, zone=zone))
    assert check["verdict"] == "fail" and check["required"]
    positions = [(one["zone"], one["leaf"], one["says"]) for one in check["details"]["positions"]]
    assert (zone, LEAF, words.format().format(rows=rows)) in positions


@pytest.mark.mutation
def test_an_admin_row_deleted_is_named(tampered: Tampered) -> None:
    check = tampered("DELETE FROM admin_audit_events WHERE chain_seq = 3 AND zone_id IS NOT NULL")
    assert check["verdict"] == "fail"
    assert "admin chain of zone" in check["message"] and "partition admin_audit_events: " in check["message"]


@pytest.mark.no_false_alarm
def test_dropped_partition_is_listed_and_passes(tampered: Tampered, caracal_database: TwinCluster) -> None:
    oldest = caracal_database.execute(r"SELECT min(relname) FROM pg_class WHERE relname ~ '^audit_events_y....m..$' AND relkind = 'r'")[0][
        0
    ]
    check = tampered(f"DROP TABLE {oldest}")
    assert check["verdict"] == "pass" and check["details"]["dropped_leaves"] == [oldest]


@pytest.mark.mutation
def test_emptied_partition_is_not_a_dropped_partition(tampered: Tampered) -> None:
    check = tampered(f"TRUNCATE {LEAF}")
    assert check["verdict"] == "fail" and f"partition {LEAF}: its " in check["message"]


@pytest.mark.mutation
def test_growth_passes_but_an_edit_below_the_head_fails(tmp_path: t.Any, twin_cluster: TwinFactory) -> None:
    """The open block grows. It must be unchanged only up to its former head."""
    source = twin_cluster(seed="growth")
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    first = scene.backup()
    never = threading.Event()
    assert activity.write_some(source.target, source.spec, 30, never) == 30
    second = scene.backup()
    assert blocks_check(second)["verdict"] == "pass"
    assert [one["path"] for one in second["artifacts"] if one["shared"]] != [], "leaves of past months did not change"
    assert {one["path"] for one in second["artifacts"] if "objects/" in one["path"]} - {one["path"] for one in first["artifacts"]}
    zone = source.execute("SELECT zone_id FROM audit_events GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")[0][0]
    head = f"SELECT max(chain_seq) FROM audit_events WHERE zone_id = '{zone}'"
    source.execute(FREELY, f"UPDATE audit_events SET decision = 'altered' WHERE zone_id = '{zone}' AND chain_seq = ({head})")
    assert activity.write_some(source.target, source.spec, 30, never) == 30
    check = blocks_check(scene.call("pg_encrypted_dump", set_id=scene.new_id()))
    assert check["verdict"] == "fail" and f"zone {zone}" in check["message"] and ": content was changed" in check["message"]


def test_a_damaged_earlier_set_does_not_stop_the_next(scene: Scene) -> None:
    newest = scene.sets()[-1]
    blocks = scene.repository / "sets" / newest / "audit-blocks.tsv.zst"
    blocks.chmod(0o600)
    blocks.write_bytes(blocks.read_bytes()[:-1])
    result = scene.call("pg_encrypted_dump", set_id=scene.new_id())
    check = blocks_check(result)
    assert check["verdict"] == "unproven" and str(blocks) in check["message"]
    assert not any(one["shared"] for one in result["artifacts"])


def test_stores_a_partition_again_if_lost_or_for_new_recipients(scene: Scene) -> None:
    leaves = scene.files("objects/**/*")
    (scene.repository / leaves[0]).unlink()
    result = scene.call("pg_encrypted_dump", set_id=scene.new_id())
    assert [one["shared"] for one in result["artifacts"] if "objects/" in one["path"]].count(False) == 1
    another = scenes.new_identity(scene.root / "operator" / "identity")
    result = scene.call("pg_encrypted_dump", set_id=scene.new_id(), recipients=[another])
    assert not any(one["shared"] for one in result["artifacts"])


@pytest.mark.no_false_alarm
def test_a_dump_while_others_write_equals_its_inventory(tmp_path: t.Any, fresh_cluster: FreshCluster) -> None:
    """Services write all the time, but the dump, the counts and the hashes come from one snapshot."""
    spec = Spec(events=600, seed="busy")
    source, copy = (TwinCluster(fresh_cluster(), spec) for _number in range(2))
    load.create(source.target, spec)
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    with writers(source):
        before = events(source)
        scene.backup()
        assert blocks_check(scene.backup())["verdict"] == "pass"
        after = events(source)
    taken = sum(leaf["rows"] for leaf in scene.inventory()["databases"][0]["leaves"].values())
    assert before < taken < after
    scene.call("pg_encrypted_restore", sandbox=copy.info.directory)
    assert events(copy) == taken
    result = scene.call("state_verify", sandbox=copy.info.directory)
    assert result["verdict"] == "pass", [check for check in result["checks"] if check["verdict"] == "fail"]
    with contextlib.closing(load.open_database(copy.target, "caracal")) as connection:
        assert (invariants.violations(connection), invariants.orphans(connection)) == ({}, {})


def events(cluster: TwinCluster) -> int:
    return int(cluster.execute("SELECT count(*) FROM audit_events")[0][0])


@contextlib.contextmanager
def writers(source: TwinCluster) -> t.Iterator[None]:
    """Run two processes that write as fast as they can. Both have started when the block begins."""
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    children = [context.Process(target=activity.write_some, args=(source.target, source.spec, 1 << 30, stop)) for _number in range(2)]
    for child in children:
        child.start()
    try:
        eventually(lambda: events(source) >= source.spec.events + 4)
        yield
    finally:
        stop.set()
        for child in children:
            child.join(PATIENCE)
    assert [child.exitcode for child in children] == [0, 0]
