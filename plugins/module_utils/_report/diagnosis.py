# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The causes of a failed drill, as its report contains them."""

from __future__ import annotations

import dataclasses
import typing as t


class DiagnosisResult(t.TypedDict):
    """A diagnosis as modules return it and as the report contains it."""

    id: str
    cause: str
    remedy: str
    because: list[str]


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """A cause, its remedy, and its evidence: IDs of checks, `metric <name>`, `log of <service>`."""

    id: str
    cause: str
    remedy: str
    because: tuple[str, ...]

    def to_result(self) -> DiagnosisResult:
        return {"id": self.id, "cause": self.cause, "remedy": self.remedy, "because": list(self.because)}
