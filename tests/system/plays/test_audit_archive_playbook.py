# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook audit_archive as an operator runs it: its output and its exit status."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from scenes import archive_scene, role_settings
from scenes.archive_scene import ArchiveScene
from scenes.playing import Play, backup_settings, stats_of
from scenes.twin_database import TwinCluster
from twin import keys

ALIKE = ("repository", "deployment", "signing_key", "allowed_signers", "high_water_mark", "login_unix_socket")


def play(place: ArchiveScene, folder: Path, *arguments: str, **more: t.Any) -> tuple[int, str]:
    """Return exit status and console of one run."""
    key = keys.for_seed(place.cluster.spec.seed).audit_hmac_key.hex()
    path = folder / "audit_hmac_key"
    path.write_text(key, encoding="utf-8")
    usual = backup_settings(place.scene)
    settings = {role_settings.named("caracal_archive", name): usual[role_settings.named("caracal_backup", name)] for name in ALIKE}
    own = {"source": str(place.source), "archive": place.archive, "audit_hmac_key_files": [str(path)], **more}
    made = Play("audit_archive", {**settings, **role_settings.of("caracal_archive", own)}, folder, arguments)
    status = made.ended()
    place.scene.is_clean(made.output())
    assert key not in made.output()
    return status, made.output()


@pytest.mark.mutation
@pytest.mark.no_false_alarm
def test_an_operator_archives_and_verifies(archive_twin: TwinCluster, tmp_path: Path) -> None:
    place = archive_scene.new(tmp_path, archive_twin)
    (tmp_path / "ansible.cfg").write_text("[defaults]\nshow_custom_stats = true\n")
    status, output = play(place, tmp_path, "--check", "--diff")
    assert (status, "To archive: 36 hours" in output, Path(place.archive).exists()) == (0, True, False), output
    assert stats_of(output) == {}
    status, output = play(place, tmp_path)
    assert (status, "Archived: 36 hours" in output, "verdict pass" in output, "changed=1" in output) == (0, True, True, True), output
    left = stats_of(output)["caracal_archive_stats"]
    assert (left["verdict"], left["finding"], left["archived"], left["unchanged"]) == ("pass", "", 36, 0)
    status, output = play(place, tmp_path)
    assert (status, "36 unchanged" in output, "changed=0" in output) == (0, True, True), output

    place.file(place.stored()[5]).unlink()
    status, output = play(place, tmp_path, verify=False)
    assert (status, "but is missing" in output, "not requested" in output) == (0, True, True), output
    path = place.file(place.stored()[5])
    path.write_bytes(path.read_bytes()[:-9] + b"otherPAR1")
    status, output = play(place, tmp_path)
    assert status != 0 and "archive.journal" in output and "does not match journal" in output, output
    left = stats_of(output)["caracal_archive_stats"]
    assert (left["verdict"], left["finding"]) == ("fail", "archive.journal")
