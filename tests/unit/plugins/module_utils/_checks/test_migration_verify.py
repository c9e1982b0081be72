# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Migrated databases of every release pass, and each missing result of a migration is reported."""

from __future__ import annotations

import json
import typing as t
import uuid

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._checks import migration_verify as case
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import Unreachable, VersionMismatch
from ansible_collections.caracal_ops.backup.plugins.modules import migration_verify
from harness.fixtures import NOW, make_twin
from scenes.fixtures import Copy
from scenes.twin_database import Copier, TwinCluster, TwinFactory
from twin.releases.known import RELEASES
from twin.spec import Spec

Result = dict[str, t.Any]
Expected = dict[str, str]
OWN, AUTH = "schema.caracal", "schema.caracal_auth"
LEAF = "audit_events_y2026m03"
LONG_AGO = "timestamptz '2019-01-01'"
EVENT = "id, zone_id, event_type, request_id, decision, occurred_at, content_sha256, chain_seq"
# A twin is from June 2026 and has partitions until September.
OLD = {f"{OWN}.partition_window": "warn"}


def options(**given: t.Any) -> dict[str, t.Any]:
    """Return the options as the use case gets them, with defaults. Raise if the module would refuse them."""
    checked = complete(migration_verify.Options, given)
    return checked


def verify(cluster: TwinCluster, **given: t.Any) -> Result:
    where = {} if "sandbox" in given else {"login_unix_socket": cluster.info.socket_dir, "login_port": cluster.info.port}
    result = case.run(Invocation(options(**where, **given), False, lambda _text: None))
    assert not [one for one in result["checks"] if "\n" in one["message"] or one["message"] != one["message"].strip()]
    assert len({one["id"] for one in result["checks"]}) == len(result["checks"])
    assert json.loads(json.dumps(result)) == result and result["changed"] is False
    return result


def odd(result: Result) -> Expected:
    """Return checks that neither passed nor were not applicable."""
    return {one["id"]: one["verdict"] for one in result["checks"] if one["verdict"] not in ("pass", "not_applicable")}


def message_of(result: Result, check_id: str) -> str:
    return str(next(one["message"] for one in result["checks"] if one["id"] == check_id))


@pytest.fixture(scope="module", params=RELEASES)
def of_release(request: pytest.FixtureRequest, server_install: server_binaries.Install) -> t.Iterator[TwinCluster]:
    """Yield a twin of each release. A test that changes it must undo the change."""
    with make_twin(server_install, Spec(events=60, months=3, seed=request.param, now=NOW, release=request.param)) as cluster:
        yield cluster


@pytest.mark.no_false_alarm
def test_every_release_passes(of_release: TwinCluster) -> None:
    result, release = verify(of_release), of_release.spec.release
    assert (result["verdict"], result["release"], odd(result)) == ("pass", release, OLD)
    assert result["family"] == RELEASES[release].family and result["table"] is None
    passed = {one["id"]: one for one in result["checks"] if one["verdict"] == "pass"}
    assert len(passed) >= 20 and all(one["details"].get("compared", 1) for one in passed.values())
    assert (f"{AUTH}.tables" in passed) == (len(RELEASES[release].databases) == 2)


@pytest.mark.mutation
def test_release_without_newest_migration_is_still_recognized(of_release: TwinCluster) -> None:
    newest = max(RELEASES[of_release.spec.release].migrations)
    of_release.execute(f"DELETE FROM schema_migrations WHERE version = '{newest}'")
    result = verify(of_release)
    of_release.execute(f"INSERT INTO schema_migrations VALUES ('{newest}')")
    assert (result["release"], odd(result)) == (of_release.spec.release, {**OLD, "migrations.versions": "fail"})
    assert message_of(result, "migrations.versions").endswith(f": missing: {newest}")


@pytest.mark.no_false_alarm
def test_next_major_of_postgresql_passes(newer_install: server_binaries.Install) -> None:
    with make_twin(newer_install, Spec(events=60, months=3, seed="newer", now=NOW)) as cluster:
        assert odd(verify(cluster)) == OLD


@pytest.mark.no_false_alarm
def test_restored_database_passes(restored: Copy) -> None:
    result = verify(restored, sandbox=restored.info.directory)
    assert (result["verdict"], odd(result)) == ("pass", OLD)


