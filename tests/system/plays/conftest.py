# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One set with everything and two sets of databases alone, for all plays of one worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenes import scene as scenes
from scenes.guide_commands import Desk
from scenes.scene import Scene
from scenes.twin_database import TwinCluster
from system.plays import drillable
from system.plays.drillable import Drillable


@pytest.fixture(scope="session")
def whole_set(tmp_path_factory: pytest.TempPathFactory, caracal_database: TwinCluster) -> Drillable:
    """Return the complete set. It is read-only; `drilled` is a copy to work with."""
    return drillable.make(tmp_path_factory.mktemp("whole") / "scene", caracal_database)


@pytest.fixture(scope="session")
def bare_sets(tmp_path_factory: pytest.TempPathFactory, caracal_database: TwinCluster) -> Scene:
    """Return two sets of the databases alone. They are read-only."""
    made = scenes.make(tmp_path_factory.mktemp("bare") / "scene", caracal_database.info.socket_dir)
    made.backup()
    made.backup()
    return made


@pytest.fixture
def drilled(whole_set: Drillable, tmp_path: Path) -> Drillable:
    """Return a copy of the repository and of all hosts."""
    return whole_set.copy(tmp_path / "scene")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An empty folder for the commands of a guide."""
    return Desk(tmp_path)
