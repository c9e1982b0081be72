# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checkpoints of a growing chain: the rows that they commit to, their findings, and their effect on the next backup."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import multiprocessing
import os
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._audit.chains import audit_checkpoint
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import audit_blocks
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_blocks import BLOCK_ROWS, Block
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.snapshot import Snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, PermissionMissing, TamperedData, VersionMismatch
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access, baseline, history
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import records
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import compression
from harness.fixtures import NOW, make_twin
from harness.waiting import PATIENCE, eventually
from scenes import drill_reports
from scenes import scene as scenes
from scenes.metrics_text import parse
from scenes.playing import Play, backup_settings
from scenes.scene import DEPLOYMENT, DRILL_HOST, Result, Scene, tree
from scenes.twin_database import TwinCluster, TwinFactory
from twin import keys, load
from twin.append import append
from twin.releases.known import RELEASES
from twin.spec import Spec

MODULE = "audit_checkpoint"
FREELY = "SET session_replication_role = replica"
LEAF = "audit_events_y2026m06"
APPENDED = 66_000


def opened(scene: Scene) -> access.Opened:
    return access.open_repository(scene.access())


def add(cluster: TwinCluster, zone: str, count: int, minutes: float, database: str = "caracal") -> int:
    """Append valid events to a zone's chain, `minutes` after the twin's time, and return the new head."""
    with contextlib.closing(load.open_database(cluster.target, database)) as connection:
        release, later = RELEASES[cluster.spec.release], cluster.spec.now + dt.timedelta(minutes=minutes)
        return append(connection, keys.for_seed(cluster.spec.seed), release, zone, count, later)


def zones(cluster: TwinCluster, database: str = "caracal") -> list[str]:
    """Return the zones, the zone with most events first."""
    query = "SELECT zone_id FROM audit_events GROUP BY 1 ORDER BY count(*) DESC, 1"
    return [zone for (zone,) in cluster.execute(query, database=database)]


@dataclasses.dataclass(frozen=True)
class Source:
    """A database of one test and a repository with its first set. The zone `busy` has one closed and one open block."""

    scene: Scene
    cluster: TwinCluster
    database: str
    busy: str
    quiet: str

    def call(self, **given: t.Any) -> Result:
        return self.scene.call(MODULE, database=self.database, **given)

    def dump(self) -> Result:
        """Return the check `blocks.journal` of the next set's dump."""
        made = self.scene.call("pg_encrypted_dump", set_id=self.scene.new_id(), databases=[self.database])
        (check,) = (one for one in made["checks"] if one["id"] == "blocks.journal")
        return dict(check)

    def backup(self) -> Result:
        """Commit a new set and return the result."""
        set_id = self.scene.new_id()
        self.scene.call("pg_encrypted_dump", set_id=set_id, databases=[self.database])
        return self.scene.call("backup_set", state="committed", set_id=set_id, left_out={"secrets": "not part of this test"})

    def add(self, count: int, minutes: float, zone: str = "") -> int:
        return add(self.cluster, zone or self.busy, count, minutes, self.database)

    def execute(self, *statements: str) -> list[tuple[t.Any, ...]]:
        return self.cluster.execute(FREELY, *statements, database=self.database)


@pytest.fixture(scope="module")
def big(server_install: server_binaries.Install, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Source]:
    with make_twin(server_install, Spec(events=400, zones=2, seed="checkpoints", now=NOW)) as cluster:
        busy, quiet = zones(cluster)
        add(cluster, busy, APPENDED, 1)
        scene = scenes.make(tmp_path_factory.mktemp("big") / "scene", cluster.info.socket_dir)
        scene.backup(databases=["caracal"])
        yield Source(scene, cluster, "caracal", busy, quiet)


@pytest.fixture
def source(big: Source, tmp_path: Path) -> t.Iterator[Source]:
    name = f"copy_{uuid.uuid4().hex[:12]}"
    big.cluster.execute(f"CREATE DATABASE {name} TEMPLATE caracal OWNER caracal STRATEGY file_copy", database="postgres")
    yield dataclasses.replace(big, scene=big.scene.copy(tmp_path / "scene"), database=name)
    big.cluster.execute(f"DROP DATABASE {name} WITH (FORCE)", database="postgres")


