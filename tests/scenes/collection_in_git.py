# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A git repository of this tree, from which the collection can be installed without a network."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tools.rules import tree

# The address in the guides.
PUBLISHED = "https://github.com/caracal-ops/backup.git"
INSTALLED = "ansible_collections/caracal_ops/backup/MANIFEST.json"


def create(folder: Path) -> str:
    """The URL of a new repository with all files of the tree in branch `main`."""
    for path in tree.files(tree.ROOT, "**/*"):
        if (tree.ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes((tree.ROOT / path).read_bytes())
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-C", str(folder)]
    for command in (["init", "-q", "-b", "main"], ["add", "--all"], ["commit", "-q", "-m", "All"]):
        subprocess.run([*git, *command], check=True, stdin=subprocess.DEVNULL)
    return f"file://{folder}"
