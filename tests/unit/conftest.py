# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Throw-away PostgreSQL servers for every test that wants one."""

from __future__ import annotations

import typing as t
import uuid

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._sources import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._sources.sandbox import lifecycle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sources.sandbox.info import SandboxInfo, SandboxSpec

FreshCluster = t.Callable[..., SandboxInfo]


def sandbox_path() -> str:
    """A path that is free, short enough for a socket, and whose parents every user may enter."""
    return f"/var/tmp/caracal-test-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def server_install() -> server_binaries.Install:
    return server_binaries.find(None, minimum_major=17)


@pytest.fixture(scope="session")
def postgres_server(server_install: server_binaries.Install) -> t.Iterator[SandboxInfo]:
    """One server for the whole session (of one xdist worker): use databases with names of your own, and no roles of others."""
    directory = sandbox_path()
    yield lifecycle.create(SandboxSpec(directory, server_install)).info
    lifecycle.destroy(directory)


@pytest.fixture
def sandbox_directory() -> t.Iterator[str]:
    """A path for one sandbox; whatever became of it is destroyed afterwards."""
    directory = sandbox_path()
    yield directory
    lifecycle.destroy(directory)


@pytest.fixture
def fresh_cluster(server_install: server_binaries.Install) -> t.Iterator[FreshCluster]:
    """Makes clusters that are the test's alone: `fresh_cluster(superuser="caracal")`."""
    directories: list[str] = []

    def make(superuser: str = "caracal") -> SandboxInfo:
        directories.append(sandbox_path())
        return lifecycle.create(SandboxSpec(directories[-1], server_install, superuser=superuser)).info

    yield make
    for directory in directories:
        lifecycle.destroy(directory)
