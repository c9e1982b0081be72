# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployment in one set, and the settings with which `restore_drill` drills all six steps of it."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import typing as t
from pathlib import Path

from scenes import drilled_services, redis_server, role_settings, secrets_scene
from scenes.playing import Play, backup_settings, drill_settings
from scenes.scene import Scene
from scenes.secrets_scene import Deployment
from scenes.twin_database import TwinCluster
from twin import surroundings


@dataclasses.dataclass(frozen=True)
class Drillable:
    """A repository with one set that contains everything. It is read-only; work on a `copy`."""

    deployment: Deployment

    @property
    def scene(self) -> Scene:
        return self.deployment.scene

    def copy(self, root: Path) -> Drillable:
        return Drillable(dataclasses.replace(self.deployment, scene=self.scene.copy(root)))

    @property
    def production(self) -> list[str]:
        """Return the addresses of the source, which must be unreachable from a sandbox."""
        return [f"{self.scene.socket}/.s.PGSQL.{self.deployment.cluster.info.port}"]

    def settings(self, sandbox: str, **own: t.Any) -> dict[str, t.Any]:
        """Return the settings of the drill host; `own` ones are named without their prefix."""
        usual = {
            **drill_settings(self.scene, sandbox),
            "caracal_drill_secrets_identity_files": [str(self.deployment.identity)],
            "caracal_drill_services": [drilled_services.command(name, {}) for name in drilled_services.SERVICES],
            "caracal_drill_production": self.production,
            "caracal_ops_report_dir": str(self.scene.root / "reports"),
        }
        return {**usual, **role_settings.of("caracal_drill", own)}

    def secrets(self) -> list[str]:
        """Return the secrets that must not be anywhere in plaintext after a drill."""
        return sorted({path.read_text(encoding="ascii").strip() for path in self.deployment.directory.iterdir()})


@contextlib.contextmanager
def source(root: Path, cluster: TwinCluster) -> t.Iterator[tuple[Deployment, dict[str, t.Any]]]:
    """Yield a deployment with secrets, streams and replay files, and the settings of the playbook `backup` for all of it."""
    deployment = secrets_scene.make(root, cluster)
    replay = root / "replay"
    with redis_server.start() as redis:
        surroundings.create(cluster.target, cluster.spec.seed, surroundings.connect(f"unix://{redis.socket}", None), replay)
        yield (
            deployment,
            {
                **backup_settings(deployment.scene),
                "caracal_backup_secrets_directory": str(deployment.directory),
                "caracal_backup_secrets_recipients_files": [str(deployment.recipients)],
                "caracal_backup_replay_volumes": [{"service": name, "path": str(replay / name)} for name in ("sts", "gateway")],
                "caracal_ops_redis_unix_socket": redis.socket,
            },
        )
    shutil.rmtree(replay)


def make(root: Path, cluster: TwinCluster) -> Drillable:
    """Create the set with the playbook `backup`."""
    with source(root, cluster) as (deployment, settings):
        play = Play("backup", settings, root)
        assert play.ended() == 0, play.output()
    return Drillable(deployment)
