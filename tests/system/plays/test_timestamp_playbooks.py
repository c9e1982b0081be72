# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks backup and verify_repository with a timestamp authority and a real ansible-playbook."""

from __future__ import annotations

import typing as t
from pathlib import Path

from scenes.playing import Play, backup_settings
from scenes.scene import DEPLOYMENT, DRILL_HOST, Scene, tree
from scenes.timestamp_authority import Authority, Server, serve


def back_up(scene: Scene, folder: Path, server: Server, roots: str, *options: str) -> str:
    """Return the output of a successful backup."""
    asked = {"caracal_backup_timestamp_url": server.url, "caracal_ops_timestamp_roots": roots}
    play = Play("backup", {**backup_settings(scene), **asked}, folder, options)
    assert play.ended() == 0, play.output()
    output = " ".join(play.output().split())
    scene.is_clean(output)
    return output


def verify(scene: Scene, folder: Path, roots: str) -> tuple[int, str]:
    settings: dict[str, t.Any] = {
        "caracal_ops_repository": str(scene.repository),
        "caracal_ops_deployment": DEPLOYMENT,
        "caracal_ops_allowed_signers": str(scene.root / "allowed_signers"),
        "caracal_ops_high_water_mark": str(scene.mark(DRILL_HOST)),
        "caracal_ops_timestamp_roots": roots,
    }
    play = Play("verify_repository", settings, folder)
    return play.ended(), " ".join(play.output().split())


def test_backup_is_timestamped_and_succeeds_without_authority(empty_scene: Scene, tmp_path: Path) -> None:
    scene, authority = empty_scene, Authority()
    roots = authority.roots(tmp_path)
    with serve(authority) as server:
        before = tree(scene.root)
        assert "timestamp: unproven, no timestamp was requested" in back_up(scene, tmp_path, server, roots, "--check")
        assert tree(scene.root) == before and not server.asked
        assert "timestamp: pass, CN=Test Stamper timestamped entry 2 at 20" in back_up(scene, tmp_path, server, roots)
        (stamped,) = scene.files("journal/*.tsr")
        server.code = 500
        output = back_up(scene, tmp_path, server, roots)
        assert f"timestamp: unproven, {server.url} answered with HTTP status 500" in output and "failed=0" in output
    assert len(scene.sets()) == 2 and scene.files("journal/*.tsr") == [stamped]
    status, output = verify(scene, tmp_path, roots)
    assert status == 0 and "1 timestamp verified, newest for entry 2 by CN=Test Stamper" in output and "entries after it: 1" in output, (
        output
    )
    (scene.repository / stamped).write_bytes(b"?")
    status, output = verify(scene, tmp_path, roots)
    assert status == 2 and "verdict fail: journal.timestamps" in output and "is not a valid timestamp" in output, output


def test_a_timestamp_url_without_roots_is_refused_at_once(empty_scene: Scene, tmp_path: Path) -> None:
    settings = {**backup_settings(empty_scene), "caracal_backup_timestamp_url": "https://tsa.example.org/tsr"}
    play = Play("backup", settings, tmp_path)
    assert play.ended() == 2 and "Set caracal_backup_timestamp_url and caracal_ops_timestamp_roots, or neither." in play.output()
    assert not empty_scene.repository.exists()
