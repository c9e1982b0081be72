# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: what all hosts of a deployment lack, in one list."""

from __future__ import annotations

import dataclasses
import typing as t

from .._ansible.boundary import Invocation
from .._options import declared
from .._report import findings
from .._report.check import FAIL, PASS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    hosts: tuple[str, ...]
    looks: t.Mapping[str, t.Sequence[t.Mapping[str, t.Any]]]
    require_valid: bool = True


class _Report(t.TypedDict):
    changed: bool
    verdict: str
    findings: list[dict[str, object]]
    lines: list[str]


class DoctorResult(_Report, total=False):
    """The findings of all hosts; `msg` and `failed` if the module fails by them."""

    failed: bool
    msg: str


def run(invocation: Invocation[Options]) -> DoctorResult:
    """Fails with the first line where there is a finding, unless `require_valid` is false; all of them are in the result."""
    hosts, looks = invocation.options.hosts, invocation.options.looks
    found = findings.gather(hosts, looks)
    told = findings.lines(hosts, looks, found)
    verdict = FAIL if found else PASS
    result: DoctorResult = {"changed": False, "verdict": verdict, "findings": [dataclasses.asdict(one) for one in found], "lines": told}
    if found and invocation.options.require_valid:
        result.update({"failed": True, "msg": told[0]})
    return result
