# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The restored data equals the backed-up data, by our own comparison and by independent readers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.source import source_checks
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from harness.fixtures import FreshCluster
from scenes.fixtures import Committed, Copy
from scenes.twin_database import TwinCluster
from twin import invariants, load

DATABASES = ["caracal", "caracal_auth"]
TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
# Catalogs as text, without OIDs: everything about permissions that a service or a person could notice.
RIGHTS = {
    "roles": """SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,
                       rolvaliduntil FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1""",
    "members": """SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members
                   WHERE roleid::regrole::text !~ '^pg_' ORDER BY 1, 2""",
    "relations": """SELECT relname, relkind, relowner::regrole::text, ARRAY(SELECT unnest(relacl)::text ORDER BY 1), relrowsecurity,
                           relforcerowsecurity FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1, 2""",
    "functions": """SELECT oid::regprocedure::text, proowner::regrole::text, ARRAY(SELECT unnest(proacl)::text ORDER BY 1), prosecdef,
                           proconfig FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1""",
    "columns": "SELECT attrelid::regclass::text, attname, attacl::text FROM pg_attribute WHERE attacl IS NOT NULL ORDER BY 1, 2",
    "schemas": "SELECT nspname, nspowner::regrole::text, nspacl::text FROM pg_namespace WHERE nspname = 'public'",
    "database": """SELECT datname, datdba::regrole::text, datacl::text, pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit
                     FROM pg_database WHERE datname = current_database()""",
    "extensions": "SELECT extname, extversion FROM pg_extension ORDER BY 1",
    "sequences": "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2",
}


def contents(cluster: TwinCluster, database: str) -> dict[str, tuple[t.Any, ...]]:
    """Return rows and a digest of each table, computed by the server."""
    tables = [row[0] for row in cluster.execute(TABLES, database=database)]
    query = """SELECT count(*), sha256(convert_to(coalesce(string_agg(x::text, E'\n' ORDER BY x::text COLLATE "C"), ''), 'UTF8'))::text
                 FROM {} x"""
    return {table: cluster.execute("SET TimeZone = 'UTC'", query.format(table), database=database)[0] for table in tables}


def schema_dump(cluster: TwinCluster, bindir: str, database: str) -> list[str]:
    argv = [os.path.join(bindir, "pg_dump"), "--schema-only", "--restrict-key=x", "-h", cluster.info.socket_dir, "-U", "caracal", database]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.no_false_alarm
def test_state_verify_passes_on_an_untouched_copy(committed: Committed, restored: Copy) -> None:
    result = committed.scene.call("state_verify", sandbox=restored.info.directory)
    assert result["verdict"] == "pass" and not result.get("failed")
    verdicts = {check["id"]: check["verdict"] for check in result["checks"]}
    # The source has dead rows in outboxes too.
    assert {name for name, verdict in verdicts.items() if verdict not in ("pass", "not_applicable")} <= {
        "state.outboxes.api_dead",
        "state.outboxes.coordinator_dead",
    }
    for section in ("tables", "leaves", "schema", "grants", "owners", "migrations", "state", "sequences", "extensions", "settings"):
        assert verdicts[f"inventory.caracal.{section}"] == "pass"
    assert verdicts["inventory.audit_blocks"] == verdicts["inventory.roles"] == verdicts["inventory.caracal_auth.tables"] == "pass"


@pytest.mark.parametrize("database", DATABASES)
def test_every_row_is_restored(caracal_database: TwinCluster, restored: Copy, database: str) -> None:
    found = contents(restored, database)
    assert found == contents(caracal_database, database)
    assert sum(rows for rows, _digest in found.values()) > (3000 if database == "caracal" else 5)


@pytest.mark.parametrize("database", DATABASES)
def test_the_schema_is_identical(caracal_database: TwinCluster, restored: Copy, server_install: Install, database: str) -> None:
    of_source = schema_dump(caracal_database, server_install.bindir, database)
    assert schema_dump(restored, server_install.bindir, database) == of_source
    assert len(of_source) > 100


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("what", RIGHTS)
def test_rights_and_owners_are_identical(caracal_database: TwinCluster, restored: Copy, database: str, what: str) -> None:
    assert restored.execute(RIGHTS[what], database=database) == caracal_database.execute(RIGHTS[what], database=database)


