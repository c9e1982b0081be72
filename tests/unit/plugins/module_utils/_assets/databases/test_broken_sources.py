# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A source with rows that violate its constraints: its backup reports them every time, and its restore behaves as documented."""

from __future__ import annotations

import datetime as dt
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.source import source_checks
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access, history, metrics
from harness.fixtures import FreshCluster
from scenes import scene as scenes
from scenes import state_damages
from scenes.scene import Result, Scene
from scenes.source_damages import FREELY, ORPHAN, duplicated
from scenes.twin_database import TwinCluster, TwinFactory

FOREIGN_KEY, UNIQUE, _COLLATION, STATE = source_checks.IDS
RESTORE = "pg_encrypted_restore"
DATABASES = ["caracal", "caracal_auth"]


class Broken(t.NamedTuple):
    scene: Scene
    source: TwinCluster
    dumped: Result

    def commit(self) -> Result:
        """Make another backup and return the result of the commit."""
        set_id = self.scene.new_id()
        self.scene.call("pg_encrypted_dump", set_id=set_id, databases=DATABASES)
        return self.scene.call("backup_set", state="committed", set_id=set_id, left_out={"secrets": "no part of this"})

    def verify(self) -> dict[str, str]:
        """Verify the newest set and return the verdicts of its source checks and of the history."""
        found = self.scene.call("backup_set_verify", require_valid=False)["checks"]
        return {one["id"]: one["verdict"] for one in found if one["id"] in (*source_checks.IDS, history.CHECK_ID)}

    def findings_open(self) -> int:
        """Return the number of unacknowledged findings in the metrics."""
        opened = access.open_repository(self.scene.access())
        newest = opened.catalog.newest()
        assert newest
        samples = metrics.of_set(opened, opened.catalog.read(newest.set_id).manifest, newest.entry)
        return int(sum(one.value for one in samples if one.name.endswith("_findings") and ("state", "open") in dict(one.labels).items()))


@pytest.fixture
def night(twin_cluster: TwinFactory, tmp_path: Path) -> Broken:
    source = twin_cluster(events=200, seed="broken source")
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    source.execute(FREELY, ORPHAN, *duplicated("zones", "zones_pkey", "zones_slug_key"))
    return Broken(scene, source, scene.backup(databases=DATABASES))


def of(result: Result, check_id: str) -> Result:
    (found,) = (one for one in result["checks"] if one["id"] == check_id)
    return dict(found)


@pytest.mark.mutation
def test_a_broken_source_is_reported_each_night_until_it_is_acknowledged_or_repaired(night: Broken) -> None:
    assert [of(night.dumped, one)["verdict"] for one in source_checks.IDS] == ["fail", "fail", "pass", "pass"]
    broken = {FOREIGN_KEY: "fail", UNIQUE: "fail", history.CHECK_ID: "pass"}
    for _night in range(2):
        assert night.verify() == broken and night.findings_open() == 0
        made = night.commit()
        assert made["verdict"] == "fail" and night.scene.sets()[-1] in made["msg"]
    known = [one["digest"] for check_id in (FOREIGN_KEY, UNIQUE) for one in of(night.dumped, check_id)["details"]["recorded"]]
    again = night.scene.call("backup_set", state="committed", set_id=night.scene.sets()[-1])
    assert (again["verdict"], again["changed"]) == ("fail", False)
    expires = f"{access.now() + dt.timedelta(days=9):%Y-%m-%d}"
    night.scene.call("journal_correct", findings=[one[:16] for one in known], expires=expires, reason="they are known")
    assert night.verify() == {FOREIGN_KEY: "warn", UNIQUE: "warn", history.CHECK_ID: "pass"}
    assert night.commit()["verdict"] == "pass"
    night.source.execute(FREELY, ORPHAN.replace("min(", "max("))
    assert night.commit()["verdict"] == "fail", "another row is another finding"
    second = "SELECT max(ctid) FROM zones GROUP BY id HAVING count(*) > 1"
    night.source.execute(FREELY, "DELETE FROM delegated_grants WHERE zone_id = 'gone'", f"DELETE FROM zones WHERE ctid IN ({second})")
    assert night.commit()["verdict"] == "pass" and night.verify() == {history.CHECK_ID: "pass"}


