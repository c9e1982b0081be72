# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database for one test on a shared server, with a repository."""

from __future__ import annotations

import dataclasses

from scenes.scene import Scene
from scenes.twin_database import TwinCluster


@dataclasses.dataclass(frozen=True)
class OwnDatabase:
    """`database` is on the server of `cluster`, and its sets are in the repository of `scene`."""

    scene: Scene
    cluster: TwinCluster
    database: str

    def execute(self, *statements: str) -> None:
        self.cluster.execute(*statements, database=self.database)
