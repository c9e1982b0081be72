# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Odd but healthy deployments, by a stable name, each as a change of a plain one. No check may fail there."""

from __future__ import annotations

import typing as t

from scenes.corpus import Breakage
from scenes.odd_histories import HISTORIES, OF_FAMILY
from scenes.twin_database import TwinCluster
from twin.facts import SECRET_STORE

INVALID = "UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = '{}'::regclass"
FREELY = "SET session_replication_role = replica"
OWN_TABLE = "CREATE TABLE public.mine (id int PRIMARY KEY, note text)"
_LAST_PARTITION = """(SELECT max(c.relname) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                       WHERE i.inhparent = 'audit_events'::regclass AND c.relname ~ '_y')"""

# Additions of an operator to the schema.
ADDED = {
    "own table": ("CREATE TABLE public.mine (id int PRIMARY KEY, zone_id text REFERENCES public.zones)",),
    "own index": ("CREATE INDEX mine ON public.zones (slug, id)",),
    "index on an expression": ("CREATE INDEX mine ON public.zones (lower(slug)) WHERE archived_at IS NULL",),
    "index on the audit table": ("CREATE INDEX mine ON public.audit_events (event_type)",),
    "index on one partition": (
        f"DO $$ BEGIN EXECUTE format('CREATE INDEX mine ON public.%I (decision)', {_LAST_PARTITION}); END $$",),
    "invalid index": ("CREATE UNIQUE INDEX mine ON public.zones (slug, id)", INVALID.format("public.mine")),
    "publication": ("CREATE PUBLICATION mine FOR TABLE public.zones",),
    "replica identity": ("ALTER TABLE public.zones REPLICA IDENTITY FULL",),
    "statistics": ("CREATE STATISTICS mine ON id, slug FROM public.zones", "ALTER TABLE public.zones ALTER COLUMN slug SET STATISTICS 500"),
    "view": ("CREATE VIEW public.mine AS SELECT id FROM public.zones",),
    "materialized view": ("CREATE MATERIALIZED VIEW public.mine AS SELECT count(*) FROM public.zones",),
    "materialized view without rows": ("CREATE MATERIALIZED VIEW public.mine AS SELECT 1 AS one WITH NO DATA",),
    "function": ("CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",),
    "storage settings": ("ALTER TABLE public.event_outbox SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01)",),
    "comment": ("COMMENT ON TABLE public.zones IS 'ours'",),
    "schema": ("CREATE SCHEMA mine", "CREATE TABLE mine.notes (id int)"),
    "schema with an odd name": ('CREATE SCHEMA "Ops; Notes"', 'CREATE TABLE "Ops; Notes"."a ""b""" (id int)'),
    "role": ("CREATE ROLE reporter LOGIN", "GRANT SELECT ON public.zones TO reporter"),
    "role that reads everything": ("CREATE ROLE reporter LOGIN", "GRANT pg_read_all_data TO reporter"),
    "role whose password ends": ("CREATE ROLE reporter LOGIN VALID UNTIL '2020-01-01' CONNECTION LIMIT 1",),
    "event trigger": (
        "CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.watch()",
    ),
    "default rights": ("CREATE ROLE reader", "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader"),
    "settings": ("ALTER DATABASE caracal SET work_mem = '16MB'", "ALTER ROLE caracalapi SET statement_timeout = '30s'"),
    "sequence": ("CREATE SEQUENCE public.mine MAXVALUE 9 CYCLE", "SELECT nextval('public.mine')"),
    "types": (
        "CREATE TYPE public.mood AS ENUM ('good', 'bad')",
        "CREATE DOMAIN public.small AS int CHECK (value < 9)",
        "CREATE TABLE public.mine (mood public.mood, small public.small)",
        "INSERT INTO public.mine VALUES ('good', 1)",
    ),
    "unlogged table": ("CREATE UNLOGGED TABLE public.mine (id int)", "INSERT INTO public.mine VALUES (1)"),
    "partitioned table": (
        "CREATE TABLE public.mine (id int) PARTITION BY LIST (id)",
        "CREATE TABLE public.mine_1 PARTITION OF public.mine FOR VALUES IN (1)",
        "INSERT INTO public.mine VALUES (1)",
    ),
    "inherited table": (OWN_TABLE, "CREATE TABLE public.more (extra int) INHERITS (public.mine)", "INSERT INTO public.more VALUES (1)"),
    "table without columns": ("CREATE TABLE public.mine ()", "INSERT INTO public.mine DEFAULT VALUES"),
    "own trigger on an own table": (
        OWN_TABLE,
        "CREATE FUNCTION public.watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER watch BEFORE INSERT ON public.mine FOR EACH ROW EXECUTE FUNCTION public.watch()",
    ),
    "row policy on an own table": (
        OWN_TABLE,
        "ALTER TABLE public.mine ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON public.mine USING (true)",
    ),
    "long rows": (OWN_TABLE, "INSERT INTO public.mine SELECT n, repeat('x', 3000000) FROM generate_series(1, 3) n"),
    "many rows": (OWN_TABLE, "INSERT INTO public.mine SELECT n, 'x' FROM generate_series(1, 30000) n"),
    "generated column": (
        "CREATE TABLE public.mine (id int, twice int GENERATED ALWAYS AS (id * 2) STORED)", "INSERT INTO public.mine VALUES (2)"),
    "collation": ("CREATE COLLATION public.mine (provider = builtin, locale = 'C.UTF-8')",),
    "another database": ("CREATE ROLE reporter", "ALTER DATABASE caracal CONNECTION LIMIT 500"),
}  # fmt: skip