@pytest.mark.mutation
def test_acknowledged_broken_rule_is_a_warning_in_the_copy(twin_cluster: TwinFactory, tmp_path: Path, fresh_cluster: FreshCluster) -> None:
    name = "gateway_bindings.provider_live"
    source = twin_cluster(events=200, seed="broken rule")
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    source.execute(FREELY, state_damages.of("v1.0.0")[name].sql)
    found = of(scene.backup(databases=DATABASES), STATE)
    assert found["verdict"] == "fail" and [one["object"] for one in found["details"]["broken"]] == [f"state.{name}"]
    night = Broken(scene, source, {})
    assert night.verify() == {STATE: "fail", history.CHECK_ID: "pass"}
    target = TwinCluster(fresh_cluster(), source.spec)
    scene.call(RESTORE, sandbox=target.info.directory)

    def of_copy() -> dict[str, str]:
        checks = scene.call("state_verify", sandbox=target.info.directory, require_valid=False)["checks"]
        return {one["id"]: one["verdict"] for one in checks if one["verdict"] == "fail" or one["id"] == f"state.{name}"}

    assert of_copy() == {f"state.{name}": "fail"}
    expires = f"{access.now() + dt.timedelta(days=9):%Y-%m-%d}"
    digests = [one["digest"] for one in found["details"]["recorded"]]
    scene.call("journal_correct", findings=digests, expires=expires, reason="it is known")
    assert of_copy() == {f"state.{name}": "warn"} and night.verify() == {STATE: "warn", history.CHECK_ID: "pass"}
    assert night.commit()["verdict"] == "pass"


@pytest.mark.mutation
def test_restore_stops_at_a_broken_constraint_unless_accepted(night: Broken, fresh_cluster: FreshCluster) -> None:
    target = TwinCluster(fresh_cluster(), night.source.spec)
    ((zone,),) = night.source.execute("SELECT id FROM zones GROUP BY id HAVING count(*) > 1")
    words = ("CONSTRAINT zones zones_", ": ERROR: ", '"zones_', "accept_missing_constraints")
    message = night.scene.refused(RESTORE, StageFailed, *words, check_mode=False, sandbox=target.info.directory, jobs=1)
    assert zone not in message
    assert not target.execute("SELECT datname FROM pg_database WHERE datname LIKE 'caracal%'", database="postgres")
    result = night.scene.call(RESTORE, sandbox=target.info.directory, accept_missing_constraints=True)
    check = of(result, "restore.caracal.constraints")
    assert result["verdict"] == check["verdict"] == "fail"
    missing = check["details"]["missing"]
    assert {"CONSTRAINT public.zones zones_pkey", "FK CONSTRAINT public.delegated_grants delegated_grants_zone_id_fkey"} <= missing.keys()
    assert zone not in repr(result) and "gone" not in repr(missing)
    found = {name for (name,) in target.execute("SELECT conname FROM pg_constraint UNION SELECT relname FROM pg_class")}
    assert not {name.split()[-1] for name in missing} & found
    assert target.execute("SELECT count(*) FROM pg_policy") == night.source.execute("SELECT count(*) FROM pg_policy")
    assert target.execute("SELECT count(*) FROM zones") == night.source.execute("SELECT count(*) FROM zones")
    assert night.scene.call("state_verify", sandbox=target.info.directory, require_valid=False)["verdict"] == "fail"


@pytest.mark.mutation
@pytest.mark.parametrize("name", ["guard", '"guard \nx"'], ids=["plain", "with a newline"])
def test_a_policy_that_cannot_be_created_ends_the_restore(night: Broken, fresh_cluster: FreshCluster, name: str) -> None:
    night.source.execute(
        "CREATE DOMAIN public.d AS int",
        f"CREATE POLICY {name} ON zones AS RESTRICTIVE USING (length(slug) <> ALL ('{{5}}'::public.d[]))",
        "ALTER DOMAIN public.d ADD CHECK (VALUE < 3)",
    )
    night.commit()
    target = TwinCluster(fresh_cluster(), night.source.spec)
    night.scene.refused(RESTORE, StageFailed, check_mode=False, sandbox=target.info.directory, accept_missing_constraints=True)


@pytest.mark.mutation
def test_backup_and_restore_find_a_duplicate_audit_row(twin_cluster: TwinFactory, tmp_path: Path, fresh_cluster: FreshCluster) -> None:
    source = twin_cluster(events=200, seed="twice")
    ((leaf,),) = source.execute("SELECT tableoid::regclass::text FROM audit_events LIMIT 1")
    source.execute(*duplicated(leaf, f"{leaf}_pkey"))
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    assert of(scene.backup(databases=DATABASES), UNIQUE)["verdict"] == "fail"
    target = TwinCluster(fresh_cluster(), source.spec)
    scene.refused(RESTORE, StageFailed, f"CONSTRAINT {leaf} {leaf}_pkey: ERROR: ", check_mode=False, sandbox=target.info.directory)
    result = scene.call(RESTORE, sandbox=target.info.directory, accept_missing_constraints=True)
    assert f"CONSTRAINT public.{leaf} {leaf}_pkey" in of(result, "restore.caracal.constraints")["details"]["missing"]


@pytest.mark.no_false_alarm
def test_healthy_source_passes_with_accept_missing_constraints(scene: Scene, fresh_cluster: FreshCluster) -> None:
    target = fresh_cluster()
    result = scene.call(RESTORE, sandbox=target.directory, accept_missing_constraints=True)
    assert result["verdict"] == "pass" and not [one for one in result["checks"] if one["id"].endswith(".constraints")]
    assert scene.call("state_verify", sandbox=target.directory)["verdict"] == "pass"