@pytest.mark.no_false_alarm
def test_allowed_additions_of_an_installation_pass(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    caracal_database.execute(
        "SELECT public.audit_partition_ensure((date_trunc('month', now()) + n * interval '1 month')::date) FROM generate_series(0, 3) n",
        "SELECT public.audit_partition_ensure('2031-01-01')",
        "CREATE EXTENSION pg_stat_statements",
        "CREATE SCHEMA own",
        "CREATE TABLE own.notes (id int)",
        # retention_verify recommends these grants.
        "GRANT DELETE ON delegation_edges, caracal_outbox, sessions, coordinator_idempotency_receipts TO caracalcoordinator",
        f"ALTER DATABASE {name} SET search_path = 'public'",
        f"ALTER DATABASE {name} SET timezone = 'Etc/UTC'",
        database=name,
    )
    assert odd(verify(caracal_database, database=name)) == {}


ADDITIONS = {
    "table mine": "CREATE TABLE mine (id int)",
    "index zones.mine_too": "CREATE INDEX mine_too ON zones (created_at)",
    "function mine()": "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "column zones.mine": "ALTER TABLE zones ADD mine int",
    "view report": "CREATE VIEW report AS SELECT id FROM zones",
    "grant on view report to caracalapi": "GRANT SELECT ON report TO caracalapi",
    "publication mine": "CREATE PUBLICATION mine",
    "setting search_path of all roles in this database": "ALTER DATABASE {name} SET search_path = own, public",
}


@pytest.mark.no_false_alarm
def test_only_additions_named_by_the_operator_pass(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    caracal_database.execute(*(one.replace("{name}", name) for one in ADDITIONS.values()), database=name)
    assert odd(verify(caracal_database, database=name, schema_additions=list(ADDITIONS))) == OLD
    for one in ADDITIONS:
        others = [other for other in ADDITIONS if other != one]
        found = {check: verdict for check, verdict in odd(verify(caracal_database, database=name, schema_additions=others)).items()}
        assert len(found) == len(OLD) + 1, one


FK = "FOREIGN KEY (zone_id) REFERENCES public.zones(id) ON DELETE CASCADE"
INVALID = "UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = 'public.{}'::regclass"
DROP = "public.audit_partition_drop(text)"
SHIFTED = "FOR VALUES FROM ('2026-09-01 05:30+00') TO ('2026-10-01 05:30+00')"
NO_LEAVES = """DO $$ DECLARE leaf regclass; BEGIN
    FOR leaf IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit_events'::regclass LOOP
        EXECUTE 'DROP TABLE ' || leaf; END LOOP; END $$"""
OF_PARTITIONS = ("audit_rights", "partition_grants", "partitions", "partition_constraints")
DAMAGES: dict[str, tuple[tuple[str, ...], Expected, str]] = {
    "migration missing": (
        ("DELETE FROM schema_migrations WHERE version = '0002_approval_hardening'",),
        {"migrations.versions": "fail"},
        "missing: 0002_approval_hardening",
    ),
    "newest migration missing": (
        ("DELETE FROM schema_migrations WHERE version = '0003_operator_run_token_usage'",),
        {"migrations.versions": "fail"},
        "differs from v1.0.0: missing: 0003_operator_run_token_usage",
    ),
    "migration unknown": (
        ("INSERT INTO schema_migrations VALUES ('0002_other')",),
        {"migrations.versions": "fail"},
        "unknown: 0002_other; set release_table if this is a newer release",
    ),
    "no migration": (("DELETE FROM schema_migrations",), {"migrations.versions": "fail"}, "missing: 0001_baseline, 0002"),
    "no table of migrations": (
        ("DROP TABLE schema_migrations",),
        {"migrations.versions": "fail", f"{OWN}.tables": "fail"},
        "schema_migrations is missing",
    ),
    "table dropped": (("DROP TABLE secret_store",), {f"{OWN}.tables": "fail"}, "table secret_store is missing"),
    "retired table": (
        ("CREATE TABLE gateway_resource_bindings (id text)",),
        {f"{OWN}.tables": "fail"},
        "unexpected table gateway_resource_bindings",
    ),
    "table not logged": (("ALTER TABLE sts_rate_limit SET UNLOGGED",), {f"{OWN}.tables": "fail"}, "sts_rate_limit is 'not logged'"),
    "column dropped": (("ALTER TABLE zones DROP updated_by",), {f"{OWN}.columns": "fail"}, "column zones.updated_by is missing"),
    "column added": (("ALTER TABLE zones ADD extra int",), {f"{OWN}.columns": "fail"}, "unexpected column zones.extra"),
    "column type": (
        ("ALTER TABLE zones ALTER updated_by TYPE varchar(99)",),
        {f"{OWN}.columns": "fail"},
        "zones.updated_by is 'character varying(99)' instead of 'text'",
    ),
    "column nullable": (
        ("ALTER TABLE zones ALTER slug DROP NOT NULL",),
        {f"{OWN}.columns": "fail"},
        "zones.slug is 'text' instead of 'text not null'",
    ),
    "column default": (("ALTER TABLE zones ALTER created_at DROP DEFAULT",), {f"{OWN}.columns": "fail"}, "column zones.created_at is"),
    "constraint dropped": (
        ("ALTER TABLE admin_tokens DROP CONSTRAINT admin_tokens_scope_check",),
        {f"{OWN}.constraints": "fail"},
        "constraint admin_tokens.admin_tokens_scope_check is missing",
    ),
    "constraint added NOT VALID": (
        ("ALTER TABLE zones ADD CONSTRAINT extra CHECK (id <> '') NOT VALID",),
        {f"{OWN}.constraints": "fail"},
        "unexpected constraint zones.extra",
    ),
    "foreign key not valid": (
        (
            "ALTER TABLE admin_tokens DROP CONSTRAINT admin_tokens_zone_id_fkey",
            f"ALTER TABLE admin_tokens ADD CONSTRAINT admin_tokens_zone_id_fkey {FK} NOT VALID",
        ),
        {f"{OWN}.constraints": "fail"},
        "CASCADE NOT VALID' instead of",
    ),
    "known NOT VALID one validated": (
        ("ALTER TABLE operator_message_runs VALIDATE CONSTRAINT operator_message_runs_input_tokens_check",),
        {f"{OWN}.constraints": "fail"},
        "operator_message_runs_input_tokens_check is",
    ),
    "index of a constraint invalid": ((INVALID.format("zones_slug_key"),), {f"{OWN}.constraints": "fail"}, "(slug), not valid' instead"),
    "index dropped": (
        ("DROP INDEX sessions_terminal_retention_idx",),
        {f"{OWN}.indexes": "fail"},
        "index sessions.sessions_terminal_retention_idx is missing",
    ),
    "index invalid": ((INVALID.format("sessions_terminal_retention_idx"),), {f"{OWN}.indexes": "fail"}, ", not valid' instead of"),
    "index not ready": (
        (INVALID.format("sessions_terminal_retention_idx").replace("indisvalid", "indisready"),),
        {f"{OWN}.indexes": "fail"},
        ", not ready' instead of",
    ),
    "index not unique": (
        (
            "DROP INDEX policy_set_bindings_one_active_per_zone",
            "CREATE INDEX policy_set_bindings_one_active_per_zone ON policy_set_bindings (zone_id)",
        ),
        {f"{OWN}.indexes": "fail"},
        "policy_set_bindings_one_active_per_zone is 'btree (zone_id)' instead of 'unique",
    ),
    "index added": (("CREATE INDEX own ON zones (created_at)",), {f"{OWN}.indexes": "warn"}, "unexpected index zones.own"),
    "trigger dropped": (
        ("DROP TRIGGER policy_versions_immutable ON policy_versions",),
        {f"{OWN}.triggers": "fail"},
        "trigger policy_versions.policy_versions_immutable is missing",
    ),
    "trigger disabled": (
        ("ALTER TABLE policy_versions DISABLE TRIGGER policy_versions_immutable",),
        {f"{OWN}.triggers": "fail"},
        ", not enabled (D)' instead of",
    ),
    "trigger for replicas": (
        ("ALTER TABLE policy_set_versions ENABLE REPLICA TRIGGER policy_set_versions_immutable",),
        {f"{OWN}.triggers": "fail"},
        ", not enabled (R)' instead of",
    ),
    "foreign keys off": (
        ("ALTER TABLE admin_tokens DISABLE TRIGGER ALL",),
        {f"{OWN}.triggers": "fail"},
        "unexpected trigger admin_tokens.admin_tokens_zone_id_fkey: of the foreign key, not enabled",
    ),
    "rule": (
        ("CREATE RULE kept AS ON DELETE TO zones DO INSTEAD NOTHING",),
        {f"{OWN}.triggers": "fail"},
        "unexpected trigger zones.kept: a rule",
    ),
    "trigger on a partition": (
        (f"CREATE TRIGGER lost BEFORE INSERT ON {LEAF} FOR EACH ROW EXECUTE FUNCTION reject_policy_version_mutation()",),
        {f"{OWN}.triggers": "fail"},
        f"unexpected trigger audit_events.{LEAF}.lost",
    ),
    "row security of a table off": (
        ("ALTER TABLE secrets DISABLE ROW LEVEL SECURITY",),
        {f"{OWN}.row_security": "fail"},
        "row security of secrets is missing",
    ),
    "row security forced": (
        ("ALTER TABLE secrets FORCE ROW LEVEL SECURITY",),
        {f"{OWN}.row_security": "fail"},
        "'on, forced' instead of 'on'",
    ),
    "policy dropped": (
        ("DROP POLICY zone_isolation ON secrets",),
        {f"{OWN}.row_security": "fail"},
        "policy secrets.zone_isolation is missing",
    ),
    "policy added": (
        ("CREATE POLICY all_of_it ON secrets USING (true)",),
        {f"{OWN}.row_security": "fail"},
        "unexpected policy secrets.all_of_it",
    ),
    "policy opened": (("ALTER POLICY zone_isolation ON secrets USING (true)",), {f"{OWN}.row_security": "fail"}, "using true check"),
    "policy writes": (
        ("ALTER POLICY zone_isolation ON secrets WITH CHECK (true)",),
        {f"{OWN}.row_security": "fail"},
        "check true' instead of",
    ),
    "policy for some": (
        ("ALTER POLICY zone_isolation ON secrets TO caracalsts",),
        {f"{OWN}.row_security": "fail"},
        "all permissive to some",
    ),
    "grant lost": (
        ("REVOKE DELETE ON sessions FROM caracalcoordinator",),
        {f"{OWN}.grants": "fail"},
        "grant on sessions to caracalcoordinator is",
    ),
    "all grants of a table lost": (
        ("REVOKE ALL ON secrets FROM caracalsts",),
        {f"{OWN}.grants": "fail"},
        "grant on secrets to caracalsts is missing",
    ),
    "grant added": (
        ("GRANT DELETE ON zones TO caracalaudit",),
        {f"{OWN}.grants": "fail"},
        "unexpected grant on zones to caracalaudit: DELETE",
    ),
    "right to change with one that retention_verify asks for": (
        ("GRANT DELETE, TRUNCATE ON delegation_edges TO caracalcoordinator",),
        {f"{OWN}.grants": "fail"},
        "grant on delegation_edges to caracalcoordinator is",
    ),
    "grant to PUBLIC": (("GRANT SELECT ON secrets TO PUBLIC",), {f"{OWN}.grants": "fail"}, "unexpected grant on secrets to PUBLIC"),
    "grant on a column": (
        ("GRANT UPDATE (slug) ON zones TO caracalaudit",),
        {f"{OWN}.grants": "fail"},
        "unexpected grant on columns of zones to caracalaudit: slug UPDATE",
    ),
    "grant on a sequence lost": (
        ("REVOKE USAGE ON SEQUENCE audit_ingest_alerts_id_seq FROM caracalaudit",),
        {f"{OWN}.grants": "fail"},
        "grant on audit_ingest_alerts_id_seq to caracalaudit is",
    ),
    "grant on a partition": (
        (f"GRANT SELECT ON {LEAF} TO caracalapi",),
        {f"{OWN}.partition_grants": "fail"},
        f"caracalapi has privileges on partition {LEAF}",
    ),
    "audit log mutable": (
        ("GRANT UPDATE ON audit_events TO caracalaudit",),
        {f"{OWN}.grants": "fail", f"{OWN}.audit_rights": "fail"},
        "role caracalaudit may UPDATE on audit_events",
    ),
    "audit log mutable in a column": (
        ("GRANT UPDATE (decision) ON audit_events TO caracalapi",),
        {f"{OWN}.grants": "fail", f"{OWN}.audit_rights": "fail"},
        "role caracalapi may UPDATE on audit_events",
    ),
    "function dropped": ((f"DROP FUNCTION {DROP}",), {f"{OWN}.functions": "fail"}, "function audit_partition_drop(text) is missing"),
    "function open to PUBLIC": (
        (f"GRANT EXECUTE ON FUNCTION {DROP} TO PUBLIC",),
        {f"{OWN}.functions": "fail"},
        "unexpected right of PUBLIC to execute audit_partition_drop(text)",
    ),
    "function closed": (
        (f"REVOKE ALL ON FUNCTION {DROP} FROM caracalaudit",),
        {f"{OWN}.functions": "fail"},
        "right of caracalaudit to execute audit_partition_drop(text) is missing",
    ),
    "search path lost": (
        (f"ALTER FUNCTION {DROP} RESET search_path",),
        {f"{OWN}.functions": "fail"},
        "instead of 'returns void security definer with",
    ),
    "definer lost": (
        (f"ALTER FUNCTION {DROP} SECURITY INVOKER",),
        {f"{OWN}.functions": "fail"},
        "is 'returns void with search_path=public' instead",
    ),
    "function added": (
        ("CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1'",),
        {f"{OWN}.functions": "warn"},
        "unexpected function own()",
    ),
    "sequence renamed": (
        ("ALTER SEQUENCE audit_ingest_alerts_id_seq RENAME TO other",),
        {f"{OWN}.sequences": "fail", f"{OWN}.columns": "fail"},
        "sequence audit_ingest_alerts_id_seq is missing",
    ),
    "sequence with another increment": (
        ("ALTER SEQUENCE audit_ingest_alerts_id_seq INCREMENT 10 MAXVALUE 1000 CYCLE",),
        {f"{OWN}.sequences": "fail"},
        "is 'bigint increment 10 cycle maximum 1000 owned by",
    ),
    "column collation": (
        ('ALTER TABLE zones ALTER updated_by TYPE text COLLATE "C"',),
        {f"{OWN}.columns": "fail"},
        """zones.updated_by is 'text collate "C"' instead of 'text'""",
    ),
    "constraint of a partition": (
        (f"ALTER TABLE {LEAF} ADD CONSTRAINT odd CHECK (id <> '') NOT VALID",),
        {f"{OWN}.partition_constraints": "fail"},
        f"partition {LEAF} has constraint odd",
    ),
    "own view": (("CREATE VIEW report AS SELECT id FROM zones",), {f"{OWN}.views": "warn"}, "add 'view report' to schema_additions"),
    "view that PUBLIC reads": (
        ("CREATE VIEW report AS SELECT * FROM secrets", "GRANT SELECT ON report TO PUBLIC"),
        {f"{OWN}.views": "fail"},
        "grant on view report to PUBLIC: SELECT",
    ),
    "view of another schema that a service reads": (
        ("CREATE SCHEMA own", "CREATE VIEW own.report AS SELECT * FROM secrets", "GRANT SELECT ON own.report TO caracalapi"),
        {f"{OWN}.views": "fail"},
        "grant on view own.report to caracalapi",
    ),
    "column of a view that a service reads": (
        ("CREATE VIEW report AS SELECT * FROM secrets", "GRANT SELECT (id) ON report TO caracalsts"),
        {f"{OWN}.views": "fail"},
        "grant on columns of view report to caracalsts: SELECT",
    ),
    "view with the rights of its reader": (
        ("CREATE VIEW report WITH (security_invoker = yes) AS SELECT * FROM secrets", "GRANT SELECT ON report TO PUBLIC"),
        {f"{OWN}.views": "warn"},
        "grant on view report to PUBLIC",
    ),
    "event trigger": (
        (
            "CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watch()",
        ),
        {f"{OWN}.event_triggers": "warn", f"{OWN}.functions": "warn"},
        "event trigger watch: ddl_command_end calls",
    ),
    "publication": (("CREATE PUBLICATION mine FOR TABLE zones",), {f"{OWN}.publications": "warn"}, "publication mine"),
    "default right of a service": (
        ("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO caracalapi",),
        {f"{OWN}.default_rights": "fail"},
        "to caracalapi: SELECT",
    ),
    "default right of all roles": (
        ("ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO PUBLIC",),
        {f"{OWN}.default_rights": "fail"},
        "default right on sequences of ",
    ),
    "right to create in the schema": (
        ("GRANT CREATE ON SCHEMA public TO PUBLIC",),
        {f"{OWN}.create_rights": "fail"},
        "right of PUBLIC to create in schema public",
    ),
    "right to create schemas": (
        ("GRANT CREATE ON DATABASE {name} TO caracalsts",),
        {f"{OWN}.create_rights": "fail"},
        "right of caracalsts to create schemas",
    ),
    "triggers off for a service": (
        ("ALTER ROLE caracalapi IN DATABASE {name} SET session_replication_role = replica",),
        {f"{OWN}.settings": "fail"},
        "setting session_replication_role of caracalapi in this database: replica",
    ),
    "row security off": (
        ("ALTER DATABASE {name} SET row_security = off",),
        {f"{OWN}.settings": "fail"},
        "setting row_security of all roles",
    ),
    "search path": (
        ("ALTER DATABASE {name} SET search_path = own, public",),
        {f"{OWN}.settings": "fail"},
        "setting search_path of all roles in this database: own, public",
    ),
    "all zones by default": (
        ("ALTER DATABASE {name} SET caracal.zone_id = '*'",),
        {f"{OWN}.settings": "fail"},
        "setting caracal.zone_id of all roles",
    ),
    "read only": (
        ("ALTER ROLE caracalaudit IN DATABASE {name} SET default_transaction_read_only = tru",),
        {f"{OWN}.settings": "fail"},
        "setting default_transaction_read_only of caracalaudit",
    ),
    "sequence nearly used up": (
        ("CREATE SCHEMA own", "CREATE SEQUENCE own.narrow AS smallint", "SELECT setval('own.narrow', 32000)"),
        {f"{OWN}.sequence_room": "warn"},
        "sequence own.narrow is at 32000 of 32767",
    ),
    "sequence behind": (
        (
            "SELECT setval('audit_ingest_alerts_id_seq', 1)",
            "UPDATE audit_ingest_alerts SET id = 9 WHERE id = (SELECT max(id) FROM audit_ingest_alerts)",
        ),
        {f"{OWN}.sequence_values": "fail"},
        "sequence public.audit_ingest_alerts_id_seq is at 1, but its column contains 9",
    ),
    "owner of the database": (
        ("ALTER DATABASE {name} OWNER TO caracalaudit",),
        {f"{OWN}.owner": "fail"},
        "owner of the database is caracalaudit, but must be none of the services",
    ),
    "owner of a table": (
        ("ALTER TABLE schema_migrations OWNER TO caracalapi",),
        {f"{OWN}.owner": "fail"},
        "owner of schema_migrations is caracalapi",
    ),
    "pgcrypto": (("DROP EXTENSION pgcrypto",), {f"{OWN}.extensions": "fail"}, "extension pgcrypto is missing"),
    "encoding": (("UPDATE pg_database SET encoding = 8 WHERE datname = '{name}'",), {f"{OWN}.encoding": "fail"}, "encoding is LATIN1"),
    "time zone of the database": (
        ("ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'",),
        {f"{OWN}.time_zone": "fail"},
        "time zone of a new session is Asia/Kolkata",
    ),
    "time zone of a service": (
        ("ALTER ROLE caracalaudit IN DATABASE {name} SET timezone = 'Asia/Kolkata'",),
        {f"{OWN}.time_zone": "fail"},
        "time zone of role caracalaudit is Asia/Kolkata",
    ),
    "partition shifted": (
        (
            "DROP TABLE audit_events_y2026m09",
            f"CREATE TABLE audit_events_y2026m09 PARTITION OF audit_events {SHIFTED}",
        ),
        {f"{OWN}.partitions": "fail"},
        "the bounds of partition audit_events_y2026m09 are not the month in its name, in UTC",
    ),
    "partition of another name": (
        ("ALTER TABLE audit_events_y2026m09 RENAME TO audit_events_september",),
        {f"{OWN}.partitions": "fail"},
        "the bounds of partition audit_events_september are not the month",
    ),
    "no default partition": (
        ("DROP TABLE audit_events_default",),
        {f"{OWN}.partitions": "fail", f"{OWN}.default_partition": "unproven"},
        "there is no default partition, so an event",
    ),
    "default partition filled": (
        (f"INSERT INTO audit_events ({EVENT}) SELECT {EVENT.replace('occurred_at', LONG_AGO)} FROM audit_events LIMIT 1",),
        {f"{OWN}.default_partition": "warn"},
        "partition audit_events_default contains events",
    ),
    "no partition": (
        (NO_LEAVES,),
        {f"{OWN}.{name}": "unproven" for name in OF_PARTITIONS},
        "audit_events has no partition",
    ),
    "audit log dropped": (
        ("DROP TABLE audit_events",),
        {f"{OWN}.tables": "fail", **{f"{OWN}.{name}": "unproven" for name in OF_PARTITIONS}},
        "table audit_events is missing",
    ),
}


@pytest.mark.mutation
@pytest.mark.parametrize("what", DAMAGES)
def test_each_damage_fails_its_own_check(caracal_database: TwinCluster, caracal_copy: Copier, what: str) -> None:
    statements, expected, words = DAMAGES[what]
    name = caracal_copy()
    caracal_database.execute(*(one.replace("{name}", name) for one in statements), database=name)
    result = verify(caracal_database, database=name)
    window = {} if f"{OWN}.partition_window" not in {one["id"] for one in result["checks"]} else OLD
    assert odd(result) == {**window, **expected}
    assert [one for one in expected if words in message_of(result, one)], [message_of(result, one) for one in expected]
    worst = (
        "fail"
        if "fail" in expected.values()
        else "unproven"
        if "unproven" in expected.values() and "partitions" in str(expected)
        else "pass"
    )
    assert result["verdict"] == worst and result.get("failed", False) == (worst != "pass")
    assert result["release"] == "v1.0.0"


ROLES: dict[str, tuple[tuple[str, ...], tuple[str, ...], Expected, str]] = {
    "super": (
        ("ALTER ROLE caracalsts SUPERUSER",),
        ("ALTER ROLE caracalsts NOSUPERUSER",),
        {"schema.roles": "fail"},
        "caracalsts has SUPERUSER",
    ),
    "above row security": (
        ("ALTER ROLE caracalapi BYPASSRLS",),
        ("ALTER ROLE caracalapi NOBYPASSRLS",),
        {"schema.roles": "fail"},
        "role caracalapi has BYPASSRLS, which Caracal never sets",
    ),
    "makes roles": (
        ("ALTER ROLE caracalapi CREATEROLE",),
        ("ALTER ROLE caracalapi NOCREATEROLE",),
        {"schema.roles": "fail"},
        "has CREATEROLE",
    ),
    "replicates": (
        ("ALTER ROLE caracalapi REPLICATION",),
        ("ALTER ROLE caracalapi NOREPLICATION",),
        {"schema.roles": "fail"},
        "has REPLICATION",
    ),
    "may become super": (
        ("GRANT caracal TO caracalapi",),
        ("REVOKE caracal FROM caracalapi",),
        {"schema.roles": "fail", f"{OWN}.audit_rights": "fail"},
        "role caracalapi has membership of superuser caracal",
    ),
    "writes everything": (
        ("GRANT pg_write_all_data TO caracalaudit",),
        ("REVOKE pg_write_all_data FROM caracalaudit",),
        {"schema.roles": "fail", f"{OWN}.audit_rights": "fail"},
        "role caracalaudit may DELETE on audit_events",
    ),
    "reads everything": (
        ("GRANT pg_read_all_data TO caracalgateway",),
        ("REVOKE pg_read_all_data FROM caracalgateway",),
        {"schema.roles": "fail"},
        "role caracalgateway has membership of pg_read_all_data, which Caracal never sets",
    ),
    "starts programs by way of a group": (
        ("CREATE ROLE jobs IN ROLE pg_execute_server_program", "GRANT jobs TO caracalapi"),
        ("DROP ROLE jobs",),
        {"schema.roles": "fail"},
        "role caracalapi has membership of pg_execute_server_program, which Caracal never sets",
    ),
    "member of another service": (
        ("GRANT caracalsts TO caracalgateway",),
        ("REVOKE caracalsts FROM caracalgateway",),
        {"schema.roles": "fail"},
        "role caracalgateway has membership of caracalsts",
    ),
    "expired": (
        ("ALTER ROLE caracalapi VALID UNTIL '2020-01-01'",),
        ("ALTER ROLE caracalapi VALID UNTIL 'infinity'",),
        {"schema.roles": "fail"},
        "role caracalapi has an expiry that has passed",
    ),
    "one connection only": (
        ("ALTER ROLE caracalapi CONNECTION LIMIT 1",),
        ("ALTER ROLE caracalapi CONNECTION LIMIT -1",),
        {"schema.roles": "fail"},
        "role caracalapi has a connection limit of 1",
    ),
    "somebody's own": (
        ("CREATE ROLE reporting", "GRANT SELECT ON zones TO reporting", f"GRANT SELECT ON {LEAF} TO reporting"),
        ("DROP OWNED BY reporting", "DROP ROLE reporting"),
        {f"{OWN}.other_grants": "warn", f"{OWN}.partition_grants": "warn"},
        "a role outside Caracal has privileges: grant on zones to reporting: SELECT",
    ),
}


@pytest.mark.mutation
def test_each_damage_of_a_role_fails_its_own_check(twin_cluster: TwinFactory) -> None:
    cluster = twin_cluster(60)
    for damage, repair, expected, words in ROLES.values():
        cluster.execute(*damage)
        result = verify(cluster)
        cluster.execute(*repair)
        assert odd(result) == {**OLD, **expected}
        assert [one for one in expected if words in message_of(result, one)], words
    cluster.execute("GRANT pg_monitor TO caracalaudit")  # it reads the server's state, not rows
    assert odd(verify(cluster)) == OLD
    cluster.execute("DROP OWNED BY caracalgateway", "DROP ROLE caracalgateway")
    result = verify(cluster)
    assert odd(result) == {**OLD, "schema.roles": "fail"} and "role caracalgateway is missing" in message_of(result, "schema.roles")


AUTH_DAMAGES: dict[str, tuple[str, str, str]] = {
    "table": ("DROP TABLE verification", "tables", "table verification is missing"),
    "column": ('ALTER TABLE "user" DROP guides', "columns", 'column "user".guides is missing'),
    "constraint": ('ALTER TABLE session DROP CONSTRAINT "session_userId_fkey"', "constraints", 'session."session_userId_fkey" is missing'),
    "index": ("DROP INDEX verification_identifier_idx", "indexes", "verification.verification_identifier_idx is missing"),
    "trigger": ("ALTER TABLE session DISABLE TRIGGER ALL", "triggers", "of the foreign key, not enabled"),
    "grant": ('GRANT SELECT ON "user" TO caracalapi', "grants", 'unexpected grant on "user" to caracalapi: SELECT'),
    "owner": ("ALTER DATABASE {name} OWNER TO caracal", "owner", "owner of the database is caracal, but must be caracalauth"),
    "encoding": ("UPDATE pg_database SET encoding = 8 WHERE datname = '{name}'", "encoding", "encoding is LATIN1"),
}


@pytest.mark.mutation
@pytest.mark.parametrize("what", AUTH_DAMAGES)
def test_the_console_s_database_is_compared_too(caracal_database: TwinCluster, what: str) -> None:
    statement, check, words = AUTH_DAMAGES[what]
    name = f"auth_{uuid.uuid4().hex[:12]}"
    caracal_database.execute(f"CREATE DATABASE {name} TEMPLATE caracal_auth OWNER caracalauth STRATEGY file_copy", database="postgres")
    try:
        assert odd(verify(caracal_database, auth_database=name)) == OLD
        caracal_database.execute(statement.replace("{name}", name), database=name)
        result = verify(caracal_database, auth_database=name)
    finally:
        caracal_database.execute(f"DROP DATABASE {name} WITH (FORCE)", database="postgres")
    assert odd(result) == {**OLD, f"{AUTH}.{check}": "fail"} and words in message_of(result, f"{AUTH}.{check}")


# Tables of Better Auth 1.7, which builds after v1.0.0 use.
ISSUER = (
    "ALTER TABLE account ADD issuer text NOT NULL DEFAULT 'local:credential'",
    "ALTER TABLE account ALTER issuer DROP DEFAULT",
    """CREATE UNIQUE INDEX "account_issuer_accountId_uidx" ON account (issuer, "accountId")""",
)


@pytest.fixture
def newer_build(caracal_database: TwinCluster) -> t.Iterator[str]:
    name = f"auth_{uuid.uuid4().hex[:12]}"
    caracal_database.execute(f"CREATE DATABASE {name} TEMPLATE caracal_auth OWNER caracalauth STRATEGY file_copy", database="postgres")
    caracal_database.execute(*ISSUER, database=name)
    yield name
    caracal_database.execute(f"DROP DATABASE {name} WITH (FORCE)", database="postgres")


@pytest.mark.no_false_alarm
def test_newer_console_build_is_not_a_difference(caracal_database: TwinCluster, newer_build: str) -> None:
    assert odd(verify(caracal_database, auth_database=newer_build)) == OLD


@pytest.mark.mutation
def test_partial_newer_console_build_is_a_difference(caracal_database: TwinCluster, newer_build: str) -> None:
    caracal_database.execute('DROP INDEX "account_issuer_accountId_uidx"', database=newer_build)
    result = verify(caracal_database, auth_database=newer_build)
    assert odd(result) == {**OLD, f"{AUTH}.indexes": "fail"}
    assert 'account."account_issuer_accountId_uidx" is missing' in message_of(result, f"{AUTH}.indexes")


@pytest.mark.mutation
def test_a_missing_database_of_the_console_fails(caracal_database: TwinCluster) -> None:
    result = verify(caracal_database, auth_database="nowhere")
    assert odd(result) == {**OLD, f"{AUTH}.tables": "fail"} and "database nowhere does not exist" in result["msg"]


@pytest.mark.mutation
def test_refuses_a_database_that_is_not_caracals(caracal_database: TwinCluster) -> None:
    with pytest.raises(VersionMismatch, match=r"database caracal_auth has 0 of the .* correct the database name"):
        verify(caracal_database, database="caracal_auth")
    with pytest.raises(Unreachable, match="database nowhere does not exist"):
        verify(caracal_database, database="nowhere")


@pytest.mark.mutation
def test_migration_name_of_another_family_is_not_proof(twin_cluster: TwinFactory) -> None:
    """The first migrations of two families have the same name."""
    cluster = twin_cluster(60, release="v2026.06.25-rc.1")
    cluster.execute(
        "DELETE FROM schema_migrations WHERE version <> '0001_baseline'",
        "ALTER TABLE resources DROP operations, DROP operation_enforcement",
    )
    result = verify(cluster)
    assert (result["verdict"], result["release"], result["nearest"]) == ("unproven", None, "v2026.06.25-rc.1")
    assert "lacks migration(s) 0002_resource_operations, differs in 2 table(s) or column(s)" in message_of(result, "migrations.release")


@pytest.mark.no_false_alarm
def test_writes_nothing_to_the_database(caracal_database: TwinCluster) -> None:
    """The module can safely check a production database: the transaction is read-only, and check mode does the same."""
    before = caracal_database.execute(
        "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del), pg_current_xact_id_if_assigned() FROM pg_stat_user_tables"
    )
    given = options(login_unix_socket=caracal_database.info.socket_dir, login_port=caracal_database.info.port)
    first = case.run(Invocation(given, False, lambda _text: None))
    second = case.run(Invocation(given, True, lambda _text: None))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    assert (
        caracal_database.execute("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del), pg_current_xact_id_if_assigned() FROM pg_stat_user_tables")
        == before
    )