def stored(scene: Scene, checkpoint: str) -> list[Block]:
    path = scene.repository / "checkpoints" / checkpoint / "audit-blocks.tsv.zst"
    return audit_blocks.from_tsv(compression.decompress(path.read_bytes(), "it", 1 << 20))


def everything(source: Source) -> set[Block]:
    """Return the blocks of all rows, as the next set contains them."""
    scene = source.scene.copy(source.scene.root.with_name(f"set-{uuid.uuid4().hex}"))
    set_id = scene.new_id()
    scene.backup(databases=[source.database], set_id=set_id)
    path = scene.repository / "sets" / set_id / "audit-blocks.tsv.zst"
    return set(audit_blocks.from_tsv(compression.decompress(path.read_bytes(), "it", 1 << 20)))


@pytest.mark.no_false_alarm
def test_checkpoint_records_blocks_with_new_rows(source: Source) -> None:
    before = set(baseline.load(opened(source.scene)).blocks)
    first_set = opened(source.scene).catalog.newest()
    assert first_set is not None
    source.add(30, 5)
    source.add(10, 5, source.quiet)
    path = source.scene.root / "checkpoint.prom"
    made = source.call(metrics_file=str(path))
    assert (made["changed"], made["verdict"], made["rows"]) == (True, "pass", 40)
    assert (made["base"], made["since"]) == (first_set.entry.sequence, f"set {first_set.set_id}")
    assert made["blocks_not_read"] > 0 and f", {made['blocks_not_read']} of them " in made["checks"][0]["message"]
    measured = parse(path.read_text())
    assert measured["caracal_backup_checkpoint_rows"] == {(("deployment", "prod"),): 40}
    assert [dict(labels)["verdict"] for labels, value in measured["caracal_backup_checkpoint_verdict"].items() if value] == ["pass"]
    now = everything(source)
    assert set(stored(source.scene, made["checkpoint"])) == now - before and made["blocks"] == len(now - before) == 2
    known = baseline.load(opened(source.scene))
    assert set(known.blocks) == now and made["zones"] == len({block.key[:2] for block in now})
    assert (known.name, known.release, known.problem) == (f"checkpoint {made['checkpoint']}", "v1.0.0", "")
    (entry,) = opened(source.scene).journal.of_kind("checkpoint")
    record = records.checkpoint(entry)
    assert (record.database, record.base, record.standby, record.family) == (source.database, made["base"], False, "secret_store")
    assert (made["journal_head"], known.sequence) == (opened(source.scene).head, entry.sequence)
    assert known.time == record.snapshot_time
    assert made["diff"]["before"] != made["diff"]["after"] and f"audit {source.quiet} " in made["diff"]["after"]


@pytest.mark.no_false_alarm
def test_rows_that_close_a_block_and_open_others_are_entered(source: Source) -> None:
    source.add(2 * BLOCK_ROWS - APPENDED + 100, 5)
    made = source.call()
    assert (made["changed"], made["verdict"]) == (True, "pass")
    source.add(5, 30)
    again = source.call()
    assert (again["changed"], again["rows"], again["base"]) == (True, 5, int(made["journal_head"].split("-")[0]))
    assert set(baseline.load(opened(source.scene)).blocks) == everything(source)


@pytest.mark.no_false_alarm
def test_a_second_run_and_check_mode_enter_nothing(source: Source) -> None:
    files = tree(source.scene.root)
    assert not source.call(check_mode=True)["changed"] and tree(source.scene.root) == files
    source.add(3, 5)
    predicted = source.call(check_mode=True)
    assert tree(source.scene.root) == files
    made = source.call()
    kept = {"journal_head", "seconds", "checkpoint", "snapshot_time", "checks"}
    assert {name: value for name, value in predicted.items() if name not in kept} == {n: v for n, v in made.items() if n not in kept}
    assert predicted.keys() == made.keys() and predicted["checks"] == made["checks"]
    files = tree(source.scene.repository)
    again = source.call()
    assert (again["changed"], again["checkpoint"], again["blocks"], again["rows"], again["verdict"]) == (False, None, 0, 0, "pass")
    assert tree(source.scene.repository) == files and again["diff"]["before"] == again["diff"]["after"] != ""


