# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every breakage of a database that the tests know, by a stable name, as a function that changes a cluster."""

from __future__ import annotations

import dataclasses
import typing as t

from scenes import audit_damages, copy_damages, source_damages, state_damages
from scenes.audit_damages import World
from scenes.twin_database import TwinCluster

STORE, BARE = "v1.0.0", "v2026.06.21"
FREELY = "SET session_replication_role = replica"


@dataclasses.dataclass(frozen=True)
class Breakage:
    """A change of a healthy deployment of `release`. Its argument is the server with the database `caracal`."""

    release: str
    do: t.Callable[[TwinCluster], object]


def _statements(release: str, *statements: str) -> Breakage:
    """Return a breakage by statements. As in a restore, triggers are off, so constraints do not prevent it."""
    return Breakage(release, lambda cluster: cluster.execute(FREELY, *statements))


def _audit(damage: audit_damages.Damage) -> Breakage:
    def bend(cluster: TwinCluster) -> None:
        [(zone, head)] = cluster.execute("SELECT zone_id, max(chain_seq) FROM audit_events GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1")
        damage(World(cluster, "caracal", zone, head))

    return Breakage(STORE, bend)


_SCHEMA = {
    "a function does nothing": (
        "CREATE OR REPLACE FUNCTION reject_policy_version_mutation() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    ),
    "a rule drops what is written": ("CREATE RULE quiet AS ON INSERT TO admin_audit_events DO INSTEAD NOTHING",),
    "an unknown trigger changes rows": (
        "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER odd BEFORE INSERT ON authority_records FOR EACH ROW EXECUTE FUNCTION odd()",
    ),
    "an event trigger is there": (
        "CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watch()",
    ),
    "a view shows secrets": ("CREATE VIEW shown AS SELECT * FROM secrets", "GRANT SELECT ON shown TO PUBLIC"),
    "new tables are for all": ("ALTER DEFAULT PRIVILEGES FOR ROLE caracal IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC",),
    "the schema is for all": ("GRANT CREATE ON SCHEMA public TO PUBLIC",),
    "a role ignores triggers": ("ALTER ROLE caracalapi SET session_replication_role = 'replica'",),
    "a role finds other tables": ("ALTER ROLE caracalsts SET search_path = 'elsewhere, public'",),
    "the database ignores row policies": ("ALTER DATABASE caracal SET row_security = 'off'",),
    "the database is in one zone": ("ALTER DATABASE caracal SET caracal.zone_id = 'x'",),
    "the database is read only": ("ALTER DATABASE caracal SET default_transaction_read_only = 'on'",),
    "a role is a member of the owner": ("GRANT caracal TO caracalgateway",),
    "a password has expired": ("ALTER ROLE caracalsts VALID UNTIL '2020-01-01'",),
    "a role may not connect": ("ALTER ROLE caracalsts CONNECTION LIMIT 0",),
    "a sequence counts by a thousand": ("ALTER SEQUENCE audit_ingest_alerts_id_seq INCREMENT BY 1000",),
    "a sequence is used up": (
        "ALTER SEQUENCE audit_ingest_alerts_id_seq MAXVALUE 1000000",
        "SELECT setval('audit_ingest_alerts_id_seq', 999990)",
    ),
    "a partition refuses rows": (
        "ALTER TABLE audit_events_default ADD CONSTRAINT odd CHECK (zone_id <> 'x') NOT VALID",
    ),
    "a column compares otherwise": ("ALTER TABLE zones ALTER COLUMN slug TYPE text COLLATE \"C\"",),
    "a column has another default": ("ALTER TABLE sessions ALTER COLUMN status SET DEFAULT 'suspended'",),
    "a check is gone": (
        "DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint"
        " WHERE contype = 'c' AND conrelid = 'authority_records'::regclass ORDER BY conname LIMIT 1); END $$",
    ),
    "a foreign key is gone": (
        "DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint"
        " WHERE contype = 'f' AND conrelid = 'resources'::regclass ORDER BY conname LIMIT 1); END $$",
    ),
}  # fmt: skip
_SOURCE = {
    "a row refers to nothing": (source_damages.ORPHAN,),
    "an index sorts backwards": (source_damages.reversed_index("zones_active_idx"),),
    "rows were sorted by an older library": (source_damages.OLD_LIBRARY,),
    "a column was sorted by an older library": tuple(source_damages.of_old_library("zones", "slug")),
    "a row is there twice": tuple(source_damages.duplicated("zones", "zones_pkey", "zones_slug_key")),
}  # fmt: skip
_CHANGES = {
    "the audit retention is lowered and the oldest month gone": (
        "UPDATE audit_retention SET retention_days = 30",
        "DO $$ BEGIN EXECUTE (SELECT format('DROP TABLE %s', inhrelid::regclass) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
        " WHERE inhparent = 'audit_events'::regclass AND relname ~ '_y' ORDER BY relname LIMIT 1); END $$",
    ),
    "a month is gone that retention keeps": (
        "DO $$ BEGIN EXECUTE (SELECT format('DROP TABLE %s', inhrelid::regclass) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
        " WHERE inhparent = 'audit_events'::regclass AND relname ~ '_y' ORDER BY relname OFFSET 1 LIMIT 1); END $$",
    ),
    "half of the applications are gone": (
        "DELETE FROM applications WHERE id IN (SELECT id FROM applications ORDER BY id LIMIT (SELECT count(*) / 2 FROM applications))",
    ),
    "a policy was replaced": (
        "UPDATE policy_versions SET content = content || ' ', "
        "content_sha256 = encode(sha256(convert_to(content || ' ', 'UTF8')), 'hex') WHERE id = (SELECT min(id) FROM policy_versions)",
    ),
    "an admin token was replaced": (
        "UPDATE admin_tokens SET token_sha256 = sha256('x') WHERE id = (SELECT min(id) FROM admin_tokens)",
    ),
}  # fmt: skip


def corpus() -> dict[str, Breakage]:
    """Return all breakages."""
    older = state_damages.of(BARE)
    return {
        **{f"state {name}": _statements(STORE, damage.sql) for name, damage in state_damages.of(STORE).items()},
        **{f"older state {name}": _statements(BARE, older[name].sql) for name in state_damages.BARE},
        **{f"audit {name}": _audit(damage) for name, damage in audit_damages.DAMAGES.items() if name not in audit_damages.OF_A_DATE},
        **{f"loss {name}": _statements(STORE, sql) for name, sql in copy_damages.NEWER.items()},
        **{f"older loss {name}": _statements(BARE, sql) for name, sql in copy_damages.OLDER.items()},
        **{f"schema {name}": _statements(STORE, *sql) for name, sql in _SCHEMA.items()},
        **{f"source {name}": _statements(STORE, *sql) for name, sql in _SOURCE.items()},
        **{f"change {name}": _statements(STORE, *sql) for name, sql in _CHANGES.items()},
    }
