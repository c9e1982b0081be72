# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One database into sealed objects, and from them into another cluster."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import recipients
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.sealing import Opener, Sealed
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import catalog, dump, restore, roles, tables, target
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.client_binaries import ClientTools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.snapshot import Snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.tables import Table
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed, StorageError, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import workers
from harness.fixtures import FreshCluster
from harness.waiting import PATIENCE
from scenes.twin_database import Copier, TwinCluster

PARTITIONED = ('"public"."audit_events"',)
Facts = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Place:
    """A store and an identity that decrypts its objects."""

    store: LocalStore
    identity: t.Any
    identity_file: str

    def source(self, held: Snapshot, client: ClientTools, **paths: str) -> dump.Source:
        to = (recipients.parse(str(self.identity.to_public()), "test"),)
        found = {"pg_dump": client.paths["pg_dump"], "psql": client.paths["psql"], **paths}
        return dump.Source(held.place, found["pg_dump"], client.paths["pg_restore"], found["psql"], self.store, to)

    def plain(self, key: str) -> bytes:
        with Opener(self.store.open(key), [self.identity], key) as opened:
            return opened.read_all(1 << 30)

    def files(self) -> list[str]:
        return [path.name for path in Path(self.store.location).rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_place(tmp_path_factory.mktemp("dump"))


@pytest.fixture
def own(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def make_place(folder: Path) -> Place:
    identity = pyrage.x25519.Identity.generate()
    path = folder / "identity"
    path.write_text(str(identity))
    path.chmod(0o600)
    return Place(LocalStore(str(folder / "store")), identity, str(path))


def leaf_key(leaf: Table) -> str:
    return f"leaves/{leaf.name}"


def leaves_of(session: Session) -> list[Table]:
    return [table for table in tables.read_tables(session) if table.root == "public.audit_events"]


def leaf_with_rows(session: Session) -> Table:
    return next(leaf for leaf in leaves_of(session) if leaf.size)


def seal_leaf(source: dump.Source, leaf: Table) -> Sealed:
    with dump.sealed_object(source, "leaves") as (sealer, publish):
        dump.copy_leaf(source.place, source.psql, leaf, sealer)
        return publish(leaf_key(leaf))


@dataclasses.dataclass(frozen=True)
class Dumped:
    leaves: list[Table]
    archive: Sealed
    roles: Facts
    settings: Facts


@pytest.fixture(scope="module")
def dumped(caracal_database: TwinCluster, client: ClientTools, place: Place) -> Dumped:
    with Snapshot(caracal_database.server, "caracal") as held:
        source = place.source(held, client)
        leaves = leaves_of(held.session)
        archive = dump.archive(source, "sets", "sets/caracal.dump", PARTITIONED)
        dump.schema_archive(source, "sets", "sets/caracal.schema")
        for leaf in leaves:
            seal_leaf(source, leaf)
        return Dumped(leaves, archive, roles.read(held.session), catalog.settings(held.session))


def everything(server: Server, database: str) -> Facts:
    with Session(server, database) as session:
        lists = {"schema": catalog.schema(session), "grants": catalog.grants(session), "owners": catalog.owners(session)}
        digests = {table.qualified: tables.digest(session, table) for table in tables.read_tables(session)}
        return {**lists, "rows": digests, "settings": catalog.settings(session), "roles": roles.read(session)}


def load(to: restore.Destination, leaves: t.Sequence[Table]) -> dict[str, int]:
    with restore.definitions(to, "sets/caracal.schema") as made:
        made.before_rows()
        restore.archive(to, "sets/caracal.dump")
        names = [(leaf.schema, leaf.name) for leaf in leaves]
        counts = {table.name: restore.leaf(to, table, leaf_key(table)) for table in restore.tables(to, names)}
        for name in names:
            made.indexes(*name)
        made.after_rows(names, 2)
    restore.analyze(to, names)
    return counts


def destination(server: Server, client: ClientTools, place: Place, database: str) -> restore.Destination:
    return restore.Destination(server, database, (client.paths["pg_restore"],), place.store, (place.identity_file,))


def test_the_sealed_archive_is_what_was_counted(dumped: Dumped, place: Place, client: ClientTools) -> None:
    plain = place.plain("sets/caracal.dump")
    assert (len(plain), hashlib.sha256(plain).hexdigest()) == (dumped.archive.plain_size, dumped.archive.plain_sha256)
    stored = place.store.read("sets/caracal.dump")
    assert (len(stored), hashlib.sha256(stored).hexdigest()) == (dumped.archive.size, dumped.archive.sha256)
    listed = subprocess.run(
        [client.paths["pg_restore"], "--list"], input=plain, capture_output=True, check=True, text=False
    ).stdout.decode()
    assert "TABLE DATA public zones caracal" in listed
    assert " public audit_events" not in listed
    assert sorted(place.files()) == sorted(["caracal.dump", "caracal.schema", *(leaf.name for leaf in dumped.leaves)])


def test_partition_is_stored_as_its_copy_text(dumped: Dumped, place: Place, caracal_database: TwinCluster) -> None:
    with Session(caracal_database.server, "caracal") as session:
        for leaf in dumped.leaves:
            sink = io.BytesIO()
            session.copy_to(leaf.copy_heap_order(), sink)
            assert place.plain(leaf_key(leaf)) == sink.getvalue()


def test_database_restored_in_another_cluster_is_equal(
    dumped: Dumped, place: Place, client: ClientTools, caracal_database: TwinCluster, fresh_cluster: FreshCluster
) -> None:
    info = fresh_cluster()
    server = Server(info.socket_dir, info.port, info.superuser)
    with Session(server, "postgres", settings={}) as session:
        assert roles.create_missing(session, dumped.roles) == []
    working = target.working_name("caracal", "x-abcd")
    assert target.create(server, working, dumped.settings) == []
    counts = load(destination(server, client, place, working), dumped.leaves)
    target.publish(server, [(working, "caracal", dumped.settings)])
    source, copied = everything(caracal_database.server, "caracal"), everything(server, "caracal")
    assert {name: copied[name] == source[name] for name in source} == dict.fromkeys(source, True)
    assert sum(counts.values()) == caracal_database.spec.events
    assert counts == {leaf.name: source["rows"][leaf.qualified]["rows"] for leaf in dumped.leaves}


def test_a_reader_with_a_password_can_dump(
    caracal_database: TwinCluster, login: t.Callable[..., Server], client: ClientTools, own: Place
) -> None:
    server = login("BYPASSRLS")
    caracal_database.execute(f"GRANT pg_read_all_data TO {server.user}")
    with Snapshot(server, "caracal") as held:
        source = own.source(held, client)
        assert dump.archive(source, "sets", "sets/x", PARTITIONED).plain_size > 100_000
        assert seal_leaf(source, leaf_with_rows(held.session)).plain_size > 0


def test_limits_for_services_do_not_end_a_dump(
    caracal_database: TwinCluster, caracal_copy: Copier, client: ClientTools, own: Place
) -> None:
    name = caracal_copy()
    limits = ("statement_timeout", "transaction_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout")
    caracal_database.execute(
        "INSERT INTO audit_events_default (id, zone_id, event_type, occurred_at, metadata_json) SELECT 'n' || n, 'z', 'x', '1999-01-01', "
        "jsonb_build_object('x', repeat(md5(n::text), 40)) FROM generate_series(1, 20000) n",
        database=name,
    )
    caracal_database.execute(*(f"ALTER DATABASE {name} SET {limit} = '30ms'" for limit in limits))
    with Snapshot(caracal_database.server, name) as held:
        source = own.source(held, client)
        dump.archive(source, "sets", "sets/x", PARTITIONED)
        (leaf,) = [one for one in leaves_of(held.session) if one.name == "audit_events_default"]
        assert seal_leaf(source, leaf).plain_size > 20_000 * 1280


KILLERS = {
    "killed": '"{tool}" "$@" & sleep 0.2; kill -9 $! 2>/dev/null; head -c 100000 /dev/zero; kill -9 $$',
    "fails at the end": '"{tool}" "$@"; echo "pg_x: error: lost the server" >&2; exit 1',
    "reports nothing": 'echo "pg_x: error: cannot" >&2; exit 1',
}


@pytest.mark.mutation
@pytest.mark.parametrize("how", KILLERS)
@pytest.mark.parametrize("tool", ["pg_dump", "psql"])
def test_dump_with_failing_tool_creates_no_object(
    caracal_database: TwinCluster, client: ClientTools, own: Place, tmp_path: Path, tool: str, how: str
) -> None:
    wrapper = tmp_path / tool
    wrapper.write_text("#!/bin/sh\n" + KILLERS[how].format(tool=client.paths[tool]) + "\n")
    wrapper.chmod(0o755)
    with Snapshot(caracal_database.server, "caracal") as held:
        source = own.source(held, client, **{tool: str(wrapper)})
        with pytest.raises(StageFailed, match=f"^database caracal: {tool} failed "):
            if tool == "pg_dump":
                dump.archive(source, "sets", "sets/x", PARTITIONED)
            else:
                seal_leaf(source, leaf_with_rows(held.session))
    assert own.store.list("") == []
    assert own.files() == []


@pytest.mark.mutation
def test_dump_with_terminated_session_creates_no_object(caracal_database: TwinCluster, client: ClientTools, own: Place) -> None:
    with Snapshot(caracal_database.server, "caracal") as held:
        source = own.source(held, client)
        kill = (
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'caracal_ops.backup' AND query ~ '^COPY'"
        )
        done = threading.Event()

        def end() -> None:
            while not done.is_set():
                caracal_database.execute(kill, database="postgres")

        thread = threading.Thread(target=end)
        thread.start()
        try:
            with pytest.raises(StageFailed, match=r"^database caracal: pg_dump failed "):
                for number in range(50):  # the damage must be found in a COPY
                    dump.archive(source, "sets", f"sets/{number}", PARTITIONED)
                    own.store.delete(f"sets/{number}")
        finally:
            done.set()
            thread.join()
    assert own.files() == []


@pytest.mark.mutation
def test_dump_to_full_store_creates_no_object(caracal_database: TwinCluster, client: ClientTools, own: Place) -> None:
    real = own.store
    full = StorageError(f"{own.store.location} is full; make room")

    class Full(LocalStore):
        def writer(self, folder: str, key: str | None = None) -> t.Any:
            out = real.writer(folder, key)
            written = 0

            def write(data: bytes) -> int:
                nonlocal written
                written += len(data)
                if written > 10_000:
                    raise full
                return type(out).write(out, data)

            out.write = write  # type: ignore[method-assign]
            return out

    with Snapshot(caracal_database.server, "caracal") as held, pytest.raises(StorageError) as caught:
        source = dataclasses.replace(own.source(held, client), store=Full(own.store.location))
        dump.archive(source, "sets", "sets/x", PARTITIONED)
    assert caught.value is full
    assert own.files() == []


@pytest.fixture
def working(dumped: Dumped, caracal_database: TwinCluster) -> t.Iterator[str]:
    """Return an empty database in the source's own cluster, which has the roles."""
    name = f"work_{os.urandom(4).hex()}"
    target.create(caracal_database.server, name, dumped.settings)
    yield name
    target.drop(caracal_database.server, name)


def damaged(place: Place, own: Place, key: str, change: t.Callable[[bytes], bytes]) -> None:
    """Make `own` a copy of `place` in which one object is damaged."""
    for stat in place.store.list(""):
        data = place.store.read(stat.key)
        own.store.put(stat.key, change(data) if stat.key == key else data)


DAMAGE: dict[str, t.Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) * 2 // 3],
    "flip": lambda data: data[:-50] + bytes([data[-50] ^ 1]) + data[-49:],
    "emptied": lambda data: b"",
}


@pytest.mark.mutation
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("which", ["dump", "schema", "leaf"])
def test_a_damaged_artifact_never_loads(
    dumped: Dumped, place: Place, own: Place, client: ClientTools, caracal_database: TwinCluster, working: str, which: str, damage: str
) -> None:
    leaf = next(one for one in dumped.leaves if one.size)
    key = {"dump": "sets/caracal.dump", "schema": "sets/caracal.schema", "leaf": leaf_key(leaf)}[which]
    damaged(place, own, key, DAMAGE[damage])
    to = dataclasses.replace(destination(caracal_database.server, client, own, working), identity_files=(place.identity_file,))
    with pytest.raises(TamperedData, match=f"^{key}: "):
        load(to, [leaf])
    if which == "leaf":
        with Session(caracal_database.server, working) as session:
            assert session.value(f"SELECT count(*) FROM {leaf.sql}") == 0


@pytest.mark.mutation
@pytest.mark.parametrize("which", ["dump", "schema", "leaf"])
def test_an_artifact_in_place_of_another_does_not_load(
    dumped: Dumped, place: Place, own: Place, client: ClientTools, caracal_database: TwinCluster, working: str, which: str
) -> None:
    leaf = next(one for one in dumped.leaves if one.size)
    key = {"dump": "sets/caracal.dump", "schema": "sets/caracal.schema", "leaf": leaf_key(leaf)}[which]
    other = place.store.read("sets/caracal.schema" if which == "leaf" else leaf_key(leaf))
    damaged(place, own, key, lambda data: other)
    to = dataclasses.replace(destination(caracal_database.server, client, own, working), identity_files=(place.identity_file,))
    with pytest.raises(StageFailed) as caught:
        load(to, [leaf])
    assert "\n" not in caught.value.msg


@pytest.mark.mutation
def test_partition_rows_without_table_are_refused(
    dumped: Dumped, place: Place, client: ClientTools, caracal_database: TwinCluster, working: str
) -> None:
    to = destination(caracal_database.server, client, place, working)
    with pytest.raises(
        TamperedData, match=r"^the archive has no table public\.audit_events_y2026m06, but the set contains its rows; use another set$"
    ):
        restore.tables(to, [("public", "audit_events_y2026m06")])


def test_partitions_load_in_parallel(
    dumped: Dumped, place: Place, client: ClientTools, caracal_database: TwinCluster, working: str
) -> None:
    """While a partition is loaded, its table is locked exclusively. Another load must not need that table."""
    to = destination(caracal_database.server, client, place, working)
    full = [leaf for leaf in dumped.leaves if leaf.size][:2]
    with restore.definitions(to, "sets/caracal.schema") as made:
        made.before_rows()
    first, second = restore.tables(to, [(leaf.schema, leaf.name) for leaf in full])
    with Session(caracal_database.server, working) as loading:
        loading.rows("BEGIN")
        loading.rows(f"TRUNCATE ONLY {first.sql}")
        [rows] = workers.run_all([(restore.leaf, (to, second, leaf_key(second)))], 1, time.monotonic() + PATIENCE)
        loading.rows("COMMIT")
    assert rows > 0


@pytest.mark.mutation
def test_failed_restore_reports_reason_without_row_values(
    dumped: Dumped, place: Place, client: ClientTools, caracal_database: TwinCluster, working: str
) -> None:
    to = destination(caracal_database.server, client, place, working)
    with restore.definitions(to, "sets/caracal.schema") as made:
        made.before_rows()
    caracal_database.execute("ALTER TABLE secrets ALTER COLUMN name TYPE int USING 1", database=working)
    with pytest.raises(
        StageFailed,
        match=r'^database \w+: pg_restore failed .*COPY failed for table "secrets": ERROR:  invalid input syntax for type integer',
    ) as caught:
        restore.archive(to, "sets/caracal.dump")
    assert "CONTEXT" not in f"{caught.value.msg} {caught.value.details}"


def test_lines_are_whole_for_any_split_into_pieces() -> None:
    for step in (1, 2, 3, 7, 100):
        taken: list[bytes] = []
        pieces = io.BytesIO()
        sink = dump.Lines(taken.extend, first=pieces)
        data = b"a\tb\n\n\\N\nlast one\n"
        for start in range(0, len(data), step):
            sink.write(data[start : start + step])
        assert taken == [b"a\tb", b"", b"\\N", b"last one"]
        assert pieces.getvalue() == data
    assert dump.quote_setting('caracal.zone"id') == '"caracal"."zone""id"'


def grow(cluster: TwinCluster, database: str, leaf: str) -> None:
    """Add more rows than fit into pipes and socket buffers, so that a COPY of them waits for us."""
    month = leaf.removeprefix("audit_events_y").replace("m", "-") + "-02"
    cluster.execute(
        "INSERT INTO audit_events (id, zone_id, event_type, occurred_at, metadata_json) "
        f"SELECT 'grown' || n, 'z', 'x', '{month}', jsonb_build_object('x', repeat(md5(n::text), 60)) FROM generate_series(1, 6000) n",
        database=database,
    )


def test_copy_of_partition_stalls_no_insert_and_no_partition_change(
    caracal_database: TwinCluster, caracal_copy: Copier, client: ClientTools
) -> None:
    name = caracal_copy()
    grow(caracal_database, name, "audit_events_y2026m05")
    seen: list[t.Any] = []

    class Looker:
        def write(self, data: bytes) -> None:
            if seen:
                return
            locks = """SELECT DISTINCT relation::regclass::text FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                        WHERE a.application_name = 'caracal_ops.backup' AND l.relation::regclass::text LIKE 'audit_events%'"""
            seen.append([row[0] for row in caracal_database.execute(locks, database=name)])
            caracal_database.execute(
                "SET lock_timeout = '60s'",
                "INSERT INTO audit_events (id, zone_id, event_type, occurred_at) VALUES ('now', 'z', 'x', '2026-05-03')",
                "SELECT audit_partition_drop('audit_events_y2025m07')",
                "SELECT audit_partition_ensure('2027-01-01')",
                "INSERT INTO audit_events (id, zone_id, event_type, occurred_at) VALUES ('later', 'z', 'x', '2026-06-03')",
                database=name,
            )

    with Snapshot(caracal_database.server, name) as held:
        leaf = next(one for one in leaves_of(held.session) if one.name == "audit_events_y2026m05")
        lines: list[bytes] = []
        sink = dump.Lines(lines.extend, first=Looker())
        dump.copy_leaf(held.place, client.paths["psql"], leaf, sink)
    assert [one for one in seen[0] if not one.endswith(("_pkey", "_idx"))] == ["audit_events_y2026m05"]
    assert sum(b"grown" in line for line in lines) == 6000
    assert not any(line.startswith(b"now\t") for line in lines)


def test_long_dump_does_not_lock_partitioned_table(
    caracal_database: TwinCluster, caracal_copy: Copier, client: ClientTools, own: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = caracal_copy()
    caracal_database.execute(
        "INSERT INTO caracal_outbox (id, producer, topic, dedupe_key, payload_json) "
        "SELECT 'g' || n, 'coordinator', 'x', 'g' || n, jsonb_build_object('x', repeat(md5(n::text), 60)) FROM generate_series(1, 6000) n",
        database=name,
    )
    seen: list[list[str]] = []

    class Looker:
        size = 0

        def write(self, data: bytes) -> None:
            self.size += len(data)
            if not seen and self.size > 2_000_000:  # in the middle of the table that was filled
                locks = """SELECT DISTINCT relation::regclass::text FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                            WHERE a.application_name = 'caracal_ops.backup' AND a.query LIKE 'COPY%' AND a.datname = current_database()"""
                seen.append([row[0] for row in caracal_database.execute(locks, database=name)])

    with Snapshot(caracal_database.server, name) as held:
        source = own.source(held, client)
        argv: list[str] = []

        def kept(_source: t.Any, _directory: str, _key: str, given: list[str], _also: t.Any) -> Sealed:
            argv.extend(given)
            return Sealed(0, "", 0, "")

        monkeypatch.setattr(dump, "_stream", kept)
        dump.archive(source, "sets", "sets/x", PARTITIONED)
        dump.tools.stream_out(argv, caracal_database.server, name, Looker())
    assert "caracal_outbox" in seen[0]
    assert not any(str(one).startswith("audit_events") for one in seen[0])