@pytest.mark.no_false_alarm
def test_the_first_checkpoint_reads_every_row(big: Source, tmp_path: Path) -> None:
    scene = scenes.make(tmp_path / "scene", big.scene.socket)
    scene.call("backup_set", state="open", create_repository=True)
    first = dataclasses.replace(big, scene=scene)
    made = first.call()
    assert (made["changed"], made["verdict"], made["base"], made["since"], made["blocks_not_read"]) == (True, "unproven", 0, "", 0)
    assert set(stored(scene, made["checkpoint"])) == everything(first) == set(baseline.load(opened(scene)).blocks)
    assert not first.call()["changed"] and first.call()["verdict"] == "pass"


def row(source: Source, block: int) -> str:
    return f"zone_id = '{source.busy}' AND chain_seq = {block * BLOCK_ROWS + 200 if block else 40_000}"


# A statement, and the kind of the finding.
FAULTS = {
    "edited": ("UPDATE {leaf} SET decision = 'deny' WHERE {open}", "block_edited"),
    "chain column": ("UPDATE {leaf} SET chain_hmac = 'x' WHERE {open}", "block_chain_changed"),
    "deleted": ("DELETE FROM {leaf} WHERE {open}", "block_missing_rows"),
    "put in": (
        """INSERT INTO {leaf} SELECT (jsonb_populate_record(x, '{{"id": "new"}}')).* FROM {leaf} x WHERE {open}""",
        "block_added_rows",
    ),
    "put into an older leaf": (
        """INSERT INTO audit_events_default SELECT (jsonb_populate_record(x, '{{"id": "new", "occurred_at": "1999-01-01"}}')).*
             FROM {leaf} x WHERE {closed}""",
        "block_added_rows",
    ),
    "last row": (
        "DELETE FROM {leaf} WHERE zone_id = '{busy}' AND chain_seq = (SELECT max(chain_seq) FROM {leaf} WHERE zone_id = '{busy}')",
        "truncated",
    ),
    "half of the tail": ("DELETE FROM {leaf} WHERE zone_id = '{busy}' AND chain_seq > 30000", "truncated"),
    "first row of a closed block": (
        "DELETE FROM {leaf} WHERE zone_id = '{busy}' AND chain_seq = (SELECT min(chain_seq) FROM {leaf} WHERE zone_id = '{busy}')",
        "block_missing_rows",
    ),
    "zone": ("DELETE FROM audit_events WHERE zone_id = '{quiet}'", "zone_gone"),
    "admin": ("UPDATE admin_audit_events SET action = 'x' WHERE zone_id IS NULL AND chain_seq = 2", "block_edited"),
    "emptied": ("TRUNCATE audit_events", "zone_gone"),
}


@pytest.mark.mutation
@pytest.mark.parametrize("fault", FAULTS)
def test_change_of_known_rows_is_recorded_without_a_checkpoint(source: Source, fault: str) -> None:
    statement, kind = FAULTS[fault]
    values = {"leaf": LEAF, "open": row(source, 1), "closed": row(source, 0), "busy": source.busy, "quiet": source.quiet}
    source.execute(statement.format(**values))
    if kind != "truncated":  # otherwise the numbers would be used again
        source.add(20, 5)
    files = tree(source.scene.repository)
    path = source.scene.root / "checkpoint.prom"
    made = source.call(metrics_file=str(path))
    assert (made["verdict"], made["failed"], made["changed"], made["checkpoint"]) == ("fail", True, True, None)
    assert [dict(one)["verdict"] for one, value in parse(path.read_text())["caracal_backup_checkpoint_verdict"].items() if value] == [
        "fail"
    ]
    check, earlier = made["checks"]
    assert kind in {one["kind"] for one in check["details"]["positions"]}, check
    assert {one["digest"] for one in earlier["details"]["open"]} == {one["digest"] for one in check["details"]["recorded"]}
    assert "\n" not in made["msg"]
    new = sorted(tree(source.scene.repository).items() - files.items())
    assert [name.rpartition(".")[2] for name, _content in new if "/" in name] == ["sig", "json"]
    again = source.call()
    assert (again["verdict"], again["failed"], again["changed"]) == ("fail", True, False)