# Effects of years of use.
LIVED = {
    "tables were rewritten": ("VACUUM FULL public.sessions", "CLUSTER public.zones USING zones_pkey", "ANALYZE"),
    "indexes were rebuilt": ("REINDEX TABLE public.zones",),
    "the newest partition was rewritten": (
        f"DO $$ BEGIN EXECUTE format('CLUSTER public.%I USING %I', {_LAST_PARTITION}, (SELECT indexrelid::regclass::text FROM pg_index"
        f" WHERE indrelid = {_LAST_PARTITION}::regclass AND indisprimary)); END $$",),
    "partitions for two years to come": (
        "SELECT audit_partition_ensure((date_trunc('month', now()) + n * interval '1 month')::date) FROM generate_series(4, 24) n",),
    "names in many scripts": ("UPDATE zones SET name = 'Зона 区域 🌍 \"x\\\\y\\t' || id",),
    "long names": ("UPDATE zones SET name = repeat('n', 5000)",),
    "rows were changed and changed back": (
        "UPDATE zones SET name = name || 'x'", "UPDATE zones SET name = left(name, -1)"),
    "an aborted load left dead rows": (
        "DO $$ BEGIN INSERT INTO zones SELECT (jsonb_populate_record(z, '{\"id\": \"x\", \"slug\": \"x\"}')).* FROM zones z LIMIT 1;"
        " RAISE EXCEPTION 'x'; EXCEPTION WHEN others THEN NULL; END $$",),
    "no notification sink": ("DELETE FROM notification_sinks",),
    "everything was sent": ("UPDATE event_outbox SET dispatched_at = now() WHERE dispatched_at IS NULL AND available_at <> 'infinity'",),
    "accounts signed out": ('DELETE FROM "session"',),
}  # fmt: skip
# They rewrite the chained admin log, which a drill correctly reports.
REWRITTEN = ("the log names no tokens",)
# They are in the database of the accounts.
_IN_AUTH = ("accounts signed out",)


def _statements(*statements: str, database: str = "caracal") -> t.Callable[[TwinCluster], object]:
    return lambda cluster: cluster.execute(*statements, database=database)


def oddities() -> dict[str, Breakage]:
    """Return all oddities."""
    lived = {name: _statements(*sql, database="caracal_auth" if name in _IN_AUTH else "caracal") for name, sql in LIVED.items()}
    return {
        **{
            f"history {name} {OF_FAMILY[family]}": Breakage(OF_FAMILY[family], _statements(FREELY, *history.of(family)))
            for name, history in HISTORIES.items()
            if name not in REWRITTEN
            for family in history.families
        },
        **{f"added {name}": Breakage(OF_FAMILY[SECRET_STORE], _statements(*sql)) for name, sql in ADDED.items()},
        **{f"lived {name}": Breakage(OF_FAMILY[SECRET_STORE], do) for name, do in lived.items()},
    }
