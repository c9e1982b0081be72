# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create a virtual environment from pinned requirements. Keep it while pins, Python and path are the same.

`ANSIBLE_CORE=2.20` in the environment installs the newest ansible-core of that series instead of the pinned one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

from tools import get_pip
from tools.area import CLONE

OLDEST = (3, 11)
# If the environment is active, `make` runs with its Python, which could not create it again.
PYTHON = getattr(sys, "_base_executable", sys.executable)
# It installs in ten seconds; pip needs a minute.
UV = "uv==0.13.9"
# pip's settings for an index, uv's settings of the same meaning, and the separator of several values.
INDEX = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
}


class VenvFailed(Exception):
    """The environment cannot be created."""


def stamp(folder: Path, requirements: list[Path]) -> str:
    """Return the properties of an environment: its path (scripts contain absolute paths), the Python, every pin."""
    digest = hashlib.sha256(f"{folder}\n{PYTHON}\n{sys.version}\n".encode())
    for path in requirements:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def make(folder: Path, name: str, log: Path) -> bool:
    """Create an environment from `requirements/<name>.txt` and its lock; return whether it was created."""
    requirements = [CLONE / "requirements" / f"{name}.txt", CLONE / "requirements" / f"{name}.lock"]
    if os.environ.get("ANSIBLE_CORE"):
        requirements = with_ansible_core(os.environ["ANSIBLE_CORE"], requirements, log.parent / "requirements")
    wanted = stamp(folder, requirements)
    mark = folder / "pins.sha256"
    if mark.is_file() and mark.read_text() == wanted:
        return False
    print(f"making {folder.name} from requirements/{name}.txt (once)", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    python = str(folder / "bin" / "python")
    with log.open("wb") as output:
        _run([PYTHON, "-m", "venv", str(folder)], output, log, "the venv module of Python (Debian: apt-get install python3-venv)")
        pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--target", str(folder / "uv"), UV]
        _run(pip, output, log, "a package index that pip can reach")
        uv = [str(folder / "uv/bin/uv"), "pip", "install", "--no-config", "--no-progress", "--compile-bytecode", "--link-mode", "copy"]
        variables = {**os.environ, **index_of(get_pip.settings_of(folder / "bin/python"))}
        _run([*uv, "--python", python, "-r", str(requirements[0])], output, log, "a package index that pip can reach", variables)
    mark.write_text(wanted)
    return True


def with_ansible_core(series: str, requirements: list[Path], into: Path) -> list[Path]:
    """Write copies of the files for another series, such as `2.20`. The lock of its libraries is for the pinned series only."""
    if not re.fullmatch(r"\d+\.\d+", series):
        raise VenvFailed(f"ANSIBLE_CORE={series}: give a series such as 2.20")
    into.mkdir(parents=True, exist_ok=True)
    asked, lock = (path.read_text(encoding="utf-8") for path in requirements)
    copies = [into / path.name for path in requirements]
    copies[0].write_text(re.sub(r"^ansible-core==.*$", f"ansible-core=={series}.*", asked, flags=re.MULTILINE), encoding="utf-8")
    copies[1].write_text(re.sub(r"^(ansible-core|resolvelib)==.*\n", "", lock, flags=re.MULTILINE), encoding="utf-8")
    return copies


def index_of(settings: t.Mapping[str, t.Mapping[str, str]]) -> dict[str, str]:
    """Return pip's index settings as uv's variables."""
    given = {**settings.get("global", {}), **settings.get("install", {})}
    return {name: between.join(given[key].split()) for key, (name, between) in INDEX.items() if key in given}


def _run(command: list[str], output: t.BinaryIO, log: Path, needs: str, variables: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=variables, check=False)
    if done.returncode != 0:
        raise VenvFailed(f"cannot make the virtual environment: it needs {needs}; see {log}")


def main(arguments: list[str]) -> str | None:
    """Create `NAME` in `FOLDER`, relative to the clone; return the error in one line."""
    if sys.version_info < OLDEST:
        return f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, this is {sys.version.split()[0]}: make PYTHON=/path/to/python3.11"
    folder, name = arguments
    try:
        make(CLONE / folder, name, CLONE / "build" / f"{folder.lstrip('.')}.log")
    except VenvFailed as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
