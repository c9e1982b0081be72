# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Known flaws of PostgreSQL's client programs that let a hostile server or archive run code as the user of the program."""

from __future__ import annotations

import dataclasses
import typing as t

from .installs import Version

PROGRAMS = frozenset({"pg_dump", "pg_restore", "psql"})


@dataclasses.dataclass(frozen=True)
class Flaw:
    """A known flaw.

    `fixed` maps a major version to the first minor version without the flaw. Lower majors were never fixed, higher ones never
    had it.
    """

    cve: str
    programs: frozenset[str]
    fixed: t.Mapping[int, int]

    def concerns(self, programs: t.Collection[str], version: Version) -> bool:
        major, minor = version
        if self.programs.isdisjoint(programs) or major > max(self.fixed):
            return False
        return major < min(self.fixed) or minor < self.fixed[major]


FLAWS = (
    # Objects that are replaced during a dump run code as the user of pg_dump.
    Flaw("CVE-2024-7348", frozenset({"pg_dump"}), {12: 20, 13: 16, 14: 13, 15: 8, 16: 4}),
    # Invalid bytes bypass the quoting.
    Flaw("CVE-2025-1094", frozenset({"psql"}), {13: 19, 14: 16, 15: 11, 16: 7, 17: 3}),
    # Meta-commands in a dump, and newlines in names, run as the user who restores it.
    Flaw("CVE-2025-8714", frozenset({"pg_dump", "pg_restore"}), {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}),
    Flaw("CVE-2025-8715", frozenset({"pg_dump", "pg_restore"}), {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}),
    # libpq writes past its buffers because of integer overflows and answers that are longer than requested.
    Flaw("CVE-2025-12818", PROGRAMS, {13: 23, 14: 20, 15: 15, 16: 11, 17: 7, 18: 1}),
    Flaw("CVE-2026-6477", PROGRAMS, {14: 23, 15: 18, 16: 14, 17: 10, 18: 4}),
)


def of(programs: t.Collection[str], version: Version) -> tuple[Flaw, ...]:
    return tuple(flaw for flaw in FLAWS if flaw.concerns(programs, version))


def remedy(flaws: t.Collection[Flaw], version: Version) -> str:
    """Return the remedy in words: the first minor version of that major without any of these flaws."""
    minors = [flaw.fixed.get(version[0]) for flaw in flaws]
    if None in minors:
        return f"PostgreSQL {version[0]} gets no more updates; install a newer major version, or set pg_bin to its directory"
    return f"install {version[0]}.{max(minor for minor in minors if minor is not None)} or newer, or set pg_bin to its directory"
