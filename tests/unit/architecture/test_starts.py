# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the start of a module reads: a play starts dozens of them, and most of what they could do is not asked of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tools.rules import documented, tree

PLUGINS = "ansible_collections.caracal_ops.backup.plugins"
# Libraries that take longer than the rest of a start; each is imported where its work begins.
LIBRARIES = {"asyncio", "boto3", "botocore", "pyarrow", "redis", "rfc3161_client"}
PROGRAM = "import importlib, json, sys; [importlib.import_module(name) for name in sys.argv[1:]]; print(json.dumps(sorted(sys.modules)))"


def imported(*names: str) -> set[str]:
    """Of a process that imports these."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    made = subprocess.run([sys.executable, "-c", PROGRAM, *names], env=environment, capture_output=True, text=True, check=True)
    return set(json.loads(made.stdout))


def test_no_module_begins_with_a_slow_library() -> None:
    modules = [f"{PLUGINS}.modules.{name}" for name in documented.modules(tree.ROOT)]
    assert len(modules) > 30
    assert not imported(*modules) & LIBRARIES


def test_a_step_of_a_drill_does_not_read_the_code_of_the_others() -> None:
    found = imported(f"{PLUGINS}.modules.restore_drill")
    assert f"{PLUGINS}.module_utils._drill.steps.services" in found
    others = tuple(f"{PLUGINS}.module_utils.{name}" for name in ("_assets", "_audit", "_checks", "_report.html", "_storage.s3_client"))
    assert not [name for name in found if name.startswith(others)]


@pytest.mark.mutation
def test_a_slow_library_is_found() -> None:
    assert imported("asyncio", "json") >= {"asyncio"}
