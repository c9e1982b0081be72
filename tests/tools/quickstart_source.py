# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The source of a quickstart on this host: PostgreSQL and Redis, created like a drill's sandbox. They run until they are stopped."""

from __future__ import annotations

import argparse
import sys
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.steps.sandbox import OLDEST_MAJOR
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle, redis_server, tools
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import REQUIRED, SandboxSpec

# No process uses the source while a drill runs, so its lease is long.
LEASE_SECONDS = 86400
MINIMUM_FREE = 1 << 30


def start(directory: str) -> None:
    """Start both servers, empty. Leftovers of a killed run are removed. Raises BackupError."""
    stop(directory)
    install = tools.find(None, OLDEST_MAJOR, REQUIRED)
    lifecycle.create(SandboxSpec(directory, install, minimum_free=MINIMUM_FREE, lease=LEASE_SECONDS))
    redis_server.start(Bundle.of(directory), None)


def stop(directory: str) -> None:
    """Stop both servers and remove the directory, as for any other sandbox. Raises BackupError."""
    lifecycle.destroy(directory)


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="quickstart_source", description=__doc__)
    parser.add_argument("action", choices=("start", "stop"))
    parser.add_argument("directories", nargs="+", metavar="directory")
    options = parser.parse_args(arguments)
    try:
        for directory in options.directories:
            (start if options.action == "start" else stop)(directory)
    except BackupError as error:
        print(f"quickstart: {error.msg}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
