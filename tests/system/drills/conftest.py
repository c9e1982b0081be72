# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployment of each family with a committed set, shared by all tests of a worker, and a drill of it for each test."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from scenes import drilling
from scenes.drilling import Drill, Source


@pytest.fixture(scope="session", autouse=True)
def no_home(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[None]:
    """Hide the user's own keys from these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        before = os.umask(0o022)
        yield
        os.umask(before)


def _backed_up(release: str, install: server_binaries.Install, root: Path) -> t.Iterator[Source]:
    with drilling.source(install, root, release) as made:
        made.backup()
        yield made


@pytest.fixture(scope="session")
def store_source(server_install: server_binaries.Install, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Source]:
    """Return a deployment of the family secret_store. Tests do not change it."""
    yield from _backed_up("v1.0.0", server_install, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def bare_source(server_install: server_binaries.Install, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Source]:
    """Return a deployment of the family zone_kek. Tests do not change it."""
    yield from _backed_up("v2026.06.21", server_install, tmp_path_factory.mktemp("bare"))


@pytest.fixture
def store_drill(store_source: Source, tmp_path: Path) -> t.Iterator[Drill]:
    made = drilling.drill(store_source, tmp_path)
    yield made
    drilling.remove(made)


@pytest.fixture
def bare_drill(bare_source: Source, tmp_path: Path) -> t.Iterator[Drill]:
    made = drilling.drill(bare_source, tmp_path)
    yield made
    drilling.remove(made)
