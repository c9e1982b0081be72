# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Only with the tools that RECOVERY.md names: an archive that `docker load` accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._images import saved
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.budget import Budget
from harness.fixtures import FreshCluster
from scenes import image_scene
from scenes.by_hand import Recover, commands
from scenes.engine_stand_in import Engine
from scenes.scene import Scene
from unit.plugins.module_utils._assets.images.test_image_archive import BASE, NEXT, ONE, OTHER, UPPER, commit, flip

INDEXED = image_scene.described(NEXT)


@pytest.fixture
def kept(scene: Scene, engine: Engine) -> Scene:
    engine.images = {image: ([], data) for image, data in (ONE, INDEXED)}
    commit(scene, engine, ONE, INDEXED)
    return scene


@pytest.mark.no_false_alarm
def test_recovery_commands_create_a_loadable_archive(kept: Scene, recover: Recover, fresh_cluster: FreshCluster, tmp_path: Path) -> None:
    set_id = kept.sets()[-1]
    done = recover(kept, set_id, fresh_cluster(), commands(kept, set_id, 7), RESTORED=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    # Without the documents above it, an engine uses the configuration.
    configuration = f"sha256:{image_scene.hex_of(image_scene.files(NEXT[1])[next(iter(_configurations(NEXT[1])))])}"
    for number, (image_id, layers) in enumerate([(ONE[0], [BASE, UPPER, BASE]), (configuration, [BASE, OTHER])]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with (tmp_path / "images.tar").open("rb") as made:
            found = saved.keep(made, str(folder), image_id, Budget())
        assert [Path(path).read_bytes() for path, _digest in found.layers] == layers


def _configurations(data: bytes) -> list[str]:
    return [name for name in image_scene.files(data) if name.endswith(".json") and name != "manifest.json"]


@pytest.mark.mutation
def test_recovery_commands_refuse_an_altered_image(kept: Scene, recover: Recover, fresh_cluster: FreshCluster, tmp_path: Path) -> None:
    set_id = kept.sets()[-1]
    flip(kept.repository / next(path for path in kept.files("objects/images/*") if image_scene.hex_of(UPPER) in path))
    done = recover(kept, set_id, fresh_cluster(), commands(kept, set_id, 7), RESTORED=str(tmp_path))
    assert done.returncode != 0 and not (tmp_path / "images.tar").exists()


def test_recovery_file_without_images_omits_docker_load(scene: Scene) -> None:
    assert "docker load" not in (scene.repository / "sets" / scene.sets()[-1] / "RECOVERY.md").read_text()
