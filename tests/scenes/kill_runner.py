# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that a test will kill: `python -m … CASE ROOT SOCKET ARGUMENT` says `ready`, waits for `go`, works, says `done`."""

from __future__ import annotations

import json
import os
import signal
import sys
import typing as t
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import options
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import parts
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import preflight
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.modules import postgres_sandbox, redis_sandbox
from ansible_collections.caracal_ops.backup.plugins.modules import postgres_sandbox as sandbox_module
from scenes.scene import ModuleArgumentSpecValidator, Scene

LEFT_OUT = {"secrets": "not part of this test"}


def backup(scene: Scene, argument: str) -> None:
    """All databases, or those that are named after the set's id."""
    set_id, *databases = argument.split()
    scene.call("backup_set", state="open", create_repository=True, set_id=set_id)
    scene.call("pg_encrypted_dump", set_id=set_id, databases=databases)
    scene.call("backup_set", state="committed", set_id=set_id, left_out=LEFT_OUT)


def backup_by_image(scene: Scene, argument: str) -> None:
    """The same by client programs of an image: their folder, the set's id, databases or none."""
    pg_bin, set_id, *databases = argument.split()
    scene.call("backup_set", state="open", create_repository=True, set_id=set_id)
    scene.call("pg_encrypted_dump", set_id=set_id, databases=databases, pg_bin=pg_bin)
    scene.call("backup_set", state="committed", set_id=set_id, left_out=LEFT_OUT)


def restore(scene: Scene, directory: str) -> None:
    scene.call("pg_encrypted_restore", sandbox=directory)


def before_its_part(scene: Scene, argument: str) -> None:
    """One module, killed when its objects are published and its part is about to name them."""
    name, options = json.loads(argument)
    parts.write = lambda *_part: os.kill(os.getpid(), signal.SIGKILL)
    scene.call(name, **options)


def sandbox(_scene: Scene, directory: str) -> None:
    sandbox_state(directory, "present")
    sandbox_state(directory, "absent")


def bare_sandbox(_scene: Scene, directory: str) -> None:
    """The same on a host without bubblewrap."""
    preflight.find_bwrap = lambda: None
    sandbox_state(directory, "present", isolation="auto", unisolated_reason="a test")
    sandbox_state(directory, "absent")


def image_unpacked(_scene: Scene, argument: str) -> None:
    """As every module does that starts something from an image; the argument has its options."""
    given: dict[str, t.Any] = json.loads(argument)
    options.bring({**images(given["directory"], given["archives"]), "image": given["image"], "reference": ""})


def image_sandbox(_scene: Scene, argument: str) -> None:
    """PostgreSQL and Redis, each of its image."""
    given: dict[str, t.Any] = json.loads(argument)
    found = images(given["images"], given["archives"])
    sandbox_state(given["directory"], "present", image=given["postgres"], **found)
    redis = {"sandbox": given["directory"], "image": given["redis"], **found}
    redis_sandbox.run(Invocation(complete(redis_sandbox.argument_spec(), redis), False, lambda _text: None))
    sandbox_state(given["directory"], "absent")


def images(directory: str, archives: t.Sequence[str]) -> dict[str, t.Any]:
    """Options that find images in archives and nowhere else."""
    return {"images_directory": directory, "image_archives": archives, "engine": "unix:///no/such/socket"}


def sandbox_state(directory: str, state: str, **own: t.Any) -> dict[str, t.Any]:
    """The module postgres_sandbox, called as it calls itself."""
    given = {"directory": directory, "state": state, **own}
    spec = ModuleArgumentSpecValidator(**sandbox_module.argument_spec().to_module()).validate(given)
    assert not spec.error_messages, spec.error_messages
    return postgres_sandbox.run(Invocation(dict(spec.validated_parameters), False, lambda _text: None))


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