def test_no_password_is_restored(caracal_database: TwinCluster, restored: Copy) -> None:
    query = "SELECT count(rolpassword) FROM pg_authid"
    assert caracal_database.execute(query)[0][0] >= 5
    assert restored.execute(query) == [(0,)]


def test_invariants_are_equal_in_source_and_copy(caracal_database: TwinCluster, restored: Copy) -> None:
    found = []
    for cluster in (caracal_database, restored):
        with contextlib.closing(load.open_database(cluster.target, "caracal")) as connection:
            found.append((invariants.violations(connection), invariants.orphans(connection)))
    assert found[0] == found[1] and found[0][1] == {}


def test_inventory_matches_the_row_counts_of_the_source(committed: Committed, caracal_database: TwinCluster) -> None:
    for recorded in committed.scene.inventory()["databases"]:
        there = contents(caracal_database, recorded["database"])
        rows = {name: one["rows"] for name, one in {**recorded["tables"], **recorded["leaves"]}.items()}
        assert rows == {f"public.{name.strip(chr(34))}": count for name, (count, _digest) in there.items()}
        assert not recorded["tables"].keys() & recorded["leaves"].keys()


def test_a_second_set_shares_unchanged_partitions(committed: Committed) -> None:
    shared = [one for one in committed.second["artifacts"] if one["shared"]]
    leaves = [one["path"] for one in committed.first["artifacts"] if one["path"].startswith("objects/audit/")]
    assert len(leaves) == 17 and [one["path"] for one in shared] == leaves
    assert committed.scene.files("objects/**/*") == sorted(leaves)
    assert committed.second["bytes"] == sum(one["size"] for one in committed.second["artifacts"] if not one["shared"])
    assert committed.second["bytes"] < committed.first["bytes"] - 0.95 * sum(one["size"] for one in shared)
    verdicts = [{check["id"]: check["verdict"] for check in one["checks"]} for one in (committed.first, committed.second)]
    of_source = dict.fromkeys(source_checks.IDS, "pass")
    assert verdicts == [
        {"source.complete": "pass", **of_source, "blocks.journal": "unproven", "audit.retention_lowered": "unproven"},
        {"source.complete": "pass", **of_source, "blocks.journal": "pass", "audit.retention_lowered": "pass"},
    ]


def test_the_older_set_still_restores(committed: Committed, fresh_cluster: FreshCluster, caracal_database: TwinCluster) -> None:
    info = fresh_cluster()
    first = committed.first["set_id"]
    result = committed.scene.call("pg_encrypted_restore", sandbox=info.directory, set_id=first, jobs=1)
    assert result["set_id"] == first and [one["database"] for one in result["databases"]] == DATABASES
    assert [check["verdict"] for check in result["checks"]] == ["pass", "pass"]
    assert committed.scene.call("state_verify", sandbox=info.directory, set_id=first, jobs=1)["verdict"] == "pass"
    # The newest set has the same state, so it passes too.
    assert committed.scene.call("state_verify", sandbox=info.directory)["verdict"] == "pass"


def test_one_database_alone_restores(committed: Committed, fresh_cluster: FreshCluster) -> None:
    info = fresh_cluster()
    result = committed.scene.call("pg_encrypted_restore", sandbox=info.directory, databases=["caracal_auth"])
    assert [one["database"] for one in result["databases"]] == ["caracal_auth"]
    verified = committed.scene.call("state_verify", sandbox=info.directory)
    assert verified["verdict"] == "fail" and verified["failed"]
    missing = next(check for check in verified["checks"] if check["id"] == "inventory.caracal")
    assert missing["verdict"] == "fail" and "database caracal does not exist" in missing["message"]
    assert all(check["verdict"] != "fail" for check in verified["checks"] if check["id"].startswith("inventory.caracal_auth."))
