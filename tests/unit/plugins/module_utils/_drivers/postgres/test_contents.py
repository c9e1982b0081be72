# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of contents of an archive, compared with the catalog."""

from __future__ import annotations

import os
import subprocess

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import contents, relations
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.client_binaries import ClientTools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.contents import Contents
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from scenes.twin_database import Copier, TwinCluster

LISTING = """;
; Archive created at 2026-06-17 12:30:00 UTC
;
227; 1259 16412 SEQUENCE public TABLE DATA caracal
;	depends on: 6 5
228; 0 0 SEQUENCE OWNED BY public n caracal
;	depends on: 227 9
300; 1259 16391 TABLE public 5; 0 9 TABLE DATA public x caracal
3456; 0 16391 TABLE DATA public 5; 0 9 TABLE DATA public x caracal
;	depends on: 300
3457; 0 16395 TABLE DATA public SEQUENCE SET caracal
3458; 0 16400 MATERIALIZED VIEW DATA public m caracal
;	depends on: 227
3467; 0 0 SEQUENCE SET public SEQUENCE SET caracal
;	depends on: 227
3468; 0 0 BLOBS - BLOBS caracal
"""


def dumped(client: ClientTools, cluster: TwinCluster, database: str, *options: str) -> bytes:
    argv = [client.paths["pg_dump"], "-h", cluster.info.socket_dir, "-U", cluster.info.superuser, "-Fc", "-Z0", *options, database]
    return subprocess.run(argv, capture_output=True, check=True).stdout


def read(client: ClientTools, data: bytes, piece: int = 4096) -> Contents:
    with contents.Reader(client.paths["pg_restore"]) as reader:
        for start in range(0, len(data), piece):
            reader.write(data[start : start + piece])
        return reader.finish()


def test_object_names_do_not_affect_parsed_contents() -> None:
    assert contents.parse(LISTING.splitlines()) == Contents((16391, 16395), (16412,), True)
    assert contents.parse(LISTING.splitlines()[:4]) == Contents()


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_an_archive_holds_every_table_and_sequence(client: ClientTools, caracal_database: TwinCluster, piece: int) -> None:
    found = read(client, dumped(client, caracal_database, "caracal_auth"), piece)
    with Session(caracal_database.server, "caracal_auth") as session:
        seen = {one.number: one.kind for one in relations.read(session)}
    assert seen and sorted([*found.rows, *found.values]) == sorted(seen)
    assert {seen[number] for number in found.rows} == {"r"} and not found.problem and not found.large_objects


@pytest.mark.mutation
def test_contents_do_not_list_objects_left_out_of_dump(client: ClientTools, caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    caracal_database.execute("SELECT lo_create(0)", "CREATE SEQUENCE spare", database=name)
    data = dumped(client, caracal_database, name, "--exclude-table-and-children=public.audit_events", "--exclude-table=public.spare")
    found = read(client, data)
    with Session(caracal_database.server, name) as session:
        missing = {one.name for one in relations.read(session)} - {
            one.name for one in relations.read(session) if one.number in {*found.rows, *found.values}
        }
    assert missing and {one for one in missing if not one.startswith("audit_events_")} == {"spare"} and found.large_objects


@pytest.mark.mutation
@pytest.mark.parametrize("data", [b"", b"PGDMP", b"x" * 100_000, b"PGDMP\x01\x10\x00\x04\x08\x01" + b"\xff" * 100_000])
def test_invalid_archive_is_a_problem_and_raises_no_error(client: ClientTools, data: bytes) -> None:
    found = read(client, data)
    assert found.problem and found.rows == ()


@pytest.mark.mutation
def test_an_archive_that_is_cut_within_its_table_of_contents(client: ClientTools, caracal_database: TwinCluster) -> None:
    assert read(client, dumped(client, caracal_database, "caracal_auth")[:3000]).problem


def test_nothing_is_left_open(client: ClientTools) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for data in (b"", b"x" * 100_000):
        read(client, data)
    with contents.Reader(client.paths["pg_restore"]) as reader:
        reader.write(b"PGDMP")
    del reader
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_catalog_shows_every_kind_and_schema_and_locks_nothing(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    caracal_database.execute(
        "CREATE SCHEMA other CREATE TABLE t (id serial) CREATE VIEW v AS SELECT 1",
        "CREATE TABLE information_schema.hidden (n int)",
        "CREATE MATERIALIZED VIEW m AS SELECT 1",
        "CREATE UNLOGGED TABLE u (n int)",
        "CREATE TYPE pair AS (a int, b int)",
        "CREATE TABLE wide (a text)",
        database=name,
    )
    with Session(caracal_database.server, name) as session:
        session.rows("BEGIN")
        found = {one.qualified: one for one in relations.read(session)}
        locked = session.rows("SELECT relation::regclass::text FROM pg_locks WHERE pid = pg_backend_pid() AND relation >= 16384")
    kinds = {"other.t": "r", "other.t_id_seq": "S", "information_schema.hidden": "r", "public.m": "m", "public.u": "r"}
    assert {one: found[one].kind for one in kinds} == kinds and locked == []
    assert found["public.u"].unlogged and found["information_schema.hidden"].system
    assert not {"other.v", "public.pair", "public.audit_events"} & found.keys()
    assert not [one for one in found if one.startswith("pg_")]
