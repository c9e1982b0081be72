# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sandboxes of both kinds: with bubblewrap, and as on a host without it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import cluster, lifecycle, watcher
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from harness import small_programs
from harness.fixtures import RUN, WATCH, sandbox_path


@pytest.fixture(autouse=True)
def sandboxes_are_made_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the real programs, because these tests cover the start and end of sandboxes."""
    monkeypatch.setattr(cluster, "run", RUN)
    monkeypatch.setattr(watcher, "start", WATCH)


@pytest.fixture(scope="session", params=small_programs.KINDS)
def bundle(request: pytest.FixtureRequest, server_install: Install) -> t.Iterator[Bundle]:
    """Yield one for the whole session of an xdist worker. Use unique program names, and stop the programs."""
    directory = sandbox_path()
    try:
        yield small_programs.make(request.param, directory, server_install)
    finally:
        lifecycle.destroy(directory)


@pytest.fixture(params=small_programs.KINDS)
def own_bundle(request: pytest.FixtureRequest, server_install: Install, sandbox_directory: str) -> Bundle:
    """Return a sandbox for one test."""
    return small_programs.make(request.param, sandbox_directory, server_install)
