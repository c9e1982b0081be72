# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup host attacks the controller and a host with a replay directory through its answers.

Its modules do not run. They answer with the samples of their documentation, changed by the attack. All other hosts are real.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import typing as t
from pathlib import Path

import pyrage
import pytest

from scenes import lying_host, recorded_plays, replay_folders, sample_answers
from scenes.lying_host import Answers
from scenes.recorded_plays import Ran
from scenes.replay_folders import event

HOSTILE, REPLAY = "hostile", "replay"
# The folder for files in transit, on every host and on the controller.
WAY = Path("/var/tmp")


def recipient() -> str:
    return str(pyrage.x25519.Identity.generate().to_public())


def play(folder: Path, patch: pytest.MonkeyPatch, attack: Answers, **settings: t.Any) -> Ran:
    """Run a backup of the hostile host."""
    folder.mkdir()
    samples = sample_answers.by_module()
    instead = {name: {**answer, **attack.get(name, {})} for name, answer in samples.items()}
    hosts = {HOSTILE: lying_host.python(folder / "python", attack, instead), REPLAY: None, "localhost": None}
    given = {"caracal_ops_repository": str(folder / "repository"), "caracal_ops_deployment": "prod", "caracal_backup_hosts": HOSTILE}
    return recorded_plays.play("backup", folder, patch, hosts=hosts, settings={**given, **settings})


@pytest.fixture
def replay(tmp_path: Path) -> dict[str, t.Any]:
    """Return settings with a replay directory on another host."""
    folder = replay_folders.folder(tmp_path / "gateway")
    folder.file("pending-7-1.ndjson", event("one"))
    return {
        "caracal_backup_replay_volumes": [{"service": "gateway", "replica": "b", "path": str(folder.volume), "host": REPLAY}],
        "caracal_backup_recipients": [recipient()],
    }


@pytest.fixture
def left() -> t.Iterator[Path]:
    """Yield a folder on the controller that a play could not remove because its host had become unreachable."""
    folder = Path(tempfile.mkdtemp(prefix="caracal_backup.", dir=WAY))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.mutation
def test_cleanup_of_a_failed_backup_removes_no_other_directory(left: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From that folder, a set ID could lead to any directory.

    A fact names the controller as the host of a replay directory, so that the cleanup of the failed backup would remove
    the folder of the set there.
    """
    kept = tmp_path / "operator" / "keys"
    kept.mkdir(parents=True)
    set_id = f"{left.name.removeprefix('caracal_backup.')}/../../..{kept}"
    volumes = [{"service": "sts", "path": str(tmp_path), "host": "localhost"}]
    attack: Answers = {
        "backup_preflight": {"set_id": set_id},
        "backup_set": {"set_id": set_id, "ansible_facts": {"caracal_backup_replay_volumes": volumes}},
        "pg_encrypted_dump": {"failed": True, "msg": "no room"},
    }
    played = play(tmp_path / "play", monkeypatch, attack)
    assert played.status != 0
    assert kept.is_dir(), played.output


def carried(ran: Ran, task: str) -> list[dict[str, t.Any]]:
    """Return the options of a task on the replay host."""
    return [json.loads(one.removeprefix(f"{task} ")) for one in ran.tasks[REPLAY] if one.startswith(f"{task} ")]


@pytest.mark.mutation
def test_facts_of_a_host_change_no_recipients_of_another_host(
    replay: dict[str, t.Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"caracal_backup_recipients": [recipient()], "caracal_backup_recipients_files": []}
    played = play(tmp_path / "play", monkeypatch, {"backup_preflight": {"ansible_facts": facts}}, **replay)
    sealed = [one["recipients"] for one in carried(played, "Encrypt remote replay directories")]
    assert sealed and all(one == replay["caracal_backup_recipients"] for one in sealed), played.output


@pytest.mark.mutation
def test_facts_of_a_host_do_not_raise_the_transfer_limit(replay: dict[str, t.Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is one byte, less than any archive has."""
    attack = {"backup_preflight": {"ansible_facts": {"caracal_backup_replay_carry_limit": 1 << 40}}}
    played = play(tmp_path / "play", monkeypatch, attack, **replay, caracal_backup_replay_carry_limit=1)
    assert played.status != 0 and '"error": "StorageError"' in played.output, played.output
