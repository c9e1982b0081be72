# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time until a module checks its options: the start of Python and all imports, as on a managed host."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

from tools import area
from tools.rules import documented

STARTS = 3
# The work of Ansible around a module, without its archive. The module fails because it has no options.
START = """
import json, sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": {"none": 1}}).encode()
basic._ANSIBLE_PROFILE = "legacy"
from ansible_collections.caracal_ops.backup.plugins.modules import NAME as module
module.main()
"""


def measure() -> dict[str, float]:
    """Return the median processor seconds by module. One earlier start creates the bytecode."""
    return {name: statistics.median([_start(name) for _start_ in range(STARTS + 1)][1:]) for name in documented.modules(area.CLONE)}


def _start(name: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = subprocess.run([sys.executable, "-c", START.replace("NAME", name)], capture_output=True, text=True, check=False)
    if '"invocation"' not in found.stdout:
        raise SystemExit(f"{name} does not start: {found.stdout}{found.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
