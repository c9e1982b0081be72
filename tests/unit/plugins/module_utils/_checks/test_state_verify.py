# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way in which a copy can differ from its set is found and named."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.invariants import table as table_of_rules
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    MissingDependency,
    ObjectMissing,
    Unreachable,
    WrongIdentity,
)
from scenes.fixtures import Committed, Copy
from scenes.scene import Scene, new_identity, outside, tree

# Triggers and foreign keys would prevent some changes that a user with the owner's rights can still make.
FREELY = "SET session_replication_role = replica"
ROLES_ONLY = "template1"  # roles do not belong to a database, so no database needs a reset
LEAF = "audit_events_y2026m03"
Verify = t.Callable[..., dict[str, dict[str, t.Any]]]


@pytest.fixture
def broken(committed: Committed, restored: Copy) -> t.Iterator[Verify]:
    """Return a function that damages the copy and returns the failed checks by ID. The copy is restored afterwards."""
    touched = set()

    def verify(*statements: str, database: str = "caracal", where: str | None = None) -> dict[str, dict[str, t.Any]]:
        if where != ROLES_ONLY:
            touched.add(database)
        restored.execute(*statements, database=where or database)
        result = committed.scene.call("state_verify", sandbox=restored.info.directory)
        failed = {check["id"]: check for check in result["checks"] if check["verdict"] == "fail"}
        assert result["verdict"] == "fail" and result["failed"] and failed
        assert result["msg"].startswith(f"verdict fail: {next(iter(failed))}: ") and "\n" not in result["msg"]
        return failed

    yield verify
    restored.reset(*touched)


def changed(table: str, column: str = "created_at") -> str:
    first = f'(SELECT min(ctid) FROM public."{table}")'
    return f'UPDATE public."{table}" SET "{column}" = "{column}" + interval \'1 microsecond\' WHERE ctid = {first}'


def removed(table: str) -> str:
    return f'DELETE FROM public."{table}" WHERE ctid = (SELECT max(ctid) FROM public."{table}")'


def added(table: str, new: str) -> str:
    """Return a statement that adds a copy of a row, with different values for the columns in `new` (JSON)."""
    return (
        f'INSERT INTO public."{table}" SELECT (jsonb_populate_record(x, \'{new}\')).* FROM public."{table}" x '
        f'WHERE ctid = (SELECT min(ctid) FROM public."{table}")'
    )


ROWS = [
    ("caracal", "zones", [changed("zones")]),
    ("caracal", "zones", [added("zones", '{"id": "new", "slug": "new"}')]),
    (
        "caracal",
        "secret_store",
        ["UPDATE secret_store SET envelope = set_byte(envelope, 99, get_byte(envelope, 99) # 1) WHERE ctid = '(0,1)'"],
    ),
    (
        "caracal",
        "policy_versions",
        ["UPDATE policy_versions SET content = content || ' ' WHERE id = (SELECT min(id) FROM policy_versions)"],
    ),
    ("caracal", "delegation_edges", [added("delegation_edges", '{"id": "new"}')]),
    ("caracal", "event_outbox", [removed("event_outbox")]),
    (
        "caracal",
        "agent_topology",
        ["UPDATE agent_topology SET child_id = child_id || '0' WHERE ctid = (SELECT min(ctid) FROM agent_topology)"],
    ),
    ("caracal", "schema_migrations", ["INSERT INTO schema_migrations VALUES ('0004_new', now())"]),
    ("caracal", "delegation_graph_epochs", ["UPDATE delegation_graph_epochs SET epoch = epoch - 1"]),
    # Two rows swap their values, so their sums stay the same.
    (
        "caracal",
        "operator_turns",
        [
            """UPDATE operator_turns a SET created_at = b.created_at FROM operator_turns b
                WHERE (a.id, b.id) IN (SELECT min(id), max(id) FROM operator_turns UNION SELECT max(id), min(id) FROM operator_turns)"""
        ],
    ),
    # NULL and the empty text are different.
    ("caracal", "zones", ["UPDATE zones SET updated_by = '' WHERE updated_by IS NULL"]),
    ("caracal_auth", "user", [changed("user", "createdAt")]),
    ("caracal_auth", "session", [removed("session")]),
    ("caracal_auth", "verification", [added("verification", '{"id": "new"}')]),
]
STATE = "inventory.caracal.state"
# Other checks that unavoidably fail with a row of the table.
RELATED = {
    "schema_migrations": {"inventory.caracal.migrations"},
    "delegation_graph_epochs": {STATE},
    "delegation_edges": {STATE},
    "event_outbox": {STATE},
    "policy_versions": {"state.policy_activation.content_digest"},
    "agent_topology": {"state.agents.topology", "state.agents.topology_true", "state.foreign_keys.caracal"},
}


