# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The services of both families, running on a twin of their release that contains a canary."""

from __future__ import annotations

import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from harness.fixtures import NOW, make_twin
from scenes import redis_server
from scenes.redis_server import RedisServer
from scenes.twin_canary import Canary, made, upstream
from scenes.twin_database import TwinCluster
from scenes.twin_services import Deployment, deployment
from twin.spec import Spec

RELEASES = ("v1.0.0", "v2026.06.21")
Deployer = t.Callable[..., Deployment]


@pytest.fixture(scope="session", params=RELEASES)
def release_cluster(request: pytest.FixtureRequest, server_install: server_binaries.Install) -> t.Iterator[TwinCluster]:
    """Yield a twin of each family without dead outbox entries. Copy it and never write to it."""
    with make_twin(server_install, Spec(events=300, seed="services", now=NOW, release=request.param)) as cluster:
        cluster.execute(
            "UPDATE event_outbox SET dispatched_at = now(), available_at = now() WHERE available_at = 'infinity'",
            "UPDATE caracal_outbox SET status = 'published', published_at = now(), available_at = now() WHERE status = 'dead'",
        )
        yield cluster


@pytest.fixture(scope="session")
def target() -> t.Iterator[str]:
    with upstream() as address:
        yield address


@pytest.fixture(scope="session")
def shared(release_cluster: TwinCluster, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Deployment]:
    """Yield all services, running for the whole session. A test may not break them."""
    database = _copy(release_cluster)
    with redis_server.start() as redis, deployment(release_cluster, redis, tmp_path_factory.mktemp("shared"), database) as made_one:
        made_one.start()
        yield made_one


@pytest.fixture(scope="session")
def canary(shared: Deployment, target: str) -> Canary:
    return made(shared, target)


@pytest.fixture
def redis() -> t.Iterator[RedisServer]:
    """Yield a Redis for one test."""
    with redis_server.start() as server:
        yield server


@pytest.fixture
def deployed(release_cluster: TwinCluster, redis: RedisServer, tmp_path: Path) -> t.Iterator[Deployment]:
    """Yield a deployment with its own database for one test, without any started service."""
    database = _copy(release_cluster)
    with deployment(release_cluster, redis, tmp_path, database) as made_one:
        yield made_one
    release_cluster.execute(f"DROP DATABASE {database} WITH (FORCE)", database="postgres")


def _copy(cluster: TwinCluster) -> str:
    name = f"services_{uuid.uuid4().hex[:12]}"
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE caracal OWNER caracal STRATEGY file_copy", database="postgres")
    return name
