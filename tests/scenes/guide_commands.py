# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands of the guides, run by a shell exactly as the guides print them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

from scenes import guide_pages
from scenes.playing import COLLECTIONS, LOCAL, LONGEST

# `$`, `#` for root, or the name of a host before either.
_PROMPT = re.compile(r"^(?:[a-z-]+\$|[$#]) +")
# In a guide, a comment before a block that no test runs, with the reason.
EXAMPLE = ".. Not run by a test:"
_FIRST_LINES = "set -euo pipefail\n"


def commands(page: str, number: int) -> str:
    """The commands of a console block, counted from 1."""
    return commands_of(guide_pages.blocks(page, "console")[number - 1])


def commands_of(block: str) -> str:
    """The commands of a text: without prompts, and without the output below a command."""
    found: list[str] = []
    goes_on = False
    for line in block.splitlines():
        prompt = _PROMPT.match(line)
        goes_on = bool(prompt) or (goes_on and (line.startswith(" ") or line == "done"))
        if goes_on:
            found.append(line[prompt.end() :] if prompt else line)
    return "\n".join(found) + "\n"


def examples(page: str) -> list[int]:
    """Numbers of the console blocks that a comment marks as examples."""
    text = (guide_pages.FOLDER / f"{page}.rst").read_text(encoding="utf-8")
    before = text.split(".. code-block:: console")[:-1]
    return [number for number, part in enumerate(before, 1) if part.rstrip().splitlines()[-1].lstrip().startswith(EXAMPLE)]


@dataclasses.dataclass(frozen=True)
class Desk:
    """A folder in which an operator runs the commands of a guide; its subfolder `bin` comes first in PATH."""

    folder: Path

    def write(self, name: str, settings: t.Any) -> Path:
        """Write a file of settings, or an inventory. JSON is YAML."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(settings if isinstance(settings, str) else json.dumps(settings), encoding="utf-8")
        return path

    def inventory(self, hosts: t.Mapping[str, t.Mapping[str, t.Any]]) -> None:
        """Write `inventory.yml` with hosts that are all this machine."""
        self.write("inventory.yml", {"all": {"vars": LOCAL, "hosts": hosts}})

    def program(self, name: str, script: str = "") -> Path:
        """Replace a program of the machine by a shell script. Its calls are in the returned file, one a line."""
        calls = self.folder / "calls" / name
        calls.parent.mkdir(exist_ok=True)
        path = self.write(f"bin/{name}", f'#!/bin/sh\necho "$@" >> {calls}\n{script}\n')
        path.chmod(0o755)
        return calls

    def run_block(self, page: str, number: int, replaced: t.Mapping[str, str] | None = None, **environment: str) -> str:
        """Run the commands of a console block; the output of all. Raises AssertionError if one fails.

        `replaced` maps texts of the block, each of which must be there, to texts of this machine, such as paths.
        """
        script = commands(page, number)
        for old, new in (replaced or {}).items():
            assert old in script, (old, script)
            script = script.replace(old, new)
        done = subprocess.run(
            ["bash", "-c", _FIRST_LINES + script],
            cwd=self.folder,
            env={**self._environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=LONGEST,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return {
            **kept,
            "HOME": str(self.folder),
            "PATH": f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "ansible" / "tmp"),
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        }
