# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A healthy deployment of each release, created at first use, and again after a test has changed what its databases share."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from scenes.three_ways import Deployment, DeploymentOf


@pytest.fixture(scope="session")
def _deployments(
    server_install: server_binaries.Install, tmp_path_factory: pytest.TempPathFactory
) -> t.Iterator[tuple[dict[str, Deployment], DeploymentOf]]:
    made: dict[str, Deployment] = {}

    def of(release: str) -> Deployment:
        if release not in made:
            made[release] = Deployment(server_install, tmp_path_factory.mktemp("deployment"), release)
        return made[release]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        before = os.umask(0o022)
        yield made, of
        os.umask(before)
    for one in made.values():
        one.close()


@pytest.fixture
def deployment_of(_deployments: tuple[dict[str, Deployment], DeploymentOf]) -> t.Iterator[DeploymentOf]:
    made, of = _deployments
    yield of
    for release in [name for name, one in made.items() if one.is_spoilt()]:
        made.pop(release).close()
