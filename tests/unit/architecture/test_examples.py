# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands and plays in the guides and READMEs work as written.

Plays run as root if their keys belong to root, and the page shows every file that a command uses.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from tools.rules import tree

PAGES = sorted([*tree.ROOT.glob("docs/docsite/rst/*.rst"), *tree.ROOT.glob("roles/*/README.md"), tree.ROOT / "README.md"])
# The guide on database backups creates this file for all pages.
SHARED = {"settings.yml"}
_RST = re.compile(r"^( *)\.\. code-block:: yaml(?:\+jinja)?\n(?:\1 +:.*\n)*\n((?:\1 +.*\n|\n)+)", re.MULTILINE)
_MARKDOWN = re.compile(r"^()```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^.*\bansible-playbook .*$", re.MULTILINE)


def plays_without_root(text: str) -> list[str]:
    """Return the names of plays of our roles that do not become root. Keys, secrets and the engine's socket belong to root."""
    blocks = [textwrap.dedent(block) for pattern in (_RST, _MARKDOWN) for _indent, block in pattern.findall(f"{text}\n")]
    documents = [yaml.safe_load(block) for block in blocks if re.search(r"^ *hosts: ", block, re.MULTILINE)]
    plays = [
        play for document in documents if isinstance(document, list) for play in document if isinstance(play, dict) and "hosts" in play
    ]
    return [str(play["name"]) for play in plays if "caracal_ops.backup.caracal_" in str(play) and play.get("become") is not True]


def unexplained_files(text: str) -> set[str]:
    """Return the files that a command uses and the page does not explain."""
    commands = _COMMAND.findall(text)
    taken = {Path(name).name for command in commands for name in re.findall(r"(?:@|playbook |-i )([\w/.-]+\.yml)\b", command)}
    explained = _COMMAND.sub("", text)
    return {name for name in taken - SHARED if not re.search(rf"`[\w/.-]*\b{re.escape(name)}`", explained)}


@pytest.mark.parametrize("page", PAGES, ids=lambda one: str(one.relative_to(tree.ROOT)))
def test_examples_become_root_and_explain_their_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert (plays_without_root(text), unexplained_files(text)) == ([], set())


def play(more: str) -> str:
    return f"  - name: A\n    hosts: b\n{more}    roles:\n      - role: caracal_ops.backup.caracal_drill\n"


@pytest.mark.mutation
@pytest.mark.parametrize("block", ["```yaml\n{}```\n", ".. code-block:: yaml+jinja\n\n{}"])
def test_a_play_without_root_is_found(block: str) -> None:
    assert plays_without_root(block.format(play(""))) == ["A"]
    assert plays_without_root(block.format(play("    become: true\n"))) == []


@pytest.mark.mutation
def test_finds_a_file_that_the_page_does_not_explain() -> None:
    command = "  $ ansible-playbook x -i hosts.yml -e @a/b.yml -e @settings.yml\n"
    assert unexplained_files(command) == {"hosts.yml", "b.yml"}
    assert unexplained_files(f"``/etc/b.yml`` and `hosts.yml`:\n{command}") == set()
