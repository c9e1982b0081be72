# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that a fault will hit.

`python -m faults.victim ROOT SOCKET PLAN` prints `ready`, waits for `go`, works, and prints how it ended.

`PLAN` is JSON: `steps`, each a module and its options, and `room`, the size beyond which no file may grow (-1: any).
"""

from __future__ import annotations

import json
import resource
import sys
import traceback
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from scenes.scene import Scene

DONE, REFUSED, BROKEN = "done", "refused", "broken"


def main(root: str, socket: str, plan: str) -> None:
    print("ready", flush=True)
    if sys.stdin.readline() != "go\n":
        return
    given = json.loads(plan)
    scene, ended, result = Scene(Path(root), socket), DONE, ""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (given["room"], limits[1]))
    try:
        result = json.dumps([scene.call(module, **options) for module, options in given["steps"]])
    except BackupError as exc:
        ended, result = REFUSED, exc.msg + json.dumps(exc.details)
    except BaseException:  # noqa: BLE001 - whatever it is, it is told
        ended, result = BROKEN, traceback.format_exc()
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    print(json.dumps([ended, result]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
