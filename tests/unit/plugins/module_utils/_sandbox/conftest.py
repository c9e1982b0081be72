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
    """What makes and ends them is the subject here."""
    monkeypatch.setattr(cluster, "run", RUN)
    monkeypatch.setattr(watcher, "start", WATCH)


@pytest.fixture(scope="session", params=small_programs.KINDS)
def bundle(request: pytest.FixtureRequest, server_install: Install) -> t.Iterator[Bundle]:
    """One for the whole session (of one xdist worker): use programs with names of your own, and stop them."""
    directory = sandbox_path()
    try:
        yield small_programs.make(request.param, directory, server_install)
    finally:
        lifecycle.destroy(directory)


@pytest.fixture(params=small_programs.KINDS)
def own_bundle(request: pytest.FixtureRequest, server_install: Install, sandbox_directory: str) -> Bundle:
    """One that is the test's alone."""
    return small_programs.make(request.param, sandbox_directory, server_install)