@pytest.mark.mutation
def test_next_backup_finds_a_changed_row_of_a_closed_block(source: Source) -> None:
    """A checkpoint reports that it did not read the block. The next set does read it."""
    source.add(20, 5)
    source.execute(f"UPDATE {LEAF} SET decision = 'deny' WHERE {row(source, 0)}")
    made = source.call()
    assert (made["verdict"], made["changed"]) == ("pass", True) and made["blocks_not_read"] > 0
    check = source.dump()
    assert check["verdict"] == "fail"
    assert [(one["kind"], one["leaf"], one["high"]) for one in check["details"]["positions"]] == [("block_edited", LEAF, BLOCK_ROWS)]
    assert f"checkpoint {made['checkpoint']}" in check["message"]


def places(check: Result) -> list[tuple[str, str, int, int]]:
    """Return kind, zone, first and last number of each finding."""
    return [(one["kind"], one["zone"], one["low"], one["high"]) for one in check["details"]["positions"]]


HISTORY = "blocks.history"
EDIT = f"UPDATE {LEAF} SET request_id = request_id || '+' WHERE "
UNDO = f"UPDATE {LEAF} SET request_id = rtrim(request_id, '+') WHERE "


def verdict_of(made: Result, check_id: str = HISTORY) -> str:
    (found,) = (one["verdict"] for one in made["checks"] if one["id"] == check_id)
    return str(found)


def open_ones(made: Result) -> set[str]:
    (found,) = (one["details"]["open"] for one in made["checks"] if one["id"] == HISTORY)
    return {one["digest"] for one in found}


def look_again(source: Source, **drill: t.Any) -> dict[str, tuple[str, str]]:
    """Run the next checkpoint, the next set and the verifications of both.

    Return the overall verdict and the verdict of `blocks.history` of each.
    """
    source.add(5, 5)
    found = {MODULE: source.call(), "backup_set": source.backup()}
    for name in ("backup_set_verify", "repository_verify", "audit_chain_verify"):
        of_set = (
            {"set_id": "latest"} if name == "backup_set_verify" else {"database": source.database} if name == "audit_chain_verify" else {}
        )
        found[name] = source.scene.call(name, require_valid=False, **of_set, **(drill if name == "repository_verify" else {}))
    return {name: (made["verdict"], verdict_of(made)) for name, made in found.items()}


def drilled(source: Source, restored: str = "pass") -> set[str]:
    """Drill a new set and return the digests of open findings. `restored` is the verdict of the comparison of rows with the set."""
    set_id = source.backup()["set_id"]
    verified = source.scene.call("audit_chain_verify", database=source.database, set_id=set_id, require_valid=False)
    checks = [{**one, "verdict": restored} if one["id"] == "inventory.audit_blocks" else one for one in verified["checks"]]
    drill_reports.of_scene(source.scene, drill_reports.found(set_id, checks=checks))
    return open_ones(source.scene.call("repository_verify", require_valid=False))


