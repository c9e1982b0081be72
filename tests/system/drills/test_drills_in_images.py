# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drills in the images that ran when the set was created, on hosts without PostgreSQL, with it, and without either."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import client_binaries, server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.installs import Candidate, candidates
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import redis_program as sandbox_redis
from scenes import drilling, image_scene, redis_server
from scenes.drilling import Drill, Source
from scenes.image_scene import Image

# A host without any drill so far.
FIRST = {"journal.freshness"}


@pytest.fixture(scope="module")
def postgres(server_install: Install) -> Image:
    return image_scene.postgres(server_install)


@pytest.fixture(scope="module")
def redis() -> Image:
    return image_scene.programs([redis_server.program(8)], "/usr/local/bin")


@pytest.fixture(scope="module")
def source(server_install: Install, postgres: Image, redis: Image, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Source]:
    """Return a deployment with a newest set that names the image of its database."""
    with drilling.source(server_install, tmp_path_factory.mktemp("imaged"), "v1.0.0") as made:
        made.backup([image_scene.ran("postgres", postgres[0]), image_scene.ran("redis", redis[0])])
        yield made


@pytest.fixture
def drill(source: Source, postgres: Image, redis: Image, tmp_path: Path) -> t.Iterator[Drill]:
    (tmp_path / "images").mkdir(mode=0o755)
    (tmp_path / "postgres.tar").write_bytes(postgres[1])
    image_scene.layout(tmp_path / "redis", redis)
    made = drilling.drill(source, tmp_path)
    made.settings["caracal_ops_engine"] = "unix:///no/such/socket"
    made.settings["caracal_drill_images_directory"] = str(tmp_path / "images")
    made.settings["caracal_drill_image_archives"] = [str(tmp_path / name) for name in ("postgres.tar", "redis")]
    yield made
    drilling.remove(made)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the installed programs, except those named in settings."""

    def named(pg_bin: str | None) -> list[Candidate]:
        return candidates(pg_bin) if pg_bin else []

    for module in (client_binaries, server_binaries):
        monkeypatch.setattr(module, "candidates", named)
    find = sandbox_redis.find
    monkeypatch.setattr(sandbox_redis, "find", lambda path: find(path or "/no/such/program"))


def test_drill_passes_with_servers_from_images(drill: Drill, nothing_installed: None) -> None:
    outcome = drill.run()
    assert outcome.verdict == "pass", outcome.summary()
    assert {outcome.checks[name]["verdict"] for name in ("sandbox.server", "redis.server")} == {"warn"}


def test_installed_programs_are_preferred_to_images(drill: Drill) -> None:
    """The installed programs come first, because the creator of the set chose the images."""
    outcome = drill.run(until="prepare", without=["migrations", "state", "secrets", "evidence", "keys"])
    assert {outcome.checks[name]["verdict"] for name in ("sandbox.server", "redis.server")} == {"pass"}, outcome.summary()
    assert not list(Path(drill.settings["caracal_drill_images_directory"]).glob("*"))


@pytest.mark.mutation
def test_drill_without_image_and_server_is_unproven(drill: Drill, nothing_installed: None) -> None:
    drill.settings["caracal_drill_image_archives"] = []
    outcome = drill.run(until="sandbox")
    assert "drill.sandbox" in outcome.unproven and "sandbox.server" not in outcome.checks
    words = outcome.checks["drill.sandbox"]["message"]
    assert "no PostgreSQL server" in words and "is not available" in words
