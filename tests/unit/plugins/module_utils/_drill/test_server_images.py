# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers of a drill from images: which, whether they are those that ran, and what is taken where they cannot be had."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import server_images
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.server_images import DATABASE, REDIS, Server
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import Busy, MissingDependency
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import NOT_APPLICABLE, PASS, UNPROVEN
from scenes.image_scene import ran

ONE, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
RAN = [ran("redis", OTHER), ran("postgres", ONE), ran("api", OTHER)]
PLACES = {"engine": None, "image_archives": ["/srv/images.tar"], "images_directory": "/var/cache/images"}


@pytest.mark.parametrize(
    ("server", "image", "services", "verdict"),
    [
        (DATABASE, ONE, RAN, PASS),
        (DATABASE, OTHER, [*RAN, ran("postgres", OTHER)], PASS),
        (DATABASE, OTHER, RAN, UNPROVEN),
        (DATABASE, "", RAN, UNPROVEN),
        (DATABASE, "", [ran("redis", OTHER)], NOT_APPLICABLE),
        (DATABASE, ONE, [], NOT_APPLICABLE),
        (REDIS, OTHER, RAN, PASS),
        (REDIS, "", RAN, UNPROVEN),
        (REDIS, "", [], NOT_APPLICABLE),
    ],
)
def test_whether_it_is_what_ran(server: Server, image: str, services: t.Any, verdict: str) -> None:
    found = server_images.compare(server, "17.10", image, services)
    assert (found.id, found.verdict, found.required) == (server.check, verdict, False)
    assert "17.10" in found.message


class Calls:
    """Starts a server: with an image as `imaged` says, without as `installed` says."""

    def __init__(self, imaged: Exception | None = None, installed: Exception | None = None) -> None:
        self.made: list[dict[str, t.Any]] = []
        self._answers = imaged, installed

    def __call__(self, **own: t.Any) -> dict[str, t.Any]:
        self.made.append(own)
        fault = self._answers[0 if own else 1]
        if fault:
            raise fault
        return {"image": own.get("image", "")}


def start(calls: Calls, named: str | None = None, services: t.Any = RAN) -> tuple[dict[str, t.Any], str]:
    return server_images.start(DATABASE, {**PLACES, "other": 1}, services, named, calls)


def test_the_image_that_ran_is_taken() -> None:
    calls = Calls()
    assert start(calls) == ({"image": ONE}, "")
    assert calls.made == [{"image": ONE, "reference": f"postgres:1@{ONE}", **PLACES}]


@pytest.mark.parametrize(("named", "services"), [("/usr/lib/postgresql/17/bin", RAN), (None, [ran("redis", ONE)]), (None, [])])
def test_what_is_named_or_unknown_is_of_this_host(named: str | None, services: t.Any) -> None:
    calls = Calls()
    assert start(calls, named, services) == ({"image": ""}, "")
    assert calls.made == [{}]


@pytest.mark.mutation
def test_where_the_image_cannot_be_had_this_host_has_one() -> None:
    found, why = start(Calls(MissingDependency("no image")))
    assert found == {"image": ""} and why.endswith("no image")


@pytest.mark.mutation
def test_where_neither_can_be_had_both_are_said() -> None:
    with pytest.raises(Busy) as caught:
        start(Calls(MissingDependency("no image"), Busy("no server", pid=1)))
    assert "no server" in caught.value.msg and "no image" in caught.value.msg and caught.value.details == {"pid": 1}
    with pytest.raises(MissingDependency, match=r"\Ano bubblewrap\Z"):
        start(Calls(MissingDependency("no bubblewrap"), MissingDependency("no bubblewrap")))
