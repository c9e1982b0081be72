# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What we make of Docker's answers. A program stands in for Docker, which tests cannot have."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.docker.docker import PROJECT, Docker, Volume
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    MissingDependency,
    OptionError,
    PermissionMissing,
    StageFailed,
    Unreachable,
)
from scenes.docker_stand_in import StandIn


@pytest.fixture
def docker(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path / "docker")


def refused(docker: StandIn, kind: type[BackupError], *words: str, project: str = "caracal") -> None:
    with pytest.raises(BackupError) as raised:
        Docker(docker.program).volumes(project)
    assert raised.type is kind, raised.value.msg
    assert not [word for word in words if word not in raised.value.msg], raised.value.msg
    assert "\n" not in raised.value.msg


@pytest.mark.no_false_alarm
def test_the_volumes_of_one_project_by_their_labels(docker: StandIn) -> None:
    docker.foreign()
    docker.volume("other", "stsReplay", "/o")
    docker.volume("caracal", "stsReplay", "/var/lib/docker/volumes/caracal_stsReplay/_data")
    docker.volume("caracal", "postgresData", "/p")
    found = Docker(docker.program).volumes("caracal")
    assert found == [
        Volume("stsReplay", "caracal_stsReplay", "/var/lib/docker/volumes/caracal_stsReplay/_data"),
        Volume("postgresData", "caracal_postgresData", "/p"),
    ]
    assert [one[:2] for one in docker.said] == [["context", "inspect"], ["volume", "ls"], ["volume", "inspect"]]


def test_a_project_without_volumes_is_no_unknown_one(docker: StandIn) -> None:
    docker.set(containers=[{PROJECT: "caracal"}])
    assert Docker(docker.program).volumes("caracal") == []


@pytest.mark.mutation
def test_an_unknown_project(docker: StandIn) -> None:
    refused(docker, OptionError, "knows no Compose project caracal", "run the module where the project runs")
    docker.volume("caracal-dev", "stsReplay", "/d")
    docker.set(containers=[{PROJECT: "another"}])
    refused(docker, OptionError, "knows no Compose project caracal; it knows caracal-dev; name one of these")
    refused(docker, OptionError, "no name of a Compose project", project="a b=c")


REFUSALS: list[tuple[str, type[BackupError], str]] = [
    ("denied", PermissionMissing, "may not reach Docker's socket; run as root"),
    ("denied, newer", PermissionMissing, "may not reach Docker's socket"),
    ("dead", Unreachable, "reaches no Docker daemon; start it"),
    ("dead, newer", Unreachable, "reaches no Docker daemon"),
    ("broken", StageFailed, "something went wrong"),
]


@pytest.mark.mutation
@pytest.mark.parametrize(("refusal", "kind", "words"), REFUSALS, ids=[one[0] for one in REFUSALS])
def test_a_docker_that_refuses(docker: StandIn, refusal: str, kind: type[BackupError], words: str) -> None:
    docker.set(refusal=refusal)
    refused(docker, kind, words)


@pytest.mark.mutation
def test_no_docker(tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match="cannot be run: No such file or directory; install Docker's client, or name its path"):
        Docker(str(tmp_path / "nowhere")).volumes("caracal")


@pytest.mark.mutation
def test_a_daemon_on_another_host_is_not_asked(docker: StandIn) -> None:
    docker.volume("caracal", "stsReplay", "/v")
    for context in ("tcp://10.0.0.1:2376", "ssh://docker.internal", ""):
        docker.set(context=context)
        refused(docker, OptionError, "are not on this host")
    assert {one[0] for one in docker.said} == {"context"}


@pytest.mark.mutation
@pytest.mark.parametrize("answer", ["", "{", "null", "[1]", json.dumps([{"Name": "x", "Labels": None}])])
def test_an_answer_that_docker_does_not_give(docker: StandIn, answer: str) -> None:
    docker.volume("caracal", "stsReplay", "/v")
    docker.set(inspected=answer or "\n")
    refused(docker, StageFailed, "answered otherwise than Docker does")


@pytest.mark.mutation
@pytest.mark.parametrize("path", ["", "relative", "s3://x"])
def test_a_volume_without_a_directory_here(docker: StandIn, path: t.Any) -> None:
    docker.volume("caracal", "stsReplay", path, driver="rexray")
    refused(docker, OptionError, "volume caracal_stsReplay of driver rexray has no directory on this host")
