# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the collection's artifact and check it with galaxy-importer. Its warnings count as failures here.

Runs in the mirror; prints `imported N parts`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# ansible-lint is a separate gate with the same profile.
SETTINGS = "[galaxy-importer]\nRUN_ANSIBLE_LINT = False\n"


def complaints(log: str) -> list[str]:
    """Return the lines of the importer above the level INFO."""
    return [line for line in log.splitlines() if re.match(r"(WARNING|ERROR|CRITICAL)\b", line)]


def build(folder: str) -> Path:
    """Build the artifact of the current tree and return its path."""
    subprocess.run(["ansible-galaxy", "collection", "build", "--output-path", folder], check=True, stdout=subprocess.DEVNULL)
    return next(Path(folder).glob("*.tar.gz"))


def main() -> str | None:
    """Print the number of imported parts, or return the error."""
    with tempfile.TemporaryDirectory() as folder:
        artifact = build(folder)
        venv = Path(os.environ["CARACAL_OPS_BUILD"]).parent / ".venv-importer" / "bin"
        settings = Path(folder) / "importer.cfg"
        settings.write_text(SETTINGS, encoding="utf-8")
        path = os.pathsep.join([str(venv), os.environ["PATH"]])
        variables = {**os.environ, "PATH": path, "GALAXY_IMPORTER_CONFIG": str(settings)}
        command = [str(venv / "python"), "-m", "galaxy_importer.main", str(artifact)]
        done = subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(done.stdout.rstrip())
        found = complaints(done.stdout)
        if done.returncode != 0 or found:
            return f"galaxy-importer: status {done.returncode}, {len(found)} complaints"
        result = json.loads((Path(folder) / "importer_result.json").read_text(encoding="utf-8"))
        print(f"imported {len(result['contents'])} parts")
    return None


if __name__ == "__main__":
    sys.exit(main())
