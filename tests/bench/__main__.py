# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make bench`: speeds as ratios within one run, because machines differ, and memory. Not a test.

Prints `bench: NAME VALUE UNIT target TARGET ok|short` for each figure and writes them to `bench.json`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import recipients
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.sealing import Sealed
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import dump, snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.tables import Table
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import database_layout, source_reading
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading.reading import Leaf
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import workers
from bench import bucket, journal, memory, naive, plays, redis_streams, replay, starts
from bench.scene import Scene, scene

MEBIBYTE = 1 << 20
ALL = ("dump", "chains", "streams", "replay", "bucket", "journal", "plays", "starts")
WITHOUT_DATABASE = {"bucket", "journal", "plays", "starts"}

# Two thirds of the former 35 and 102 tasks, when a step of a drill was several tasks.
MOST_TASKS = {"backup": 23, "drill": 68}


def pipeline(place: Scene) -> None:
    """Back up with the pipeline that an administrator would type, as the yardstick."""
    stages = (
        [f"{place.bindir}/pg_dump", "--host", place.socket, "--username", "caracal", "-Fc", "-Z0", "caracal"],
        ["zstd", "-q", "-1", "-T0"],
        ["age", "-r", place.recipient],
    )
    source: t.Any = None
    running = []
    with open(place.folder / "yardstick.age", "wb") as sink:
        for stage in stages:
            target = sink if stage is stages[-1] else subprocess.PIPE
            running.append(subprocess.Popen(stage, stdin=source, stdout=target))
            if source:
                source.close()
            source = running[-1].stdout
        codes = [stage.wait() for stage in running]
        if any(codes):
            raise SystemExit("the yardstick's pipeline failed")


def _plain_leaf(source: dump.Source, leaf: Table, folder: str) -> Sealed:
    with dump.sealed_object(source, folder) as (sealer, publish):
        dump.copy_leaf(source.place, source.psql, leaf, sealer)
        return publish(f"{folder}/{leaf.name}")


def bare_restore(place: Scene) -> None:
    """Restore both databases from plaintext files with `pg_restore` and two jobs, as the yardstick of restores."""
    socket = str(pathlib.Path(place.sandbox) / "socket")
    login = ["--host", socket, "--username", "caracal"]
    for role in ("caracalapi", "caracalaudit", "caracalauth", "caracalcoordinator", "caracalgateway", "caracalsts"):
        subprocess.run([f"{place.bindir}/createuser", *login, role], check=True)
    for name in ("caracal", "caracal_auth"):
        subprocess.run([f"{place.bindir}/createdb", *login, "--template=template0", name], check=True)
        argv = [f"{place.bindir}/pg_restore", *login, "--exit-on-error", "--jobs=2", "--dbname", name, str(place.folder / f"{name}.dump")]
        subprocess.run(argv, check=True)


def bare_reading(place: Scene) -> None:
    """Do the minimum of a verification of the audit rows, as its yardstick.

    Each row leaves the server once, with two partitions in parallel. Each of the five digests that the formats need is
    computed over as many bytes. Rows are not parsed, and nothing is compared.
    """
    socket = str(pathlib.Path(place.sandbox) / "socket")
    psql = [f"{place.bindir}/psql", "--host", socket, "--username", "caracal", "--no-psqlrc", "--quiet", "--tuples-only", "caracal", "-c"]
    leaves = subprocess.run(
        [*psql, "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit_events'::regclass"], check=True, capture_output=True
    ).stdout.split()
    with concurrent.futures.ProcessPoolExecutor(2) as two:
        list(two.map(_hash_leaf, [[*psql, f"COPY {leaf.decode()} TO STDOUT"] for leaf in leaves]))


def _hash_leaf(argv: list[str]) -> None:
    """Content and chain columns for the block, the product's content, and HMAC's two passes (64 and 129 bytes; 64 and 32)."""
    sha256, chain = hashlib.sha256, 360
    with subprocess.Popen(argv, stdout=subprocess.PIPE, bufsize=1 << 20) as child:
        for line in t.cast("t.IO[bytes]", child.stdout):
            sha256(line[:-chain]).digest()
            sha256(line[-chain:]).digest()
            sha256(line[:-chain]).hexdigest()
            sha256(line[-193:]).digest()
            sha256(line[-96:]).hexdigest()
    if child.returncode:
        raise SystemExit("the yardstick's COPY failed")


def artifacts(place: Scene, jobs: int) -> None:
    """Write the same rows as our artifacts, in `jobs` parallel streams, without inventory and blocks."""
    store = place.folder / "artifacts"
    shutil.rmtree(store, ignore_errors=True)
    to = tuple(recipients.load([place.recipient], []))
    with snapshot.Snapshot(Server(host=place.socket), "caracal") as held:
        read = database_layout.read(held.session)
        programs = (f"{place.bindir}/{name}" for name in ("pg_dump", "pg_restore", "psql"))
        source = dump.Source(held.place, *programs, LocalStore(str(store)), to)
        tasks: list[workers.Task] = [
            (dump.archive, (source, "postgres", "postgres/dump", read.partitioned)),
            (dump.schema_archive, (source, "postgres", "postgres/schema")),
        ]
        workers.run_all(tasks + [(_plain_leaf, (source, leaf, "leaves")) for leaf in read.leaves], jobs)


