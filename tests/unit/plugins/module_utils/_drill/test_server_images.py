# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A drill uses the servers of its host. If there are none, it uses the images that ran in production."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import server_images
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.server_images import DATABASE, REDIS, Server
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import Busy, MissingDependency
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.sources import Sources
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import PASS, WARN
from scenes.image_scene import ran


@pytest.fixture(autouse=True)
def unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every image exist on this host."""
    monkeypatch.setattr(cache, "unpacked", lambda directory, image_id, _saves: (cache.Unpacked(image_id, directory), False))


ONE, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
RAN = [ran("redis", OTHER), ran("postgres", ONE), ran("api", OTHER)]


@pytest.mark.parametrize(
    ("server", "image", "verdict"), [(DATABASE, "", PASS), (DATABASE, ONE, WARN), (REDIS, "", PASS), (REDIS, ONE, WARN)]
)
def test_server_from_image_of_set_is_reported_with_warning(server: Server, image: str, verdict: str) -> None:
    found = server_images.server_check(server, "17.10", image)
    assert (found.id, found.verdict, found.required) == (server.check, verdict, False)
    assert "17.10" in found.message


class Calls:
    """Starts a server. `imaged` is its error if it has an image, `installed` its error otherwise."""

    def __init__(self, imaged: Exception | None = None, installed: Exception | None = None) -> None:
        self.made: list[str] = []
        self._answers = imaged, installed

    def __call__(self, image: cache.Unpacked | None) -> str:
        """Record the ID of the image, or an empty text for a server of this host."""
        self.made.append(image.image_id if image else "")
        fault = self._answers[0 if image else 1]
        if fault:
            raise fault
        return self.made[-1]


def start(calls: Calls, named: str | None = None, services: t.Any = RAN) -> str:
    return server_images.start(DATABASE, services, named, calls, lambda: Sources("/var/cache/images", None))


LACKING = MissingDependency("no server")


def test_server_installed_on_host_is_used() -> None:
    calls = Calls()
    assert start(calls) == "" and calls.made == [""]


def test_without_it_the_image_that_ran_is_taken() -> None:
    calls = Calls(installed=LACKING)
    assert start(calls) == ONE and calls.made == ["", ONE]


@pytest.mark.mutation
@pytest.mark.parametrize(("named", "services"), [("/usr/lib/postgresql/17/bin", RAN), (None, [ran("redis", ONE)]), (None, [])])
def test_image_is_not_used_if_server_is_named_or_image_is_unknown(named: str | None, services: t.Any) -> None:
    with pytest.raises(MissingDependency, match="no server"):
        start(Calls(installed=LACKING), named, services)


@pytest.mark.mutation
def test_other_server_error_does_not_start_image() -> None:
    calls = Calls(installed=Busy("another drill"))
    with pytest.raises(Busy):
        start(calls)
    assert calls.made == [""]


@pytest.mark.mutation
def test_missing_server_and_missing_image_are_both_reported() -> None:
    with pytest.raises(Busy) as caught:
        start(Calls(Busy("no image", pid=1), LACKING))
    assert "no server" in caught.value.msg and "no image" in caught.value.msg and caught.value.details == {"pid": 1}
    with pytest.raises(MissingDependency, match=r"\Ano bubblewrap\Z"):
        start(Calls(MissingDependency("no bubblewrap"), MissingDependency("no bubblewrap")))
