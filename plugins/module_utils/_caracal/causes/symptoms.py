# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The evidence of a drill, and the signs by which a cause is recognized: a check, a metric, a line of a log."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing as t

from ..._report.check import FAIL, Check

# Details of a check that contain the answer of a service.
ANSWER = ("service", "status", "error", "description", "answer")
# The detail of a check that contains the end of a service's log.
LOG = "log"
# Prefix of the metrics of the product's own sweep of the audit chain.
TAMPER = "caracal_audit_tamper_"


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The results of a drill.

    `metrics` are the values by name in the check of the audit service's sweep. `logs` are lines by service. `key_ids`
    are the IDs of keys by name, as in the set's manifest.
    """

    checks: t.Sequence[Check]
    metrics: t.Mapping[str, float]
    logs: t.Mapping[str, t.Sequence[str]]
    key_ids: t.Mapping[str, str]

    def check(self, check_id: str) -> Check | None:
        return next((one for one in self.checks if one.id == check_id), None)


class Sign(t.Protocol):
    """A way to recognize a cause.

    `seen` returns the evidence: IDs of checks, `metric <name>` or `log of <service>`. An empty list means that the sign
    is absent.
    """

    def seen(self, evidence: Evidence) -> list[str]: ...


@dataclasses.dataclass(frozen=True)
class Found:
    """A check with an ID that matches the pattern `id` (`*` matches anything) has one of the `verdicts`.

    If `reason` is given, the check's reason (from `_reasons`) must equal it. Otherwise the reason must not be one of
    `other_than`.
    """

    id: str
    reason: str = ""
    verdicts: tuple[str, ...] = (FAIL,)
    other_than: tuple[str, ...] = ()

    def seen(self, evidence: Evidence) -> list[str]:
        return [one.id for one in _fitting(evidence, self.id, self.verdicts) if self._fits(str(one.details.get("reason") or ""))]

    def _fits(self, reason: str) -> bool:
        return reason == self.reason if self.reason else reason not in self.other_than


@dataclasses.dataclass(frozen=True)
class Answered:
    """A check with an ID that matches the pattern `id` has one of the `verdicts`, and its text matches the expression
    `words`.

    The text comes from a Caracal service, PostgreSQL or the kernel, so this collection cannot change it.
    """

    id: str
    words: str
    verdicts: tuple[str, ...] = (FAIL,)

    def seen(self, evidence: Evidence) -> list[str]:
        fitting = _fitting(evidence, self.id, self.verdicts)
        return [one.id for one in fitting if re.search(self.words, quoted(one), re.IGNORECASE)]


@dataclasses.dataclass(frozen=True)
class Above:
    """A metric is above zero. With `of` it must equal that metric, which counts all items."""

    metric: str
    of: str = ""

    def seen(self, evidence: Evidence) -> list[str]:
        value = evidence.metrics.get(self.metric, 0)
        whole = not self.of or value == evidence.metrics.get(self.of)
        return [f"metric {self.metric}"] if value > 0 and whole else []


@dataclasses.dataclass(frozen=True)
class Zero:
    """A metric exists and is zero."""

    metric: str

    def seen(self, evidence: Evidence) -> list[str]:
        return [f"metric {self.metric}"] if evidence.metrics.get(self.metric) == 0 else []


@dataclasses.dataclass(frozen=True)
class Logged:
    """A service logged a line that matches. If `services` is empty, any service may have logged it."""

    says: str
    services: tuple[str, ...] = ()

    def seen(self, evidence: Evidence) -> list[str]:
        read = {name: lines for name, lines in evidence.logs.items() if not self.services or name in self.services}
        return [
            f"log of {name}" for name, lines in sorted(read.items()) if any(re.search(self.says, line, re.IGNORECASE) for line in lines)
        ]


@dataclasses.dataclass(frozen=True)
class Together:
    """All of several signs are present."""

    signs: tuple[Sign, ...]

    def seen(self, evidence: Evidence) -> list[str]:
        shown = [sign.seen(evidence) for sign in self.signs]
        return [one for some in shown for one in some] if all(shown) else []


@dataclasses.dataclass(frozen=True)
class Cause:
    """A cause. `cause` and `remedy` are texts in which `{keks}` and `{services}` are replaced.

    `explains` lists the IDs of causes and checks that follow from it (`*` matches anything). Such causes are not
    reported as well, and such checks need no other cause. A `general` cause is reported only for checks that no other
    cause explains.
    """

    id: str
    cause: str
    remedy: str
    signs: tuple[Sign, ...]
    explains: tuple[str, ...] = ()
    general: bool = False

    def seen(self, evidence: Evidence) -> list[str]:
        """Return the evidence without duplicates, in the order of the signs."""
        return list(dict.fromkeys(shown for sign in self.signs for shown in sign.seen(evidence)))


def quoted(check: Check) -> str:
    """Return the answer of a service, the check's message, which may quote an answer, and the end of the service's log."""
    answer = [str(check.details[name]) for name in ANSWER if check.details.get(name) is not None]
    log = check.details.get(LOG)
    return "\n".join([" ".join([*answer, check.message]), *(str(line) for line in (log if isinstance(log, list) else ()))])


def _fitting(evidence: Evidence, pattern: str, verdicts: tuple[str, ...]) -> list[Check]:
    return [one for one in evidence.checks if one.verdict in verdicts and fnmatch.fnmatchcase(one.id, pattern)]