@pytest.mark.mutation
@pytest.mark.parametrize("block", [0, 1])
def test_a_changed_row_stays_a_failure_until_the_operator_acknowledges_it(
    source: Source, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    source.execute(EDIT + row(source, block))
    (digest,) = open_ones(source.backup())
    for _night in range(2 if block else 5):
        again = look_again(source)
        assert set(again.values()) == {("fail", "fail")}, again
    given = {"findings": [digest[:16]], "expires": f"{access.now() + dt.timedelta(days=30):%Y-%m-%d}", "reason": "an exercise"}
    done = source.scene.call("journal_correct", **given)
    assert done["changed"] and [one["digest"] for one in done["findings"]] == [digest]
    assert not source.scene.call("journal_correct", **given)["changed"]
    again = look_again(source)
    assert {history for _overall, history in again.values()} == {"warn"}, again
    assert [name for name, (overall, _history) in again.items() if overall == "fail"] == ["audit_chain_verify"]
    # This module reads the rows themselves. Its findings are also recorded by a drill and then acknowledged.
    assert drilled(source, restored="fail") == set()
    found = drilled(source)
    assert found and set(verdict[1] for verdict in look_again(source).values()) == {"fail"}
    source.scene.call("journal_correct", **{**given, "findings": sorted(found)})
    again = look_again(source)
    assert not [name for name, (overall, _history) in again.items() if overall == "fail"], again
    # The same change made again is a new finding.
    source.execute(UNDO + row(source, block))
    source.backup()
    source.execute(EDIT + row(source, block))
    second = source.backup()
    assert second["verdict"] == "fail" and open_ones(second).isdisjoint({digest})
    later = access.now() + dt.timedelta(days=32)
    monkeypatch.setattr(access, "now", lambda: later)
    checked = source.scene.call("backup_set_verify", set_id="latest", require_valid=False)
    assert digest in open_ones(checked)


@pytest.mark.mutation
def test_a_change_that_was_undone_before_the_next_set_was_recorded_by_the_checkpoint(source: Source) -> None:
    source.execute(EDIT + row(source, 1))
    source.call()
    source.execute(UNDO + row(source, 1))
    source.call()
    made = source.backup()
    assert (made["verdict"], verdict_of(made), len(open_ones(made))) == ("fail", "fail", 1)


@pytest.mark.mutation
def test_repository_verify_finds_a_change_that_no_set_recorded(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.execute(EDIT + row(source, 0))
    with monkeypatch.context() as earlier:
        earlier.setattr(history, "of_checks", lambda _checks: ())
        source.backup()
    source.backup()
    assert verdict_of(source.scene.call("backup_set_verify", set_id="latest", require_valid=False)) == "pass"
    verified = source.scene.call("repository_verify", require_valid=False, signing_key=str(source.scene.key(DRILL_HOST)))
    assert (verified["verdict"], verdict_of(verified)) == ("fail", "fail")
    assert opened(source.scene).journal.of_kind(entries.FINDING)[0].principal.startswith("drill@")
    assert set(look_again(source).values()) == {("fail", "fail")}


@pytest.mark.no_false_alarm
def test_retention_and_growth_are_not_findings(source: Source, tmp_path: Path) -> None:
    """All sets record 30 days, so the month may be dropped."""
    source.execute("UPDATE audit_retention SET retention_days = 30")
    source = dataclasses.replace(source, scene=scenes.make(tmp_path / "another", source.scene.socket))
    source.scene.backup(databases=[source.database])
    for _night in range(2):
        assert {one[1] for one in look_again(source).values()} == {"pass"}
    source.execute("DROP TABLE audit_events_y2026m05")
    assert {one[1] for one in look_again(source).values()} == {"pass"}
    assert not opened(source.scene).journal.of_kind(entries.FINDING)


@pytest.mark.mutation
def test_backup_reports_a_deleted_tail_known_from_a_checkpoint(source: Source) -> None:
    head = source.add(20, 5)
    source.call()
    source.execute(f"DELETE FROM {LEAF} WHERE zone_id = '{source.busy}' AND chain_seq > {head - 15}")
    check = source.dump()
    assert check["verdict"] == "fail" and places(check) == [("truncated", source.busy, head - 14, head)]


@pytest.mark.mutation
def test_checkpoint_during_a_backup_still_covers_new_rows(source: Source) -> None:
    """The set's snapshot is older than the checkpoint that was entered before the set."""
    set_id = source.scene.new_id()
    source.scene.call("pg_encrypted_dump", set_id=set_id, databases=[source.database])
    head = source.add(20, 5)
    assert source.call()["changed"]
    source.scene.call("backup_set", state="committed", set_id=set_id, left_out={"secrets": "not part of this test"})
    again = source.call()
    assert (again["verdict"], again["changed"]) == ("pass", False)
    source.execute(f"DELETE FROM {LEAF} WHERE zone_id = '{source.busy}' AND chain_seq = {head}")
    check = source.call()["checks"][0]
    assert check["verdict"] == "fail" and places(check) == [("truncated", source.busy, head, head)]


def object_of(scene: Scene, checkpoint: str) -> Path:
    return scene.repository / "checkpoints" / checkpoint / "audit-blocks.tsv.zst"


@pytest.mark.mutation
@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_damaged_checkpoint_is_reported_and_the_backup_runs(source: Source, damage: str) -> None:
    source.add(20, 5)
    path = object_of(source.scene, source.call()["checkpoint"])
    path.chmod(0o600)
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[:-1] + b"x")
    made = source.call()
    assert (made["failed"], made["changed"], made["verdict"]) == (True, False, "unproven") and str(path) in made["msg"]
    check = source.dump()
    assert check["verdict"] == "unproven" and str(path) in check["message"]
    source.backup()
    after = source.call()
    assert (after["changed"], after["verdict"]) == (False, "pass")


@pytest.mark.mutation
def test_refuses_another_signing_key_and_an_altered_entry(source: Source) -> None:
    source.add(20, 5)
    drill = str(source.scene.key(DRILL_HOST))
    source.scene.refused(MODULE, KeyProblem, f"not a key of backup@{DEPLOYMENT}", database=source.database, signing_key=drill)
    head = int(source.call()["journal_head"].split("-")[0])
    entry = source.scene.repository / "journal" / f"{head:010}.json"
    entry.chmod(0o600)
    entry.write_bytes(entry.read_bytes().replace(b'"standby": false', b'"standby": true '))
    with pytest.raises(TamperedData):
        source.call()


def in_child(function: t.Callable[[], None]) -> int | None:
    child = multiprocessing.get_context("fork").Process(target=function)
    child.start()
    child.join(PATIENCE)
    return child.exitcode


@pytest.mark.mutation
def test_killed_run_adds_no_checkpoint_to_journal(source: Source) -> None:
    source.add(20, 5)

    def die() -> None:
        audit_checkpoint.journals.append_once = lambda *_arguments: os._exit(9)
        source.call()

    assert in_child(die) == 9
    (left,) = source.scene.files("checkpoints/**/*")
    assert opened(source.scene).journal.of_kind("checkpoint") == []
    made = source.call()
    assert made["changed"] and made["checkpoint"] not in left
    assert set(baseline.load(opened(source.scene)).blocks) == everything(source)


def test_two_parallel_runs_create_one_checkpoint(source: Source) -> None:
    """Both read the journal before either could append, because they wait for the same partition."""
    source.add(20, 5)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    waiting = f"""SELECT count(DISTINCT application_name) FROM pg_stat_activity
                   WHERE datname = '{source.database}' AND application_name LIKE 'caracal_ops.backup %' AND wait_event_type = 'Lock'"""
    children = [context.Process(target=lambda: results.put(source.call())) for _number in range(2)]
    with contextlib.closing(load.open_database(source.cluster.target, source.database)) as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"LOCK TABLE {LEAF} IN ACCESS EXCLUSIVE MODE")
        for child in children:
            child.start()
        eventually(lambda: source.cluster.execute(waiting, database="postgres") == [(2,)])
        cursor.execute("ROLLBACK")
    made = [results.get(timeout=PATIENCE) for _child in children]
    for child in children:
        child.join(PATIENCE)
    assert sorted(one["changed"] for one in made) == [False, True]
    assert {one["verdict"] for one in made} == {"pass"} and len({one["journal_head"] for one in made}) == 1
    assert len(opened(source.scene).journal.of_kind("checkpoint")) == 1


