# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A schema archive in parts: the indexes belong to the right table, and everything is created once."""

from __future__ import annotations

import os
import subprocess
import typing as t
import uuid

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import catalog, definitions
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.client_binaries import ClientTools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.definitions import Definitions
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo
from scenes.twin_database import TwinFactory
from twin.releases.known import RELEASES

# Table → its indexes that are created after the rows, sorted. Includes partitioned tables.
INDEXES = """
    SELECT n.nspname, c.relname, i.indexrelid::regclass::text FROM pg_index i
      JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname !~ '^pg_' ORDER BY 1, 2, 3"""
Names = dict[tuple[str, str], list[str]]


def archive(client: ClientTools, server: Server, database: str) -> bytes:
    argv = [client.paths["pg_dump"], "--format=custom", "--compress=0", "--schema-only", f"--host={server.host}", f"--port={server.port}"]
    argv += [f"--username={server.user}", f"--dbname={database}"]
    return subprocess.run(argv, check=True, capture_output=True).stdout


def indexes(server: Server, database: str) -> Names:
    found: Names = {}
    with Session(server, database) as session:
        for schema, table, index in session.rows(INDEXES):
            found.setdefault((schema, table), []).append(index)
    return found


def everything(server: Server, database: str) -> dict[str, list[str]]:
    with Session(server, database) as session:
        return {"schema": catalog.schema(session), "grants": catalog.grants(session), "owners": catalog.owners(session)}


def create(server: Server) -> str:
    name = f"made_{uuid.uuid4().hex[:12]}"
    with Session(server, "postgres", settings={}) as session:
        session.rows(f"CREATE DATABASE {name}")
    return name


def drop(server: Server, name: str) -> None:
    with Session(server, "postgres", settings={}) as session:
        session.rows(f"DROP DATABASE {name} WITH (FORCE)")


def restored_in_pieces(client: ClientTools, server: Server, source: str, first: t.Collection[tuple[str, str]]) -> None:
    """Restore the indexes of the tables in `first` before all others. Creating an index twice would be an error."""
    wanted = indexes(server, source)
    name = create(server)
    try:
        with Definitions([client.paths["pg_restore"]], server, name, archive(client, server, source)) as made:
            made.before_rows()
            assert indexes(server, name) == {}
            done: Names = {}
            for table in first:
                made.indexes(*table)
                done[table] = wanted[table]
                assert indexes(server, name) == done
            made.indexes("public", "there is no such table")
            assert indexes(server, name) == done
            made.after_rows(first, 2)
        assert indexes(server, name) == wanted
        assert everything(server, name) == everything(server, source)
    finally:
        drop(server, name)


@pytest.mark.parametrize("release", sorted(RELEASES))
def test_indexes_of_every_partition_of_every_release_are_found(release: str, twin_cluster: TwinFactory, client: ClientTools) -> None:
    cluster = twin_cluster(events=60, release=release)
    wanted = indexes(cluster.server, "caracal")
    leaves = [table for table in wanted if table[1].startswith("audit_events_")]
    assert len(leaves) > 2
    with Definitions([client.paths["pg_restore"]], cluster.server, "postgres", archive(client, cluster.server, "caracal")) as made:
        assert {table: len(made._indexes[table]) for table in leaves} == {table: len(wanted[table]) for table in leaves}
        numbers = [number for found in made._indexes.values() for number in found]
        assert len(numbers) == len(set(numbers))
    restored_in_pieces(client, cluster.server, "caracal", leaves[:2])


