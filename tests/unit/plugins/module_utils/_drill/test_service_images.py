# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services from images: the choice of images, and whether they are the images that ran when the set was created."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import service_images
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.service_option import ServiceStart
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.service_plan import Own
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency, OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.sources import Sources
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import NOT_APPLICABLE, PASS, UNPROVEN
from scenes import image_scene
from scenes.engine_stand_in import Engine
from scenes.image_scene import archive

ONE, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def ran(service: str, image: str = ONE, replica: str = "1", **own: t.Any) -> dict[str, t.Any]:
    usual = {"service": service, "replica": replica, "image": "registry.example/go:v1", "digest": OTHER, "image_id": image}
    return {**usual, "command": [f"/bin/{service}"], "working_directory": "/app", **own}


def given(name: str, image: str = "", *command: str, **environment: str) -> ServiceStart:
    reference = f"registry.example/go:v1@{OTHER}" if image else ""
    return ServiceStart(name=name, command=command, image=image, reference=reference, directory="/app", environment=environment)


def test_services_start_as_recorded_in_set() -> None:
    services = service_images.recorded([ran("postgres"), ran("sts"), ran("sts", OTHER, "2"), ran("api")])
    assert services == [given("sts", ONE, "/bin/sts"), given("api", ONE, "/bin/api")]
    assert service_images.recorded([ran("postgres")]) == []


RAN = [ran("sts"), ran("sts", OTHER, "2"), ran("api")]


@pytest.mark.parametrize(
    ("services", "recorded", "verdict", "required"),
    [
        ([given("sts", ONE), given("api", ONE)], RAN, PASS, True),
        ([given("sts", OTHER), given("api", ONE)], RAN, PASS, True),
        ([given("sts", ONE), given("api", OTHER)], RAN, UNPROVEN, True),
        ([given("sts", ONE), given("gateway", ONE)], RAN, UNPROVEN, True),
        ([given("sts", ONE), given("api", "", "/bin/api")], RAN, UNPROVEN, False),
        ([given("sts", OTHER), given("api", "", "/bin/api")], [ran("sts")], UNPROVEN, True),
        ([given("sts", "", "/bin/sts")], [], NOT_APPLICABLE, False),
        ([given("sts", ONE)], [ran("postgres")], NOT_APPLICABLE, False),
    ],
)
def test_image_is_compared_with_the_one_that_ran(services: t.Any, recorded: t.Any, verdict: str, required: bool) -> None:
    found = service_images.compare(services, recorded)
    assert (found.id, found.verdict, found.required) == (service_images.CHECK_ID, verdict, required)


@pytest.mark.parametrize(
    ("config", "command", "directory", "variables"),
    [
        (
            {"Entrypoint": ["/bin/sts"], "Cmd": ["serve"], "WorkingDir": "/app", "Env": ["A=1", "B"]},
            ["/bin/sts", "serve"],
            "/app",
            {"A": "1", "B": ""},
        ),
        ({"Entrypoint": None, "Cmd": ["/bin/sts"]}, ["/bin/sts"], "/", {}),
        (
            {"Cmd": ["/bin/sts", "a\0b"], "WorkingDir": "app", "Env": ["=1", "-u=2", "A B=3", "C=\0", "D=\ud800", "E=4"]},
            [],
            "/",
            {"E": "4"},
        ),
        ({"Cmd": "/bin/sts", "WorkingDir": "/a\0b", "Env": []}, [], "/", {}),
    ],
)
def test_image_provides_only_usable_command_directory_and_variables(
    tmp_path: Path, config: t.Any, command: list[str], directory: str, variables: dict[str, str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"config": config}))
    image = cache.Unpacked(IMAGE, str(tmp_path))
    assert (image.command(), image.working_directory(), image.environment()) == (command, directory, variables)


IMAGE, DATA = image_scene.saved([archive([("bin/sts", b"1")])], ["PATH=/app/bin", "MODE=of the image"])


@pytest.fixture
def directory(tmp_path: Path) -> str:
    (tmp_path / "images").mkdir(mode=0o755)
    return str(tmp_path / "images")


def test_an_image_is_handed_out_once(engine: Engine, directory: str) -> None:
    engine.images = {IMAGE: ([], DATA)}
    services = [given("sts", IMAGE), given("gateway", IMAGE), given("api", "", "/bin/api")]
    found = service_images.bring(services, Sources(directory, engine.address))
    assert found.keys() == {"sts", "gateway"} and found["sts"] == found["gateway"]
    # An image that is already here is not requested.
    assert service_images.bring(services, Sources(directory, "unix:///no/such/socket")) == found
    assert len([path for path in engine.asked if path.endswith("/get")]) == 1


@pytest.mark.mutation
def test_unavailable_image_is_not_a_fault_of_set(engine: Engine, directory: str) -> None:
    engine.images = {ONE: ([], DATA)}
    for address in (engine.address, "unix:///no/such/socket"):
        for image in (ONE, OTHER):
            with pytest.raises(MissingDependency):
                service_images.bring([given("sts", image)], Sources(directory, address))
    with pytest.raises(OptionError):
        service_images.bring([given("sts")], Sources(directory, engine.address))


def test_how_an_image_is_started(directory: str) -> None:
    image, _new = cache.unpacked(directory, IMAGE, [image_scene.saver(DATA)])
    own = Own.of(given("sts", IMAGE, "/bin/sts", MODE="of the drill"), image)
    assert (list(own.command), own.environment) == (["/bin/sts"], {"MODE": "of the drill"})
    assert (own.rootfs, own.directory, own.variables) == (image.rootfs, "/app", {"PATH": "/app/bin", "MODE": "of the image"})
    with pytest.raises(MissingDependency):
        Own.of(given("sts", IMAGE), image)
    assert Own.of(given("sts", "", "/bin/sts"), None).rootfs == ""