def source_checks(place: Scene) -> float:
    """Return the seconds of the checks of a source, with two workers as in a dump. A dump knows the number of rows of each partition."""
    with snapshot.Snapshot(Server(host=place.socket), "caracal") as held:
        read = database_layout.read(held.session)
        rows = {leaf.sql: held.session.value(f"SELECT count(*) FROM {leaf.sql}") for leaf in read.leaves}
        tasks: list[workers.Task] = [(source_reading.read, (held.place, read))]
        tasks += [(source_reading.read_leaf, (held.place, Leaf(leaf, rows[leaf.sql], "", ()))) for leaf in read.leaves]
        return seconds(functools.partial(workers.run_all, tasks, 2))


def seconds(work: t.Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


class Figures:
    """Prints each figure at once and keeps it. A target of None means that there is no requirement."""

    def __init__(self) -> None:
        self.all: list[dict[str, t.Any]] = []

    def add(self, name: str, value: float, unit: str, target: float, *, more: bool = False) -> None:
        """Add a figure. `more` is set if the figure must be at least its target."""
        verdict = "ok" if (value >= target if more else value <= target) else "short"
        self.all.append({"name": name, "value": round(value, 3), "unit": unit, "target": target, "verdict": verdict})
        print(f"bench: {name} {value:.3f} {unit} target {target:g} {verdict}", flush=True)


def measure(place: Scene, pairs: int, figures: Figures) -> None:
    """Measure all contestants in turns, so that a slow minute of the machine affects every one."""
    times: dict[str, list[float]] = {"pipeline": [], "artifacts": [], "two_streams": [], "module": []}
    for _pair in range(pairs):
        times["pipeline"].append(seconds(functools.partial(pipeline, place)))
        times["artifacts"].append(seconds(functools.partial(artifacts, place, 1)))
        times["two_streams"].append(seconds(functools.partial(artifacts, place, 2)))
        times["module"].append(seconds(functools.partial(_module_alone, place)))
    medians = {name: statistics.median(all_of_them) for name, all_of_them in times.items()}
    for name, all_of_them in times.items():
        print(f"# {name}: median {medians[name]:.2f} s of {', '.join(f'{one:.2f}' for one in all_of_them)}", flush=True)
    figures.add("dump_artifacts_to_pipeline", medians["artifacts"] / medians["pipeline"], "ratio", 1.10)
    figures.add("dump_two_streams_to_pipeline", medians["two_streams"] / medians["pipeline"], "ratio", 0.85)
    figures.add("dump_module_to_pipeline", medians["module"] / medians["pipeline"], "ratio", 1.5)
    figures.add("dump_source_checks_to_module", source_checks(place) / medians["module"], "ratio", 0.10)
    place.another()
    figures.add("dump_unchanged_to_module", seconds(place.another) / medians["module"], "ratio", 0.2)
    place.summarize_wal()
    figures.add("dump_unchanged_by_wal_to_module", seconds(place.another) / medians["module"], "ratio", 0.1)
    figures.add("dump_module_memory", _peak(place, "backup") / MEBIBYTE, "MiB", 150)
    place.empty_sandbox()
    figures.add("restore_module_memory", _peak(place, "restore") / MEBIBYTE, "MiB", 150)
    _restores(place, max(2, pairs // 2), medians["module"], figures)


def _restores(place: Scene, pairs: int, dumped: float, figures: Figures) -> None:
    for name in ("caracal", "caracal_auth"):
        login = ["--host", place.socket, "--username", "caracal"]
        subprocess.run([f"{place.bindir}/pg_dump", *login, "-Fc", "-Z0", "-f", str(place.folder / f"{name}.dump"), name], check=True)
    bare, ours, verified, floor = [], [], [], []
    for _pair in range(pairs):
        place.empty_sandbox()
        bare.append(seconds(functools.partial(bare_restore, place)))
        place.empty_sandbox()
        ours.append(seconds(place.restore))
        verified.append(seconds(place.verify_all))
        floor.append(seconds(functools.partial(bare_reading, place)) + seconds(functools.partial(place.verify_all, chains=False)))
    for name, times in {"bare restore": bare, "module": ours, "verification": verified, "its floor": floor}.items():
        print(f"# {name}: {', '.join(f'{one:.2f}' for one in times)} s", flush=True)
    figures.add("restore_module_to_bare", statistics.median(ours) / statistics.median(bare), "ratio", 1.1)
    figures.add("drill_verification_to_bare_restore", statistics.median(verified) / statistics.median(bare), "ratio", 0.5)
    figures.add("drill_verification_floor_to_bare_restore", statistics.median(floor) / statistics.median(bare), "ratio", 0, more=True)
    figures.add("state_verify_to_module_dump", seconds(place.verify) / dumped, "ratio", 1.5)


def _chains(place: Scene, pairs: int, events: int, figures: Figures) -> None:
    """Measure `audit_chain_verify` with one and with two workers, and the straightforward loop."""
    times: dict[str, list[float]] = {"naive": [], "one": [], "two": []}
    for _pair in range(pairs):
        times["naive"].append(seconds(functools.partial(naive.verify, place.socket, place.audit_key)))
        times["one"].append(seconds(functools.partial(place.verify_chains, 1)))
        times["two"].append(seconds(functools.partial(place.verify_chains, 2)))
    medians = {name: statistics.median(all_of_them) for name, all_of_them in times.items()}
    for name, median in medians.items():
        print(f"# audit_chain_verify, {name}: {events / median:.0f} rows/s", flush=True)
    figures.add("audit_chain_verify_rows", events / medians["two"], "rows/s", 0, more=True)
    figures.add("audit_chain_verify_to_naive", medians["naive"] / medians["two"], "times", 2.5, more=True)
    figures.add("audit_chain_verify_two_workers_to_one", medians["one"] / medians["two"], "times", 1.2, more=True)
    figures.add("audit_chain_verify_memory_per_worker", _peak(place, "chains") / 2 / MEBIBYTE, "MiB", 100)


def _peak(place: Scene, case: str) -> float:
    """Return the peak memory of a use case and its children, in bytes."""
    env = {**os.environ, "BENCH_FOLDER": str(place.folder), "BENCH_SOCKET": place.socket, "BENCH_BINDIR": place.bindir}
    return memory.peak([sys.executable, "-m", "bench.one", case], env)


def _module_alone(place: Scene) -> None:
    """Use a new repository each time, because an unchanged partition would not be stored again."""
    place.backup()


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--pairs", type=int, default=5, help="how often each is measured")
    parser.add_argument("--mebibytes", type=int, default=10240, help="what goes through a bucket and back")
    parser.add_argument("--entries", type=int, default=100_000, help="of the journal that calls find")
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL)
    arguments = parser.parse_args()
    figures = Figures()
    if "bucket" in arguments.only:
        speed, peak = bucket.measure(arguments.mebibytes)
        figures.add("bucket_speed", speed, "MiB/s", 0, more=True)
        figures.add("bucket_memory", peak / MEBIBYTE, "MiB", 200)
        figures.add("journal_in_a_bucket", bucket.journal(min(500, arguments.entries)), "entries/s", 0, more=True)
    if "journal" in arguments.only:
        _journal(arguments.entries, figures)
    if "starts" in arguments.only:
        found = starts.measure()
        slowest = max(found, key=lambda name: found[name])
        print(f"# the slowest of {len(found)} modules is {slowest}", flush=True)
        figures.add("module_start", found[slowest], "s", 0.25)
    if "plays" in arguments.only:
        for name, played in plays.measure(arguments.pairs).items():
            figures.add(f"play_{name}_tasks", played.tasks, "tasks", MOST_TASKS[name])
            figures.add(f"play_{name}_processor", played.processor, "s", 0, more=True)
            figures.add(f"play_{name}_wall", played.wall, "s", 0, more=True)
    if set(arguments.only) - WITHOUT_DATABASE:
        _with_database(arguments, figures)
    build = pathlib.Path(os.environ.get("CARACAL_OPS_BUILD", "build"))
    build.mkdir(parents=True, exist_ok=True)
    (build / "bench.json").write_text(json.dumps({"events": arguments.events, "pairs": arguments.pairs, "figures": figures.all}, indent=1))


def _journal(entries: int, figures: Figures) -> None:
    found = journal.measure(entries)
    figures.add("journal_read_all", found["local"].whole, "entries/s", 0, more=True)
    for place, one in found.items():
        figures.add(f"journal_call_{place}", one.wall, "s", 0.5)
        figures.add(f"journal_call_{place}_processor", one.processor, "s", 0.5)


def _with_database(arguments: argparse.Namespace, figures: Figures) -> None:
    with scene(arguments.events) as place:
        place.backup()
        if "chains" in arguments.only:
            _chains(place, max(2, arguments.pairs // 2), arguments.events, figures)
        if "streams" in arguments.only:
            speed, peak = redis_streams.measure(place)
            figures.add("redis_snapshot_speed", speed, "entries/s", 0, more=True)
            figures.add("redis_snapshot_memory", peak / MEBIBYTE, "MiB", 100)
        if "replay" in arguments.only:
            speed, peak = replay.measure(place)
            figures.add("replay_archive_speed", speed, "MiB/s", 0, more=True)
            figures.add("replay_archive_memory", peak / MEBIBYTE, "MiB", 100)
        if "dump" in arguments.only:
            measure(place, arguments.pairs, figures)


if __name__ == "__main__":
    main()
