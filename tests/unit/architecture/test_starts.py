# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules import little at start: a play starts dozens of modules, and each call uses only a part of the code."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tools.rules import documented, tree

PLUGINS = "ansible_collections.caracal_ops.backup.plugins"
# Libraries that take longer than the rest of the start, or that few calls need. They are imported where they are used.
LIBRARIES = {"asyncio", "boto3", "botocore", "docker", "multiprocessing", "psycopg2", "pyarrow", "redis"}
LIBRARIES |= {"cryptography.hazmat.primitives.serialization", "rfc3161_client"}
# Parts that only some calls of a module need.
OTHERS = {
    "restore_drill": ("_assets", "_audit", "_checks", "_report.page", "_storage.s3_client"),
    "restore_verify": ("_audit.chains.exports_against_rows", "_checks.envelope_verify", "_sandbox.lifecycle", "_storage.s3_client"),
    "backup_preflight": ("_assets.replay", "_assets.secrets", "_assets.streams", "_storage.s3_client"),
    "restore_preflight": ("_assets.replay", "_assets.secrets", "_assets.streams", "_storage.s3_client"),
    "canary_exchange": ("_evidence.access", "_evidence.reading", "_repository"),
}
# Print one line for each group of modules: the names that importing the group added to sys.modules.
PROGRAM = """
import importlib, json, os, sys
from ansible.module_utils import basic
for group in sys.argv[1:]:
    if os.fork() == 0:
        before = set(sys.modules)
        for name in group.split():
            importlib.import_module(name)
        print(json.dumps(sorted(set(sys.modules) - before)), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, group
"""


def imported(*groups: str) -> list[set[str]]:
    """Return what each group imports. One process runs all groups."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    made = subprocess.run([sys.executable, "-c", PROGRAM, *groups], env=environment, capture_output=True, text=True, check=True)
    return [set(json.loads(line)) for line in made.stdout.splitlines()]


def test_no_module_imports_a_slow_library_at_start() -> None:
    modules = [f"{PLUGINS}.modules.{name}" for name in documented.modules(tree.ROOT)]
    assert len(modules) > 30
    (found,) = imported(" ".join(modules))
    assert not found & LIBRARIES


def test_modules_do_not_import_rarely_used_parts_at_start() -> None:
    for name, found in zip(OTHERS, imported(*(f"{PLUGINS}.modules.{name}" for name in OTHERS)), strict=True):
        assert f"{PLUGINS}.module_utils._report.check" in found
        unread = tuple(f"{PLUGINS}.module_utils.{one}" for one in OTHERS[name])
        assert not [one for one in found if one in unread or one.startswith(tuple(f"{part}." for part in unread))], name


def test_a_drill_imports_its_steps_at_start() -> None:
    (found,) = imported(f"{PLUGINS}.modules.restore_drill")
    assert f"{PLUGINS}.module_utils._drill.steps.services" in found


@pytest.mark.mutation
def test_a_slow_library_is_found() -> None:
    assert [found & LIBRARIES for found in imported("asyncio json", "json")] == [{"asyncio"}, set()]
