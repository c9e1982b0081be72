# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Healthy deployments whose schema an operator has extended: backup, restore and verification report no failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.fixtures import FreshCluster
from scenes import scene as scenes
from scenes.twin_database import TwinCluster, TwinFactory

INVALID = "UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = '{}'::regclass"
ODD = {
    "own table": ("CREATE TABLE public.mine (id int PRIMARY KEY, zone_id text REFERENCES public.zones)",),
    "own index": ("CREATE INDEX mine ON public.zones (slug, id)",),
    "invalid index": ("CREATE UNIQUE INDEX mine ON public.zones (slug, id)", INVALID.format("public.mine")),
    "publication": ("CREATE PUBLICATION mine FOR TABLE public.zones",),
    "replica identity": ("ALTER TABLE public.zones REPLICA IDENTITY FULL",),
    "statistics": ("CREATE STATISTICS mine ON id, slug FROM public.zones", "ALTER TABLE public.zones ALTER COLUMN slug SET STATISTICS 500"),
    "view": ("CREATE VIEW public.mine AS SELECT id FROM public.zones",),
    "function": ("CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",),
    "storage settings": ("ALTER TABLE public.event_outbox SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01)",),
    "comment": ("COMMENT ON TABLE public.zones IS 'ours'",),
    "schema": ("CREATE SCHEMA mine", "CREATE TABLE mine.notes (id int)"),
    "role": ("CREATE ROLE reporter LOGIN", "GRANT SELECT ON public.zones TO reporter"),
    "event trigger": (
        "CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.watch()",
    ),
    "default rights": ("CREATE ROLE reader", "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader"),
    "settings": ("ALTER DATABASE caracal SET work_mem = '16MB'", "ALTER ROLE caracalapi SET statement_timeout = '30s'"),
}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("name", ODD)
def test_an_extended_schema_does_not_fail(twin_cluster: TwinFactory, tmp_path: Path, fresh_cluster: FreshCluster, name: str) -> None:
    source = twin_cluster(events=60, seed="odd schema")
    source.execute(*ODD[name])
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    made = scene.backup(databases=["caracal", "caracal_auth"])
    target = TwinCluster(fresh_cluster(), source.spec)
    restored = scene.call("pg_encrypted_restore", sandbox=target.info.directory)
    state = scene.call("state_verify", sandbox=target.info.directory, require_valid=False)
    schema = scene.call("migration_verify", sandbox=target.info.directory, require_valid=False)
    checks = [one for result in (made, restored, state, schema) for one in result["checks"]]
    failed = {one["id"]: one["message"] for one in checks if one["verdict"] == "fail"}
    assert not failed
