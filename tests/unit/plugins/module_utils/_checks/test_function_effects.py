# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replaced functions of a release are found by their effect, even if their definition looks unchanged."""

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.schema import schema_tables
from ansible_collections.caracal_ops.backup.plugins.module_utils._checks import function_effects
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, Check
from harness.waiting import eventually
from scenes.twin_database import Copier, TwinCluster

TABLES = {table.release: table for table in schema_tables.known()}
TRIGGER = "CREATE OR REPLACE FUNCTION reject_policy_version_mutation() RETURNS trigger LANGUAGE plpgsql AS '{}'"
ENSURE = "CREATE OR REPLACE FUNCTION audit_partition_ensure(month date) RETURNS void LANGUAGE plpgsql AS $${}$$"
DROP = "CREATE OR REPLACE FUNCTION audit_partition_drop(part_name text) RETURNS void LANGUAGE plpgsql AS $${}$$"
SLEEP = "PERFORM pg_catalog.pg_sleep(600);"
ENDLESS = {
    "sleeps": f"BEGIN {SLEEP} RAISE EXCEPTION ''late''; END",
    "catches that it is canceled": f"BEGIN LOOP BEGIN {SLEEP} EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END",
}
REPLACED = {
    TRIGGER.format("BEGIN RETURN NEW; END"): "policy_set_versions",
    TRIGGER.format("BEGIN RETURN NULL; END"): "policy_set_versions",
    TRIGGER.format(
        "BEGIN IF TG_TABLE_NAME = ''policy_versions'' THEN RAISE ''no''; END IF; RETURN NEW; END"
    ): "policy_set_versions",
    "DROP TRIGGER policy_versions_immutable ON policy_versions": "policy_versions",
    ENSURE.format("BEGIN END"): "audit_partition_ensure",
    ENSURE.format("BEGIN RAISE 'no'; END"): "audit_partition_ensure",
    ENSURE.format(
        "BEGIN CREATE TABLE audit_events_y2095m01 PARTITION OF audit_events FOR VALUES FROM ('2095-01-01') TO ('2096-01-01'); END"
    ): "audit_partition_ensure",
    DROP.format("BEGIN EXECUTE format('DROP TABLE %I CASCADE', part_name); END"): "audit_partition_drop",
    DROP.format("BEGIN END"): "audit_partition_drop",
}  # fmt: skip


def effects(cluster: TwinCluster, database: str, release: str = "v1.0.0") -> Check:
    with Session(cluster.server, database) as session:
        return function_effects.check(session, TABLES[release].own)


@pytest.mark.no_false_alarm
def test_the_functions_of_a_release_have_their_effects(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    database = caracal_copy()
    everything = "SELECT (SELECT count(*) FROM pg_class), (SELECT md5(string_agg(content, '' ORDER BY id)) FROM policy_versions)"
    before = caracal_database.execute(everything, database=database)
    assert effects(caracal_database, database).verdict == PASS
    assert caracal_database.execute(everything, database=database) == before


@pytest.mark.mutation
@pytest.mark.parametrize("statement", REPLACED, ids=range(len(REPLACED)))
def test_a_function_with_another_effect_is_named(caracal_database: TwinCluster, caracal_copy: Copier, statement: str) -> None:
    database = caracal_copy()
    caracal_database.execute(statement, database=database)
    found = effects(caracal_database, database)
    assert found.verdict == FAIL
    assert any(REPLACED[statement] in one for one in found.details["functions"])


@pytest.mark.mutation
@pytest.mark.parametrize("name", ENDLESS)
def test_a_function_that_does_not_answer_is_unproven(
    caracal_database: TwinCluster, caracal_copy: Copier, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(function_effects, "_LIMIT", 0.5)
    database = caracal_copy()
    caracal_database.execute(TRIGGER.format(ENDLESS[name]), database=database)
    assert effects(caracal_database, database).verdict == UNPROVEN
    left = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND state = 'active'"
    eventually(lambda: caracal_database.execute(left, database="postgres")[0][0] == 0)


def test_not_applicable_without_rows_and_functions(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    database = caracal_copy()
    caracal_database.execute("SET session_replication_role = replica", "DELETE FROM policy_versions", database=database)
    assert effects(caracal_database, database, "v2026.06.21").verdict == NOT_APPLICABLE
