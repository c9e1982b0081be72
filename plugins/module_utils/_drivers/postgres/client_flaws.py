# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Known flaws of PostgreSQL's client programs by which a hostile server or archive takes over who runs them."""

from __future__ import annotations

import dataclasses
import typing as t

from .installs import Version

PROGRAMS = frozenset({"pg_dump", "pg_restore", "psql"})


@dataclasses.dataclass(frozen=True)
class Flaw:
    """`fixed` has by major the first minor without it; lower majors were never mended, higher ones never had it."""

    cve: str
    programs: frozenset[str]
    fixed: t.Mapping[int, int]

    def concerns(self, programs: t.Collection[str], version: Version) -> bool:
        major, minor = version
        if self.programs.isdisjoint(programs) or major > max(self.fixed):
            return False
        return major < min(self.fixed) or minor < self.fixed[major]


FLAWS = (
    # Objects that are replaced while they are dumped run code as who dumps.
    Flaw("CVE-2024-7348", frozenset({"pg_dump"}), {12: 20, 13: 16, 14: 13, 15: 8, 16: 4}),
    # Quoting that invalid bytes get around.
    Flaw("CVE-2025-1094", frozenset({"psql"}), {13: 19, 14: 16, 15: 11, 16: 7, 17: 3}),
    # Meta-commands in a dump, and newlines in names, run as who restores it.
    Flaw("CVE-2025-8714", frozenset({"pg_dump", "pg_restore"}), {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}),
    Flaw("CVE-2025-8715", frozenset({"pg_dump", "pg_restore"}), {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}),
    # libpq writes past its buffers: sizes that wrap around, answers that are longer than asked for.
    Flaw("CVE-2025-12818", PROGRAMS, {13: 23, 14: 20, 15: 15, 16: 11, 17: 7, 18: 1}),
    Flaw("CVE-2026-6477", PROGRAMS, {14: 23, 15: 18, 16: 14, 17: 10, 18: 4}),
)


def of(programs: t.Collection[str], version: Version) -> tuple[Flaw, ...]:
    return tuple(flaw for flaw in FLAWS if flaw.concerns(programs, version))


def remedy(flaws: t.Collection[Flaw], version: Version) -> str:
    """The first release of that major that has none of them, in words."""
    minors = [flaw.fixed.get(version[0]) for flaw in flaws]
    if None in minors:
        return f"PostgreSQL {version[0]} gets no more updates; install a newer major version, or set pg_bin to its directory"
    return f"install {version[0]}.{max(minor for minor in minors if minor is not None)} or newer, or set pg_bin to its directory"