@pytest.mark.mutation
@pytest.mark.parametrize(("database", "table", "statements"), ROWS, ids=[f"{one[1]}-{number}" for number, one in enumerate(ROWS)])
def test_a_row_that_differs_names_its_table(broken: Verify, database: str, table: str, statements: list[str]) -> None:
    failed = broken(FREELY, *statements, database=database)
    check = failed.pop(f"inventory.{database}.tables")
    assert f" public.{table}: " in check["message"]
    assert set(failed) == RELATED.get(table, set())


@pytest.mark.mutation
@pytest.mark.parametrize(
    "statement", ["UPDATE resources SET upstream_url = 'https://x/' WHERE id = '{}'", "DELETE FROM resources WHERE id = '{}'"]
)
def test_the_first_row_that_differs_is_named(broken: Verify, restored: Copy, statement: str) -> None:
    rows = restored.execute('SELECT zone_id, id FROM resources ORDER BY id COLLATE "C"')
    zone, row = rows[len(rows) // 2]
    message = broken(FREELY, statement.format(row))["inventory.caracal.tables"]["message"]
    if statement.startswith("DELETE"):  # in the copy, the next row is at its position
        zone, row = rows[len(rows) // 2 + 1]
    assert "public.resources" in message and f"zone_id {zone}, id {row})" in message


@pytest.mark.mutation
def test_a_definition_that_differs_in_its_text_alone_is_named(broken: Verify) -> None:
    failed = broken("COMMENT ON TABLE zones IS 'other'")
    assert failed.keys() == {"inventory.caracal.schema_dump"}
    assert failed["inventory.caracal.schema_dump"]["details"]["differences"][0].endswith(": COMMENT public.TABLE zones")


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("audit_rows", [True, False])
def test_every_rule_that_a_drill_requires_is_evaluated(committed: Committed, restored: Copy, audit_rows: bool) -> None:
    result = committed.scene.call("state_verify", sandbox=restored.info.directory, audit_rows=audit_rows)
    verdicts = {check["id"]: check["verdict"] for check in result["checks"]}
    wanted = table_of_rules.required("secret_store", "v1.0.0", ["caracal", "caracal_auth"])
    assert result["verdict"] == "pass" and {verdicts[one] for one in wanted} == {"pass"}
    assert len(verdicts) == len(result["checks"])


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("database", "statement", "check_id"),
    [
        (
            "caracal",
            "UPDATE authority_records SET status = 'active' WHERE status = 'revoked'",
            "state.revocations.subject_sessions",
        ),
        (
            "caracal_auth",
            """UPDATE "user" SET id = 'x' || id""",
            "state.foreign_keys.zone_owners",
        ),
    ],
    ids=["revocation", "owner"],
)
def test_lost_revocations_and_owners_are_named(broken: Verify, database: str, statement: str, check_id: str) -> None:
    found = broken(FREELY, statement, database=database)[check_id]["details"]
    assert (found["rows"], found["broken"]) == (3, 3) and found["first"]


@pytest.mark.mutation
def test_owners_without_the_other_database_are_unproven(committed: Committed, restored: Copy) -> None:
    restored.execute("DROP DATABASE caracal_auth WITH (FORCE)", database="postgres")
    result = committed.scene.call("state_verify", sandbox=restored.info.directory)
    restored.reset("caracal_auth")
    (check,) = [check for check in result["checks"] if check["id"] == "state.foreign_keys.zone_owners"]
    assert check["verdict"] == "unproven" and "database caracal_auth does not exist" in check["message"]


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("statement", "leaf_words", "block_words"),
    [
        (f"UPDATE {LEAF} SET decision = 'deny' WHERE id = {{id}}", "the content of rows differs", "the content differs"),
        (
            f"UPDATE {LEAF} SET metadata_json = metadata_json || '{{{{\"x\": 1}}}}' WHERE id = {{id}}",
            "the content of rows differs",
            "the content differs",
        ),
        (
            f"UPDATE {LEAF} SET occurred_at = occurred_at + interval '1 us' WHERE id = {{id}}",
            "the content of rows differs",
            "the content differs",
        ),
        (f"UPDATE {LEAF} SET prev_content_sha256 = NULL WHERE id = {{id}}", "the content of rows differs", "the chain columns differ"),
        (f"UPDATE {LEAF} SET ingest_signature = 'x' WHERE id = {{id}}", "the content of rows differs", "the chain columns differ"),
        (f"DELETE FROM {LEAF} WHERE id = {{id}}", "{fewer} rows instead of {rows}", "{less} rows instead of {size}"),
        (
            f'INSERT INTO {LEAF} SELECT (jsonb_populate_record(x, \'{{{{"id": "new"}}}}\')).* FROM {LEAF} x WHERE id = {{id}}',
            "{more} rows instead of {rows}",
            "{greater} rows instead of {size}",
        ),
    ],
    ids=["content", "json", "time", "link", "signature", "removed", "added"],
)
def test_changed_audit_row_names_zone_partition_and_block(
    broken: Verify, restored: Copy, statement: str, leaf_words: str, block_words: str
) -> None:
    (row_id, zone, block, size, rows) = restored.execute(
        f"""SELECT quote_literal(id), zone_id, (chain_seq - 1) >> 16,
                   (SELECT count(*) FROM {LEAF} y WHERE y.zone_id = x.zone_id), (SELECT count(*) FROM {LEAF})
              FROM {LEAF} x WHERE decision = 'allow' ORDER BY chain_seq DESC OFFSET 3 LIMIT 1"""
    )[0]
    failed = broken(FREELY, statement.format(id=row_id))
    numbers = {"fewer": rows - 1, "more": rows + 1, "rows": rows, "less": size - 1, "greater": size + 1, "size": size}
    leaf = failed.pop("inventory.caracal.leaves")["message"]
    assert leaf.startswith("1 ") and leaf.endswith(f" public.{LEAF}: {leaf_words.format(**numbers)}")
    found = failed.pop("inventory.audit_blocks")["message"]
    name = f"audit chain of zone {zone}, partition {LEAF}, block {block}"
    assert found.startswith("1 ") and found.endswith(f" {name}: {block_words.format(**numbers)}")
    assert not failed


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE admin_audit_events SET actor_name = 'mallory' WHERE id = {id}", "the content differs"),
        ("UPDATE admin_audit_events SET chain_hmac = prev_content_sha256 WHERE id = {id}", "the chain columns differ"),
        ("DELETE FROM admin_audit_events WHERE id = {id}", "rows instead of"),
    ],
)
def test_an_admin_audit_row_that_differs_names_its_block(broken: Verify, restored: Copy, statement: str, words: str) -> None:
    row_id, zone = restored.execute(
        "SELECT quote_literal(id), coalesce(zone_id, '\\N') FROM admin_audit_events WHERE chain_seq > 5 ORDER BY occurred_at LIMIT 1"
    )[0]
    failed = broken(FREELY, statement.format(id=row_id))
    found = failed["inventory.audit_blocks"]["message"]
    assert f"first: admin chain of zone {zone}, partition admin_audit_events, block 0: " in found and words in found
    assert "public.admin_audit_events" in failed["inventory.caracal.tables"]["message"]


