# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What is wrong with an audit chain, where, and in which words: one form for every source that is examined."""

from __future__ import annotations

import dataclasses
import typing as t

from .._report.check import FAIL, PASS, UNPROVEN, WARN, Check

SHOWN = 50
_RANK = (FAIL, UNPROVEN, WARN)


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """`kind` is stable (`hole`, `fork`, …). Positions are sequence numbers, both ends included; 0 where a row has none.

    `zone` is COPY text as in the audit blocks: `\\N` is the admin chain's global chain, empty where no zone is concerned. `digest` is the
    SHA-256 over exactly what differs, empty where nothing records the finding.
    """

    kind: str
    chain: str
    zone: str
    low: int
    high: int
    words: str
    verdict: str = FAIL
    leaf: str = ""
    digest: str = ""

    @property
    def rows(self) -> int:
        return self.high - self.low + 1

    def to_result(self) -> dict[str, t.Any]:
        left_out = {"words", "verdict", *(() if self.digest else ("digest",))}
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in left_out}

    def __str__(self) -> str:
        numbers = str(self.low) if self.low == self.high else f"{self.low} to {self.high}"
        where = [f"{self.chain} chain of {zone_name(self.zone)}"] if self.zone else []
        where += [f"sequence {numbers}"] if self.high else []
        where += [f"leaf {self.leaf}"] if self.leaf else []
        return f"{', '.join(where)}: {self.words}" if where else self.words


def zone_name(zone: str) -> str:
    """A zone in words."""
    return "no zone (global)" if zone == "\\N" else f"zone {zone}"


def check(check_id: str, findings: t.Sequence[Finding], passed: str, *, required: bool = True, **details: t.Any) -> Check:
    """One check out of its findings, the worst first; `passed` are the words for none. At most 50 positions are shown."""
    found = sorted(findings, key=lambda one: (_RANK.index(one.verdict), one))
    shown = {**details, "findings": len(found), "positions": [{**one.to_result(), "says": one.words} for one in found[:SHOWN]]}
    if not found:
        return Check(check_id, PASS, passed, required=required, details=shown)
    more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
    return Check(check_id, found[0].verdict, f"{found[0]}{more}", required=required, details=shown)
