# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the report contains besides checks and times: coverage, changes lost by a restore, and the controls that it supports."""

from __future__ import annotations

import typing as t

from .check import NOT_APPLICABLE, UNPROVEN, Check
from .redaction import Redactor


class Control(t.TypedDict):
    """A control of a standard, and what the report says about it."""

    control: str
    words: str


class UnverifiedCheck(t.TypedDict):
    """A check that verified nothing."""

    id: str
    verdict: str
    message: str


class CoverageResult(t.TypedDict):
    """What the set holds, what it does not, and what was not verified."""

    assets: list[str] | None
    left_out: dict[str, str]
    not_verified: list[UnverifiedCheck]


class RollbackCategory(t.TypedDict):
    """One category of changes lost by a restore; `count` is None if it is unknown."""

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
    """Which controls this record is evidence for. It supports them; whether they are met is for others to judge."""
    return [{"control": name, "words": words} for name, words in CONTROLS]


def coverage(
    checks: t.Iterable[Check], assets: t.Sequence[str] | None, left_out: t.Mapping[str, str], redactor: Redactor
) -> CoverageResult:
    """`assets` are kinds of artifacts that the set holds, None when it cannot be read; `left_out` what it does not, and why."""
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
    """Changes lost by a restore, as rollback_info returns them; None if it did not run. Examples of IDs become hashes."""
    if found is None:
        return None
    return [{**one, "examples": [redactor.text(str(example)) for example in one["examples"]]} for one in found]
