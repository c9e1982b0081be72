# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that a test will kill: `python -m … CASE ROOT SOCKET ARGUMENT` prints `ready`, waits for `go`, works, prints `done`."""

from __future__ import annotations

import json
import os
import signal
import sys
import typing as t
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.steps.sandbox import OLDEST_MAJOR
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.sources import Sources
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import parts
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import (
    image_server,
    lifecycle,
    preflight,
    probe,
    redis_server,
    tools,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import AUTO, REQUIRED, SandboxSpec
from scenes.scene import Scene

LEFT_OUT = {"secrets": "not part of this test"}


def backup(scene: Scene, argument: str) -> None:
    """Back up all databases, or those that are named after the set's ID."""
    set_id, *databases = argument.split()
    scene.call("backup_set", state="open", create_repository=True, set_id=set_id)
    scene.call("pg_encrypted_dump", set_id=set_id, databases=databases)
    scene.call("backup_set", state="committed", set_id=set_id, left_out=LEFT_OUT)


def backup_by_image(scene: Scene, argument: str) -> None:
    """Back up with client programs of an image: their folder, the set's ID, databases or none."""
    pg_bin, set_id, *databases = argument.split()
    scene.call("backup_set", state="open", create_repository=True, set_id=set_id)
    scene.call("pg_encrypted_dump", set_id=set_id, databases=databases, pg_bin=pg_bin)
    scene.call("backup_set", state="committed", set_id=set_id, left_out=LEFT_OUT)


def restore(scene: Scene, directory: str) -> None:
    scene.call("pg_encrypted_restore", sandbox=directory)


def before_its_part(scene: Scene, argument: str) -> None:
    """Run one module, which is killed when its objects are published and before it writes its part."""
    name, options = json.loads(argument)
    parts.write = lambda *_part: os.kill(os.getpid(), signal.SIGKILL)
    scene.call(name, **options)


def sandbox(_scene: Scene, directory: str) -> None:
    sandbox_state(directory, "present")
    sandbox_state(directory, "absent")


def bare_sandbox(_scene: Scene, directory: str) -> None:
    """Create a sandbox on a host without bubblewrap."""
    preflight.find_bwrap = lambda: None
    install = tools.find(None, OLDEST_MAJOR, AUTO)
    made(SandboxSpec(directory, install, isolation=AUTO, unisolated_reason="a test"))
    sandbox_state(directory, "absent")


def image_unpacked(_scene: Scene, argument: str) -> None:
    """Unpack an image, like every step that starts a program of an image."""
    given: dict[str, t.Any] = json.loads(argument)
    unpacked(given["directory"], given["archives"], given["image"])


def image_sandbox(_scene: Scene, argument: str) -> None:
    """Start PostgreSQL and Redis, each from its image."""
    given: dict[str, t.Any] = json.loads(argument)
    postgres, redis = (unpacked(given["images"], given["archives"], given[name]) for name in ("postgres", "redis"))
    made(SandboxSpec(given["directory"], image_server.find(postgres, OLDEST_MAJOR)))
    redis_server.start(Bundle.of(given["directory"]), None, lambda: redis)
    sandbox_state(given["directory"], "absent")


def unpacked(directory: str, archives: t.Sequence[str], image: str) -> cache.Unpacked:
    """Unpack an image that is only in one of these archives."""
    found, _new = cache.unpacked(directory, image, Sources(directory, "unix:///no/such/socket", archives).of(image))
    return found


def sandbox_state(directory: str, state: str) -> bool:
    """Make sure that a sandbox is `present` or `absent`, like a drill; return whether something changed."""
    if state == "absent":
        return lifecycle.destroy(directory)
    return made(SandboxSpec(directory, tools.find(None, OLDEST_MAJOR, REQUIRED)))


def made(spec: SandboxSpec) -> bool:
    """Create the sandbox, and verify its isolation; return whether something changed."""
    changed = lifecycle.create(spec).changed
    probe.verify(Bundle.of(spec.directory), [], spec.unisolated_reason)
    return changed


CASES: dict[str, t.Callable[[Scene, str], None]] = {
    "backup": backup,
    "restore": restore,
    "before_its_part": before_its_part,
    "backup_by_image": backup_by_image,
    "image_unpacked": image_unpacked,
    "image_sandbox": image_sandbox,
    "sandbox": sandbox,
    "bare_sandbox": bare_sandbox,
}


def main(case: str, root: str, socket: str, argument: str) -> None:
    print("ready", flush=True)
    if sys.stdin.readline() == "go\n":
        CASES[case](Scene(Path(root), socket), argument)
        print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
