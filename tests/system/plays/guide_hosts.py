# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts and settings for the commands of the guides, all of them on this machine."""

from __future__ import annotations

import dataclasses
import os
import typing as t
from pathlib import Path

from scenes import drilled_services
from scenes.guide_commands import Desk
from scenes.scene import DEPLOYMENT

# The line of `pg_hba.conf` that the guides add.
RULE = "local all backup scram-sha-256\n"
# Packages and Python libraries of the machine stay as they are.
TAGS = "caracal_setup_packages,caracal_setup_python"


def key_paths(both: Path, backup: Path, drill: Path) -> dict[str, t.Any]:
    """Write the variables of keys and lists: one folder for the variables of both hosts, and one for each host."""
    return {
        "caracal_ops_allowed_signers": str(both / "allowed_signers"),
        "caracal_ops_high_water_mark": str(both / "mark.json"),
        "caracal_backup_signing_key": str(backup / "backup_signing_key"),
        "caracal_backup_recipients_files": [str(backup / "database.recipients")],
        "caracal_backup_secrets_recipients_files": [str(backup / "secrets.recipients")],
        "caracal_drill_signing_key": str(drill / "drill_signing_key"),
        "caracal_drill_identity_files": [str(drill / "drill.identity"), str(drill / "secrets.identity")],
        "caracal_drill_recipients_files": [str(drill / "details.recipients")],
    }


@dataclasses.dataclass(frozen=True)
class Hosts:
    """Names of the hosts in a guide, and variables of each that replace paths below /etc."""

    desk: Desk
    backup: str
    drill: str

    def paths(self, host: str) -> dict[str, t.Any]:
        return key_paths(*[self.desk.folder / host] * 3)

    def write(self, *more: str) -> None:
        self.desk.inventory({host: self.paths(host) for host in (self.backup, self.drill, *more)})

    @property
    def settings(self) -> dict[str, t.Any]:
        return {
            "caracal_ops_repository": str(self.desk.folder / "srv" / "repository"),
            "caracal_ops_deployment": DEPLOYMENT,
            "caracal_backup_hosts": self.backup,
            "caracal_drill_hosts": self.drill,
        }


def source_settings(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the locations of the assets of a deployment. Keys, recipients and the repository are from `setup` and the guide."""
    assets = ("login_unix_socket", "secrets_directory", "replay_volumes", "redis_unix_socket")
    return {name: value for name, value in settings.items() if name.endswith(assets)}


def drill_settings(folder: Path, sandbox: str, production: str) -> dict[str, t.Any]:
    return {
        "caracal_drill_sandbox_directory": sandbox,
        "caracal_drill_minimum_free_mb": 100,
        "caracal_drill_allow_shared_filesystem": True,
        "caracal_drill_services": [drilled_services.command(name, {}) for name in drilled_services.SERVICES],
        "caracal_drill_production": [production],
        "caracal_ops_report_dir": str(folder / "reports"),
    }


def restore_settings(folder: Path, socket: str, redis_socket: str) -> dict[str, t.Any]:
    """Return the locations at which an empty host gets everything, owned by the user of this test."""
    replay = [{"service": name, "path": str(folder / name)} for name in ("sts", "gateway")]
    for one in replay:
        (Path(one["path"]) / "audit-replay").mkdir(parents=True)
    return {
        "caracal_ops_login_unix_socket": socket,
        "caracal_restore_login_user": "caracal",
        "caracal_ops_redis_unix_socket": redis_socket,
        "caracal_restore_confirm": [f"{redis_socket}/0"],
        "caracal_restore_secrets_directory": str(folder / "secrets"),
        "caracal_restore_replay_volumes": replay,
        "caracal_restore_replay_owner": os.getuid(),
        "caracal_restore_replay_group": os.getgid(),
        "caracal_ops_audit_retention_days": 3650,
    }
