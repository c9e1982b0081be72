# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts and execution environments install the versions that the tests used, and every requirement has a digest."""

from __future__ import annotations

import re

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import environment
from tools.rules import tree

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(.*)", re.MULTILINE)
HOST = (tree.ROOT / "roles/caracal_setup/files/requirements.txt").read_text(encoding="utf-8")
ENVIRONMENT = (tree.ROOT / "execution_environment/requirements.txt").read_text(encoding="utf-8")
# Needed on Python 3.10 only.
OLDER = {"async-timeout", "pycparser", "typing-extensions"}


def name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def pins(text: str) -> set[tuple[str, str]]:
    return {(name(found[0]), found[1]) for found in PIN.findall(text)}


def faults(host: str, tested: set[tuple[str, str]]) -> list[str]:
    """Return requirements without a digest, and versions that were not tested."""
    entries = re.split(r"^(?=[A-Za-z0-9])", host, flags=re.MULTILINE)[1:]
    bare = [entry.split("\n")[0] for entry in entries if "--hash=sha256:" not in entry]
    versions = [f"{one}=={version}" for one, version in sorted(pins(host) - tested) if one not in OLDER]
    return bare + versions


TESTED = {one for path in ("dev.txt", "dev.lock") for one in pins((tree.ROOT / "requirements" / path).read_text(encoding="utf-8"))}


def test_hosts_get_only_tested_versions() -> None:
    assert faults(HOST, TESTED) == faults(ENVIRONMENT, TESTED) == []
    assert {name(one) for one in environment.LIBRARIES} <= {one.removesuffix("-binary") for one, _version in pins(HOST)}


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("redis==1.0 \\\n    --hash=sha256:00\n", ["redis==1.0"]),
        ("redis==8.1.0\n", ["redis==8.1.0"]),
        ("redis==8.1.0 \\\n    --hash=sha256:00\n", []),
        ("redis\n", ["redis"]),
    ],
)
def test_finds_untested_versions_and_missing_digests(text: str, found: list[str]) -> None:
    assert faults(text, {("redis", "8.1.0")}) == found
