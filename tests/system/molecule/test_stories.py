# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each molecule scenario is a complete story with real modules, a real Ansible and a real server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ANSI = re.compile(r"\x1b\[[0-9;]*m")
ROOT = Path(__file__).parents[3]
STORIES = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
# They need Docker, which the machines of these tests do not have. CONTRIBUTING.md has the command; their success is not
# tested here.
BY_HAND = {"compose"}


def test_there_are_stories() -> None:
    assert {"default", "tampered"} | BY_HAND <= set(STORIES)


def molecule(command: str, story: str) -> subprocess.CompletedProcess[str]:
    words = ["molecule", command, "--scenario-name", story]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False)


@pytest.mark.parametrize("story", [one for one in STORIES if one not in BY_HAND])
def test_a_story_passes(story: str) -> None:
    played = molecule("test", story)
    assert played.returncode == 0, (played.stdout + played.stderr)[-6000:]
    # Molecule also succeeds if it finds no playbook, so its own count of actions must be in the output.
    counted = re.search(r"actions=(\d+)\s+successful=(\d+)", ANSI.sub("", played.stdout + played.stderr))
    assert counted and counted[1] == counted[2] and int(counted[1]) >= 6


@pytest.mark.story("molecule")
@pytest.mark.parametrize("story", sorted(BY_HAND))
def test_ansible_accepts_the_syntax_of_manual_stories(story: str) -> None:
    read = molecule("syntax", story)
    assert read.returncode == 0, (read.stdout + read.stderr)[-6000:]
