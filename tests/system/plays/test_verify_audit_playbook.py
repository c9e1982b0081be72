# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook verify_audit as an operator runs it: its output and its exit status."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from scenes import scene as scenes
from scenes.playing import Play, backup_settings, stats_of
from scenes.scene import Scene
from scenes.twin_database import TwinCluster, TwinFactory
from twin import keys
from unit.plugins.module_utils._audit.chains.test_audit_corpus import RETENTION_DAYS

FREELY = "SET session_replication_role = replica"


@pytest.fixture
def checked(twin_cluster: TwinFactory, tmp_path: Path) -> tuple[Scene, TwinCluster]:
    """Return a database with rows that are committed in a checkpoint."""
    cluster = twin_cluster()
    scene = scenes.make(tmp_path / "scene", cluster.info.socket_dir)
    scene.call("backup_set", state="open", create_repository=True)
    scene.call("audit_checkpoint")
    return scene, cluster


def play(scene: Scene, folder: Path, key: str, *arguments: str, **more: t.Any) -> tuple[int, str]:
    """Return exit status and console of one run with this HMAC key."""
    path = folder / "audit_hmac_key"
    path.write_text(key, encoding="utf-8")
    settings = {"caracal_ops_audit_hmac_key_files": [str(path)], "caracal_ops_audit_retention_days": RETENTION_DAYS, **more}
    made = Play("verify_audit", {**backup_settings(scene), **settings}, folder, arguments)
    status = made.ended()
    scene.is_clean(made.output())
    assert key not in made.output()
    return status, made.output()


@pytest.mark.mutation
def test_an_operator_verifies_the_live_database(checked: tuple[Scene, TwinCluster], tmp_path: Path) -> None:
    scene, cluster = checked
    key = keys.for_seed(cluster.spec.seed).audit_hmac_key.hex()

    (tmp_path / "ansible.cfg").write_text("[defaults]\nshow_custom_stats = true\n")
    for arguments in ((), ("--check",)):
        status, output = play(scene, tmp_path, key, *arguments)
        assert (status, "pass: " in output, "changed=0" in output) == (0, True, True), output
        left = stats_of(output)
        assert ("caracal_backup_audit_stats" in left) == (not arguments) and {one["verdict"] for one in left.values()} <= {"pass"}

    status, output = play(scene, tmp_path, keys.for_seed("another").audit_hmac_key.hex())
    assert status != 0 and "AUDIT_HMAC_KEY" in output, output

    zone, head = cluster.execute("SELECT zone_id, max(chain_seq) FROM audit_events GROUP BY 1 ORDER BY 2 DESC LIMIT 1")[0]
    cluster.execute(FREELY, f"DELETE FROM audit_events WHERE zone_id = '{zone}' AND chain_seq > {head - 2}")
    status, output = play(scene, tmp_path, key)
    assert status != 0 and f"head is {head - 2}" in output and str(zone) in output, output


@pytest.mark.mutation
def test_without_a_key_nothing_passes(checked: tuple[Scene, TwinCluster], tmp_path: Path) -> None:
    made = Play("verify_audit", backup_settings(checked[0]), tmp_path)
    assert made.ended() != 0
    assert "unproven" in made.output() and "audit_hmac_key_files" in made.output(), made.output()
