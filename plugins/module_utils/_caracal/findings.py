# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about an audit chain: what is wrong, where, and in which words. All sources use this form."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing as t

from .._reasons import Reason, because
from .._report.check import FAIL, PASS, UNPROVEN, WARN, Check

SHOWN = 50
_RANK = (FAIL, UNPROVEN, WARN)


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """A finding about a range of rows.

    `kind` is stable (`hole`, `fork`, …). `low` and `high` are sequence numbers, both inclusive; they are 0 if a row has
    none. `zone` is COPY text as in the audit blocks. `\\N` is the global chain of the admin log. `zone` is empty if no
    zone is concerned. `digest` is the SHA-256 of exactly the data that differs. It is empty if nothing records the
    finding.
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

    def to_result(self) -> dict[str, object]:
        left_out = {"words", "verdict", *(() if self.digest else ("digest",))}
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in left_out}

    def __str__(self) -> str:
        numbers = str(self.low) if self.low == self.high else f"{self.low} to {self.high}"
        where = [f"{self.chain} chain of {zone_name(self.zone)}"] if self.zone else []
        where += [f"sequence {numbers}"] if self.high else []
        where += [f"partition {self.leaf}"] if self.leaf else []
        return f"{', '.join(where)}: {self.words}" if where else self.words


def zone_name(zone: str) -> str:
    """Return the name of a zone for a message."""
    return "no zone (global)" if zone == "\\N" else f"zone {zone}"


def digest(*parts: object) -> str:
    """Return the SHA-256 of the parts, encoded so that different parts cannot produce the same input."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def check(
    check_id: str,
    findings: t.Sequence[Finding],
    passed: str,
    *,
    required: bool = True,
    accepted: t.Collection[str] = (),
    **details: t.Any,
) -> Check:
    """Return one check for all findings, with the worst finding first.

    `passed` is the message if there are no findings. At most 50 positions are shown. The operator has acknowledged the
    digests in `accepted`: a finding with such a digest is a warning. `recorded` in the details lists the failures for
    the journal to record.
    """
    known = _without(check_id, findings, accepted)
    found = sorted(known, key=lambda one: (_RANK.index(one.verdict), one))
    shown = {**details, "findings": len(found), "positions": [{**one.to_result(), "says": one.words} for one in found[:SHOWN]]}
    recorded = to_record(check_id, found)
    shown |= {"recorded": recorded} if recorded else {}
    if not found:
        return Check(check_id, PASS, passed, required=required, details=shown)
    shown |= because(Reason(found[0].kind))
    more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
    return Check(check_id, found[0].verdict, f"{found[0]}{more}", required=required, details=shown)


def _without(check_id: str, found: t.Sequence[Finding], acknowledged: t.Collection[str]) -> list[Finding]:
    """Return the findings, with acknowledged ones as warnings."""
    first, rest = _in_order(found)
    known = {one.digest for one in first} & set(acknowledged)
    if rest and _digest_of_rest(check_id, rest) in acknowledged:
        known |= {one.digest for one in rest}
    return [dataclasses.replace(one, verdict=WARN, words=f"{one.words} (acknowledged)") if one.digest in known else one for one in found]


def _in_order(found: t.Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Split the failures into those that are recorded by their own digest and the rest."""
    failed = sorted(one for one in found if one.verdict == FAIL and one.digest)
    return failed[:SHOWN], failed[SHOWN:]


def to_record(check_id: str, found: t.Sequence[Finding]) -> list[dict[str, str]]:
    """Return the failures as the journal records them: the first ones by their own digest, the rest by one common digest."""
    first, rest = _in_order(found)
    recorded = [{"digest": one.digest, "message": str(one)} for one in first]
    if rest:
        recorded.append({"digest": _digest_of_rest(check_id, rest), "message": f"{len(rest)} more findings, the first: {rest[0]}"})
    return recorded


def _digest_of_rest(check_id: str, rest: t.Sequence[Finding]) -> str:
    return digest(check_id, "rest", *(one.digest for one in rest))
