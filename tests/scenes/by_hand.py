# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A set's RECOVERY.md, executed by a person who has only its commands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo
from scenes.scene import Scene

# The values of the table at the top of the text. psql and other programs see only exported variables.
NAMED = ("REPOSITORY", "ALLOWED_SIGNERS", "IDENTITY", "SECRETS_IDENTITY", "RESTORED", "REDIS_URL")
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Recover = t.Callable[..., "subprocess.CompletedProcess[str]"]


def commands(scene: Scene, set_id: str, count: int = 6) -> str:
    """Return all command blocks, from top to bottom."""
    text = (scene.repository / "sets" / set_id / "RECOVERY.md").read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert len(blocks) == count and "set -euo pipefail" in blocks[0]
    return "\n".join(blocks)


def recoverer(server_install: Install) -> Recover:
    """Return a function that runs the commands of a set in one bash, with only the programs that the text requires."""

    def run(
        scene: Scene, set_id: str, cluster: SandboxInfo, script: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": os.pathsep.join([server_install.bindir, os.environ["PATH"]]),
            "HOME": str(scene.root),
            "LC_ALL": "C.UTF-8",
            "REPOSITORY": str(scene.repository),
            "ALLOWED_SIGNERS": str(scene.root / "allowed_signers"),
            "IDENTITY": str(scene.identity),
            "PGHOST": cluster.socket_dir,
            "PGPORT": str(cluster.port),
            "PGUSER": cluster.superuser,
            **environment,
        }
        script = commands(scene, set_id) if script is None else script
        # They are plain variables of the shell. A restore must also succeed if the operator forgets to export them.
        script = "".join(f"{name}={shlex.quote(env.pop(name))}\n" for name in NAMED if name in env) + script
        return subprocess.run(["bash"], input=script, env=env, cwd=scene.root, capture_output=True, text=True, check=False, timeout=600)

    return run