@pytest.mark.mutation
def test_finds_a_row_moved_to_another_partition(broken: Verify) -> None:
    """Only the partition differs. A check over the parent table would not find this."""
    columns = "id, zone_id, event_type, occurred_at, chain_seq"
    other = "audit_events_default"
    failed = broken(
        FREELY,
        f"ALTER TABLE audit_events DETACH PARTITION {LEAF}",
        f"INSERT INTO {other} ({columns}) SELECT {columns} FROM {LEAF}",
        f"TRUNCATE {LEAF}",
    )
    assert "public.audit_events_default: " in failed["inventory.caracal.leaves"]["message"]
    assert f"partition {LEAF}" in str(failed["inventory.audit_blocks"]["details"])


SCHEMA = "inventory.caracal.schema"
GRANTS = "inventory.caracal.grants"
SETTINGS = "inventory.caracal.settings"
# No difference hides another: the list names each. All are made at once, because each verification takes long.
TOGETHER = {
    "index dropped": ("DROP INDEX admin_audit_events_chain", SCHEMA, "missing index CREATE INDEX admin_audit_events_chain"),
    "constraint added": (
        "ALTER TABLE zones ADD CONSTRAINT extra CHECK (name <> '')",
        SCHEMA,
        "not in the set: constraint public.zones.extra",
    ),
    "foreign key dropped": (
        "ALTER TABLE applications DROP CONSTRAINT applications_zone_id_fkey",
        SCHEMA,
        "missing constraint public.applications.applications_zone_id_fkey",
    ),
    "trigger disabled": ("ALTER TABLE policy_versions DISABLE TRIGGER USER", SCHEMA, "missing trigger CREATE TRIGGER"),
    "row security off": (
        "ALTER TABLE admin_tokens DISABLE ROW LEVEL SECURITY",
        SCHEMA,
        "missing relation public.admin_tokens kind r rls true",
    ),
    "column default": ("ALTER TABLE zones ALTER dcr_enabled SET DEFAULT true", SCHEMA, "missing column public.zones.dcr_enabled"),
    "extra sequence": ("CREATE SEQUENCE extra_numbers", SCHEMA, "not in the set: relation public.extra_numbers kind S"),
    "extra type": ("CREATE TYPE extra_kind AS ENUM ('a')", SCHEMA, "not in the set: type public.extra_kind"),
    "grant added": (
        "GRANT DELETE ON audit_events TO caracalaudit",
        GRANTS,
        "not in the set: table public.audit_events caracalaudit DELETE",
    ),
    "grant removed": ("REVOKE SELECT ON zones FROM caracalapi", GRANTS, "missing table public.zones caracalapi SELECT"),
    "grant of a column": (
        "GRANT SELECT (envelope) ON secret_store TO caracalaudit",
        GRANTS,
        "not in the set: column public.secret_store.envelope caracalaudit SELECT",
    ),
    "schema": ("GRANT CREATE ON SCHEMA public TO PUBLIC", GRANTS, "not in the set: schema public PUBLIC CREATE"),
    "database": ("REVOKE CONNECT ON DATABASE caracal FROM PUBLIC", GRANTS, "missing database PUBLIC CONNECT"),
    "default privileges": ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", GRANTS, "not in the set: default"),
    "function for all": (
        "GRANT EXECUTE ON FUNCTION audit_partition_drop(text) TO PUBLIC",
        GRANTS,
        "not in the set: function public.audit_partition_drop(part_name text) PUBLIC EXECUTE",
    ),
    "owner": ("ALTER TABLE workloads OWNER TO caracalapi", "inventory.caracal.owners", "missing table public.workloads caracal"),
    "owner of the database": ("ALTER DATABASE caracal OWNER TO caracalapi", SETTINGS, "owner is caracalapi instead of caracal"),
    "setting": ("ALTER DATABASE caracal SET row_security = off", SETTINGS, "differ from the set: row_security"),
    "limit": ("ALTER DATABASE caracal CONNECTION LIMIT 3", SETTINGS, "connection_limit is 3 instead of -1"),
    "sequence": ("SELECT setval('audit_ingest_alerts_id_seq', 999)", "inventory.caracal.sequences", "is at 999, expected 3 to 3"),
    "extra table": ("CREATE TABLE extra_table (a int)", "inventory.caracal.tables", "public.extra_table is not in the set"),
}