@pytest.fixture
def odd(postgres_server: SandboxInfo) -> t.Iterator[tuple[Server, str]]:
    """Return a database in which everything has an odd name."""
    server = Server(postgres_server.socket_dir, postgres_server.port, postgres_server.superuser)
    name = create(server)
    names = [
        "plain",
        "plain table",
        "a;b",
        "1; 1259 1 TABLE public plain x",
        "q\"uo'te",
        "li\nne\r",
        "tab\t",
        "ä\u2028263; 1259 1 INDEX x\x85y",
        "-- x",
    ]
    with Session(server, name, settings={"search_path": "public"}) as session:
        session.rows('CREATE SCHEMA "odd schema"; CREATE SCHEMA other')
        for schema in ("public", "odd schema", "other"):
            for number, table in enumerate(names):
                quoted, index = (text.replace('"', '""') for text in (table, f"{schema} {table} index"))
                full = f'"{schema}"."{quoted}"'
                session.rows(
                    f'CREATE TABLE {full} (id int CONSTRAINT "{index} key" PRIMARY KEY, z text UNIQUE, n int CHECK (n > 0))'.replace(
                        "%", "%%"
                    )
                )
                session.rows(f'CREATE INDEX "{index}" ON {full} (z, n); CREATE INDEX ON {full} (n) WHERE n > {number}')
        session.rows("CREATE TABLE parted (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); CREATE INDEX ON parted (at)")
        session.rows("CREATE TABLE parted_one PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')")
        session.rows("CREATE TABLE refers (id int PRIMARY KEY REFERENCES plain, other int REFERENCES other.plain)")
        session.rows("CREATE INDEX ON parted_one (id)")
    yield server, name
    drop(server, name)


def test_odd_names_are_returned_once(odd: tuple[Server, str], client: ClientTools) -> None:
    server, name = odd
    restored_in_pieces(client, server, name, [("public", "parted_one"), ("public", "refers")])


def test_tables_with_same_name_in_two_schemas_are_distinguished(odd: tuple[Server, str], client: ClientTools) -> None:
    server, name = odd
    with Definitions([client.paths["pg_restore"]], server, "postgres", archive(client, server, name)) as made:
        assert len(made._indexes[("public", "refers")]) == 1
        assert set(made._indexes[("other", "plain")]).isdisjoint(made._indexes[("public", "plain")])


LISTING = """;
; Archive created at 2026-06-17
;
220; 1259 16800 TABLE public audit_events caracal
226; 1259 16868 TABLE public audit_events_default caracal
227; 1259 16900 TABLE public zones caracal
4000; 0 0 TABLE ATTACH public audit_events_default caracal
;\tdepends on: 226 220
4010; 2606 17001 CONSTRAINT public audit_events_default audit_events_default_pkey caracal
;\tdepends on: 226 226
4011; 1259 17002 INDEX public audit_events_default_at caracal
;\tdepends on: 226
4012; 0 0 INDEX ATTACH public audit_events_default_at caracal
;\tdepends on: 4011 226
4013; 2606 17003 FK CONSTRAINT public audit_events_default to_zone caracal
;\tdepends on: 226 227
4014; 1259 17004 INDEX public of_two caracal
;\tdepends on: 226 227
4015; 2620 17005 TRIGGER public audit_events_default guard caracal
;\tdepends on: 226
""".splitlines()


def test_only_indexes_and_keys_of_one_table_are_its_own() -> None:
    assert definitions._indexes(LISTING) == {("public", "audit_events_default"): ["4010", "4011"]}
    assert definitions._indexes([]) == {}


@pytest.mark.mutation
def test_invalid_archive_keeps_no_file_descriptor_open(postgres_server: SandboxInfo, client: ClientTools) -> None:
    server = Server(postgres_server.socket_dir, postgres_server.port, postgres_server.superuser)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(StageFailed, match=r"pg_restore failed"):
        Definitions([client.paths["pg_restore"]], server, "postgres", b"PGDMP and no more")
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.mutation
def test_a_list_that_does_not_end_is_ended(postgres_server: SandboxInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "LIST_SECONDS", 0.5)
    server = Server(postgres_server.socket_dir, postgres_server.port, postgres_server.superuser)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(StageFailed):
        Definitions(["/bin/sh", "-c", "exec sleep 600"], server, "postgres", b"")
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.mutation
def test_failed_pg_restore_step_reports_error(odd: tuple[Server, str], client: ClientTools) -> None:
    server, name = odd
    with Definitions([client.paths["pg_restore"]], server, name, archive(client, server, name)) as made:
        with pytest.raises(StageFailed, match=r"pg_restore failed .*already exists"):
            made.before_rows()
        with pytest.raises(StageFailed, match=r"pg_restore failed .*multiple primary keys"):
            made.indexes("public", "parted_one")
