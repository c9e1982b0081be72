# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A twin in a sandbox with Redis and its services, as in a drill."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
import sys
import typing as t
from pathlib import Path

import twin
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import service_sandbox
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.service_option import ServiceStart
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.service_plan import Restored
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.service_sandbox import Started, Terms
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.sources import Sources
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import ImageOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import programs, redis_server
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from scenes.redis_server import program
from scenes.twin_database import TwinCluster
from twin import keys
from twin.facts import SECRET_STORE
from twin.releases.known import RELEASES

TESTS = str(Path(next(iter(twin.__path__))).parent)
SERVICES = ("audit", "sts", "api", "coordinator", "gateway")


@dataclasses.dataclass(frozen=True)
class Drilled:
    """`secrets` is the directory with which services were started; it belongs to their user."""

    cluster: TwinCluster
    secrets: Path

    @property
    def replay(self) -> Path:
        """Return the folder of unsent audit events."""
        return self.secrets.parent / "replay"

    @property
    def bundle(self) -> Bundle:
        return Bundle(self.cluster.info)

    @property
    def family(self) -> str:
        return str(RELEASES[self.cluster.spec.release].family)

    def put(self, name: str, content: str) -> None:
        """Write or replace a secret."""
        path = self.secrets / name
        path.write_text(content)
        os.chown(path, self.cluster.info.uid, self.cluster.info.uid)

    def terms(self, services: t.Sequence[t.Mapping[str, t.Any]], **own: t.Any) -> Terms:
        """Return the settings of these services, which have the names that an operator gives them."""
        restored, sources = Restored(str(self.secrets), str(self.replay)), Sources(ImageOptions().images_directory, None)
        return dataclasses.replace(Terms(tuple(ServiceStart(**one) for one in services), restored, sources, ready_timeout=120), **own)

    def start(self, *names: str, **environment: str) -> Started:
        """Start these services, by default all."""
        services = [command(name, environment) for name in names or SERVICES]
        with socket.create_server(("127.0.0.1", 0)) as outside:
            started = service_sandbox.start(self.bundle, self.terms(services, production=[f"127.0.0.1:{outside.getsockname()[1]}"]))
        wrong = [one for one in started.checks if one.required and one.verdict not in ("pass", "warn")]
        bad = [one for one in wrong if "no command is configured" not in one.message]
        assert not bad, (bad, self.logs())
        return started

    def stop(self, *names: str) -> None:
        for name in names or SERVICES[::-1]:
            programs.stop(self.bundle, name, 10.0)

    def logs(self) -> dict[str, list[str]]:
        return {name: programs.log_lines(self.bundle, name, 15) for name in SERVICES}


def command(name: str, environment: t.Mapping[str, str]) -> dict[str, t.Any]:
    """Return the start options of the twin's service with this name, as our modules and roles use them."""
    return {
        "name": name,
        "command": [sys.executable, "-m", f"twin.services.{name}"],
        "environment": {"PYTHONPATH": TESTS, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        "readable": sorted({sys.prefix, sys.base_prefix, TESTS}),
    }


@contextlib.contextmanager
def drill(cluster: TwinCluster) -> t.Iterator[Drilled]:
    """Yield a copy with secrets and Redis, without services. Everything that was started is removed afterwards."""
    made = Drilled(cluster, Path(cluster.info.directory) / "secrets")
    try:
        replays = [made.replay / name / "audit-replay" for name in ("sts", "gateway")]
        for folder in (made.secrets, made.replay, *(one.parent for one in replays), *replays):
            folder.mkdir(mode=0o700)
            os.chown(folder, cluster.info.uid, cluster.info.uid)
        for name, content in keys.for_seed(cluster.spec.seed).as_files(made.family).items():
            made.put(name, content)
        # The API accepts a token that it has not seen before. The twin has only hashes of its own tokens.
        made.put("caracalAdminToken", keys.derive(cluster.spec.seed, "never used").hex())
        if made.family == SECRET_STORE:
            made.put("caracalAuthSecret", "0" * 64)
        redis_server.start(made.bundle, program(8))
        yield made
    finally:
        made.stop(*SERVICES[::-1], redis_server.NAME)
        for folder in (made.secrets, made.replay):
            shutil.rmtree(folder)
