# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backup playbook with everything that a set can contain, while an observer records all that is visible on the host.

Secrets must not be in Ansible's temporary files, in an argument list or environment, or in the log at `-vvv` with all
results. They must not be in files that remain in the repository or next to it. The control: a secret that is exposed on
purpose is found in each of these places.
"""

from __future__ import annotations

import dataclasses
import typing as t
import uuid
from pathlib import Path

import pytest

from scenes import redis_server, replay_folders, secrets_scene
from scenes.playing import Play, backup_settings
from scenes.replay_folders import event
from scenes.sampling import Needles, Sampler
from scenes.scene import BACKUP_HOST
from scenes.secrets_scene import Deployment
from scenes.twin_database import TwinFactory

DATABASE_PASSWORD, REDIS_PASSWORD, TOKEN = (f"{name}-{uuid.uuid4().hex}" for name in ("database", "redis", "token"))


@dataclasses.dataclass(frozen=True)
class Watched:
    """A deployment, the settings of its backup, and the files that may contain its secrets."""

    deployment: Deployment
    settings: dict[str, t.Any]
    private: dict[str, Path]

    def needles(self) -> Needles:
        scene, lines = self.deployment.scene, {}
        for name, path in self.private.items():
            content = [line for line in path.read_text(encoding="utf-8").split("\n") if line and not line.startswith("-----")]
            lines.update({f"{name} {number}": line for number, line in enumerate(content)})
        identities = {"database's identity": scene.identity, "secrets' identity": self.deployment.identity}
        lines.update({name: path.read_text(encoding="utf-8").strip() for name, path in identities.items()})
        return Needles({**lines, "token in caracal.env": TOKEN})


@pytest.fixture
def watched(twin_cluster: TwinFactory, tmp_path: Path) -> t.Iterator[Watched]:
    """Yield a deployment with unique values for the database's, Redis's and every other secret."""
    cluster = twin_cluster(seed=f"watched {uuid.uuid4().hex}")
    cluster.execute(f"CREATE ROLE backup LOGIN BYPASSRLS PASSWORD '{DATABASE_PASSWORD}'", database="postgres")
    cluster.execute("GRANT pg_read_all_data TO backup", database="postgres")
    deployment = secrets_scene.make(tmp_path / "scene", cluster)
    deployment.put("redisPassword", REDIS_PASSWORD)
    deployment.put("console/smtpUrl", f"smtp://operator:{uuid.uuid4().hex}@mail")
    files = {
        "database password": deployment.file("database_password", DATABASE_PASSWORD),
        "Redis password": deployment.file("redis_password", REDIS_PASSWORD),
        "signing key": deployment.scene.key(BACKUP_HOST),
        **{path.name: path for path in deployment.directory.rglob("*") if path.is_file()},
    }
    environment = deployment.file("caracal.env", f"STS_ADMIN_TOKEN={TOKEN}\n")
    replay = replay_folders.folder(tmp_path / "sts")
    replay.file("pending-7-1.ndjson", event("one"))
    with redis_server.start() as redis:
        redis_server.fill(redis)
        redis.run("CONFIG", "SET", "requirepass", REDIS_PASSWORD)  # not as an argument, which all users can see
        settings = {
            **backup_settings(deployment.scene),
            "caracal_ops_login_user": "backup",
            "caracal_ops_login_password_file": str(files["database password"]),
            "caracal_backup_secrets_directory": str(deployment.directory),
            "caracal_backup_environment_file": str(environment),
            "caracal_backup_secrets_recipients_files": [str(deployment.recipients)],
            "caracal_backup_replay_volumes": [{"service": "sts", "path": str(replay.volume)}],
            "caracal_ops_redis_unix_socket": redis.socket,
            "caracal_ops_redis_password_file": str(files["Redis password"]),
        }
        yield Watched(deployment, settings, files)


def play(watched: Watched, folder: Path, **settings: t.Any) -> tuple[Sampler, set[tuple[str, str]], Play]:
    """Run a backup; return the sampler, and the secrets found in the log and in all remaining files."""
    folder.mkdir()
    needles = watched.needles()
    started = Play("backup", {**watched.settings, **settings}, folder, ("--diff", "-vvv"))
    with Sampler(folder / "tmp", needles, started.mark) as sampler:
        assert started.ended() == 0, started.output()
    left = needles.below(folder, watched.deployment.scene.repository, Path(watched.settings["caracal_ops_high_water_mark"]).parent)
    return sampler, {one for one in left if one[1] not in {str(path) for path in watched.private.values()}}, started


@pytest.mark.no_false_alarm
def test_a_backup_exposes_no_secret(watched: Watched, tmp_path: Path) -> None:
    sampler, left, played = play(watched, tmp_path / "play")
    modules = ("secrets_bundle", "replay_volume_archive", "redis_stream_snapshot", "pg_encrypted_dump", "backup_set", "backup_set_verify")
    assert {f"AnsiballZ_{name}.py" for name in modules} <= sampler.files
    assert "pg_dump" in sampler.programs and sampler.environments > 100 and sampler.rounds > 50
    assert "module_args" in played.output() and '"key_ids": {' in played.output()
    manifest = watched.deployment.manifest(watched.deployment.scene.sets()[-1])
    assert {"dump", "secrets", "replay", "redis"} <= {one["kind"] for one in manifest["artifacts"]}
    assert sampler.found == set() and left == set()


@pytest.mark.mutation
def test_finds_exposed_secrets_in_every_location(watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expose secrets by mistake, as an operator might.

    One is written into a setting, so it is in arguments, modules' temporary files, the log and the manifest. Another one is exported.
    """
    monkeypatch.setenv("PGPASSWORD", DATABASE_PASSWORD)
    sampler, left, _played = play(watched, tmp_path / "play", caracal_backup_left_out={"console": f"its password is {REDIS_PASSWORD}"})
    seen = {(name, where.partition(" of ")[0]) for name, where in sampler.found}
    password = next(name for name, _where in seen if name in ("Redis password 0", "redisPassword 0"))
    assert {(password, "arguments"), (password, "AnsiballZ_backup_set.py"), ("database password 0", "environment")} <= seen, seen
    assert {Path(path).suffix for _name, path in left} >= {".log", ".json"}, left
