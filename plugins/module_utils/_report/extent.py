# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Coverage, changes lost by a restore, and controls that the report supports."""

from __future__ import annotations

import typing as t

from .check import NOT_APPLICABLE, UNPROVEN, Check
from .redaction import Redactor


class Control(t.TypedDict):
    """A control of a standard, and how the report supports it."""

    control: str
    words: str


class UnverifiedCheck(t.TypedDict):
    """A check that verified nothing."""

    id: str
    verdict: str
    message: str


class CoverageResult(t.TypedDict):
    """Contents of the set, assets that it lacks, and parts that were not verified."""

    assets: list[str] | None
    left_out: dict[str, str]
    not_verified: list[UnverifiedCheck]


class RollbackCategory(t.TypedDict):
    """One category of changes lost by a restore. `count` is None if it is unknown."""

    id: str
    words: str
    remedy: str
    count: int | None
    examples: list[str]


CONTROLS = (
    ("ISO/IEC 27001:2022 A.8.13", "supports: backup copies are created and tested by restoring them"),
    ("SOC 2 A1.2", "supports: backup and recovery of data are operated and monitored"),
    ("SOC 2 A1.3", "supports: recovery is tested against its objectives"),
)


def controls() -> list[Control]:
    """Return the controls for which this report is evidence. It supports them, but auditors decide whether they are met."""
    return [{"control": name, "words": words} for name, words in CONTROLS]


def coverage(
    checks: t.Iterable[Check], assets: t.Sequence[str] | None, left_out: t.Mapping[str, str], redactor: Redactor
) -> CoverageResult:
    """Return the coverage.

    `assets` are kinds of artifacts in the set, or None if it cannot be read. `left_out` are assets that are not in it, with
    reasons.
    """
    return {
        "assets": sorted(set(assets)) if assets is not None else None,
        "left_out": dict(left_out),
        "not_verified": [
            {"id": check.id, "verdict": check.verdict, "message": redactor.text(check.message)}
            for verdict in (UNPROVEN, NOT_APPLICABLE)
            for check in checks
            if check.verdict == verdict
        ],
    }


def rolls_back(found: t.Sequence[RollbackCategory] | None, redactor: Redactor) -> list[RollbackCategory] | None:
    """Return changes lost by a restore, from rollback_info, or None if it did not run. IDs in the examples become hashes."""
    if found is None:
        return None
    return [{**one, "examples": [redactor.text(str(example)) for example in one["examples"]]} for one in found]