@pytest.mark.no_false_alarm
def test_a_checkpoint_and_a_dump_do_not_stop_each_other(source: Source) -> None:
    with Snapshot(source.cluster.server, source.database):
        source.add(5, 5)
        assert source.call()["changed"]


@pytest.mark.mutation
def test_a_login_that_does_not_see_every_row_is_refused(source: Source) -> None:
    password = source.scene.root / "backup" / "password"
    password.write_text("far-too-simple")
    source.execute("DROP ROLE IF EXISTS blind", "CREATE ROLE blind LOGIN PASSWORD 'far-too-simple'")
    try:
        login = {"login_user": "blind", "login_password_file": str(password)}
        source.scene.refused(MODULE, PermissionMissing, "blind cannot read every row", database=source.database, **login)
    finally:
        source.execute("DROP ROLE blind")


@pytest.mark.mutation
def test_another_database_is_refused(source: Source) -> None:
    source.scene.refused(MODULE, VersionMismatch, "no partitions of audit_events", "correct the option database", database="caracal_auth")


@pytest.mark.parametrize("release", sorted(RELEASES))
def test_checkpoint_finds_changes_in_every_release(release: str, twin_cluster: TwinFactory, tmp_path: Path) -> None:
    cluster = twin_cluster(release=release)
    scene = scenes.make(tmp_path / "scene", cluster.info.socket_dir)
    scene.backup()
    zone = zones(cluster)[0]
    add(cluster, zone, 12, 5)
    made = scene.call(MODULE)
    assert (made["changed"], made["verdict"], made["rows"], made["release"]) == (True, "pass", 12, release)
    assert not scene.call(MODULE)["changed"]
    cluster.execute(FREELY, f"UPDATE audit_events SET decision = 'deny' WHERE zone_id = '{zone}' AND chain_seq = 5")
    assert "content was changed" in scene.call(MODULE)["msg"]


