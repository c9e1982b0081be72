# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a command inside the mirror of the tree, with the tools of this clone and without the user's settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tools import area, mirror

# Prefixes of variables of the user's environment, and of make's, that are hidden from gates.
DROPPED = ("ANSIBLE_", "PYTEST_", "PG", "MAKE", "MFLAGS", "PYTHONDONTWRITEBYTECODE")
USAGE = "usage: python -m tools.inside COMMAND [ARGUMENT ...]"


def environment(clone: Path, work: Path) -> dict[str, str]:
    """Return the variables of a gate: collection path, tools, a separate home, and `CARACAL_OPS_BUILD` for results to keep.

    The user's `ANSIBLE_*` variables and dot files could change a gate's verdict, so none is passed on.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    home = work / "home"
    home.mkdir(exist_ok=True)
    settings = home / "ansible.cfg"
    settings.touch()
    imports = os.pathsep.join([str(work), str(work / area.COLLECTION / "tests")])
    path = [str(clone / ".venv" / "bin"), str(clone / ".tools" / "bin"), os.environ.get("PATH", os.defpath)]
    return {
        **kept,
        "HOME": str(home),
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": imports,
        # Bytecode is compiled once, and outside the tree, where a gate would count it as a part of the collection.
        "PYTHONPYCACHEPREFIX": str(work / "cache" / "bytecode"),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(work),
        "ANSIBLE_CONFIG": str(settings),
        # Ansible reads homes from the user database, and some users have no writable home there.
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_REMOTE_TEMP": str(home / ".ansible" / "tmp"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "MYPYPATH": imports,
        "CARACAL_OPS_BUILD": str(clone / "build"),
        "RUFF_CACHE_DIR": str(work / "cache" / "ruff"),
        "MYPY_CACHE_DIR": str(work / "cache" / "mypy"),
    }


def main(arguments: list[str]) -> str | None:
    """Replace this process with the command. Return only on an error, with one line."""
    if not arguments:
        return USAGE
    try:
        work = area.make()
        tree = mirror.mirror(area.CLONE, work)
    except (area.AreaRefused, mirror.MirrorFailed) as error:
        return str(error)
    (area.CLONE / "build").mkdir(exist_ok=True)
    os.chdir(tree)
    variables = environment(area.CLONE, work)
    os.environ["PATH"] = variables["PATH"]
    try:
        os.execvpe(arguments[0], arguments, variables)
    except OSError as error:
        return f"cannot run {arguments[0]}: {error.strerror}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
