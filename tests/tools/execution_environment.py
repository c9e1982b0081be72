# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let ansible-builder write the build context of an execution environment, without a network or an engine.

Checks the definition that users build from, and what ansible-builder reads from an installed collection. Runs in the
mirror; prints `N requirements in a context of an execution environment`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

DEFINITION = Path("execution_environment/execution-environment.yml")
META = {"pip": Path("meta/ee-requirements.txt"), "bindep": Path("meta/ee-bindep.txt")}


def requirements(text: str) -> set[str]:
    """Return the lines without comments. ansible-builder adds comments that name the collection."""
    return {" ".join(line.partition("#")[0].split()) for line in text.splitlines()} - {""}


def lost(context: Path) -> list[str]:
    """Return the files that the recipe copies but the context does not contain."""
    recipe = (context / "Containerfile").read_text(encoding="utf-8")
    return [name for name in re.findall(r"^COPY (?!--from)(\S+) ", recipe, re.MULTILINE) if not (context / name).exists()]


def host_of(context: Path) -> str:
    """Return the registry host of the base image, or an empty string. The project does not choose a registry for the user."""
    recipe = (context / "Containerfile").read_text(encoding="utf-8")
    first = re.findall(r'^ARG EE_BASE_IMAGE="(.*?)"', recipe, re.MULTILINE)[0].partition("/")
    return first[0] if first[1] and re.search(r"[.:]|^localhost$", first[0]) else ""


def differing(kind: str, written: str, meta: str) -> list[str]:
    """Compare the requirements that ansible-builder wrote with those that the collection names; return the differences."""
    return [f"{kind}: {one}" for one in sorted(requirements(written) ^ requirements(meta))]


def faults(context: Path, taken: dict[str, str], meta: dict[str, str]) -> list[str]:
    """Return all faults of a context and of the requirements read from the collection."""
    found = [f"not in the context: {name}" for name in lost(context)]
    found += [f"the base image names the registry {host}" for host in [host_of(context)] if host]
    return found + [fault for kind, written in taken.items() for fault in differing(kind, written, meta[kind])]


def main() -> str | None:
    """Print the number of checked requirements, or return the error."""
    builder = Path(os.environ["CARACAL_OPS_BUILD"]).parent / ".venv-importer/bin/ansible-builder"
    with tempfile.TemporaryDirectory() as folder:
        context, files = Path(folder, "context"), {kind: Path(folder, kind) for kind in META}
        create = ["create", f"--file={DEFINITION}", f"--context={context}", "--output-filename=Containerfile"]
        introspect = ["introspect", str(Path.cwd().parents[2]), *(f"--write-{kind}={path}" for kind, path in files.items())]
        for command in (create, introspect):
            subprocess.run([str(builder), *command], check=True)
        taken = {kind: path.read_text(encoding="utf-8") for kind, path in files.items()}
        meta = {kind: path.read_text(encoding="utf-8") for kind, path in META.items()}
        found = faults(context, taken, meta)
    if found:
        return "\n".join(found)
    print(f"{sum(len(requirements(text)) for text in taken.values())} requirements in a context of an execution environment")
    return None


if __name__ == "__main__":
    sys.exit(main())