@pytest.mark.no_false_alarm
def test_upgrade_that_rehashes_the_chain_warns_once(twin_cluster: TwinFactory, tmp_path: Path) -> None:
    before, after = (twin_cluster(release=release) for release in ("2026-06-04", "v2026.06.21"))
    scene = scenes.make(tmp_path / "scene", before.info.socket_dir)
    scene.backup()
    upgraded = Scene(scene.root, after.info.socket_dir)
    made = upgraded.call(MODULE)
    assert (made["verdict"], made["changed"], made["base"], made["blocks_not_read"]) == ("warn", True, 0, 0), made["checks"]
    assert {one["kind"] for one in made["checks"][0]["details"]["positions"]} == {"reanchored"}
    again = upgraded.call(MODULE)
    assert (again["verdict"], again["changed"]) == ("pass", False)
    dumped = upgraded.call("pg_encrypted_dump", set_id=upgraded.new_id())
    assert [one["verdict"] for one in dumped["checks"] if one["id"] == "blocks.journal"] == ["pass"]


def test_playbook_reports_checkpoints_and_findings(twin_cluster: TwinFactory, tmp_path: Path) -> None:
    """Check mode, a normal run, a run without changes, and a run that must fail."""
    cluster = twin_cluster()
    scene = scenes.make(tmp_path / "scene", cluster.info.socket_dir)
    scene.call("backup_set", state="open", create_repository=True)
    outputs = []
    for arguments in (("--check", "--diff"), ("--diff",), ()):
        play = Play(MODULE, backup_settings(scene), tmp_path, arguments)
        assert play.ended() == 0, play.output()
        outputs.append(play.output())
        scene.is_clean(outputs[-1])
    assert "would be entered: " in outputs[0] and " entered: " in outputs[1] and "No new rows" in outputs[2]
    assert all("Validating arguments against arg spec" in one for one in outputs), outputs[0]
    assert "changed=1" in outputs[0] and "changed=1" in outputs[1] and "changed=0" in outputs[2]
    assert f"+audit {zones(cluster)[0]} " in outputs[1]
    cluster.execute(FREELY, f"DELETE FROM audit_events WHERE zone_id = '{zones(cluster)[0]}' AND chain_seq > 50")
    play = Play(MODULE, backup_settings(scene), tmp_path)
    assert play.ended() != 0 and "truncated: the head is 50" in play.output()