@pytest.fixture(scope="module")
def many_differences(committed: Committed, restored: Copy) -> dict[str, str]:
    """Return all messages by check."""
    restored.execute(*(statement for statement, _check_id, _words in TOGETHER.values()))
    checks = committed.scene.call("state_verify", sandbox=restored.info.directory)["checks"]
    restored.reset("caracal")
    return {check["id"]: str([check["message"], check["details"]]).replace("\\'", "'") for check in checks if check["verdict"] == "fail"}


@pytest.mark.mutation
@pytest.mark.parametrize("name", TOGETHER)
def test_an_object_that_differs_is_named_among_others(many_differences: dict[str, str], name: str) -> None:
    _statement, check_id, words = TOGETHER[name]
    assert words in many_differences[check_id]


ALONE = {
    "partition bounds": (f"ALTER TABLE audit_events DETACH PARTITION {LEAF}", SCHEMA, f"missing relation public.{LEAF} kind r"),
    "extension": ("DROP EXTENSION pgcrypto", "inventory.caracal.extensions", "extension pgcrypto is missing"),
    "sequence behind": ("SELECT setval('audit_ingest_alerts_id_seq', 1)", "inventory.caracal.sequences", "is at 1, expected 3 to 3"),
    "table gone": ("DROP TABLE sts_rate_limit", "inventory.caracal.tables", "public.sts_rate_limit is missing"),
    "leaf gone": (f"DROP TABLE {LEAF}", "inventory.caracal.leaves", f"public.{LEAF} is missing"),
    "comment": ("COMMENT ON TABLE zones IS 'mine'", "inventory.caracal.schema_dump", "pg_dump --schema-only differs"),
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", ALONE)
def test_an_object_that_differs_is_named(broken: Verify, name: str) -> None:
    statement, check_id, words = ALONE[name]
    assert words in broken(statement)[check_id]["message"]


@pytest.mark.mutation
def test_a_policy_dropped_is_named(broken: Verify, restored: Copy) -> None:
    table, policy = restored.execute("SELECT polrelid::regclass::text, polname FROM pg_policy ORDER BY 1, 2 LIMIT 1")[0]
    failed = broken(f"DROP POLICY {policy} ON {table}")
    assert f"missing policy public.{table}.{policy}" in failed[SCHEMA]["message"]


@pytest.mark.mutation
def test_a_function_body_replaced_is_named(broken: Verify) -> None:
    body = "CREATE OR REPLACE FUNCTION reject_policy_version_mutation() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    assert "function public.reject_policy_version_mutation()" in broken(body)[SCHEMA]["message"]


@pytest.mark.mutation
@pytest.mark.parametrize("database", ["caracal", "caracal_auth"])
def test_a_database_that_is_gone_is_named(broken: Verify, database: str) -> None:
    failed = broken(f"DROP DATABASE {database} WITH (FORCE)", database=database, where="postgres")
    assert f"database {database} does not exist" in failed[f"inventory.{database}"]["message"]


ROLES = [
    ("ALTER ROLE caracalapi BYPASSRLS", "ALTER ROLE caracalapi NOBYPASSRLS", "role caracalapi: bypassrls is True instead of False"),
    ("ALTER ROLE caracalsts CREATEROLE", "ALTER ROLE caracalsts NOCREATEROLE", "role caracalsts: createrole is True instead of False"),
    ("ALTER ROLE caracalsts SUPERUSER", "ALTER ROLE caracalsts NOSUPERUSER", "role caracalsts: superuser is True instead of False"),
    ("ALTER ROLE caracalauth NOLOGIN", "ALTER ROLE caracalauth LOGIN", "role caracalauth: login is False instead of True"),
    ("ALTER ROLE caracalapi CONNECTION LIMIT 1", "ALTER ROLE caracalapi CONNECTION LIMIT -1", "connection_limit is 1 instead of -1"),
    ("ALTER ROLE caracalapi SET row_security = off", "ALTER ROLE caracalapi RESET ALL", "settings differ from the set: row_security"),
    ("ALTER ROLE caracalapi RENAME TO other", "ALTER ROLE other RENAME TO caracalapi", "role caracalapi is missing"),
    ("GRANT caracal TO caracalapi", "REVOKE caracal FROM caracalapi", "role caracalapi is a member of caracal"),
]


@pytest.mark.mutation
@pytest.mark.parametrize(("statement", "undo", "words"), ROLES, ids=[one[0] for one in ROLES])
def test_a_role_that_differs_is_named(broken: Verify, restored: Copy, statement: str, undo: str, words: str) -> None:
    try:
        check = broken(statement, where=ROLES_ONLY)["inventory.roles"]
    finally:
        restored.execute(undo)
    assert words in check["message"]


@pytest.mark.no_false_alarm
def test_physical_changes_are_not_a_difference(committed: Committed, restored: Copy) -> None:
    """Rows in another order, new row versions, other files on disk, other statistics."""
    restored.execute(
        FREELY,
        "VACUUM FULL zones",
        "CLUSTER admin_audit_events USING admin_audit_events_pkey",
        "ALTER TABLE admin_audit_events SET WITHOUT CLUSTER",
        f"CLUSTER {LEAF} USING {LEAF}_pkey",
        f"ALTER TABLE {LEAF} SET WITHOUT CLUSTER",
        "REINDEX TABLE sessions",
        "UPDATE zones SET name = name",
        "ANALYZE",
    )
    result = committed.scene.call("state_verify", sandbox=restored.info.directory)
    restored.reset("caracal")
    assert result["verdict"] == "pass"


def test_without_require_valid_a_fail_verdict_is_only_reported(committed: Committed, restored: Copy) -> None:
    restored.execute("CREATE TABLE extra (a int)")
    result = committed.scene.call("state_verify", sandbox=restored.info.directory, require_valid=False)
    restored.reset("caracal")
    assert result["verdict"] == "fail" and "failed" not in result and not result["changed"]


def test_bad_options_are_refused(scene: Scene, restored: Copy, tmp_path: t.Any) -> None:
    """Each in one line that names the option."""
    new_identity(tmp_path / "other")
    sandbox = restored.info.directory
    other = str(tmp_path / "other")
    scene.refused("state_verify", WrongIdentity, "inventory.json", sandbox=sandbox, identity_files=[other])
    scene.refused("state_verify", ObjectMissing, "20200101T000000Z-aaaa", sandbox=sandbox, set_id="20200101T000000Z-aaaa")
    scene.refused("state_verify", ObjectMissing, "/var/tmp/no-such-sandbox", "restore_drill", sandbox="/var/tmp/no-such-sandbox")
    scene.refused("state_verify", MissingDependency, str(tmp_path), sandbox=sandbox, pg_bin=str(tmp_path))
    scene.refused("state_verify", Unreachable, "login_", login_unix_socket=str(tmp_path))


def test_writes_only_the_high_water_mark_except_in_check_mode(scene: Scene, restored: Copy) -> None:
    mark, root = scene.mark("drill"), scene.root
    mark.unlink(missing_ok=True)
    before = tree(root)
    result = scene.call("state_verify", sandbox=restored.info.directory, check_mode=True)
    assert result["verdict"] == "pass" and not result["changed"]
    assert tree(root) == before
    again = scene.call("state_verify", sandbox=restored.info.directory)
    assert again["checks"] == result["checks"] and not again["changed"] and mark.exists()
    mark.unlink()
    assert outside(tree(root), "drill") == outside(before, "drill")
